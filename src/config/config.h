/*
 * config.h - the configuration of Postern: typed, checked, immutable.
 *
 * The parent reads the file once and hands its bytes to every role; each role turns them into a
 * struct config with config_load_text(), which touches nothing but memory, so it also works inside
 * a sandbox. The objects are read-only and counted: a reload makes a new one, and whoever still
 * works with the old one keeps it alive with config_ref(). All of it may be read by many threads.
 *
 * The schema table (schema.c) is the one authority on names, types, defaults and bounds; parsing,
 * the reference page, the manual page and the JSON schema come from it. The comments below repeat
 * "[default, least..most]" for the reader; a test compares them with the table.
 *
 * Conventions: every duration is an int64_t in milliseconds and its name ends in _ms; every size is
 * a uint64_t in octets; a text that is not set has n == 0. The YAML key is the field's name without
 * "_ms". All pointers and texts live as long as the struct config that holds them. Domain names are
 * lower case and in A-label form (RFC 5890); local parts keep the case they were written in.
 */
#ifndef POSTERN_CONFIG_CONFIG_H
#define POSTERN_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/status.h"
#include "base/str.h"
#include "config/config_outgoing.h"
#include "finding/finding.h"

/* Longest configuration that is read, in octets. */
#define CONFIG_TEXT_MAX          (16u << 20)
/* Most errors told in one run; after that one line says that there are more. */
#define CONFIG_ERRORS_MAX        50u
/* Deepest chain of aliases that name each other, and most addresses one alias comes to in the end.
 */
#define CONFIG_ALIAS_DEPTH_MAX   10u
#define CONFIG_ALIAS_TARGETS_MAX 1000u
/* Where the configuration is when nothing else is said. */
#define CONFIG_FILE_DEFAULT      "/etc/postern/postern.yaml"

/* What a listener is for. */
enum config_listener_kind {
    CONFIG_LISTENER_MX,         /* SMTP from other servers, usually port 25; no AUTH */
    CONFIG_LISTENER_SUBMISSION, /* from users, usually port 587; AUTH after STARTTLS (RFC 6409) */
    CONFIG_LISTENER_SMTPS,      /* from users, usually port 465; TLS at once (RFC 8314) */
    CONFIG_LISTENER_LOCAL,      /* from users of this machine, over a Unix socket; never written */
};

enum config_tls_version {
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3,
};

/* Where the recipients of a domain are known from. */
enum config_recipients {
    CONFIG_RECIPIENTS_USERS,   /* the user table in the ledger */
    CONFIG_RECIPIENTS_LIST,    /* domain->list */
    CONFIG_RECIPIENTS_CALLOUT, /* the next hop is asked with RCPT; its answer is cached */
    CONFIG_RECIPIENTS_ANY,     /* every local part is accepted */
};

/* Whose turn it is first in the queue. */
enum config_priority {
    CONFIG_PRIORITY_NORMAL,
    CONFIG_PRIORITY_HIGH,
    CONFIG_PRIORITY_BULK,
};

/* What is done with a bare LF in message data; it is never taken as the end of a line. */
enum config_bare_lf {
    CONFIG_BARE_LF_REFUSE, /* the message is refused */
    CONFIG_BARE_LF_DATA,   /* kept as data where no end-of-data can be read out of it */
};

/* The same for the hosts of a zone. */
enum config_zone_bare_lf {
    CONFIG_ZONE_BARE_LF_LIMITS, /* as limits.bare_lf says */
    CONFIG_ZONE_BARE_LF_REFUSE,
    CONFIG_ZONE_BARE_LF_DATA,
    CONFIG_ZONE_BARE_LF_NORMALIZE, /* becomes CRLF; relay zones only */
};

/* What is done with a message because of a finding; from the mildest to the strictest. */
enum config_action {
    CONFIG_ACTION_ACCEPT, /* nothing */
    CONFIG_ACTION_TAG,    /* accepted, the finding's name in X-Postern-Findings */
    CONFIG_ACTION_HOLD,   /* accepted and kept until an administrator releases it */
    CONFIG_ACTION_DEFER,  /* the client is asked to try again later */
    CONFIG_ACTION_REJECT, /* refused */
};

/* Which messages get an ARC seal; each includes those before it. */
enum config_seal {
    CONFIG_SEAL_NEVER,     /* none */
    CONFIG_SEAL_FORWARDED, /* what an alias sends on to another domain */
    CONFIG_SEAL_INBOUND,   /* all that is not our own users' */
};

/* Which keys are made for a domain. */
enum config_dkim_algorithms {
    CONFIG_DKIM_BOTH,    /* RSA-2048 and Ed25519 */
    CONFIG_DKIM_RSA,     /* RSA-2048 */
    CONFIG_DKIM_ED25519, /* Ed25519 (RFC 8463) */
};

/* An address and a port, "192.0.2.1@53" or "2001:db8::1@53". */
struct config_endpoint {
    struct ip_address ip;
    uint16_t port; /* 0: not set */
};

/* local@domain */
struct config_mailbox {
    struct str text;   /* normal form: quotes only where needed; n == 0: not set */
    struct str local;  /* without quotes, case kept */
    struct str domain; /* lower case, A-labels */
};

struct config_mailboxes {
    const struct config_mailbox *items;
    size_t count;
};

struct config_texts {
    const struct str *items;
    size_t count;
};

struct config_networks {
    const struct ip_network *items;
    size_t count;
};

struct config_endpoints {
    const struct config_endpoint *items;
    size_t count;
};

struct config_directories {
    struct str state; /* [/var/lib/postern] queue, ledger, self-signed certificate */
    struct str run;   /* [/run/postern] sockets and the process id */
};

/* How many processes and threads there are. */
struct config_workers {
    uint32_t edge;   /* [0, 0..256] edge processes; 0: one per processor core */
    uint32_t filter; /* [32, 1..256] threads of the filter: messages in the checks at once */
};

struct config_listener {
    struct ip_address address; /* 0.0.0.0 and :: are every address of their family */
    uint16_t port;
    enum config_listener_kind kind;
    enum config_tls_mode tls; /* [opportunistic for mx, required for submission and smtps] */
    struct config_networks proxy_protocol; /* peers that must send a PROXY header; none: nobody */
};

struct config_listeners {
    const struct config_listener *items;
    size_t count; /* 1..64 */
};

struct config_certificate {
    struct str certificate; /* PEM file: the certificate, then its chain */
    struct str key;         /* PEM file */
};

struct config_certificates {
    const struct config_certificate *items;
    size_t count; /* 0..1000; the first is used when the client names no known host (SNI) */
};

struct config_tls {
    enum config_tls_version minimum; /* [1.2] */
    struct config_certificates certificates;
    bool self_signed; /* [true] make one in directories.state when none is listed */
    struct config_texts trusted_roots; /* PEM files, besides the system's roots; for the client */
    struct str groups;                 /* OpenSSL's syntax; not set: the library's own list */
    struct str ciphers;                /* TLS 1.2; not set: forward secrecy and AEAD only */
    struct str ciphersuites;           /* TLS 1.3; not set: the library's own list */
    bool session_tickets;              /* [true] for users; keys differ by listener */
    bool mx_session_tickets;           /* [false] for other servers as well */
    int64_t session_lifetime_ms;       /* [2h, 1m..7d] of a ticket */
    bool prefer_server_ciphers;        /* [true] */
};

struct config_alias {
    struct str name; /* local part, case kept */
    struct config_mailboxes to;
};

struct config_aliases {
    const struct config_alias *items; /* sorted by name, ASCII case folded */
    size_t count;
};

/* A domain that mail is accepted for. */
struct config_domain {
    struct str name;                 /* lower case, A-labels */
    struct config_delivery delivery; /* required */
    enum config_tls_mode tls;        /* [opportunistic] towards `delivery` */
    struct config_ehlo_keywords ignore_ehlo;
    enum config_recipients recipients; /* [users] */
    struct config_mailboxes list;      /* for LIST; sorted by local part, ASCII case folded */
    struct config_aliases aliases;
    struct config_mailbox catch_all; /* who gets mail for unknown local parts; not set: refused */
    bool plus_addressing;            /* [true] bob+anything is bob */
    char plus_separator;             /* ["+"] one printable ASCII character */
};

struct config_domains {
    const struct config_domain *items; /* sorted by name */
    size_t count;
};

/* An action other than the finding's own. */
struct config_check {
    enum finding_id finding;   /* required */
    enum config_action action; /* required */
};

struct config_checks {
    const struct config_check *items; /* each finding once */
    size_t count;
};

/* A set of networks with the same rights and duties. */
struct config_zone {
    struct str name;
    struct config_networks networks;
    bool relay;                       /* [false] its hosts may send to any domain without AUTH */
    enum config_tls_mode minimum_tls; /* [none] least TLS of connections from and to it */
    enum config_priority priority;    /* [normal] in the queue; normal: the message itself tells */
    bool rate_limits;                 /* [true] connection and message rates apply to it */
    bool auth_limits;                 /* [true] failed log-ins from it stop others there */
    enum config_zone_bare_lf bare_lf; /* [limits] */
    bool repair;                      /* [true] what its hosts send is mended (mail/repair.h) */
    struct str domain;                /* of addresses without one; empty: hostname */
    struct config_checks checks;      /* count more than those for everybody */
};

struct config_zones {
    const struct config_zone *items;
    size_t count;
};

/* SMTP server time-outs: how long the edge waits in each state (RFC 5321 4.5.3.2). */
struct config_server_timeouts {
    int64_t proxy_header_ms;  /* [5s, 1s..1m] for the PROXY header */
    int64_t tls_handshake_ms; /* [30s, 1s..5m] */
    int64_t command_ms;       /* [5m, 1s..1h] for the next command */
    int64_t auth_ms;          /* [1m, 1s..10m] for an answer within AUTH */
    int64_t data_ms;          /* [5m, 1s..1h] for the next octet of message data */
    int64_t session_ms;       /* [2h, 1m..7d] for a whole connection */
};

/* Bounds on what a client can make the server do. */
struct config_limits {
    uint64_t message_size;   /* [50MiB, 64KiB..2GiB] SIZE; also while streaming */
    uint32_t recipients;     /* [1000, 100..10000] of a message (RFC 5321 4.5.3.1.8) */
    uint32_t messages;       /* [1000, 1..1000000] of a connection (MAILMAX, RFC 9422) */
    uint32_t commands;       /* [100000, 100..10000000] of a connection */
    uint32_t junk_commands;  /* [100, 10..10000] that bring no mail forward, per message */
    uint32_t errors;         /* [20, 1..1000] refused commands of a connection */
    uint32_t command_length; /* [2048, 1200..65536] octets of a command line with CRLF */
    uint32_t auth_length;    /* [12288, 1024..65536] of a line within AUTH (RFC 4954 4) */
    uint32_t line_length;    /* [8192, 1000..1048576] of a line of message data with CRLF */
    uint64_t header_size;    /* [256KiB, 4KiB..16MiB] of the header section */
    uint32_t header_fields;  /* [1000, 50..100000] */
    uint32_t received_count; /* [50, 10..1000] Received fields before it is a loop */
    uint32_t connections;    /* [20000, 1..1000000] in all edge processes together */
    uint32_t connections_per_address; /* [50, 1..1000000] */
    uint32_t connections_per_network; /* [200, 1..1000000] per /24 (IPv4) or /56 (IPv6) */
    uint32_t connection_rate; /* [120, 0..1000000] new ones per address and minute; 0: any */
    uint32_t connection_rate_per_network; /* [600, 0..1000000] the same per /24 or /56 */
    uint32_t message_rate; /* [600, 0..1000000] messages per address and minute; 0: any */
    uint32_t message_rate_per_network;     /* [3000, 0..1000000] the same per /24 or /56 */
    uint32_t auth_failures_per_connection; /* [3, 1..100] then 421 */
    uint32_t auth_failures_per_user;       /* [10, 1..10000] within auth_failure_window */
    uint32_t auth_failures_per_address;    /* [20, 1..10000] */
    int64_t auth_failure_window_ms;        /* [15m, 1m..1d] */
    uint32_t small_chunks;       /* [1000, 1..1000000] BDAT chunks below 1 KiB a message */
    uint64_t discard_size;       /* [64MiB, 64KiB..16GiB] of refused data read past */
    uint64_t data_rate;          /* [128, 0..1MiB] least octets a second of message data */
    int64_t data_rate_grace_ms;  /* [30s, 1s..10m] before data_rate is measured */
    uint64_t memory;             /* [512MiB, 16MiB..1TiB] of an edge process; then 421 */
    enum config_bare_lf bare_lf; /* [refuse] */
    int64_t pregreet_delay_ms;   /* [200ms, 0..10s] wait on mx listeners for early talkers */
    struct config_server_timeouts timeouts;
};

struct config_smtp {
    struct str banner; /* [ESMTP Postern] text after the host name in the greeting, 0..200 ASCII */
};

/* What is done to a message from an authenticated user. */
/* What a user may send as beside his own addresses. */
struct config_sender_rule {
    struct str user;         /* pattern of the user's name, with "*" */
    struct config_texts may; /* patterns of addresses */
};

struct config_sender_rules {
    const struct config_sender_rule *items;
    size_t count;
};

struct config_submission {
    bool own_sender;                    /* [true] sender and author must be the user's own */
    struct config_sender_rules senders; /* all that fit the user count */
    bool hide_client_address;           /* [true] the client's address stays out of Received */
    bool channel_binding;               /* [true] SCRAM-SHA-256-PLUS is offered (RFC 5802 6) */
    bool repair;                        /* [true] what users send is mended (mail/repair.h) */
    bool add_date;                      /* [true] when missing (RFC 6409 8.1) */
    bool add_message_id;                /* [true] when missing (RFC 6409 8.3) */
};

/* Mail of this machine's own users and programs; see local_user.h for who is who. */
struct config_sendmail {
    bool enabled;                   /* [true] there is a socket for it */
    struct str domain;              /* of addresses without one; empty: see local_user_domain */
    struct config_texts users;      /* patterns of "uid:33" that may submit; none: everybody */
    struct config_texts any_sender; /* and that may use any sender, as root may */
};

/* SMTP client time-outs (RFC 5321 4.5.3.2 names these least values). */
struct config_client_timeouts {
    int64_t connect_ms;       /* [30s, 1s..10m] for one address */
    int64_t tls_handshake_ms; /* [30s, 1s..5m] */
    int64_t greeting_ms;      /* [5m, 1s..1h] */
    int64_t command_ms;       /* [5m, 1s..1h] EHLO, MAIL, RCPT, RSET */
    int64_t data_init_ms;     /* [2m, 1s..1h] DATA until 354 */
    int64_t data_block_ms;    /* [3m, 1s..1h] for a piece of data to be taken */
    int64_t data_end_ms;      /* [10m, 1s..2h] from the final dot to the answer */
    int64_t quit_ms;          /* [10s, 1s..5m] */
    int64_t idle_ms;          /* [5s, 0..5m] an open connection waits for another message */
};

struct config_queue {
    int64_t lifetime_ms;        /* [5d, 1m..60d] then the message bounces (RFC 5321 4.5.4.1) */
    int64_t warn_after_ms;      /* [4h, 0..30d] delay warning to the sender; 0: none */
    int64_t retry_first_ms;     /* [5m, 1s..1d] after the first failed attempt */
    int64_t retry_max_ms;       /* [2h, 1s..2d] */
    double retry_factor;        /* [2.0, 1.0..10.0] each wait is so many times the one before */
    uint32_t retry_jitter;      /* [20, 0..50] per cent added or taken at random */
    uint64_t max_size;          /* [20GiB, 16MiB..1PiB] of the queue on disk; then 452 */
    uint32_t max_messages;      /* [5000000, 100..1000000000] in the queue; then 452 */
    uint64_t min_free_disk;     /* [256MiB, 0..1TiB] below it 452 */
    uint32_t concurrency_first; /* [5, 1..1000] connections to one destination at the start */
    uint32_t concurrency_max;   /* [20, 1..1000] to which it may grow */
    uint32_t connections;       /* [200, 1..10000] of the relay in all */
    uint32_t reuse_messages;    /* [100, 1..100000] over one connection */
    struct config_ehlo_keywords ignore_ehlo; /* of all servers */
    struct config_client_timeouts timeouts;
};

/* Asking the next hop whether it takes a recipient. */
struct config_callout {
    int64_t timeout_ms;        /* [20s, 1s..5m] then 451 */
    int64_t positive_cache_ms; /* [1d, 0..30d] how long "yes" is kept */
    int64_t negative_cache_ms; /* [10m, 0..1d] how long "no" is kept */
};

/* Whether those who are neither users nor in a zone with relay are told of failures. */
enum config_strangers {
    CONFIG_STRANGERS_HEADERS, /* a short notice, to a sender whose domain is authenticated */
    CONFIG_STRANGERS_NEVER,
};

struct config_bounce {
    /* Who answers for all domains: gets postmaster@ and abuse@ where no user or alias has it. */
    struct config_mailbox postmaster;
    uint64_t returned_size; /* [64KiB, 0..10MiB] most of the original that goes into a bounce */
    enum config_strangers to_strangers; /* [headers] */
};

struct config_retention {
    int64_t trace_age_ms;             /* [90d, 1h..3650d] */
    uint64_t trace_size;              /* [10GiB, 16MiB..1PiB] the oldest go first */
    int64_t dmarc_observations_ms;    /* [40d, 1d..3650d] */
    uint64_t dmarc_observations_size; /* [1GiB, 1MiB..1TiB] the oldest days go first */
};

struct config_logging {
    enum log_level level;   /* [info] error, warn, info, debug */
    enum log_format format; /* [keyvalue] keyvalue, json */
};

struct config_metrics {
    bool enabled;              /* [true] */
    struct ip_address address; /* [127.0.0.1] */
    uint16_t port;             /* [9154, 1..65535] */
};

struct config_resolver {
    struct config_endpoints forwarders; /* none: the resolver asks the root itself */
    struct config_endpoint stub_root;   /* server of a root of one's own (labs); port 0: not set */
    struct config_texts trust_anchors;  /* files with DS or DNSKEY records */
    struct config_texts local_zones;    /* special-use names that are looked up nonetheless */
    bool dnssec;                        /* [true] validate */
    int64_t anchor_hold_down_ms;        /* [30d, 1s..365d] before a new key is trusted */
    struct str self_test;               /* a signed name that is asked too; may be empty */
    int64_t timeout_ms;                 /* [10s, 100ms..5m] for a question in all */
    int64_t message_timeout_ms;         /* [30s, 1s..5m] for all questions of one message */
    uint32_t message_questions;         /* [300, 20..10000] of one message */
    uint64_t cache_size;                /* [64MiB, 1MiB..64GiB] */
    int64_t cache_ttl_min_ms;           /* [0s, 0..1h] */
    int64_t cache_ttl_max_ms;           /* [1d, 1m..7d] */
    int64_t cache_negative_ttl_max_ms;  /* [1h, 1s..1d] */
};

struct config_fetch {
    int64_t timeout_ms;                       /* [30s, 1s..5m] for one fetch in all */
    struct config_networks private_addresses; /* that may be fetched from */
    uint16_t port;                            /* [443, 1..65535] of the servers */
};

/* A domain whose DMARC policy is not followed. */
struct config_dmarc_exception {
    struct str domain; /* A-labels; with a dot in front: every domain below */
    struct str reason; /* may be empty */
};

struct config_dmarc_exceptions {
    const struct config_dmarc_exception *items;
    size_t count;
};

struct config_dmarc {
    bool enforce; /* [true] failures lead to what the author's domain asks for */
    struct config_dmarc_exceptions exceptions;
};

struct config_arc {
    enum config_seal seal;               /* [forwarded] */
    struct config_texts trusted_sealers; /* domains whose chains may override DMARC */
};

/* How one sender's mail is signed. */
struct config_dkim_rule {
    struct str sender; /* pattern of the author's address, with "*" */
    struct str domain; /* that signs; empty: the author's */
    bool sign;         /* [true] */
};

struct config_dkim_rules {
    const struct config_dkim_rule *items;
    size_t count;
};

struct config_dkim {
    bool sign;                              /* [true] */
    bool encode_8bit;                       /* [true] before signing */
    enum config_dkim_algorithms algorithms; /* [both] of new keys */
    struct config_dkim_rules rules;         /* the first that fits */
    int64_t rotate_after_ms;                /* [0, 0..3650d] 0: by hand only */
    int64_t publish_wait_ms;                /* [1h, 0..30d] between seen in the DNS and used */
    int64_t retire_after_ms;                /* [7d, 1h..365d] between replaced and retired */
};

struct config_srs {
    bool enabled;        /* [true] */
    struct str domain;   /* empty: that of the alias */
    int64_t validity_ms; /* [21d, 1d..365d] */
};

/* What SPF says of our domains, for postern dns. */
struct config_spf {
    struct config_networks networks; /* that our mail leaves from; none: those of hostname */
    struct config_texts includes;    /* domains whose SPF record counts too */
};

/* Who sent it (src/auth). */
struct config_authentication {
    struct str authserv_id;   /* empty: hostname; see config_authserv_id */
    struct str verdict_field; /* [X-Postern-Verdict] name of a header field, 3..70 */
    struct config_dmarc dmarc;
    struct config_arc arc;
    struct config_dkim dkim;
    struct config_srs srs;
    struct config_spf spf;
};

struct config_control;

struct config {
    struct config_control *control; /* count and memory; for config.c only */

    struct str hostname; /* required; in the greeting, EHLO, Received, Message-ID */
    struct config_directories directories;
    struct str run_as; /* [postern] user when started as root and postern-<role> does not exist */
    struct config_workers workers;
    struct config_listeners listeners;
    struct config_tls tls;
    struct config_domains domains;
    struct config_routes routes;
    struct config_smart_host smart_host;
    struct config_dane dane;
    struct config_zones zones;
    struct config_limits limits;
    struct config_checks checks;
    struct config_smtp smtp;
    struct config_submission submission;
    struct config_sendmail sendmail;
    struct config_queue queue;
    struct config_callout callout;
    struct config_bounce bounce;
    struct config_retention retention;
    struct config_logging logging;
    struct config_metrics metrics;
    struct config_resolver resolver;
    struct config_fetch fetch;
    struct config_authentication authentication;
};

struct config_error {
    unsigned line;   /* from 1; 0: the file as a whole */
    unsigned column; /* from 1, in characters */
    struct str text; /* what is wrong, what was expected, what to do; one line, no position */
};

struct config_errors {
    struct config_error items[CONFIG_ERRORS_MAX]; /* by position */
    size_t count;
    bool more; /* there were more than CONFIG_ERRORS_MAX */
};

/*
 * Reads a configuration. On success the caller owns one reference to *out. On failure *errors_out
 * tells all that is wrong, its texts in `arena` (1 MiB is ample), and *out is untouched. On success
 * errors_out->count is 0. Opens no file, asks for no name: what certificates, keys and the settings
 * of TLS are worth is for roles/preflight.h to find out.
 * STATUS_SYNTAX: something is wrong in it; STATUS_LIMIT: larger than CONFIG_TEXT_MAX (also told in
 * *errors_out).
 */
[[nodiscard]] enum status config_load_text(struct arena *arena, struct str text,
                                           const struct config **out,
                                           struct config_errors *errors_out);

/*
 * Adds what a later look has found wrong with the value at `path` ("tls.certificates[2].key") of
 * the configuration `text`, with its place; a value that is not written has that of the nearest
 * group around it. The error says the path itself. Text in `arena`; past CONFIG_ERRORS_MAX only
 * errors->more is set.
 */
void config_error_add(struct arena *arena, struct str text, struct config_errors *errors,
                      const char *path, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* "file:line:column: text", as compilers and editors have it; {NULL,0} past the arena's ceiling. */
struct str config_error_format(struct arena *arena, struct str file_name,
                               const struct config_error *error);

/* One more reference; returns config. Thread-safe. */
const struct config *config_ref(const struct config *config);
/* Gives one reference back and sets *config to NULL; the last one frees it. NULL is allowed. */
void config_unref(const struct config **config);

/*
 * Reads a text as `delivery` is written in the configuration. False: it is none. *delivery_out is
 * in the arena.
 */
bool config_delivery_parse(struct arena *arena, struct str text,
                           struct config_delivery *delivery_out);

/* The domain of that name (any case, A-labels or U-labels), or NULL when it is not ours. */
const struct config_domain *config_domain_find(const struct config *config, struct str name);
/* The route for a domain: its own, else that of the nearest domain above it; NULL: none. */
const struct config_route *config_route_find(const struct config *config, struct str domain);
/* The zone of that name; NULL: there is none. */
const struct config_zone *config_zone_find(const struct config *config, struct str name);
/* The zone whose network is the narrowest that contains ip; NULL: in no zone. */
const struct config_zone *config_zone_for_ip(const struct config *config,
                                             const struct ip_address *ip);
/* The alias of a local part (ASCII case folded), or NULL. */
const struct config_alias *config_alias_find(const struct config_domain *domain, struct str local);
/* Whether local@domain->name is in domain->list (ASCII case folded). */
bool config_list_contains(const struct config_domain *domain, struct str local);
/*
 * With plus-addressing: the name before the separator ("bob" of "bob+news"), a view into local.
 * Empty where the domain has none of it or local no separator after its first octet.
 */
struct str config_plus_base(const struct config_domain *domain, struct str local);
/* Whether ip is in one of the networks. */
bool config_networks_contain(const struct config_networks *networks, const struct ip_address *ip);

/* Our name in Authentication-Results (RFC 8601 2.5): authserv_id, else hostname. */
struct str config_authserv_id(const struct config *config);

/* The names as they are in YAML: "mx", "opportunistic", "1.2", "callout"; static, never NULL. */
const char *config_listener_kind_name(enum config_listener_kind kind);
/* The exception from DANE for a domain at that time; NULL: there is none. */
const struct config_dane_exception *config_dane_exception_for(const struct config *config,
                                                              struct str domain, int64_t now_ms);
const char *config_tls_mode_name(enum config_tls_mode mode);
const char *config_tls_version_name(enum config_tls_version version);
const char *config_recipients_name(enum config_recipients recipients);
const char *config_action_name(enum config_action action);
const char *config_seal_name(enum config_seal seal);

#endif

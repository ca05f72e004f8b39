#include "config/schema.h"

#include "config/config.h"

/* The offset of a member, with a compile-time check that it has the type that the row says. */
#define AT(S, member, T)                                                                           \
    (offsetof(struct S, member) +                                                                  \
     0 * sizeof(                                                                                   \
             char[__builtin_types_compatible_p(__typeof__(((struct S *)0)->member), T) ? 1 : -1]))
#define MAP_OF(heading, S, table)                                                                  \
    {                                                                                              \
        .title = (heading), .c_struct = #S, .size = sizeof(struct S), .fields = (table),           \
        .count = sizeof(table) / sizeof((table)[0])                                                \
    }

#define BOOL(S, member, standard, text)                                                            \
    {                                                                                              \
        .name = #member, .type = SCHEMA_BOOL, .offset = AT(S, member, bool),                       \
        .fallback = (standard), .doc = (text)                                                      \
    }
#define COUNT(S, member, standard, low, high, text)                                                \
    {                                                                                              \
        .name = #member, .type = SCHEMA_COUNT, .offset = AT(S, member, uint32_t),                  \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define DURATION(S, member, standard, low, high, text)                                             \
    {                                                                                              \
        .name = #member, .type = SCHEMA_DURATION, .offset = AT(S, member##_ms, int64_t),           \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define SIZE(S, member, standard, low, high, text)                                                 \
    {                                                                                              \
        .name = #member, .type = SCHEMA_SIZE, .offset = AT(S, member, uint64_t),                   \
        .fallback = (standard), .least = (low), .most = (high), .doc = (text)                      \
    }
#define CHOICE(S, member, T, standard, words, text)                                                \
    {                                                                                              \
        .name = #member, .type = SCHEMA_CHOICE, .offset = AT(S, member, T),                        \
        .fallback = (standard), .choices = (words), .doc = (text)                                  \
    }
#define GROUP(S, member, T, table, text)                                                           \
    {                                                                                              \
        .name = #member, .type = SCHEMA_MAP, .offset = AT(S, member, T), .map = &(table),          \
        .doc = (text)                                                                              \
    }

#define MILLISECOND 1ull
#define SECOND      (1000 * MILLISECOND)
#define MINUTE      (60 * SECOND)
#define HOUR        (60 * MINUTE)
#define DAY         (24 * HOUR)
#define KIB         (1ull << 10)
#define MIB         (1ull << 20)
#define GIB         (1ull << 30)
#define TIB         (1ull << 40)
#define PIB         (1ull << 50)

const struct schema_choice schema_listener_kinds[] = {
    {"mx", CONFIG_LISTENER_MX, "mail from other servers; no log-in"},
    {"submission", CONFIG_LISTENER_SUBMISSION, "mail from users: STARTTLS, then AUTH (RFC 6409)"},
    {"smtps", CONFIG_LISTENER_SMTPS, "mail from users: TLS at once, then AUTH (RFC 8314)"},
    {0},
};

const struct schema_choice schema_tls_modes[] = {
    {"none", CONFIG_TLS_NONE, "no TLS"},
    {"opportunistic", CONFIG_TLS_OPPORTUNISTIC, "TLS when both sides can"},
    {"required", CONFIG_TLS_REQUIRED, "no mail without TLS"},
    {0},
};

const struct schema_choice schema_tls_versions[] = {
    {"1.2", CONFIG_TLS_1_2, "TLS 1.2 and later"},
    {"1.3", CONFIG_TLS_1_3, "TLS 1.3 and later"},
    {0},
};

const struct schema_choice schema_recipients[] = {
    {"users", CONFIG_RECIPIENTS_USERS, "the users made with postern user add"},
    {"list", CONFIG_RECIPIENTS_LIST, "the addresses under list"},
    {"callout", CONFIG_RECIPIENTS_CALLOUT, "whoever the server behind accepts; it is asked"},
    {"any", CONFIG_RECIPIENTS_ANY, "everybody; the server behind has to refuse the unknown"},
    {0},
};

static const struct schema_choice bare_lf_choices[] = {
    {"refuse", CONFIG_BARE_LF_REFUSE, "the message is refused"},
    {"data", CONFIG_BARE_LF_DATA, "kept as data where no end of the message can be read out of it"},
    {0},
};

static const struct schema_choice log_level_choices[] = {
    {"error", LOG_LEVEL_ERROR, "what is broken and needs a person"},
    {"warn", LOG_LEVEL_WARN, "also what is wrong but handled"},
    {"info", LOG_LEVEL_INFO, "also what an administrator reads every day"},
    {"debug", LOG_LEVEL_DEBUG, "everything"},
    {0},
};

static const struct schema_choice log_format_choices[] = {
    {"keyvalue", LOG_FORMAT_KEYVALUE, "key=value, for people"},
    {"json", LOG_FORMAT_JSON, "one JSON object a line, for collectors"},
    {0},
};

static const struct schema_field directories_fields[] = {
    {.name = "state",
     .type = SCHEMA_PATH,
     .offset = AT(config_directories, state, struct str),
     .fallback = "/var/lib/postern",
     .doc = "Queue, ledger and the certificate that Postern makes itself."},
    {.name = "run",
     .type = SCHEMA_PATH,
     .offset = AT(config_directories, run, struct str),
     .fallback = "/run/postern",
     .doc = "Sockets and the process id."},
};
static const struct schema_map directories_map =
    MAP_OF("Directories", config_directories, directories_fields);

static const struct schema_field workers_fields[] = {
    COUNT(config_workers, edge, "0", 0, 256,
          "Processes that speak SMTP to clients. 0 is one per processor core."),
    COUNT(config_workers, filter, "8", 1, 256, "Messages in the checks at the same time."),
};
static const struct schema_map workers_map = MAP_OF("Workers", config_workers, workers_fields);

static const struct schema_field listener_fields[] = {
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .required = true,
     .offset = AT(config_listener, address, struct ip_address),
     .doc = "Where to listen. 0.0.0.0 is every IPv4 address, \"::\" every IPv6 address.",
     .example = "192.0.2.25"},
    {.name = "port",
     .type = SCHEMA_PORT,
     .required = true,
     .offset = AT(config_listener, port, uint16_t),
     .least = 1,
     .most = 65535,
     .doc = "Usually 25 for mx, 587 for submission, 465 for smtps.",
     .example = "25"},
    {.name = "kind",
     .type = SCHEMA_CHOICE,
     .required = true,
     .offset = AT(config_listener, kind, enum config_listener_kind),
     .choices = schema_listener_kinds,
     .doc = "Who is expected there.",
     .example = "mx"},
    {.name = "tls",
     .type = SCHEMA_CHOICE,
     .offset = AT(config_listener, tls, enum config_tls_mode),
     .choices = schema_tls_modes,
     .unset = "opportunistic for mx, required for submission and smtps",
     .doc = "Whether TLS is offered or demanded. Log-in is never offered without it.",
     .example = "opportunistic"},
    {.name = "proxy_protocol",
     .type = SCHEMA_NETWORK,
     .is_list = true,
     .offset = AT(config_listener, proxy_protocol, struct config_networks),
     .most = 100,
     .unset = "nobody",
     .doc = "Load balancers: peers in these networks must send a PROXY header (version 1 or 2), "
            "and the client's address is taken from it. Nobody else may send one.",
     .example = "[10.0.0.0/24]"},
};
static const struct schema_map listener_map =
    MAP_OF("A listener", config_listener, listener_fields);

static const struct schema_field certificate_fields[] = {
    {.name = "certificate",
     .type = SCHEMA_PATH,
     .required = true,
     .offset = AT(config_certificate, certificate, struct str),
     .doc = "PEM file: the certificate, then the chain up to the root.",
     .example = "/etc/postern/mx.pem"},
    {.name = "key",
     .type = SCHEMA_PATH,
     .required = true,
     .offset = AT(config_certificate, key, struct str),
     .doc = "PEM file with the private key.",
     .example = "/etc/postern/mx.key"},
};
static const struct schema_map certificate_map =
    MAP_OF("A certificate", config_certificate, certificate_fields);

static const struct schema_field tls_fields[] = {
    CHOICE(config_tls, minimum, enum config_tls_version, "1.2", schema_tls_versions,
           "Oldest version of TLS that is spoken, as a server and as a client."),
    {.name = "certificates",
     .type = SCHEMA_MAP,
     .is_list = true,
     .offset = AT(config_tls, certificates, struct config_certificates),
     .most = 1000,
     .map = &certificate_map,
     .unset = "see self_signed",
     .doc = "Which one a client sees follows from the name that it asks for (SNI); the first one "
            "is for clients that ask for none. Files are read again when they change."},
    BOOL(config_tls, self_signed, "true",
         "Make a self-signed certificate in directories.state when none is listed, so that "
         "STARTTLS works from the first start. Servers take it; mail clients warn."),
    {.name = "groups",
     .type = SCHEMA_TEXT,
     .offset = AT(config_tls, groups, struct str),
     .least = 1,
     .most = 1000,
     .unset = "what the TLS library prefers",
     .doc = "Key exchange groups in OpenSSL's syntax.",
     .example = "X25519:P-256"},
    {.name = "ciphers",
     .type = SCHEMA_TEXT,
     .offset = AT(config_tls, ciphers, struct str),
     .least = 1,
     .most = 4000,
     .unset = "those with forward secrecy and authenticated encryption",
     .doc = "Ciphers of TLS 1.2 in OpenSSL's syntax.",
     .example = "ECDHE+AESGCM:ECDHE+CHACHA20"},
    {.name = "ciphersuites",
     .type = SCHEMA_TEXT,
     .offset = AT(config_tls, ciphersuites, struct str),
     .least = 1,
     .most = 1000,
     .unset = "what the TLS library prefers",
     .doc = "Cipher suites of TLS 1.3 in OpenSSL's syntax.",
     .example = "TLS_AES_256_GCM_SHA384"},
    BOOL(config_tls, session_tickets, "true",
         "Let clients resume a session. Each listener has keys of its own."),
    DURATION(config_tls, session_lifetime, "2h", MINUTE, 7 * DAY,
             "How long a session can be resumed."),
    BOOL(config_tls, prefer_server_ciphers, "true", "Whose order of ciphers counts."),
};
static const struct schema_map tls_map = MAP_OF("TLS", config_tls, tls_fields);

static const struct schema_field alias_fields[] = {
    {.name = "name",
     .type = SCHEMA_LOCAL_PART,
     .required = true,
     .offset = AT(config_alias, name, struct str),
     .doc = "The part before the @. Upper and lower case are the same.",
     .example = "sales"},
    {.name = "to",
     .type = SCHEMA_MAILBOX,
     .is_list = true,
     .required = true,
     .offset = AT(config_alias, to, struct config_mailboxes),
     .least = 1,
     .most = 1000,
     .doc = "Who gets the mail: users, other aliases, addresses elsewhere. The alias's own address "
            "among them is the mailbox of that name.",
     .example = "[bob@example.com, tom@example.net]"},
};
static const struct schema_map alias_map = MAP_OF("An alias", config_alias, alias_fields);

static const struct schema_field domain_fields[] = {
    {.name = "name",
     .type = SCHEMA_DOMAIN,
     .required = true,
     .offset = AT(config_domain, name, struct str),
     .doc = "The part after the @. International names may be written as such.",
     .example = "example.com"},
    {.name = "delivery",
     .type = SCHEMA_DELIVERY,
     .required = true,
     .offset = AT(config_domain, delivery, struct config_delivery),
     .doc = "Where its mail goes: lmtp://host:port, lmtp:/path/to/socket, smtp://host:port, or mx "
            "(the MX records of the domain, for a backup MX).",
     .example = "lmtp:/run/dovecot/lmtp"},
    CHOICE(config_domain, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
    CHOICE(config_domain, recipients, enum config_recipients, "users", schema_recipients,
           "How it is known who exists; unknown recipients are refused during SMTP."),
    {.name = "list",
     .type = SCHEMA_MAILBOX,
     .is_list = true,
     .offset = AT(config_domain, list, struct config_mailboxes),
     .most = 200000,
     .unset = "nobody",
     .doc = "Who exists, for recipients: list.",
     .example = "[bob@example.com, jack@example.com]"},
    {.name = "aliases",
     .type = SCHEMA_MAP,
     .is_list = true,
     .offset = AT(config_domain, aliases, struct config_aliases),
     .most = 100000,
     .map = &alias_map,
     .unset = "none",
     .doc = "Names that stand for other addresses."},
    {.name = "catch_all",
     .type = SCHEMA_MAILBOX,
     .offset = AT(config_domain, catch_all, struct config_mailbox),
     .unset = "unknown recipients are refused",
     .doc = "Who gets the mail for names that do not exist.",
     .example = "bob@example.com"},
    BOOL(config_domain, plus_addressing, "true", "bob+anything is bob."),
    {.name = "plus_separator",
     .type = SCHEMA_SEPARATOR,
     .offset = AT(config_domain, plus_separator, char),
     .fallback = "+",
     .doc = "The character that ends the name."},
};
static const struct schema_map domain_map = MAP_OF("A domain", config_domain, domain_fields);

static const struct schema_field route_fields[] = {
    {.name = "domain",
     .type = SCHEMA_ROUTE_DOMAIN,
     .required = true,
     .offset = AT(config_route, domain, struct str),
     .doc = "example.com is that domain alone; .example.com is every domain below it.",
     .example = "example.net"},
    {.name = "to",
     .type = SCHEMA_DELIVERY,
     .required = true,
     .offset = AT(config_route, to, struct config_delivery),
     .doc = "As delivery of a domain.",
     .example = "\"smtp://relay.example.net:25\""},
    CHOICE(config_route, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
};
static const struct schema_map route_map = MAP_OF("A route", config_route, route_fields);

static const struct schema_field smart_host_fields[] = {
    {.name = "to",
     .type = SCHEMA_DELIVERY,
     .required = true,
     .offset = AT(config_smart_host, to, struct config_delivery),
     .doc = "As delivery of a domain.",
     .example = "\"smtp://smart.example.net:25\""},
    CHOICE(config_smart_host, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
};
static const struct schema_map smart_host_map = {
    .title = "Smart host",
    .c_struct = "config_smart_host",
    .size = sizeof(struct config_smart_host),
    .shorthand = "to",
    .fields = smart_host_fields,
    .count = sizeof smart_host_fields / sizeof smart_host_fields[0],
};

static const struct schema_field zone_fields[] = {
    {.name = "name",
     .type = SCHEMA_NAME,
     .required = true,
     .offset = AT(config_zone, name, struct str),
     .doc = "For logs and traces.",
     .example = "inside"},
    {.name = "networks",
     .type = SCHEMA_NETWORK,
     .is_list = true,
     .required = true,
     .offset = AT(config_zone, networks, struct config_networks),
     .least = 1,
     .most = 10000,
     .doc = "What belongs to it. An address is in the zone with the narrowest network around it.",
     .example = "[192.0.2.0/24, \"2001:db8::/32\"]"},
    BOOL(config_zone, relay, "false",
         "Its hosts may send to any domain without logging in. Only for hosts that you answer "
         "for."),
    CHOICE(config_zone, minimum_tls, enum config_tls_mode, "none", schema_tls_modes,
           "Least TLS on connections from and to its hosts; where listener, route and domain say "
           "less, this counts."),
    BOOL(config_zone, rate_limits, "true",
         "Whether the rates and the connections per address and network under limits count for "
         "its hosts."),
};
static const struct schema_map zone_map = MAP_OF("A zone", config_zone, zone_fields);

static const struct schema_field server_timeouts_fields[] = {
    DURATION(config_server_timeouts, proxy_header, "5s", SECOND, MINUTE,
             "For the PROXY header of a load balancer."),
    DURATION(config_server_timeouts, tls_handshake, "30s", SECOND, 5 * MINUTE,
             "For the TLS handshake."),
    DURATION(config_server_timeouts, command, "5m", SECOND, HOUR,
             "For the next command. RFC 5321 section 4.5.3.2.7 asks for 5 minutes at least."),
    DURATION(config_server_timeouts, auth, "1m", SECOND, 10 * MINUTE,
             "For the next answer while logging in."),
    DURATION(config_server_timeouts, data, "5m", SECOND, HOUR, "For more of a message's data."),
    DURATION(config_server_timeouts, session, "2h", MINUTE, 7 * DAY, "For a whole connection."),
};
static const struct schema_map server_timeouts_map =
    MAP_OF("Time-outs of the server", config_server_timeouts, server_timeouts_fields);

static const struct schema_field limits_fields[] = {
    SIZE(config_limits, message_size, "50MiB", 64 * KIB, 2 * GIB,
         "Largest message; announced as SIZE, refused at MAIL and while it comes in."),
    COUNT(config_limits, recipients, "1000", 100, 10000,
          "Recipients of one message. RFC 5321 section 4.5.3.1.8 asks for 100 at least."),
    COUNT(config_limits, messages, "1000", 1, 1000000,
          "Messages over one connection; announced as MAILMAX (RFC 9422)."),
    COUNT(config_limits, commands, "100000", 100, 10000000, "Commands over one connection."),
    COUNT(config_limits, junk_commands, "100", 10, 10000,
          "Commands that bring no mail forward (NOOP, RSET, VRFY, HELP, EHLO again) since the last "
          "message."),
    COUNT(config_limits, errors, "20", 1, 1000,
          "Refused commands over one connection; then 421 and it is closed."),
    COUNT(config_limits, command_length, "2048", 512, 65536,
          "Octets of a command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 at "
          "least, extensions for more."),
    COUNT(config_limits, auth_length, "12288", 1024, 65536,
          "Octets of a line while logging in (RFC 4954 section 4)."),
    COUNT(config_limits, line_length, "8192", 1000, 1048576,
          "Octets of a line of message data with its CRLF. RFC 5321 section 4.5.3.1.6 asks for "
          "1000; much real mail has longer ones."),
    SIZE(config_limits, header_size, "256KiB", 4 * KIB, 16 * MIB, "Header section of a message."),
    COUNT(config_limits, header_fields, "1000", 50, 100000, "Header fields of a message."),
    COUNT(config_limits, received_count, "50", 10, 1000,
          "Received fields of a message; with more it is taken for a loop and refused."),
    COUNT(config_limits, connections, "20000", 1, 1000000,
          "Open connections in all; then 421 at once."),
    COUNT(config_limits, connections_per_address, "50", 1, 1000000,
          "Open connections from one address."),
    COUNT(config_limits, connections_per_network, "200", 1, 1000000,
          "Open connections from one /24 (IPv4) or /56 (IPv6)."),
    COUNT(config_limits, connection_rate, "120", 0, 1000000,
          "New connections from one address within a minute. 0 is any number."),
    COUNT(config_limits, connection_rate_per_network, "600", 0, 1000000,
          "New connections from one /24 or /56 within a minute. 0 is any number."),
    COUNT(config_limits, message_rate, "600", 0, 1000000,
          "Messages from one address within a minute. 0 is any number."),
    COUNT(config_limits, auth_failures_per_user, "10", 1, 10000,
          "Failed log-ins of one user within auth_failure_window; then log-in is refused for the "
          "rest of it, with the right password too."),
    COUNT(config_limits, auth_failures_per_address, "20", 1, 10000,
          "The same for one client address."),
    DURATION(config_limits, auth_failure_window, "15m", MINUTE, DAY,
             "How long a failed log-in counts."),
    SIZE(config_limits, data_rate, "128", 0, MIB,
         "Least octets a second of message data; slower clients are cut off. 0 is any speed."),
    DURATION(config_limits, data_rate_grace, "30s", SECOND, 10 * MINUTE,
             "How long a client may be slower than data_rate."),
    SIZE(config_limits, memory, "512MiB", 16 * MIB, TIB,
         "Memory of an edge process; above it new connections and messages are answered 421."),
    CHOICE(config_limits, bare_lf, enum config_bare_lf, "refuse", bare_lf_choices,
           "Message data with a line feed without carriage return. It never ends a line: that is "
           "how mail is smuggled."),
    DURATION(config_limits, pregreet_delay, "200ms", 0, 10 * SECOND,
             "How long mx listeners wait before the greeting, to catch clients that talk first. "
             "Hosts in zones with relay do not wait."),
    GROUP(config_limits, timeouts, struct config_server_timeouts, server_timeouts_map,
          "How long clients are waited for."),
};
static const struct schema_map limits_map = MAP_OF("Limits", config_limits, limits_fields);

static const struct schema_field smtp_fields[] = {
    {.name = "banner",
     .type = SCHEMA_TEXT,
     .offset = AT(config_smtp, banner, struct str),
     .fallback = "ESMTP Postern",
     .least = 0,
     .most = 200,
     .doc = "What follows the host name in the greeting."},
};
static const struct schema_map smtp_map = MAP_OF("SMTP", config_smtp, smtp_fields);

static const struct schema_field submission_fields[] = {
    BOOL(config_submission, hide_client_address, "true",
         "Leave the user's address out of the Received field."),
    BOOL(config_submission, add_date, "true", "Add Date where it is missing."),
    BOOL(config_submission, add_message_id, "true", "Add Message-ID where it is missing."),
};
static const struct schema_map submission_map =
    MAP_OF("Submission", config_submission, submission_fields);

static const struct schema_field client_timeouts_fields[] = {
    DURATION(config_client_timeouts, connect, "30s", SECOND, 10 * MINUTE,
             "For the connection to one address."),
    DURATION(config_client_timeouts, tls_handshake, "30s", SECOND, 5 * MINUTE,
             "For the TLS handshake."),
    DURATION(config_client_timeouts, greeting, "5m", SECOND, HOUR, "For the greeting."),
    DURATION(config_client_timeouts, command, "5m", SECOND, HOUR,
             "For the reply to EHLO, MAIL, RCPT and RSET."),
    DURATION(config_client_timeouts, data_init, "2m", SECOND, HOUR, "For the reply to DATA."),
    DURATION(config_client_timeouts, data_block, "3m", SECOND, HOUR,
             "For a piece of the message to be taken."),
    DURATION(config_client_timeouts, data_end, "10m", SECOND, 2 * HOUR,
             "For the reply after the message."),
    DURATION(config_client_timeouts, quit, "10s", SECOND, 5 * MINUTE, "For the reply to QUIT."),
    DURATION(config_client_timeouts, idle, "5s", 0, 5 * MINUTE,
             "How long a connection is kept for another message."),
};
static const struct schema_map client_timeouts_map =
    MAP_OF("Time-outs of the client", config_client_timeouts, client_timeouts_fields);

static const struct schema_field queue_fields[] = {
    DURATION(config_queue, lifetime, "5d", MINUTE, 60 * DAY,
             "How long delivery is tried; then the sender is told. RFC 5321 section 4.5.4.1 asks "
             "for 4 to 5 days."),
    DURATION(config_queue, warn_after, "4h", 0, 30 * DAY,
             "When the sender is told that mail is late. 0 is never."),
    DURATION(config_queue, retry_first, "5m", SECOND, DAY, "Wait after the first failed attempt."),
    DURATION(config_queue, retry_max, "2h", SECOND, 2 * DAY, "Longest wait between attempts."),
    {.name = "retry_factor",
     .type = SCHEMA_DECIMAL,
     .offset = AT(config_queue, retry_factor, double),
     .fallback = "2.0",
     .least = 1000,
     .most = 10000,
     .doc = "Each wait is so many times the one before."},
    COUNT(config_queue, retry_jitter, "20", 0, 50,
          "Per cent of each wait that are added or taken at random, so that attempts spread."),
    SIZE(config_queue, max_size, "20GiB", 16 * MIB, PIB,
         "Room of the queue on disk; when it is full, mail is answered 452."),
    COUNT(config_queue, max_messages, "5000000", 100, 1000000000,
          "Messages in the queue; with more, mail is answered 452."),
    SIZE(config_queue, min_free_disk, "256MiB", 0, TIB,
         "Room that is left on the disk; with less, mail is answered 452."),
    COUNT(config_queue, concurrency_first, "5", 1, 1000,
          "Connections to one destination at the start."),
    COUNT(config_queue, concurrency_max, "20", 1, 1000,
          "Connections to one destination when deliveries succeed."),
    COUNT(config_queue, connections, "200", 1, 10000, "Connections to all destinations."),
    COUNT(config_queue, reuse_messages, "100", 1, 100000,
          "Messages over one connection before it is closed."),
    GROUP(config_queue, timeouts, struct config_client_timeouts, client_timeouts_map,
          "How long servers are waited for. The defaults are those of RFC 5321 section 4.5.3.2 "
          "or shorter where nothing can be lost."),
};
static const struct schema_map queue_map = MAP_OF("Queue", config_queue, queue_fields);

static const struct schema_field callout_fields[] = {
    DURATION(config_callout, timeout, "20s", SECOND, 5 * MINUTE,
             "How long the answer is waited for; then the recipient is answered 451."),
    DURATION(config_callout, positive_cache, "1d", 0, 30 * DAY,
             "How long it is remembered that a recipient exists."),
    DURATION(config_callout, negative_cache, "10m", 0, DAY,
             "How long it is remembered that a recipient does not exist."),
};
static const struct schema_map callout_map = MAP_OF("Call-out", config_callout, callout_fields);

static const struct schema_field bounce_fields[] = {
    {.name = "postmaster",
     .type = SCHEMA_MAILBOX,
     .offset = AT(config_bounce, postmaster, struct config_mailbox),
     .unset = "each domain needs somebody: a catch_all, or an alias postmaster",
     .doc = "Who answers for this gateway. Gets the mail to postmaster and abuse of every domain "
            "that has no such user or alias; these two are always accepted (RFC 5321 section "
            "4.5.1, RFC 2142).",
     .example = "bob@example.com"},
    SIZE(config_bounce, returned_size, "64KiB", 0, 10 * MIB,
         "Most of the original message that goes back with a bounce."),
};
static const struct schema_map bounce_map = MAP_OF("Bounces", config_bounce, bounce_fields);

static const struct schema_field retention_fields[] = {
    DURATION(config_retention, trace_age, "90d", HOUR, 3650 * DAY,
             "How long the traces of messages are kept."),
    SIZE(config_retention, trace_size, "10GiB", 16 * MIB, PIB,
         "How much room they may take; the oldest go first."),
};
static const struct schema_map retention_map =
    MAP_OF("Retention", config_retention, retention_fields);

static const struct schema_field logging_fields[] = {
    CHOICE(config_logging, level, enum log_level, "info", log_level_choices, "How much is logged."),
    CHOICE(config_logging, format, enum log_format, "keyvalue", log_format_choices,
           "How a line looks. Lines go to standard error, under systemd to the journal."),
};
static const struct schema_map logging_map = MAP_OF("Logging", config_logging, logging_fields);

static const struct schema_field metrics_fields[] = {
    BOOL(config_metrics, enabled, "true", "Whether there is such a listener."),
    {.name = "address",
     .type = SCHEMA_ADDRESS,
     .offset = AT(config_metrics, address, struct ip_address),
     .fallback = "127.0.0.1",
     .doc = "Where it listens. There is no log-in: keep it to loopback or a network for "
            "management."},
    {.name = "port",
     .type = SCHEMA_PORT,
     .offset = AT(config_metrics, port, uint16_t),
     .fallback = "9154",
     .least = 1,
     .most = 65535,
     .doc = "Its port; the page is /metrics."},
};
static const struct schema_map metrics_map = MAP_OF("Metrics", config_metrics, metrics_fields);

static const struct schema_field resolver_fields[] = {
    {.name = "forwarders",
     .type = SCHEMA_ENDPOINT,
     .is_list = true,
     .offset = AT(config_resolver, forwarders, struct config_endpoints),
     .most = 16,
     .unset = "the resolver asks the DNS itself, from the root",
     .doc = "DNS servers that are asked instead of the root. Their answers are validated all the "
            "same.",
     .example = "[192.0.2.53, \"2001:db8::53@5353\"]"},
    {.name = "stub_root",
     .type = SCHEMA_ENDPOINT,
     .offset = AT(config_resolver, stub_root, struct config_endpoint),
     .unset = "the root servers of the internet",
     .doc = "Server of a root of one's own, for laboratories and closed networks.",
     .example = "127.0.53.1@5353"},
    {.name = "trust_anchors",
     .type = SCHEMA_PATH,
     .is_list = true,
     .offset = AT(config_resolver, trust_anchors, struct config_texts),
     .most = 16,
     .unset = "those of the internet's root",
     .doc = "Files with DS or DNSKEY records that DNSSEC starts from.",
     .example = "[/etc/postern/root.key]"},
    {.name = "local_zones",
     .type = SCHEMA_DOMAIN,
     .is_list = true,
     .offset = AT(config_resolver, local_zones, struct config_texts),
     .most = 100,
     .unset = "none",
     .doc = "Special-use names (RFC 6761), such as test, that are looked up like others. Without "
            "this the resolver answers itself that they do not exist.",
     .example = "[test]"},
    BOOL(config_resolver, dnssec, "true", "Validate with DNSSEC; DANE needs it."),
    DURATION(config_resolver, timeout, "10s", 100 * MILLISECOND, 5 * MINUTE,
             "How long an answer is waited for in all."),
    SIZE(config_resolver, cache_size, "64MiB", MIB, 64 * GIB, "Memory for the cache."),
};
static const struct schema_map resolver_map = MAP_OF("Resolver", config_resolver, resolver_fields);

static const struct schema_field root_fields[] = {
    {.name = "hostname",
     .type = SCHEMA_HOSTNAME,
     .required = true,
     .offset = AT(config, hostname, struct str),
     .doc = "The name of this gateway in greetings and Received fields. It should have an address "
            "in the DNS that points back to it.",
     .example = "mx.example.com"},
    GROUP(config, directories, struct config_directories, directories_map, "Where things are."),
    {.name = "run_as",
     .type = SCHEMA_NAME,
     .offset = AT(config, run_as, struct str),
     .fallback = "postern",
     .doc = "The system user of roles that have none of their own (postern-edge, postern-filter "
            "and so on). Without meaning unless started as root."},
    GROUP(config, workers, struct config_workers, workers_map, "How much runs side by side."),
    {.name = "listeners",
     .type = SCHEMA_MAP,
     .is_list = true,
     .required = true,
     .offset = AT(config, listeners, struct config_listeners),
     .least = 1,
     .most = 64,
     .map = &listener_map,
     .doc = "Where mail comes in.",
     .example = "[{address: 192.0.2.25, port: 25, kind: mx}]"},
    GROUP(config, tls, struct config_tls, tls_map, "Encryption on the way."),
    {.name = "domains",
     .type = SCHEMA_MAP,
     .is_list = true,
     .offset = AT(config, domains, struct config_domains),
     .most = 100000,
     .map = &domain_map,
     .unset = "none: mail only goes out",
     .doc = "Domains that mail is accepted for. Mail for others is only taken from users who have "
            "logged in and from zones with relay."},
    {.name = "routes",
     .type = SCHEMA_MAP,
     .is_list = true,
     .offset = AT(config, routes, struct config_routes),
     .most = 100000,
     .map = &route_map,
     .unset = "all mail goes to the MX of its domain or to the smart host",
     .doc = "Other ways out for some domains."},
    {.name = "smart_host",
     .type = SCHEMA_MAP,
     .offset = AT(config, smart_host, struct config_smart_host),
     .map = &smart_host_map,
     .unset = "mail goes to the MX of its domain",
     .doc = "A server that takes everything which goes out and has no route. May be written as the "
            "URL alone."},
    {.name = "zones",
     .type = SCHEMA_MAP,
     .is_list = true,
     .offset = AT(config, zones, struct config_zones),
     .most = 1000,
     .map = &zone_map,
     .unset = "none: nobody relays without logging in",
     .doc = "Networks with rights and duties of their own."},
    GROUP(config, limits, struct config_limits, limits_map, "What clients can make Postern do."),
    GROUP(config, smtp, struct config_smtp, smtp_map, "How Postern presents itself."),
    GROUP(config, submission, struct config_submission, submission_map,
          "What is done to messages of users who have logged in."),
    GROUP(config, queue, struct config_queue, queue_map, "How and how long delivery is tried."),
    GROUP(config, callout, struct config_callout, callout_map,
          "Asking the server behind about recipients, for domains with recipients: callout."),
    GROUP(config, bounce, struct config_bounce, bounce_map, "Reports about failed delivery."),
    GROUP(config, retention, struct config_retention, retention_map, "How long things are kept."),
    GROUP(config, logging, struct config_logging, logging_map, "What is logged."),
    GROUP(config, metrics, struct config_metrics, metrics_map, "Figures for Prometheus."),
    GROUP(config, resolver, struct config_resolver, resolver_map, "How names are looked up."),
};
const struct schema_map schema_root = MAP_OF("The file", config, root_fields);

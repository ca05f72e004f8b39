/*
 * config_outgoing.h - the parts of the configuration that say where mail goes and how: deliveries,
 * routes, the smart host. Included by config.h; what is said there holds here.
 */
#ifndef POSTERN_CONFIG_CONFIG_OUTGOING_H
#define POSTERN_CONFIG_CONFIG_OUTGOING_H

#include "base/ip.h"
#include "base/str.h"

/* How much TLS is wanted on a connection; ordered, so that the stricter of two is the larger. */
enum config_tls_mode {
    CONFIG_TLS_NONE,          /* none is offered or asked for */
    CONFIG_TLS_OPPORTUNISTIC, /* used when both sides can */
    CONFIG_TLS_REQUIRED,      /* no mail without it */
};

enum config_delivery_kind {
    CONFIG_DELIVERY_NONE = 0,  /* not set */
    CONFIG_DELIVERY_LMTP_TCP,  /* lmtp://host:port */
    CONFIG_DELIVERY_LMTP_UNIX, /* lmtp:/absolute/path */
    CONFIG_DELIVERY_SMTP,      /* smtp://host:port; addresses of that host, no MX lookup */
    CONFIG_DELIVERY_MX,        /* mx: the MX records of the recipient's domain */
};

/* Where mail is handed on to; written as a URL. */
struct config_delivery {
    enum config_delivery_kind kind;
    struct str text;      /* as written, for logs and traces */
    struct str host;      /* LMTP_TCP, SMTP: a name (A-labels) or an address without brackets */
    bool host_is_ip;      /* then `ip` holds it */
    struct ip_address ip; /* valid when host_is_ip */
    uint16_t port;        /* LMTP_TCP [24], SMTP [25] */
    struct str path;      /* LMTP_UNIX: at most 107 octets, the system's limit */
};

/* What a server may offer in its reply to EHLO, as far as it is used. */
enum config_ehlo_keyword {
    CONFIG_EHLO_PIPELINING,
    CONFIG_EHLO_CHUNKING,
    CONFIG_EHLO_8BITMIME,
    CONFIG_EHLO_SMTPUTF8,
    CONFIG_EHLO_DSN,
    CONFIG_EHLO_STARTTLS,
    CONFIG_EHLO_SIZE,
    CONFIG_EHLO_LIMITS,
    CONFIG_EHLO_AUTH,
};

/* Those that are taken for not offered. */
struct config_ehlo_keywords {
    const enum config_ehlo_keyword *items;
    size_t count;
};

/* What a connection must be before a password goes over it. */
enum config_login_tls {
    CONFIG_LOGIN_TLS_NONE,      /* nothing: anybody on the way may read it */
    CONFIG_LOGIN_TLS_ENCRYPTED, /* TLS; whoever is at the other end may read it */
    CONFIG_LOGIN_TLS_VERIFIED,  /* TLS with a certificate that is trusted and of the host's name */
};

/* Logging in at the next hop (RFC 4954). The password is in the vault: postern secret set. */
struct config_login {
    struct str user;           /* n == 0: no login */
    enum config_login_tls tls; /* [verified] */
};

/* Mail going out to `domain` is handed to `to` instead of its MX. */
struct config_route {
    struct str domain;         /* without the leading dot */
    bool with_subdomains;      /* written ".example.com": the domains below it, not itself */
    struct config_delivery to; /* required */
    enum config_tls_mode tls;  /* [opportunistic] */
    struct config_ehlo_keywords ignore_ehlo;
    struct config_login login;
};

struct config_routes {
    const struct config_route *items; /* sorted by domain */
    size_t count;
};

/* Everything that goes out and has no route; to.kind == CONFIG_DELIVERY_NONE: not set. */
struct config_smart_host {
    struct config_delivery to;
    enum config_tls_mode tls; /* [opportunistic] */
    struct config_ehlo_keywords ignore_ehlo;
    struct config_login login;
};

/* A domain whose hosts are used as if they had no TLSA records. */
struct config_dane_exception {
    struct str domain; /* required; lower case, A-labels; of the recipient, or the host */
    int64_t until_ms;  /* required; milliseconds since 1970: it counts before that */
    struct str reason; /* for the trace; may be empty */
};

struct config_dane_exceptions {
    const struct config_dane_exception *items;
    size_t count;
};

/* DANE towards other servers (RFC 7672). */
struct config_dane {
    bool enabled;     /* [true] */
    bool insecure_mx; /* [true] also for signed hosts of domains whose MX records are not */
    struct config_dane_exceptions exceptions;
};

#endif

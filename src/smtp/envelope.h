/*
 * envelope.h - what SMTP says about a message beside its content: the envelope and its facts.
 *
 * Filled by the server core, travels with the message through filter and spool to the relay.
 */
#ifndef POSTERN_SMTP_ENVELOPE_H
#define POSTERN_SMTP_ENVELOPE_H

#include "smtp/address.h"

/* RFC 3461 4.4: at most 100 characters before xtext; 4.2: at most 500 on the line. */
#define SMTP_ENVID_MAX      100u
#define SMTP_ORCPT_MAX      500u
#define SMTP_ORCPT_TYPE_MAX 32u

enum smtp_body {
    SMTP_BODY_UNSPECIFIED, /* no BODY parameter */
    SMTP_BODY_7BIT,
    SMTP_BODY_8BITMIME,
};

enum smtp_dsn_ret {
    SMTP_DSN_RET_UNSPECIFIED,
    SMTP_DSN_RET_FULL,
    SMTP_DSN_RET_HDRS,
};

/* RFC 3461 4.1; a set. 0: no NOTIFY parameter (then failures, and perhaps delays, are told). */
enum smtp_dsn_notify {
    SMTP_DSN_NOTIFY_NEVER = 1 << 0,
    SMTP_DSN_NOTIFY_SUCCESS = 1 << 1,
    SMTP_DSN_NOTIFY_FAILURE = 1 << 2,
    SMTP_DSN_NOTIFY_DELAY = 1 << 3,
};

struct smtp_recipient {
    struct smtp_address address;
    unsigned notify;       /* set of enum smtp_dsn_notify */
    struct str orcpt_type; /* "rfc822", "utf-8", ... in lower case; empty: no ORCPT */
    struct str orcpt;      /* decoded from xtext */
};

/* MAIL with its parameters, and the recipients that were accepted. */
struct smtp_envelope {
    struct smtp_address sender; /* the null path for bounces */
    uint64_t size;              /* SIZE= in octets; 0: not told (RFC 1870) */
    enum smtp_body body;
    bool smtputf8;
    enum smtp_dsn_ret ret;
    struct str envid; /* decoded from xtext; empty: none */
    struct smtp_recipient *recipients;
    size_t recipient_count;
};

/* What the core saw while the content went by. */
struct smtp_content_facts {
    uint64_t size; /* octets after un-dot-stuffing, CRLF counted */
    uint64_t lines;
    size_t longest_line;     /* octets without CRLF */
    unsigned received_count; /* Received fields in the header */
    bool has_8bit;           /* an octet above 127 anywhere */
    bool header_has_8bit;    /* in the header: SMTPUTF8 is needed onwards (RFC 6532) */
    bool header_malformed;   /* a header line that is neither field, continuation nor empty */
    bool has_bare_lf;        /* only where the settings accept it as data */
    bool chunked;            /* came by BDAT (RFC 3030) */
    bool final_crlf_added;   /* the last chunk did not end its line */
};

/* What a message needs of whoever takes it next; a set, beside the envelope in the roles' messages
 * and in the queue. Numbers are kept on disk: never changed or reused. */
enum smtp_message_flag {
    SMTP_MESSAGE_8BITMIME = 1 << 0,    /* BODY=8BITMIME was declared (RFC 6152) */
    SMTP_MESSAGE_SMTPUTF8 = 1 << 1,    /* SMTPUTF8 was declared (RFC 6531) */
    SMTP_MESSAGE_HAS_8BIT = 1 << 2,    /* an octet above 127 anywhere in the content */
    SMTP_MESSAGE_HEADER_8BIT = 1 << 3, /* in the header section (RFC 6532) */
    /* It came neither from a user nor from a zone with relay: its return path may be anybody's. */
    SMTP_MESSAGE_STRANGER = 1 << 4,
    /* SPF or DKIM authenticated the domain of its return path; says something of strangers only. */
    SMTP_MESSAGE_SENDER_PROVEN = 1 << 5,
    /* The return path is our own rewriting (SRS) of the one that it came with. */
    SMTP_MESSAGE_SENDER_REWRITTEN = 1 << 6,
    /* A notice of our own to the postmaster: when it fails there is nobody left who could be told.
     */
    SMTP_MESSAGE_TO_POSTMASTER = 1 << 7,
};

#endif

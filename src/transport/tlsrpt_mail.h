/*
 * tlsrpt_mail.h - TLS reports as messages (RFC 8460 5.3): writing one, and finding the report in
 * one that was received.
 *
 * Received messages have CRLF line ends. Of MIME only as much is read as such messages have:
 * multipart in a few levels, base64, quoted-printable. Who calls has verified the DKIM signature:
 * a report without one that is valid is to be ignored (3).
 */
#ifndef POSTERN_TRANSPORT_TLSRPT_MAIL_H
#define POSTERN_TRANSPORT_TLSRPT_MAIL_H

#include "base/arena.h"

/* Octets of a message that is read; a larger one is no report. */
#define TLSRPT_MAIL_MAX       (8u << 20)
/* Parts of a message that are looked at, and how deep they are nested. */
#define TLSRPT_PARTS_MAX      64u
#define TLSRPT_PART_DEPTH_MAX 4u

/* What a message to be sent is made of. */
struct tlsrpt_mail {
    struct str from;          /* an address in normal form */
    struct str to;            /* the same: of a mailto: URI of the record */
    struct str submitter;     /* our domain: A-labels, lower case */
    struct str policy_domain; /* what the report is about: A-labels, lower case */
    struct str unique;        /* letters and digits: tells this report from all others (random.h) */
    int64_t start_s, end_s;   /* of the report: seconds since 1970 */
    int64_t now_ms;
    struct str gzip; /* the report */
};

/*
 * The message with CRLF line ends, not signed yet, in the arena; {NULL,0} when that is full. It has
 * "TLS-Required: No" (RFC 8689 5): a report about TLS that fails must not fail for the same reason.
 */
struct str tlsrpt_mail_write(struct arena *arena, const struct tlsrpt_mail *mail);

/* The id of the report, "UNIQUE@SUBMITTER": for its JSON and its Subject alike. */
struct str tlsrpt_mail_report_id(struct arena *arena, const struct tlsrpt_mail *mail);
/* "SUBMITTER!POLICY-DOMAIN!START!END!UNIQUE.json.gz" (5.1); for HTTPS too. */
struct str tlsrpt_mail_file_name(struct arena *arena, const struct tlsrpt_mail *mail);

/* What was found in a message that was received. */
struct tlsrpt_mail_found {
    struct str policy_domain; /* of the field TLS-Report-Domain; empty: there is none */
    struct str submitter;     /* of the field TLS-Report-Submitter; empty: there is none */
    struct str report;        /* JSON, or JSON in gzip: for tlsrpt_report_read; in the arena */
};

/*
 * Finds the report in a message. STATUS_NOT_FOUND: it has none; STATUS_SYNTAX: it has a part that
 * should be one and cannot be decoded; STATUS_LIMIT: larger than TLSRPT_MAIL_MAX, or the arena is
 * full. Text may be borrowed from the message.
 */
[[nodiscard]] enum status tlsrpt_mail_read(struct arena *arena, struct str message,
                                           struct tlsrpt_mail_found *found_out);

/* True when the header fields say that the message is a TLS report (report-type=tlsrpt). */
bool tlsrpt_mail_is_report(struct arena *arena, struct str message);

#endif

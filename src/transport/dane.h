/*
 * dane.h - whether a host that takes mail has TLSA records, and may be believed to have them or
 * not (RFC 7672 2.1, 2.2).
 *
 * TLSA records are asked for only where the address of the host, or the alias that it is, is
 * signed: elsewhere there can be none that count, and servers of unsigned zones are known to fail
 * on such questions. Where they are asked for, an error is never "there are none": somebody on the
 * way may have made it.
 *
 * Pure over a struct dns_source. Texts and records live in the arena.
 */
#ifndef POSTERN_TRANSPORT_DANE_H
#define POSTERN_TRANSPORT_DANE_H

#include "transport/host.h"
#include "transport/tls_result.h"
#include "transport/tlsa.h"

/* Questions of one host: the alias, and two names with TLSA records. */
#define DANE_STEPS_MAX 3u
/* Names that a certificate under a trust anchor may have (RFC 7672 3.2.2). */
#define DANE_NAMES_MAX 3u

enum dane_state {
    DANE_NOT_ASKED,    /* nothing is signed here that could have TLSA records */
    DANE_NONE,         /* it is proved that there are none */
    DANE_INSECURE,     /* the TLSA name is in an unsigned zone */
    DANE_USABLE,       /* they are there: the certificate must match one of them */
    DANE_UNUSABLE,     /* they are there, and none can be used: TLS is demanded (RFC 7672 2.2) */
    DANE_FAILED,       /* it cannot be known now: the host must not be used */
    DANE_STATE_COUNT_, /* not a state */
};

/* Why TLSA records were not asked for. */
enum dane_reason {
    DANE_REASON_NONE, /* they were */
    DANE_REASON_OFF,  /* the configuration says so */
    DANE_REASON_EXCEPTION,
    DANE_REASON_MESSAGE, /* the message says "TLS-Required: No" */
    DANE_REASON_NO_NAME, /* the next hop is an address */
    DANE_REASON_MX,      /* the MX records are not signed */
    DANE_REASON_ADDRESS, /* the addresses are not signed */
    DANE_REASON_COUNT_,  /* not a reason */
};

/* What one question came to. */
struct dane_step {
    struct str name;
    uint16_t type;
    enum dns_outcome outcome;
    enum dns_security security;
};

struct dane {
    enum dane_state state;
    enum dane_reason reason; /* of NOT_ASKED */
    struct str base;         /* where the records are, without _25._tcp; of USABLE and UNUSABLE */
    struct tlsa_set set;     /* of USABLE and UNUSABLE */
    struct str names[DANE_NAMES_MAX]; /* that a certificate under DANE-TA(2) may have, base first */
    size_t name_count;
    enum tls_result result; /* of FAILED */
    struct str detail;      /* of FAILED: what the resolver says; may be empty */
    struct dane_step steps[DANE_STEPS_MAX];
    size_t step_count;
};

struct dane_question {
    struct str host; /* A-labels */
    uint16_t port;
    struct transport_origin origin;
    struct transport_address address;
    bool insecure_mx; /* a signed host of an unsigned MX may have DANE, too */
};

/*
 * Decides. STATUS_LIMIT: the arena is full; nothing is known then, and the host must not be used.
 */
[[nodiscard]] enum status dane_find(struct arena *arena, const struct dns_source *dns,
                                    const struct dane_question *question, struct dane *dane_out);

/* A host that was not asked, for a reason. */
struct dane dane_not_asked(enum dane_reason reason);

/* "not-asked", "none", "insecure", "usable", "unusable", "failed"; static, never NULL. */
const char *dane_state_name(enum dane_state state);
/* For people, no full stop; static, never NULL; empty for DANE_REASON_NONE. */
const char *dane_reason_text(enum dane_reason reason);

#endif

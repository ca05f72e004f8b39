/*
 * demand.h - what is demanded of the connection to one address of a host that takes mail, and why.
 *
 * DANE where it can be used (RFC 7672), else MTA-STS in enforce mode (RFC 8461), else opportunistic
 * TLS (RFC 7435); never less than the configuration of the next hop, the zone of its address and
 * REQUIRETLS (RFC 8689) want. A smart host is its own policy domain (RFC 8461 3.4): its facts are
 * about itself, not about the recipient's domain.
 *
 * Facts in, a demand out: what TLS then shows is judged in verdict.h.
 */
#ifndef POSTERN_TRANSPORT_DEMAND_H
#define POSTERN_TRANSPORT_DEMAND_H

#include "transport/dane.h"
#include "transport/sts_policy.h"

/* Least of what the connection must be; ordered. */
enum transport_level {
    TRANSPORT_NOTHING,
    TRANSPORT_ENCRYPTION,
    TRANSPORT_AUTHENTICATION,
    TRANSPORT_LEVEL_COUNT_, /* not a level */
};

/* What a server is authenticated by. */
enum transport_by {
    TRANSPORT_BY_NOBODY, /* it is not */
    TRANSPORT_BY_TLSA,   /* TLSA records, and names under a trust anchor */
    TRANSPORT_BY_WEBPKI, /* a trusted root and a name among the alternative names */
    TRANSPORT_BY_COUNT_, /* not a way */
};

/* What decided: transport/demand_reason.def. */
enum transport_reason {
#define TRANSPORT_REASON(NAME, word, text) TRANSPORT_REASON_##NAME,
#include "transport/demand_reason.def"
#undef TRANSPORT_REASON
    TRANSPORT_REASON_COUNT_, /* not a reason */
};

/* What the configuration wishes for; ordered. */
enum transport_wish {
    TRANSPORT_WISH_NO_TLS, /* not even where it is offered */
    TRANSPORT_WISH_OPPORTUNISTIC,
    TRANSPORT_WISH_ENCRYPTION,
    TRANSPORT_WISH_AUTHENTICATION,
};

/* The MTA-STS policy of the policy domain, as far as it matters here. */
struct transport_sts {
    bool known; /* there is a live policy; else nothing else counts */
    enum sts_mode mode;
    bool matches;  /* it names this host */
    struct str id; /* may be empty */
};

struct transport_facts {
    bool is_local;                  /* a Unix socket: the octets do not leave the machine */
    struct str host;                /* its name, or an address in text */
    struct transport_origin origin; /* how it was found */
    enum transport_wish configured; /* for the next hop */
    enum transport_wish floor;      /* of the zone that the address is in */
    const struct dane *dane;        /* borrowed; NULL: nothing was asked */
    struct transport_sts sts;
    bool requiretls;      /* the message came with REQUIRETLS */
    bool tls_required_no; /* the message says "TLS-Required: No" */
};

struct transport_demand {
    enum transport_level level;
    enum transport_by by;         /* of TRANSPORT_AUTHENTICATION */
    enum transport_reason reason; /* for `level`, or for `skip` */
    bool skip;                    /* the host must not be used now; `result` is why */
    bool no_tls;                  /* STARTTLS is not asked for */
    bool may_clear;               /* it may be used in the clear */
    bool requiretls;
    bool testing;                /* an MTA-STS policy that is tested: judged, never enforced */
    enum tls_policy_type policy; /* what a report is about */
    enum tls_result result;      /* of skip; else TLS_RESULT_SUCCESS */
    struct str server_name;      /* for SNI */
    const struct dane *dane;     /* as in the facts */
    struct str policy_id;        /* of an MTA-STS policy that counts */
};

/* Decides. Texts are borrowed from the facts. */
struct transport_demand transport_decide(const struct transport_facts *facts);

/* "nothing", "encryption", "authentication"; static, never NULL. */
const char *transport_level_name(enum transport_level level);
/* "", "tlsa", "webpki"; static, never NULL. */
const char *transport_by_name(enum transport_by by);
/* A word for the trace; static, never NULL. */
const char *transport_reason_name(enum transport_reason reason);
/* The same for people, no full stop; static, never NULL. */
const char *transport_reason_text(enum transport_reason reason);

#endif

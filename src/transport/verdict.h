/*
 * verdict.h - whether a connection is what was demanded of it (demand.h), and in the words of TLS
 * reports, what it lacks.
 */
#ifndef POSTERN_TRANSPORT_VERDICT_H
#define POSTERN_TRANSPORT_VERDICT_H

#include "tls/client.h"
#include "transport/demand.h"

/* What was seen. */
struct transport_shown {
    bool offered; /* the server offered STARTTLS, and did not refuse it */
    /* What TLS showed, borrowed; NULL: there is no TLS, because the handshake failed, or because
     * it was not asked for. */
    const struct tls_facts *tls;
};

struct transport_verdict {
    bool pass;
    /* TLS_RESULT_SUCCESS, or what is wrong: also of a connection that passes because nothing is
     * demanded, or because an MTA-STS policy is only tested. */
    enum tls_result result;
};

/* Judges. */
struct transport_verdict transport_judge(const struct transport_demand *demand,
                                         const struct transport_shown *shown);

#endif

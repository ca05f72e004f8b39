/*
 * names.h - the DNS as one message sees it: each question is asked once, what will be needed is
 * asked before a worker has the message, and time and number of questions have a limit for the
 * message as a whole.
 *
 * The questions go out in rounds: first what the session and the header name, then what the answers
 * lead to (SPF's include, redirect, a and mx, the names of the client's address). The message waits
 * without a worker meanwhile, so that slow servers of one sender keep nobody else's mail.
 */
#ifndef POSTERN_ROLES_FILTER_NAMES_H
#define POSTERN_ROLES_FILTER_NAMES_H

#include "dns/source_cache.h"
#include "mail/author.h"
#include "mail/fields.h"
#include "roles/filter/job.h"

/* Signatures whose keys are asked for up front. */
#define NAMES_SIGNATURES_MAX 10u

/* Rounds of questions; what is deeper is asked by the checks themselves. */
#define NAMES_ROUNDS_MAX    6u
/* Questions that are followed up. */
#define NAMES_QUESTIONS_MAX 64u

/* A question whose answer leads to others. */
struct names_question {
    struct str name;
    uint16_t type;
};

struct names {
    struct dns_budget budget;
    struct dns_cache *cache;  /* NULL where there is no DNS */
    struct dns_source source; /* resolve is NULL where there is no DNS */
    struct arena *arena;      /* of the questions and the head; NULL as cache */
    /* What was read for the questions, for the checks to go on with. */
    bool has_head;
    struct mail_head head;
    const struct mail_author *author; /* NULL: not read */
    struct ip_address client;
    struct names_question questions[NAMES_QUESTIONS_MAX];
    size_t count;
    size_t followed; /* of them, those whose answers were looked at */
    unsigned rounds;
    void (*ready)(void *context);
    void *context;
};

/* Never NULL. */
struct names *names_open(const struct filter_shared *shared, const struct config *config);
/* NULL is allowed. */
void names_close(struct names **names);

/*
 * Asks for what the checks of a message will ask (RFC 7208 4, RFC 6376 3.6.2, RFC 9989 4.10, RFC
 * 8601 3), and calls `ready` when it is answered, perhaps at once. names->head must have been read.
 * In the loop's thread.
 */
void names_prefetch(struct names *names, const struct msg_submit *submit,
                    void (*ready)(void *context), void *context);

#endif

/*
 * names.h - the DNS as one message sees it: each question is asked once, what will be needed is
 * asked up front, and time and number of questions have a limit for the message as a whole.
 */
#ifndef POSTERN_ROLES_FILTER_NAMES_H
#define POSTERN_ROLES_FILTER_NAMES_H

#include "dns/source_cache.h"
#include "mail/fields.h"
#include "roles/filter/job.h"

/* Signatures whose keys are asked for up front. */
#define NAMES_SIGNATURES_MAX 10u

struct names {
    struct dns_budget budget;
    struct dns_cache *cache;  /* NULL where there is no DNS */
    struct dns_source source; /* resolve is NULL where there is no DNS */
};

/* Never NULL. */
struct names *names_open(const struct filter_shared *shared, const struct config *config);
/* NULL is allowed. */
void names_close(struct names **names);

/*
 * Asks for what the checks of a message are sure to ask (RFC 7208 4, RFC 6376 3.6.2, RFC
 * 9989 4.10): the client's name, the records of HELO, sender and author, the keys of the
 * signatures. Waits for nothing. In the loop's thread; `scratch` is for meanwhile.
 */
void names_prefetch(struct names *names, struct arena *scratch, const struct msg_submit *submit,
                    const struct mail_head *head);

#endif

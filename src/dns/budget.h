/*
 * budget.h - how much asking one message may cost: a number of questions and an amount of time.
 *
 * A message can be made so that its checks ask hundreds of names, or names that nobody answers. Who
 * works on a message makes a budget for it; sources that draw on it answer TIMEOUT, without asking,
 * once it is used up, and the standards say what a time-out means to each check. Not thread-safe: a
 * message is worked on by one thread.
 */
#ifndef POSTERN_DNS_BUDGET_H
#define POSTERN_DNS_BUDGET_H

#include "dns/dns.h"

struct dns_budget {
    int64_t deadline_ms; /* of `now_ms` */
    uint32_t questions;  /* that may still be asked */
    bool exhausted;      /* a question was refused; for a finding */
    int64_t (*now_ms)(void);
};

/*
 * A budget of `questions` questions within `ms` milliseconds from now. `now_ms` is the clock, NULL
 * for clock_monotonic_ms.
 */
void dns_budget_init(struct dns_budget *budget, int64_t ms, uint32_t questions,
                     int64_t (*now_ms)(void));
/* Takes one question out of it; false, and `exhausted` from then on, when there is none left. */
bool dns_budget_take(struct dns_budget *budget);
/* Milliseconds left, never below 0. */
int64_t dns_budget_left_ms(const struct dns_budget *budget);
/* The answer of a source whose budget is used up. */
struct dns_answer dns_budget_refusal(struct str name);

/* A source that asks `source` as long as the budget lasts. */
struct dns_source_budget {
    const struct dns_source *source; /* borrowed */
    struct dns_budget *budget;       /* borrowed */
};

/* *limited must outlive the source. A question under way is not cut short by the deadline. */
struct dns_source dns_source_from_budget(struct dns_source_budget *limited);

#endif

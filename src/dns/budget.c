#include "dns/budget.h"

#include "base/clock.h"

void
dns_budget_init(struct dns_budget *budget, int64_t ms, uint32_t questions, int64_t (*now_ms)(void))
{
    *budget = (struct dns_budget){.questions = questions,
                                  .now_ms = now_ms != NULL ? now_ms : clock_monotonic_ms};
    budget->deadline_ms = budget->now_ms() + ms;
}

int64_t
dns_budget_left_ms(const struct dns_budget *budget)
{
    int64_t left = budget->deadline_ms - budget->now_ms();
    return left > 0 ? left : 0;
}

bool
dns_budget_take(struct dns_budget *budget)
{
    if (budget->questions == 0 || dns_budget_left_ms(budget) == 0) {
        budget->exhausted = true;
        return false;
    }
    budget->questions--;
    return true;
}

struct dns_answer
dns_budget_refusal(struct str name)
{
    return (struct dns_answer){.outcome = DNS_OUTCOME_TIMEOUT,
                               .canonical = name,
                               .detail = STR("the message has used up its share of questions")};
}

static enum status
budget_resolve(void *ctx, struct arena *arena, struct str name, uint16_t type,
               struct dns_answer *out)
{
    struct dns_source_budget *limited = ctx;
    if (dns_budget_take(limited->budget)) {
        return dns_resolve(limited->source, arena, name, type, out);
    }
    struct dns_answer refusal = dns_budget_refusal(name);
    return dns_answer_copy(arena, &refusal, out);
}

struct dns_source
dns_source_from_budget(struct dns_source_budget *limited)
{
    return (struct dns_source){.resolve = budget_resolve, .ctx = limited};
}

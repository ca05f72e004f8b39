#include "check/own_address.h"

#include "config/local_user.h"
#include "smtp/address.h"

struct search {
    const struct config *config;
    struct str user;
    struct str user_local; /* without quotes; empty when the user is no address */
    struct str user_domain;
    unsigned steps;
};

/* A local part at a domain of ours. */
struct place {
    const struct config_domain *domain;
    struct str local;
    unsigned depth;
    const struct config_alias *from; /* the alias that led here: its own name is a mailbox */
};

static bool leads_to_user(struct search *search, const struct place *place);

/* local@domain is the user; what is behind the @ has one form only. */
static bool
is_user(const struct search *search, struct str local, struct str domain)
{
    return search->user_domain.n > 0 && str_eq_nocase(search->user_local, local) &&
           str_eq_nocase(search->user_domain, domain);
}

/* A target elsewhere is his only as a user of ours, who may have any name. */
static bool
target_is_his(struct search *search, const struct config_mailbox *target, const struct place *place,
              const struct config_alias *alias)
{
    if (++search->steps > OWN_ADDRESS_STEPS_MAX) {
        return false;
    }
    const struct config_domain *domain = config_domain_find(search->config, target->domain);
    if (domain == NULL) {
        return is_user(search, target->local, target->domain);
    }
    struct place next = {domain, target->local, place->depth + 1, alias};
    return leads_to_user(search, &next);
}

static bool
alias_is_his(struct search *search, const struct config_alias *alias, const struct place *place)
{
    for (size_t i = 0; i < alias->to.count; i++) {
        if (target_is_his(search, &alias->to.items[i], place, alias)) {
            return true;
        }
    }
    return false;
}

/* As mail would go: an alias of the name, else of the one before the separator, else the mailbox.
 */
static bool
leads_to_user(struct search *search, const struct place *place)
{
    struct str base = config_plus_base(place->domain, place->local);
    const struct config_alias *alias = config_alias_find(place->domain, place->local);
    if (alias == NULL && base.n > 0) {
        alias = config_alias_find(place->domain, base);
    }
    if (alias != NULL && alias != place->from && place->depth < CONFIG_ALIAS_DEPTH_MAX) {
        return alias_is_his(search, alias, place);
    }
    return is_user(search, place->local, place->domain->name) ||
           (base.n > 0 && is_user(search, base, place->domain->name));
}

static bool
is_allowed(const struct search *search, struct str address)
{
    const struct config_sender_rules *rules = &search->config->submission.senders;
    for (size_t i = 0; i < rules->count; i++) {
        const struct config_sender_rule *rule = &rules->items[i];
        if (!smtp_address_fits(search->user, rule->user)) {
            continue;
        }
        for (size_t k = 0; k < rule->may.count; k++) {
            if (smtp_address_fits(address, rule->may.items[k])) {
                return true;
            }
        }
    }
    return false;
}

/* A user of this machine has no address of his own; what he may say is said by rules. */
static bool
is_of_local_user(const struct search *search, const struct smtp_address *address)
{
    uint32_t uid;
    return local_user_parse(search->user, &uid) &&
           (local_user_may_use_any_sender(search->config, search->user) ||
            local_user_may_use_domain(search->config, address->domain));
}

bool
own_address_is(struct arena *arena, const struct config *config, struct str user,
               struct str address)
{
    struct search search = {.config = config, .user = user};
    struct smtp_address parsed;
    struct smtp_address self;
    unsigned flags = SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL;
    if (smtp_mailbox_parse(arena, user, flags, &self) == STATUS_OK) {
        search.user_local = self.local;
        search.user_domain = self.domain;
    }
    if (smtp_mailbox_parse(arena, address, flags, &parsed) != STATUS_OK ||
        parsed.kind != SMTP_DOMAIN_NAME) {
        return false;
    }
    /* His own name is his, also when an alias of that name leads elsewhere. */
    if (is_user(&search, parsed.local, parsed.domain) || is_allowed(&search, parsed.text) ||
        is_of_local_user(&search, &parsed)) {
        return true;
    }
    struct place place = {.domain = config_domain_find(config, parsed.domain),
                          .local = parsed.local};
    return place.domain != NULL && leads_to_user(&search, &place);
}

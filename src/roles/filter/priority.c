#include "roles/filter/priority.h"

static enum config_priority
zone_priority(const struct config *config, struct str zone)
{
    for (size_t i = 0; i < config->zones.count; i++) {
        if (str_eq(config->zones.items[i].name, zone)) {
            return config->zones.items[i].priority;
        }
    }
    return CONFIG_PRIORITY_NORMAL;
}

/* RFC 2076 3.9 has these words; programs that send to many write them still. */
static bool
is_to_many(const struct mail_head *head)
{
    static const struct str words[] = {STR_INIT("bulk"), STR_INIT("list"), STR_INIT("junk")};
    const struct mail_field *precedence = head->first[MAIL_FIELD_PRECEDENCE];
    struct str value = precedence != NULL ? str_trim(precedence->value) : STR("");
    bool found = head->counts[MAIL_FIELD_LIST_ID] > 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        found = found || str_eq_nocase(value, words[i]);
    }
    return found;
}

enum spool_priority
filter_priority(const struct config *config, const struct msg_submit *submit,
                const struct mail_head *head)
{
    switch (zone_priority(config, submit->zone)) {
    case CONFIG_PRIORITY_HIGH:
        return SPOOL_PRIORITY_HIGH;
    case CONFIG_PRIORITY_BULK:
        return SPOOL_PRIORITY_BULK;
    case CONFIG_PRIORITY_NORMAL:
        break;
    }
    bool bulk = submit->sender.n == 0 || is_to_many(head);
    return bulk ? SPOOL_PRIORITY_BULK : SPOOL_PRIORITY_NORMAL;
}

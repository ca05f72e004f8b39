#include "policy/decision.h"

#include <stdlib.h>

static const struct decision_rule defaults[] = {
#define RULE(NAME, in, out, code, class, subject, detail, text)                                    \
    {FINDING_##NAME,                                                                               \
     CONFIG_ACTION_##in,                                                                           \
     CONFIG_ACTION_##out,                                                                          \
     {(code), {(class), (subject), (detail)}, STR_INIT(text)}},
#include "policy/rules.def"
#undef RULE
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define RULE_COUNT  (sizeof defaults / sizeof defaults[0])

enum {
#define FINDING(number, NAME, name, check, verdict, weight, meaning, standard) COUNTED_##NAME,
#include "finding/findings.def"
#undef FINDING
    FINDING_ROWS,
};
_Static_assert(RULE_COUNT == FINDING_ROWS, "each finding has one rule");

struct decision_rules {
    struct decision_rule rules[RULE_COUNT];
};

static size_t
rule_index(enum finding_id finding)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (defaults[i].finding == finding) {
            return i;
        }
    }
    abort(); /* a finding without a rule: the assertion above and the test exclude it */
}

const struct decision_rule *
decision_rule_default(enum finding_id finding)
{
    return &defaults[rule_index(finding)];
}

static void
rule_set(struct decision_rules *rules, enum finding_id finding, enum config_action action)
{
    struct decision_rule *rule = &rules->rules[rule_index(finding)];
    rule->inbound = action;
    rule->outbound = action;
}

/*
 * What is refused or deferred for the sake of DMARC alone: without one author whose domain can be
 * authenticated, or without an answer, its policy cannot be followed. Where it is not followed
 * anyway, these are noted as failures are.
 */
static const enum finding_id for_dmarc[] = {
    FINDING_DMARC_AUTHOR_UNKNOWN, FINDING_DMARC_TEMPERROR,      FINDING_DMARC_FAIL_QUARANTINE,
    FINDING_DMARC_FAIL_REJECT,    FINDING_FROM_SEVERAL_DOMAINS, FINDING_FROM_AMBIGUOUS,
};

static void
rules_apply(struct decision_rules *rules, const struct config_checks *checks)
{
    for (size_t i = 0; i < checks->count; i++) {
        rule_set(rules, checks->items[i].finding, checks->items[i].action);
    }
}

/* The administrator lets it in; the relay frames it anew. */
static bool
takes_bare_lf(const struct config *config, const struct config_zone *zone)
{
    bool as_limits = zone == NULL || zone->bare_lf == CONFIG_ZONE_BARE_LF_LIMITS;
    return as_limits ? config->limits.bare_lf == CONFIG_BARE_LF_DATA
                     : zone->bare_lf == CONFIG_ZONE_BARE_LF_DATA;
}

struct decision_rules *
decision_rules_create(const struct config *config, const struct config_zone *zone)
{
    struct decision_rules *rules = calloc(1, sizeof *rules);
    if (rules == NULL) {
        abort();
    }
    memcpy(rules->rules, defaults, sizeof defaults);
    if (takes_bare_lf(config, zone)) {
        rule_set(rules, FINDING_LINE_BARE_LF, CONFIG_ACTION_TAG);
    }
    for (size_t i = 0; !config->authentication.dmarc.enforce && i < COUNT_OF(for_dmarc); i++) {
        rules->rules[rule_index(for_dmarc[i])].inbound = CONFIG_ACTION_TAG;
    }
    rules_apply(rules, &config->checks);
    if (zone != NULL) {
        rules_apply(rules, &zone->checks);
    }
    return rules;
}

void
decision_rules_destroy(struct decision_rules **rules)
{
    if (rules != NULL) {
        free(*rules);
        *rules = NULL;
    }
}

static const struct smtp_reply deferred =
    SMTP_REPLY(451, 4, 7, 1, "The message is not accepted now; try again later");

static struct smtp_reply
rule_reply(const struct decision_rule *rule, enum config_action action)
{
    if (action == CONFIG_ACTION_REJECT && smtp_reply_is_temporary(&rule->reply)) {
        return SMTP_REPLY(554, 5, 7, 1, "The message is refused");
    }
    if (action == CONFIG_ACTION_DEFER && !smtp_reply_is_temporary(&rule->reply)) {
        return deferred;
    }
    return rule->reply;
}

/* Appends a name to the tags, once. False when the arena is full. */
static bool
tag_add(struct arena *arena, struct str *tags, const char *name)
{
    struct str rest = *tags;
    struct str tag;
    while (rest.n > 0) {
        str_cut(rest, ',', &tag, &rest);
        if (str_eq(str_trim(tag), str_from_cstr(name))) {
            return true;
        }
    }
    struct str longer =
        arena_printf(arena, "%.*s%s%s", STR_ARG(*tags), tags->n > 0 ? ", " : "", name);
    if (longer.p != NULL) {
        *tags = longer;
    }
    return longer.p != NULL;
}

struct decision
decision_make(const struct decision_rules *rules, enum check_direction direction,
              const struct finding_list *findings, struct arena *arena)
{
    struct decision decision = {.action = CONFIG_ACTION_ACCEPT};
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->items[i];
        const struct decision_rule *rule = &rules->rules[rule_index(finding->id)];
        enum config_action action = direction == CHECK_INBOUND ? rule->inbound : rule->outbound;
        if (action == CONFIG_ACTION_TAG &&
            !tag_add(arena, &decision.tags, finding_row(finding->id)->name)) {
            return (struct decision){
                .action = CONFIG_ACTION_DEFER, .cause = finding, .reply = deferred};
        }
        if (action > decision.action) {
            decision.cause = finding;
            decision.action = action;
            decision.reply = rule_reply(rule, action);
        }
    }
    return decision;
}

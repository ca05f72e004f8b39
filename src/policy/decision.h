/*
 * decision.h - from findings to what is done with a message.
 *
 * The policy knows no check and looks at no message: it reads findings. For each, rules.def says
 * what is done by default, and the configuration may say otherwise. The strictest action wins; the
 * finding that first asked for it is the cause that trace and reply tell.
 */
#ifndef POSTERN_POLICY_DECISION_H
#define POSTERN_POLICY_DECISION_H

#include "check/check.h"
#include "smtp/reply.h"

struct decision_rule {
    enum finding_id finding;
    enum config_action inbound;
    enum config_action outbound;
    struct smtp_reply reply; /* text static */
};

/* Rules with the configuration's overrides; as many as findings.def has rows. */
struct decision_rules;

struct decision {
    enum config_action action;
    const struct finding *cause; /* in the list it was made of; NULL for ACCEPT */
    struct smtp_reply reply;     /* for DEFER and REJECT; text static */
    struct str tags;             /* names of the findings to tag, ", " between; in the arena */
};

/* The rule of a finding without configuration; never NULL for a finding of the table. */
const struct decision_rule *decision_rule_default(enum finding_id finding);

/*
 * The rules for a configuration, for mail from hosts of a zone of it (NULL: of none). The caller
 * destroys them; they hold no reference to it.
 */
[[nodiscard]] struct decision_rules *decision_rules_create(const struct config *config,
                                                           const struct config_zone *zone);
/* Frees and sets *rules to NULL. NULL is allowed. */
void decision_rules_destroy(struct decision_rules **rules);

/*
 * Decides. The tags need `arena`: when it is full, the message is deferred, since it could not be
 * marked as it must be.
 */
struct decision decision_make(const struct decision_rules *rules, enum check_direction direction,
                              const struct finding_list *findings, struct arena *arena);

#endif

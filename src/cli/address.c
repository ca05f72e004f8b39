/*
 * postern address test: what would become of a recipient, by which rule, and where its mail would
 * go. It asks the same code as RCPT does (policy/recipient.h); nothing is sent.
 */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "ipc/message.h"
#include "policy/recipient.h"
#include "roles/relay/next_hop.h"
#include "trace/trace.h"

#define ADDRESS_ARENA (4u << 20)
#define RULE_MAX      600u
/* As in the edge: each round goes one alias deeper. All questions are answered at once here. */
#define NAME_WIDTH    36

static const char usage[] =
    "Tell what would become of mail for an address: whether it is accepted, by which rule, and\n"
    "where it goes. Nothing is sent.\n"
    "\n"
    "usage: postern address test ADDRESS\n"
    "\n"
    "Users are looked up in the running Postern. A server behind that decides about recipients\n"
    "(recipients: callout) is not asked. Without a domain, that of the only domain is meant.\n"
    "\n"
    "  --config FILE     the configuration\n"
    "  --json            the result as JSON\n"
    "\n"
    "Exit status: 0 accepted; 1 refused, or it cannot be told; 2 wrong use.\n"
    "\n"
    "example: postern address test sales@kartapuce.com\n";

struct inquiry {
    const char *text;
    const struct config *config;
    struct arena *arena;
    struct smtp_address address;
    const struct config_domain *domain; /* NULL: not ours */
    struct recipient_outcome outcome;
    int ledger;         /* -1: nothing is running */
    bool asks_callout;  /* the server behind would be asked */
    bool needs_running; /* a user could not be looked up */
    char rule[RULE_MAX];
};

/* ---- questions */

static enum recipient_answer
look_up_user(struct inquiry *inquiry, struct str name)
{
    struct msg_recipient_lookup fields = {.name = name};
    if (inquiry->ledger < 0) {
        inquiry->needs_running = true;
        return RECIPIENT_ANSWER_FAILED;
    }
    struct ipc_message *reply = cli_call(inquiry->ledger, ROLE_LEDGER, MSG_RECIPIENT_LOOKUP,
                                         &fields, MSG_RECIPIENT_LOOKUP_REPLY);
    if (reply == NULL) {
        return RECIPIENT_ANSWER_FAILED;
    }
    bool exists = MSG_BODY(reply, recipient_lookup_reply)->exists;
    ipc_message_free(&reply);
    return exists ? RECIPIENT_ANSWER_YES : RECIPIENT_ANSWER_NO;
}

static enum recipient_answer
answer(void *context, const struct recipient_question *question, struct str *address_out)
{
    struct inquiry *inquiry = context;
    (void)address_out;
    switch (question->kind) {
    case RECIPIENT_QUESTION_USER:
        return look_up_user(inquiry, question->address);
    case RECIPIENT_QUESTION_CALLOUT:
        inquiry->asks_callout = true;
        return RECIPIENT_ANSWER_YES;
    case RECIPIENT_QUESTION_SRS:
        break; /* only the vault knows its own, and it tells the edge alone */
    }
    return RECIPIENT_ANSWER_NO;
}

/* ---- rules */

static const struct config_alias *
alias_of(const struct inquiry *inquiry)
{
    struct str local = inquiry->address.local;
    struct str base = config_plus_base(inquiry->domain, local);
    const struct config_alias *alias = config_alias_find(inquiry->domain, local);
    return alias == NULL && base.n > 0 ? config_alias_find(inquiry->domain, base) : alias;
}

/* By which rule it was accepted. */
static void
find_rule(struct inquiry *inquiry)
{
    const struct config_domain *domain = inquiry->domain;
    const struct recipient_outcome *outcome = &inquiry->outcome;
    const struct config_alias *alias = domain != NULL ? alias_of(inquiry) : NULL;
    char *rule = inquiry->rule;
    if (domain == NULL && !outcome->is_expanded) {
        snprintf(rule, RULE_MAX,
                 "relay: not one of our domains; only users who have logged in and "
                 "zones with relay may send there");
    } else if (alias != NULL && outcome->is_expanded) {
        snprintf(rule, RULE_MAX, "alias: %.*s of %.*s", STR_ARG(alias->name),
                 STR_ARG(domain->name));
    } else if (outcome->is_expanded && domain != NULL && domain->catch_all.text.n > 0 &&
               !smtp_address_is_postmaster(&inquiry->address)) {
        snprintf(rule, RULE_MAX, "catch_all: of %.*s", STR_ARG(domain->name));
    } else if (outcome->is_expanded) {
        snprintf(rule, RULE_MAX, "postmaster: bounce.postmaster");
    } else {
        snprintf(rule, RULE_MAX, "recipients: %s, of %.*s",
                 config_recipients_name(domain->recipients), STR_ARG(domain->name));
    }
}

/* "lmtp:/run/dovecot/lmtp", "smtp://10.0.0.7:25", "the MX of example.com". */
static void
hop_text(const struct next_hop *hop, char out[static RULE_MAX])
{
    const char *scheme = hop->lmtp ? "lmtp" : "smtp";
    if (hop->kind == NEXT_HOP_UNIX) {
        snprintf(out, RULE_MAX, "%s:%.*s", scheme, STR_ARG(hop->name));
    } else if (hop->kind == NEXT_HOP_MX) {
        snprintf(out, RULE_MAX, "the MX of %.*s", STR_ARG(hop->name));
    } else if (hop->port != 0) {
        snprintf(out, RULE_MAX, "%s://%.*s:%u", scheme, STR_ARG(hop->name), hop->port);
    } else {
        snprintf(out, RULE_MAX, "%s://%.*s", scheme, STR_ARG(hop->name));
    }
}

/* Which part of the configuration says where mail for the target goes. */
static void
hop_rule(const struct inquiry *inquiry, const struct recipient_target *target,
         char out[static RULE_MAX])
{
    const struct config *config = inquiry->config;
    size_t at = str_rfind_char(target->address, '@');
    struct str domain = at == STR_NPOS ? config->hostname : str_skip(target->address, at + 1);
    const struct config_route *route =
        target->domain == NULL ? config_route_find(config, domain) : NULL;
    if (target->domain != NULL) {
        snprintf(out, RULE_MAX, "delivery of %.*s", STR_ARG(target->domain->name));
    } else if (route != NULL) {
        snprintf(out, RULE_MAX, "route for %.*s", STR_ARG(route->domain));
    } else if (config->smart_host.to.kind != CONFIG_DELIVERY_NONE) {
        snprintf(out, RULE_MAX, "smart_host");
    } else {
        snprintf(out, RULE_MAX, "no route");
    }
}

struct way {
    char hop[RULE_MAX];
    char rule[RULE_MAX];
};

static void
find_way(const struct inquiry *inquiry, const struct recipient_target *target, struct way *way)
{
    struct next_hop hop;
    hop_rule(inquiry, target, way->rule);
    if (next_hop_find(inquiry->arena, inquiry->config, target->address, &hop) == STATUS_OK) {
        hop_text(&hop, way->hop);
    } else {
        snprintf(way->hop, RULE_MAX, "nowhere");
    }
}

/* ---- output */

static const char *
remark(const struct inquiry *inquiry)
{
    if (inquiry->needs_running) {
        return "users cannot be looked up: no Postern is running with this configuration";
    }
    return inquiry->asks_callout
               ? "the server behind is asked when mail comes, and may refuse the address"
               : "";
}

static void
print_refusal(const struct inquiry *inquiry)
{
    struct smtp_reply reply = recipient_reply(inquiry->outcome.verdict);
    printf("%s: refused (%s)\n  reply: %u %u.%u.%u %.*s\n", inquiry->text,
           recipient_verdict_name(inquiry->outcome.verdict), reply.code, reply.enhanced.class,
           reply.enhanced.subject, reply.enhanced.detail, STR_ARG(reply.text));
}

static void
print_acceptance(const struct inquiry *inquiry)
{
    const struct recipient_outcome *outcome = &inquiry->outcome;
    printf("%s: accepted\n  rule: %s\n", inquiry->text, inquiry->rule);
    for (size_t i = 0; i < outcome->target_count; i++) {
        struct way way;
        find_way(inquiry, &outcome->targets[i], &way);
        printf("  to %-*.*s %s (%s)\n", NAME_WIDTH, STR_ARG(outcome->targets[i].address), way.hop,
               way.rule);
    }
    for (size_t i = 0; i < outcome->missing_count; i++) {
        printf("  missing: %.*s does not exist and is left out\n", STR_ARG(outcome->missing[i]));
    }
}

static json_t *
targets_to_json(const struct inquiry *inquiry)
{
    json_t *list = json_array();
    for (size_t i = 0; i < inquiry->outcome.target_count; i++) {
        const struct recipient_target *target = &inquiry->outcome.targets[i];
        struct way way;
        find_way(inquiry, target, &way);
        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:s, s:s}", "address", trace_json_text(target->address), "user",
                      target->user.n > 0 ? trace_json_text(target->user) : json_null(), "next_hop",
                      way.hop, "rule", way.rule));
    }
    return list;
}

static void
print_json(const struct inquiry *inquiry)
{
    const struct recipient_outcome *outcome = &inquiry->outcome;
    bool accepted = outcome->verdict == RECIPIENT_ACCEPT;
    json_t *missing = json_array();
    for (size_t i = 0; i < outcome->missing_count; i++) {
        json_array_append_new(missing, trace_json_text(outcome->missing[i]));
    }
    json_t *json = json_pack(
        "{s:o, s:b, s:s, s:s, s:o, s:o, s:s}", "address",
        trace_json_text(str_from_cstr(inquiry->text)), "accepted", (int)accepted, "verdict",
        recipient_verdict_name(outcome->verdict), "rule", accepted ? inquiry->rule : "", "targets",
        targets_to_json(inquiry), "missing", missing, "remark", remark(inquiry));
    if (!accepted) {
        struct smtp_reply reply = recipient_reply(outcome->verdict);
        json_object_set_new(
            json, "reply",
            json_pack("{s:i, s:o}", "code", (int)reply.code, "text", trace_json_text(reply.text)));
    }
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(json);
}

static int
show(struct inquiry *inquiry, bool json)
{
    bool accepted = inquiry->outcome.verdict == RECIPIENT_ACCEPT;
    if (accepted) {
        find_rule(inquiry);
    }
    if (json) {
        print_json(inquiry);
    } else if (accepted) {
        print_acceptance(inquiry);
    } else {
        print_refusal(inquiry);
    }
    if (!json && remark(inquiry)[0] != '\0') {
        printf("  note: %s\n", remark(inquiry));
    }
    return accepted ? CLI_DONE : CLI_FAILED;
}

/* ---- the command */

static int
resolve(struct inquiry *inquiry, bool json)
{
    unsigned const flags = SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL;
    if (smtp_mailbox_parse(inquiry->arena, str_from_cstr(inquiry->text), flags,
                           &inquiry->address) != STATUS_OK) {
        return cli_fail("address", CLI_USAGE, "'%s' is no address", inquiry->text);
    }
    inquiry->domain = inquiry->address.kind == SMTP_DOMAIN_NAME
                          ? config_domain_find(inquiry->config, inquiry->address.domain)
                          : NULL;
    struct recipient_request request = {
        .config = inquiry->config,
        .address = &inquiry->address,
        .may_relay = true,
        .answer = answer,
        .context = inquiry,
    };
    if (recipient_resolve(&request, inquiry->arena, &inquiry->outcome) != STATUS_OK) {
        return cli_fail("address", CLI_FAILED, "there is not enough memory");
    }
    return show(inquiry, json);
}

int
cli_address(int argc, char **argv)
{
    struct cli_common common;
    char text[CLI_ADDRESS_MAX];
    argc = cli_take_common(argc, argv, usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc != 3 || strcmp(argv[1], "test") != 0 || argv[2][0] == '-') {
        fputs(usage, stderr);
        return CLI_USAGE;
    }
    if (!cli_complete_address("address", common.config_file, argv[2], text)) {
        return CLI_USAGE;
    }
    struct inquiry inquiry = {.text = text, .config = cli_load_config(common.config_file)};
    if (inquiry.config == NULL) {
        return CLI_FAILED;
    }
    inquiry.arena = arena_create(ADDRESS_ARENA);
    inquiry.ledger = cli_connect_if_running(inquiry.config, ROLE_LEDGER);
    int result = resolve(&inquiry, common.json);
    if (inquiry.ledger >= 0) {
        close(inquiry.ledger);
    }
    arena_destroy(&inquiry.arena);
    config_unref(&inquiry.config);
    return result;
}

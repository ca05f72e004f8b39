#include "policy/recipient.h"

#include "auth/srs.h"

/* Deepest way from RCPT to a mailbox: aliases, and a catch-all or postmaster on the way. */
#define DEPTH_MAX (CONFIG_ALIAS_DEPTH_MAX + 4)
/* Most addresses looked at for one recipient: catch-alls can multiply what aliases come to. */
#define STEPS_MAX (10 * CONFIG_ALIAS_TARGETS_MAX)

/* How one address came out. */
enum step {
    STEP_FOUND,     /* its targets have been added */
    STEP_NOT_FOUND, /* nobody there */
    STEP_ASK,       /* a question was added */
    STEP_FAILED,    /* an answer cannot be had */
    STEP_FORGED,    /* an address of SRS with a bad hash */
    STEP_EXPIRED,   /* an address of SRS that is too old */
    STEP_LIMIT,     /* past a bound, or the arena is full */
};

/* An address of ours on the way through aliases. */
struct name {
    const struct config_domain *domain;
    struct str local;
    /* The aliases that led here, so that an alias's own name is a mailbox and loops end. */
    const struct trail *trail;
    unsigned depth;
};

struct trail {
    const struct trail *up;
    const struct config_alias *alias;
};

/* Growing arrays of the outcome, in the arena. */
struct resolver {
    const struct recipient_request *request;
    struct arena *arena;
    struct recipient_target *targets;
    size_t target_count;
    struct recipient_question *questions;
    size_t question_count;
    struct str *missing;
    size_t missing_count;
    unsigned steps;
    bool is_expanded;
    bool is_reversed;
    bool is_full; /* the arena is */
};

static enum step resolve_name(struct resolver *r, const struct name *name);

static const struct str postmaster = STR_INIT("postmaster");
static const struct str abuse = STR_INIT("abuse");

/* Room for one more of `count` items; doubles, so that all copies together stay linear. */
static void *
grow(struct resolver *r, void *items, size_t count, size_t size)
{
    if (count > 0 && (count < 4 || (count & (count - 1)) != 0)) {
        return items;
    }
    void *larger = arena_alloc_array(r->arena, count < 4 ? 4 : count * 2, size);
    if (larger == NULL) {
        r->is_full = true;
    } else if (count > 0) {
        memcpy(larger, items, count * size);
    }
    return larger;
}

/* Both in normal form. What a local part means is known of our own domains only (RFC 5321 2.4). */
static bool
is_same_target(const struct recipient_target *target, struct str address,
               const struct config_domain *domain)
{
    return target->domain != NULL && domain != NULL ? str_eq_nocase(target->address, address)
                                                    : str_eq(target->address, address);
}

static enum step
add_target(struct resolver *r, struct str address, struct str user,
           const struct config_domain *domain)
{
    for (size_t i = 0; i < r->target_count; i++) {
        if (is_same_target(&r->targets[i], address, domain)) {
            return STEP_FOUND;
        }
    }
    if (r->target_count == CONFIG_ALIAS_TARGETS_MAX) {
        return STEP_LIMIT;
    }
    struct recipient_target *targets = grow(r, r->targets, r->target_count, sizeof *r->targets);
    if (targets == NULL) {
        return STEP_LIMIT;
    }
    r->targets = targets;
    r->targets[r->target_count++] =
        (struct recipient_target){.address = address, .user = user, .domain = domain};
    return STEP_FOUND;
}

static enum step
add_question(struct resolver *r, const struct recipient_question *question)
{
    for (size_t i = 0; i < r->question_count; i++) {
        if (r->questions[i].kind == question->kind &&
            str_eq(r->questions[i].address, question->address)) {
            return STEP_ASK;
        }
    }
    struct recipient_question *questions =
        grow(r, r->questions, r->question_count, sizeof *r->questions);
    if (questions == NULL) {
        return STEP_LIMIT;
    }
    r->questions = questions;
    r->questions[r->question_count++] = *question;
    return STEP_ASK;
}

static enum step
add_missing(struct resolver *r, struct str address)
{
    struct str *missing = grow(r, r->missing, r->missing_count, sizeof *r->missing);
    if (missing == NULL) {
        return STEP_LIMIT;
    }
    r->missing = missing;
    r->missing[r->missing_count++] = address;
    return STEP_NOT_FOUND;
}

/* The answer to a question as a step; asks when it is not known. */
static enum step
ask(struct resolver *r, const struct recipient_question *question, struct str *address_out)
{
    switch (r->request->answer(r->request->context, question, address_out)) {
    case RECIPIENT_ANSWER_YES:
        return STEP_FOUND;
    case RECIPIENT_ANSWER_NO:
        return STEP_NOT_FOUND;
    case RECIPIENT_ANSWER_PENDING:
        return add_question(r, question);
    case RECIPIENT_ANSWER_FORGED:
        return STEP_FORGED;
    case RECIPIENT_ANSWER_EXPIRED:
        return STEP_EXPIRED;
    case RECIPIENT_ANSWER_FAILED:
        break;
    }
    return STEP_FAILED;
}

/*
 * local@domain in normal form. {NULL,0} when that cannot be an address (an empty local part, or one
 * that is too long where it leads), or with is_full when the arena is full.
 */
static struct str
address_text(struct resolver *r, struct str local, const struct config_domain *domain)
{
    struct smtp_address address;
    enum status status = smtp_address_make(r->arena, local, domain->name, &address);
    if (status == STATUS_OK) {
        return address.text;
    }
    /* Written with quotes and backslashes a local part is up to twice as long, and the quotes. */
    bool may_be_too_long = 2 * local.n + sizeof "\"\"@" - 1 + domain->name.n > SMTP_PATH_MAX - 2;
    r->is_full = r->is_full || (status == STATUS_LIMIT && !may_be_too_long);
    return (struct str){0};
}

/* What it means for its recipient that address_text gave nothing. */
static enum step
no_address(const struct resolver *r)
{
    return r->is_full ? STEP_LIMIT : STEP_NOT_FOUND;
}

/* Users of the ledger: the name itself, then the one before the plus separator. */
static enum step
find_user(struct resolver *r, const struct name *name, struct str address)
{
    struct str candidates[2] = {name->local, config_plus_base(name->domain, name->local)};
    for (size_t i = 0; i < 2 && candidates[i].n > 0; i++) {
        struct str user = address_text(r, candidates[i], name->domain);
        if (user.p == NULL) {
            return no_address(r);
        }
        char *folded = arena_cstr(r->arena, user);
        if (folded == NULL) {
            r->is_full = true;
            return STEP_LIMIT;
        }
        for (size_t k = 0; k < user.n; k++) {
            folded[k] = char_lower(folded[k]);
        }
        struct recipient_question question = {
            .kind = RECIPIENT_QUESTION_USER,
            .address = str_make(folded, user.n),
            .domain = name->domain,
        };
        enum step step = ask(r, &question, NULL);
        if (step == STEP_FOUND) {
            return add_target(r, address, question.address, name->domain);
        }
        if (step != STEP_NOT_FOUND) {
            return step;
        }
    }
    return STEP_NOT_FOUND;
}

/* The characters by which old servers are told a route within a local part. */
static bool
looks_routed(struct str local)
{
    return str_contains_char(local, '@') || str_contains_char(local, '%') ||
           str_contains_char(local, '!');
}

static enum step
find_mailbox(struct resolver *r, const struct name *name)
{
    struct str address = address_text(r, name->local, name->domain);
    if (address.p == NULL) {
        return no_address(r);
    }
    struct str base = config_plus_base(name->domain, name->local);
    struct recipient_question callout = {
        .kind = RECIPIENT_QUESTION_CALLOUT, .address = address, .domain = name->domain};
    enum step step = STEP_NOT_FOUND;
    switch (name->domain->recipients) {
    case CONFIG_RECIPIENTS_USERS:
        return find_user(r, name, address);
    case CONFIG_RECIPIENTS_LIST:
        if (config_list_contains(name->domain, name->local) ||
            (base.n > 0 && config_list_contains(name->domain, base))) {
            step = STEP_FOUND;
        }
        break;
    case CONFIG_RECIPIENTS_CALLOUT:
        step = ask(r, &callout, NULL);
        break;
    case CONFIG_RECIPIENTS_ANY:
        step = STEP_FOUND;
        break;
    }
    return step == STEP_FOUND ? add_target(r, address, (struct str){0}, name->domain) : step;
}

/* A configured address: one of ours is resolved in turn, others are forwarded to. */
static enum step
resolve_configured(struct resolver *r, const struct config_mailbox *mailbox,
                   const struct name *from, const struct trail *trail)
{
    if (from->depth >= DEPTH_MAX) {
        return STEP_LIMIT;
    }
    r->is_expanded = true;
    const struct config_domain *domain = config_domain_find(r->request->config, mailbox->domain);
    if (domain == NULL) {
        return add_target(r, mailbox->text, (struct str){0}, NULL);
    }
    struct name next = {
        .domain = domain, .local = mailbox->local, .trail = trail, .depth = from->depth + 1};
    return resolve_name(r, &next);
}

static bool
trail_has(const struct trail *trail, const struct config_alias *alias)
{
    for (; trail != NULL; trail = trail->up) {
        if (trail->alias == alias) {
            return true;
        }
    }
    return false;
}

/*
 * All targets of an alias. Those that do not exist are noted; when none exists, the alias does not.
 * A question does not stop the others, so that all questions are asked at once.
 */
static enum step
expand_alias(struct resolver *r, const struct name *name, const struct config_alias *alias)
{
    struct trail trail = {.up = name->trail, .alias = alias};
    enum step result = STEP_NOT_FOUND;
    for (size_t i = 0; i < alias->to.count; i++) {
        const struct config_mailbox *mailbox = &alias->to.items[i];
        enum step step = resolve_configured(r, mailbox, name, &trail);
        if (step == STEP_NOT_FOUND || step == STEP_FORGED || step == STEP_EXPIRED) {
            step = add_missing(r, mailbox->text);
        }
        if (step == STEP_LIMIT) {
            return step;
        }
        /* FAILED before ASK: the message will be deferred whatever the answers are. */
        if (step == STEP_FAILED || result == STEP_FAILED) {
            result = STEP_FAILED;
        } else if (step == STEP_ASK || result == STEP_ASK) {
            result = STEP_ASK;
        } else if (step == STEP_FOUND) {
            result = STEP_FOUND;
        }
    }
    return result;
}

/* The alias of a name that has not led to it already. */
static const struct config_alias *
find_alias(const struct name *name)
{
    const struct config_alias *alias = config_alias_find(name->domain, name->local);
    struct str base = config_plus_base(name->domain, name->local);
    if (alias == NULL && base.n > 0) {
        alias = config_alias_find(name->domain, base);
    }
    return alias != NULL && !trail_has(name->trail, alias) ? alias : NULL;
}

/* The sender that an address of SRS leads back to; his domain may be one of ours too. */
static enum step
resolve_sender(struct resolver *r, const struct name *from, struct str text)
{
    struct smtp_address address;
    unsigned flags = SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL;
    if (smtp_mailbox_parse(r->arena, text, flags, &address) != STATUS_OK) {
        return STEP_FORGED; /* a good hash over what is no address: none of our making */
    }
    r->is_expanded = true;
    const struct config_domain *domain =
        address.kind == SMTP_DOMAIN_NAME ? config_domain_find(r->request->config, address.domain)
                                         : NULL;
    if (domain == NULL) {
        return add_target(r, address.text, (struct str){0}, NULL);
    }
    struct name next = {
        .domain = domain, .local = address.local, .trail = from->trail, .depth = from->depth + 1};
    return resolve_name(r, &next);
}

static bool
is_decided_behind(const struct config_domain *domain)
{
    return domain->recipients == CONFIG_RECIPIENTS_CALLOUT ||
           domain->recipients == CONFIG_RECIPIENTS_ANY;
}

/* Step 3. */
static enum step
reverse_sender(struct resolver *r, const struct name *name)
{
    struct str sender = {0};
    if (!r->request->config->authentication.srs.enabled || !srs_is_rewritten(name->local)) {
        return STEP_NOT_FOUND;
    }
    struct recipient_question question = {
        .kind = RECIPIENT_QUESTION_SRS,
        .address = address_text(r, name->local, name->domain),
        .domain = name->domain,
    };
    if (question.address.p == NULL) {
        return no_address(r);
    }
    enum step step = ask(r, &question, &sender);
    if (step == STEP_FORGED && is_decided_behind(name->domain)) {
        return STEP_NOT_FOUND; /* a server behind may have made it */
    }
    if (step == STEP_FOUND) {
        step = resolve_sender(r, name, sender);
        r->is_reversed = true;
    }
    return step;
}

/* Steps 4 and 5: what stands in for a mailbox that does not exist. */
static enum step
resolve_substitute(struct resolver *r, const struct name *name)
{
    const struct config_mailbox *chief = &r->request->config->bounce.postmaster;
    const struct config_mailbox *catch_all = &name->domain->catch_all;
    bool is_abuse = str_eq_nocase(name->local, abuse);
    bool is_postmaster = str_eq_nocase(name->local, postmaster);
    enum step step = STEP_NOT_FOUND;
    if (is_abuse) {
        struct name next = *name;
        next.local = postmaster;
        next.depth++;
        r->is_expanded = true;
        return resolve_name(r, &next);
    }
    bool is_chief =
        str_eq_nocase(chief->local, name->local) && str_eq(chief->domain, name->domain->name);
    if (is_postmaster && chief->text.n > 0 && !is_chief) {
        step = resolve_configured(r, chief, name, name->trail);
    }
    bool is_catch_all = str_eq_nocase(catch_all->local, name->local) &&
                        str_eq(catch_all->domain, name->domain->name);
    if (step == STEP_NOT_FOUND && catch_all->text.n > 0 && !is_catch_all) {
        step = resolve_configured(r, catch_all, name, name->trail);
    }
    return step;
}

static enum step
resolve_name(struct resolver *r, const struct name *name)
{
    if (name->depth > DEPTH_MAX || ++r->steps > STEPS_MAX) {
        return STEP_LIMIT;
    }
    const struct config_alias *alias = find_alias(name);
    if (alias != NULL) {
        return expand_alias(r, name, alias);
    }
    bool is_behind = is_decided_behind(name->domain);
    enum step step = is_behind ? reverse_sender(r, name) : find_mailbox(r, name);
    if (step == STEP_NOT_FOUND) {
        step = is_behind ? find_mailbox(r, name) : reverse_sender(r, name);
    }
    /* A sender of ours who has gone is not replaced by who takes the rest of the other domain. */
    return step == STEP_NOT_FOUND && !r->is_reversed ? resolve_substitute(r, name) : step;
}

/* The names that every host must take mail for. */
static bool
is_chief_name(struct str local)
{
    return str_eq_nocase(local, postmaster) || str_eq_nocase(local, abuse);
}

/* <postmaster>; postmaster and abuse at our host name or at the address of a listener. */
static bool
is_chief_here(const struct config *config, const struct smtp_address *address)
{
    if (!is_chief_name(address->local)) {
        return false;
    }
    if (address->kind == SMTP_DOMAIN_NONE || str_eq(address->domain, config->hostname)) {
        return true;
    }
    for (size_t i = 0; i < config->listeners.count; i++) {
        if (address->kind == SMTP_DOMAIN_LITERAL &&
            ip_eq(&config->listeners.items[i].address, &address->literal)) {
            return true;
        }
    }
    return false;
}

static enum step
resolve_chief_here(struct resolver *r, struct str local)
{
    const struct config *config = r->request->config;
    if (config->bounce.postmaster.text.n > 0) {
        struct name nowhere = {0};
        return resolve_configured(r, &config->bounce.postmaster, &nowhere, NULL);
    }
    if (config->domains.count == 0) {
        return STEP_NOT_FOUND;
    }
    struct name name = {.domain = &config->domains.items[0], .local = local};
    r->is_expanded = true;
    return resolve_name(r, &name);
}

static enum recipient_verdict
verdict_of(enum step step)
{
    switch (step) {
    case STEP_FOUND:
        return RECIPIENT_ACCEPT;
    case STEP_ASK:
        return RECIPIENT_ASK;
    case STEP_FAILED:
        return RECIPIENT_TRY_LATER;
    case STEP_LIMIT:
        return RECIPIENT_LIMIT;
    case STEP_FORGED:
        return RECIPIENT_FORGED;
    case STEP_EXPIRED:
        return RECIPIENT_EXPIRED;
    case STEP_NOT_FOUND:
        break;
    }
    return RECIPIENT_UNKNOWN;
}

/* RFC 5321 4.5.1, RFC 2142 4: refusing these for good would tell the world that nobody answers. */
static enum recipient_verdict
verdict_of_own(enum step step, struct str local)
{
    return step == STEP_NOT_FOUND && is_chief_name(local) ? RECIPIENT_NO_POSTMASTER
                                                          : verdict_of(step);
}

static enum recipient_verdict
resolve(struct resolver *r)
{
    const struct recipient_request *request = r->request;
    const struct smtp_address *address = request->address;
    const struct config_domain *domain = address->kind == SMTP_DOMAIN_NAME
                                             ? config_domain_find(request->config, address->domain)
                                             : NULL;
    if (domain == NULL && is_chief_here(request->config, address)) {
        return verdict_of_own(resolve_chief_here(r, address->local), address->local);
    }
    if (address->kind == SMTP_DOMAIN_NONE) {
        return RECIPIENT_UNKNOWN;
    }
    if (domain == NULL) {
        return request->may_relay ? verdict_of(add_target(r, address->text, (struct str){0}, NULL))
                                  : RECIPIENT_NO_RELAY;
    }
    if (is_decided_behind(domain) && !request->may_relay && looks_routed(address->local)) {
        return RECIPIENT_NO_RELAY;
    }
    struct name name = {.domain = domain, .local = address->local};
    return verdict_of_own(resolve_name(r, &name), address->local);
}

enum status
recipient_resolve(const struct recipient_request *request, struct arena *arena,
                  struct recipient_outcome *outcome_out)
{
    struct resolver r = {.request = request, .arena = arena};
    enum recipient_verdict verdict = resolve(&r);
    if (r.is_full) {
        return STATUS_LIMIT;
    }
    struct recipient_outcome outcome = {.verdict = verdict};
    if (verdict == RECIPIENT_ACCEPT) {
        outcome.targets = r.targets;
        outcome.target_count = r.target_count;
        outcome.missing = r.missing;
        outcome.missing_count = r.missing_count;
        outcome.is_expanded = r.is_expanded;
        outcome.is_reversed = r.is_reversed;
    } else if (verdict == RECIPIENT_ASK) {
        outcome.questions = r.questions;
        outcome.question_count = r.question_count;
    }
    *outcome_out = outcome;
    return STATUS_OK;
}

struct smtp_reply
recipient_reply(enum recipient_verdict verdict)
{
    switch (verdict) {
    case RECIPIENT_ACCEPT:
        return SMTP_REPLY(250, 2, 1, 5, "Recipient accepted");
    case RECIPIENT_UNKNOWN:
        return SMTP_REPLY(550, 5, 1, 1, "No such recipient here");
    case RECIPIENT_NO_RELAY:
        return SMTP_REPLY(550, 5, 7, 1, "This server does not relay for you");
    case RECIPIENT_NO_POSTMASTER:
        return SMTP_REPLY(451, 4, 3, 5, "Nobody reads this mail yet, try again later");
    case RECIPIENT_LIMIT:
        return SMTP_REPLY(450, 4, 2, 4, "This recipient stands for too many others");
    case RECIPIENT_FORGED:
        return SMTP_REPLY(550, 5, 7, 1, "This forwarding sender was not made here");
    case RECIPIENT_EXPIRED:
        return SMTP_REPLY(550, 5, 1, 1, "This forwarding sender is no longer valid");
    case RECIPIENT_ASK:
    case RECIPIENT_TRY_LATER:
        break;
    }
    return SMTP_REPLY(451, 4, 4, 3, "This recipient cannot be checked now, try again later");
}

const char *
recipient_verdict_name(enum recipient_verdict verdict)
{
    static const char *const names[] = {
        [RECIPIENT_ACCEPT] = "accept",       [RECIPIENT_ASK] = "ask",
        [RECIPIENT_UNKNOWN] = "unknown",     [RECIPIENT_NO_RELAY] = "no_relay",
        [RECIPIENT_TRY_LATER] = "try_later", [RECIPIENT_NO_POSTMASTER] = "no_postmaster",
        [RECIPIENT_LIMIT] = "limit",         [RECIPIENT_FORGED] = "forged",
        [RECIPIENT_EXPIRED] = "expired",
    };
    return verdict < sizeof names / sizeof names[0] ? names[verdict] : "unknown";
}

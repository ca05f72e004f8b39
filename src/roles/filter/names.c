#include "roles/filter/names.h"

#include <stdlib.h>

#include "auth/arc_set.h"
#include "auth/dkim_verify.h"
#include "auth/dmarc_walk.h"
#include "auth/iprev.h"
#include "auth/spf_record.h"
#include "auth/tag_list.h"
#include "base/clock.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "mail/author.h"

/* Longest name that is worth asking for. */
#define NAME_ROOM       512u
/* Memory for the questions of a message, and for looking at a round of answers. */
#define NAMES_ARENA_MAX (4u * 1024u * 1024u)

struct names *
names_open(const struct filter_shared *shared, const struct config *config)
{
    struct names *names = calloc(1, sizeof *names);
    if (names == NULL) {
        abort();
    }
    if (shared->dns.resolve == NULL) {
        return names;
    }
    dns_budget_init(&names->budget, config->resolver.message_timeout_ms,
                    config->resolver.message_questions, clock_monotonic_ms);
    struct dns_cache_settings settings = {
        .source = &shared->dns,
        .resolver = shared->resolver,
        .view = shared->view,
        .timeout_ms = atomic_load(&shared->dns_timeout_ms),
        .budget = &names->budget,
        .patient = true,
    };
    names->cache = dns_cache_create(&settings);
    names->source = dns_source_from_cache(names->cache);
    names->arena = arena_create(NAMES_ARENA_MAX);
    return names;
}

void
names_close(struct names **names)
{
    if (*names != NULL) {
        dns_cache_destroy(&(*names)->cache);
        arena_destroy(&(*names)->arena);
        free(*names);
        *names = NULL;
    }
}

/* ---- asking */

static void
ask(struct names *names, const char *prefix, struct str name, uint16_t type)
{
    struct str whole = name;
    if (name.n == 0 || name.n > NAME_ROOM) {
        return;
    }
    if (prefix[0] != '\0') {
        whole = arena_printf(names->arena, "%s.%.*s", prefix, STR_ARG(name));
    }
    if (whole.p != NULL) {
        dns_prefetch(&names->source, whole, type);
    }
}

/* The same for a question whose answer leads to others. */
static void
ask_and_follow(struct names *names, struct str name, uint16_t type)
{
    struct str kept = name.n <= NAME_ROOM ? arena_str_dup(names->arena, name) : str_make(NULL, 0);
    for (size_t i = 0; i < names->count; i++) {
        if (names->questions[i].type == type && str_eq_nocase(names->questions[i].name, name)) {
            return; /* a loop of includes */
        }
    }
    if (kept.n > 0 && names->count < NAMES_QUESTIONS_MAX) {
        names->questions[names->count++] = (struct names_question){kept, type};
        ask(names, "", kept, type);
    }
}

static void
ask_addresses(struct names *names, struct str name)
{
    ask(names, "", name, ip_is_v4(&names->client) ? DNS_TYPE_A : DNS_TYPE_AAAA);
}

/* ---- what answers lead to */

/* A macro's value is known to the check only (RFC 7208 7). */
static bool
is_plain(struct str domain_spec)
{
    return domain_spec.n > 0 && !str_contains_char(domain_spec, '%');
}

static void
follow_directive(struct names *names, struct str domain, const struct spf_directive *directive)
{
    struct str target = directive->domain.n > 0 ? directive->domain : domain;
    if (!is_plain(target)) {
        return;
    }
    switch (directive->mechanism) {
    case SPF_MECHANISM_INCLUDE:
        ask_and_follow(names, target, DNS_TYPE_TXT);
        break;
    case SPF_MECHANISM_A:
        ask_addresses(names, target);
        break;
    case SPF_MECHANISM_MX:
        ask_and_follow(names, target, DNS_TYPE_MX);
        break;
    case SPF_MECHANISM_EXISTS:
        ask(names, "", target, DNS_TYPE_A);
        break;
    case SPF_MECHANISM_ALL:
    case SPF_MECHANISM_PTR: /* asked already */
    case SPF_MECHANISM_IP4:
    case SPF_MECHANISM_IP6:
        break;
    }
}

static void
follow_spf(struct names *names, struct arena *scratch, struct str domain,
           const struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->record_count; i++) {
        struct spf_record record;
        struct str text;
        struct str problem;
        if (dns_rdata_txt(scratch, answer->records[i], &text) != STATUS_OK ||
            !spf_record_is_version1(text) ||
            spf_record_parse(scratch, text, &record, &problem) != STATUS_OK) {
            continue;
        }
        for (size_t k = 0; k < record.directive_count; k++) {
            follow_directive(names, domain, &record.directives[k]);
        }
        if (is_plain(record.redirect)) {
            ask_and_follow(names, record.redirect, DNS_TYPE_TXT);
        }
    }
}

static void
follow_names(struct names *names, struct arena *scratch, uint16_t type,
             const struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->record_count && i < IPREV_NAMES_MAX; i++) {
        struct str name = {0};
        struct dns_mx mx;
        if (type == DNS_TYPE_MX && dns_rdata_mx(scratch, answer->records[i], &mx) == STATUS_OK) {
            name = mx.exchange;
        } else if (type == DNS_TYPE_PTR) {
            (void)!dns_rdata_name(scratch, answer->records[i], &name);
        }
        ask_addresses(names, name);
    }
}

/* Looks at the answers that have come; what they lead to is noted. */
static void
follow(struct names *names)
{
    struct arena *scratch = arena_create(NAMES_ARENA_MAX);
    size_t const count = names->count;
    while (names->followed < count) {
        struct names_question *question = &names->questions[names->followed++];
        struct dns_answer answer;
        if (dns_cache_peek(names->cache, scratch, question->name, question->type, &answer) !=
            STATUS_OK) {
            continue;
        }
        if (question->type == DNS_TYPE_TXT) {
            follow_spf(names, scratch, question->name, &answer);
        } else {
            follow_names(names, scratch, question->type, &answer);
        }
    }
    arena_destroy(&scratch);
}

static void
on_round(void *context)
{
    struct names *names = context;
    size_t const before = dns_cache_count(names->cache).prefetched;
    if (++names->rounds < NAMES_ROUNDS_MAX) {
        follow(names);
        dns_prefetch_send(&names->source);
    }
    bool const asks = dns_cache_count(names->cache).prefetched > before;
    bool const follows = names->followed < names->count && names->rounds < NAMES_ROUNDS_MAX;
    if (!asks && !follows) {
        names->ready(names->context);
    } else {
        dns_cache_when_ready(names->cache, on_round, names);
    }
}

/* ---- what the message itself names */

static struct str
domain_of(struct str address)
{
    size_t at = str_rfind_char(address, '@');
    return at != STR_NPOS ? str_skip(address, at + 1) : str_make(NULL, 0);
}

static void
ask_walk(struct names *names, struct str domain)
{
    struct str walk[DMARC_WALK_MAX];
    size_t const count = domain.n > 0 ? dmarc_walk_names(domain, walk) : 0;
    for (size_t i = 0; i < count; i++) {
        ask(names, "_dmarc", walk[i], DNS_TYPE_TXT);
    }
}

/* The records of the author's domain and of those above it, where an organization has its own. */
static void
ask_dmarc(struct names *names, struct str sender_domain)
{
    struct mail_author *author = arena_alloc(names->arena, sizeof *author);
    struct str sender;
    if (author == NULL || mail_author_read(names->arena, &names->head, author) != STATUS_OK) {
        return;
    }
    names->author = author;
    if (author->domain.n == 0) {
        return;
    }
    ask_walk(names, author->domain);
    if (sender_domain.n > 0 &&
        mail_domain_normalize(names->arena, sender_domain, &sender) == STATUS_OK &&
        !str_eq(sender, author->domain)) {
        ask_walk(names, sender);
    }
}

/* The key of one signature: d= and s= are enough. */
static void
ask_key(struct names *names, struct str value)
{
    struct tag_list tags;
    if (tag_list_parse(value, 0, &tags) != TAG_LIST_OK) {
        return;
    }
    const struct tag *domain = tag_list_find(&tags, STR("d"));
    const struct tag *selector = tag_list_find(&tags, STR("s"));
    if (domain == NULL || selector == NULL) {
        return;
    }
    ask(names, "",
        arena_printf(names->arena, "%.*s._domainkey.%.*s", STR_ARG(selector->value),
                     STR_ARG(domain->value)),
        DNS_TYPE_TXT);
}

/* The keys of DKIM and ARC signatures. */
static void
ask_keys(struct names *names)
{
    const struct mail_head *head = &names->head;
    size_t asked = 0;
    for (size_t i = 0; i < head->field_count && asked < NAMES_SIGNATURES_MAX; i++) {
        const struct mail_field *field = &head->fields[i];
        enum arc_part part = arc_part_find(field);
        if (dkim_field_is_signature(field) || part == ARC_PART_SIGNATURE || part == ARC_PART_SEAL) {
            ask_key(names, field->value);
            asked++;
        }
    }
}

void
names_prefetch(struct names *names, const struct msg_submit *submit, void (*ready)(void *context),
               void *context)
{
    struct str sender = domain_of(submit->sender);
    names->ready = ready;
    names->context = context;
    memcpy(&names->client, submit->client_ip.p, sizeof names->client);
    ask_and_follow(names, dns_name_reverse(names->arena, &names->client), DNS_TYPE_PTR);
    ask_and_follow(names, submit->helo, DNS_TYPE_TXT);
    ask_addresses(names, submit->helo);
    ask_and_follow(names, sender, DNS_TYPE_TXT);
    ask_dmarc(names, sender);
    ask_keys(names);
    dns_prefetch_send(&names->source);
    dns_cache_when_ready(names->cache, on_round, names);
}

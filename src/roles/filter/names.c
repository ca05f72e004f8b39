#include "roles/filter/names.h"

#include <stdlib.h>

#include "auth/arc_set.h"
#include "auth/dkim_verify.h"
#include "auth/tag_list.h"
#include "base/clock.h"
#include "dns/name.h"
#include "mail/author.h"

/* Longest name that is worth asking for. */
#define NAME_ROOM 512u

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
        .timeout_ms = atomic_load(&shared->dns_timeout_ms),
        .budget = &names->budget,
    };
    names->cache = dns_cache_create(&settings);
    names->source = dns_source_from_cache(names->cache);
    return names;
}

void
names_close(struct names **names)
{
    if (*names != NULL) {
        dns_cache_destroy(&(*names)->cache);
        free(*names);
        *names = NULL;
    }
}

/* ---- what will be asked */

/* What the questions are made of. */
struct asking {
    struct arena *arena;
    const struct dns_source *dns;
    const struct mail_head *head;
};

static void
ask(const struct asking *asking, const char *prefix, struct str name, uint16_t type)
{
    struct str whole = name;
    if (name.n == 0 || name.n > NAME_ROOM) {
        return;
    }
    if (prefix[0] != '\0') {
        whole = arena_printf(asking->arena, "%s.%.*s", prefix, STR_ARG(name));
    }
    if (whole.p != NULL) {
        dns_prefetch(asking->dns, whole, type);
    }
}

static struct str
domain_of(struct str address)
{
    size_t at = str_rfind_char(address, '@');
    return at != STR_NPOS ? str_skip(address, at + 1) : str_make(NULL, 0);
}

/* The author's record, and that of the organization above it, where the walk will most likely end.
 */
static void
ask_dmarc(const struct asking *asking)
{
    struct mail_author author;
    if (mail_author_read(asking->arena, asking->head, &author) != STATUS_OK) {
        return;
    }
    ask(asking, "_dmarc", author.domain, DNS_TYPE_TXT);
}

/* The key of one signature: d= and s= are enough. */
static void
ask_key(const struct asking *asking, struct str value)
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
    ask(asking, "",
        arena_printf(asking->arena, "%.*s._domainkey.%.*s", STR_ARG(selector->value),
                     STR_ARG(domain->value)),
        DNS_TYPE_TXT);
}

/* The keys of DKIM and ARC signatures. */
static void
ask_keys(const struct asking *asking)
{
    size_t asked = 0;
    for (size_t i = 0; i < asking->head->field_count && asked < NAMES_SIGNATURES_MAX; i++) {
        const struct mail_field *field = &asking->head->fields[i];
        enum arc_part part = arc_part_find(field);
        if (!dkim_field_is_signature(field) && part != ARC_PART_SIGNATURE &&
            part != ARC_PART_SEAL) {
            continue;
        }
        ask_key(asking, field->value);
        asked++;
    }
}

void
names_prefetch(struct names *names, struct arena *scratch, const struct msg_submit *submit,
               const struct mail_head *head)
{
    struct ip_address client;
    struct asking asking = {.arena = scratch, .dns = &names->source, .head = head};
    if (names->cache == NULL) {
        return;
    }
    memcpy(&client, submit->client_ip.p, sizeof client);
    ask(&asking, "", dns_name_reverse(scratch, &client), DNS_TYPE_PTR);
    ask(&asking, "", submit->helo, DNS_TYPE_TXT);
    ask(&asking, "", submit->helo, ip_is_v4(&client) ? DNS_TYPE_A : DNS_TYPE_AAAA);
    ask(&asking, "", domain_of(submit->sender), DNS_TYPE_TXT);
    ask_dmarc(&asking);
    ask_keys(&asking);
    dns_prefetch_send(&names->source);
}

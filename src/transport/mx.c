#include "transport/mx.h"

#include <stdlib.h>

#include "dns/name.h"
#include "dns/rdata.h"

/* ---- the plan */

static void
shuffle_equals(struct mx_host *hosts, size_t count, const struct mx_rules *rules)
{
    for (size_t start = 0, end; start < count; start = end) {
        end = start + 1;
        while (end < count && hosts[end].preference == hosts[start].preference) {
            end++;
        }
        for (size_t n = end - start; n > 1; n--) {
            size_t pick = start + (size_t)rules->random_below(n);
            struct mx_host swapped = hosts[pick];
            hosts[pick] = hosts[start + n - 1];
            hosts[start + n - 1] = swapped;
        }
    }
}

/* By preference, then by name: the order of an answer must not matter. */
static int
compare_hosts(const void *a, const void *b)
{
    const struct mx_host *x = a;
    const struct mx_host *y = b;
    int order = (x->preference > y->preference) - (x->preference < y->preference);
    return order != 0 ? order : str_cmp(x->name, y->name);
}

/* Reads the records into hosts; those that cannot be a host are left out. */
static enum status
read_hosts(struct arena *arena, const struct dns_answer *answer, struct mx_host **hosts_out,
           size_t *count_out, bool *null_out)
{
    struct mx_host *hosts = arena_alloc_array(arena, answer->record_count + 1, sizeof *hosts);
    size_t count = 0;
    bool null = false;
    if (hosts == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < answer->record_count; i++) {
        struct dns_mx mx;
        enum status status = dns_rdata_mx(arena, answer->records[i], &mx);
        if (status == STATUS_LIMIT && arena_alloc(arena, DNS_NAME_TEXT_MAX) == NULL) {
            return STATUS_LIMIT;
        }
        if (status != STATUS_OK) {
            continue;
        }
        null |= mx.exchange.n == 0;
        if (dns_name_is_host(mx.exchange) &&
            dns_name_normalize(arena, mx.exchange, &hosts[count].name) == STATUS_OK) {
            hosts[count++].preference = mx.preference;
        }
    }
    *hosts_out = hosts;
    *count_out = count;
    *null_out = null;
    return STATUS_OK;
}

/* How many hosts are better than ourselves; all, when we are not among them. */
static size_t
hosts_before_self(const struct mx_host *hosts, size_t count, const struct mx_rules *rules)
{
    for (size_t i = 0; i < count; i++) {
        if (dns_name_eq(hosts[i].name, rules->own_name)) {
            size_t better = i;
            while (better > 0 && hosts[better - 1].preference == hosts[i].preference) {
                better--;
            }
            return better;
        }
    }
    return count;
}

static void
plan_hosts(struct mx_plan *plan, struct mx_host *hosts, size_t count, const struct mx_rules *rules)
{
    qsort(hosts, count, sizeof *hosts, compare_hosts);
    count = hosts_before_self(hosts, count, rules);
    if (count == 0) {
        plan->outcome = MX_PERMANENT;
        plan->reply = SMTP_REPLY(0, 5, 4, 6, "mail for this domain leads back to this gateway");
        return;
    }
    shuffle_equals(hosts, count, rules);
    plan->outcome = MX_FOUND;
    plan->hosts = hosts;
    plan->count = count < MX_HOSTS_MAX ? count : MX_HOSTS_MAX;
}

static enum status
plan_records(struct arena *arena, const struct dns_answer *answer, const struct mx_rules *rules,
             struct mx_plan *plan)
{
    struct mx_host *hosts;
    size_t count;
    bool null;
    enum status status = read_hosts(arena, answer, &hosts, &count, &null);
    if (status != STATUS_OK) {
        return status;
    }
    if (count > 0) {
        plan_hosts(plan, hosts, count, rules);
    } else if (null) {
        plan->outcome = MX_PERMANENT; /* RFC 7505 3, 4.2 */
        plan->reply = SMTP_REPLY(556, 5, 1, 10, "the domain does not take mail (null MX)");
    } else {
        plan->outcome = MX_PERMANENT;
        plan->reply = SMTP_REPLY(0, 5, 4, 4, "no MX record of the domain names a host");
    }
    return STATUS_OK;
}

/* RFC 5321 5.1: no MX at all, and the domain is its own host. */
static enum status
plan_implicit(struct arena *arena, struct str domain, const struct mx_rules *rules,
              struct mx_plan *plan)
{
    struct mx_host *host = arena_alloc(arena, sizeof *host);
    if (host == NULL) {
        return STATUS_LIMIT;
    }
    plan->implicit = true;
    host->name = domain;
    plan_hosts(plan, host, 1, rules);
    return STATUS_OK;
}

enum status
mx_plan_make(struct arena *arena, const struct dns_source *dns, struct str domain,
             const struct mx_rules *rules, struct mx_plan *plan_out)
{
    struct dns_answer answer;
    struct mx_plan plan = {.outcome = MX_TEMPORARY};
    enum status status = dns_resolve(dns, arena, domain, DNS_TYPE_MX, &answer);
    if (status != STATUS_OK) {
        return status;
    }
    plan.security = answer.security;
    plan.canonical = answer.canonical;
    switch (answer.outcome) {
    case DNS_OUTCOME_ANSWER:
        status = plan_records(arena, &answer, rules, &plan);
        break;
    case DNS_OUTCOME_NODATA:
        status = plan_implicit(arena, domain, rules, &plan);
        break;
    case DNS_OUTCOME_NXDOMAIN:
        plan.outcome = MX_PERMANENT;
        plan.reply = SMTP_REPLY(0, 5, 1, 2, "the domain does not exist");
        break;
    case DNS_OUTCOME_SERVFAIL:
    case DNS_OUTCOME_TIMEOUT:
    case DNS_OUTCOME_REFUSED:
        plan.reply = answer.security == DNS_SECURITY_BOGUS
                         ? SMTP_REPLY(0, 4, 4, 3, "the domain's MX records fail DNSSEC validation")
                         : SMTP_REPLY(0, 4, 4, 3, "the domain's MX records cannot be looked up");
        break;
    }
    if (status == STATUS_OK) {
        *plan_out = plan;
    }
    return status;
}

/* ---- addresses */

struct family {
    struct ip_address items[MX_ADDRESSES_MAX];
    size_t count;
    bool temporary;
    enum dns_security security; /* of the answer */
    struct str canonical;
};

static enum status
family_find(struct arena *arena, const struct dns_source *dns, struct str host, uint16_t type,
            const struct mx_rules *rules, struct family *family)
{
    struct dns_answer answer;
    const struct ip_address *ips;
    size_t count;
    *family = (struct family){.count = 0};
    enum status status = dns_resolve(dns, arena, host, type, &answer);
    if (status != STATUS_OK) {
        return status;
    }
    family->temporary = dns_outcome_is_temporary(answer.outcome);
    family->security = answer.security;
    family->canonical = answer.canonical;
    status = dns_answer_addresses(arena, &answer, &ips, &count);
    /* A draw without replacement keeps every address of a long list as likely as any other. */
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        size_t place = (size_t)rules->random_below(i + 1);
        if (i < MX_ADDRESSES_MAX) {
            family->items[i] = family->items[place];
            family->items[place] = ips[i];
            family->count++;
        } else if (place < MX_ADDRESSES_MAX) {
            family->items[place] = ips[i];
        }
    }
    return status;
}

/*
 * A family without addresses says nothing: of a host that has IPv6 alone, the answer to the other
 * question may be lost or of any kind. Where both have some, the weaker answer counts.
 */
static void
note_security(const struct family *v6, const struct family *v4, struct mx_addresses *found)
{
    const struct family *first = v6->count > 0 ? v6 : v4;
    found->security = first->security;
    found->canonical = first->canonical;
    if (v6->count > 0 && v4->count > 0 && v4->security != DNS_SECURITY_SECURE) {
        found->security = v4->security;
        found->canonical = v4->canonical;
    }
}

enum status
mx_addresses_find(struct arena *arena, const struct dns_source *dns, struct str host,
                  const struct mx_rules *rules, struct mx_addresses *addresses_out)
{
    struct family v6, v4;
    struct ip_address *items = arena_alloc_array(arena, MX_ADDRESSES_MAX, sizeof *items);
    struct mx_addresses found = {.outcome = MX_FOUND, .items = items};
    if (items == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = family_find(arena, dns, host, DNS_TYPE_AAAA, rules, &v6);
    if (status == STATUS_OK) {
        status = family_find(arena, dns, host, DNS_TYPE_A, rules, &v4);
    }
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; found.count < MX_ADDRESSES_MAX && (i < v6.count || i < v4.count); i++) {
        if (i < v6.count) {
            items[found.count++] = v6.items[i];
        }
        if (i < v4.count && found.count < MX_ADDRESSES_MAX) {
            items[found.count++] = v4.items[i];
        }
    }
    note_security(&v6, &v4, &found);
    if (found.count == 0 && (v6.temporary || v4.temporary)) {
        found.outcome = MX_TEMPORARY;
        found.reply = SMTP_REPLY(0, 4, 4, 3, "the host's addresses cannot be looked up");
    } else if (found.count == 0) {
        found.outcome = MX_PERMANENT;
        found.reply = SMTP_REPLY(0, 5, 4, 4, "the host has no address");
    }
    *addresses_out = found;
    return STATUS_OK;
}

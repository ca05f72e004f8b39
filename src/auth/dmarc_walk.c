#include "auth/dmarc_walk.h"

#include "dns/name.h"
#include "dns/rdata.h"

/* RFC 9989 4.10, step 4. */
#define LABELS_KEPT 7u

void
dmarc_lookups_init(struct dmarc_lookups *lookups, struct arena *arena, const struct dns_source *dns)
{
    lookups->arena = arena;
    lookups->dns = dns;
    lookups->count = 0;
}

/* Reads the records of an answer into an item. RFC 9989 4.10, steps 2 and 6. */
static enum status
read_answer(struct arena *arena, const struct dns_answer *answer, struct dmarc_lookup *item)
{
    size_t ours = 0;
    struct str found = {0};
    for (size_t i = 0; i < answer->record_count; i++) {
        struct str text;
        enum status status = dns_rdata_txt(arena, answer->records[i], &text);
        if (status == STATUS_LIMIT) {
            return status;
        }
        if (status == STATUS_OK && dmarc_record_is_ours(text)) {
            found = text;
            ours++;
        }
    }
    if (ours > 1) {
        item->problem = "several DMARC records, so that none of them counts";
    }
    if (ours != 1) {
        return STATUS_OK;
    }
    enum dmarc_record_result result;
    enum status status = dmarc_record_parse(arena, found, &result, &item->record);
    if (status == STATUS_OK && result == DMARC_RECORD_OK) {
        item->state = DMARC_LOOKUP_FOUND;
    } else if (status == STATUS_OK) {
        item->problem = "a tag occurs twice in the DMARC record, so that it does not count";
    }
    return status;
}

static enum status
ask(struct dmarc_lookups *lookups, struct dmarc_lookup *item)
{
    struct dns_answer answer;
    struct str name = arena_printf(lookups->arena, "_dmarc.%.*s", STR_ARG(item->domain));
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    if (name.n + 2 > DNS_NAME_WIRE_MAX) {
        item->outcome = DNS_OUTCOME_NXDOMAIN; /* too long a name cannot exist */
        return STATUS_OK;
    }
    enum status status = dns_resolve(lookups->dns, lookups->arena, name, DNS_TYPE_TXT, &answer);
    if (status != STATUS_OK) {
        return status == STATUS_SYNTAX ? STATUS_OK : status;
    }
    item->outcome = answer.outcome;
    if (dns_outcome_is_temporary(answer.outcome)) {
        item->state = DMARC_LOOKUP_TEMPORARY;
        return STATUS_OK;
    }
    return read_answer(lookups->arena, &answer, item);
}

enum status
dmarc_lookup_get(struct dmarc_lookups *lookups, struct str domain,
                 const struct dmarc_lookup **lookup_out)
{
    static const struct dmarc_lookup limit = {.state = DMARC_LOOKUP_LIMIT};
    for (size_t i = 0; i < lookups->count; i++) {
        if (str_eq(lookups->items[i].domain, domain)) {
            *lookup_out = &lookups->items[i];
            return STATUS_OK;
        }
    }
    if (lookups->count == DMARC_QUERIES_MAX) {
        *lookup_out = &limit;
        return STATUS_OK;
    }
    struct dmarc_lookup *item = &lookups->items[lookups->count];
    *item = (struct dmarc_lookup){
        .domain = domain, .state = DMARC_LOOKUP_NONE, .outcome = DNS_OUTCOME_NODATA};
    enum status status = ask(lookups, item);
    if (status == STATUS_OK) {
        lookups->count++;
        *lookup_out = item;
    }
    return status;
}

/* The last `labels` labels of a domain; all of it when it has fewer. */
static struct str
last_labels(struct str domain, size_t labels)
{
    for (size_t i = domain.n; i > 0; i--) {
        if (domain.p[i - 1] == '.' && --labels == 0) {
            return str_skip(domain, i);
        }
    }
    return domain;
}

size_t
dmarc_walk_names(struct str domain, struct str names_out[static DMARC_WALK_MAX])
{
    size_t labels = str_count_char(domain, '.') + 1;
    size_t count = 0;
    names_out[count++] = domain;
    for (size_t left = labels > LABELS_KEPT ? LABELS_KEPT : labels - 1; left > 0; left--) {
        names_out[count++] = last_labels(domain, left);
    }
    return count;
}

/*
 * RFC 9989 4.10.2: takes in what was found at a name; names come from the longest to the shortest.
 * True when the choice is made.
 */
static bool
walk_take(struct dmarc_walk *walk, struct str start, const struct dmarc_lookup *lookup)
{
    bool is_start = lookup->domain.n == start.n;
    if (lookup->record.psd == DMARC_PSD_YES && !is_start) {
        /* Rule 2: one label below, with its own record if it was found before. */
        size_t labels = str_count_char(lookup->domain, '.') + 1;
        struct str below = last_labels(start, labels + 1);
        if (!str_eq(walk->organizational_domain, below)) {
            walk->organizational = NULL;
        }
        walk->organizational_domain = below;
        walk->public_suffix = lookup;
        return true;
    }
    /* Rules 1 and 3: of those found so far, the one with the fewest labels. */
    walk->organizational_domain = lookup->domain;
    walk->organizational = lookup;
    return lookup->record.psd != DMARC_PSD_UNKNOWN; /* 4.10, steps 2 and 6: stop */
}

enum status
dmarc_walk_run(struct dmarc_lookups *lookups, struct str domain, struct dmarc_walk *walk_out)
{
    struct str names[DMARC_WALK_MAX];
    struct dmarc_walk walk = {.state = DMARC_LOOKUP_NONE, .organizational_domain = domain};
    size_t count = dmarc_walk_names(domain, names);
    bool done = false;
    for (size_t i = 0; i < count && !done; i++) {
        const struct dmarc_lookup *lookup;
        enum status status = dmarc_lookup_get(lookups, names[i], &lookup);
        if (status != STATUS_OK) {
            return status;
        }
        if (lookup->state == DMARC_LOOKUP_FOUND) {
            walk.state = DMARC_LOOKUP_FOUND;
            done = walk_take(&walk, domain, lookup);
        } else if (lookup->state != DMARC_LOOKUP_NONE) {
            walk.state = lookup->state;
            done = true;
        }
    }
    *walk_out = walk;
    return STATUS_OK;
}

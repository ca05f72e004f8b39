/* The checks of domains, their recipients and aliases. */
#include "config/check.h"
#include "config/order.h"

/* How far the walk through the aliases has come with one of them. */
enum walk {
    WALK_NEW,
    WALK_OPEN, /* on the way from the root of the walk; meeting it again is a loop */
    WALK_DONE,
};

struct alias_entry {
    const struct config_alias *alias;
    const struct yaml_node *node;
    enum walk walk;
    unsigned height; /* of the tree of aliases below it, itself included */
    size_t targets;  /* addresses it comes to in the end, repeated ones counted again */
};

struct domain_entry {
    const struct config_domain *domain;
    const struct yaml_node *node;
    struct alias_entry *entries;
    struct named *aliases; /* sorted; object: struct alias_entry */
    struct named *list;    /* sorted */
};

/* All domains, to be found by name. */
struct domain_index {
    struct checker *checker;
    struct domain_entry *entries; /* in the order of the file */
    struct named *names;          /* sorted; object: struct domain_entry */
    size_t count;
    bool has_gaps; /* a name was wrong or missing: what looks unknown may not be */
};

static const struct domain_entry *
index_domain(const struct domain_index *index, struct str name)
{
    const struct named *found = named_find(index->names, index->count, name);
    return found != NULL ? found->object : NULL;
}

static struct alias_entry *
entry_alias(const struct domain_entry *entry, struct str local)
{
    size_t count = entry->domain->aliases.count;
    const struct named *found = named_find(entry->aliases, count, local);
    struct str base = config_plus_base(entry->domain, local);
    if (found == NULL && base.n > 0) {
        found = named_find(entry->aliases, count, base);
    }
    return found != NULL
               ? &entry->entries[(const struct alias_entry *)found->object - entry->entries]
               : NULL;
}

static bool
entry_lists(const struct domain_entry *entry, struct str local)
{
    size_t count = entry->domain->list.count;
    struct str base = config_plus_base(entry->domain, local);
    return named_find(entry->list, count, local) != NULL ||
           (base.n > 0 && named_find(entry->list, count, base) != NULL);
}

/* Reports an address of ours that can be seen not to exist. */
static void
check_exists(struct domain_index *index, const struct config_mailbox *mailbox, struct place place)
{
    const struct domain_entry *entry = index_domain(index, mailbox->domain);
    if (entry == NULL || entry->domain->recipients != CONFIG_RECIPIENTS_LIST ||
        entry_alias(entry, mailbox->local) != NULL || entry_lists(entry, mailbox->local) ||
        entry->domain->catch_all.text.n > 0) {
        return;
    }
    struct str text = report_quote(index->checker->report, mailbox->text);
    report_add(
        index->checker->report, place,
        "the address %.*s does not exist: it is neither in the list nor among the aliases of "
        "its domain",
        STR_ARG(text));
}

static void
check_catch_all(struct domain_index *index, const struct domain_entry *entry)
{
    const struct config_mailbox *catch_all = &entry->domain->catch_all;
    struct report *report = index->checker->report;
    struct place place = yaml_place_of(entry->node, "catch_all");
    if (catch_all->text.n == 0 || index->has_gaps) {
        return;
    }
    const struct domain_entry *target = index_domain(index, catch_all->domain);
    struct str text = report_quote(report, catch_all->text);
    if (target == NULL) {
        report_add(report, place,
                   "catch_all: %.*s is not in one of the domains here; forward with an alias "
                   "instead",
                   STR_ARG(text));
        return;
    }
    bool unknown = target->domain->recipients == CONFIG_RECIPIENTS_LIST &&
                   entry_alias(target, catch_all->local) == NULL &&
                   !entry_lists(target, catch_all->local);
    if (unknown) {
        report_add(
            report, place,
            "catch_all: %.*s does not exist: it is neither in the list nor among the aliases "
            "of its domain",
            STR_ARG(text));
    }
}

/* Somebody must get postmaster's mail (RFC 5321 4.5.1). */
static void
check_postmaster(struct domain_index *index, const struct domain_entry *entry)
{
    static const struct str postmaster = STR_INIT("postmaster");
    const struct config_domain *domain = entry->domain;
    const struct yaml_node *bounce = yaml_map_get(index->checker->tree, "bounce");
    bool decided_behind = domain->recipients == CONFIG_RECIPIENTS_CALLOUT ||
                          domain->recipients == CONFIG_RECIPIENTS_ANY;
    if (yaml_map_get(bounce, "postmaster") != NULL || decided_behind || domain->name.n == 0 ||
        yaml_map_get(entry->node, "catch_all") != NULL || entry_alias(entry, postmaster) != NULL ||
        entry_lists(entry, postmaster)) {
        return;
    }
    report_add(
        index->checker->report, entry->node->place,
        "nobody would get the mail to postmaster@%.*s; set bounce.postmaster, or a catch_all "
        "or an alias postmaster in this domain",
        STR_ARG(domain->name));
}

static void
check_list(struct domain_index *index, const struct domain_entry *entry)
{
    const struct config_domain *domain = entry->domain;
    struct report *report = index->checker->report;
    const struct yaml_node *list = yaml_map_get(entry->node, "list");
    const struct yaml_node *node = domain->list.count > 0 ? list->first : NULL;
    for (size_t i = 0; i < domain->list.count; i++, node = node->next) {
        const struct config_mailbox *mailbox = &domain->list.items[i];
        entry->list[i] = (struct named){mailbox->local, node, mailbox};
        if (mailbox->text.n > 0 && domain->name.n > 0 && !str_eq(mailbox->domain, domain->name)) {
            struct str text = report_quote(report, mailbox->text);
            report_add(report, node->place, "list: %.*s is not in the domain %.*s", STR_ARG(text),
                       STR_ARG(domain->name));
        }
    }
    report_repeated(index->checker, "the recipient", entry->list, domain->list.count);
    bool uses_list = domain->recipients == CONFIG_RECIPIENTS_LIST;
    if (domain->list.count > 0 && !uses_list) {
        report_add(report, list->place,
                   "list: only read with recipients: list; write that, or leave out the list");
    } else if (uses_list && (list == NULL || list->count == 0) && domain->aliases.count == 0) {
        report_add(report, yaml_place_of(entry->node, "recipients"),
                   "recipients: list, but neither list nor aliases name anybody");
    }
}

static void
index_aliases(struct domain_index *index, struct domain_entry *entry)
{
    const struct config_aliases *aliases = &entry->domain->aliases;
    const struct yaml_node *node =
        aliases->count > 0 ? yaml_map_get(entry->node, "aliases")->first : NULL;
    for (size_t i = 0; i < aliases->count; i++, node = node->next) {
        entry->entries[i] = (struct alias_entry){.alias = &aliases->items[i], .node = node};
        entry->aliases[i] = (struct named){aliases->items[i].name, node, &entry->entries[i]};
    }
    report_repeated(index->checker, "the alias", entry->aliases, aliases->count);
}

/* The alias that a target leads to; NULL when it is a mailbox, outside, or the alias's own name. */
static struct alias_entry *
follow(const struct domain_index *index, const struct alias_entry *from,
       const struct config_mailbox *target)
{
    const struct domain_entry *entry = index_domain(index, target->domain);
    struct alias_entry *to = entry != NULL ? entry_alias(entry, target->local) : NULL;
    return to != from ? to : NULL;
}

static void walk_alias(struct domain_index *index, struct alias_entry *from, unsigned depth);

/* One step of the walk; true when going on makes sense. */
static bool
walk_step(struct domain_index *index, struct alias_entry *from, struct alias_entry *to,
          struct place place, unsigned depth)
{
    struct report *report = index->checker->report;
    if (to->walk == WALK_OPEN) {
        struct str name = report_quote(report, to->alias->name);
        report_add(report, place,
                   "aliases go round in a circle: this leads back to %.*s on line %u",
                   STR_ARG(name), to->node->place.line);
        return false;
    }
    if (to->walk == WALK_NEW && depth < CONFIG_ALIAS_DEPTH_MAX) {
        walk_alias(index, to, depth + 1);
    }
    unsigned height = to->walk == WALK_DONE ? to->height + 1 : CONFIG_ALIAS_DEPTH_MAX + 1;
    if (height > CONFIG_ALIAS_DEPTH_MAX) {
        report_add(report, place, "aliases lead to aliases more than %u deep",
                   CONFIG_ALIAS_DEPTH_MAX);
        return false;
    }
    from->height = height > from->height ? height : from->height;
    from->targets += to->targets;
    return true;
}

/*
 * Follows an alias to its end, each alias once. An alias with an error counts as a short one
 * afterwards, so that one fault is told once. Recursion ends at CONFIG_ALIAS_DEPTH_MAX.
 */
static void
walk_alias(struct domain_index *index, struct alias_entry *from, unsigned depth)
{
    from->walk = WALK_OPEN;
    from->height = 1;
    from->targets = 0;
    const struct config_mailboxes *to = &from->alias->to;
    const struct yaml_node *node = to->count > 0 ? yaml_map_get(from->node, "to")->first : NULL;
    for (size_t i = 0; i < to->count; i++, node = node->next) {
        struct alias_entry *next = follow(index, from, &to->items[i]);
        if (next == NULL) {
            from->targets++;
            check_exists(index, &to->items[i], node->place);
        } else if (!walk_step(index, from, next, node->place, depth)) {
            from->height = 1;
            break;
        }
        if (from->targets > CONFIG_ALIAS_TARGETS_MAX) {
            report_add(index->checker->report, from->node->place,
                       "the alias comes to more than %u addresses in the end",
                       CONFIG_ALIAS_TARGETS_MAX);
            from->targets = 0;
            break;
        }
    }
    from->walk = WALK_DONE;
}

/* Builds the index and checks each domain by itself; false past a limit (reported). */
static bool
index_build(struct domain_index *index)
{
    struct checker *checker = index->checker;
    const struct config_domains *domains = &checker->config->domains;
    const struct yaml_node *node = yaml_map_get(checker->tree, "domains")->first;
    for (size_t i = 0; i < domains->count; i++, node = node->next) {
        struct domain_entry *entry = &index->entries[i];
        const struct config_domain *domain = &domains->items[i];
        entry->domain = domain;
        entry->node = node;
        entry->entries =
            arena_alloc_array(checker->scratch, domain->aliases.count + 1, sizeof *entry->entries);
        entry->aliases = named_alloc(checker, domain->aliases.count);
        entry->list = named_alloc(checker, domain->list.count);
        if (entry->entries == NULL || entry->aliases == NULL || entry->list == NULL) {
            return false;
        }
        check_list(index, entry);
        index_aliases(index, entry);
        index->names[i] = (struct named){domain->name, node, entry};
        index->has_gaps = index->has_gaps || domain->name.n == 0;
    }
    report_repeated(checker, "the domain", index->names, index->count);
    return true;
}

static void
check_bounce_postmaster(struct domain_index *index)
{
    const struct yaml_node *bounce = yaml_map_get(index->checker->tree, "bounce");
    const struct config_mailbox *postmaster = &index->checker->config->bounce.postmaster;
    if (postmaster->text.n > 0) {
        check_exists(index, postmaster, yaml_place_of(bounce, "postmaster"));
    }
}

void
check_domains(struct checker *checker)
{
    const struct config_domains *domains = &checker->config->domains;
    if (domains->count == 0) {
        return;
    }
    struct domain_index index = {
        .checker = checker,
        .entries = arena_alloc_array(checker->scratch, domains->count, sizeof(struct domain_entry)),
        .names = named_alloc(checker, domains->count),
        .count = domains->count,
    };
    if (index.entries == NULL || index.names == NULL || !index_build(&index)) {
        report_add(checker->report, (struct place){0}, "the configuration is too large");
        return;
    }
    for (size_t i = 0; i < index.count; i++) {
        const struct domain_entry *entry = &index.entries[i];
        check_catch_all(&index, entry);
        check_postmaster(&index, entry);
        for (size_t k = 0; k < entry->domain->aliases.count; k++) {
            if (entry->entries[k].walk == WALK_NEW) {
                walk_alias(&index, &entry->entries[k], 1);
            }
        }
    }
    check_bounce_postmaster(&index);
}

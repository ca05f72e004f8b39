#include "config/config.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "config/load.h"
#include "config/order.h"
#include "config/scalar.h"

/* Most memory that a configuration and the work on reading it may take, in octets each. */
#define CONFIG_MEMORY_MAX ((size_t)512 << 20)

struct config_control {
    atomic_uint references;
    struct arena *arena; /* holds the configuration; this control too */
};

static struct config *
config_create(void)
{
    struct arena *arena = arena_create(CONFIG_MEMORY_MAX);
    struct config *config = arena_alloc(arena, sizeof *config);
    struct config_control *control = arena_alloc(arena, sizeof *control);
    if (config == NULL || control == NULL) {
        abort(); /* the ceiling is far above: no input can get here */
    }
    atomic_init(&control->references, 1);
    control->arena = arena;
    config->control = control;
    return config;
}

/* What is in the file goes to *config; false when something was wrong (then it is reported). */
static bool
config_read(struct report *report, struct str text, struct config *config)
{
    struct arena *scratch = arena_create(CONFIG_MEMORY_MAX);
    struct yaml_node *tree = yaml_tree_parse(scratch, report, text);
    if (tree != NULL) {
        load_tree(config->control->arena, report, tree, config);
        check_config(scratch, report, tree, config);
    }
    if (tree != NULL && report->errors->count == 0) {
        finish_config(tree, config);
    }
    report_sort(report);
    arena_destroy(&scratch);
    return report->errors->count == 0;
}

enum status
config_load_text(struct arena *arena, struct str text, const struct config **out,
                 struct config_errors *errors_out)
{
    struct report report = {.arena = arena, .errors = errors_out};
    errors_out->count = 0;
    errors_out->more = false;
    if (text.n > CONFIG_TEXT_MAX) {
        report_add(&report, (struct place){0}, "larger than the %u MiB that are read",
                   CONFIG_TEXT_MAX >> 20);
        return STATUS_LIMIT;
    }
    struct config *config = config_create();
    if (!config_read(&report, text, config)) {
        struct arena *failed = config->control->arena;
        arena_destroy(&failed);
        return STATUS_SYNTAX;
    }
    *out = config;
    return STATUS_OK;
}

struct str
config_error_format(struct arena *arena, struct str file_name, const struct config_error *error)
{
    if (error->line == 0) {
        return arena_printf(arena, "%.*s: %.*s", STR_ARG(file_name), STR_ARG(error->text));
    }
    return arena_printf(arena, "%.*s:%u:%u: %.*s", STR_ARG(file_name), error->line, error->column,
                        STR_ARG(error->text));
}

const struct config *
config_ref(const struct config *config)
{
    atomic_fetch_add_explicit(&config->control->references, 1, memory_order_relaxed);
    return config;
}

void
config_unref(const struct config **config)
{
    if (*config == NULL) {
        return;
    }
    struct config_control *control = (*config)->control;
    *config = NULL;
    if (atomic_fetch_sub_explicit(&control->references, 1, memory_order_acq_rel) == 1) {
        struct arena *arena = control->arena;
        arena_destroy(&arena);
    }
}

/* Orders for qsort and bsearch; the first member of each struct is the name it is found by. */
static int
domain_compare(const void *a, const void *b)
{
    return str_cmp(((const struct config_domain *)a)->name,
                   ((const struct config_domain *)b)->name);
}

static int
route_compare(const void *a, const void *b)
{
    const struct config_route *x = a;
    const struct config_route *y = b;
    int order = str_cmp(x->domain, y->domain);
    return order != 0 ? order : (int)x->with_subdomains - (int)y->with_subdomains;
}

static int
alias_compare(const void *a, const void *b)
{
    return order_compare(((const struct config_alias *)a)->name,
                         ((const struct config_alias *)b)->name);
}

static int
mailbox_compare(const void *a, const void *b)
{
    return order_compare(((const struct config_mailbox *)a)->local,
                         ((const struct config_mailbox *)b)->local);
}

/* The lists are const for readers; until the configuration is handed out they are ours to order. */
static void *
own(const void *items)
{
    return (void *)(uintptr_t)items;
}

static void
sort(const void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    if (count > 1) {
        qsort(own(items), count, size, compare);
    }
}

static void
finish_listeners(const struct yaml_node *tree, struct config *config)
{
    struct config_listener *listeners = own(config->listeners.items);
    const struct yaml_node *node = yaml_map_get(tree, "listeners")->first;
    for (size_t i = 0; i < config->listeners.count; i++, node = node->next) {
        if (yaml_map_get(node, "tls") == NULL) {
            listeners[i].tls = listeners[i].kind == CONFIG_LISTENER_MX ? CONFIG_TLS_OPPORTUNISTIC
                                                                       : CONFIG_TLS_REQUIRED;
        }
    }
}

static void
finish_routes(struct config *config)
{
    struct config_route *routes = own(config->routes.items);
    for (size_t i = 0; i < config->routes.count; i++) {
        if (str_starts_with(routes[i].domain, STR("."))) {
            routes[i].domain = str_skip(routes[i].domain, 1);
            routes[i].with_subdomains = true;
        }
    }
    sort(routes, config->routes.count, sizeof *routes, route_compare);
}

void
finish_config(const struct yaml_node *tree, struct config *config)
{
    finish_listeners(tree, config);
    finish_routes(config);
    for (size_t i = 0; i < config->domains.count; i++) {
        const struct config_domain *domain = &config->domains.items[i];
        sort(domain->aliases.items, domain->aliases.count, sizeof(struct config_alias),
             alias_compare);
        sort(domain->list.items, domain->list.count, sizeof(struct config_mailbox),
             mailbox_compare);
    }
    sort(config->domains.items, config->domains.count, sizeof(struct config_domain),
         domain_compare);
}

/*
 * A name as it is searched for: lower case, A-labels. In `buffer`; empty when it is no domain name.
 */
static struct str
lookup_name(struct str name, char buffer[static DOMAIN_NAME_MAX])
{
    struct str found = {0};
    if (str_is_ascii(name)) {
        for (size_t i = 0; i < name.n && name.n <= DOMAIN_NAME_MAX; i++) {
            buffer[i] = char_lower(name.p[i]);
        }
        return str_make(buffer, name.n <= DOMAIN_NAME_MAX ? name.n : 0);
    }
    const char *reason;
    struct arena *arena = arena_create((size_t)16 << 10);
    if (domain_name_normalize(arena, name, &reason, &found) == STATUS_OK) {
        memcpy(buffer, found.p, found.n);
        found.p = buffer;
    }
    arena_destroy(&arena);
    return found;
}

const struct config_domain *
config_domain_find(const struct config *config, struct str name)
{
    char buffer[DOMAIN_NAME_MAX];
    struct config_domain key = {.name = lookup_name(name, buffer)};
    if (key.name.n == 0 || config->domains.count == 0) {
        return NULL;
    }
    return bsearch(&key, config->domains.items, config->domains.count, sizeof key, domain_compare);
}

static const struct config_route *
route_find(const struct config *config, struct str domain, bool with_subdomains)
{
    struct config_route key = {.domain = domain, .with_subdomains = with_subdomains};
    if (config->routes.count == 0) {
        return NULL;
    }
    return bsearch(&key, config->routes.items, config->routes.count, sizeof key, route_compare);
}

const struct config_route *
config_route_find(const struct config *config, struct str domain)
{
    char buffer[DOMAIN_NAME_MAX];
    struct str name = lookup_name(domain, buffer);
    const struct config_route *route = route_find(config, name, false);
    struct str head;
    while (route == NULL && str_cut(name, '.', &head, &name)) {
        route = route_find(config, name, true);
    }
    return route;
}

bool
config_networks_contain(const struct config_networks *networks, const struct ip_address *ip)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (ip_network_contains(&networks->items[i], ip)) {
            return true;
        }
    }
    return false;
}

const struct config_zone *
config_zone_find(const struct config *config, struct str name)
{
    for (size_t i = 0; i < config->zones.count; i++) {
        if (str_eq(config->zones.items[i].name, name)) {
            return &config->zones.items[i];
        }
    }
    return NULL;
}

const struct config_zone *
config_zone_for_ip(const struct config *config, const struct ip_address *ip)
{
    const struct config_zone *best = NULL;
    unsigned best_prefix = 0;
    for (size_t i = 0; i < config->zones.count; i++) {
        const struct config_zone *zone = &config->zones.items[i];
        for (size_t k = 0; k < zone->networks.count; k++) {
            const struct ip_network *network = &zone->networks.items[k];
            if ((best == NULL || network->prefix > best_prefix) &&
                ip_network_contains(network, ip)) {
                best = zone;
                best_prefix = network->prefix;
            }
        }
    }
    return best;
}

const struct config_dane_exception *
config_dane_exception_for(const struct config *config, struct str domain, int64_t now_ms)
{
    for (size_t i = 0; i < config->dane.exceptions.count; i++) {
        const struct config_dane_exception *exception = &config->dane.exceptions.items[i];
        if (now_ms < exception->until_ms && str_eq_nocase(exception->domain, domain)) {
            return exception;
        }
    }
    return NULL;
}

const struct config_alias *
config_alias_find(const struct config_domain *domain, struct str local)
{
    struct config_alias key = {.name = local};
    if (domain->aliases.count == 0) {
        return NULL;
    }
    return bsearch(&key, domain->aliases.items, domain->aliases.count, sizeof key, alias_compare);
}

bool
config_list_contains(const struct config_domain *domain, struct str local)
{
    struct config_mailbox key = {.local = local};
    return domain->list.count > 0 && bsearch(&key, domain->list.items, domain->list.count,
                                             sizeof key, mailbox_compare) != NULL;
}

struct str
config_plus_base(const struct config_domain *domain, struct str local)
{
    size_t at = domain->plus_addressing ? str_find_char(str_skip(local, 1), domain->plus_separator)
                                        : STR_NPOS;
    return at != STR_NPOS ? str_head(local, at + 1) : (struct str){0};
}

static const char *
choice_name(const struct schema_choice *choices, unsigned value)
{
    for (; choices->name != NULL; choices++) {
        if (choices->value == value) {
            return choices->name;
        }
    }
    return "unknown";
}

const char *
config_listener_kind_name(enum config_listener_kind kind)
{
    /* It has no word in the file, because nobody writes it there. */
    return kind == CONFIG_LISTENER_LOCAL ? "sendmail" : choice_name(schema_listener_kinds, kind);
}

const char *
config_tls_mode_name(enum config_tls_mode mode)
{
    return choice_name(schema_tls_modes, mode);
}

const char *
config_tls_version_name(enum config_tls_version version)
{
    return choice_name(schema_tls_versions, version);
}

const char *
config_recipients_name(enum config_recipients recipients)
{
    return choice_name(schema_recipients, recipients);
}

const char *
config_action_name(enum config_action action)
{
    return choice_name(schema_actions, action);
}

const char *
config_seal_name(enum config_seal seal)
{
    return choice_name(schema_seals, seal);
}

struct str
config_authserv_id(const struct config *config)
{
    struct str id = config->authentication.authserv_id;
    return id.n > 0 ? id : config->hostname;
}

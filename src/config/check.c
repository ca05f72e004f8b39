#include "config/check.h"

#include <stdlib.h>

#include "config/load.h"
#include "config/order.h"

struct named *
named_alloc(struct checker *checker, size_t count)
{
    struct named *items = arena_alloc_array(checker->scratch, count + 1, sizeof *items);
    if (items == NULL) {
        report_add(checker->report, (struct place){0}, "the configuration is too large");
    }
    return items;
}

static int
named_compare(const void *a, const void *b)
{
    const struct named *x = a;
    const struct named *y = b;
    int order = order_compare(x->name, y->name);
    if (order != 0) {
        return order;
    }
    struct place p = x->node->place;
    struct place q = y->node->place;
    if (p.line != q.line) {
        return p.line < q.line ? -1 : 1;
    }
    return p.column < q.column ? -1 : p.column > q.column;
}

void
named_sort(struct named *items, size_t count)
{
    if (count > 1) {
        qsort(items, count, sizeof *items, named_compare);
    }
}

const struct named *
named_find(const struct named *items, size_t count, struct str name)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order_compare(items[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && order_compare(items[low].name, name) == 0 ? &items[low] : NULL;
}

void
report_repeated(struct checker *checker, const char *what, struct named *items, size_t count)
{
    named_sort(items, count);
    const struct named *first = items;
    for (size_t i = 1; i < count; i++) {
        if (items[i].name.n == 0 || order_compare(items[i].name, first->name) != 0) {
            first = &items[i];
            continue;
        }
        struct str name = report_quote(checker->report, items[i].name);
        report_add(checker->report, items[i].node->place,
                   "%s %.*s is listed twice; the first is on line %u", what, STR_ARG(name),
                   first->node->place.line);
    }
}

static bool
is_any_address(const struct ip_address *ip)
{
    static const struct ip_address v6_any;
    struct ip_address v4_any = {.octets = {[10] = 0xff, [11] = 0xff}};
    return ip_eq(ip, &v6_any) || ip_eq(ip, &v4_any);
}

/* Whether two sockets cannot both listen; IPv6 sockets of Postern take IPv6 only. */
static bool
addresses_clash(const struct ip_address *a, const struct ip_address *b)
{
    if (ip_is_v4(a) != ip_is_v4(b)) {
        return false;
    }
    return ip_eq(a, b) || is_any_address(a) || is_any_address(b);
}

static void
check_listener_tls(struct checker *checker, size_t i, const struct yaml_node *node,
                   const struct config_listener *listener)
{
    const struct yaml_node *tls = yaml_map_get(node, "tls");
    if (tls == NULL) {
        return;
    }
    if (listener->kind == CONFIG_LISTENER_SMTPS && listener->tls != CONFIG_TLS_REQUIRED) {
        report_add(checker->report, tls->place,
                   "listeners[%zu].tls: smtps is TLS from the first octet; leave tls out or write "
                   "required",
                   i);
    } else if (listener->kind == CONFIG_LISTENER_SUBMISSION && listener->tls == CONFIG_TLS_NONE) {
        report_add(checker->report, tls->place,
                   "listeners[%zu].tls: nobody could log in, because that needs TLS; leave tls out "
                   "or write required",
                   i);
    }
}

static void
check_metrics_port(struct checker *checker, size_t i, const struct config_listener *listener)
{
    const struct config_metrics *metrics = &checker->config->metrics;
    if (metrics->enabled && listener->port == metrics->port &&
        addresses_clash(&listener->address, &metrics->address)) {
        const struct yaml_node *group = yaml_map_get(checker->tree, "metrics");
        const struct yaml_node *list = yaml_map_get(checker->tree, "listeners");
        report_add(checker->report, group != NULL ? yaml_place_of(group, "port") : list->place,
                   "metrics.port: port %u of this address is taken by listeners[%zu]",
                   metrics->port, i);
    }
}

static void
check_listeners(struct checker *checker)
{
    const struct config_listeners *listeners = &checker->config->listeners;
    const struct yaml_node *list = yaml_map_get(checker->tree, "listeners");
    const struct yaml_node *node = listeners->count > 0 ? list->first : NULL;
    for (size_t i = 0; i < listeners->count; i++, node = node->next) {
        const struct config_listener *listener = &listeners->items[i];
        if (!yaml_is_sound(node, "address") || !yaml_is_sound(node, "port")) {
            continue;
        }
        check_listener_tls(checker, i, node, listener);
        check_metrics_port(checker, i, listener);
        const struct yaml_node *before = list->first;
        for (size_t k = 0; k < i; k++, before = before->next) {
            const struct config_listener *other = &listeners->items[k];
            if (yaml_is_sound(before, "address") && other->port == listener->port &&
                addresses_clash(&other->address, &listener->address)) {
                report_add(checker->report, node->place,
                           "listeners[%zu]: port %u of this address is taken by listeners[%zu] on "
                           "line %u",
                           i, listener->port, k, before->place.line);
                break;
            }
        }
    }
}

static void
check_tls(struct checker *checker)
{
    const struct config *config = checker->config;
    const struct yaml_node *group = yaml_map_get(checker->tree, "tls");
    const struct yaml_node *list = yaml_map_get(group, "certificates");
    bool lists_some = list != NULL && list->count > 0;
    if (config->tls.self_signed || lists_some || group == NULL) {
        return;
    }
    const struct yaml_node *listeners = yaml_map_get(checker->tree, "listeners");
    const struct yaml_node *node = config->listeners.count > 0 ? listeners->first : NULL;
    for (size_t i = 0; i < config->listeners.count; i++, node = node->next) {
        bool is_default = yaml_map_get(node, "tls") == NULL;
        if (is_default || config->listeners.items[i].tls != CONFIG_TLS_NONE) {
            report_add(checker->report, yaml_place_of(group, "self_signed"),
                       "tls: listeners[%zu] offers TLS, but there is no certificate; list one "
                       "under tls.certificates or allow self_signed",
                       i);
            return;
        }
    }
}

/* Whether mail handed there would come in again at one of our own listeners. */
static void
check_destination(struct checker *checker, const struct config_delivery *to, struct place place)
{
    if (!to->host_is_ip) {
        return;
    }
    const struct config_listeners *listeners = &checker->config->listeners;
    for (size_t i = 0; i < listeners->count; i++) {
        if (listeners->items[i].port == to->port && ip_eq(&listeners->items[i].address, &to->ip)) {
            report_add(checker->report, place,
                       "%.*s is listeners[%zu] of this gateway: mail would go round in a circle",
                       STR_ARG(to->text), i);
            return;
        }
    }
}

/* A password goes to one host, by name or address, over the network. */
static void
check_login(struct checker *checker, const struct config_login *login,
            const struct config_delivery *to, const struct yaml_node *node)
{
    if (login->user.n > 0 && to->kind != CONFIG_DELIVERY_SMTP) {
        report_add(checker->report, yaml_place_of(node, "login"),
                   "login: the next hop must be written as smtp://host:port; a password goes to "
                   "one host");
    }
}

static void
check_routes(struct checker *checker)
{
    const struct config_routes *routes = &checker->config->routes;
    const struct config_domains *domains = &checker->config->domains;
    struct named *names = named_alloc(checker, routes->count);
    struct named *own = named_alloc(checker, domains->count);
    if (names == NULL || own == NULL) {
        return;
    }
    const struct yaml_node *list = yaml_map_get(checker->tree, "domains");
    const struct yaml_node *node = domains->count > 0 ? list->first : NULL;
    for (size_t i = 0; i < domains->count; i++, node = node->next) {
        own[i] = (struct named){domains->items[i].name, node, &domains->items[i]};
        check_destination(checker, &domains->items[i].delivery, yaml_place_of(node, "delivery"));
    }
    named_sort(own, domains->count);
    list = yaml_map_get(checker->tree, "routes");
    node = routes->count > 0 ? list->first : NULL;
    for (size_t i = 0; i < routes->count; i++, node = node->next) {
        const struct config_route *route = &routes->items[i];
        names[i] = (struct named){route->domain, node, route};
        check_destination(checker, &route->to, yaml_place_of(node, "to"));
        check_login(checker, &route->login, &route->to, node);
        if (route->domain.n > 0 && named_find(own, domains->count, route->domain) != NULL) {
            report_add(checker->report, yaml_place_of(node, "domain"),
                       "routes[%zu].domain: mail for %.*s goes where its delivery under domains "
                       "says; leave out one of the two",
                       i, STR_ARG(route->domain));
        }
    }
    report_repeated(checker, "the route for", names, routes->count);
    const struct yaml_node *smart_host = yaml_map_get(checker->tree, "smart_host");
    check_destination(checker, &checker->config->smart_host.to, yaml_place_of(smart_host, "to"));
    check_login(checker, &checker->config->smart_host.login, &checker->config->smart_host.to,
                smart_host);
}

/* The text under which a network is compared: its octets and its prefix. */
static struct str
network_key(struct checker *checker, const struct ip_network *network)
{
    char text[IP_TEXT_MAX];
    bool v4 = ip_is_v4(&network->base) && network->prefix >= 96;
    return arena_printf(checker->scratch, "%s/%u", ip_format(&network->base, text),
                        v4 ? network->prefix - 96 : network->prefix);
}

static void
check_zone_networks(struct checker *checker)
{
    const struct config_zones *zones = &checker->config->zones;
    size_t total = 0;
    for (size_t i = 0; i < zones->count; i++) {
        total += zones->items[i].networks.count;
    }
    struct named *networks = named_alloc(checker, total);
    if (networks == NULL || total == 0) {
        return;
    }
    size_t n = 0;
    const struct yaml_node *zone = yaml_map_get(checker->tree, "zones")->first;
    for (size_t i = 0; i < zones->count; i++, zone = zone->next) {
        const struct config_networks *list = &zones->items[i].networks;
        const struct yaml_node *node =
            list->count > 0 ? yaml_map_get(zone, "networks")->first : NULL;
        for (size_t k = 0; k < list->count; k++, node = node->next) {
            networks[n++] =
                (struct named){network_key(checker, &list->items[k]), node, &list->items[k]};
        }
    }
    report_repeated(checker, "the network", networks, n);
}

/* The page has no log-in and no encryption. */
static void
check_metrics(struct checker *checker)
{
    const struct config_metrics *metrics = &checker->config->metrics;
    const struct yaml_node *group = yaml_map_get(checker->tree, "metrics");
    if (metrics->enabled && group != NULL && yaml_is_sound(group, "address") &&
        !ip_is_loopback(&metrics->address)) {
        report_add(checker->report, yaml_place_of(group, "address"),
                   "metrics.address: expected a loopback address such as 127.0.0.1 or ::1, because "
                   "the page has no log-in; let a reverse proxy publish it");
    }
}

static void check_checks(struct checker *checker, const struct config_checks *checks,
                         const struct yaml_node *map);

/*
 * Line ends are made only for hosts that we answer for: where anybody could have it done, a message
 * that means one thing here and another to the next server could be had from us.
 */
static void
check_zone(struct checker *checker, const struct config_zone *zone, const struct yaml_node *node)
{
    if (zone->bare_lf == CONFIG_ZONE_BARE_LF_NORMALIZE && !zone->relay) {
        report_add(checker->report, yaml_place_of(node, "bare_lf"),
                   "bare_lf: normalize is for a zone with relay: true only");
    }
    check_checks(checker, &zone->checks, node);
}

static void
check_zones(struct checker *checker)
{
    const struct config_zones *zones = &checker->config->zones;
    struct named *names = named_alloc(checker, zones->count);
    if (names == NULL) {
        return;
    }
    const struct yaml_node *list = yaml_map_get(checker->tree, "zones");
    const struct yaml_node *node = zones->count > 0 ? list->first : NULL;
    for (size_t i = 0; i < zones->count; i++, node = node->next) {
        names[i] = (struct named){zones->items[i].name, node, &zones->items[i]};
        check_zone(checker, &zones->items[i], node);
    }
    report_repeated(checker, "the zone", names, zones->count);
    check_zone_networks(checker);
}

/* Values of which one must not be above another. */
static void
check_order(struct checker *checker, const char *group, const char *smaller, uint64_t low,
            const char *larger, uint64_t high)
{
    const struct yaml_node *node = yaml_map_get(checker->tree, group);
    if (low <= high || node == NULL) {
        return;
    }
    const char *written = yaml_map_get(node, smaller) != NULL ? smaller : larger;
    report_add(checker->report, yaml_place_of(node, written), "%s: %s must not be more than %s",
               group, smaller, larger);
}

static void
check_checks(struct checker *checker, const struct config_checks *checks,
             const struct yaml_node *map)
{
    struct named *names = named_alloc(checker, checks->count);
    if (names == NULL || checks->count == 0) {
        return;
    }
    const struct yaml_node *node = yaml_map_get(map, "checks")->first;
    for (size_t i = 0; i < checks->count; i++, node = node->next) {
        /* NULL where the file names none that there is, which has been told. */
        const struct finding_row *row = finding_row(checks->items[i].finding);
        names[i].name = row != NULL ? str_from_cstr(row->name) : str_make(NULL, 0);
        names[i].node = node;
    }
    report_repeated(checker, "the finding", names, checks->count);
}

static void
check_numbers(struct checker *checker)
{
    const struct config_queue *queue = &checker->config->queue;
    check_order(checker, "queue", "retry_first", (uint64_t)queue->retry_first_ms, "retry_max",
                (uint64_t)queue->retry_max_ms);
    check_order(checker, "queue", "warn_after", (uint64_t)queue->warn_after_ms, "lifetime",
                (uint64_t)queue->lifetime_ms);
    check_order(checker, "queue", "concurrency_first", queue->concurrency_first, "concurrency_max",
                queue->concurrency_max);
}

static void
check_resolver(struct checker *checker)
{
    const struct config_resolver *resolver = &checker->config->resolver;
    if (resolver->forwarders.count > 0 && resolver->stub_root.port != 0) {
        const struct yaml_node *node = yaml_map_get(checker->tree, "resolver");
        report_add(checker->report, yaml_place_of(node, "stub_root"),
                   "resolver: forwarders and stub_root exclude each other; leave out one of the "
                   "two");
    }
    check_order(checker, "resolver", "cache_ttl_min", (uint64_t)resolver->cache_ttl_min_ms,
                "cache_ttl_max", (uint64_t)resolver->cache_ttl_max_ms);
}

void
check_config(struct arena *scratch, struct report *report, const struct yaml_node *tree,
             const struct config *config)
{
    if (tree->kind != YAML_MAP) {
        return;
    }
    struct checker checker = {scratch, report, tree, config};
    check_listeners(&checker);
    check_tls(&checker);
    check_domains(&checker);
    check_routes(&checker);
    check_zones(&checker);
    check_trusted_networks(&checker);
    check_metrics(&checker);
    check_checks(&checker, &config->checks, tree);
    check_numbers(&checker);
    check_resolver(&checker);
    check_authentication(&checker);
}

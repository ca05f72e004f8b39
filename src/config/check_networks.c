/*
 * Networks that are trusted: with relaying, or with telling who the client is. Too wide ones make
 * an open relay, and they are most often a slip ("everybody inside" written as 0.0.0.0/1 and
 * 128.0.0.0/1).
 */
#include <stdlib.h>

#include "config/check.h"

/* Widest network, and widest in all, that is trusted: as prefixes of each family. */
#define V4_WIDEST 8u
#define V6_WIDEST 16u
#define V4_PREFIX 96u /* of IPv4 addresses in their 16-octet form */

/* Addresses that nobody outside can have: networks of these may be as wide as they are. */
static const char *const private_blocks[] = {
    "10.0.0.0/8",     "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8",
    "169.254.0.0/16", "100.64.0.0/10", "fc00::/7",       "fe80::/10",
};

/* A network that counts, with the place that is told when it is one too many. */
struct trusted {
    struct ip_network network;
    struct place place;
};

struct trusted_set {
    struct checker *checker;
    const char *what; /* "the networks of zones with relay" */
    const char *why;  /* what trusting everybody would mean */
    struct trusted *items;
    size_t count;
};

static bool
network_is_within(const struct ip_network *outer, const struct ip_network *inner)
{
    return inner->prefix >= outer->prefix && ip_network_contains(outer, &inner->base);
}

static bool
is_private(const struct ip_network *network)
{
    for (size_t i = 0; i < sizeof private_blocks / sizeof private_blocks[0]; i++) {
        struct ip_network block;
        if (ip_network_parse(str_from_cstr(private_blocks[i]), &block) == STATUS_OK &&
            network_is_within(&block, network)) {
            return true;
        }
    }
    return false;
}

/* Whether it holds IPv4 addresses: within that block, or around all of it. */
static bool
holds_v4(const struct ip_network *network)
{
    static const struct ip_address v4_first = {{[10] = 0xff, [11] = 0xff}};
    return ip_is_v4(&network->base) || ip_network_contains(network, &v4_first);
}

static bool
is_too_wide(const struct ip_network *network, unsigned *most_out)
{
    bool v4 = holds_v4(network);
    *most_out = v4 && network->prefix > 0 ? V4_WIDEST : V6_WIDEST;
    return network->prefix < (v4 ? V4_PREFIX + V4_WIDEST : V6_WIDEST);
}

/* Takes what counts of a list; reports what is too wide by itself. */
static void
set_add(struct trusted_set *set, const struct config_networks *list, const struct yaml_node *node,
        struct place place)
{
    for (size_t i = 0; i < list->count; i++, node = node->next) {
        unsigned most;
        if (node->wrong || is_private(&list->items[i])) {
            continue;
        }
        if (is_too_wide(&list->items[i], &most)) {
            report_add(set->checker->report, node->place, "%.*s is wider than a /%u: %s",
                       STR_ARG(node->text), most, set->why);
            continue;
        }
        set->items[set->count++] = (struct trusted){list->items[i], place};
    }
}

/* By address, the wider first: what is within another follows it. */
static int
trusted_compare(const void *a, const void *b)
{
    const struct trusted *x = a;
    const struct trusted *y = b;
    int order = memcmp(x->network.base.octets, y->network.base.octets, 16);
    return order != 0
               ? order
               : (x->network.prefix > y->network.prefix) - (x->network.prefix < y->network.prefix);
}

static bool
place_is_later(struct place a, struct place b)
{
    return a.line != b.line ? a.line > b.line : a.column > b.column;
}

/*
 * How much of a /8 (IPv4), or a /16 (IPv6), a network is: in parts of 2^24, or 2^48. Anything below
 * a /64 counts as one.
 */
static uint64_t
share(const struct ip_network *network)
{
    bool v4 = holds_v4(network);
    unsigned finest = v4 ? 128 : 64;
    return network->prefix < finest ? (uint64_t)1 << (finest - network->prefix) : 1;
}

/* Reports a set that is too wide together, at the last of its places. */
static void
set_check(struct trusted_set *set)
{
    uint64_t sums[2] = {0, 0};
    static const uint64_t most[2] = {(uint64_t)1 << (64 - V6_WIDEST),
                                     (uint64_t)1 << (32 - V4_WIDEST)};
    static const unsigned widest[2] = {V6_WIDEST, V4_WIDEST};
    struct place last[2] = {{0, 0}, {0, 0}};
    const struct ip_network *outer = NULL;
    if (set->count > 1) {
        qsort(set->items, set->count, sizeof *set->items, trusted_compare);
    }
    for (size_t i = 0; i < set->count; i++) {
        const struct trusted *item = &set->items[i];
        bool v4 = holds_v4(&item->network);
        if (outer != NULL && network_is_within(outer, &item->network)) {
            continue;
        }
        outer = &item->network;
        sums[v4] += share(outer);
        last[v4] = place_is_later(item->place, last[v4]) ? item->place : last[v4];
    }
    for (size_t v4 = 0; v4 < 2; v4++) {
        if (sums[v4] > most[v4]) {
            report_add(set->checker->report, last[v4], "%s come to more than a /%u together: %s",
                       set->what, widest[v4], set->why);
        }
    }
}

static struct trusted *
room_for(struct checker *checker, size_t count)
{
    struct trusted *items = arena_alloc_array(checker->scratch, count + 1, sizeof *items);
    if (items == NULL) {
        report_add(checker->report, (struct place){0}, "the configuration is too large");
    }
    return items;
}

static void
check_relay(struct checker *checker)
{
    const struct config_zones *zones = &checker->config->zones;
    size_t total = 0;
    for (size_t i = 0; i < zones->count; i++) {
        total += zones->items[i].relay ? zones->items[i].networks.count : 0;
    }
    struct trusted_set set = {checker, "the networks of zones with relay",
                              "with relay: true this would be an open relay; list the networks of "
                              "your own hosts",
                              total > 0 ? room_for(checker, total) : NULL, 0};
    if (set.items == NULL) {
        return;
    }
    const struct yaml_node *node = yaml_map_get(checker->tree, "zones")->first;
    for (size_t i = 0; i < zones->count; i++, node = node->next) {
        const struct config_networks *list = &zones->items[i].networks;
        if (zones->items[i].relay && list->count > 0) {
            set_add(&set, list, yaml_map_get(node, "networks")->first, node->place);
        }
    }
    set_check(&set);
}

static void
check_proxies(struct checker *checker)
{
    const struct config_listeners *listeners = &checker->config->listeners;
    const struct yaml_node *node =
        listeners->count > 0 ? yaml_map_get(checker->tree, "listeners")->first : NULL;
    for (size_t i = 0; i < listeners->count; i++, node = node->next) {
        const struct config_networks *list = &listeners->items[i].proxy_protocol;
        struct trusted_set set = {checker, "the networks under proxy_protocol",
                                  "anybody could claim any client address, one in a zone with "
                                  "relay too; list your load balancers",
                                  list->count > 0 ? room_for(checker, list->count) : NULL, 0};
        if (set.items != NULL) {
            set_add(&set, list, yaml_map_get(node, "proxy_protocol")->first, node->place);
            set_check(&set);
        }
    }
}

void
check_trusted_networks(struct checker *checker)
{
    check_relay(checker);
    check_proxies(checker);
}

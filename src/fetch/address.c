#include "fetch/address.h"

/* In the 16-octet form, prefixes too; IPv4 as ::ffff:a.b.c.d. */
struct block {
    uint8_t base[16];
    unsigned prefix;
};

#define V4(a, b, c, d, bits)                                                                       \
    {                                                                                              \
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, (a), (b), (c), (d)}, 96 + (bits)                \
    }
#define V6(a, b, c, bits)                                                                          \
    {                                                                                              \
        {(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff}, (bits)                       \
    }

static const struct block not_allowed[] = {
    V4(0, 0, 0, 0, 8),            /* this network */
    V4(10, 0, 0, 0, 8),           /* private */
    V4(100, 64, 0, 0, 10),        /* shared, behind a provider's NAT */
    V4(127, 0, 0, 0, 8),          /* loopback */
    V4(169, 254, 0, 0, 16),       /* link-local; metadata of clouds */
    V4(172, 16, 0, 0, 12),        /* private */
    V4(192, 0, 0, 0, 24),         /* protocol assignments */
    V4(192, 0, 2, 0, 24),         /* documentation */
    V4(192, 31, 196, 0, 24),      /* AS112 */
    V4(192, 52, 193, 0, 24),      /* AMT */
    V4(192, 88, 99, 0, 24),       /* relays of 6to4 */
    V4(192, 168, 0, 0, 16),       /* private */
    V4(192, 175, 48, 0, 24),      /* AS112 */
    V4(198, 18, 0, 0, 15),        /* benchmarking */
    V4(198, 51, 100, 0, 24),      /* documentation */
    V4(203, 0, 113, 0, 24),       /* documentation */
    V4(224, 0, 0, 0, 3),          /* multicast, reserved, broadcast */
    V6(0x2001, 0, 0, 23),         /* protocol assignments, Teredo among them */
    V6(0x2001, 0xdb8, 0, 32),     /* documentation */
    V6(0x2002, 0, 0, 16),         /* 6to4 */
    V6(0x2620, 0x4f, 0x8000, 48), /* AS112 */
    V6(0x3fff, 0, 0, 20),         /* documentation */
};

/* Of IPv6, nothing else has been given out: what is not in it is not the public internet. */
static const struct block global_unicast = V6(0x2000, 0, 0, 3);
/* Only the well-known prefix: others (RFC 8215) lead into somebody's own network. */
static const struct block nat64 = V6(0x64, 0xff9b, 0, 96);

static bool
is_in(const struct ip_address *ip, const struct block *block)
{
    struct ip_network network = {.prefix = block->prefix};
    memcpy(network.base.octets, block->base, sizeof block->base);
    return ip_network_contains(&network, ip);
}

/* RFC 6052 2.2: the last four octets. */
static struct ip_address
behind_nat64(const struct ip_address *ip)
{
    struct ip_address v4 = *ip;
    memset(v4.octets, 0, 10);
    memset(v4.octets + 10, 0xff, 2);
    return v4;
}

bool
fetch_address_allowed(const struct ip_address *ip, const struct ip_network *also, size_t also_count)
{
    struct ip_address const judged = is_in(ip, &nat64) ? behind_nat64(ip) : *ip;
    for (size_t i = 0; i < also_count; i++) {
        if (ip_network_contains(&also[i], ip) || ip_network_contains(&also[i], &judged)) {
            return true;
        }
    }
    if (!ip_is_v4(&judged) && !is_in(&judged, &global_unicast)) {
        return false;
    }
    for (size_t i = 0; i < sizeof not_allowed / sizeof not_allowed[0]; i++) {
        if (is_in(&judged, &not_allowed[i])) {
            return false;
        }
    }
    return true;
}

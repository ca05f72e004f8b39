#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t v4_mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool
ip_is_v4(const struct ip_address *ip)
{
    return memcmp(ip->octets, v4_mapped_prefix, sizeof v4_mapped_prefix) == 0;
}

bool
ip_eq(const struct ip_address *a, const struct ip_address *b)
{
    return memcmp(a->octets, b->octets, sizeof a->octets) == 0;
}

bool
ip_is_loopback(const struct ip_address *ip)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    if (ip_is_v4(ip)) {
        return ip->octets[12] == 127;
    }
    return memcmp(ip->octets, v6_loopback, sizeof v6_loopback) == 0;
}

static struct ip_address
ip_from_v4(const void *four)
{
    struct ip_address ip;
    memcpy(ip.octets, v4_mapped_prefix, sizeof v4_mapped_prefix);
    memcpy(ip.octets + 12, four, 4);
    return ip;
}

enum status
ip_parse(struct str s, struct ip_address *out)
{
    char text[IP_TEXT_MAX];
    uint8_t octets[16];
    if (s.n == 0 || s.n >= sizeof text || str_contains_char(s, '\0')) {
        return STATUS_SYNTAX;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (inet_pton(AF_INET, text, octets) == 1) {
        *out = ip_from_v4(octets);
        return STATUS_OK;
    }
    if (inet_pton(AF_INET6, text, octets) == 1) {
        memcpy(out->octets, octets, sizeof octets);
        return STATUS_OK;
    }
    return STATUS_SYNTAX;
}

/* Not by inet_ntop, which takes the long way of printf for each address in a log and a trace. */
static void
format_v4(const uint8_t four[4], char *out)
{
    for (unsigned i = 0; i < 4; i++) {
        unsigned n = four[i];
        if (n >= 100) {
            *out++ = (char)('0' + n / 100);
        }
        if (n >= 10) {
            *out++ = (char)('0' + n / 10 % 10);
        }
        *out++ = (char)('0' + n % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

const char *
ip_format(const struct ip_address *ip, char out[static IP_TEXT_MAX])
{
    if (ip_is_v4(ip)) {
        format_v4(ip->octets + 12, out);
        return out;
    }
    return inet_ntop(AF_INET6, ip->octets, out, IP_TEXT_MAX);
}

static struct ip_address
ip_mask(const struct ip_address *ip, unsigned prefix)
{
    struct ip_address masked = *ip;
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = prefix > i * 8 ? prefix - i * 8 : 0;
        if (kept < 8) {
            masked.octets[i] &= (uint8_t)(0xff00u >> kept);
        }
    }
    return masked;
}

enum status
ip_network_parse(struct str s, struct ip_network *out)
{
    struct str address;
    struct str bits;
    struct ip_address base;
    bool has_prefix = str_cut(s, '/', &address, &bits);
    enum status status = ip_parse(address, &base);
    if (status != STATUS_OK) {
        return status;
    }
    unsigned const width = ip_is_v4(&base) ? 32 : 128;
    uint64_t prefix = width;
    if (has_prefix && str_parse_u64(bits, width, &prefix) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    unsigned full = (unsigned)prefix + (128 - width);
    struct ip_address masked = ip_mask(&base, full);
    if (!ip_eq(&masked, &base)) {
        return STATUS_SYNTAX;
    }
    *out = (struct ip_network){base, full};
    return STATUS_OK;
}

bool
ip_network_contains(const struct ip_network *network, const struct ip_address *ip)
{
    struct ip_address masked = ip_mask(ip, network->prefix);
    /* 0.0.0.0/0 has 96 bits and so never contains an IPv6 address; ::/0 contains both. */
    return ip_eq(&masked, &network->base);
}

struct ip_network
ip_network_of(const struct ip_address *ip, unsigned v4_prefix, unsigned v6_prefix)
{
    unsigned prefix = ip_is_v4(ip) ? v4_prefix + 96 : v6_prefix;
    return (struct ip_network){ip_mask(ip, prefix), prefix};
}

enum status
ip_from_sockaddr(const struct sockaddr *sa, struct ip_address *out, uint16_t *port_out)
{
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        *out = ip_from_v4(&in.sin_addr);
        *port_out = ntohs(in.sin_port);
        return STATUS_OK;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        memcpy(out->octets, &in6.sin6_addr, sizeof out->octets);
        *port_out = ntohs(in6.sin6_port);
        return STATUS_OK;
    }
    return STATUS_SYNTAX;
}

socklen_t
ip_to_sockaddr(const struct ip_address *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (ip_is_v4(ip)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, ip->octets + 12, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in6.sin6_addr, ip->octets, 16);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

#include "smtp/proxy.h"

#define V2_HEAD_SIZE  16u /* signature, version and command, family, length */
#define V2_TCP4_SIZE  12u
#define V2_TCP6_SIZE  36u
#define V2_TLV_HEAD   3u
#define V2_TLV_CRC32C 0x03u
#define CRC32C_SIZE   4u

static const struct str v1_prefix = STR_INIT("PROXY ");
static const struct str v2_signature = STR_INIT("\r\n\r\n\0\r\nQUIT\n");

/* Whether input and what it must begin with agree as far as input goes. */
static bool
may_become(struct str input, struct str beginning)
{
    return str_starts_with(str_head(beginning, input.n), str_head(input, beginning.n));
}

bool
smtp_proxy_is_header(struct str input)
{
    return str_starts_with(input, v1_prefix) || str_starts_with(input, v2_signature);
}

/* ---- version 1 */

/* One word, ended by the separator; leading zeros and empty words are caught by who reads it. */
static bool
take_word(struct str *line, struct str *word_out)
{
    return str_cut(*line, ' ', word_out, line);
}

static bool
parse_v1_port(struct str word, uint16_t *port_out)
{
    uint64_t port;
    if (word.n == 0 || (word.n > 1 && word.p[0] == '0') ||
        str_parse_u64(word, UINT16_MAX, &port) != STATUS_OK) {
        return false;
    }
    *port_out = (uint16_t)port;
    return true;
}

static bool
parse_v1_address(struct str word, bool v6, struct ip_address *ip_out)
{
    return str_contains_char(word, ':') == v6 && ip_parse(word, ip_out) == STATUS_OK;
}

/* "TCP4 192.0.2.1 192.0.2.2 51234 25" */
static enum status
parse_v1_line(struct str line, struct smtp_proxy *proxy)
{
    struct str family;
    struct str source;
    struct str destination;
    struct str source_port;
    if (str_eq(line, STR("UNKNOWN")) || str_starts_with(line, STR("UNKNOWN "))) {
        proxy->local = true; /* what follows is to be ignored */
        return STATUS_OK;
    }
    if (!take_word(&line, &family) || !take_word(&line, &source) ||
        !take_word(&line, &destination) || !take_word(&line, &source_port)) {
        return STATUS_SYNTAX;
    }
    bool v6 = str_eq(family, STR("TCP6"));
    if ((!v6 && !str_eq(family, STR("TCP4"))) || !parse_v1_address(source, v6, &proxy->source) ||
        !parse_v1_address(destination, v6, &proxy->destination) ||
        !parse_v1_port(source_port, &proxy->source_port) ||
        !parse_v1_port(line, &proxy->destination_port)) {
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

static enum status
parse_v1(struct str input, struct smtp_proxy *proxy, size_t *used)
{
    struct str head = str_head(input, SMTP_PROXY_V1_MAX);
    size_t end = str_find(head, STR("\r\n"));
    size_t first_cr = str_find_char(head, '\r');
    size_t first_lf = str_find_char(head, '\n');
    if (end == STR_NPOS) {
        /* A CR may be the first half of the end, if it is the last octet. */
        bool broken = first_lf != STR_NPOS || (first_cr != STR_NPOS && first_cr + 1 < head.n);
        bool full = head.n == SMTP_PROXY_V1_MAX;
        return broken ? STATUS_SYNTAX : full ? STATUS_LIMIT : STATUS_AGAIN;
    }
    if (first_cr != end || first_lf != end + 1 || str_contains_char(str_head(head, end), '\0')) {
        return STATUS_SYNTAX;
    }
    *used = end + 2;
    return parse_v1_line(str_skip(str_head(head, end), v1_prefix.n), proxy);
}

/* ---- version 2 */

static uint8_t
octet(struct str s, size_t at)
{
    return (uint8_t)s.p[at];
}

static uint16_t
big_endian16(struct str s, size_t at)
{
    return (uint16_t)(octet(s, at) << 8 | octet(s, at + 1));
}

static uint32_t
crc32c_step(uint32_t crc, uint8_t value)
{
    crc ^= value;
    for (int bit = 0; bit < 8; bit++) {
        crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    return crc;
}

/* RFC 4960 B, over the header with the four octets of the checksum itself taken as zero. */
static bool
checksum_is_right(struct str header, size_t checksum_at)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.n; i++) {
        bool own = i >= checksum_at && i < checksum_at + CRC32C_SIZE;
        crc = crc32c_step(crc, own ? 0 : octet(header, i));
    }
    uint32_t told =
        (uint32_t)big_endian16(header, checksum_at) << 16 | big_endian16(header, checksum_at + 2);
    return ~crc == told;
}

/* The TLVs from `at` on must fill the header exactly. */
static enum status
check_v2_tlvs(struct str header, size_t at)
{
    while (at < header.n) {
        if (header.n - at < V2_TLV_HEAD) {
            return STATUS_SYNTAX;
        }
        size_t length = big_endian16(header, at + 1);
        size_t value = at + V2_TLV_HEAD;
        if (length > header.n - value) {
            return STATUS_SYNTAX;
        }
        if (octet(header, at) == V2_TLV_CRC32C &&
            (length != CRC32C_SIZE || !checksum_is_right(header, value))) {
            return STATUS_SYNTAX;
        }
        at = value + length;
    }
    return STATUS_OK;
}

static void
read_v2_addresses(struct str addresses, bool v6, struct smtp_proxy *proxy)
{
    static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t const width = v6 ? 16 : 4;
    size_t const skipped = sizeof proxy->source.octets - width;
    memcpy(proxy->source.octets, v4_mapped, skipped);
    memcpy(proxy->destination.octets, v4_mapped, skipped);
    memcpy(proxy->source.octets + skipped, addresses.p, width);
    memcpy(proxy->destination.octets + skipped, addresses.p + width, width);
    proxy->source_port = big_endian16(addresses, 2 * width);
    proxy->destination_port = big_endian16(addresses, 2 * width + 2);
}

/* A whole header: `header` has the length that it announces. */
static enum status
parse_v2_header(struct str header, struct smtp_proxy *proxy)
{
    uint8_t const command = octet(header, 12);
    uint8_t const family = octet(header, 13);
    struct str rest = str_skip(header, V2_HEAD_SIZE);
    bool v6 = family == 0x21; /* TCP over IPv6 */
    size_t size = v6 ? V2_TCP6_SIZE : V2_TCP4_SIZE;
    if (command == 0x20 || family == 0x00) { /* LOCAL, or PROXY of an unspecified family */
        proxy->local = true;
        return STATUS_OK; /* 2.2: the rest is to be skipped */
    }
    if ((!v6 && family != 0x11) || rest.n < size) {
        return STATUS_SYNTAX; /* SMTP comes neither over UDP nor over a proxy's Unix socket */
    }
    read_v2_addresses(rest, v6, proxy);
    return check_v2_tlvs(header, V2_HEAD_SIZE + size);
}

static enum status
parse_v2(struct str input, struct smtp_proxy *proxy, size_t *used)
{
    if (input.n > 12 && octet(input, 12) != 0x20 && octet(input, 12) != 0x21) {
        return STATUS_SYNTAX; /* version 2, LOCAL or PROXY */
    }
    if (input.n < V2_HEAD_SIZE) {
        return STATUS_AGAIN;
    }
    size_t total = V2_HEAD_SIZE + big_endian16(input, 14);
    if (total > SMTP_PROXY_V2_MAX) {
        return STATUS_LIMIT;
    }
    if (input.n < total) {
        return STATUS_AGAIN;
    }
    *used = total;
    return parse_v2_header(str_head(input, total), proxy);
}

enum status
smtp_proxy_parse(struct str input, struct smtp_proxy *proxy_out, size_t *used_out)
{
    struct smtp_proxy proxy = {.local = false};
    size_t used = 0;
    enum status status = STATUS_SYNTAX;
    if (input.n == 0) {
        return STATUS_AGAIN;
    }
    if (may_become(input, v1_prefix)) {
        status = input.n < v1_prefix.n ? STATUS_AGAIN : parse_v1(input, &proxy, &used);
    } else if (may_become(input, v2_signature)) {
        status = input.n < v2_signature.n ? STATUS_AGAIN : parse_v2(input, &proxy, &used);
    }
    if (status == STATUS_OK) {
        *proxy_out = proxy;
        *used_out = used;
    }
    return status;
}

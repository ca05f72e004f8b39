#include "dns/rdata.h"

/* ---- a cursor over the octets */

static enum status
take(struct str *in, size_t n, const uint8_t **octets_out)
{
    if (in->n < n) {
        return STATUS_SYNTAX;
    }
    *octets_out = (const uint8_t *)in->p;
    *in = str_skip(*in, n);
    return STATUS_OK;
}

static enum status
take_u16(struct str *in, uint16_t *out)
{
    const uint8_t *o;
    enum status status = take(in, 2, &o);
    if (status == STATUS_OK) {
        *out = (uint16_t)(o[0] << 8 | o[1]);
    }
    return status;
}

static enum status
take_u32(struct str *in, uint32_t *out)
{
    const uint8_t *o;
    enum status status = take(in, 4, &o);
    if (status == STATUS_OK) {
        *out = (uint32_t)o[0] << 24 | (uint32_t)o[1] << 16 | (uint32_t)o[2] << 8 | o[3];
    }
    return status;
}

/* ---- readers */

enum status
dns_rdata_a(struct str rdata, struct ip_address *ip_out)
{
    if (rdata.n != 4) {
        return STATUS_SYNTAX;
    }
    struct ip_address ip = {.octets = {[10] = 0xff, [11] = 0xff}};
    memcpy(ip.octets + 12, rdata.p, 4);
    *ip_out = ip;
    return STATUS_OK;
}

enum status
dns_rdata_aaaa(struct str rdata, struct ip_address *ip_out)
{
    if (rdata.n != sizeof ip_out->octets) {
        return STATUS_SYNTAX;
    }
    memcpy(ip_out->octets, rdata.p, rdata.n);
    return STATUS_OK;
}

enum status
dns_rdata_name(struct arena *arena, struct str rdata, struct str *name_out)
{
    struct str name;
    struct str rest;
    enum status status = dns_name_from_wire(arena, rdata, &name, &rest);
    if (status == STATUS_OK && rest.n > 0) {
        status = STATUS_SYNTAX;
    }
    if (status == STATUS_OK) {
        *name_out = name;
    }
    return status;
}

enum status
dns_rdata_mx(struct arena *arena, struct str rdata, struct dns_mx *mx_out)
{
    struct dns_mx mx;
    enum status status = take_u16(&rdata, &mx.preference);
    if (status == STATUS_OK) {
        status = dns_rdata_name(arena, rdata, &mx.exchange);
    }
    if (status == STATUS_OK) {
        *mx_out = mx;
    }
    return status;
}

/* The next character-string (RFC 1035 3.3). */
static enum status
take_string(struct str *in, struct str *string_out)
{
    const uint8_t *octets;
    enum status status = take(in, 1, &octets);
    if (status != STATUS_OK) {
        return status;
    }
    size_t n = octets[0];
    status = take(in, n, &octets);
    if (status == STATUS_OK) {
        *string_out = str_make((const char *)octets, n);
    }
    return status;
}

enum status
dns_rdata_txt_strings(struct arena *arena, struct str rdata, const struct str **strings_out,
                      size_t *count_out)
{
    struct str rest = rdata;
    struct str string;
    size_t count = 0;
    while (rest.n > 0) {
        if (take_string(&rest, &string) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        if (++count > DNS_TXT_STRINGS_MAX) {
            return STATUS_LIMIT;
        }
    }
    struct str *strings = arena_alloc_array(arena, count + 1, sizeof *strings);
    if (strings == NULL) {
        return STATUS_LIMIT;
    }
    rest = rdata;
    for (size_t i = 0; i < count; i++) {
        if (take_string(&rest, &strings[i]) != STATUS_OK) {
            return STATUS_BUG;
        }
    }
    *strings_out = strings;
    *count_out = count;
    return STATUS_OK;
}

enum status
dns_rdata_txt(struct arena *arena, struct str rdata, struct str *text_out)
{
    /* Joined, the strings are shorter than the record, whose lengths fall away. */
    char *text = arena_alloc(arena, rdata.n + 1);
    size_t n = 0;
    struct str string;
    if (text == NULL) {
        return STATUS_LIMIT;
    }
    while (rdata.n > 0) {
        if (take_string(&rdata, &string) != STATUS_OK) {
            return STATUS_SYNTAX;
        }
        if (string.n > 0) {
            memcpy(text + n, string.p, string.n);
            n += string.n;
        }
    }
    *text_out = str_make(text, n);
    return STATUS_OK;
}

enum status
dns_rdata_tlsa(struct str rdata, struct dns_tlsa *tlsa_out)
{
    const uint8_t *o;
    if (take(&rdata, 3, &o) != STATUS_OK || rdata.n == 0) {
        return STATUS_SYNTAX;
    }
    *tlsa_out = (struct dns_tlsa){.usage = o[0], .selector = o[1], .matching = o[2], .data = rdata};
    return STATUS_OK;
}

enum status
dns_rdata_soa(struct arena *arena, struct str rdata, struct dns_soa *soa_out)
{
    struct dns_soa soa;
    uint32_t refresh, retry, expire;
    enum status status = dns_name_from_wire(arena, rdata, &soa.primary, &rdata);
    if (status == STATUS_OK) {
        status = dns_name_from_wire(arena, rdata, &soa.mailbox, &rdata);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (take_u32(&rdata, &soa.serial) != STATUS_OK || take_u32(&rdata, &refresh) != STATUS_OK ||
        take_u32(&rdata, &retry) != STATUS_OK || take_u32(&rdata, &expire) != STATUS_OK ||
        take_u32(&rdata, &soa.minimum) != STATUS_OK || rdata.n > 0) {
        return STATUS_SYNTAX;
    }
    *soa_out = soa;
    return STATUS_OK;
}

enum status
dns_answer_addresses(struct arena *arena, const struct dns_answer *answer,
                     const struct ip_address **ips_out, size_t *count_out)
{
    struct ip_address *ips = arena_alloc_array(arena, answer->record_count + 1, sizeof *ips);
    size_t count = 0;
    if (ips == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < answer->record_count; i++) {
        struct str rdata = answer->records[i];
        if (dns_rdata_a(rdata, &ips[count]) == STATUS_OK ||
            dns_rdata_aaaa(rdata, &ips[count]) == STATUS_OK) {
            count++;
        }
    }
    *ips_out = ips;
    *count_out = count;
    return STATUS_OK;
}

/* ---- writers */

enum status
dns_rdata_put_ip(struct buf *out, uint16_t type, const struct ip_address *ip)
{
    const char *octets = (const char *)ip->octets;
    if (type == DNS_TYPE_AAAA) {
        return buf_append(out, str_make(octets, sizeof ip->octets));
    }
    return ip_is_v4(ip) ? buf_append(out, str_make(octets + 12, 4)) : STATUS_SYNTAX;
}

enum status
dns_rdata_put_name(struct buf *out, struct str name)
{
    struct dns_wire_name wire;
    enum status status = dns_name_to_wire(name, &wire);
    if (status != STATUS_OK) {
        return status;
    }
    return buf_append(out, str_make((const char *)wire.octets, wire.n));
}

enum status
dns_rdata_put_mx(struct buf *out, uint16_t preference, struct str exchange)
{
    char head[2] = {(char)(preference >> 8), (char)(preference & 0xff)};
    enum status status = buf_append(out, str_make(head, sizeof head));
    return status == STATUS_OK ? dns_rdata_put_name(out, exchange) : status;
}

enum status
dns_rdata_put_txt(struct buf *out, struct str text)
{
    enum status status;
    do {
        struct str string = str_head(text, 255);
        status = buf_append_char(out, (char)string.n);
        if (status == STATUS_OK) {
            status = buf_append(out, string);
        }
        text = str_skip(text, string.n);
    } while (status == STATUS_OK && text.n > 0);
    return status;
}

enum status
dns_rdata_put_tlsa(struct buf *out, const struct dns_tlsa *tlsa)
{
    char head[3] = {(char)tlsa->usage, (char)tlsa->selector, (char)tlsa->matching};
    enum status status = buf_append(out, str_make(head, sizeof head));
    return status == STATUS_OK ? buf_append(out, tlsa->data) : status;
}

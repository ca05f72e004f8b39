#include "dns/rdata.h"
#include "fetch/address.h"
#include "fetch/curl_internal.h"

/* What the DNS says of one family. */
struct family {
    struct dns_answer answer;
    size_t refused; /* addresses that are not allowed */
};

/* STATUS_LIMIT: the arena is full. Appends to *addresses. */
static enum status
ask_family(const struct fetch_curl *curl, struct arena *arena, struct str host, uint16_t type,
           struct fetch_addresses *addresses, struct family *family)
{
    const struct ip_address *ips = NULL;
    size_t count = 0;
    size_t const most = addresses->count + FETCH_ADDRESSES_MAX;
    enum status status = dns_resolve(curl->dns, arena, host, type, &family->answer);
    if (status == STATUS_OK && family->answer.outcome == DNS_OUTCOME_ANSWER) {
        status = dns_answer_addresses(arena, &family->answer, &ips, &count);
    }
    for (size_t i = 0; status == STATUS_OK && i < count && addresses->count < most; i++) {
        /* A mapped address in an AAAA record says IPv4 where a filter looks for IPv6. */
        bool const mapped = type == DNS_TYPE_AAAA && ip_is_v4(&ips[i]);
        if (mapped ||
            !fetch_address_allowed(&ips[i], curl->also_allowed, curl->also_allowed_count)) {
            family->refused++;
        } else {
            addresses->items[addresses->count++] = ips[i];
        }
    }
    return status;
}

enum fetch_outcome
fetch_addresses_find(const struct fetch_curl *curl, struct arena *arena, struct str host,
                     struct fetch_addresses *addresses_out, struct str *detail_out)
{
    struct fetch_addresses addresses = {0};
    struct family v6 = {0};
    struct family v4 = {0};
    if (ask_family(curl, arena, host, DNS_TYPE_AAAA, &addresses, &v6) != STATUS_OK ||
        ask_family(curl, arena, host, DNS_TYPE_A, &addresses, &v4) != STATUS_OK) {
        *detail_out = STR("the host's name cannot be looked up");
        return FETCH_OUTCOME_NAME;
    }
    if (addresses.count > 0) {
        *addresses_out = addresses;
        return FETCH_OUTCOME_OK;
    }
    if (v6.refused + v4.refused > 0) {
        *detail_out =
            arena_printf(arena, "%.*s has no address of the public internet", STR_ARG(host));
        return FETCH_OUTCOME_ADDRESS;
    }
    *detail_out =
        arena_printf(arena, "%.*s has no address (A: %s, AAAA: %s)", STR_ARG(host),
                     dns_outcome_name(v4.answer.outcome), dns_outcome_name(v6.answer.outcome));
    return FETCH_OUTCOME_NAME;
}

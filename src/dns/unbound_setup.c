#include "dns/unbound_setup.h"

#include <stdio.h>
#include <unbound.h>

#include "base/log.h"
#include "dns/packet.h"

/* RFC 8914's flag day: what passes without fragments nearly everywhere. */
#define EDNS_OCTETS         "1232"
#define TCP_CONNECTIONS     "64"
#define UDP_SOCKETS         "512"
#define QUESTIONS_UNDER_WAY "4096"

#define RCODE_OK       0
#define RCODE_NXDOMAIN 3

struct str
unbound_root_anchors(void)
{
    /* Of 2017 (20326) and 2024 (38696). */
    return STR(
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
        ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16\n");
}

/* ---- options */

bool
unbound_set_option(struct ub_ctx *ub, const char *name, const char *value)
{
    int failed = ub_ctx_set_option(ub, name, value);
    if (failed != 0) {
        LOG_ERROR("libunbound refuses an option", LOG_CSTR("option", name),
                  LOG_CSTR("value", value), LOG_CSTR("reason", ub_strerror(failed)));
    }
    return failed == 0;
}

bool
unbound_set_number(struct ub_ctx *ub, const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return unbound_set_option(ub, name, text);
}

static const char *
endpoint_text(const struct config_endpoint *endpoint, char out[static IP_TEXT_MAX + 8])
{
    char address[IP_TEXT_MAX];
    snprintf(out, IP_TEXT_MAX + 8, "%s@%u", ip_format(&endpoint->ip, address),
             endpoint->port != 0 ? endpoint->port : 53);
    return out;
}

static bool
set_upstream(struct ub_ctx *ub, const struct config_resolver *config)
{
    char text[IP_TEXT_MAX + 8];
    for (size_t i = 0; i < config->forwarders.count; i++) {
        if (ub_ctx_set_fwd(ub, endpoint_text(&config->forwarders.items[i], text)) != 0) {
            LOG_ERROR("not a forwarder", LOG_CSTR("address", text));
            return false;
        }
    }
    if (config->stub_root.port != 0 &&
        ub_ctx_set_stub(ub, ".", endpoint_text(&config->stub_root, text), 0) != 0) {
        LOG_ERROR("not a server of the root", LOG_CSTR("address", text));
        return false;
    }
    bool own = config->stub_root.port != 0 || config->forwarders.count > 0;
    return unbound_set_option(ub, "do-not-query-localhost:", own ? "no" : "yes");
}

bool
unbound_set_up(struct ub_ctx *ub, const struct config_resolver *settings, uint64_t cache_size)
{
    /* Two thirds are for records, which are the larger part of the cache. */
    return unbound_set_number(ub, "msg-cache-size:", cache_size / 3) &&
           unbound_set_number(ub, "rrset-cache-size:", cache_size / 3 * 2) &&
           unbound_set_number(ub, "cache-min-ttl:", (uint64_t)settings->cache_ttl_min_ms / 1000) &&
           unbound_set_number(ub, "cache-max-ttl:", (uint64_t)settings->cache_ttl_max_ms / 1000) &&
           unbound_set_number(ub, "cache-max-negative-ttl:",
                              (uint64_t)settings->cache_negative_ttl_max_ms / 1000) &&
           unbound_set_option(ub, "edns-buffer-size:", EDNS_OCTETS) &&
           unbound_set_option(ub, "outgoing-range:", UDP_SOCKETS) &&
           unbound_set_option(ub, "outgoing-num-tcp:", TCP_CONNECTIONS) &&
           unbound_set_option(ub, "num-queries-per-thread:", QUESTIONS_UNDER_WAY) &&
           unbound_set_option(ub, "chroot:", "") && unbound_set_option(ub, "username:", "") &&
           set_upstream(ub, settings) &&
           (settings->dnssec || unbound_set_option(ub, "module-config:", "iterator"));
}

/* ---- trust and names */

bool
unbound_add_anchors(struct ub_ctx *ub, struct str records)
{
    bool done = true;
    while (done && records.n > 0) {
        struct str line;
        char text[UNBOUND_RECORD_MAX];
        str_cut(records, '\n', &line, &records);
        snprintf(text, sizeof text, "%.*s", STR_ARG(line));
        done = ub_ctx_add_ta(ub, text) == 0;
        if (!done) {
            LOG_ERROR("not a trust anchor (a DS or DNSKEY record)", LOG_STR("record", line));
        }
    }
    return done;
}

void
unbound_open_local_zones(struct ub_ctx *ub, const struct config_resolver *settings)
{
    for (size_t i = 0; i < settings->local_zones.count; i++) {
        char name[1024];
        snprintf(name, sizeof name, "%.*s.", STR_ARG(settings->local_zones.items[i]));
        ub_ctx_zone_remove(ub, name);
    }
}

/* ---- answers */

/* Where libunbound has a response code for us, what is in its buffer is of another question. */
void
unbound_read_answer(struct arena *arena, const struct unbound_result *result, struct str name,
                    uint16_t type, struct dns_answer *answer_out)
{
    /* That a name does not exist is believed no more than a record when the proof is wrong. */
    bool bogus = result->security == DNS_SECURITY_BOGUS;
    struct dns_answer answer = {
        .outcome =
            result->rcode == RCODE_NXDOMAIN && !bogus ? DNS_OUTCOME_NXDOMAIN : DNS_OUTCOME_SERVFAIL,
        .security = result->security,
        .canonical = name,
        .detail = str_from_cstr(result->why),
    };
    if (!bogus && result->rcode == RCODE_OK) {
        enum status status = dns_packet_answer(arena, result->packet, name, type, &answer);
        if (status != STATUS_OK) {
            answer.detail = status == STATUS_LIMIT ? STR("the answer is larger than can be used")
                                                   : STR("the answer cannot be read");
        }
    }
    *answer_out = answer;
}

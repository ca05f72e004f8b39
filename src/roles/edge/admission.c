#include "roles/edge/admission.h"

/* One more of both at a rate, or of neither. */
static enum admission_verdict
take_rates(const struct admission_place *place, enum tally_rate rate, uint32_t of_address,
           uint32_t of_network, int64_t now_us)
{
    bool connections = rate == TALLY_CONNECTIONS;
    if (!tally_rate_take(place->address, rate, of_address, now_us)) {
        return connections ? ADMISSION_ADDRESS_RATE : ADMISSION_ADDRESS_MESSAGES;
    }
    if (!tally_rate_take(place->network, rate, of_network, now_us)) {
        tally_rate_return(place->address, rate, of_address);
        return connections ? ADMISSION_NETWORK_RATE : ADMISSION_NETWORK_MESSAGES;
    }
    return ADMISSION_OK;
}

/* Enters both counts; with anything but ADMISSION_OK, neither. */
static enum admission_verdict
enter_both(struct tally *tally, const struct admission_limits *limits, const struct ip_address *ip,
           int64_t now_us, struct admission_place *place_out)
{
    struct ip_network const address = ip_network_of(ip, 32, 128);
    struct ip_network const network = ip_network_of(ip, ADMISSION_V4_PREFIX, ADMISSION_V6_PREFIX);
    enum tally_result result =
        tally_enter(tally, &address, limits->connections_per_address, now_us, &place_out->address);
    if (result != TALLY_OK) {
        return result == TALLY_LIMIT ? ADMISSION_ADDRESS : ADMISSION_TABLE_FULL;
    }
    result =
        tally_enter(tally, &network, limits->connections_per_network, now_us, &place_out->network);
    if (result != TALLY_OK) {
        tally_leave(tally, place_out->address);
        return result == TALLY_LIMIT ? ADMISSION_NETWORK : ADMISSION_TABLE_FULL;
    }
    return ADMISSION_OK;
}

enum admission_verdict
admission_enter(struct tally *tally, const struct admission_limits *limits,
                const struct ip_address *ip, bool rated, int64_t now_ms,
                struct admission_place *place_out)
{
    int64_t const now_us = now_ms * 1000;
    struct admission_place place;
    struct admission_limits unlimited = *limits;
    unlimited.connections_per_address = UINT32_MAX;
    unlimited.connections_per_network = UINT32_MAX;
    enum admission_verdict verdict =
        enter_both(tally, rated ? limits : &unlimited, ip, now_us, &place);
    if (verdict != ADMISSION_OK) {
        return verdict;
    }
    verdict = tally_total_enter(tally, limits->connections) ? ADMISSION_OK : ADMISSION_CONNECTIONS;
    if (verdict == ADMISSION_OK && rated) {
        verdict = take_rates(&place, TALLY_CONNECTIONS, limits->connection_rate,
                             limits->connection_rate_per_network, now_us);
        if (verdict != ADMISSION_OK) {
            tally_total_leave(tally);
        }
    }
    if (verdict != ADMISSION_OK) {
        tally_leave(tally, place.address);
        tally_leave(tally, place.network);
        return verdict;
    }
    *place_out = place;
    return ADMISSION_OK;
}

void
admission_leave(struct tally *tally, struct admission_place *place)
{
    if (place->address == NULL) {
        return;
    }
    tally_leave(tally, place->address);
    tally_leave(tally, place->network);
    tally_total_leave(tally);
    *place = (struct admission_place){NULL, NULL};
}

enum admission_verdict
admission_message(const struct admission_limits *limits, const struct admission_place *place,
                  int64_t now_ms)
{
    return take_rates(place, TALLY_MESSAGES, limits->message_rate, limits->message_rate_per_network,
                      now_ms * 1000);
}

/* ---- names */

const char *
admission_limit_name(enum admission_verdict verdict)
{
    static const char *const names[ADMISSION_VERDICT_COUNT] = {
        [ADMISSION_OK] = "",
        [ADMISSION_CONNECTIONS] = "limits.connections",
        [ADMISSION_ADDRESS] = "limits.connections_per_address",
        [ADMISSION_NETWORK] = "limits.connections_per_network",
        [ADMISSION_ADDRESS_RATE] = "limits.connection_rate",
        [ADMISSION_NETWORK_RATE] = "limits.connection_rate_per_network",
        [ADMISSION_TABLE_FULL] = "admission table",
        [ADMISSION_ADDRESS_MESSAGES] = "limits.message_rate",
        [ADMISSION_NETWORK_MESSAGES] = "limits.message_rate_per_network",
    };
    return names[verdict];
}

uint32_t
admission_limit_value(const struct admission_limits *limits, enum admission_verdict verdict)
{
    const uint32_t values[ADMISSION_VERDICT_COUNT] = {
        [ADMISSION_CONNECTIONS] = limits->connections,
        [ADMISSION_ADDRESS] = limits->connections_per_address,
        [ADMISSION_NETWORK] = limits->connections_per_network,
        [ADMISSION_ADDRESS_RATE] = limits->connection_rate,
        [ADMISSION_NETWORK_RATE] = limits->connection_rate_per_network,
        [ADMISSION_ADDRESS_MESSAGES] = limits->message_rate,
        [ADMISSION_NETWORK_MESSAGES] = limits->message_rate_per_network,
    };
    return values[verdict];
}

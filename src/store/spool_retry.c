/* What the configuration says about scheduling: delays and destinations. */
#include "store/spool_schedule.h"

/* Destinations and messages in memory: about 4 MiB and 32 MiB. */
#define DESTINATIONS_MAX 10000u
#define ENTRIES_MAX      262144u

struct schedule_settings
schedule_settings_from(const struct config *config)
{
    const struct config_queue *queue = &config->queue;
    return (struct schedule_settings){
        .retry_first_ms = queue->retry_first_ms,
        .retry_max_ms = queue->retry_max_ms,
        .retry_factor = queue->retry_factor,
        .retry_jitter = queue->retry_jitter,
        .concurrency_first = queue->concurrency_first,
        .concurrency_max = queue->concurrency_max,
        .destinations = DESTINATIONS_MAX,
        .entries = ENTRIES_MAX,
    };
}

int64_t
schedule_retry_delay(const struct schedule_settings *settings, uint32_t attempts, uint64_t random)
{
    double delay = (double)settings->retry_first_ms;
    double most = (double)settings->retry_max_ms;
    for (uint32_t i = 1; i < attempts && delay < most; i++) {
        delay *= settings->retry_factor;
        if (settings->retry_factor <= 1.0) {
            break;
        }
    }
    delay = delay < most ? delay : most;
    /* -jitter .. +jitter per cent in steps of a thousandth */
    double share = ((double)(random % 2001) - 1000.0) / 1000.0;
    delay += delay * share * (double)settings->retry_jitter / 100.0;
    return delay < 1.0 ? 1 : (int64_t)delay;
}

static struct str
copy_lower(struct str s, char out[static SPOOL_DESTINATION_MAX])
{
    s = str_head(s, SPOOL_DESTINATION_MAX);
    for (size_t i = 0; i < s.n; i++) {
        out[i] = char_lower(s.p[i]);
    }
    return str_make(out, s.n);
}

/* The text of a delivery; where the MX decides it is the domain. */
static struct str
delivery_key(const struct config_delivery *delivery, struct str domain,
             char out[static SPOOL_DESTINATION_MAX])
{
    if (delivery->kind == CONFIG_DELIVERY_MX || delivery->kind == CONFIG_DELIVERY_NONE) {
        return copy_lower(domain, out);
    }
    struct str text = str_head(delivery->text, SPOOL_DESTINATION_MAX);
    memcpy(out, text.p, text.n);
    return str_make(out, text.n);
}

struct str
spool_destination_key(const struct config *config, struct str address,
                      char out[static SPOOL_DESTINATION_MAX])
{
    size_t at = str_rfind_char(address, '@');
    /* <postmaster> alone is ours (RFC 5321 4.1.1.3) */
    struct str domain = at == STR_NPOS ? config->hostname : str_skip(address, at + 1);
    const struct config_domain *own = config_domain_find(config, domain);
    if (own != NULL) {
        return delivery_key(&own->delivery, domain, out);
    }
    const struct config_route *route = config_route_find(config, domain);
    return delivery_key(route != NULL ? &route->to : &config->smart_host.to, domain, out);
}

/* How files are fetched from web servers. */
#include "config/schema_rows.h"

static const struct schema_field fetch_fields[] = {
    DURATION(config_fetch, timeout, "30s", SECOND, 5 * MINUTE,
             "How long one file may take in all, looking up its host included."),
    ROW(config_fetch, private_addresses, SCHEMA_NETWORK, struct config_networks,
        "Networks that files may come from besides the public internet, where a web server of "
        "one's own, or a laboratory, has a private address.",
        .is_list = true, .most = 100, .unset = "none", .example = "[10.1.2.0/24]"),
    ROW(config_fetch, port, SCHEMA_PORT, uint16_t,
        "The servers' port. Another than 443 is for laboratories.", .fallback = "443", .least = 1,
        .most = 65535),
};
const struct schema_map schema_fetch_map = MAP_OF("Fetch", config_fetch, fetch_fields);

/*
 * Any text as a configuration. Besides memory errors it looks for broken promises: refused means
 * told why, in order and within the text; accepted means that defaults and bounds hold and that
 * what is listed is found.
 */
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
check_errors(const struct config_errors *errors, size_t size)
{
    require(errors->count > 0 && errors->count <= CONFIG_ERRORS_MAX);
    for (size_t i = 0; i < errors->count; i++) {
        const struct config_error *error = &errors->items[i];
        require(error->text.n > 0 && !str_contains_char(error->text, '\n'));
        require(error->line <= size + 1 && error->column <= size + 1);
        require(i == 0 || error->line >= errors->items[i - 1].line);
    }
}

static void
check_domain(const struct config *config, const struct config_domain *domain)
{
    require(config_domain_find(config, domain->name) == domain);
    require(domain->delivery.kind != CONFIG_DELIVERY_NONE);
    for (size_t i = 0; i < domain->aliases.count; i++) {
        const struct config_alias *alias = &domain->aliases.items[i];
        require(config_alias_find(domain, alias->name) == alias && alias->to.count > 0);
    }
    for (size_t i = 0; i < domain->list.count; i++) {
        require(config_list_contains(domain, domain->list.items[i].local));
    }
}

static void
check_config(const struct config *config)
{
    require(config->hostname.n > 0 && config->listeners.count > 0);
    require(config->limits.recipients >= 100 && config->limits.message_size >= 65536);
    require(config->queue.retry_first_ms <= config->queue.retry_max_ms);
    for (size_t i = 0; i < config->listeners.count; i++) {
        require(config->listeners.items[i].port != 0);
    }
    for (size_t i = 0; i < config->domains.count; i++) {
        check_domain(config, &config->domains.items[i]);
    }
    for (size_t i = 0; i < config->routes.count; i++) {
        require(config->routes.items[i].with_subdomains ||
                config_route_find(config, config->routes.items[i].domain) ==
                    &config->routes.items[i]);
    }
    for (size_t i = 0; i < config->zones.count; i++) {
        const struct config_networks *networks = &config->zones.items[i].networks;
        require(networks->count > 0);
        require(config_zone_for_ip(config, &networks->items[0].base) != NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create((size_t)1 << 20);
    const struct config *config = NULL;
    struct config_errors errors;
    struct str text = str_make((const char *)data, size);
    if (config_load_text(arena, text, &config, &errors) == STATUS_OK) {
        require(errors.count == 0);
        check_config(config);
        config_unref(&config);
    } else {
        require(config == NULL);
        check_errors(&errors, size);
    }
    arena_destroy(&arena);
    return 0;
}

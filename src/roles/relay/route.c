#include "roles/relay/route.h"

#include "base/clock.h"

void
relay_route_start(struct relay_route *route, struct arena *arena, const struct config *config,
                  const struct relay_route_world *world, const struct next_hop *hop)
{
    *route = (struct relay_route){.arena = arena, .config = config, .world = world, .hop = hop};
}

static enum relay_route_step
fail(struct relay_route_failure *failure_out, bool permanent, struct str host,
     struct smtp_reply reply)
{
    *failure_out =
        (struct relay_route_failure){.permanent = permanent, .reply = reply, .host = host};
    return ROUTE_FAILURE;
}

/* Our own memory, or a name nobody can look up. */
static enum relay_route_step
fail_status(struct relay_route_failure *failure_out, struct str host, enum status status)
{
    if (status == STATUS_SYNTAX) {
        return fail(failure_out, true, host,
                    SMTP_REPLY(0, 5, 1, 2, "the domain is not a name that can be looked up"));
    }
    return fail(failure_out, false, host, SMTP_REPLY(0, 4, 3, 0, "out of memory for this attempt"));
}

static struct mx_rules
rules_of(const struct relay_route *route)
{
    return (struct mx_rules){.own_name = route->config->hostname,
                             .random_below = route->world->random_below};
}

static uint16_t
port_of(const struct relay_route *route)
{
    return route->hop->port != 0 ? route->hop->port : route->world->smtp_port;
}

static bool
is_self(const struct relay_route *route, const struct ip_address *ip)
{
    return next_hop_is_self(route->config, route->world->own, route->world->own_count, ip,
                            port_of(route));
}

/* Finds the hosts of an MX; a failure ends the route. */
static enum relay_route_step
begin_mx(struct relay_route *route, struct relay_route_failure *failure_out)
{
    struct mx_rules rules = rules_of(route);
    struct mx_plan plan;
    enum status status =
        mx_plan_make(route->arena, &route->world->dns, route->hop->name, &rules, &plan);
    if (status != STATUS_OK) {
        return fail_status(failure_out, route->hop->name, status);
    }
    if (plan.outcome != MX_FOUND) {
        return fail(failure_out, plan.outcome == MX_PERMANENT, route->hop->name, plan.reply);
    }
    route->hosts = plan.hosts;
    route->host_count = plan.count;
    route->origin =
        (struct transport_origin){.way = plan.implicit ? TRANSPORT_WAY_IMPLICIT : TRANSPORT_WAY_MX,
                                  .domain = route->hop->name,
                                  .canonical = plan.canonical,
                                  .security = plan.security};
    return ROUTE_TARGET;
}

static enum relay_route_step
begin(struct relay_route *route, struct relay_route_failure *failure_out)
{
    route->begun = true;
    if (route->hop->kind == NEXT_HOP_MX) {
        return begin_mx(route, failure_out);
    }
    bool has_name = route->hop->kind == NEXT_HOP_HOST;
    route->single = (struct mx_host){.name = route->hop->name};
    route->origin = (struct transport_origin){.way = has_name ? TRANSPORT_WAY_CONFIGURED
                                                              : TRANSPORT_WAY_ADDRESS,
                                              .domain = route->hop->name};
    if (route->hop->kind == NEXT_HOP_ADDRESS) { /* a literal's brackets are no part of a name */
        route->single.name = str_from_cstr(ip_format(&route->hop->ip, route->ip_text));
    }
    route->hosts = &route->single;
    route->host_count = 1;
    return ROUTE_TARGET;
}

/* ---- DANE */

static bool
ignores_starttls(const struct next_hop *hop)
{
    return (hop->ignore & (1u << SMTP_CLIENT_KEYWORD_STARTTLS)) != 0;
}

/* Why TLSA records of these hosts are of no interest. */
static enum dane_reason
reason_not_to_ask(struct relay_route *route)
{
    const struct config *config = route->config;
    bool validates = config->dane.enabled && config->resolver.dnssec;
    bool wants_tls = route->hop->tls != CONFIG_TLS_NONE && !ignores_starttls(route->hop);
    if (!validates || route->hop->lmtp || !wants_tls) {
        return DANE_REASON_OFF;
    }
    if (route->no_dane) {
        return DANE_REASON_MESSAGE;
    }
    route->exception = config_dane_exception_for(config, route->hop->name, clock_wall_ms());
    return route->exception != NULL ? DANE_REASON_EXCEPTION : DANE_REASON_NONE;
}

/* Finds out whether the host has TLSA records. */
static enum status
look_at_dane(struct relay_route *route, const struct mx_host *host)
{
    struct dane *dane = arena_alloc(route->arena, sizeof *dane);
    enum dane_reason reason = reason_not_to_ask(route);
    const struct dane_question question = {
        .host = host->name,
        .port = port_of(route),
        .origin = route->origin,
        .address = {route->addresses.security, route->addresses.canonical},
        .insecure_mx = route->config->dane.insecure_mx};
    if (dane == NULL) {
        return STATUS_LIMIT;
    }
    route->dane = dane;
    if (reason != DANE_REASON_NONE) {
        *dane = dane_not_asked(reason);
        return STATUS_OK;
    }
    return dane_find(route->arena, &route->world->dns, &question, dane);
}

void
relay_route_skip_host(struct relay_route *route)
{
    route->address = route->addresses.count;
}

/* ---- hosts */

/* Looks up the next host. */
static enum relay_route_step
next_host(struct relay_route *route, struct relay_route_failure *failure_out)
{
    const struct mx_host *host = &route->hosts[route->host++];
    struct mx_rules rules = rules_of(route);
    route->address = 0;
    route->addresses = (struct mx_addresses){.count = 0};
    route->dane = NULL;
    if (route->hop->kind == NEXT_HOP_UNIX || route->hop->kind == NEXT_HOP_ADDRESS) {
        route->addresses.items = &route->hop->ip;
        route->addresses.count = 1;
        return ROUTE_TARGET;
    }
    enum status status =
        mx_addresses_find(route->arena, &route->world->dns, host->name, &rules, &route->addresses);
    if (status != STATUS_OK) {
        return fail_status(failure_out, host->name, status);
    }
    if (route->addresses.outcome != MX_FOUND) {
        /* A host that the configuration names and nobody knows is a mistake of ours: wait. */
        bool permanent = route->addresses.outcome == MX_PERMANENT && !route->hop->configured;
        struct smtp_reply reply = route->addresses.reply;
        if (!permanent && reply.enhanced.class == 5) {
            reply = SMTP_REPLY(0, 4, 4, 4, "the configured host has no address");
        }
        return fail(failure_out, permanent, host->name, reply);
    }
    status = look_at_dane(route, host);
    if (status != STATUS_OK) {
        relay_route_skip_host(route);
        return fail_status(failure_out, host->name, STATUS_LIMIT);
    }
    return ROUTE_TARGET;
}

/* We are an MX ourselves under another name: nobody of our preference or worse is of use. */
static enum relay_route_step
fail_self(struct relay_route *route, struct relay_route_failure *failure_out)
{
    const struct mx_host *self = &route->hosts[route->host - 1];
    route->address = route->addresses.count;
    while (route->host < route->host_count &&
           route->hosts[route->host].preference >= self->preference) {
        route->host++;
    }
    if (route->hop->configured) {
        return fail(failure_out, false, self->name,
                    SMTP_REPLY(0, 4, 4, 6, "the configured next hop is this gateway itself"));
    }
    return fail(failure_out, true, self->name,
                SMTP_REPLY(0, 5, 4, 6, "mail for this domain leads back to this gateway"));
}

enum relay_route_step
relay_route_next(struct relay_route *route, struct relay_target *target_out,
                 struct relay_route_failure *failure_out)
{
    enum relay_route_step step = ROUTE_TARGET;
    if (!route->begun) {
        step = begin(route, failure_out);
    }
    while (step == ROUTE_TARGET && route->address >= route->addresses.count) {
        if (route->host >= route->host_count) {
            return ROUTE_END;
        }
        step = next_host(route, failure_out);
    }
    if (step != ROUTE_TARGET) {
        return step;
    }
    const struct mx_host *host = &route->hosts[route->host - 1];
    const struct ip_address *ip = &route->addresses.items[route->address++];
    bool is_unix = route->hop->kind == NEXT_HOP_UNIX;
    if (!is_unix && is_self(route, ip)) {
        return fail_self(route, failure_out);
    }
    if (route->targets++ >= ROUTE_TARGETS_MAX) {
        route->cut_short = true;
        return ROUTE_END;
    }
    *target_out =
        (struct relay_target){.is_unix = is_unix,
                              .host = host->name,
                              .ip = *ip,
                              .port = port_of(route),
                              .preference = host->preference,
                              .origin = route->origin,
                              .security = {route->addresses.security, route->addresses.canonical},
                              .dane = route->dane,
                              .exception = route->exception};
    return ROUTE_TARGET;
}

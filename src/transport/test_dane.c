#include "transport/test_dane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t
pick_last(uint64_t bound)
{
    return bound - 1;
}

void
dane_world_open(struct dane_world *world, const char *zone)
{
    struct str error = STR("");
    *world = (struct dane_world){.arena = arena_create(1 << 22)};
    struct str text = arena_str_dup(world->arena, str_from_cstr(zone));
    char *at = arena_alloc(world->arena, text.n);
    assert_non_null(at);
    for (size_t i = 0; i < text.n; i++) {
        at[i] = text.p[i] == '\'' ? '"' : text.p[i];
    }
    if (dns_zone_create(world->arena, str_make(at, text.n), DNS_SECURITY_SECURE, &world->zone,
                        &error) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(error));
    }
    world->dns = dns_source_from_zone(world->zone);
}

void
dane_world_close(struct dane_world *world)
{
    dns_zone_destroy(&world->zone);
    arena_destroy(&world->arena);
}

bool
dane_world_find(struct dane_world *world, const char *domain, size_t index, struct dane *dane_out)
{
    const struct mx_rules rules = {.own_name = STR("gw.ours.example"), .random_below = pick_last};
    struct mx_plan plan;
    struct mx_addresses addresses;
    struct str name = str_from_cstr(domain);
    assert_int_equal(mx_plan_make(world->arena, &world->dns, name, &rules, &plan), STATUS_OK);
    assert_true(plan.count > index);
    assert_int_equal(
        mx_addresses_find(world->arena, &world->dns, plan.hosts[index].name, &rules, &addresses),
        STATUS_OK);
    if (addresses.outcome != MX_FOUND) {
        return false;
    }
    const struct dane_question question = {
        .host = plan.hosts[index].name,
        .port = 25,
        .origin = {.way = plan.implicit ? TRANSPORT_WAY_IMPLICIT : TRANSPORT_WAY_MX,
                   .domain = name,
                   .canonical = plan.canonical,
                   .security = plan.security},
        .address = {addresses.security, addresses.canonical},
        .insecure_mx = !world->no_insecure_mx,
    };
    assert_int_equal(dane_find(world->arena, &world->dns, &question, dane_out), STATUS_OK);
    return true;
}

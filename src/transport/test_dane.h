/*
 * test_dane.h - zones and questions for the tests of DANE. What goes wrong here fails the test.
 */
#ifndef POSTERN_TRANSPORT_TEST_DANE_H
#define POSTERN_TRANSPORT_TEST_DANE_H

#include "dns/source_zone.h"
#include "transport/dane.h"
#include "transport/mx.h"

struct dane_world {
    struct arena *arena;
    struct dns_zone *zone;
    struct dns_source dns;
    bool no_insecure_mx; /* hosts of an unsigned MX have no DANE */
};

/* A zone in JSON (source_zone.h) with ' for "; what does not say otherwise is signed. */
void dane_world_open(struct dane_world *world, const char *zone);
void dane_world_close(struct dane_world *world);

/* Finds the MX of a domain, and what DANE says of its host number `index`, at port 25. False: the
 * host has no address that is known. */
bool dane_world_find(struct dane_world *world, const char *domain, size_t index,
                     struct dane *dane_out);

#endif

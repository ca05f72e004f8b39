/*
 * test_dkim.h - for tests: a zone, keys, and messages that are signed with them.
 */
#ifndef POSTERN_AUTH_TEST_DKIM_H
#define POSTERN_AUTH_TEST_DKIM_H

#include "auth/dkim_sign.h"
#include "auth/dkim_verify.h"
#include "auth/private_key.h"
#include "dns/source_zone.h"

/* The selectors of the keys; their domain is TEST_DKIM_DOMAIN. */
#define TEST_DKIM_RSA     "rsa"
#define TEST_DKIM_ED25519 "ed"
#define TEST_DKIM_DOMAIN  "signer.example"
#define TEST_DKIM_NOW     1795000000

struct test_dkim {
    struct arena *arena;
    struct dns_zone *zone;
    struct dns_source dns;
};

/* `zone` is JSON; fails the test when it cannot be read. */
void test_dkim_open(struct test_dkim *world, const char *zone);
void test_dkim_close(struct test_dkim *world);

/* Two keys that are made once for the whole program, and their text for "p=". */
struct private_key *test_dkim_key(enum crypto_algorithm algorithm);
struct str test_dkim_public(struct arena *arena, enum crypto_algorithm algorithm);

/*
 * A zone with both keys at their selectors: `more` is put behind "v=DKIM1; k=...;", as "t=y;". In
 * the arena.
 */
const char *test_dkim_zone(struct arena *arena, const char *more);

/* A request with both keys over `message`, at TEST_DKIM_NOW; borrowed from the arena. */
struct dkim_sign_request test_dkim_request(struct arena *arena, struct str message);
/* The fields and behind them the message. */
struct str test_dkim_signed(struct arena *arena, struct str message,
                            const struct dkim_sign_request *request);

/* Verifies at TEST_DKIM_NOW; "pass pass", or "fail(body_changed) ...". In the world's arena. */
const char *test_dkim_verdict(struct test_dkim *world, struct str message);
/* The same, all of it. */
struct dkim_outcomes test_dkim_outcomes(struct test_dkim *world, struct str message);

#endif

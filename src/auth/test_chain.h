/*
 * test_chain.h - messages with ARC chains for tests: a key, a DNS that has it, sealing at several
 * hops, and fields that are made by hand.
 */
#ifndef POSTERN_AUTH_TEST_CHAIN_H
#define POSTERN_AUTH_TEST_CHAIN_H

#include "auth/arc_seal.h"
#include "auth/private_key.h"

/* Sealed and verified at this time. */
#define TEST_CHAIN_NOW 1700000000

struct test_chain {
    struct arena *arena;
    struct private_key *key;
    struct crypto_signer signer;
    struct dns_source dns;
    struct str key_text;      /* of every TXT record that is asked for */
    enum dns_outcome outcome; /* ANSWER, unless a test wants another */
    struct str broken;        /* names below it have no answer (TIMEOUT); empty: none */
    size_t questions;
    struct mail_head head; /* of the message that was parsed last */
    struct str body;
};

/* An arena, one key for all domains. */
void test_chain_open(struct test_chain *chain);
void test_chain_close(struct test_chain *chain);

/* The chain of a message. */
struct arc_verification test_chain_verify(struct test_chain *chain, struct str message);

/*
 * The message with one more set on top, sealed by `domain` with what `received` (mostly the same
 * message) verifies to. "results" as in struct arc_seal_settings. The message unchanged when it is
 * not to be sealed.
 */
struct str test_chain_seal(struct test_chain *chain, struct str message, struct str received,
                           struct str domain, struct str results);

/*
 * The message with a first set whose ARC-Message-Signature and ARC-Seal have these tags, to which
 * bh= and b= are added. "%s" in `signature` stands for the body hash in base 64.
 */
struct str test_chain_by_hand(struct test_chain *chain, struct str message, const char *signature,
                              const char *seal);

/* `text` with the first `what` replaced; aborts when it is not there. */
struct str test_chain_replace(struct test_chain *chain, struct str text, const char *what,
                              const char *with);

/* "pass 0", or "fail 2 the reason", with "temporary" in front where it is. */
const char *test_chain_text(struct test_chain *chain, const struct arc_verification *verification);

#endif

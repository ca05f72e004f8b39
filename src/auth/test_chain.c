#include "auth/test_chain.h"

#include <stdlib.h>

#include "auth/arc_hash.h"
#include "base/encode.h"
#include "dns/rdata.h"

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

/* Every name has the same key. */
static enum status
resolve(void *ctx, struct arena *arena, struct str name, uint16_t type, struct dns_answer *out)
{
    struct test_chain *chain = ctx;
    struct str *record = arena_alloc(arena, sizeof *record);
    struct buf text;
    chain->questions++;
    require(record != NULL && type == DNS_TYPE_TXT);
    *out = (struct dns_answer){.outcome = chain->outcome, .canonical = name};
    if (chain->broken.n > 0 && str_ends_with(name, chain->broken)) {
        out->outcome = DNS_OUTCOME_TIMEOUT;
    }
    if (out->outcome == DNS_OUTCOME_ANSWER) {
        buf_init(&text, 65536);
        require(dns_rdata_put_txt(&text, chain->key_text) == STATUS_OK);
        *record = arena_str_dup(arena, buf_str(&text));
        buf_free(&text);
        out->records = record;
        out->record_count = 1;
    }
    return STATUS_OK;
}

void
test_chain_open(struct test_chain *chain)
{
    struct str octets;
    *chain = (struct test_chain){.arena = arena_create(64u << 20)};
    require(private_key_generate(CRYPTO_RSA_SHA256, 0, &chain->key) == STATUS_OK);
    require(private_key_public(chain->key, chain->arena, &octets) == STATUS_OK);
    chain->key_text = arena_printf(chain->arena, "v=DKIM1; k=rsa; p=%.*s",
                                   STR_ARG(base64_encode(chain->arena, octets)));
    chain->signer = private_key_signer(chain->key);
    chain->dns = (struct dns_source){.resolve = resolve, .ctx = chain};
}

void
test_chain_close(struct test_chain *chain)
{
    private_key_destroy(&chain->key);
    arena_destroy(&chain->arena);
}

static void
parse(struct test_chain *chain, struct str message)
{
    static const struct mail_head_limits limits = {1u << 22, 10000};
    require(mail_head_parse(chain->arena, message, &limits, &chain->head) == STATUS_OK);
    chain->body = str_skip(message, chain->head.raw.n);
}

struct arc_verification
test_chain_verify(struct test_chain *chain, struct str message)
{
    struct arc_verification verification;
    struct dkim_lookup lookup;
    parse(chain, message);
    struct arc_verify_input input = {
        .head = &chain->head, .body = chain->body, .now = TEST_CHAIN_NOW};
    dkim_lookup_init(&lookup, chain->arena, &chain->dns, NULL);
    require(arc_verify(chain->arena, &input, &lookup, &verification) == STATUS_OK);
    return verification;
}

struct str
test_chain_seal(struct test_chain *chain, struct str message, struct str received,
                struct str domain, struct str results)
{
    struct arc_verification verification = test_chain_verify(chain, received);
    struct arc_seal_settings settings = {.domain = domain,
                                         .selector = STR("arc"),
                                         .signer = &chain->signer,
                                         .results = results,
                                         .now = TEST_CHAIN_NOW};
    struct arc_sealing sealing;
    parse(chain, message);
    require(arc_seal(chain->arena, &chain->head, chain->body, &verification, &settings, &sealing) ==
            STATUS_OK);
    for (enum arc_part part = ARC_PART_RESULTS;
         sealing.result == ARC_SEAL_DONE && part < ARC_PART_COUNT_; part++) {
        message = arena_printf(chain->arena, "%s: %.*s\r\n%.*s", arc_part_name(part),
                               STR_ARG(sealing.values[part]), STR_ARG(message));
    }
    return message;
}

static struct str
signature_of(struct test_chain *chain, const uint8_t *hash)
{
    struct buf signature;
    buf_init(&signature, CRYPTO_SIGNATURE_MAX);
    require(private_key_sign(chain->key, str_make((const char *)hash, CRYPTO_HASH_SIZE),
                             &signature) == STATUS_OK);
    struct str text = base64_encode(chain->arena, buf_str(&signature));
    buf_free(&signature);
    return text;
}

/* ARC-Message-Signature with its b=, whole. */
static struct str
sign_by_hand(struct test_chain *chain, const char *tags)
{
    struct arc_message_signature read;
    uint8_t hash[CRYPTO_HASH_SIZE];
    const struct body_hash *body;
    struct tag_list list;
    struct hasher *hasher = hasher_create(chain->arena, chain->body);
    require(hasher != NULL);
    require(hasher_body(hasher, CANONICAL_RELAXED, CANONICAL_NO_LIMIT, &body) == STATUS_OK);
    struct str body_hash =
        base64_encode(chain->arena, str_make((const char *)body->octets, CRYPTO_HASH_SIZE));
    struct str value =
        test_chain_replace(chain, str_from_cstr(tags), "%s", arena_cstr(chain->arena, body_hash));
    struct str raw = arena_printf(chain->arena, "ARC-Message-Signature: %.*s; b=", STR_ARG(value));
    require(tag_list_parse(str_skip(raw, 22), 0, &list) == TAG_LIST_OK);
    /* Also what our reader refuses is to be signed. */
    (void)!dkim_signature_from_tags(chain->arena, &list, DKIM_SIGNATURE_ARC, &read.dkim);
    struct dkim_header_hash what = {.head = &chain->head,
                                    .form = read.dkim.head,
                                    .names = read.dkim.names,
                                    .name_count = read.dkim.name_count,
                                    .raw = raw,
                                    .without = str_skip(raw, raw.n)};
    require(dkim_header_hash(chain->arena, &what, hash) == STATUS_OK);
    return arena_printf(chain->arena, "%.*s%.*s", STR_ARG(raw), STR_ARG(signature_of(chain, hash)));
}

struct str
test_chain_by_hand(struct test_chain *chain, struct str message, const char *signature,
                   const char *seal)
{
    struct arc_sealed_set set = {.raw[ARC_PART_RESULTS] =
                                     STR("ARC-Authentication-Results: i=1; a.example; none")};
    uint8_t hash[1][CRYPTO_HASH_SIZE];
    parse(chain, message);
    set.raw[ARC_PART_SIGNATURE] = sign_by_hand(chain, signature);
    set.raw[ARC_PART_SEAL] = arena_printf(chain->arena, "ARC-Seal: %s; b=", seal);
    set.b_value = str_skip(set.raw[ARC_PART_SEAL], set.raw[ARC_PART_SEAL].n);
    struct hasher *hasher = hasher_create(chain->arena, chain->body);
    require(hasher != NULL && arc_seal_hashes(hasher, &set, 1, hash) == STATUS_OK);
    return arena_printf(chain->arena, "%.*s%.*s\r\n%.*s\r\n%.*s\r\n%.*s",
                        STR_ARG(set.raw[ARC_PART_SEAL]), STR_ARG(signature_of(chain, hash[0])),
                        STR_ARG(set.raw[ARC_PART_SIGNATURE]), STR_ARG(set.raw[ARC_PART_RESULTS]),
                        STR_ARG(message));
}

struct str
test_chain_replace(struct test_chain *chain, struct str text, const char *what, const char *with)
{
    size_t at = str_find(text, str_from_cstr(what));
    require(at != STR_NPOS);
    return arena_printf(chain->arena, "%.*s%s%.*s", STR_ARG(str_head(text, at)), with,
                        STR_ARG(str_skip(text, at + strlen(what))));
}

const char *
test_chain_text(struct test_chain *chain, const struct arc_verification *verification)
{
    struct str text;
    if (verification->result == ARC_RESULT_FAIL) {
        text = arena_printf(chain->arena, "%sfail %u %.*s",
                            verification->temporary ? "temporary " : "", verification->instance,
                            STR_ARG(verification->reason));
    } else {
        text = arena_printf(chain->arena, "%s %u", arc_result_name(verification->result),
                            verification->oldest_pass);
    }
    require(text.p != NULL);
    return text.p;
}

/*
 * auth_bench - how fast a DKIM signature is verified, against what the cryptography alone costs.
 *
 *     auth_bench [-s OCTETS] [-t SECONDS] [--json]
 *
 * A message of -s octets with one RSA-2048 signature, relaxed/relaxed, is verified from memory as
 * in the filter: the header section read, the key record and the public key taken from caches. In
 * turns with it, a few hundred at a time, the bare verification of a signature is measured, which
 * is what `openssl speed rsa2048` does. Both are counted in the time of the processor, so that what
 * else runs on the machine matters little. Prints rates and their ratio.
 */
#include <getopt.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "auth/dkim_sign.h"
#include "auth/dkim_verify.h"
#include "auth/private_key.h"
#include "base/encode.h"
#include "dns/rdata.h"

#define ARENA_CEILING (16u << 20)
#define KEYS_CACHED   64u
/* About what the signature's field takes. */
#define FIELD_OCTETS  740u
/* Of one kind between two of the other. */
#define BATCH         200u

static const struct mail_head_limits limits = {65536, 1000};

struct bench {
    size_t octets;
    double seconds;
    bool json;
    struct arena *arena;   /* of what lives all the time */
    struct arena *message; /* emptied for each message */
    struct private_key *key;
    struct key_cache *cache;
    struct str record; /* the key's, as the DNS has it */
    struct dns_source dns;
    struct str content;
    EVP_PKEY_CTX *ctx; /* for the bare verification */
    uint8_t hash[CRYPTO_HASH_SIZE];
    struct buf signature;
};

static void
check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "auth_bench: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* ---- what is measured */

static void
verify_message(struct bench *bench)
{
    struct mail_head head;
    struct dkim_lookup lookup;
    struct dkim_outcomes outcomes;
    arena_reset(bench->message);
    check(mail_head_parse(bench->message, bench->content, &limits, &head) == STATUS_OK, "head");
    const struct dkim_verify_input input = {
        .head = &head, .body = str_skip(bench->content, head.raw.n), .now = DKIM_NO_TIME};
    dkim_lookup_init(&lookup, bench->message, &bench->dns, bench->cache);
    check(dkim_verify(bench->message, &input, &lookup, &outcomes) == STATUS_OK, "dkim_verify");
    check(outcomes.count == 1 && outcomes.items[0].result == DKIM_RESULT_PASS, "no pass");
}

static void
verify_bare(struct bench *bench)
{
    struct str signature = buf_str(&bench->signature);
    check(EVP_PKEY_verify(bench->ctx, (const unsigned char *)signature.p, signature.n, bench->hash,
                          sizeof bench->hash) == 1,
          "the bare signature");
}

static double
processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* How long a batch takes. */
static double
measure(struct bench *bench, void (*work)(struct bench *bench))
{
    double start = processor_seconds();
    for (unsigned i = 0; i < BATCH; i++) {
        work(bench);
    }
    return processor_seconds() - start;
}

/* ---- what it is measured with */

static struct str
make_message(struct bench *bench)
{
    static const char head[] = "From: Alice Example <alice@bench.example>\r\n"
                               "To: Bob Example <bob@other.example>\r\n"
                               "Subject: How fast a signature is verified\r\n"
                               "Date: Fri, 27 Nov 2026 09:00:00 +0000\r\n"
                               "Message-ID: <0123456789@bench.example>\r\n"
                               "MIME-Version: 1.0\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Transfer-Encoding: 8bit\r\n\r\n";
    static const char line[] =
        "The quick brown fox jumps over the lazy dog, and back again, all day.\r\n";
    struct buf text;
    buf_init(&text, bench->octets + sizeof head + sizeof line);
    enum status status = buf_append(&text, str_from_cstr(head));
    while (status == STATUS_OK && buf_length(&text) + FIELD_OCTETS < bench->octets) {
        status = buf_append(&text, str_from_cstr(line));
    }
    struct str copy = arena_str_dup(bench->arena, buf_str(&text));
    buf_free(&text);
    check(status == STATUS_OK && copy.p != NULL, "the message");
    return copy;
}

static void
sign_message(struct bench *bench)
{
    struct mail_head head;
    struct buf text;
    struct str plain = make_message(bench);
    const struct dkim_sign_key key = {STR("s"), private_key_signer(bench->key)};
    check(mail_head_parse(bench->arena, plain, &limits, &head) == STATUS_OK, "the header");
    const struct dkim_sign_request request = {.head = &head,
                                              .body = str_skip(plain, head.raw.n),
                                              .domain = STR("bench.example"),
                                              .keys = &key,
                                              .key_count = 1,
                                              .head_form = CANONICAL_RELAXED,
                                              .body_form = CANONICAL_RELAXED,
                                              .expires = DKIM_NO_TIME};
    buf_init(&text, DKIM_SIGN_FIELDS_MAX + plain.n);
    check(dkim_sign(bench->arena, &request, &text) == STATUS_OK &&
              buf_append(&text, plain) == STATUS_OK,
          "the signature");
    bench->content = arena_str_dup(bench->arena, buf_str(&text));
    buf_free(&text);
}

/* The answer, as a cache hands it out. */
static enum status
resolve_cached(void *ctx, struct arena *arena, struct str name, uint16_t type,
               struct dns_answer *out)
{
    const struct bench *bench = ctx;
    (void)arena;
    (void)type;
    *out = (struct dns_answer){.outcome = DNS_OUTCOME_ANSWER,
                               .security = DNS_SECURITY_SECURE,
                               .canonical = name,
                               .records = &bench->record,
                               .record_count = 1};
    return STATUS_OK;
}

static void
publish(struct bench *bench)
{
    struct str octets;
    struct buf rdata;
    check(private_key_public(bench->key, bench->arena, &octets) == STATUS_OK, "the public key");
    struct str text = arena_printf(bench->arena, "v=DKIM1; k=rsa; p=%.*s",
                                   STR_ARG(base64_encode(bench->arena, octets)));
    buf_init(&rdata, DNS_RDATA_MAX);
    check(dns_rdata_put_txt(&rdata, text) == STATUS_OK, "the record");
    bench->record = arena_str_dup(bench->arena, buf_str(&rdata));
    bench->dns = (struct dns_source){.resolve = resolve_cached, .ctx = bench};
    buf_free(&rdata);
}

static void
prepare_bare(struct bench *bench)
{
    struct str octets;
    check(private_key_public(bench->key, bench->arena, &octets) == STATUS_OK, "the public key");
    const unsigned char *p = (const unsigned char *)octets.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)octets.n);
    check(key != NULL, "the public key");
    bench->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    EVP_PKEY_free(key);
    check(bench->ctx != NULL && EVP_PKEY_verify_init(bench->ctx) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(bench->ctx, RSA_PKCS1_PADDING) == 1 &&
              EVP_PKEY_CTX_set_signature_md(bench->ctx, crypto_sha256()) == 1 &&
              crypto_hash(bench->content, bench->hash) == STATUS_OK &&
              private_key_sign(bench->key, str_make((char *)bench->hash, sizeof bench->hash),
                               &bench->signature) == STATUS_OK,
          "the bare signature");
}

static void
take_options(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    int option;
    while ((option = getopt_long(argc, argv, "s:t:", options, NULL)) != -1) {
        switch (option) {
        case 's':
            bench->octets = strtoul(optarg, NULL, 10);
            break;
        case 't':
            bench->seconds = strtod(optarg, NULL);
            break;
        case 'j':
            bench->json = true;
            break;
        default:
            exit(EXIT_FAILURE);
        }
    }
}

static void
run(struct bench *bench)
{
    double message_seconds = 0;
    double bare_seconds = 0;
    size_t batches = 0;
    for (; message_seconds + bare_seconds < bench->seconds; batches++) {
        bare_seconds += measure(bench, verify_bare);
        message_seconds += measure(bench, verify_message);
    }
    double message = (double)(batches * BATCH) / message_seconds;
    double bare = (double)(batches * BATCH) / bare_seconds;
    if (bench->json) {
        printf("{\"octets\": %zu, \"messages\": %.0f, \"bare\": %.0f, \"ratio\": %.3f}\n",
               bench->content.n, message, bare, message / bare);
    } else {
        printf("DKIM, RSA-2048, a message of %zu octets: %.0f/s verified; the signature alone: "
               "%.0f/s; %.0f%%\n",
               bench->content.n, message, bare, 100 * message / bare);
    }
}

int
main(int argc, char **argv)
{
    struct bench bench = {.octets = 4096, .seconds = 5};
    take_options(&bench, argc, argv);
    bench.arena = arena_create(ARENA_CEILING + 4 * bench.octets);
    bench.message = arena_create(ARENA_CEILING);
    bench.cache = key_cache_create(KEYS_CACHED);
    buf_init(&bench.signature, CRYPTO_SIGNATURE_MAX);
    check(private_key_generate(CRYPTO_RSA_SHA256, 2048, &bench.key) == STATUS_OK, "the key");
    sign_message(&bench);
    publish(&bench);
    prepare_bare(&bench);
    run(&bench);
    EVP_PKEY_CTX_free(bench.ctx);
    buf_free(&bench.signature);
    key_cache_destroy(&bench.cache);
    private_key_destroy(&bench.key);
    arena_destroy(&bench.message);
    arena_destroy(&bench.arena);
    return EXIT_SUCCESS;
}

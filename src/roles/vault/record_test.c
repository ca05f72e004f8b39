/* Records of keys: as they are printed, and what is seen in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "auth/private_key.h"
#include "dns/rdata.h"
#include "roles/vault/record.h"
#include "roles/vault/rotation.h"

/* RFC 8463 A.2: the key of the example, and its record. */
#define ED25519_P "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
static const char ed25519[] = "\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a"
                              "\x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";

static struct arena *arena;

static struct str
txt(const char *text)
{
    struct buf out;
    buf_init(&out, 8192);
    assert_int_equal(dns_rdata_put_txt(&out, str_from_cstr(text)), STATUS_OK);
    struct str copy = arena_str_dup(arena, buf_str(&out));
    buf_free(&out);
    return copy;
}

static enum key_seen
see(struct dns_answer answer, const char *first, const char *second)
{
    struct str records[2];
    struct str shown;
    answer.records = records;
    if (first != NULL) {
        records[answer.record_count++] = txt(first);
    }
    if (second != NULL) {
        records[answer.record_count++] = txt(second);
    }
    return key_record_compare(arena, CRYPTO_ED25519_SHA256, str_make(ed25519, 32), &answer, &shown);
}

static void
answers(void **state)
{
    static const struct {
        const char *text;
        enum key_seen want;
    } rows[] = {
        {"v=DKIM1; k=ed25519; p=" ED25519_P, KEY_SEEN_SHOWN},
        {"k=ed25519;p=" ED25519_P ";", KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7h cvPapiMlrwIaaPcHURo=", KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; n=a note; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo",
         KEY_SEEN_SHOWN}, /* padding left out */
        {"v=DKIM1; k=ed25519; t=y; p=" ED25519_P, KEY_SEEN_TESTING},
        {"v=DKIM1; k=ed25519; t=s:y; p=" ED25519_P, KEY_SEEN_TESTING},
        {"v=DKIM1; k=ed25519; t=s; p=" ED25519_P, KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; h=sha256; s=email; p=" ED25519_P, KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; h=sha1:sha256; s=*; p=" ED25519_P, KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; h=sha1; p=" ED25519_P, KEY_SEEN_UNUSABLE},
        {"v=DKIM1; k=ed25519; h=*; p=" ED25519_P, KEY_SEEN_UNUSABLE}, /* "*" is for s= */
        {"v=DKIM1; k=ed25519; s=tlsrpt:*; p=" ED25519_P, KEY_SEEN_SHOWN},
        {"v=DKIM1; k=ed25519; s=tlsrpt; p=" ED25519_P, KEY_SEEN_UNUSABLE},
        {"v=DKIM1; k=rsa; p=" ED25519_P, KEY_SEEN_DIFFERENT},
        {"v=DKIM1; p=" ED25519_P, KEY_SEEN_DIFFERENT}, /* k=rsa by default */
        {"v=DKIM1; k=ed25519; p=21qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KEY_SEEN_DIFFERENT},
        {"v=DKIM1; k=ed25519; p=", KEY_SEEN_REVOKED},
        {"v=DKIM1; k=ed25519; p= ;", KEY_SEEN_REVOKED},
        {"v=DKIM1; k=ed25519", KEY_SEEN_UNREADABLE},
        {"v=DKIM1; k=ed25519; p=" ED25519_P "; p=" ED25519_P, KEY_SEEN_UNREADABLE},
        {"k=ed25519; v=DKIM1; p=" ED25519_P, KEY_SEEN_UNREADABLE}, /* v= not first */
        {"v=DKIM2; k=ed25519; p=" ED25519_P, KEY_SEEN_UNREADABLE},
        {"v=DKIM1; k=ed25519; p=**", KEY_SEEN_UNREADABLE},
        {"v=spf1 -all", KEY_SEEN_UNREADABLE},
        {"", KEY_SEEN_UNREADABLE},
    };
    struct dns_answer const good = {.outcome = DNS_OUTCOME_ANSWER};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum key_seen got = see(good, rows[i].text, NULL);
        if (got != rows[i].want) {
            fail_msg("%s: %s, not %s", rows[i].text, key_seen_name(got),
                     key_seen_name(rows[i].want));
        }
    }
    assert_int_equal(see(good, rows[0].text, rows[0].text), KEY_SEEN_SEVERAL);
    assert_int_equal(see(good, rows[0].text, "v=spf1 -all"), KEY_SEEN_SEVERAL);
}

static void
no_answers(void **state)
{
    static const struct {
        enum dns_outcome outcome;
        enum dns_security security;
        enum key_seen want;
    } rows[] = {
        {DNS_OUTCOME_NXDOMAIN, DNS_SECURITY_SECURE, KEY_SEEN_ABSENT},
        {DNS_OUTCOME_NODATA, DNS_SECURITY_INSECURE, KEY_SEEN_ABSENT},
        {DNS_OUTCOME_SERVFAIL, DNS_SECURITY_INSECURE, KEY_SEEN_FAILED},
        {DNS_OUTCOME_TIMEOUT, DNS_SECURITY_INDETERMINATE, KEY_SEEN_FAILED},
        {DNS_OUTCOME_REFUSED, DNS_SECURITY_INDETERMINATE, KEY_SEEN_FAILED},
        {DNS_OUTCOME_SERVFAIL, DNS_SECURITY_BOGUS, KEY_SEEN_BOGUS},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_answer const answer = {rows[i].outcome, rows[i].security};
        assert_int_equal(see(answer, NULL, NULL), rows[i].want);
    }
}

static void
printed(void **state)
{
    (void)state;
    struct str text = key_record_text(arena, CRYPTO_ED25519_SHA256, str_make(ed25519, 32));
    assert_true(str_eq(text, STR("v=DKIM1; k=ed25519; p=" ED25519_P)));
    struct str name = key_record_name(arena, STR("kartapuce.com"), STR("a"));
    assert_true(str_eq(name, STR("a._domainkey.kartapuce.com")));
    assert_true(str_eq(
        key_record_zone(arena, name, text),
        STR("a._domainkey.kartapuce.com. IN TXT \"v=DKIM1; k=ed25519; p=" ED25519_P "\"\n")));
    char *longer = arena_alloc(arena, 511);
    memset(longer, 'x', 510);
    struct str zone = key_record_zone(arena, STR("n"), str_make(longer, 510));
    assert_int_equal(str_count_char(zone, '"'), 4);
    assert_int_equal(str_count_char(zone, 'x'), 510);
    assert_true(str_starts_with(zone, STR("n. IN TXT (\n    \"x")));
    assert_true(str_ends_with(zone, STR("x\" )\n")));
}

/* RSA: the two forms of DER that are published are the same key. */
static void
forms_of_rsa(void **state)
{
    struct private_key *key = NULL;
    struct str spki;
    struct str shown;
    (void)state;
    assert_int_equal(private_key_generate(CRYPTO_RSA_SHA256, 2048, &key), STATUS_OK);
    assert_int_equal(private_key_public(key, arena, &spki), STATUS_OK);
    private_key_destroy(&key);
    /* SubjectPublicKeyInfo of 2048 bits: 24 octets, then RSAPublicKey. */
    struct str const forms[] = {spki, str_skip(spki, 24)};
    for (size_t i = 0; i < 2; i++) {
        struct str text = key_record_text(arena, CRYPTO_RSA_SHA256, forms[i]);
        struct str record = txt(arena_cstr(arena, text));
        struct dns_answer const answer = {
            .outcome = DNS_OUTCOME_ANSWER, .records = &record, .record_count = 1};
        assert_int_equal(key_record_compare(arena, CRYPTO_RSA_SHA256, spki, &answer, &shown),
                         KEY_SEEN_SHOWN);
        assert_true(str_eq(shown, text));
    }
}

static int
make_arena(void **state)
{
    (void)state;
    arena = arena_create(1u << 20);
    return 0;
}

static int
end_arena(void **state)
{
    (void)state;
    arena_destroy(&arena);
    return 0;
}

#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, make_arena, end_arena)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(answers),
        WITH_ARENA(no_answers),
        WITH_ARENA(printed),
        WITH_ARENA(forms_of_rsa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What DANE demands of deliveries: what is sent, what waits, what the trace has. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "roles/relay/test_world.h"
#include "store/delivery.h"

#define HEX_MAX (2 * EVP_MAX_MD_SIZE + 1)

/* The digest of the servers' key, as it stands in "3 1 1". */
static void
key_digest(char hex[HEX_MAX])
{
    struct str pem = test_server_certificate();
    unsigned char digest[EVP_MAX_MD_SIZE], *der = NULL;
    unsigned n = 0;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(certificate);
    int size = i2d_PUBKEY(X509_get0_pubkey(certificate), &der);
    assert_true(size > 0);
    assert_int_equal(EVP_Digest(der, (size_t)size, digest, &n, EVP_sha256(), NULL), 1);
    for (unsigned i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(bio);
}

static struct dns_zone *dane_zone;

#define HOST(name)                                                                                 \
    "\"" name ".example\": [{\"type\": \"MX\", \"pref\": 10, \"value\": \"mx." name                \
    ".example\"}], \"mx." name ".example\": [{\"type\": \"A\", \"value\": \"127.0.0.1\"}], "
#define AT(name) "\"_%1$u._tcp.mx." name ".example\": "
#define DANE_EE  "[{\"type\": \"TLSA\", \"usage\": 3, \"selector\": 1, \"matching\": 1, "
#define WRONG    DANE_EE "\"data\": \"%3$s\"}]"

/* A world whose DNS is signed. */
static int
setup(void **state)
{
    static const char zeros[] = "0000000000000000000000000000000000000000000000000000000000000000";
    char hex[HEX_MAX];
    struct str error = STR("");
    assert_int_equal(world_setup(state), 0);
    struct world *w = *state;
    key_digest(hex);
    struct str text = arena_printf(
        w->arena,
        "{" HOST("right") AT("right") DANE_EE "\"data\": \"%2$s\"}]," HOST("wrong") AT("wrong")
            WRONG "," HOST("sick") AT("sick") "[{\"type\": \"SERVFAIL\"}]," HOST("bogus")
                AT("bogus") DANE_EE "\"data\": \"%2$s\", \"secure\": \"bogus\"}]," HOST("unusable")
                    AT("unusable") "[{\"type\": \"TLSA\", \"usage\": 1, \"selector\": 1, "
                                   "\"matching\": 1, \"data\": \"%2$s\"}]," HOST(
                                       "plain") "\"pair.example\": [{\"type\": \"MX\", \"pref\": "
                                                "10, \"value\": "
                                                "\"mx.wrong.example\"}, {\"type\": \"MX\", "
                                                "\"pref\": 20, \"value\": "
                                                "\"mx.right.example\"}]}",
        test_server_port(w->servers[0]), hex, zeros);
    if (dns_zone_create(w->arena, text, DNS_SECURITY_SECURE, &dane_zone, &error) != STATUS_OK) {
        fail_msg("%.*s", STR_ARG(error));
    }
    w->relay.route.dns = dns_source_from_zone(dane_zone);
    return 0;
}

static int
teardown(void **state)
{
    int result = world_teardown(state);
    dns_zone_destroy(&dane_zone);
    return result;
}

/* The value of a field in the last event of that name; empty: there is none. */
static struct str
traced(struct world *w, const char *name, const char *field)
{
    struct trace_reader reader;
    struct trace_event event;
    struct str found = STR("");
    assert_int_equal(trace_reader_init(&reader, trace_events(&w->trace)), STATUS_OK);
    while (trace_reader_next(&reader, &event) == STATUS_OK) {
        if (strcmp(event.row->name, name) == 0) {
            found = arena_str_dup(w->arena, trace_event_text(&event, field));
        }
    }
    return found;
}

static void
expect_traced(struct world *w, const char *name, const char *field, const char *want)
{
    struct str got = traced(w, name, field);
    if (!str_eq(got, str_from_cstr(want))) {
        fail_msg("%s.%s is \"%.*s\", not \"%s\"", name, field, STR_ARG(got), want);
    }
}

/* No address and no message was said to the server, neither in the clear nor over TLS. */
static void
expect_silence(struct world *w)
{
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_true(str_find(test_server_commands(w->servers[0]), STR("MAIL")) == STR_NPOS);
}

static void
test_right_record(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].ehlo_tls = PLAIN_EHLO;
    DELIVER("a@right.example");
    EXPECT("relayed- 250 2.0.0");
    assert_true(str_ends_with(w->delivery.results[0].tls, STR(", DANE")));
    expect_traced(w, "attempt_tls", "wanted", "authentication");
    expect_traced(w, "attempt_tls", "by", "tlsa");
    expect_traced(w, "attempt_tls", "why", "dane");
    expect_traced(w, "attempt_tls", "result", "success");
    assert_true(str_starts_with(traced(w, "attempt_tls", "tlsa"), STR("3 1 1 ")));
    DELIVER("b@right.example"); /* over the connection that is open */
    EXPECT("relayed- 250 2.0.0");
    assert_int_equal(test_server_connections(w->servers[0]), 1);
}

/* The certificate is right, and then the server does not go on: it waits, as any mail does. */
static void
test_trouble_behind_a_right_record(void **state)
{
    static const char *const answers[] = {"421 4.3.2 full\r\n", "554 5.7.1 no\r\n", "<CLOSE>",
                                          "what?\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(setup(&fresh), 0);
        struct world *w = fresh;
        w->manners[0].ehlo = TLS_EHLO;
        w->manners[0].ehlo_tls = answers[i];
        DELIVER("a@right.example");
        assert_int_equal(w->delivery.results[0].outcome, DELIVERY_DEFERRED);
        assert_int_equal(teardown(&fresh), 0);
    }
}

/* What was opened under another configuration is not used again. */
static void
test_a_new_configuration_opens_anew(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].ehlo_tls = PLAIN_EHLO;
    DELIVER("a@right.example");
    config_unref(&w->config);
    world_load_config(w, "dane: {enabled: false}\n");
    DELIVER("b@right.example");
    EXPECT("relayed- 250 2.0.0");
    assert_false(str_ends_with(w->delivery.results[0].tls, STR(", DANE")));
    assert_int_equal(test_server_connections(w->servers[0]), 2);
}

/* Nothing is known without DNSSEC, and nothing can be without STARTTLS: no host is left for that.
 */
static void
test_where_dane_cannot_be(void **state)
{
    static const struct {
        const char *in_queue;
        const char *more;
    } configs[] = {
        {"", "resolver: {dnssec: false}\n"},
        {"ignore_ehlo: [STARTTLS], ", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        void *fresh = NULL;
        assert_int_equal(setup(&fresh), 0);
        struct world *w = fresh;
        config_unref(&w->config);
        w->in_queue = configs[i].in_queue;
        world_load_config(w, configs[i].more);
        DELIVER("a@wrong.example");
        EXPECT("relayed- 250 2.0.0");
        assert_int_equal(teardown(&fresh), 0);
    }
}

static void
test_wrong_record(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    DELIVER("a@wrong.example");
    EXPECT("deferred 0 4.7.5");
    expect_traced(w, "attempt_insecure", "result", "tlsa-invalid");
    expect_silence(w);
}

static void
test_another_host_is_tried(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].ehlo_tls = PLAIN_EHLO;
    DELIVER("a@pair.example");
    EXPECT("relayed- 250 2.0.0");
    expect_traced(w, "attempt_insecure", "host", "mx.wrong.example");
    expect_traced(w, "attempt_tls", "host", "mx.right.example");
}

static void
test_starttls_is_taken_away(void **state)
{
    struct world *w = *state;
    DELIVER("a@right.example");
    EXPECT("deferred 0 4.7.5");
    expect_traced(w, "attempt_insecure", "result", "starttls-not-supported");
    expect_silence(w);
}

static void
test_starttls_is_refused(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].starttls = "554 5.7.1 no\r\n";
    DELIVER("a@right.example");
    EXPECT("deferred 0 4.7.5");
    expect_silence(w);
}

static void
test_handshake_is_broken(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].tls_fails = true;
    DELIVER("a@right.example");
    EXPECT("deferred 0 4.7.5");
    expect_silence(w);
}

/* Who answers in the clear has not proved to be the server: no mail fails for good by that. */
static void
test_refusal_in_the_clear(void **state)
{
    struct world *w = *state;
    w->manners[0].greeting = "554 5.3.2 go away\r\n";
    DELIVER("a@right.example");
    assert_int_equal(w->delivery.results[0].outcome, DELIVERY_DEFERRED);
    DELIVER("a@plain.example");
    assert_int_equal(w->delivery.results[0].outcome, DELIVERY_FAILED);
}

static void
test_the_dns_fails(void **state)
{
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    DELIVER("a@sick.example");
    EXPECT("deferred 0 4.7.5");
    DELIVER("a@bogus.example");
    EXPECT("deferred 0 4.7.5");
    expect_traced(w, "attempt_insecure", "why", "dane-failed");
    expect_traced(w, "attempt_insecure", "result", "dnssec-invalid");
    relay_idle_destroy(&w->relay.idle);
    test_server_end(w->servers[0]);
    assert_int_equal(test_server_connections(w->servers[0]), 0);
}

static void
test_unusable_records(void **state)
{
    struct world *w = *state;
    DELIVER("a@unusable.example"); /* no STARTTLS */
    EXPECT("deferred 0 4.7.5");
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].ehlo_tls = PLAIN_EHLO;
    DELIVER("a@unusable.example");
    EXPECT("relayed- 250 2.0.0");
    expect_traced(w, "attempt_tls", "wanted", "encryption");
}

/* DANE off, and an exception that has not ended, let mail go; one that has ended does not. */
static void
test_exceptions(void **state)
{
    static const struct {
        const char *config;
        bool delivered;
    } cases[] = {
        {"dane: {enabled: false}\n", true},
        {"dane: {exceptions: [{domain: wrong.example, until: 2999-12-31, reason: x}]}\n", true},
        {"dane: {exceptions: [{domain: wrong.example, until: 2020-12-31}]}\n", false},
        {"dane: {exceptions: [{domain: right.example, until: 2999-12-31}]}\n", false},
    };
    struct world *w = *state;
    w->manners[0].ehlo = TLS_EHLO;
    w->manners[0].ehlo_tls = PLAIN_EHLO;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_unref(&w->config);
        world_load_config(w, cases[i].config);
        DELIVER("a@wrong.example");
        assert_int_equal(w->delivery.results[0].outcome == DELIVERY_DEFERRED, !cases[i].delivered);
    }
}

/* transport.md 49, 50: a message without demands and one with more share no connection. */
static void
test_connections_are_not_shared(void **state)
{
    struct arena *arena = arena_create(1 << 16);
    const struct next_hop hop = {.key = STR("mx:a.example")};
    const struct sts_policy policy = {.mode = STS_MODE_ENFORCE};
    const struct relay_needs needs[] = {{0}, {.requiretls = true}, {.tls_required_no = true}};
    const struct relay_sts sts[] = {{0}, {&policy, STR("1")}, {&policy, STR("2")}};
    struct str keys[9];
    (void)state;
    for (size_t i = 0; i < 9; i++) {
        keys[i] = relay_session_key(arena, &hop, &needs[i / 3], &sts[i % 3]);
        for (size_t k = 0; k < i; k++) {
            assert_false(str_eq(keys[i], keys[k]));
        }
    }
    assert_true(str_eq(keys[0], hop.key));
    arena_destroy(&arena);
}

#define DANE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        DANE_TEST(test_right_record),
        DANE_TEST(test_a_new_configuration_opens_anew),
        cmocka_unit_test(test_trouble_behind_a_right_record),
        cmocka_unit_test(test_where_dane_cannot_be),
        DANE_TEST(test_wrong_record),
        DANE_TEST(test_another_host_is_tried),
        DANE_TEST(test_starttls_is_taken_away),
        DANE_TEST(test_starttls_is_refused),
        DANE_TEST(test_handshake_is_broken),
        DANE_TEST(test_refusal_in_the_clear),
        DANE_TEST(test_the_dns_fails),
        DANE_TEST(test_unusable_records),
        DANE_TEST(test_exceptions),
        cmocka_unit_test(test_connections_are_not_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

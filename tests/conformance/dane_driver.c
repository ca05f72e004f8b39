/*
 * dane_driver.c - lets a conformance runner in another language ask what DANE says. One JSON object
 * a line in and out, in the same order.
 *
 * {"op": "verify", "chain": [PEM, ...], "roots": PEM, "tlsa": [T, ...], "names": [N, ...],
 *  "ee_names": bool}
 *     -> {"verify_result": number of X509_V_*, "match_depth": depth or -1}
 *     What the library says of a chain, leaf first, and TLSA records T = {"usage", "selector",
 *     "mtype", "data" in hex}. With ee_names, names count with DANE-EE(3) too.
 *
 * {"op": "policy", "zone": JSON text (dns/source_zone.h), "domain": D or null, "host": H,
 *  "chain": [PEM, ...], "insecure_mx": bool}
 *     -> {"state": a word of dane_state_name, "matched": bool, "pass": bool, "level": a word of
 *         transport_level_name, "result": a word of reports}
 *     What a sender does with mail for D, whose MX is H (null: H is configured), whose server shows
 *     this chain.
 *
 * An object that cannot be read gives {"error": text}. The end of input ends the program with 0.
 */
#include <jansson.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "dns/source_zone.h"
#include "transport/mx.h"
#include "transport/verdict.h"

#define DRIVER_CEILING ((size_t)1 << 26)
#define RECORDS_MAX    64u
#define NAMES_MAX      8u

static void
must(bool good)
{
    if (!good) {
        abort();
    }
}

static struct str
text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
                                 : STR("");
}

static json_t *
json_failure(const char *text)
{
    return json_pack("{s:s}", "error", text);
}

/* ---- chains */

static X509 *
certificate_read(const json_t *pem)
{
    BIO *bio = BIO_new_mem_buf(json_string_value(pem), (int)json_string_length(pem));
    X509 *certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static STACK_OF(X509) * chain_read(const json_t *list)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    for (size_t i = 0; i < json_array_size(list); i++) {
        X509 *certificate = certificate_read(json_array_get(list, i));
        must(certificate != NULL && sk_X509_push(chain, certificate) > 0);
    }
    return chain;
}

static void
roots_read(SSL_CTX *context, struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        must(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1);
        X509_free(certificate);
    }
    BIO_free(bio);
}

/* Verifies as the library does in a handshake; the result is kept in the connection. */
static void
verify(SSL *ssl, STACK_OF(X509) * chain)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    must(store != NULL &&
         X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)),
                             sk_X509_value(chain, 0), chain) == 1 &&
         X509_STORE_CTX_set_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx(), ssl) == 1 &&
         X509_STORE_CTX_set_default(store, "ssl_server") == 1 &&
         X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(store), SSL_get0_param(ssl)) == 1);
    X509_STORE_CTX_set0_dane(store, SSL_get0_dane(ssl));
    int result = X509_verify_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    must(result == 1 || error != X509_V_OK);
    SSL_set_verify_result(ssl, error);
    X509_STORE_CTX_free(store);
}

static SSL *
connection_make(struct str roots)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    must(context != NULL && tls_dane_prepare(context));
    roots_read(context, roots);
    SSL *ssl = SSL_new(context);
    must(ssl != NULL);
    SSL_CTX_free(context);
    SSL_set_connect_state(ssl);
    return ssl;
}

/* ---- verify */

static bool
record_read(struct arena *arena, const json_t *object, struct dns_tlsa *out)
{
    *out = (struct dns_tlsa){
        .usage = (uint8_t)json_integer_value(json_object_get(object, "usage")),
        .selector = (uint8_t)json_integer_value(json_object_get(object, "selector")),
        .matching = (uint8_t)json_integer_value(json_object_get(object, "mtype")),
    };
    return hex_decode(arena, text_of(object, "data"), &out->data) == STATUS_OK;
}

static json_t *
op_verify(struct arena *arena, const json_t *request)
{
    struct dns_tlsa records[RECORDS_MAX], matched;
    struct str names[NAMES_MAX];
    struct tls_dane dane = {.records = records, .names = names};
    const json_t *list = json_object_get(request, "tlsa");
    const json_t *name_list = json_object_get(request, "names");
    must(json_array_size(list) <= RECORDS_MAX && json_array_size(name_list) <= NAMES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        dane.count += record_read(arena, json_array_get(list, i), &records[dane.count]);
    }
    for (size_t i = 0; i < json_array_size(name_list); i++) {
        names[dane.name_count++] = str_from_cstr(json_string_value(json_array_get(name_list, i)));
    }
    SSL *ssl = connection_make(text_of(request, "roots"));
    must(tls_dane_apply(ssl, &dane) == STATUS_OK);
    if (json_is_true(json_object_get(request, "ee_names"))) {
        (void)SSL_dane_clear_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
    }
    STACK_OF(X509) *chain = chain_read(json_object_get(request, "chain"));
    verify(ssl, chain);
    long result = SSL_get_verify_result(ssl);
    /* The library hides the depth where something else is wrong with the chain. */
    SSL_set_verify_result(ssl, X509_V_OK);
    json_t *answer = json_pack("{s:I, s:i}", "verify_result", (json_int_t)result, "match_depth",
                               tls_dane_matched(ssl, &matched));
    sk_X509_pop_free(chain, X509_free);
    SSL_free(ssl);
    return answer;
}

/* ---- policy */

static uint64_t
pick_last(uint64_t bound)
{
    return bound - 1;
}

/* How the host is found; false: it cannot be, for now. */
static bool
question_make(struct arena *arena, const struct dns_source *dns, const json_t *request,
              struct dane_question *question)
{
    const struct mx_rules rules = {.own_name = STR("gw.ours.test"), .random_below = pick_last};
    struct str domain = text_of(request, "domain");
    struct mx_addresses addresses;
    struct mx_plan plan;
    *question = (struct dane_question){
        .host = text_of(request, "host"),
        .port = 25,
        .origin = {.way = TRANSPORT_WAY_CONFIGURED, .domain = text_of(request, "host")},
        .insecure_mx = json_is_true(json_object_get(request, "insecure_mx")),
    };
    if (domain.n > 0) {
        must(mx_plan_make(arena, dns, domain, &rules, &plan) == STATUS_OK);
        question->origin = (struct transport_origin){.way = plan.implicit ? TRANSPORT_WAY_IMPLICIT
                                                                          : TRANSPORT_WAY_MX,
                                                     .domain = domain,
                                                     .canonical = plan.canonical,
                                                     .security = plan.security};
    }
    must(mx_addresses_find(arena, dns, question->host, &rules, &addresses) == STATUS_OK);
    question->address = (struct transport_address){addresses.security, addresses.canonical};
    return addresses.outcome == MX_FOUND && (domain.n == 0 || plan.outcome == MX_FOUND);
}

/* What TLS would show. */
static struct tls_facts
facts_make(const struct dane *dane, const json_t *chain_list)
{
    struct tls_facts facts = {.problem = TLS_PROBLEM_UNTRUSTED, .trust_error = ""};
    struct dns_tlsa matched;
    SSL *ssl = connection_make(STR(""));
    const struct tls_dane compared = {dane->set.items, dane->set.count, dane->names,
                                      dane->name_count};
    must(dane->state != DANE_USABLE || tls_dane_apply(ssl, &compared) == STATUS_OK);
    STACK_OF(X509) *chain = chain_read(chain_list);
    verify(ssl, chain);
    facts.trusted = SSL_get_verify_result(ssl) == X509_V_OK;
    facts.dane_matched = tls_dane_matched(ssl, &matched) >= 0;
    sk_X509_pop_free(chain, X509_free);
    SSL_free(ssl);
    return facts;
}

static json_t *
op_policy(struct arena *arena, const json_t *request)
{
    struct dns_zone *zone;
    struct str error = STR("");
    struct dane_question question;
    struct dane dane = {.state = DANE_FAILED, .result = TLS_RESULT_DNSSEC_INVALID};
    if (dns_zone_create(arena, text_of(request, "zone"), DNS_SECURITY_SECURE, &zone, &error) !=
        STATUS_OK) {
        return json_failure(arena_printf(arena, "zone: %.*s", STR_ARG(error)).p);
    }
    struct dns_source dns = dns_source_from_zone(zone);
    if (question_make(arena, &dns, request, &question)) {
        must(dane_find(arena, &dns, &question, &dane) == STATUS_OK);
    }
    const struct transport_facts facts = {.host = question.host,
                                          .origin = question.origin,
                                          .configured = TRANSPORT_WISH_OPPORTUNISTIC,
                                          .dane = &dane};
    struct transport_demand demand = transport_decide(&facts);
    struct tls_facts tls = facts_make(&dane, json_object_get(request, "chain"));
    const struct transport_shown shown = {.offered = true, .tls = &tls};
    struct transport_verdict verdict = transport_judge(&demand, &shown);
    json_t *answer =
        json_pack("{s:s, s:b, s:b, s:s, s:s}", "state", dane_state_name(dane.state), "matched",
                  tls.dane_matched, "pass", verdict.pass, "level",
                  transport_level_name(demand.level), "result", tls_result_name(verdict.result));
    dns_zone_destroy(&zone);
    return answer;
}

/* ---- requests */

static json_t *
answer_line(struct arena *arena, const char *line, size_t n)
{
    json_error_t error;
    json_t *request = json_loadb(line, n, 0, &error);
    if (request == NULL) {
        return json_failure(error.text);
    }
    struct str op = text_of(request, "op");
    json_t *answer = NULL;
    if (str_eq(op, STR("verify"))) {
        answer = op_verify(arena, request);
    } else if (str_eq(op, STR("policy"))) {
        answer = op_policy(arena, request);
    }
    answer = answer != NULL ? answer : json_failure("op: unknown");
    json_t *copy = json_deep_copy(answer); /* texts of the arena and the request end here */
    json_decref(answer);
    json_decref(request);
    return copy;
}

int
main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        struct arena *arena = arena_create(DRIVER_CEILING);
        json_t *answer = answer_line(arena, line, (size_t)n);
        char *text = json_dumps(answer, JSON_COMPACT);
        must(text != NULL);
        puts(text);
        fflush(stdout);
        free(text);
        json_decref(answer);
        arena_destroy(&arena);
    }
    free(line);
    return 0;
}

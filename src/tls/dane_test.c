/* TLSA records against real chains: what the library makes of them, told by the facts. */
#include "tls/client.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "tls/server.h"

/* ---- chains: root, upper, lower, and what the server has */

enum who { ROOT, UPPER, LOWER, LEAF, EXPIRED, ONLY_CN, WILDCARD, DEAD_AIA, WHO_COUNT };

struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

struct world {
    struct arena *arena;
    struct party parties[WHO_COUNT];
};

static void
must(bool condition)
{
    assert_true(condition);
}

static void
add_extension(X509 *certificate, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension =
        value != NULL ? X509V3_EXT_conf_nid(NULL, context, nid, value) : NULL;
    if (value != NULL) {
        must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
        X509_EXTENSION_free(extension);
    }
}

struct form {
    const char *subject; /* its common name */
    const char *names;   /* NULL: no subjectAltName */
    const char *aia;
    enum who issuer;
    bool authority, expired;
};

static void
party_make(struct world *world, enum who who, const struct form *form)
{
    struct party *party = &world->parties[who];
    struct party *issuer = &world->parties[form->issuer];
    X509V3_CTX context;
    party->key = EVP_EC_gen("P-256");
    party->certificate = X509_new();
    X509 *c = party->certificate;
    must(party->key != NULL && c != NULL && X509_set_version(c, X509_VERSION_3) == 1);
    ASN1_INTEGER_set(X509_get_serialNumber(c), (long)who + 1);
    X509_gmtime_adj(X509_getm_notBefore(c), -7200);
    X509_gmtime_adj(X509_getm_notAfter(c), form->expired ? -3600 : 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               (const unsigned char *)form->subject, -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer->certificate));
    X509_set_pubkey(c, party->key);
    X509V3_set_ctx(&context, issuer->certificate, c, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&context);
    add_extension(c, &context, NID_basic_constraints, form->authority ? "critical,CA:TRUE" : NULL);
    add_extension(c, &context, NID_subject_alt_name, form->names);
    add_extension(c, &context, NID_info_access, form->aia);
    must(X509_sign(c, issuer->key, EVP_sha256()) > 0);
}

static void
world_open(struct world *world)
{
    static const struct form forms[WHO_COUNT] = {
        [ROOT] = {.subject = "root", .issuer = ROOT, .authority = true},
        [UPPER] = {.subject = "upper", .issuer = ROOT, .authority = true},
        [LOWER] = {.subject = "lower", .issuer = UPPER, .authority = true},
        [LEAF] = {.subject = "x", .names = "DNS:mx.example", .issuer = LOWER},
        [EXPIRED] = {.subject = "x", .names = "DNS:mx.example", .issuer = LOWER, .expired = true},
        [ONLY_CN] = {.subject = "mx.example", .issuer = LOWER},
        [WILDCARD] = {.subject = "x", .names = "DNS:*.wild.example", .issuer = LOWER},
        [DEAD_AIA] = {.subject = "x",
                      .names = "DNS:mx.example",
                      .aia = "caIssuers;URI:http://192.0.2.1/ca.der",
                      .issuer = LOWER},
    };
    *world = (struct world){.arena = arena_create(1 << 20)};
    for (unsigned i = 0; i < WHO_COUNT; i++) {
        party_make(world, (enum who)i, &forms[i]);
    }
}

static void
world_close(struct world *world)
{
    for (unsigned i = 0; i < WHO_COUNT; i++) {
        X509_free(world->parties[i].certificate);
        EVP_PKEY_free(world->parties[i].key);
    }
    arena_destroy(&world->arena);
}

static struct str
take(struct arena *arena, BIO *bio)
{
    char *data;
    long n = BIO_get_mem_data(bio, &data);
    struct str copy = arena_str_dup(arena, str_make(data, (size_t)n));
    BIO_free(bio);
    return copy;
}

/* "L", "LlU", ...: what the server sends, its own certificate first. */
static enum who
who_of(char letter)
{
    static const char letters[] = "RUlLECWA";
    const char *at = strchr(letters, letter);
    assert_non_null(at);
    return (enum who)(at - letters);
}

static struct tls_server *
server_of(struct world *world, const char *chain)
{
    struct tls_server_settings settings = {.session_lifetime_ms = 7200000,
                                           .session_context = STR("mx 25")};
    char error[TLS_ERROR_MAX] = "";
    struct tls_identity *identity = NULL;
    struct tls_server *server = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    BIO *key = BIO_new(BIO_s_mem());
    for (const char *c = chain; *c != '\0'; c++) {
        must(PEM_write_bio_X509(bio, world->parties[who_of(*c)].certificate) == 1);
    }
    must(PEM_write_bio_PrivateKey(key, world->parties[who_of(chain[0])].key, NULL, NULL, 0, NULL,
                                  NULL) == 1);
    if (tls_identity_parse(take(world->arena, bio), take(world->arena, key), &identity, error) !=
        STATUS_OK) {
        fail_msg("%s: %s", chain, error);
    }
    assert_int_equal(tls_server_create(&settings, &identity, 1, &server, error), STATUS_OK);
    tls_identity_unref(&identity);
    return server;
}

/* "211R": usage, selector, matching type, of whom; "-" for the letter: of nobody. */
static struct dns_tlsa
record_of(struct world *world, const char *text)
{
    struct dns_tlsa tlsa = {(uint8_t)(text[0] - '0'), (uint8_t)(text[1] - '0'),
                            (uint8_t)(text[2] - '0'), STR("")};
    unsigned char *der = NULL;
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    unsigned n = tlsa.matching == 2 ? 64 : 32;
    if (text[3] == '-') {
        tlsa.data = arena_str_dup(world->arena, str_make((const char *)digest, n));
        return tlsa;
    }
    X509 *c = world->parties[who_of(text[3])].certificate;
    int size = tlsa.selector == 1 ? i2d_PUBKEY(X509_get0_pubkey(c), &der) : i2d_X509(c, &der);
    must(size > 0);
    if (tlsa.matching == 0) {
        tlsa.data = arena_str_dup(world->arena, str_make((const char *)der, (size_t)size));
    } else {
        const EVP_MD *md = tlsa.matching == 2 ? EVP_sha512() : EVP_sha256();
        must(EVP_Digest(der, (size_t)size, digest, &n, md, NULL) == 1);
        tlsa.data = arena_str_dup(world->arena, str_make((const char *)digest, n));
    }
    OPENSSL_free(der);
    return tlsa;
}

/* ---- the handshake */

struct ends {
    int fds[2];
    struct tls_connection *server;
    struct tls_stream *client;
};

static void
ends_open(struct ends *ends, struct tls_server *server, struct tls_client *client,
          const struct tls_dane *dane)
{
    enum status ours = STATUS_AGAIN, theirs = STATUS_AGAIN;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    assert_int_equal(tls_connection_create(server, ends->fds[0], &ends->server), STATUS_OK);
    assert_int_equal(tls_stream_create(client, ends->fds[1], STR("mx.example"), &ends->client),
                     STATUS_OK);
    if (dane != NULL) {
        assert_int_equal(tls_stream_compare(ends->client, dane), STATUS_OK);
    }
    for (int turn = 0; turn < 20; turn++) {
        ours = ours == STATUS_AGAIN ? tls_io_handshake(tls_stream_io(ends->client)) : ours;
        theirs =
            theirs == STATUS_AGAIN ? tls_io_handshake(tls_connection_io(ends->server)) : theirs;
    }
    assert_int_equal(ours, STATUS_OK); /* whatever the certificate is worth */
}

static void
ends_close(struct ends *ends)
{
    tls_stream_destroy(&ends->client);
    tls_connection_destroy(&ends->server);
    close(ends->fds[0]);
    close(ends->fds[1]);
}

static size_t
read_records(struct world *world, const char *text, struct dns_tlsa *records)
{
    struct str rest = str_from_cstr(text), word;
    size_t count = 0;
    bool more = rest.n > 0;
    while (more) {
        more = str_cut(rest, ' ', &word, &rest);
        records[count++] = record_of(world, word.p);
    }
    return count;
}

/* The numbers are those of transport.md. */
static const struct {
    const char *number;
    const char *chain; /* that the server sends */
    const char *records;
    const char *names;   /* besides mx.example; "" for none */
    int depth;           /* -1: no match */
    const char *matched; /* the record */
    enum tls_problem problem;
} cases[] = {
    {"", "Ll", "301L", "", 0, "301L", TLS_PROBLEM_NONE},
    {"", "Ll", "300L", "", 0, "300L", TLS_PROBLEM_NONE},
    {"", "Ll", "302L", "", 0, "302L", TLS_PROBLEM_NONE},
    {"", "Ll", "311L", "", 0, "311L", TLS_PROBLEM_NONE},
    {"", "Ll", "310L", "", 0, "310L", TLS_PROBLEM_NONE},
    {"", "Ll", "312L", "", 0, "312L", TLS_PROBLEM_NONE},
    {"", "Ll", "311-", "", -1, "", TLS_PROBLEM_NO_MATCH},
    {"", "Ll", "201l", "", 1, "201l", TLS_PROBLEM_NONE},
    {"", "Ll", "200l", "", 1, "200l", TLS_PROBLEM_NONE},
    {"", "Ll", "211l", "", 1, "211l", TLS_PROBLEM_NONE},
    {"", "Ll", "210l", "", 1, "210l", TLS_PROBLEM_NONE},
    {"18", "LlUR", "311- 211R", "", 3, "211R", TLS_PROBLEM_NONE},
    {"18", "LlUR", "311L 211-", "", 0, "311L", TLS_PROBLEM_NONE},
    {"19", "LlUR", "201R", "", 3, "201R", TLS_PROBLEM_NONE},
    {"19", "LlU", "200R", "", 3, "200R", TLS_PROBLEM_NONE}, /* the record has the root itself */
    {"20", "LlUR", "212U", "", 2, "212U", TLS_PROBLEM_NONE},
    {"22", "LlU", "211R", "", -1, "", TLS_PROBLEM_NO_MATCH},
    {"22", "LlU", "201R", "", -1, "", TLS_PROBLEM_NO_MATCH},
    {"23", "El", "311E", "", 0, "311E", TLS_PROBLEM_NONE},
    {"23", "Ll", "311L", "other.example", 0, "311L", TLS_PROBLEM_NONE},
    {"23", "C", "311C", "", 0, "311C", TLS_PROBLEM_NONE},
    {"24", "Al", "201l", "", 1, "201l", TLS_PROBLEM_NONE},
    {"24", "A", "201l", "", -1, "", TLS_PROBLEM_NO_MATCH},
    {"", "El", "201l", "", -1, "", TLS_PROBLEM_EXPIRED},
    {"", "Wl", "201l", "a.wild.example", 1, "201l", TLS_PROBLEM_NONE},
};

static enum tls_problem
problem_seen(const struct tls_facts *facts)
{
    /* A chain that ends nowhere is told as that by some versions of the library. */
    return facts->problem == TLS_PROBLEM_UNTRUSTED ? TLS_PROBLEM_NO_MATCH : facts->problem;
}

static void
check_case(struct world *world, struct tls_client *client, size_t i)
{
    struct dns_tlsa records[4], want;
    struct str names[2] = {STR("mx.example"), str_from_cstr(cases[i].names)};
    struct tls_dane dane = {.records = records,
                            .count = read_records(world, cases[i].records, records),
                            .names = names,
                            .name_count = names[1].n > 0 ? 2 : 1};
    struct tls_server *server = server_of(world, cases[i].chain);
    struct tls_facts facts;
    struct ends ends;
    ends_open(&ends, server, client, &dane);
    tls_stream_facts(ends.client, &facts);
    if (facts.dane_depth != cases[i].depth || problem_seen(&facts) != cases[i].problem ||
        facts.dane_matched != (cases[i].depth >= 0) || facts.trusted != facts.dane_matched) {
        fail_msg("row %zu (transport.md %s): depth %d, problem %d (%s)", i, cases[i].number,
                 facts.dane_depth, (int)facts.problem, facts.trust_error);
    }
    if (facts.dane_matched) {
        want = record_of(world, cases[i].matched);
        assert_int_equal(facts.tlsa.usage, want.usage);
        assert_int_equal(facts.tlsa.selector, want.selector);
        assert_int_equal(facts.tlsa.matching, want.matching);
        assert_true(str_eq(facts.tlsa.data, want.data));
    }
    assert_int_equal(facts.chain_count, strlen(cases[i].chain));
    assert_memory_equal(facts.chain[0], facts.fingerprint, TLS_FINGERPRINT_SIZE);
    assert_string_equal(facts.version, "TLSv1.3");
    assert_true(facts.group[0] != '\0');
    ends_close(&ends);
    tls_server_unref(&server);
}

static void
test_chains(void **state)
{
    const struct tls_client_settings settings = {0};
    char error[TLS_ERROR_MAX];
    struct world world;
    struct tls_client *client;
    (void)state;
    world_open(&world);
    assert_int_equal(tls_client_create(&settings, &client, error), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&world, client, i);
    }
    tls_client_unref(&client);
    world_close(&world);
}

/* Under a trust anchor, one of the names must be there; the roots of the system do not help. */
static void
test_names_under_an_anchor(void **state)
{
    static const struct {
        const char *names[3];
        bool want;
    } rows[] = {
        {{"mx.example"}, true},
        {{"other.test", "mx.example"}, true},
        {{"other.test", "third.test", "mx.example"}, true},
        {{"other.test"}, false},
        {{"other.test", "third.test"}, false},
        {{"example"}, false},
        {{"a.mx.example"}, false},
    };
    struct world world;
    (void)state;
    world_open(&world);
    BIO *bio = BIO_new(BIO_s_mem());
    must(PEM_write_bio_X509(bio, world.parties[ROOT].certificate) == 1);
    const struct tls_client_settings settings = {.trust_pem = take(world.arena, bio)};
    char error[TLS_ERROR_MAX];
    struct tls_client *client;
    assert_int_equal(tls_client_create(&settings, &client, error), STATUS_OK);
    struct tls_server *server = server_of(&world, "LlUR");
    struct dns_tlsa record = record_of(&world, "211R");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str names[3];
        struct tls_dane dane = {.records = &record, .count = 1, .names = names};
        struct tls_facts facts;
        struct ends ends;
        while (dane.name_count < 3 && rows[i].names[dane.name_count] != NULL) {
            names[dane.name_count] = str_from_cstr(rows[i].names[dane.name_count]);
            dane.name_count++;
        }
        ends_open(&ends, server, client, &dane);
        tls_stream_facts(ends.client, &facts);
        assert_int_equal(facts.dane_matched, rows[i].want);
        assert_int_equal(facts.problem, rows[i].want ? TLS_PROBLEM_NONE : TLS_PROBLEM_NAME);
        ends_close(&ends);
    }
    /* Where records are compared, a chain to a root that is trusted is worth nothing. */
    record = record_of(&world, "311-");
    struct str name = STR("mx.example");
    const struct tls_dane dane = {&record, 1, &name, 1};
    struct tls_facts facts;
    struct ends ends;
    ends_open(&ends, server, client, &dane);
    tls_stream_facts(ends.client, &facts);
    assert_false(facts.trusted);
    ends_close(&ends);
    tls_server_unref(&server);
    tls_client_unref(&client);
    world_close(&world);
}

/* transport.md 43: the subject's name is good for those who ask for no more. */
static void
test_a_common_name_alone(void **state)
{
    struct world world;
    (void)state;
    world_open(&world);
    const struct tls_client_settings settings = {0};
    char error[TLS_ERROR_MAX];
    struct tls_client *client;
    assert_int_equal(tls_client_create(&settings, &client, error), STATUS_OK);
    for (const char *who = "CL"; *who != '\0'; who++) {
        char chain[2] = {*who, '\0'};
        struct tls_server *server = server_of(&world, chain);
        struct tls_facts facts;
        struct ends ends;
        ends_open(&ends, server, client, NULL);
        tls_stream_facts(ends.client, &facts);
        assert_true(facts.name_matches);
        assert_int_equal(facts.alternative_name_matches, *who == 'L');
        assert_false(facts.dane_matched);
        ends_close(&ends);
        tls_server_unref(&server);
    }
    tls_client_unref(&client);
    world_close(&world);
}

/* Names that can be none are refused; records that mean nothing match nothing. */
static void
test_what_cannot_be_used(void **state)
{
    struct world world;
    (void)state;
    world_open(&world);
    const struct tls_client_settings settings = {0};
    char error[TLS_ERROR_MAX];
    struct tls_client *client;
    struct tls_stream *stream;
    struct str names[] = {STR("mx.example"), STR("a\0b")};
    struct dns_tlsa record = {3, 1, 1, STR("short")};
    struct tls_dane dane = {&record, 1, names, 2};
    assert_int_equal(tls_client_create(&settings, &client, error), STATUS_OK);
    assert_int_equal(tls_stream_create(client, 0, STR("mx.example"), &stream), STATUS_OK);
    assert_int_equal(tls_stream_compare(stream, &dane), STATUS_SYNTAX);
    dane.name_count = 0;
    assert_int_equal(tls_stream_compare(stream, &dane), STATUS_SYNTAX);
    tls_stream_destroy(&stream);
    dane.name_count = 1;
    struct tls_server *server = server_of(&world, "L");
    struct tls_facts facts;
    struct ends ends;
    ends_open(&ends, server, client, &dane);
    tls_stream_facts(ends.client, &facts);
    assert_false(facts.dane_matched);
    ends_close(&ends);
    tls_server_unref(&server);
    tls_client_unref(&client);
    world_close(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains),
        cmocka_unit_test(test_names_under_an_anchor),
        cmocka_unit_test(test_a_common_name_alone),
        cmocka_unit_test(test_what_cannot_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

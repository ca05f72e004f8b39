/* AUTH: PLAIN, LOGIN, SCRAM-SHA-256 and -PLUS through the server core. */
#include "base/encode.h"
#include "smtp/sasl.h"
#include "smtp/test_dialogue.h"

#define EHLO         "EHLO client.example\r\n"
/* Base 64 of "\0user\0secret", "\0user\0wrong", "user", "secret" and so on. */
#define PLAIN_RIGHT  "AHVzZXIAc2VjcmV0"
#define PLAIN_WRONG  "AHVzZXIAd3Jvbmc="
#define PLAIN_SAME   "dXNlcgB1c2VyAHNlY3JldA==" /* user NUL user NUL secret */
#define PLAIN_OTHER  "cm9vdAB1c2VyAHNlY3JldA==" /* root NUL user NUL secret */
#define PLAIN_DOWN   "AGRvd24AeA=="             /* NUL down NUL x */
#define PLAIN_GUESS  "AGd1ZXNzAHg="             /* NUL guess NUL x */
#define LOGIN_USER   "dXNlcg=="
#define LOGIN_SECRET "c2VjcmV0"

static void
clear_text(struct smtp_server_settings *settings)
{
    settings->tls = SMTP_TLS_OPPORTUNISTIC;
}

/* Mail without AUTH, which is offered. */
static void
without_auth_first(struct smtp_server_settings *settings)
{
    settings->kind = SMTP_LISTENER_MX;
}

static void
plain_only(struct smtp_server_settings *settings)
{
    settings->auth = SMTP_AUTH_PLAIN;
}

static const struct dialogue tls_table[] = {
    ROW("mail needs AUTH", NULL, EHLO "MAIL FROM:<>\r\nVRFY x\r\n",
        "220, 250, 530 5.7.0, 530 5.7.0"),
    ROW("PLAIN with initial response", NULL,
        EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<a@b.example>\r\n",
        "220, 250, 235 2.7.0, 250 2.1.0"),
    ROW("plain in any case", NULL, EHLO "auth plain " PLAIN_RIGHT "\r\n", "220, 250, 235 2.7.0"),
    ROW("PLAIN asked", NULL, EHLO "AUTH PLAIN\r\n" PLAIN_RIGHT "\r\n", "220, 250, 334, 235 2.7.0"),
    ROW("PLAIN with the same authorization identity", NULL, EHLO "AUTH PLAIN " PLAIN_SAME "\r\n",
        "220, 250, 235 2.7.0"),
    ROW("PLAIN for somebody else", NULL, EHLO "AUTH PLAIN " PLAIN_OTHER "\r\n",
        "220, 250, 535 5.7.8"),
    ROW("wrong password", NULL, EHLO "AUTH PLAIN " PLAIN_WRONG "\r\nMAIL FROM:<>\r\n",
        "220, 250, 535 5.7.8, 530 5.7.0"),
    ROW("three wrong ones", NULL,
        EHLO "AUTH PLAIN " PLAIN_WRONG "\r\nAUTH PLAIN something\r\nAUTH PLAIN =\r\nNOOP\r\n",
        "220, 250, 535 5.7.8, 501 5.5.2, 421 4.7.0, closed"),
    ROW("temporary failures do not count", NULL,
        EHLO "AUTH PLAIN " PLAIN_DOWN "\r\nAUTH PLAIN " PLAIN_DOWN "\r\nAUTH PLAIN " PLAIN_DOWN
             "\r\nAUTH PLAIN " PLAIN_RIGHT "\r\n",
        "220, 250, 454 4.7.0, 454 4.7.0, 454 4.7.0, 235 2.7.0"),
    ROW("throttled", NULL, EHLO "AUTH PLAIN " PLAIN_GUESS "\r\nNOOP\r\n",
        "220, 250, 421 4.7.0, closed"),
    ROW("LOGIN", NULL, EHLO "AUTH LOGIN\r\n" LOGIN_USER "\r\n" LOGIN_SECRET "\r\n",
        "220, 250, 334, 334, 235 2.7.0"),
    ROW("LOGIN with initial response", NULL,
        EHLO "AUTH LOGIN " LOGIN_USER "\r\n" LOGIN_SECRET "\r\n", "220, 250, 334, 235 2.7.0"),
    ROW("LOGIN with empty password", NULL, EHLO "AUTH LOGIN " LOGIN_USER "\r\n\r\n",
        "220, 250, 334, 501 5.5.2"),
    ROW("cancelled", NULL, EHLO "AUTH LOGIN\r\n*\r\nNOOP\r\n",
        "220, 250, 334, 501 5.7.0, 250 2.0.0"),
    ROW("cancelled is not failed", NULL,
        EHLO "AUTH LOGIN\r\n*\r\nAUTH PLAIN\r\n*\r\nAUTH LOGIN\r\n" LOGIN_USER
             "\r\n*\r\nAUTH LOGIN\r\n*\r\nAUTH PLAIN " PLAIN_RIGHT "\r\n",
        "220, 250, 334, 501 5.7.0, 334, 501 5.7.0, 334, 334, 501 5.7.0, 334, 501 5.7.0, "
        "235 2.7.0"),
    ROW("not base 64", NULL, EHLO "AUTH LOGIN\r\ndXNlcg\r\n", "220, 250, 334, 501 5.5.2"),
    ROW("NUL in a response", NULL, EHLO "AUTH LOGIN\r\n\0\r\n", "220, 250, 334, 500 5.5.2"),
    ROW("bare LF in a response", NULL, EHLO "AUTH LOGIN\r\ndXNlcg==\nx\r\n",
        "220, 250, 334, 521 5.5.2, closed"),
    ROW("unknown mechanism", NULL, EHLO "AUTH CRAM-MD5\r\nAUTH\r\n",
        "220, 250, 504 5.5.4, 501 5.5.4"),
    ROW("mechanism that is off", plain_only, EHLO "AUTH LOGIN\r\n", "220, 250, 504 5.5.4"),
    ROW("twice", NULL, EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nAUTH PLAIN " PLAIN_RIGHT "\r\n",
        "220, 250, 235 2.7.0, 503 5.5.1"),
    ROW("in a transaction", NULL,
        EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<>\r\nAUTH PLAIN x\r\n",
        "220, 250, 235 2.7.0, 250 2.1.0, 503 5.5.1"),
    ROW("in a transaction, without a login before", without_auth_first,
        EHLO "MAIL FROM:<>\r\nAUTH PLAIN " PLAIN_RIGHT "\r\nRCPT TO:<c@d.example>\r\n"
             "AUTH PLAIN " PLAIN_RIGHT "\r\nRSET\r\nAUTH PLAIN " PLAIN_RIGHT "\r\n",
        "220, 250, 250 2.1.0, 503 5.5.1, 250 2.1.5, 503 5.5.1, 250 2.0.0, 235 2.7.0"),
    ROW("after HELO", NULL, "HELO x\r\nAUTH PLAIN " PLAIN_RIGHT "\r\n", "220, 250, 503 5.5.1"),
    ROW("before EHLO", NULL, "AUTH PLAIN " PLAIN_RIGHT "\r\n", "220, 503 5.5.1"),
    ROW("AUTH parameter of MAIL", NULL,
        EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<> AUTH=x+\r\nMAIL FROM:<> AUTH=<>\r\n",
        "220, 250, 235 2.7.0, 501 5.5.4, 250 2.1.0"),
    ROW("SCRAM that is no SCRAM", NULL, EHLO "AUTH SCRAM-SHA-256 " LOGIN_USER "\r\n",
        "220, 250, 501 5.5.2"),
};

static const struct dialogue clear_table[] = {
    ROW("TLS first", NULL, EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\n", "220, 250, 530 5.7.0"),
    ROW("TLS first, where it is optional", clear_text,
        EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<>\r\n", "220, 250, 503 5.7.11, 530 5.7.0"),
};

static void
test_dialogues(void **state)
{
    (void)state;
    dialogues_check(tls_table, sizeof tls_table / sizeof tls_table[0], SMTP_LISTENER_SMTPS, true);
    dialogues_check(clear_table, sizeof clear_table / sizeof clear_table[0],
                    SMTP_LISTENER_SUBMISSION, false);
}

static void
test_prompts(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO), 0);
    buf_clear(&edge.wire);
    test_edge_feed(&edge, STR("AUTH LOGIN\r\n" LOGIN_USER "\r\n*\r\nAUTH PLAIN\r\n"), 0);
    assert_str(buf_str(&edge.wire), "334 VXNlcm5hbWU6\r\n334 UGFzc3dvcmQ6\r\n"
                                    "501 5.7.0 Authentication cancelled\r\n334 \r\n");
    test_edge_close(&edge);
}

/* Whatever a client sends, what it may think a password does not reach the trace. */
static void
test_no_password_in_the_trace(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge,
                   STR(EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\n" EHLO "AUTH LOGIN\r\n" LOGIN_USER
                            "\r\n" LOGIN_SECRET "\r\nAUTH " LOGIN_SECRET "\r\n"),
                   0);
    struct str trace = buf_str(&edge.trace);
    assert_true(str_find(trace, STR("AUTH (PLAIN)\n")) != STR_NPOS);
    assert_true(str_find(trace, STR("unknown ()\n")) != STR_NPOS);
    assert_true(str_find(trace, STR(PLAIN_RIGHT)) == STR_NPOS);
    assert_true(str_find(trace, STR(LOGIN_SECRET)) == STR_NPOS);
    assert_true(str_find(buf_str(&edge.wire), STR(LOGIN_SECRET)) == STR_NPOS);
    test_edge_close(&edge);
}

static void
test_session_after_auth(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\n" EHLO), 0);
    assert_str(smtp_server_session(edge.server)->user, "user@mx.example");
    assert_int_equal(smtp_server_session(edge.server)->mechanism, SMTP_AUTH_PLAIN);
    test_edge_close(&edge);
}

static void
auth_in_the_clear(struct smtp_server_settings *settings)
{
    settings->tls = SMTP_TLS_OPPORTUNISTIC;
    settings->auth_without_tls = true;
}

/* RFC 3207 4.2: who logged in in the clear has to do so again. */
static void
test_starttls_forgets_the_user(void **state)
{
    (void)state;
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SUBMISSION, auth_in_the_clear);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\n"), 0);
    assert_str(smtp_server_session(edge.server)->user, "user@mx.example");
    test_edge_feed(&edge, STR("STARTTLS\r\n"), 0);
    test_edge_feed(&edge, STR(EHLO "MAIL FROM:<>\r\n"), 0);
    assert_int_equal(smtp_server_session(edge.server)->user.n, 0);
    assert_true(str_ends_with(buf_str(&edge.log), STR("tls, 250, 530 5.7.0")));
    test_edge_close(&edge);
}

/* -PLUS is offered where TLS has given something to bind to. */
static void
test_plus_needs_a_binding(void **state)
{
    (void)state;
    static const struct {
        struct smtp_tls_info info;
        bool offered;
    } rows[] = {
        {{.version = STR_INIT("TLSv1.2")}, false},
        {{.version = STR_INIT("TLSv1.2"), .server_end_point = STR_INIT("digest")}, true},
        {{.version = STR_INIT("TLSv1.3"), .tls_exporter = STR_INIT(TEST_EDGE_EXPORTER)}, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
        smtp_server_tls_started(edge.server, &rows[i].info);
        test_edge_start(&edge);
        test_edge_feed(&edge, STR(EHLO), 0);
        bool offered = str_find(buf_str(&edge.wire), STR("SCRAM-SHA-256-PLUS")) != STR_NPOS;
        assert_int_equal(offered, rows[i].offered);
        test_edge_close(&edge);
    }
}

/* Records that cannot be right are our trouble, not a wrong password. */
static void
test_broken_records_are_temporary(void **state)
{
    (void)state;
    static const struct {
        size_t salt;
        unsigned iterations;
    } rows[] = {{16, SASL_ITERATIONS_MIN - 1}, {0, 4096}, {SASL_SALT_MAX + 1, 4096}};
    static const char salt[SASL_SALT_MAX + 1] = {'s'};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
        test_edge_tls(&edge);
        test_edge_start(&edge);
        edge.defer = true;
        test_edge_feed(&edge, STR(EHLO "AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YWJj\r\n"), 0);
        assert_int_equal(smtp_server_state(edge.server), SMTP_STATE_WAIT_SCRAM_BEGIN);
        smtp_server_scram_begin_result(edge.server, SMTP_AUTH_OK, str_make(salt, rows[i].salt),
                                       rows[i].iterations);
        test_edge_collect(&edge);
        assert_str(buf_str(&edge.log), "220, 250, 454 4.7.0");
        test_edge_close(&edge);
    }
}

/* ---- SCRAM with a client of our own ---- */

struct scram_row {
    const char *name;
    const char *mechanism;
    const char *gs2;  /* header of the client's first message */
    const char *user; /* as a saslname */
    const char *password;
    const char *binding;    /* what the client binds to */
    const char *nonce_tail; /* put behind the server's nonce */
    const char *want;
};

static const struct scram_row scram_rows[] = {
    {"right", "SCRAM-SHA-256", "n,,", "user", "secret", "", "", "235 2.7.0"},
    {"right with authzid", "SCRAM-SHA-256", "n,a=user,", "user", "secret", "", "", "235 2.7.0"},
    {"for somebody else", "SCRAM-SHA-256", "n,a=root,", "user", "secret", "", "", "535 5.7.8"},
    {"wrong password", "SCRAM-SHA-256", "n,,", "user", "wrong", "", "", "535 5.7.8"},
    {"unknown user", "SCRAM-SHA-256", "n,,", "nobody", "secret", "", "", "535 5.7.8"},
    {"escaped user", "SCRAM-SHA-256", "n,,", "us=2Cer", "secret", "", "", "535 5.7.8"},
    {"bad escape", "SCRAM-SHA-256", "n,,", "us=20er", "secret", "", "", "501 5.5.2"},
    {"wrong nonce", "SCRAM-SHA-256", "n,,", "user", "secret", "", "x", "535 5.7.8"},
    {"lied to about -PLUS", "SCRAM-SHA-256", "y,,", "user", "secret", "", "", "535 5.7.8"},
    {"binding without -PLUS", "SCRAM-SHA-256", "p=tls-exporter,,", "user", "secret",
     TEST_EDGE_EXPORTER, "", "501 5.5.2"},
    {"bound", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "user", "secret", TEST_EDGE_EXPORTER, "",
     "235 2.7.0"},
    {"bound to another connection", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "user", "secret",
     "exporter of another connection..", "", "535 5.7.8"},
    {"bound to nothing", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,", "user", "secret", "", "",
     "535 5.7.8"},
    {"binding that is not there", "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", "user",
     "secret", "x", "", "535 5.7.8"},
    {"binding nobody knows", "SCRAM-SHA-256-PLUS", "p=tls-unique,,", "user", "secret", "x", "",
     "535 5.7.8"},
    {"-PLUS without binding", "SCRAM-SHA-256-PLUS", "n,,", "user", "secret", "", "", "501 5.5.2"},
    {"mandatory extension", "SCRAM-SHA-256", "n,,m=x,", "user", "secret", "", "", "501 5.5.2"},
    {"down", "SCRAM-SHA-256", "n,,", "down", "secret", "", "", "454 4.7.0"},
};

#define CLIENT_NONCE "clientnonce"
/* 18 octets "x" in base 64: what the test's randomness makes. */
#define SERVER_NONCE "eHh4eHh4eHh4eHh4eHh4eHh4"

static void
send_base64(struct test_edge *edge, const char *before, struct str octets)
{
    struct str text = base64_encode(edge->arena, octets);
    struct str line = arena_printf(edge->arena, "%s%.*s\r\n", before, STR_ARG(text));
    test_edge_feed(edge, line, 0);
}

/* What the server wrote last, decoded when it is a challenge. */
static struct str
last_challenge(struct test_edge *edge)
{
    struct str wire = buf_str(&edge->wire);
    struct str line = str_skip(wire, 4);
    struct str text = {NULL, 0};
    if (str_starts_with(wire, STR("334 "))) {
        assert_int_equal(base64_decode(edge->arena, str_head(line, line.n - 2), &text), STATUS_OK);
    }
    buf_clear(&edge->wire);
    return text;
}

static void
scram_final(struct test_edge *edge, const struct scram_row *row, struct str server_first)
{
    struct str bind = arena_printf(edge->arena, "%s%s", row->gs2, row->binding);
    struct str bind64 = base64_encode(edge->arena, bind);
    struct str final = arena_printf(edge->arena, "c=%.*s,r=" CLIENT_NONCE SERVER_NONCE "%s",
                                    STR_ARG(bind64), row->nonce_tail);
    struct str auth_message = arena_printf(edge->arena, "n=%s,r=" CLIENT_NONCE ",%.*s,%.*s",
                                           row->user, STR_ARG(server_first), STR_ARG(final));
    uint8_t proof[32], signature[32];
    test_edge_scram_proof(str_from_cstr(row->password), auth_message, proof, signature);
    struct str proof64 = base64_encode(edge->arena, str_make((const char *)proof, 32));
    send_base64(edge, "",
                arena_printf(edge->arena, "%.*s,p=%.*s", STR_ARG(final), STR_ARG(proof64)));
    struct str server_final = last_challenge(edge);
    if (server_final.n > 0) {
        struct str signature64 = base64_encode(edge->arena, str_make((const char *)signature, 32));
        assert_str(server_final, arena_printf(edge->arena, "v=%.*s", STR_ARG(signature64)).p);
        test_edge_feed(edge, STR("\r\n"), 0);
    }
}

static void
scram_check(const struct scram_row *row)
{
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO), 0);
    buf_clear(&edge.wire);
    struct str before = arena_printf(edge.arena, "AUTH %s ", row->mechanism);
    send_base64(&edge, before.p,
                arena_printf(edge.arena, "%sn=%s,r=" CLIENT_NONCE, row->gs2, row->user));
    struct str server_first = last_challenge(&edge);
    if (server_first.n > 0) {
        assert_str(server_first,
                   "r=" CLIENT_NONCE SERVER_NONCE ",s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096");
        scram_final(&edge, row, server_first);
    }
    if (!str_ends_with(buf_str(&edge.log), str_from_cstr(row->want))) {
        print_error("%s\n", row->name);
        assert_str(buf_str(&edge.log), row->want);
    }
    test_edge_close(&edge);
}

static void
test_scram(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scram_rows / sizeof scram_rows[0]; i++) {
        scram_check(&scram_rows[i]);
    }
}

/* RFC 7677 3: the example exchange, its nonces put in by hand. */
static void
test_scram_example(void **state)
{
    (void)state;
    struct arena *arena = arena_create(65536);
    struct sasl_exchange exchange = {.arena = arena, .mechanism = SMTP_AUTH_SCRAM_SHA_256};
    assert_int_equal(sasl_respond(&exchange, true, STR("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")),
                     SASL_SCRAM_BEGIN);
    assert_str(exchange.user, "user");
    exchange.nonce = STR("rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    exchange.server_first = STR("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    exchange.place = SASL_AT_CLIENT_FINAL;
    assert_int_equal(sasl_respond(&exchange, true,
                                  STR("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
                     SASL_SCRAM_VERIFY);
    assert_str(exchange.auth_message,
               "n=user,r=rOprNGfwEbeRWgbNEkqO,"
               "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
               "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
               "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    struct str proof64 = base64_encode(arena, exchange.client_proof);
    assert_str(proof64, "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    arena_destroy_wiped(&arena);
}

static void
test_long_lines(void **state)
{
    (void)state;
    static char text[SMTP_SERVER_AUTH_LINE + 1];
    memset(text, 'a', sizeof text);
    struct test_edge edge;
    test_edge_open(&edge, SMTP_LISTENER_SMTPS, NULL);
    test_edge_tls(&edge);
    test_edge_start(&edge);
    test_edge_feed(&edge, STR(EHLO "AUTH PLAIN\r\n"), 0);
    test_edge_feed(&edge, str_make(text, SMTP_SERVER_AUTH_LINE - 1), 0);
    test_edge_feed(&edge, STR("\r\nNOOP\r\n"), 0);
    assert_str(buf_str(&edge.log), "220, 250, 334, 500 5.5.6, 250 2.0.0");
    test_edge_close(&edge);
}

/* ---- who has been identified by something else than the protocol */

static void
take_mail_in_the_clear(struct smtp_server_settings *settings)
{
    settings->tls = SMTP_TLS_NONE;
}

/* A user whom the kernel has named needs no AUTH, cannot become another, and stays who he is. */
static void
test_identified_users(void **state)
{
    static const struct {
        const char *input;
        const char *want;
    } rows[] = {
        {EHLO "MAIL FROM:<a@b.example>\r\nRSET\r\nMAIL FROM:<>\r\n",
         "220, 250, 250 2.1.0, 250 2.0.0, 250 2.1.0"},
        {EHLO EHLO "MAIL FROM:<a@b.example>\r\n", "220, 250, 250, 250 2.1.0"},
        {EHLO "AUTH PLAIN " PLAIN_RIGHT "\r\nMAIL FROM:<>\r\n", "220, 250, 503 5.5.1, 250 2.1.0"},
        {"MAIL FROM:<a@b.example>\r\n", "220, 503 5.5.1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct test_edge edge;
        char name[] = "uid:33";
        test_edge_open(&edge, SMTP_LISTENER_SUBMISSION, take_mail_in_the_clear);
        smtp_server_identify(edge.server, str_from_cstr(name));
        name[0] = 'x'; /* it was copied */
        test_edge_start(&edge);
        test_edge_feed(&edge, str_from_cstr(rows[i].input), 0);
        assert_str(buf_str(&edge.log), rows[i].want);
        assert_str(smtp_server_session(edge.server)->user, "uid:33");
        assert_null(memmem(buf_str(&edge.wire).p, buf_length(&edge.wire), "AUTH ", 5));
        test_edge_close(&edge);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_no_password_in_the_trace),
        cmocka_unit_test(test_session_after_auth),
        cmocka_unit_test(test_starttls_forgets_the_user),
        cmocka_unit_test(test_plus_needs_a_binding),
        cmocka_unit_test(test_broken_records_are_temporary),
        cmocka_unit_test(test_scram),
        cmocka_unit_test(test_scram_example),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_identified_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

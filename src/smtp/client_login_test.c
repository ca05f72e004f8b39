/* Logging in: what is written for each mechanism, and what becomes of each answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "smtp/client_scram.h"
#include "smtp/test_client.h"

#define STEPS_MAX    5
/* The example of RFC 7677 3. */
#define NONCE        "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST        "r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL        "c=biws,r=" SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define PROOF        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
/* base64 of "n,,n=user,r=" NONCE, of FIRST, FINAL and PROOF */
#define HELLO64      "biwsbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8="
#define FIRST64                                                                                    \
    "cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29F" \
    "c1VFamI2Z1E9PSxpPTQwOTY="
#define FINAL64                                                                                    \
    "Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazAscD1kSHpiWmFw" \
    "V0lrNGpVaE4rVXRlOXl0YWc5empmTUhnc3FtbWl6N0FuZFZRPQ=="
#define PROOF64 "dj02cnJpVFJCaTIzV3BSUi93dHVwK21NaFVaVW4vZEI1bkxUSlJzamw5NUc0PQ=="

struct login_case {
    const char *name;
    const char *offer; /* behind "250 AUTH " */
    struct client_step steps[STEPS_MAX];
    enum smtp_client_action end;
    enum smtp_client_problem problem;
    uint16_t code;
};

#define OK_235 "235 2.7.0 welcome\r\n"

static const struct login_case cases[] = {
    {"PLAIN",
     "PLAIN LOGIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {OK_235, ""}},
     SMTP_CLIENT_READY,
     SMTP_CLIENT_OK,
     0},
    {"LOGIN",
     "login",
     {{"", "AUTH LOGIN\r\n"},
      {"334 VXNlcm5hbWU6\r\n", "dXNlcg==\r\n"},
      {"334 UGFzc3dvcmQ6\r\n", "cGVuY2ls\r\n"},
      {OK_235, ""}},
     SMTP_CLIENT_READY,
     SMTP_CLIENT_OK,
     0},
    {"SCRAM",
     "PLAIN SCRAM-SHA-256 SCRAM-SHA-1",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"},
      {"334 " FIRST64 "\r\n", FINAL64 "\r\n"},
      {"334 " PROOF64 "\r\n", "\r\n"},
      {OK_235, ""}},
     SMTP_CLIENT_READY,
     SMTP_CLIENT_OK,
     0},
    {"SCRAM without the server's proof",
     "SCRAM-SHA-256",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"},
      {"334 " FIRST64 "\r\n", FINAL64 "\r\n"},
      {OK_235, ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     0},
    {"SCRAM taken at once",
     "SCRAM-SHA-256",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"}, {OK_235, ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     0},
    {"SCRAM with a wrong proof",
     "SCRAM-SHA-256",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"},
      {"334 " FIRST64 "\r\n", FINAL64 "\r\n"},
      {"334 dj1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPQ==\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     0},
    {"wrong password",
     "PLAIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {"535 5.7.8 no\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     535},
    {"not now",
     "PLAIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {"454 4.7.0 no\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     454},
    {"421",
     "PLAIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {"421 4.7.0 no\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_REFUSED,
     421},
    {"a mechanism that is offered and not known",
     "SCRAM-SHA-256 LOGIN PLAIN",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"},
      {"504 5.5.4 what\r\n", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"},
      {"534 5.7.9 no\r\n", "AUTH LOGIN\r\n"},
      {"504 5.5.4 what\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     504},
    {"no mechanism of ours",
     "GSSAPI NTLM CRAM-MD5",
     {{"", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_LOGIN_FAILED,
     0},
    {"a challenge too many for PLAIN",
     "PLAIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {"334 \r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_PROTOCOL,
     0},
    {"a challenge too many for LOGIN",
     "LOGIN",
     {{"", "AUTH LOGIN\r\n"},
      {"334 \r\n", "dXNlcg==\r\n"},
      {"334 \r\n", "cGVuY2ls\r\n"},
      {"334 \r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_PROTOCOL,
     0},
    {"a challenge that is not base 64",
     "SCRAM-SHA-256",
     {{"", "AUTH SCRAM-SHA-256 " HELLO64 "\r\n"}, {"334 ???\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_PROTOCOL,
     0},
    {"an answer of another kind",
     "PLAIN",
     {{"", "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"}, {"250 fine\r\n", ""}},
     SMTP_CLIENT_CLOSED,
     SMTP_CLIENT_PROTOCOL,
     0},
};

/* A client that is READY at a server with this offer. */
static void
start(struct test_client *run, const struct client_dialogue *d, const char *offer)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    test_client_start(run, d);
    (void)!smtp_client_feed(run->client, STR("220 mx\r\n"));
    (void)!smtp_client_feed(run->client, STR("250-mx\r\n250 AUTH "));
    (void)!smtp_client_feed(run->client, str_from_cstr(offer));
    run->action = smtp_client_feed(run->client, STR("\r\n"));
    assert_int_equal(run->action, SMTP_CLIENT_READY);
    test_client_drain(run, &out, SIZE_MAX);
    buf_free(&out);
}

static void
check(const struct login_case *c, size_t step_of_piece)
{
    static const struct client_dialogue d = {.name = "login", .recipients = 1};
    const struct smtp_client_login login = {.user = STR("user"), .password = STR("pencil")};
    struct test_client run;
    struct buf out;
    start(&run, &d, c->offer);
    buf_init(&out, 1 << 20);
    smtp_client_login(run.client, &login, STR(NONCE));
    for (size_t i = 0; i < STEPS_MAX && c->steps[i].server != NULL; i++) {
        struct str words = str_from_cstr(c->steps[i].server);
        for (size_t at = 0; at < words.n; at += step_of_piece) {
            (void)!smtp_client_feed(run.client, str_head(str_skip(words, at), step_of_piece));
        }
        test_client_drain(&run, &out, SIZE_MAX);
        if (!str_eq(buf_str(&out), str_from_cstr(c->steps[i].client))) {
            fail_msg("%s: step %zu: got \"%.*s\"", c->name, i, STR_ARG(buf_str(&out)));
        }
        buf_clear(&out);
    }
    const struct smtp_client_failure *failure = smtp_client_failure(run.client);
    enum smtp_client_action action = smtp_client_feed(run.client, STR(""));
    if (action != c->end || failure->problem != c->problem || failure->reply.code != c->code) {
        fail_msg("%s: action %d, problem %d, %u %.*s", c->name, (int)action, (int)failure->problem,
                 failure->reply.code, STR_ARG(failure->reply.text));
    }
    assert_int_equal(smtp_client_is_logged_in(run.client), c->end == SMTP_CLIENT_READY);
    assert_true(str_find(failure->reply.text, STR("pencil")) == STR_NPOS);
    assert_true(str_find(failure->reply.text, STR("cGVuY2ls")) == STR_NPOS);
    buf_free(&out);
    smtp_client_destroy(&run.client);
}

static void
test_logins(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(&cases[i], SIZE_MAX / 2);
        check(&cases[i], 1);
        check(&cases[i], 3);
    }
}

/* What does not fit into a command line waits for the first challenge (RFC 4954 4). */
static void
test_long_password(void **state)
{
    static char password[1024];
    const struct client_dialogue d = {.name = "long", .recipients = 1};
    const struct smtp_client_login login = {.user = STR("user"),
                                            .password = str_make(password, sizeof password)};
    struct test_client run;
    struct buf out;
    (void)state;
    memset(password, 'x', sizeof password);
    start(&run, &d, "PLAIN");
    buf_init(&out, 1 << 20);
    smtp_client_login(run.client, &login, STR(NONCE));
    test_client_drain(&run, &out, SIZE_MAX);
    assert_true(str_eq(buf_str(&out), STR("AUTH PLAIN\r\n")));
    buf_clear(&out);
    (void)!smtp_client_feed(run.client, STR("334 \r\n"));
    test_client_drain(&run, &out, SIZE_MAX);
    assert_true(str_starts_with(buf_str(&out), STR("AHVzZXIAeHh4")));
    assert_int_equal(buf_length(&out), (1 + 4 + 1 + 1024 + 2) / 3 * 4 + 2);
    assert_int_equal(smtp_client_feed(run.client, STR(OK_235)), SMTP_CLIENT_READY);
    buf_free(&out);
    smtp_client_destroy(&run.client);
}

/* The session goes on as any other. */
static void
test_mail_after_a_login(void **state)
{
    const struct client_dialogue d = {.name = "mail", .recipients = 1};
    const struct smtp_client_login login = {.user = STR("user"), .password = STR("pencil")};
    struct test_client run;
    struct buf out;
    (void)state;
    start(&run, &d, "PLAIN");
    buf_init(&out, 1 << 20);
    smtp_client_login(run.client, &login, STR(NONCE));
    assert_int_equal(smtp_client_stage(run.client), SMTP_CLIENT_STAGE_AUTH);
    test_client_drain(&run, &out, SIZE_MAX);
    assert_int_equal(smtp_client_feed(run.client, STR(OK_235)), SMTP_CLIENT_READY);
    buf_clear(&out);
    smtp_client_send(run.client, &run.message);
    test_client_drain(&run, &out, SIZE_MAX);
    assert_true(str_eq(buf_str(&out), STR("MAIL FROM:<a@x.example>\r\n")));
    buf_free(&out);
    smtp_client_destroy(&run.client);
}

/* ---- SCRAM alone */

static enum status
scram(const char *user, const char *challenge, struct str *first_out)
{
    struct arena *arena = arena_create(65536);
    const struct smtp_client_login login = {.user = str_from_cstr(user), .password = STR("pencil")};
    struct scram_client client;
    struct str answer;
    *first_out = scram_client_begin(&client, arena, &login, STR(NONCE));
    enum status status = scram_client_answer(&client, arena, str_from_cstr(challenge), &answer);
    assert_false(scram_client_is_proven(&client));
    if (first_out->n > 0) {
        static char kept[256];
        memcpy(kept, first_out->p, first_out->n);
        first_out->p = kept;
    }
    arena_destroy(&arena);
    return status;
}

static void
test_scram(void **state)
{
    static const struct {
        const char *challenge;
        enum status status;
    } challenges[] = {
        {FIRST, STATUS_OK},
        {FIRST ",x=later", STATUS_OK},
        {"r=" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", STATUS_SYNTAX}, /* nothing of its own */
        {"r=other" NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", STATUS_SYNTAX},
        {"r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", STATUS_LIMIT},
        {"r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1000001", STATUS_LIMIT},
        {"r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999", STATUS_SYNTAX},
        {"r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=", STATUS_SYNTAX},
        {"r=" SERVER_NONCE ",s=?,i=4096", STATUS_SYNTAX},
        {"r=" SERVER_NONCE ",i=4096", STATUS_SYNTAX},
        {"m=ext,r=" SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", STATUS_SYNTAX},
        {"e=other-error", STATUS_SYNTAX},
        {"", STATUS_SYNTAX},
    };
    struct str first;
    (void)state;
    for (size_t i = 0; i < sizeof challenges / sizeof challenges[0]; i++) {
        enum status status = scram("user", challenges[i].challenge, &first);
        if (status != challenges[i].status) {
            fail_msg("\"%s\": %s", challenges[i].challenge, status_name(status));
        }
    }
    (void)scram("a,b=c", FIRST, &first);
    assert_true(str_eq(first, STR("n,,n=a=2Cb=3Dc,r=" NONCE)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logins),
        cmocka_unit_test(test_long_password),
        cmocka_unit_test(test_mail_after_a_login),
        cmocka_unit_test(test_scram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The vault role as a process of its own, with this test as its parent, filter, resolver and
 * command line: keys come into use when the DNS shows them, sign, retire; kill -9; SRS.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/private_key.h"
#include "base/encode.h"
#include "dns/rdata.h"
#include "roles/role_test_parent.h"
#include "roles/vault/record.h"
#include "roles/vault/rotation.h"
#include "roles/vault/vault.h"
#include "store/ledger_test_directory.h"

static const char config_text[] =
    "hostname: mx.kartapuce.com\n"
    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n"
    "domains: [{name: kartapuce.com, delivery: \"lmtp://127.0.0.1:24\"}]\n"
    "authentication: {dkim: {publish_wait: 0s, algorithms: ed25519}}\n"
    "bounce: {postmaster: bob@kartapuce.com}\n";

/* What the resolver says of every name. */
enum zone {
    ZONE_EMPTY,
    ZONE_SHOWS, /* the record of the key, from `keys` */
    ZONE_FAILS,
    ZONE_BOGUS,
};

struct known_key {
    char name[400];
    char record[1024];
};

struct fixture {
    struct test_directory *directory;
    pid_t pid;
    int control;
    int filter;
    int resolver;
    int command;
    enum zone zone;
    struct known_key keys[8];
    size_t key_count;
};

/* ---- the parent */

static void
launch(struct fixture *fixture)
{
    const char *directory = fixture->directory->path;
    fixture->pid = role_test_launch(&vault_role, &fixture->control);
    role_test_configure(fixture->control, directory, config_text);
    fixture->filter = role_test_peer(fixture->control, ROLE_FILTER);
    fixture->resolver = role_test_peer(fixture->control, ROLE_RESOLVER);
    fixture->command = role_test_command(fixture->control, directory);
    role_test_send(fixture->control, MSG_START, 0, &(struct msg_start){.generation = 1});
}

static void
start(struct fixture *fixture)
{
    launch(fixture);
    role_test_ready(fixture->control, ROLE_VAULT);
}

static void
close_sockets(struct fixture *fixture)
{
    close(fixture->control);
    close(fixture->filter);
    close(fixture->resolver);
    close(fixture->command);
}

static void
kill_role(struct fixture *fixture)
{
    kill(fixture->pid, SIGKILL);
    waitpid(fixture->pid, NULL, 0);
    close_sockets(fixture);
}

/*
 * While it is set, the role gets no memory for a request to sign: pieces of that size are all that
 * it asks for then. Shared with the role.
 */
static atomic_bool *no_memory;
#define REQUEST_OCTETS_MIN 600u
#define REQUEST_OCTETS_MAX 2000u

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *
__wrap_calloc(size_t n, size_t size)
{
    bool request = size >= REQUEST_OCTETS_MIN && size <= REQUEST_OCTETS_MAX;
    return no_memory != NULL && *no_memory && request ? NULL : __real_calloc(n, size);
}

static int
share_memory(void **state)
{
    void *shared =
        mmap(NULL, sizeof *no_memory, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    if (shared == MAP_FAILED) {
        return -1;
    }
    no_memory = shared;
    atomic_init(no_memory, false);
    return 0;
}

static int
set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    void *directory = NULL;
    if (fixture == NULL || test_directory_make(&directory) != 0) {
        free(fixture);
        return -1;
    }
    *state = fixture;
    fixture->directory = directory;
    /* Started as root, the role changes to a user of its own. */
    chmod(fixture->directory->path, 0755);
    const char *path = test_directory_file(fixture->directory, "vault");
    if (mkdir(path, 0755) != 0 || chmod(path, 0777) != 0) {
        return -1;
    }
    start(fixture);
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *fixture = *state;
    int exit_status = 0;
    if (fixture->pid > 0) { /* an orderly stop must work after whatever the test did */
        role_test_send(fixture->control, MSG_STOP, 0, &(struct msg_stop){.grace_ms = 5000});
        waitpid(fixture->pid, &exit_status, 0);
        close_sockets(fixture);
    }
    void *directory = fixture->directory;
    free(fixture);
    return test_directory_remove(&directory) != 0 || exit_status != 0;
}

/* ---- the resolver */

static const char *
record_of(const struct fixture *fixture, struct str name)
{
    for (size_t i = 0; i < fixture->key_count; i++) {
        if (str_eq(name, str_from_cstr(fixture->keys[i].name))) {
            return fixture->keys[i].record;
        }
    }
    return NULL;
}

static void
answer_question(struct fixture *fixture)
{
    struct ipc_message *question = NULL;
    struct buf rdata;
    assert_int_equal(channel_plain_receive(fixture->resolver, ROLE_VAULT, ROLE_RESOLVER,
                                           ROLE_TEST_WAIT_MS, &question),
                     STATUS_OK);
    assert_int_equal(question->type, MSG_RESOLVE);
    assert_int_equal(MSG_BODY(question, resolve)->type, DNS_TYPE_TXT);
    struct str name = MSG_BODY(question, resolve)->name;
    struct record_rdata record = {STR_INIT("")};
    struct msg_resolve_reply reply = {.outcome = DNS_OUTCOME_NXDOMAIN, .canonical = name};
    const char *text = fixture->zone == ZONE_SHOWS ? record_of(fixture, name) : NULL;
    buf_init(&rdata, 4096);
    if (text != NULL) {
        assert_int_equal(dns_rdata_put_txt(&rdata, str_from_cstr(text)), STATUS_OK);
        record.octets = buf_str(&rdata);
        reply.outcome = DNS_OUTCOME_ANSWER;
        reply.records.items = &record;
        reply.records.n = 1;
    } else if (fixture->zone == ZONE_FAILS || fixture->zone == ZONE_BOGUS) {
        reply.outcome = DNS_OUTCOME_SERVFAIL;
        reply.security = fixture->zone == ZONE_BOGUS ? DNS_SECURITY_BOGUS : DNS_SECURITY_INSECURE;
    }
    role_test_send(fixture->resolver, MSG_RESOLVE_REPLY, question->request, &reply);
    buf_free(&rdata);
    ipc_message_free(&question);
}

/* The next message of that type on `fd`; others are dropped, questions to the DNS are answered. */
static struct ipc_message *
receive(struct fixture *fixture, int fd, enum role self, enum msg_type type)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                               {.fd = fixture->resolver, .events = POLLIN}};
        struct ipc_message *message = NULL;
        assert_true(poll(fds, 2, ROLE_TEST_WAIT_MS) > 0);
        if (fds[1].revents != 0) {
            answer_question(fixture);
        }
        if (fds[0].revents == 0) {
            continue;
        }
        assert_int_equal(channel_plain_receive(fd, ROLE_VAULT, self, ROLE_TEST_WAIT_MS, &message),
                         STATUS_OK);
        if (message->type == type) {
            return message;
        }
        ipc_message_free(&message);
    }
}

/* ---- commands */

static void
know_keys(struct fixture *fixture, const struct msg_key_reply *reply)
{
    struct arena *arena = arena_create(1u << 16);
    for (size_t i = 0; i < reply->keys.n; i++) {
        const struct record_key_record *key = &reply->keys.items[i];
        struct str name = key_record_name(arena, key->domain, key->selector);
        if (record_of(fixture, name) != NULL) {
            continue;
        }
        struct known_key *known = &fixture->keys[fixture->key_count++];
        struct str record =
            key_record_text(arena, (enum crypto_algorithm)key->algorithm, key->public_key);
        snprintf(known->name, sizeof known->name, "%.*s", STR_ARG(name));
        snprintf(known->record, sizeof known->record, "%.*s", STR_ARG(record));
    }
    arena_destroy(&arena);
}

/* Sends a command; its outcome, and the first key's state in *state_out, which may be NULL. */
static enum key_outcome
command(struct fixture *fixture, enum msg_type type, const void *fields, enum key_state *state_out)
{
    role_test_send(fixture->command, type, 7, fields);
    struct ipc_message *message = receive(fixture, fixture->command, ROLE_CLI, MSG_KEY_REPLY);
    const struct msg_key_reply *reply = MSG_BODY(message, key_reply);
    enum key_outcome outcome = (enum key_outcome)reply->outcome;
    assert_int_equal(message->request, 7);
    know_keys(fixture, reply);
    if (state_out != NULL) {
        *state_out = reply->keys.n > 0 ? (enum key_state)reply->keys.items[0].state : KEY_REMOVED;
    }
    ipc_message_free(&message);
    return outcome;
}

static enum key_outcome
generate(struct fixture *fixture, const char *selector)
{
    struct msg_key_generate fields = {.domain = STR("KartaPuce.com"),
                                      .selector = str_from_cstr(selector)};
    return command(fixture, MSG_KEY_GENERATE, &fields, NULL);
}

static enum key_state
act(struct fixture *fixture, enum key_action action, const char *selector)
{
    struct msg_key_act fields = {.action = (uint8_t)action,
                                 .domain = STR("kartapuce.com"),
                                 .selector = str_from_cstr(selector)};
    enum key_state state = KEY_REMOVED;
    assert_int_equal(command(fixture, MSG_KEY_ACT, &fields, &state), KEY_OUTCOME_DONE);
    return state;
}

/* ---- the filter */

/* Waits until the filter is told of exactly these selectors, in one text with blanks between. */
static void
expect_told(struct fixture *fixture, const char *selectors)
{
    for (;;) {
        char told[256] = "";
        struct ipc_message *message =
            receive(fixture, fixture->filter, ROLE_FILTER, MSG_VAULT_KEYS);
        const struct msg_vault_keys *fields = MSG_BODY(message, vault_keys);
        size_t n = 0;
        for (size_t i = 0; i < fields->keys.n; i++) {
            n += (size_t)snprintf(told + n, sizeof told - n, "%s%.*s", i > 0 ? " " : "",
                                  STR_ARG(fields->keys.items[i].selector));
        }
        assert_false(fields->more);
        ipc_message_free(&message);
        if (strcmp(told, selectors) == 0) {
            return;
        }
    }
}

static const char digest[33] = "0123456789abcdef0123456789abcdef";

static bool
verifies(const struct fixture *fixture, const char *selector, struct str signature)
{
    char name[400];
    struct public_key *key = NULL;
    struct arena *arena = arena_create(1u << 16);
    struct str octets;
    snprintf(name, sizeof name, "%s._domainkey.kartapuce.com", selector);
    const char *record = record_of(fixture, str_from_cstr(name));
    assert_non_null(record);
    assert_int_equal(base64_decode(arena, str_from_cstr(strstr(record, "p=") + 2), &octets),
                     STATUS_OK);
    enum crypto_algorithm algorithm =
        octets.n == CRYPTO_ED25519_KEY_SIZE ? CRYPTO_ED25519_SHA256 : CRYPTO_RSA_SHA256;
    assert_int_equal(public_key_load(algorithm, octets, &key, NULL), CRYPTO_KEY_OK);
    enum crypto_verdict verdict = public_key_verify(key, str_make(digest, 32), signature);
    public_key_release(&key);
    arena_destroy(&arena);
    return verdict == CRYPTO_VALID;
}

/* Has both signed in one request; tells for each whether there was a good signature. */
static void
expect_signs(struct fixture *fixture, const char *first, bool first_signs, const char *second,
             bool second_signs)
{
    const char *const selectors[] = {first, second};
    bool const want[] = {first_signs, second_signs};
    struct record_sign_item items[2];
    for (size_t i = 0; i < 2; i++) {
        items[i] = (struct record_sign_item){.domain = STR("kartapuce.com"),
                                             .selector = str_from_cstr(selectors[i]),
                                             .algorithm = CRYPTO_ED25519_SHA256,
                                             .digest = str_make(digest, 32)};
    }
    struct msg_sign fields = {.items = {items, 2}};
    role_test_send(fixture->filter, MSG_SIGN, 11, &fields);
    struct ipc_message *message = receive(fixture, fixture->filter, ROLE_FILTER, MSG_SIGN_REPLY);
    const struct msg_sign_reply *reply = MSG_BODY(message, sign_reply);
    assert_int_equal(message->request, 11);
    assert_int_equal(reply->signatures.n, 2);
    assert_false(reply->failed);
    for (size_t i = 0; i < 2; i++) {
        struct str signature = reply->signatures.items[i].octets;
        assert_int_equal(signature.n > 0, want[i]);
        assert_true(!want[i] || verifies(fixture, selectors[i], signature));
    }
    ipc_message_free(&message);
}

/* ---- tests */

static void
a_key_comes_into_use_and_retires(void **state)
{
    struct fixture *fixture = *state;
    expect_told(fixture, "");
    assert_int_equal(generate(fixture, "a"), KEY_OUTCOME_DONE);
    expect_signs(fixture, "a", false, "none", false);
    static const enum zone no_reason[] = {ZONE_EMPTY, ZONE_FAILS, ZONE_BOGUS};
    for (size_t i = 0; i < 3; i++) {
        fixture->zone = no_reason[i];
        assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "a"), KEY_PENDING);
    }
    fixture->zone = ZONE_SHOWS;
    assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "a"), KEY_ACTIVE);
    expect_told(fixture, "a");
    expect_signs(fixture, "a", true, "none", false);
    /* A successor takes over; the old one may finish what is under way. */
    assert_int_equal(generate(fixture, "b"), KEY_OUTCOME_DONE);
    assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "b"), KEY_ACTIVE);
    expect_told(fixture, "b");
    expect_signs(fixture, "a", true, "b", true);
    assert_int_equal(act(fixture, KEY_ACTION_RETIRE_NOW, "a"), KEY_RETIRED);
    expect_signs(fixture, "a", false, "b", true);
    /* One answer without it stops nothing. */
    fixture->zone = ZONE_EMPTY;
    assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "b"), KEY_ACTIVE);
    expect_signs(fixture, "b", true, "b", true);
}

static void
all_of_it_is_on_disk(void **state)
{
    struct fixture *fixture = *state;
    fixture->zone = ZONE_SHOWS;
    assert_int_equal(generate(fixture, "a"), KEY_OUTCOME_DONE);
    assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "a"), KEY_ACTIVE);
    kill_role(fixture);
    start(fixture);
    expect_told(fixture, "a");
    expect_signs(fixture, "a", true, "a", true);
    assert_int_equal(generate(fixture, "a"), KEY_OUTCOME_SELECTOR);
}

static void
keys_are_imported(void **state)
{
    struct fixture *fixture = *state;
    struct private_key *key = NULL;
    struct buf pem;
    buf_init(&pem, PRIVATE_KEY_PEM_MAX);
    assert_int_equal(private_key_generate(CRYPTO_ED25519_SHA256, 0, &key), STATUS_OK);
    assert_int_equal(private_key_to_pem(key, &pem), STATUS_OK);
    struct msg_key_import fields = {
        .domain = STR("kartapuce.com"), .selector = STR("old"), .pem = buf_str(&pem)};
    assert_int_equal(command(fixture, MSG_KEY_IMPORT, &fields, NULL), KEY_OUTCOME_DONE);
    fixture->zone = ZONE_SHOWS;
    assert_int_equal(act(fixture, KEY_ACTION_PUBLISH, "old"), KEY_ACTIVE);
    expect_signs(fixture, "old", true, "none", false);
    fields.pem = str_head(fields.pem, 60);
    fields.selector = STR("other");
    assert_int_equal(command(fixture, MSG_KEY_IMPORT, &fields, NULL), KEY_OUTCOME_KEY);
    private_key_destroy(&key);
    buf_free_wiped(&pem);
}

static void
refusals(void **state)
{
    struct fixture *fixture = *state;
    struct msg_key_generate fields = {.domain = STR("kartapuse.com")};
    assert_int_equal(command(fixture, MSG_KEY_GENERATE, &fields, NULL), KEY_OUTCOME_DOMAIN);
    fields = (struct msg_key_generate){.domain = STR("kartapuce.com"), .selector = STR("a..b")};
    assert_int_equal(command(fixture, MSG_KEY_GENERATE, &fields, NULL), KEY_OUTCOME_SELECTOR);
    fields =
        (struct msg_key_generate){.domain = STR("kartapuce.com"), .algorithms = 1, .bits = 512};
    assert_int_equal(command(fixture, MSG_KEY_GENERATE, &fields, NULL), KEY_OUTCOME_KEY);
}

/* No memory for a request is not the filter's fault, and not the end of the vault. */
static void
out_of_memory_is_not_now(void **state)
{
    struct fixture *fixture = *state;
    struct record_sign_item item = {
        .domain = STR("kartapuce.com"), .selector = STR("a"), .digest = str_make(digest, 32)};
    struct msg_sign fields = {.items = {&item, 1}};
    *no_memory = true;
    role_test_send(fixture->filter, MSG_SIGN, 12, &fields);
    struct ipc_message *message = receive(fixture, fixture->filter, ROLE_FILTER, MSG_SIGN_REPLY);
    *no_memory = false;
    assert_int_equal(message->request, 12);
    assert_true(MSG_BODY(message, sign_reply)->failed);
    assert_int_equal(MSG_BODY(message, sign_reply)->signatures.n, 0);
    ipc_message_free(&message);
    expect_signs(fixture, "a", false, "none", false);
}

/* A digest of another length cannot come from our filter. */
static void
a_wrong_digest_is_told_to_the_parent(void **state)
{
    struct fixture *fixture = *state;
    struct record_sign_item item = {
        .domain = STR("kartapuce.com"), .selector = STR("a"), .digest = str_make(digest, 31)};
    struct msg_sign fields = {.items = {&item, 1}};
    role_test_send(fixture->filter, MSG_SIGN, 11, &fields);
    struct ipc_message *message = receive(fixture, fixture->control, ROLE_PARENT, MSG_MISBEHAVED);
    assert_int_equal(MSG_BODY(message, misbehaved)->role, ROLE_FILTER);
    ipc_message_free(&message);
}

static enum vault_srs_outcome
srs(struct fixture *fixture, enum vault_srs_direction direction, const char *address,
    char out[static 321])
{
    struct msg_srs fields = {.direction = (uint8_t)direction,
                             .address = str_from_cstr(address),
                             .domain = STR("kartapuce.com")};
    role_test_send(fixture->filter, MSG_SRS, 5, &fields);
    struct ipc_message *message = receive(fixture, fixture->filter, ROLE_FILTER, MSG_SRS_REPLY);
    const struct msg_srs_reply *reply = MSG_BODY(message, srs_reply);
    enum vault_srs_outcome outcome = (enum vault_srs_outcome)reply->outcome;
    snprintf(out, 321, "%.*s", STR_ARG(reply->address));
    ipc_message_free(&message);
    return outcome;
}

static void
senders_are_rewritten_and_back(void **state)
{
    struct fixture *fixture = *state;
    char there[321];
    char back[321];
    assert_int_equal(srs(fixture, VAULT_SRS_FORWARD, "tom@far.example", there), VAULT_SRS_DONE);
    assert_true(str_starts_with(str_from_cstr(there), STR("SRS0=")));
    assert_true(str_ends_with(str_from_cstr(there), STR("=far.example=tom@kartapuce.com")));
    kill_role(fixture); /* the secret is on disk */
    start(fixture);
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, there, back), VAULT_SRS_DONE);
    assert_string_equal(back, "tom@far.example");
    there[6] = there[6] == 'a' ? 'b' : 'a';
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, there, back), VAULT_SRS_FORGED);
    assert_string_equal(back, "");
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, "jack@kartapuce.com", back),
                     VAULT_SRS_FOREIGN);
    assert_int_equal(srs(fixture, VAULT_SRS_FORWARD, "no address", back), VAULT_SRS_FOREIGN);
}

/* A VERP sender with a subscriber's address in it is longer than a local part may be. */
static void
long_senders_have_a_short_form(void **state)
{
    static const char verp[] =
        "bounces-4711-subscriber=kartapuce.com-newsletter-2026-11-23@lists.mailer.far.example";
    struct fixture *fixture = *state;
    char there[321], again[321], back[321];
    assert_int_equal(srs(fixture, VAULT_SRS_FORWARD, verp, there), VAULT_SRS_DONE);
    assert_true(str_starts_with(str_from_cstr(there), STR("SRS0=")));
    assert_true(str_find_char(str_from_cstr(there), '@') <= 64);
    assert_int_equal(srs(fixture, VAULT_SRS_FORWARD, verp, again), VAULT_SRS_DONE);
    assert_string_equal(there, again);
    kill_role(fixture); /* what it stands for is on disk */
    start(fixture);
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, there, back), VAULT_SRS_DONE);
    assert_string_equal(back, verp);
    for (char *p = there; *p != '@'; p++) {
        *p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p); /* as some hosts write it */
    }
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, there, back), VAULT_SRS_DONE);
    assert_string_equal(back, verp);
    there[6] = there[6] == 'A' ? 'B' : 'A';
    assert_int_equal(srs(fixture, VAULT_SRS_REVERSE, there, back), VAULT_SRS_FORGED);
}

/* Keys are not thrown away: the role does not start, and leaves the file as it is. */
static void
a_damaged_file_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    static const char damage[] = "not a database, and perhaps the only copy";
    char back[sizeof damage];
    int exit_status = 0;
    kill_role(fixture);
    unlink(test_directory_file(fixture->directory, "vault/keys.db-wal"));
    unlink(test_directory_file(fixture->directory, "vault/keys.db-shm"));
    int fd = open(test_directory_file(fixture->directory, "vault/keys.db"), O_RDWR | O_TRUNC);
    assert_int_equal(write(fd, damage, sizeof damage), sizeof damage);
    launch(fixture);
    assert_int_equal(waitpid(fixture->pid, &exit_status, 0), fixture->pid);
    assert_int_not_equal(exit_status, 0);
    assert_int_equal(pread(fd, back, sizeof back, 0), sizeof back);
    assert_memory_equal(back, damage, sizeof damage);
    close(fd);
    close_sockets(fixture);
    fixture->pid = 0;
}

#define ROLE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        ROLE_TEST(a_key_comes_into_use_and_retires),
        ROLE_TEST(all_of_it_is_on_disk),
        ROLE_TEST(keys_are_imported),
        ROLE_TEST(refusals),
        ROLE_TEST(out_of_memory_is_not_now),
        ROLE_TEST(a_wrong_digest_is_told_to_the_parent),
        ROLE_TEST(senders_are_rewritten_and_back),
        ROLE_TEST(long_senders_have_a_short_form),
        ROLE_TEST(a_damaged_file_is_left_alone),
    };
    return cmocka_run_group_tests(tests, share_memory, NULL);
}

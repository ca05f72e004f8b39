/* Logins: passwords by Argon2id in threads, SCRAM in the loop; both throttled. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/ledger/internal.h"
#include "smtp/server.h"

/* Memory for reading one name. */
#define NAME_ARENA 4096u

/* The facts of one attempt. */
struct attempt {
    char name[USER_NAME_MAX + 1]; /* in normal form; of what cannot be a name, its beginning */
    struct ip_address client;
};

/* ---- what all mechanisms share */

static bool
attempt_init(struct attempt *attempt, struct str name, struct str client)
{
    struct arena *arena = arena_create(NAME_ARENA);
    struct str normal;
    if (user_name_normalise(arena, name, &normal) != STATUS_OK) {
        normal = str_head(name, USER_NAME_MAX); /* matches nobody, but is counted */
    }
    if (normal.n > 0) {
        memcpy(attempt->name, normal.p, normal.n);
    }
    attempt->name[normal.n] = '\0';
    arena_destroy(&arena);
    if (client.n != sizeof attempt->client.octets) {
        return false;
    }
    memcpy(attempt->client.octets, client.p, client.n);
    return true;
}

struct throttle_limits
ledger_throttle_limits(struct ledger *ledger, const struct ip_address *client)
{
    const struct config *config = role_config(ledger->runtime);
    const struct config_limits *limits = &config->limits;
    const struct config_zone *zone = client != NULL ? config_zone_for_ip(config, client) : NULL;
    return (struct throttle_limits){
        .exempt = zone != NULL && !zone->auth_limits,
        .failures_per_user = limits->auth_failures_per_user,
        .failures_per_address = limits->auth_failures_per_address,
        .window_ms = limits->auth_failure_window_ms,
    };
}

/* Counts the attempt; false when no more are let through. */
static bool
attempt_begin(struct ledger *ledger, const struct attempt *attempt)
{
    struct throttle_limits limits = ledger_throttle_limits(ledger, &attempt->client);
    if (throttle_begin(ledger->throttle, &limits, str_from_cstr(attempt->name), &attempt->client,
                       clock_monotonic_ms())) {
        return true;
    }
    char address[IP_TEXT_MAX];
    ledger->counters.logins_throttled++;
    LOG_WARN("too many failed logins", LOG_CSTR("user", attempt->name),
             LOG_CSTR("client", ip_format(&attempt->client, address)));
    return false;
}

/* Who has this name and may log in; NULL: nobody. */
static struct user *
find_active(struct ledger *ledger, const struct attempt *attempt)
{
    struct user *user = user_table_find(ledger->users, str_from_cstr(attempt->name));
    return user != NULL && !user->disabled ? user : NULL;
}

static void
attempt_failed(struct ledger *ledger, const struct attempt *attempt)
{
    char address[IP_TEXT_MAX];
    ledger->counters.logins_failed++;
    LOG_INFO("login failed", LOG_CSTR("user", attempt->name),
             LOG_CSTR("client", ip_format(&attempt->client, address)));
}

static void
attempt_succeeded(struct ledger *ledger, const struct attempt *attempt, struct user *user)
{
    throttle_uncount(ledger->throttle, str_from_cstr(attempt->name), &attempt->client, true,
                     clock_monotonic_ms());
    ledger->counters.logins++;
    ledger_note_login(ledger, user);
}

static void
reply_outcome(struct ledger *ledger, struct asker *asker, enum smtp_auth_outcome outcome,
              const char *name)
{
    struct msg_auth_reply reply = {.outcome = (uint8_t)outcome, .user = str_from_cstr(name)};
    asker_end(&ledger->askers, asker, MSG_AUTH_REPLY, &reply);
}

/* ---- a password */

struct login_job {
    struct work_job job; /* first */
    struct ledger *ledger;
    struct asker asker;
    struct ipc_message *message; /* has the password; wiped when it is freed */
    struct attempt attempt;
    char argon2[CREDENTIAL_ARGON2_TEXT];
    bool ran;
    bool right;
};

static void
login_run(struct work_job *job, void *context)
{
    struct login_job *login = (struct login_job *)job;
    (void)context;
    login->right =
        credential_check_password(login->argon2, MSG_BODY(login->message, auth_password)->password);
    login->ran = true;
}

static void
login_end(struct login_job *login, enum smtp_auth_outcome outcome, const char *name)
{
    reply_outcome(login->ledger, &login->asker, outcome, name);
    ipc_message_free(&login->message);
    free(login);
}

/* It was not decided: no failure, no login. */
static void
login_undecided(struct login_job *login)
{
    throttle_uncount(login->ledger->throttle, str_from_cstr(login->attempt.name),
                     &login->attempt.client, false, clock_monotonic_ms());
    login->ledger->counters.logins_busy++;
    login_end(login, SMTP_AUTH_TEMPORARY, NULL);
}

static void
login_finish(struct work_job *job)
{
    struct login_job *login = (struct login_job *)job;
    struct ledger *ledger = login->ledger;
    if (!login->ran) {
        login_undecided(login);
        return;
    }
    /* Meanwhile the user may have been removed or disabled, or got another password. */
    struct user *user = find_active(ledger, &login->attempt);
    if (login->right && user != NULL && strcmp(user->credential.argon2, login->argon2) == 0) {
        attempt_succeeded(ledger, &login->attempt, user);
        login_end(login, SMTP_AUTH_OK, user->name);
    } else {
        attempt_failed(ledger, &login->attempt);
        login_end(login, SMTP_AUTH_FAILED, NULL);
    }
}

void
ledger_on_password(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct msg_auth_password *fields = MSG_BODY(message, auth_password);
    struct login_job *login = calloc(1, sizeof *login);
    if (login == NULL) {
        ipc_message_free(&message); /* the edge's time-out answers */
        return;
    }
    if (!attempt_init(&login->attempt, fields->user, fields->client_ip)) {
        free(login);
        ipc_message_free(&message);
        role_peer_misbehaved(ledger->runtime, channel);
        return;
    }
    login->job = (struct work_job){.run = login_run, .finish = login_finish};
    login->ledger = ledger;
    login->message = message;
    asker_begin(&ledger->askers, &login->asker, channel, message);
    if (!attempt_begin(ledger, &login->attempt)) {
        login_end(login, SMTP_AUTH_THROTTLED, NULL);
        return;
    }
    /* Who does not exist costs the same time as who does. */
    const struct user *user = find_active(ledger, &login->attempt);
    const struct credential *credential = user != NULL ? &user->credential : &ledger->nobody;
    memcpy(login->argon2, credential->argon2, sizeof login->argon2);
    if (!work_add(ledger->hashers, &login->job)) {
        login_undecided(login);
    }
}

/* ---- SCRAM: a few hashes, so the loop does them */

void
ledger_on_scram_begin(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct msg_scram_begin *fields = MSG_BODY(message, scram_begin);
    uint8_t salt[CREDENTIAL_SALT];
    struct attempt attempt;
    struct asker asker;
    if (!attempt_init(&attempt, fields->user, fields->client_ip)) {
        ipc_message_free(&message);
        role_peer_misbehaved(ledger->runtime, channel);
        return;
    }
    struct throttle_limits limits = ledger_throttle_limits(ledger, &attempt.client);
    struct msg_scram_begin_reply reply = {
        .outcome = SMTP_AUTH_OK,
        .salt = str_make((const char *)salt, sizeof salt),
        .iterations = CREDENTIAL_ITERATIONS,
    };
    const struct user *user = find_active(ledger, &attempt);
    credential_fake_salt(ledger->secret, str_from_cstr(attempt.name), salt);
    if (user != NULL) {
        memcpy(salt, user->credential.salt, sizeof salt);
        reply.iterations = user->credential.iterations;
    }
    if (!throttle_is_open(ledger->throttle, &limits, str_from_cstr(attempt.name), &attempt.client,
                          clock_monotonic_ms())) {
        ledger->counters.logins_throttled++;
        reply = (struct msg_scram_begin_reply){.outcome = SMTP_AUTH_THROTTLED};
    }
    asker_begin(&ledger->askers, &asker, channel, message);
    asker_end(&ledger->askers, &asker, MSG_SCRAM_BEGIN_REPLY, &reply);
    ipc_message_free(&message);
}

static void
verify_scram(struct ledger *ledger, const struct attempt *attempt,
             const struct msg_scram_verify *fields, struct asker *asker)
{
    uint8_t signature[CREDENTIAL_KEY];
    struct user *user = find_active(ledger, attempt);
    const struct credential *credential = user != NULL ? &user->credential : &ledger->nobody;
    bool right =
        credential_check_scram(credential, fields->auth_message, fields->client_proof, signature);
    if (!right || user == NULL) {
        attempt_failed(ledger, attempt);
        reply_outcome(ledger, asker, SMTP_AUTH_FAILED, NULL);
        return;
    }
    attempt_succeeded(ledger, attempt, user);
    struct msg_auth_reply reply = {
        .outcome = SMTP_AUTH_OK,
        .user = str_from_cstr(user->name),
        .server_signature = str_make((const char *)signature, sizeof signature),
    };
    asker_end(&ledger->askers, asker, MSG_AUTH_REPLY, &reply);
}

void
ledger_on_scram_verify(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct msg_scram_verify *fields = MSG_BODY(message, scram_verify);
    struct attempt attempt;
    struct asker asker;
    if (!attempt_init(&attempt, fields->user, fields->client_ip)) {
        ipc_message_free(&message);
        role_peer_misbehaved(ledger->runtime, channel);
        return;
    }
    asker_begin(&ledger->askers, &asker, channel, message);
    if (attempt_begin(ledger, &attempt)) {
        verify_scram(ledger, &attempt, fields, &asker);
    } else {
        reply_outcome(ledger, &asker, SMTP_AUTH_THROTTLED, NULL);
    }
    ipc_message_free(&message);
}

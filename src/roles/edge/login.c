#include "roles/edge/login.h"

#include <stdlib.h>

#include "roles/edge/request.h"

/* Bounds of the messages to the ledger. Nobody has a name or a password that is longer. */
#define LOGIN_USER_MAX     320u
#define LOGIN_PASSWORD_MAX 1024u
#define LOGIN_MESSAGE_MAX  8192u
#define LOGIN_PROOF_MAX    64u

static struct str
client_octets(const struct connection *connection)
{
    return str_make((const char *)connection->client.octets, sizeof connection->client.octets);
}

/* For the trace, which tells who somebody claimed to be. */
static void
note_claim(struct connection *connection, struct str user)
{
    free(connection->claimed_user);
    connection->claimed_user = strndup(user.n > 0 ? user.p : "", user.n);
}

/* What came over the channel, or did not come, as an outcome. */
static enum smtp_auth_outcome
outcome_of(struct connection *connection, enum status status, uint8_t told)
{
    if (status != STATUS_OK) {
        connection->edge->counters.peer_failures++;
    }
    enum smtp_auth_outcome outcome = status == STATUS_OK && told <= SMTP_AUTH_THROTTLED
                                         ? (enum smtp_auth_outcome)told
                                         : SMTP_AUTH_TEMPORARY;
    connection->why = outcome == SMTP_AUTH_THROTTLED ? "throttled" : NULL;
    return outcome;
}

static void
on_password_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct connection *connection = request_finish(context);
    if (connection != NULL) {
        struct msg_auth_reply none = {.outcome = SMTP_AUTH_TEMPORARY};
        const struct msg_auth_reply *fields = reply != NULL ? MSG_BODY(reply, auth_reply) : &none;
        smtp_server_auth_result(connection->core, outcome_of(connection, status, fields->outcome),
                                fields->user);
        session_resume(connection);
    }
    ipc_message_free(&reply);
}

void
login_password(struct connection *connection, struct str user, struct str password)
{
    struct msg_auth_password fields = {
        .user = user, .password = password, .client_ip = client_octets(connection)};
    note_claim(connection, user);
    if (user.n > LOGIN_USER_MAX || password.n > LOGIN_PASSWORD_MAX) {
        smtp_server_auth_result(connection->core, SMTP_AUTH_FAILED, STR(""));
        return;
    }
    if (!request_send(connection, connection->edge->ledger, MSG_AUTH_PASSWORD, &fields,
                      REQUEST_LEDGER_TIMEOUT_MS, on_password_reply)) {
        smtp_server_auth_result(connection->core, SMTP_AUTH_TEMPORARY, STR(""));
    }
}

static void
on_scram_begin_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct connection *connection = request_finish(context);
    if (connection != NULL) {
        struct msg_scram_begin_reply none = {.outcome = SMTP_AUTH_TEMPORARY};
        const struct msg_scram_begin_reply *fields =
            reply != NULL ? MSG_BODY(reply, scram_begin_reply) : &none;
        smtp_server_scram_begin_result(connection->core,
                                       outcome_of(connection, status, fields->outcome),
                                       fields->salt, fields->iterations);
        session_resume(connection);
    }
    ipc_message_free(&reply);
}

void
login_scram_begin(struct connection *connection, struct str user)
{
    struct msg_scram_begin fields = {.user = user, .client_ip = client_octets(connection)};
    note_claim(connection, user);
    if (user.n > LOGIN_USER_MAX) {
        smtp_server_scram_begin_result(connection->core, SMTP_AUTH_FAILED, STR(""), 0);
        return;
    }
    if (!request_send(connection, connection->edge->ledger, MSG_SCRAM_BEGIN, &fields,
                      REQUEST_LEDGER_TIMEOUT_MS, on_scram_begin_reply)) {
        smtp_server_scram_begin_result(connection->core, SMTP_AUTH_TEMPORARY, STR(""), 0);
    }
}

static void
on_scram_verify_reply(void *context, enum status status, struct ipc_message *reply)
{
    struct connection *connection = request_finish(context);
    if (connection != NULL) {
        struct msg_auth_reply none = {.outcome = SMTP_AUTH_TEMPORARY};
        const struct msg_auth_reply *fields = reply != NULL ? MSG_BODY(reply, auth_reply) : &none;
        smtp_server_scram_verify_result(connection->core,
                                        outcome_of(connection, status, fields->outcome),
                                        fields->user, fields->server_signature);
        session_resume(connection);
    }
    ipc_message_free(&reply);
}

void
login_scram_verify(struct connection *connection, const struct smtp_scram_request *scram)
{
    struct msg_scram_verify fields = {
        .user = scram->user,
        .client_ip = client_octets(connection),
        .auth_message = scram->auth_message,
        .client_proof = scram->client_proof,
    };
    if (scram->auth_message.n > LOGIN_MESSAGE_MAX || scram->client_proof.n > LOGIN_PROOF_MAX) {
        smtp_server_scram_verify_result(connection->core, SMTP_AUTH_FAILED, STR(""), STR(""));
        return;
    }
    if (!request_send(connection, connection->edge->ledger, MSG_SCRAM_VERIFY, &fields,
                      REQUEST_LEDGER_TIMEOUT_MS, on_scram_verify_reply)) {
        smtp_server_scram_verify_result(connection->core, SMTP_AUTH_TEMPORARY, STR(""), STR(""));
    }
}

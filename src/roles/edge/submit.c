#include "roles/edge/submit.h"

#include <stdio.h>

#include "base/clock.h"
#include "roles/edge/record.h"
#include "roles/edge/request.h"
#include "roles/filter.h"

#define TLS_TEXT_MAX          161
/* Recipients that leave no room beside an inline content in one packet. */
#define TARGETS_OCTETS_INLINE (64u * 1024u)

static const struct smtp_reply reply_unavailable =
    SMTP_REPLY(451, 4, 3, 0, "The message cannot be checked and stored now; try again later");

static uint32_t
message_flags(const struct smtp_envelope *envelope, const struct smtp_content_facts *facts)
{
    return (envelope->body == SMTP_BODY_8BITMIME ? (uint32_t)SMTP_MESSAGE_8BITMIME : 0u) |
           (envelope->smtputf8 ? (uint32_t)SMTP_MESSAGE_SMTPUTF8 : 0u) |
           (facts->has_8bit ? (uint32_t)SMTP_MESSAGE_HAS_8BIT : 0u) |
           (facts->header_has_8bit ? (uint32_t)SMTP_MESSAGE_HEADER_8BIT : 0u);
}

/* "5.7.1", as another role wrote it; class 0 when it is none. */
static struct smtp_enhanced
parse_enhanced(struct str text)
{
    struct str parts[3];
    uint64_t numbers[3];
    if (!str_cut(text, '.', &parts[0], &text) || !str_cut(text, '.', &parts[1], &parts[2])) {
        return (struct smtp_enhanced){0};
    }
    for (size_t i = 0; i < 3; i++) {
        if (str_parse_u64(parts[i], 999, &numbers[i]) != STATUS_OK) {
            return (struct smtp_enhanced){0};
        }
    }
    return (struct smtp_enhanced){(uint8_t)numbers[0], (uint16_t)numbers[1], (uint16_t)numbers[2]};
}

static void
on_submit_reply(void *context, enum status status, struct ipc_message *message)
{
    struct connection *connection = request_finish(context);
    if (connection != NULL && status == STATUS_OK) {
        const struct msg_submit_reply *fields = MSG_BODY(message, submit_reply);
        struct smtp_reply reply = {.code = fields->code,
                                   .enhanced = parse_enhanced(fields->enhanced),
                                   .text = fields->text};
        smtp_server_message_result(connection->core, &reply);
    } else if (connection != NULL) {
        /* It may have been committed: then the client's next attempt is a duplicate, not a loss. */
        connection->edge->counters.peer_failures++;
        smtp_server_message_result(connection->core, &reply_unavailable);
    }
    if (connection != NULL) {
        session_resume(connection);
    }
    ipc_message_free(&message);
}

static bool
submit_send(struct connection *connection, const struct smtp_envelope *envelope,
            const struct smtp_content_facts *facts, const struct ipc_body *content)
{
    struct transaction *transaction = connection->transaction;
    const struct smtp_session *session = smtp_server_session(connection->core);
    char tls[TLS_TEXT_MAX];
    struct msg_submit fields = {
        .id = str_from_cstr(transaction->id),
        .session = str_from_cstr(connection->id),
        .listener_kind = (uint8_t)connection->listener->config->kind,
        .client_ip = str_make((const char *)connection->client.octets, 16),
        .client_port = connection->client_port,
        .zone = connection->zone != NULL ? connection->zone->name : STR(""),
        .helo = session->helo,
        .esmtp = session->esmtp,
        .tls = record_tls_text(connection, tls, sizeof tls),
        .user = session->user,
        .received_ms = clock_wall_ms(),
        .sender = envelope->sender.text,
        .ret = (uint8_t)envelope->ret,
        .envid = envelope->envid,
        .flags = message_flags(envelope, facts),
        .recipients = {transaction->targets, transaction->target_count},
        .bare_line_ends = facts->has_bare_lf,
        .events = trace_events(&transaction->trace),
        .content = *content,
    };
    return request_send(connection, connection->edge->filter, MSG_SUBMIT, &fields, FILTER_ANSWER_MS,
                        on_submit_reply);
}

void
submit_message(struct connection *connection, const struct smtp_envelope *envelope,
               const struct smtp_content_facts *facts)
{
    struct transaction *transaction = connection->transaction;
    struct ipc_body content;
    size_t inline_max =
        transaction->target_octets > TARGETS_OCTETS_INLINE ? 0 : IPC_BODY_INLINE_MAX;
    record_content(connection, facts);
    bool sent = body_finish(&transaction->body, inline_max, &content) == STATUS_OK &&
                submit_send(connection, envelope, facts, &content);
    if (sent) {
        /* The filter passes the events on; here only the answer is still to come. */
        trace_clear(&transaction->trace);
        transaction->submitted = true;
        /* Who asks about the message now wants to hear of the connection too, though it is open. */
        record_session_so_far(connection);
    } else {
        smtp_server_message_result(connection->core, &reply_unavailable);
    }
}

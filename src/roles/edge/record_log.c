#include "roles/edge/record_log.h"

#include <stdio.h>

#include "base/log.h"
#include "roles/edge/edge.h"
#include "trace/outcome_line.h"

struct str
record_enhanced_text(const struct smtp_reply *reply, char out[static RECORD_ENHANCED_MAX])
{
    const struct smtp_enhanced *e = &reply->enhanced;
    if (e->class == 0) {
        return str_make(NULL, 0);
    }
    snprintf(out, RECORD_ENHANCED_MAX, "%u.%u.%u", e->class, e->subject, e->detail);
    return str_from_cstr(out);
}

/* What all refusals of a connection have in common; texts of the line may be in `room`. */
struct line_room {
    char client[IP_TEXT_MAX];
    char enhanced[RECORD_ENHANCED_MAX];
};

static struct outcome_line
refusal(const struct connection *connection, const struct smtp_reply *reply, const char *why,
        struct line_room *room)
{
    const struct smtp_session *session = smtp_server_session(connection->core);
    const struct transaction *transaction = connection->transaction;
    return (struct outcome_line){
        .event = "rejected",
        .id = str_from_cstr(transaction != NULL ? transaction->id : connection->id),
        .from = transaction != NULL ? transaction->sender : STR(""),
        .delay_ms = edge_now_ms() - connection->opened_ms,
        .code = reply->code,
        .enhanced = record_enhanced_text(reply, room->enhanced),
        .reply = reply->text,
        .client = str_from_cstr(ip_format(&connection->client, room->client)),
        .helo = session->helo,
        .user = session->user,
        .reason = why,
    };
}

void
record_log_mail_refused(const struct connection *connection, struct str sender,
                        const struct smtp_reply *reply, const char *why)
{
    struct line_room room;
    struct outcome_line line = refusal(connection, reply, why, &room);
    line.stage = "MAIL";
    line.from = sender;
    outcome_line_write(&line);
}

void
record_log_recipient_refused(const struct connection *connection, struct str address,
                             const struct smtp_reply *reply, const char *why)
{
    struct line_room room;
    struct outcome_line line = refusal(connection, reply, why, &room);
    line.stage = "RCPT";
    line.to = address;
    outcome_line_write(&line);
}

/* The targets of an alias stand one after the other: one line for the address that was refused. */
void
record_log_content_refused(const struct connection *connection, const struct smtp_reply *reply,
                           const char *why)
{
    struct line_room room;
    const struct transaction *transaction = connection->transaction;
    struct outcome_line line = refusal(connection, reply, why, &room);
    line.stage = "DATA";
    for (size_t i = 0; i < transaction->target_count; i++) {
        const struct record_recipient *target = &transaction->targets[i];
        if (i == 0 || !str_eq(target->original, transaction->targets[i - 1].original)) {
            line.to = target->original;
            outcome_line_write(&line);
        }
    }
}

void
record_log_accepted(const struct connection *connection, const struct smtp_reply *reply)
{
    const struct transaction *transaction = connection->transaction;
    const struct smtp_session *session = smtp_server_session(connection->core);
    char client[IP_TEXT_MAX];
    struct str from = transaction->sender.n > 0 ? transaction->sender : STR("<>");
    LOG_INFO("accepted", LOG_CSTR("id", transaction->id),
             LOG_STR("from", str_head(from, OUTCOME_LINE_ADDRESS_MAX)),
             LOG_INT("recipients", transaction->target_count),
             LOG_INT("size", transaction->body.size), LOG_INT("code", reply->code),
             LOG_STR("reply", str_head(reply->text, OUTCOME_LINE_REPLY_MAX)),
             LOG_CSTR("client", ip_format(&connection->client, client)),
             LOG_STR("helo", session->helo), LOG_STR("user", session->user),
             LOG_CSTR("session", connection->id));
}

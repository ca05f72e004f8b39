#include "store/ledger_summary.h"

#include <stdio.h>

const char *
trace_row_state_name(enum trace_row_state state)
{
    static const char *const names[] = {
        "open",    "closed",    "refused",    "try later",        "queued",
        "held",    "deferred",  "delivered",  "partly delivered", "failed",
        "removed", "discarded", "turned away"};
    return (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *
trace_row_kind_name(enum trace_row_kind kind)
{
    static const char *const names[] = {"session", "message", "notice"};
    return (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* The blocks of events.def. */
#define EVENTS_OF_MESSAGES TRACE_MAIL_ACCEPTED
#define EVENTS_OF_PROGRAM  TRACE_ERROR

/* What a handler works on. */
struct taking {
    struct summary *summary;
    summary_on_recipient *on_recipient;
    void *context;
};

/* ---- facts */

static void
set_text(struct summary_text *text, struct str s, size_t most)
{
    if (s.n > 0) {
        text->n = (uint16_t)(s.n < most ? s.n : most);
        memcpy(text->p, s.p, text->n);
    }
}

static void
set_state(struct summary *summary, enum trace_row_state state, int64_t time_ms)
{
    if (time_ms >= summary->state_ms) {
        summary->state = state;
        summary->state_ms = time_ms;
    }
}

/* Numbers as they stand after a result for one more recipient. */
static void
set_state_by_counts(struct summary *summary, int64_t time_ms)
{
    uint32_t ended = summary->delivered + summary->failed;
    if (ended < summary->expected) {
        bool waits = summary->state == TRACE_STATE_DEFERRED;
        set_state(summary, waits ? TRACE_STATE_DEFERRED : TRACE_STATE_QUEUED, time_ms);
    } else if (summary->failed == 0) {
        set_state(summary, TRACE_STATE_DELIVERED, time_ms);
    } else {
        set_state(summary, summary->delivered > 0 ? TRACE_STATE_PARTLY : TRACE_STATE_FAILED,
                  time_ms);
    }
}

static void
set_state_by_code(struct summary *summary, int64_t code, int64_t time_ms)
{
    if (code >= 400) {
        set_state(summary, code < 500 ? TRACE_STATE_TRY_LATER : TRACE_STATE_REFUSED, time_ms);
    }
}

static void
list_recipient(struct summary *summary, struct str address)
{
    size_t separator = summary->recipients.n > 0 ? 2 : 0;
    if (summary->recipients.n + separator + address.n > SUMMARY_RECIPIENTS_MAX) {
        return;
    }
    char *p = summary->recipients.p + summary->recipients.n;
    memcpy(p, ", ", separator);
    memcpy(p + separator, address.p, address.n);
    summary->recipients.n = (uint16_t)(summary->recipients.n + separator + address.n);
}

static void
found_recipient(struct taking *taking, struct str address)
{
    if (address.n > 0 && taking->on_recipient != NULL) {
        taking->on_recipient(taking->context, str_head(address, SUMMARY_ADDRESS_MAX));
    }
}

/* ---- one event */

static void
take_opened(struct taking *taking, const struct trace_event *event)
{
    taking->summary->client = trace_event_value(event, "client")->ip;
    set_state(taking->summary, TRACE_STATE_OPEN, event->time_ms);
}

static void
take_closed(struct taking *taking, const struct trace_event *event)
{
    struct str reason = trace_event_text(event, "reason");
    bool refused = (str_eq(reason, STR("refused")) || str_eq(reason, STR("limit"))) &&
                   trace_event_number(event, "messages") == 0;
    set_state(taking->summary, refused ? TRACE_STATE_TURNED_AWAY : TRACE_STATE_CLOSED,
              event->time_ms);
    if (taking->summary->kind == TRACE_ROW_SESSION && taking->summary->subject.n == 0) {
        set_text(&taking->summary->subject, reason, SUMMARY_TEXT_MAX);
    }
}

/* A connection without mail has, for its subject, why it came to nothing. */
static void
take_session_failure(struct taking *taking, const struct trace_event *event)
{
    char text[SUMMARY_TEXT_MAX];
    struct str what = trace_event_text(event, "error");
    const char *before = "TLS: ";
    if (event->number == TRACE_AUTH_FAILED) {
        before = "login failed: ";
        what = trace_event_text(event, "user");
    }
    if (taking->summary->kind == TRACE_ROW_SESSION) {
        int n = snprintf(text, sizeof text, "%s%.*s", before, STR_ARG(str_head(what, 300)));
        set_text(&taking->summary->subject, str_make(text, (size_t)n), SUMMARY_TEXT_MAX);
    }
}

static void
take_mail(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    summary->kind = TRACE_ROW_MESSAGE;
    summary->client = trace_event_value(event, "client")->ip;
    set_text(&summary->sender, trace_event_text(event, "sender"), SUMMARY_ADDRESS_MAX);
    set_state(summary, TRACE_STATE_OPEN, event->time_ms);
    set_state_by_code(summary, trace_event_number(event, "code"), event->time_ms);
}

static void
take_recipient(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    struct str address = trace_event_text(event, "address");
    struct str expanded = trace_event_value(event, "expanded")->texts;
    struct str item;
    summary->kind = TRACE_ROW_MESSAGE;
    summary->recipient_count++;
    list_recipient(summary, str_head(address, SUMMARY_ADDRESS_MAX));
    found_recipient(taking, address);
    while (trace_texts_next(&expanded, &item)) {
        found_recipient(taking, item);
    }
}

static void
take_refused(struct taking *taking, const struct trace_event *event)
{
    set_state_by_code(taking->summary, trace_event_number(event, "code"), event->time_ms);
}

/* A refused recipient decides only while nobody else was accepted; the answer to DATA says more. */
static void
take_recipient_refused(struct taking *taking, const struct trace_event *event)
{
    bool first = taking->summary->recipient_count == 0;
    take_recipient(taking, event);
    if (first) {
        take_refused(taking, event);
    }
}

static void
take_recipient_accepted(struct taking *taking, const struct trace_event *event)
{
    take_recipient(taking, event);
    set_state(taking->summary, TRACE_STATE_OPEN, event->time_ms);
}

static void
take_header(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    set_text(&summary->subject, trace_event_text(event, "subject"), SUMMARY_TEXT_MAX);
    set_text(&summary->message_id, trace_event_text(event, "message_id"), SUMMARY_TEXT_MAX);
}

static void
take_notice(struct taking *taking, const struct trace_event *event)
{
    taking->summary->kind = TRACE_ROW_NOTICE;
    take_header(taking, event);
    taking->summary->recipient_count++;
    list_recipient(taking->summary, str_head(trace_event_text(event, "to"), SUMMARY_ADDRESS_MAX));
    found_recipient(taking, trace_event_text(event, "to"));
}

/* A copy has no envelope of its own but this. */
static void
take_copy(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    struct str recipients = trace_event_value(event, "recipients")->texts;
    struct str item;
    summary->kind = TRACE_ROW_MESSAGE;
    summary->client = trace_event_value(event, "client")->ip;
    set_text(&summary->sender, trace_event_text(event, "sender"), SUMMARY_ADDRESS_MAX);
    while (trace_texts_next(&recipients, &item)) {
        summary->recipient_count++;
        list_recipient(summary, str_head(item, SUMMARY_ADDRESS_MAX));
        found_recipient(taking, item);
    }
    set_state(summary, TRACE_STATE_OPEN, event->time_ms);
}

static void
take_abandoned(struct taking *taking, const struct trace_event *event)
{
    /* What was refused stays refused when the client goes away afterwards. */
    if (taking->summary->state == TRACE_STATE_OPEN) {
        set_state(taking->summary, TRACE_STATE_CLOSED, event->time_ms);
    }
}

static void
take_decision(struct taking *taking, const struct trace_event *event)
{
    struct str action = trace_event_text(event, "action");
    if (str_eq(action, STR("discard"))) {
        set_state(taking->summary, TRACE_STATE_DISCARDED, event->time_ms);
    } else if (str_eq(action, STR("reject")) || str_eq(action, STR("defer"))) {
        take_refused(taking, event);
    }
}

static void
take_queued(struct taking *taking, const struct trace_event *event)
{
    taking->summary->expected = (uint32_t)trace_event_number(event, "recipients");
    set_state(taking->summary, TRACE_STATE_QUEUED, event->time_ms);
}

static void
take_held(struct taking *taking, const struct trace_event *event)
{
    set_state(taking->summary, TRACE_STATE_HELD, event->time_ms);
}

static void
take_released(struct taking *taking, const struct trace_event *event)
{
    set_state(taking->summary, TRACE_STATE_QUEUED, event->time_ms);
}

static void
take_removed(struct taking *taking, const struct trace_event *event)
{
    set_state(taking->summary, TRACE_STATE_REMOVED, event->time_ms);
}

static void
take_delivered(struct taking *taking, const struct trace_event *event)
{
    taking->summary->delivered++;
    found_recipient(taking, trace_event_text(event, "recipient"));
    set_state_by_counts(taking->summary, event->time_ms);
}

static void
take_failed(struct taking *taking, const struct trace_event *event)
{
    taking->summary->failed++;
    found_recipient(taking, trace_event_text(event, "recipient"));
    set_state_by_counts(taking->summary, event->time_ms);
}

static void
take_deferred(struct taking *taking, const struct trace_event *event)
{
    set_state(taking->summary, TRACE_STATE_DEFERRED, event->time_ms);
}

/* The spool's own count ends all doubt. */
static void
take_finished(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    if (summary->state == TRACE_STATE_REMOVED || summary->state == TRACE_STATE_DISCARDED) {
        return;
    }
    summary->delivered = (uint32_t)trace_event_number(event, "delivered");
    summary->failed = (uint32_t)trace_event_number(event, "failed");
    summary->expected = summary->delivered + summary->failed;
    set_state_by_counts(summary, event->time_ms);
}

/* The events that say something to the index; the others only move last_ms. */
static void (*const handlers[])(struct taking *taking, const struct trace_event *event) = {
    [TRACE_CONNECTION_OPENED] = take_opened,
    [TRACE_CONNECTION_CLOSED] = take_closed,
    [TRACE_TLS_FAILED] = take_session_failure,
    [TRACE_AUTH_FAILED] = take_session_failure,
    [TRACE_MAIL_ACCEPTED] = take_mail,
    [TRACE_MAIL_REFUSED] = take_mail,
    [TRACE_RECIPIENT_ACCEPTED] = take_recipient_accepted,
    [TRACE_RECIPIENT_REFUSED] = take_recipient_refused,
    [TRACE_CONTENT_REFUSED] = take_refused,
    [TRACE_MESSAGE_HEADER] = take_header,
    [TRACE_TRANSACTION_ABANDONED] = take_abandoned,
    [TRACE_MESSAGE_ANSWERED] = take_refused,
    [TRACE_DECISION] = take_decision,
    [TRACE_COPY_OF] = take_copy,
    [TRACE_QUEUED] = take_queued,
    [TRACE_NOT_QUEUED] = take_refused,
    [TRACE_QUEUE_UNKNOWN] = take_refused,
    [TRACE_HELD] = take_held,
    [TRACE_RELEASED] = take_released,
    [TRACE_REMOVED] = take_removed,
    [TRACE_FINISHED] = take_finished,
    [TRACE_DELIVERED] = take_delivered,
    [TRACE_DEFERRED] = take_deferred,
    [TRACE_FAILED] = take_failed,
    [TRACE_EXPIRED] = take_failed,
    [TRACE_NOTICE_CREATED] = take_notice,
};

static void
take_event(struct taking *taking, const struct trace_event *event)
{
    struct summary *summary = taking->summary;
    if (summary->first_ms == 0 || event->time_ms < summary->first_ms) {
        summary->first_ms = event->time_ms;
    }
    if (event->time_ms > summary->last_ms) {
        summary->last_ms = event->time_ms;
    }
    /* The relay's part may be the first to come: it too is about a message. */
    if (summary->kind == TRACE_ROW_SESSION && event->number >= EVENTS_OF_MESSAGES &&
        event->number < EVENTS_OF_PROGRAM) {
        summary->kind = TRACE_ROW_MESSAGE;
    }
    if (event->number < sizeof handlers / sizeof handlers[0] && handlers[event->number] != NULL) {
        handlers[event->number](taking, event);
    }
}

enum status
summary_add(struct summary *summary, struct str events, summary_on_recipient *on_recipient,
            void *context)
{
    struct taking taking = {summary, on_recipient, context};
    struct trace_reader reader;
    struct trace_event event;
    enum status status = trace_reader_init(&reader, events);
    while (status == STATUS_OK) {
        status = trace_reader_next(&reader, &event);
        if (status == STATUS_OK) {
            take_event(&taking, &event);
        }
    }
    return status == STATUS_END ? STATUS_OK : status;
}

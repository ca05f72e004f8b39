/* The whole story, as text and as JSON. */
#include <stdio.h>

#include "trace/explain.h"
#include "trace/explain_text.h"

/* Where the texts of the summary and of the events begin. */
#define COLUMN_SUMMARY 14u
#define COLUMN_EVENT   16u
#define COLUMN_MESSAGE 20u
#define SENTENCE_MAX   32768u

/* Writing goes on until something fails; the first failure is kept. */
struct story {
    struct buf *out;
    unsigned width;
    enum status status;
};

#define TRY(story, call)                                                                           \
    do {                                                                                           \
        if ((story)->status == STATUS_OK) {                                                        \
            (story)->status = (call);                                                              \
        }                                                                                          \
    } while (0)

/* ---- the summary */

/* "  Subject     ..." for any text; nothing when it is empty. */
static void
write_fact(struct story *story, const char *name, struct str text)
{
    if (text.n > 0) {
        TRY(story, buf_printf(story->out, "  %-*s", (int)COLUMN_SUMMARY - 2, name));
        TRY(story, text_append_wrapped(story->out, text, COLUMN_SUMMARY, story->width));
    }
}

/* The same for text from the network. */
static void
write_foreign_fact(struct story *story, const char *name, struct str text)
{
    struct buf safe;
    buf_init(&safe, SENTENCE_MAX);
    TRY(story, text_append_safe(&safe, text));
    write_fact(story, name, buf_str(&safe));
    buf_free(&safe);
}

static void
write_origin(struct story *story, const struct explain_summary *summary)
{
    static const struct ip_address none;
    char address[IP_TEXT_MAX];
    struct buf text;
    if (ip_eq(&summary->client, &none)) {
        return;
    }
    buf_init(&text, SENTENCE_MAX);
    TRY(story, buf_append(&text, str_from_cstr(ip_format(&summary->client, address))));
    if (summary->helo.n > 0) {
        TRY(story, buf_append(&text, STR(", calling itself ")));
        TRY(story, text_append_safe(&text, summary->helo));
    }
    if (summary->user.n > 0) {
        TRY(story, buf_append(&text, STR(", logged in as ")));
        TRY(story, text_append_safe(&text, summary->user));
    }
    TRY(story,
        buf_append(&text, summary->tls.n > 0 ? STR(", encrypted with ") : STR(", not encrypted")));
    TRY(story, text_append_safe(&text, summary->tls));
    write_fact(story, "Came from", buf_str(&text));
    buf_free(&text);
}

static void
write_times(struct story *story, const struct explain_summary *summary)
{
    struct buf text;
    buf_init(&text, 256);
    TRY(story, text_append_time(&text, summary->first_ms));
    TRY(story, buf_append(&text, STR(" UTC")));
    write_fact(story, "When", buf_str(&text));
    buf_free(&text);
}

/* What the hosts said last, the latest first. */
static void
write_attempts(struct story *story, const struct explain_summary *summary)
{
    for (size_t i = 0; i < summary->attempt_count; i++) {
        struct buf text;
        buf_init(&text, SENTENCE_MAX);
        TRY(story, text_append_time(&text, summary->attempts[i]->event.time_ms));
        TRY(story, buf_append(&text, STR(": ")));
        TRY(story, explain_event(&summary->attempts[i]->event, &text));
        write_fact(story, i == 0 ? "Last try" : "", buf_str(&text));
        buf_free(&text);
    }
}

static void
write_summary(struct story *story, const struct explain_summary *summary)
{
    struct buf outcome;
    buf_init(&outcome, SENTENCE_MAX);
    TRY(story, buf_printf(story->out, "%s %.*s\n\n", summary->is_session ? "Session" : "Message",
                          STR_ARG(summary->id)));
    TRY(story, explain_outcome(summary, &outcome));
    write_fact(story, "Outcome", buf_str(&outcome));
    buf_free(&outcome);
    write_attempts(story, summary);
    if (!summary->is_session) {
        write_foreign_fact(story, "From", summary->from);
        write_foreign_fact(story, "Sender",
                           summary->sender.n > 0 ? summary->sender : STR("<> (the null sender)"));
        write_foreign_fact(story, "Subject", summary->subject);
        write_foreign_fact(story, "Message-ID", summary->message_id);
        write_foreign_fact(story, "About", summary->about);
    }
    write_origin(story, summary);
    write_times(story, summary);
}

/* ---- recipients */

static const char *
end_name(enum explain_end end)
{
    static const char *const names[] = {
        [EXPLAIN_END_OPEN] = "not taken",   [EXPLAIN_END_REFUSED] = "refused",
        [EXPLAIN_END_EXPANDED] = "alias",   [EXPLAIN_END_WAITING] = "waiting",
        [EXPLAIN_END_HELD] = "held",        [EXPLAIN_END_DELIVERED] = "delivered",
        [EXPLAIN_END_FAILED] = "failed",    [EXPLAIN_END_REMOVED] = "removed",
        [EXPLAIN_END_COPIED] = "forwarded",
    };
    return names[end];
}

static void
write_recipient(struct story *story, const struct explain_recipient *recipient)
{
    struct buf text;
    buf_init(&text, SENTENCE_MAX);
    if (recipient->original.n > 0) {
        TRY(story, buf_append(&text, STR("(for ")));
        TRY(story, text_append_safe(&text, recipient->original));
        TRY(story, buf_append(&text, STR(") ")));
    }
    if (recipient->event != NULL) {
        TRY(story, text_append_time(&text, recipient->event->time_ms));
        TRY(story, buf_append(&text, STR(": ")));
        TRY(story, explain_event(recipient->event, &text));
    }
    TRY(story, buf_append(story->out, STR("  ")));
    TRY(story, text_append_safe(story->out, recipient->address));
    TRY(story, buf_printf(story->out, ": %s\n%*s", end_name(recipient->end), 6, ""));
    TRY(story, text_append_wrapped(story->out, buf_str(&text), 6, story->width));
    buf_free(&text);
}

static void
write_recipients(struct story *story, const struct explain_summary *summary)
{
    if (summary->recipient_count == 0) {
        return;
    }
    TRY(story, buf_append(story->out, STR("\nRecipients\n\n")));
    for (size_t i = 0; i < summary->recipient_count; i++) {
        write_recipient(story, &summary->recipients[i]);
    }
    if (summary->recipients_left_out > 0) {
        TRY(story, buf_printf(story->out, "  and %zu more\n", summary->recipients_left_out));
    }
}

/* ---- the messages of a session */

/* The next message that was begun, from event *from on; false: none. */
static bool
next_message(const struct timeline *timeline, struct str session, size_t *from, struct str *id_out)
{
    while (*from < timeline->count) {
        const struct timeline_event *item = &timeline->items[(*from)++];
        bool begins = item->event.number == TRACE_MAIL_ACCEPTED ||
                      item->event.number == TRACE_MAIL_REFUSED ||
                      item->event.number == TRACE_COPY_OF;
        if (begins && !str_eq(item->id, session)) {
            *id_out = item->id;
            return true;
        }
    }
    return false;
}

static void
write_message(struct story *story, const struct timeline *timeline, struct str id)
{
    struct explain_summary message;
    struct buf text;
    if (story->status != STATUS_OK) {
        return;
    }
    story->status = explain_summarise(timeline, id, &message);
    if (story->status != STATUS_OK) {
        return;
    }
    buf_init(&text, SENTENCE_MAX);
    TRY(story, buf_append(&text, STR("from <")));
    TRY(story, text_append_safe(&text, message.sender));
    TRY(story, buf_append(&text, STR(">. ")));
    TRY(story, explain_outcome(&message, &text));
    TRY(story, buf_printf(story->out, "  %.*s  ", STR_ARG(id)));
    TRY(story, text_append_wrapped(story->out, buf_str(&text), COLUMN_MESSAGE, story->width));
    buf_free(&text);
    explain_summary_fini(&message);
}

static void
write_messages(struct story *story, const struct timeline *timeline,
               const struct explain_summary *summary)
{
    size_t from = 0;
    struct str id;
    if (!summary->is_session || !summary->has_mail) {
        return;
    }
    TRY(story, buf_append(story->out, STR("\nMessages (postern explain ID tells more)\n\n")));
    while (next_message(timeline, summary->id, &from, &id)) {
        write_message(story, timeline, id);
    }
}

/* ---- events */

/* The sentence, and the section in brackets that stays on one line. */
static enum status
append_sentence(const struct trace_event *event, struct buf *out)
{
    struct str section = str_from_cstr(explain_section(event));
    enum status status = explain_event(event, out);
    if (status == STATUS_OK && section.n > 0) {
        status = buf_append(out, STR(" ["));
    }
    for (size_t i = 0; i < section.n && status == STATUS_OK; i++) {
        status = buf_append_char(out, section.p[i] == ' ' ? TEXT_HARD_BLANK : section.p[i]);
    }
    return status == STATUS_OK && section.n > 0 ? buf_append_char(out, ']') : status;
}

/* A line with the date, where it is another one than before. */
static void
write_date(struct story *story, int64_t time_ms, int64_t *day)
{
    int64_t today = time_ms / (24LL * 3600 * 1000);
    if (today != *day) {
        *day = today;
        TRY(story, buf_append(story->out, STR("\n  ")));
        TRY(story, text_append_date(story->out, time_ms));
        TRY(story, buf_append(story->out, STR(" (UTC)\n\n")));
    }
}

static void
write_event(struct story *story, const struct timeline_event *item)
{
    struct buf sentence;
    buf_init(&sentence, SENTENCE_MAX);
    TRY(story, append_sentence(&item->event, &sentence));
    TRY(story, buf_append(story->out, STR("  ")));
    TRY(story, text_append_clock(story->out, item->event.time_ms));
    TRY(story, buf_append(story->out, STR("  ")));
    TRY(story, text_append_wrapped(story->out, buf_str(&sentence), COLUMN_EVENT, story->width));
    buf_free(&sentence);
}

enum status
explain_text(const struct timeline *timeline, struct str id, unsigned width, struct buf *out)
{
    struct explain_summary summary;
    struct story story = {out, width, explain_summarise(timeline, id, &summary)};
    int64_t day = -1;
    if (story.status != STATUS_OK) {
        return story.status;
    }
    write_summary(&story, &summary);
    write_recipients(&story, &summary);
    write_messages(&story, timeline, &summary);
    TRY(&story, buf_append(out, STR("\nWhat happened\n")));
    for (size_t i = 0; i < timeline->count; i++) {
        if (explain_is_told(&summary, &timeline->items[i])) {
            write_date(&story, timeline->items[i].event.time_ms, &day);
            write_event(&story, &timeline->items[i]);
        }
    }
    if (timeline->cut) {
        TRY(&story, buf_append(out, STR("\n  There is more than can be told.\n")));
    }
    explain_summary_fini(&summary);
    return story.status;
}

/* ---- JSON */

/* The sentence of an event as a JSON string. */
static json_t *
sentence_json(enum status (*append)(const struct trace_event *event, struct buf *out),
              const struct trace_event *event)
{
    struct buf text;
    buf_init(&text, SENTENCE_MAX);
    json_t *json = append(event, &text) == STATUS_OK ? trace_json_text(buf_str(&text)) : NULL;
    buf_free(&text);
    return json;
}

static json_t *
time_json(int64_t time_ms)
{
    const struct trace_value value = {.kind = TRACE_KIND_time, .present = true, .number = time_ms};
    char scratch[TRACE_VALUE_SCRATCH];
    return trace_json_text(trace_value_text(&value, scratch));
}

static void
set_text(json_t *object, const char *key, struct str text)
{
    if (text.n > 0) {
        json_object_set_new(object, key, trace_json_text(text));
    }
}

static json_t *
event_json(const struct timeline_event *item)
{
    json_t *json = trace_event_json(&item->event);
    const char *section = explain_section(&item->event);
    set_text(json, "id", item->id);
    json_object_set_new(json, "sentence", sentence_json(explain_event, &item->event));
    if (section[0] != '\0') {
        json_object_set_new(json, "section", json_string(section));
    }
    return json;
}

static json_t *
recipient_json(const struct explain_recipient *recipient)
{
    json_t *json = json_object();
    set_text(json, "address", recipient->address);
    set_text(json, "original", recipient->original);
    json_object_set_new(json, "end", json_string(end_name(recipient->end)));
    if (recipient->event != NULL) {
        json_object_set_new(json, "time", time_json(recipient->event->time_ms));
        json_object_set_new(json, "sentence", sentence_json(explain_event, recipient->event));
    }
    return json;
}

static json_t *
summary_json(const struct explain_summary *summary)
{
    static const struct ip_address none;
    char address[IP_TEXT_MAX];
    struct buf outcome;
    json_t *json = json_object();
    buf_init(&outcome, SENTENCE_MAX);
    set_text(json, "id", summary->id);
    json_object_set_new(json, "kind", json_string(summary->is_session ? "session" : "message"));
    if (!summary->is_session) {
        json_object_set_new(json, "sender", trace_json_text(summary->sender));
    }
    set_text(json, "from", summary->from);
    set_text(json, "subject", summary->subject);
    set_text(json, "message_id", summary->message_id);
    set_text(json, "about", summary->about);
    if (!ip_eq(&summary->client, &none)) {
        json_object_set_new(json, "client", json_string(ip_format(&summary->client, address)));
    }
    set_text(json, "helo", summary->helo);
    set_text(json, "user", summary->user);
    set_text(json, "tls", summary->tls);
    json_object_set_new(json, "first", time_json(summary->first_ms));
    json_object_set_new(json, "last", time_json(summary->last_ms));
    if (explain_outcome(summary, &outcome) == STATUS_OK) {
        json_object_set_new(json, "outcome", trace_json_text(buf_str(&outcome)));
    }
    buf_free(&outcome);
    json_t *attempts = json_array();
    for (size_t i = 0; i < summary->attempt_count; i++) {
        json_array_append_new(attempts, event_json(summary->attempts[i]));
    }
    json_object_set_new(json, "last_attempts", attempts);
    return json;
}

static json_t *
messages_json(const struct timeline *timeline, struct str session)
{
    json_t *list = json_array();
    size_t from = 0;
    struct str id;
    while (next_message(timeline, session, &from, &id)) {
        struct explain_summary message;
        if (explain_summarise(timeline, id, &message) == STATUS_OK) {
            json_array_append_new(list, summary_json(&message));
            explain_summary_fini(&message);
        }
    }
    return list;
}

json_t *
explain_json(const struct timeline *timeline, struct str id)
{
    struct explain_summary summary;
    if (explain_summarise(timeline, id, &summary) != STATUS_OK) {
        return NULL;
    }
    json_t *recipients = json_array();
    json_t *events = json_array();
    for (size_t i = 0; i < summary.recipient_count; i++) {
        json_array_append_new(recipients, recipient_json(&summary.recipients[i]));
    }
    for (size_t i = 0; i < timeline->count; i++) {
        if (explain_is_told(&summary, &timeline->items[i])) {
            json_array_append_new(events, event_json(&timeline->items[i]));
        }
    }
    json_t *json = json_pack("{s:o, s:o, s:o}", "summary", summary_json(&summary), "recipients",
                             recipients, "events", events);
    if (summary.is_session) {
        json_object_set_new(json, "messages", messages_json(timeline, id));
    }
    explain_summary_fini(&summary);
    return json;
}

/* Who, what, how it ended: read out of all events of a message or a session. */
#include <stdlib.h>

#include "base/hash.h"
#include "trace/explain.h"
#include "trace/explain_attempts.h"
#include "trace/explain_text.h"

/* A recipient in the index by address (lower case is not assumed: addresses come in one form). */
struct seen {
    size_t place;
    UT_hash_handle hh;
};

struct reading {
    struct explain_summary *summary;
    struct seen *index;
    size_t room;
    bool no_memory;
};

/* ---- recipients */

static struct explain_recipient *
find_recipient(const struct reading *reading, struct str address)
{
    struct seen *seen = NULL;
    if (address.n > 0) {
        HASH_FIND(hh, reading->index, address.p, address.n, seen);
    }
    return seen != NULL ? &reading->summary->recipients[seen->place] : NULL;
}

static bool
grow(struct reading *reading)
{
    size_t room = reading->room == 0 ? 16 : 2 * reading->room;
    struct explain_recipient *recipients =
        realloc(reading->summary->recipients, room * sizeof *recipients);
    if (recipients == NULL) {
        return false;
    }
    reading->summary->recipients = recipients;
    reading->room = room;
    return true;
}

/* The recipient, new if it is not there; NULL when there is no room for it. */
static struct explain_recipient *
get_recipient(struct reading *reading, struct str address)
{
    struct explain_summary *summary = reading->summary;
    struct explain_recipient *recipient = find_recipient(reading, address);
    if (recipient != NULL || address.n == 0) {
        return recipient;
    }
    if (summary->recipient_count == EXPLAIN_ENDS_MAX) {
        summary->recipients_left_out++;
        return NULL;
    }
    struct seen *seen = calloc(1, sizeof *seen);
    if (seen == NULL || (summary->recipient_count == reading->room && !grow(reading))) {
        free(seen);
        reading->no_memory = true;
        return NULL;
    }
    seen->place = summary->recipient_count++;
    HASH_ADD_KEYPTR(hh, reading->index, address.p, address.n, seen);
    recipient = &summary->recipients[seen->place];
    *recipient = (struct explain_recipient){.address = address};
    return recipient;
}

static void
set_end(struct reading *reading, struct str address, enum explain_end end,
        const struct trace_event *event)
{
    struct explain_recipient *recipient = get_recipient(reading, address);
    if (recipient != NULL) {
        recipient->end = end;
        recipient->event = event;
    }
}

/* What happens to the whole message happens to all who have no end of their own yet. */
static void
set_all(struct reading *reading, enum explain_end end, const struct trace_event *event)
{
    for (size_t i = 0; i < reading->summary->recipient_count; i++) {
        struct explain_recipient *r = &reading->summary->recipients[i];
        if (r->end == EXPLAIN_END_OPEN || r->end == EXPLAIN_END_WAITING ||
            r->end == EXPLAIN_END_HELD ||
            (r->end == EXPLAIN_END_COPIED && end == EXPLAIN_END_REFUSED)) {
            r->end = end;
            r->event = event;
        }
    }
}

/* ---- events */

static void
read_opened(struct reading *reading, const struct trace_event *event)
{
    reading->summary->client = trace_event_value(event, "client")->ip;
}

static void
read_helo(struct reading *reading, const struct trace_event *event)
{
    reading->summary->helo = trace_event_text(event, "name");
}

static void
read_tls(struct reading *reading, const struct trace_event *event)
{
    if (reading->summary->tls.n == 0) {
        reading->summary->tls = trace_event_text(event, "version");
    }
}

static void
read_auth(struct reading *reading, const struct trace_event *event)
{
    reading->summary->user = trace_event_text(event, "user");
}

static void
read_verdict(struct reading *reading, const struct trace_event *event)
{
    reading->summary->verdict = event;
}

static void
read_mail(struct reading *reading, const struct trace_event *event)
{
    struct explain_summary *summary = reading->summary;
    struct str user = trace_event_text(event, "user");
    struct str helo = trace_event_text(event, "helo");
    struct str tls = trace_event_text(event, "tls");
    summary->has_mail = true;
    summary->sender = trace_event_text(event, "sender");
    summary->client = trace_event_value(event, "client")->ip;
    summary->user = user.n > 0 ? user : summary->user;
    summary->helo = helo.n > 0 ? helo : summary->helo;
    summary->tls = tls.n > 0 ? tls : summary->tls;
    if (event->number == TRACE_MAIL_REFUSED) {
        read_verdict(reading, event);
    }
}

static void
read_accepted(struct reading *reading, const struct trace_event *event)
{
    struct str address = trace_event_text(event, "address");
    struct str expanded = trace_event_value(event, "expanded")->texts;
    struct str item;
    bool stays = expanded.n == 0;
    while (trace_texts_next(&expanded, &item)) {
        struct explain_recipient *recipient = get_recipient(reading, item);
        bool is_itself = str_eq(item, address);
        stays |= is_itself;
        if (recipient != NULL && !is_itself) {
            recipient->original = address;
            recipient->event = recipient->event != NULL ? recipient->event : event;
        }
    }
    set_end(reading, address, stays ? EXPLAIN_END_OPEN : EXPLAIN_END_EXPANDED, event);
}

static void
read_refused(struct reading *reading, const struct trace_event *event)
{
    set_end(reading, trace_event_text(event, "address"), EXPLAIN_END_REFUSED, event);
}

static void
read_header(struct reading *reading, const struct trace_event *event)
{
    struct explain_summary *summary = reading->summary;
    summary->from = trace_event_text(event, "from");
    summary->subject = trace_event_text(event, "subject");
    summary->message_id = trace_event_text(event, "message_id");
}

static void
read_notice(struct reading *reading, const struct trace_event *event)
{
    read_header(reading, event);
    reading->summary->has_mail = true;
    reading->summary->about = trace_event_text(event, "about");
    set_end(reading, trace_event_text(event, "to"), EXPLAIN_END_WAITING, event);
}

/* Under which id the others go on; without one it is this message itself. */
static void
read_forwarded(struct reading *reading, const struct trace_event *event)
{
    struct str recipients = trace_event_value(event, "recipients")->texts;
    struct str item;
    bool is_copied = trace_event_text(event, "id").n > 0;
    while (is_copied && trace_texts_next(&recipients, &item)) {
        set_end(reading, item, EXPLAIN_END_COPIED, event);
    }
}

static void
read_copy(struct reading *reading, const struct trace_event *event)
{
    struct explain_summary *summary = reading->summary;
    struct str recipients = trace_event_value(event, "recipients")->texts;
    struct str item;
    summary->has_mail = true;
    summary->sender = trace_event_text(event, "sender");
    summary->client = trace_event_value(event, "client")->ip;
    while (trace_texts_next(&recipients, &item)) {
        set_end(reading, item, EXPLAIN_END_OPEN, event);
    }
}

/* The client's answer ends the message when it is not 2yz; a refusal by the filter comes so too. */
static void
read_answer(struct reading *reading, const struct trace_event *event)
{
    if (trace_event_number(event, "code") >= 400) {
        set_all(reading, EXPLAIN_END_REFUSED, event);
        read_verdict(reading, event);
    }
}

static void
read_queued(struct reading *reading, const struct trace_event *event)
{
    set_all(reading, EXPLAIN_END_WAITING, event);
}

/* It waits again: what it waits for is the last failure, not that it was released. */
static void
read_released(struct reading *reading, const struct trace_event *event)
{
    set_all(reading, EXPLAIN_END_WAITING, event);
    for (size_t i = 0; i < reading->summary->recipient_count; i++) {
        struct explain_recipient *r = &reading->summary->recipients[i];
        if (r->event == event && r->deferred != NULL) {
            r->event = r->deferred;
        }
    }
}

static void
read_held(struct reading *reading, const struct trace_event *event)
{
    set_all(reading, EXPLAIN_END_HELD, event);
}

static void
read_removed(struct reading *reading, const struct trace_event *event)
{
    struct str recipient = trace_event_text(event, "recipient");
    if (recipient.n > 0) {
        set_end(reading, recipient, EXPLAIN_END_REMOVED, event);
    } else {
        set_all(reading, EXPLAIN_END_REMOVED, event);
    }
}

static void
read_result(struct reading *reading, const struct trace_event *event)
{
    enum explain_end end = event->number == TRACE_DELIVERED  ? EXPLAIN_END_DELIVERED
                           : event->number == TRACE_DEFERRED ? EXPLAIN_END_WAITING
                                                             : EXPLAIN_END_FAILED;
    struct str address = trace_event_text(event, "recipient");
    set_end(reading, address, end, event);
    struct explain_recipient *recipient = find_recipient(reading, address);
    if (recipient != NULL && event->number == TRACE_DEFERRED) {
        recipient->deferred = event;
    }
}

static const struct {
    enum trace_event_id id;
    void (*read)(struct reading *reading, const struct trace_event *event);
} readers[] = {
    {TRACE_CONNECTION_OPENED, read_opened},
    {TRACE_HELO, read_helo},
    {TRACE_TLS_STARTED, read_tls},
    {TRACE_AUTH_SUCCEEDED, read_auth},
    {TRACE_AUTH_FAILED, read_verdict},
    {TRACE_EARLY_TALK, read_verdict},
    {TRACE_LIMIT_HIT, read_verdict},
    {TRACE_TLS_FAILED, read_verdict},
    {TRACE_MAIL_ACCEPTED, read_mail},
    {TRACE_MAIL_REFUSED, read_mail},
    {TRACE_RECIPIENT_ACCEPTED, read_accepted},
    {TRACE_RECIPIENT_REFUSED, read_refused},
    {TRACE_MESSAGE_HEADER, read_header},
    {TRACE_CONTENT_REFUSED, read_answer},
    {TRACE_MESSAGE_ANSWERED, read_answer},
    {TRACE_NOT_QUEUED, read_answer},
    {TRACE_QUEUE_UNKNOWN, read_answer},
    {TRACE_TRANSACTION_ABANDONED, read_verdict},
    {TRACE_FORWARDED, read_forwarded},
    {TRACE_COPY_OF, read_copy},
    {TRACE_QUEUED, read_queued},
    {TRACE_RELEASED, read_released},
    {TRACE_HELD, read_held},
    {TRACE_REMOVED, read_removed},
    {TRACE_DELIVERED, read_result},
    {TRACE_DEFERRED, read_result},
    {TRACE_FAILED, read_result},
    {TRACE_EXPIRED, read_result},
    {TRACE_NOTICE_CREATED, read_notice},
};

static bool
is_about_a_message(const struct trace_event *event)
{
    return event->number >= TRACE_MAIL_ACCEPTED && event->number < TRACE_ERROR;
}

/*
 * To the story of a message belongs what its connection did until the message was answered, and how
 * it ended, but no other message.
 */
bool
explain_is_told(const struct explain_summary *summary, const struct timeline_event *item)
{
    int64_t until_ms =
        item->event.number == TRACE_CONNECTION_CLOSED ? summary->last_ms : summary->answered_ms;
    bool of_its_connection = !summary->is_session && !is_about_a_message(&item->event) &&
                             item->event.time_ms <= until_ms;
    return str_eq(item->id, summary->id) || of_its_connection;
}

static void
read_event(struct reading *reading, const struct timeline_event *item)
{
    for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++) {
        if (readers[i].id == (enum trace_event_id)item->event.number) {
            readers[i].read(reading, &item->event);
            return;
        }
    }
}

static bool
ends_transaction(const struct trace_event *event)
{
    return event->number == TRACE_MESSAGE_ANSWERED || event->number == TRACE_CONTENT_REFUSED ||
           event->number == TRACE_MAIL_REFUSED || event->number == TRACE_TRANSACTION_ABANDONED;
}

/* A session's events are those of a connection (blocks of events.def); a message has its own. */
static void
find_bounds(const struct timeline *timeline, struct explain_summary *summary)
{
    bool has_own_mail = false;
    summary->first_ms = timeline->items[0].event.time_ms;
    for (size_t i = 0; i < timeline->count; i++) {
        const struct timeline_event *item = &timeline->items[i];
        if (str_eq(item->id, summary->id)) {
            summary->last_ms = item->event.time_ms;
            if (ends_transaction(&item->event)) {
                summary->answered_ms = item->event.time_ms;
            }
            has_own_mail |= is_about_a_message(&item->event);
        }
    }
    summary->is_session = !has_own_mail;
    if (summary->answered_ms == 0) {
        summary->answered_ms = summary->last_ms;
    }
}

enum status
explain_summarise(const struct timeline *timeline, struct str id,
                  struct explain_summary *summary_out)
{
    struct explain_summary summary = {.id = id};
    struct reading reading = {.summary = &summary};
    if (timeline->count > 0) {
        find_bounds(timeline, &summary);
    }
    for (size_t i = 0; i < timeline->count; i++) {
        const struct timeline_event *item = &timeline->items[i];
        if (explain_is_told(&summary, item)) {
            read_event(&reading, item);
        }
        summary.has_mail |= is_about_a_message(&item->event);
    }
    HASH_FREE_ALL(reading.index);
    explain_find_attempts(timeline, &summary);
    if (reading.no_memory) {
        explain_summary_fini(&summary);
        return STATUS_LIMIT;
    }
    *summary_out = summary;
    return STATUS_OK;
}

void
explain_summary_fini(struct explain_summary *summary)
{
    free(summary->recipients);
    summary->recipients = NULL;
    summary->recipient_count = 0;
}

/* ---- the outcome in one sentence */

struct ends {
    size_t count[EXPLAIN_END_COPIED + 1];
    size_t all; /* that are to get the message: those behind an alias, not the alias */
};

static struct ends
count_ends(const struct explain_summary *summary)
{
    struct ends ends = {.all = 0};
    for (size_t i = 0; i < summary->recipient_count; i++) {
        ends.count[summary->recipients[i].end]++;
        ends.all += summary->recipients[i].end != EXPLAIN_END_EXPANDED;
    }
    return ends;
}

static enum status
outcome_of_session(const struct explain_summary *summary, struct buf *out)
{
    if (summary->has_mail) {
        return buf_append(out, STR("A connection that began the messages below."));
    }
    if (summary->verdict == NULL) {
        return buf_append(out, STR("A connection that brought no mail."));
    }
    enum status status = buf_append(out, STR("A connection that brought no mail. "));
    return status == STATUS_OK ? explain_event(summary->verdict, out) : status;
}

/* All recipients ended the same way. */
static enum status
outcome_of_one_kind(const struct explain_summary *summary, const struct ends *ends, struct buf *out)
{
    static const char *const phrases[] = {
        [EXPLAIN_END_OPEN] = "Not taken: the message never came in whole",
        [EXPLAIN_END_REFUSED] = "Refused",
        [EXPLAIN_END_EXPANDED] = "",
        [EXPLAIN_END_WAITING] = "In the queue, not delivered yet",
        [EXPLAIN_END_HELD] = "Held until somebody releases it",
        [EXPLAIN_END_DELIVERED] = "Delivered",
        [EXPLAIN_END_FAILED] = "Not delivered, and given up",
        [EXPLAIN_END_REMOVED] = "Taken out of the queue by an administrator",
        [EXPLAIN_END_COPIED] = "Forwarded as a copy of its own",
    };
    size_t end = 0;
    while (ends->count[end] == 0 || end == EXPLAIN_END_EXPANDED) {
        end++;
    }
    enum status status = buf_append(out, str_from_cstr(phrases[end]));
    if (status == STATUS_OK && end == EXPLAIN_END_DELIVERED) {
        status = ends->all == 1 ? buf_append(out, STR(" after "))
                                : buf_printf(out, " to all %zu recipients after ", ends->all);
    }
    if (status == STATUS_OK && end == EXPLAIN_END_DELIVERED) {
        status = text_append_duration(out, summary->last_ms - summary->first_ms);
    }
    return status == STATUS_OK ? buf_append_char(out, '.') : status;
}

/* "Of 3 recipients, 2 have it, 1 was refused." */
static enum status
outcome_of_several(const struct ends *ends, struct buf *out)
{
    static const struct {
        enum explain_end end;
        const char *one;
        const char *many;
    } phrases[] = {
        {EXPLAIN_END_DELIVERED, "has it", "have it"},
        {EXPLAIN_END_WAITING, "waits in the queue", "wait in the queue"},
        {EXPLAIN_END_HELD, "is held", "are held"},
        {EXPLAIN_END_REFUSED, "was refused", "were refused"},
        {EXPLAIN_END_FAILED, "could not be reached", "could not be reached"},
        {EXPLAIN_END_REMOVED, "was removed", "were removed"},
        {EXPLAIN_END_COPIED, "gets a copy of its own", "get a copy of their own"},
        {EXPLAIN_END_OPEN, "is open", "are open"},
    };
    enum status status = buf_printf(out, "Of %zu recipients", ends->all);
    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0] && status == STATUS_OK; i++) {
        size_t n = ends->count[phrases[i].end];
        if (n > 0) {
            status = buf_printf(out, ", %zu %s", n, n == 1 ? phrases[i].one : phrases[i].many);
        }
    }
    return status == STATUS_OK ? buf_append_char(out, '.') : status;
}

enum status
explain_outcome(const struct explain_summary *summary, struct buf *out)
{
    struct ends ends = count_ends(summary);
    if (summary->is_session) {
        return outcome_of_session(summary, out);
    }
    if (ends.all == 0) {
        enum status status = buf_append(out, STR("Not taken. "));
        return status == STATUS_OK && summary->verdict != NULL
                   ? explain_event(summary->verdict, out)
                   : status;
    }
    size_t kinds = 0;
    for (size_t i = 0; i < sizeof ends.count / sizeof ends.count[0]; i++) {
        kinds += ends.count[i] > 0 && i != EXPLAIN_END_EXPANDED;
    }
    return kinds == 1 ? outcome_of_one_kind(summary, &ends, out) : outcome_of_several(&ends, out);
}

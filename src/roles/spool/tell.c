/* Who is told of the ends and delays of recipients (RFC 3461 4.1, policy/end.h). */
#include "roles/spool/tell.h"

#include <stdlib.h>

#include "base/log.h"
#include "smtp/envelope.h"

static void *
need(void *p)
{
    if (p == NULL) {
        abort(); /* the ceilings have room for what one report can bring */
    }
    return p;
}

static bool
wants_notice(const struct spool_recipient *r, enum dsn_kind kind)
{
    static const unsigned bits[] = {[DSN_FAILURE] = SMTP_DSN_NOTIFY_FAILURE,
                                    [DSN_DELAY] = SMTP_DSN_NOTIFY_DELAY,
                                    [DSN_SUCCESS] = SMTP_DSN_NOTIFY_SUCCESS};
    if ((r->notify & SMTP_DSN_NOTIFY_NEVER) != 0) {
        return false;
    }
    if (r->notify == 0) {
        return kind != DSN_SUCCESS;
    }
    return (r->notify & bits[kind]) != 0;
}

static const char *
kind_name(enum dsn_kind kind)
{
    static const char *const names[] = {
        [DSN_FAILURE] = "failure", [DSN_DELAY] = "delay", [DSN_SUCCESS] = "success"};
    return names[kind];
}

/* Why delivery or delay is not told, or NULL. */
static const char *
suppression(const struct teller *t, const struct spool_recipient *r, enum dsn_kind kind)
{
    if (t->about->m.sender.n == 0) {
        return "null_sender"; /* RFC 5321 6.1: never a bounce of a bounce */
    }
    if (t->about->m.altered) {
        return "damaged"; /* the address may be somebody else's by now */
    }
    if (!wants_notice(r, kind)) {
        return (r->notify & SMTP_DSN_NOTIFY_NEVER) != 0 ? "notify_never" : "notify_not_asked";
    }
    return t->extent == NOTICE_EXTENT_FAILURES ? "stranger" : notice_extent_reason(t->extent);
}

static void
trace_suppressed(struct teller *t, const struct spool_recipient *r, enum dsn_kind kind,
                 const char *why)
{
    TRACE(t->trace, notice_suppressed, .kind = str_from_cstr(kind_name(kind)),
          .recipient = r->address, .why = str_from_cstr(why));
    t->role->counts.notices_suppressed++;
}

/* The name in "name[address]:port"; nothing of a socket's path, which is nobody's business. */
static struct str
host_of(struct str remote)
{
    size_t end = str_find_char(remote, '[');
    if (end == 0) {
        end = str_find_char(remote, ']');
        end = end != STR_NPOS ? end + 1 : STR_NPOS; /* an address alone */
    }
    if (str_starts_with(remote, STR("/"))) {
        return str_make(NULL, 0);
    }
    return end != STR_NPOS ? str_head(remote, end) : remote;
}

/*
 * What a stranger may know: that the address it wrote to was not reached. Neither which address
 * that leads to, nor the servers behind and their words; a status only where it is about the same
 * address (RFC 3464 4.2: a forwarding address may be confidential).
 */
static void
tell_stranger(struct notice_list *list, const struct spool_recipient *r,
              const struct spool_result *result)
{
    for (size_t i = 0; i < list->n; i++) {
        if (str_eq(list->items[i].address, r->original)) {
            return; /* another target of the same alias */
        }
    }
    bool sent_on = !str_eq_nocase(r->address, r->original);
    list->items[list->n++] = (struct dsn_recipient){
        .address = r->original,
        .original = r->original,
        .orcpt = r->orcpt,
        .action = DSN_FAILED,
        .status = sent_on ? str_make(NULL, 0) : result->last.enhanced,
        .expired = result->state == SPOOL_EXPIRED,
        .untried = result->attempts == 0,
    };
}

struct spool_attempt
attempt_copy(struct arena *arena, const struct spool_attempt *a)
{
    return (struct spool_attempt){
        .at_ms = a->at_ms,
        .code = a->code,
        .enhanced = arena_str_dup(arena, a->enhanced),
        .text = arena_str_dup(arena, str_head(a->text, SPOOL_REPLY_TEXT_MAX)),
        .remote = arena_str_dup(arena, a->remote),
    };
}

struct spool_attempt
teller_reason(struct teller *t, const struct spool_recipient *r, const struct spool_result *result)
{
    bool own = result->last.text.p != r->last.text.p || result->last.at_ms != r->last.at_ms;
    if (own) {
        return result->last;
    }
    const struct spool_attempt why = destination_reason(t->role, r);
    return attempt_copy(t->arena, &why); /* the destination's may change meanwhile */
}

static struct dsn_recipient
all_that_is_known(struct teller *t, const struct spool_recipient *r,
                  const struct spool_result *result, enum dsn_action action)
{
    const struct spool_attempt why = teller_reason(t, r, result);
    return (struct dsn_recipient){
        .address = r->address,
        .original = r->original,
        .orcpt = r->orcpt,
        .action = action,
        .status = why.enhanced,
        .expired = result->state == SPOOL_EXPIRED,
        .untried = result->attempts == 0,
        .code = why.code,
        .text = why.text,
        .remote = host_of(why.remote),
        .attempt_ms = result->last.at_ms > 0 ? role_wall(t->role, result->last.at_ms) : 0,
        .retry_until_ms =
            result->state == SPOOL_HELD
                ? 0
                : role_wall(t->role, t->about->m.queued_ms +
                                         role_config(t->role->runtime)->queue.lifetime_ms),
    };
}

/* Of delivery or delay. */
void
teller_tell(struct teller *t, const struct spool_recipient *r, const struct spool_result *result,
            enum dsn_kind kind, enum dsn_action action)
{
    const char *why_not = suppression(t, r, kind);
    if (why_not != NULL) {
        /* That nobody is told what nobody asked for is not worth a line. */
        if (t->extent != NOTICE_EXTENT_FULL && wants_notice(r, kind)) {
            trace_suppressed(t, r, kind, why_not);
        }
        return;
    }
    struct notice_list *list = &t->lists[kind];
    list->items[list->n++] = all_that_is_known(t, r, result, action);
}

/* ---- ends that are failures (policy/end.h) */

/* The word of the trace for who is not told. */
static const char *
end_reason(const struct spool_recipient *r, enum end end)
{
    switch ((int)end) {
    case END_FAILED_UNWANTED:
        return (r->notify & SMTP_DSN_NOTIFY_NEVER) != 0 ? "notify_never" : "notify_not_asked";
    case END_FAILED_STRANGER:
        return "stranger";
    case END_FAILED_UNPROVEN:
        return "sender_unproven";
    case END_FAILED_DAMAGED:
        return "damaged";
    case END_FAILED_AT_POSTMASTER:
        return "postmaster_failed";
    case END_FAILED_BY_COMMAND:
        return "given_up";
    default:
        return "null_sender";
    }
}

/* It stays, held: there is nobody who could be told. */
static void
keep(struct teller *t, struct str id_text, struct spool_result *result, enum end end)
{
    result->state = SPOOL_HELD;
    TRACE(t->trace, held, .reason = str_from_cstr(end_text(end)), .by = STR(""));
    LOG_ERROR("a message is kept because nobody can be told that it failed; see to it, then bounce "
              "or remove it",
              LOG_STR("id", t->about->m.id), LOG_STR("recipient", id_text),
              LOG_CSTR("end", end_name(end)));
}

static void
tell_of_end(struct teller *t, const struct spool_recipient *r, struct spool_result *result,
            enum end end)
{
    bool to_sender = end_told(end) == END_TOLD_SENDER;
    struct notice_list *list = &t->lists[to_sender ? NOTICE_FAILURE : NOTICE_POSTMASTER];
    list->why = list->failed_n == 0 ? end : list->why;
    list->failed[list->failed_n++] = result;
    if (to_sender && t->extent == NOTICE_EXTENT_FAILURES) {
        tell_stranger(list, r, result);
    } else {
        list->items[list->n++] = all_that_is_known(t, r, result, DSN_FAILED);
    }
}

/* The end of a recipient that failed or expired: `state` says which. */
void
teller_end(struct teller *t, const struct spool_recipient *r, struct spool_result *result,
           enum spool_state state)
{
    const struct end_failure failure = {
        .null_sender = t->about->m.sender.n == 0,
        .to_postmaster = (t->about->m.flags & SMTP_MESSAGE_TO_POSTMASTER) != 0,
        .altered = t->about->m.altered,
        .by_command = t->by_command,
        .notify = r->notify,
        .extent = t->extent,
    };
    enum end end = end_of_failure(&failure);
    result->state = state;
    if (end_told(end) != END_TOLD_SENDER) {
        trace_suppressed(t, r, DSN_FAILURE, end_reason(r, end));
    }
    switch (end_told(end)) {
    case END_TOLD_SENDER:
    case END_TOLD_POSTMASTER:
        tell_of_end(t, r, result, end);
        return;
    case END_TOLD_KEPT:
        keep(t, r->address, result, end);
        return;
    case END_TOLD_SENDER_IF_ASKED:
    case END_TOLD_NEXT_HOP:
    case END_TOLD_ADMINISTRATOR:
    case END_TOLD_NOBODY_AS_ASKED:
        break;
    }
    LOG_WARN("undeliverable, and no notice is sent", LOG_STR("id", t->about->m.id),
             LOG_STR("recipient", r->address), LOG_CSTR("end", end_name(end)));
}

/* ---- notices */

static enum dsn_kind
kind_of(enum notice_slot slot)
{
    return slot == NOTICE_POSTMASTER ? DSN_FAILURE : (enum dsn_kind)slot;
}

static void
trace_notice_sent(struct teller *t, enum notice_slot slot, const struct parcel *notice)
{
    const struct notice_list *list = &t->lists[slot];
    size_t n = list->n < TRACE_TEXTS_MAX ? list->n : TRACE_TEXTS_MAX;
    struct str *names = need(arena_alloc_array(t->arena, n, sizeof *names));
    for (size_t i = 0; i < n; i++) {
        names[i] = list->items[i].address;
    }
    TRACE(t->trace, notice_sent, .kind = str_from_cstr(kind_name(kind_of(slot))),
          .id = notice->m.id, .to = notice->m.recipients[0].original, .recipients = {names, n});
}

/* Without the notice nobody would hear of these failures. */
static void
keep_failed(struct teller *t, const struct notice_list *list)
{
    for (size_t i = 0; i < list->failed_n; i++) {
        keep(t, list->items[i < list->n ? i : 0].address, list->failed[i],
             END_FAILED_WITHOUT_NOTICE);
    }
}

/* The postmaster has had many notices lately: these failures are told together with others. */
static void
gather(struct teller *t, const struct notice_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        TRACE(t->trace, notice_suppressed, .kind = str_from_cstr(kind_name(DSN_FAILURE)),
              .recipient = list->items[i].address, .why = STR("gathered"));
    }
    t->gathers = true;
    t->gathered = postmaster_list(t->role, &t->about->m, list, t->arena, &t->gathered_cut);
}

size_t
teller_make(struct teller *t, struct intake notices_out[NOTICE_SLOTS])
{
    size_t count = 0;
    for (unsigned slot = 0; slot < NOTICE_SLOTS; slot++) {
        const struct notice_list *list = &t->lists[slot];
        if (list->n == 0) {
            continue;
        }
        if (slot == NOTICE_POSTMASTER && !postmaster_admits(t->role)) {
            gather(t, list);
            continue;
        }
        struct notice_subject subject = {.about = t->about,
                                         .kind = kind_of((enum notice_slot)slot),
                                         .sender = t->sender,
                                         .recipients = list->items,
                                         .count = list->n};
        if (slot == NOTICE_POSTMASTER) {
            subject.why_postmaster = str_from_cstr(end_text(list->why));
        }
        struct parcel *notice = notice_make(t->role, &subject);
        if (notice == NULL) {
            keep_failed(t, list);
            continue;
        }
        trace_notice_sent(t, (enum notice_slot)slot, notice);
        intake_prepare(t->role, &notices_out[count++], notice);
    }
    return count;
}

void
teller_start(struct teller *t, size_t count)
{
    for (unsigned slot = 0; slot < NOTICE_SLOTS; slot++) {
        struct notice_list *list = &t->lists[slot];
        *list = (struct notice_list){0};
        list->items = need(arena_alloc_array(t->arena, count, sizeof *list->items));
        list->failed = need(arena_alloc_array(t->arena, count, sizeof(struct spool_result *)));
    }
}

bool
teller_has_notices(const struct teller *t)
{
    for (unsigned slot = 0; slot < NOTICE_SLOTS; slot++) {
        if (t->lists[slot].n > 0) {
            return true;
        }
    }
    return false;
}

bool
teller_has_failures(const struct teller *t)
{
    return t->lists[NOTICE_FAILURE].n + t->lists[NOTICE_POSTMASTER].n > 0;
}

/* Puts the items of `earlier` before those of `list`. */
static void
join_list(struct arena *arena, struct notice_list *list, const struct notice_list *earlier)
{
    struct dsn_recipient *items =
        need(arena_alloc_array(arena, earlier->n + list->n + 1, sizeof *items));
    struct spool_result **failed =
        need(arena_alloc_array(arena, earlier->failed_n + list->failed_n + 1, sizeof *failed));
    for (size_t i = 0; i < earlier->n + list->n; i++) {
        items[i] = i < earlier->n ? earlier->items[i] : list->items[i - earlier->n];
    }
    for (size_t i = 0; i < earlier->failed_n + list->failed_n; i++) {
        failed[i] =
            i < earlier->failed_n ? earlier->failed[i] : list->failed[i - earlier->failed_n];
    }
    list->why = earlier->failed_n > 0 ? earlier->why : list->why;
    list->items = items;
    list->n += earlier->n;
    list->failed = failed;
    list->failed_n += earlier->failed_n;
}

void
teller_join(struct teller *t, const struct teller *earlier)
{
    for (unsigned slot = 0; slot < NOTICE_SLOTS; slot++) {
        join_list(t->arena, &t->lists[slot], &earlier->lists[slot]);
    }
}

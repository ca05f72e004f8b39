/* The spool's own messages: what the sender is told (RFC 3461, 3464). */
#include <stdlib.h>

#include "auth/srs.h"
#include "base/clock.h"
#include "base/log.h"
#include "policy/notice.h"
#include "policy/recipient.h"
#include "roles/spool/internal.h"
#include "smtp/envelope.h"

/* Beside the copy of the original. */
#define NOTICE_CEILING (24u * 1024u * 1024u)

/* Who is told: the sender, also of a message whose return path is our rewriting of it. */
static struct str
sender_of(struct arena *arena, const struct spool_message *m)
{
    struct smtp_address address;
    struct srs_address sender;
    if ((m->flags & SMTP_MESSAGE_SENDER_REWRITTEN) != 0 &&
        smtp_mailbox_parse(arena, m->sender, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL,
                           &address) == STATUS_OK &&
        srs_undo(arena, address.local, &sender) == STATUS_OK && !srs_is_short(&sender) &&
        smtp_address_make(arena, sender.local, sender.domain, &address) == STATUS_OK) {
        return address.text;
    }
    return m->sender;
}

bool
notice_sender_is_short(const struct spool_message *m)
{
    struct smtp_address address;
    struct srs_address sender;
    struct arena *arena = arena_create(4096);
    bool is_short =
        (m->flags & SMTP_MESSAGE_SENDER_REWRITTEN) != 0 &&
        smtp_mailbox_parse(arena, m->sender, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL,
                           &address) == STATUS_OK &&
        srs_undo(arena, address.local, &sender) == STATUS_OK && srs_is_short(&sender);
    arena_destroy(&arena);
    return is_short;
}

/* Fills in the request what comes from the message that it is about, and composes. */
static enum status
compose(struct spool_role *role, struct arena *arena, const struct notice_subject *subject,
        struct dsn_request *request, struct dsn_message *out)
{
    const struct config *config = role_config(role->runtime);
    const struct spool_message *m = &subject->about->m;
    bool for_postmaster = subject->why_postmaster.n > 0;
    /* Always accepted here, and leads to bounce.postmaster without telling everybody who that is.
     */
    struct str postmaster = arena_printf(arena, "postmaster@%.*s", STR_ARG(config->hostname));
    request->hostname = config->hostname;
    request->postmaster = postmaster;
    request->about_id = m->id;
    request->now_ms = clock_wall_ms();
    request->arrival_ms = m->received_ms;
    struct str sender = subject->sender.n > 0 ? subject->sender : sender_of(arena, m);
    request->sender = for_postmaster ? postmaster : sender;
    request->why_postmaster = subject->why_postmaster;
    request->original_sender = for_postmaster ? sender : str_make(NULL, 0);
    request->envid = m->envid;
    bool whole = notice_extent_of(config, m->flags) == NOTICE_EXTENT_FULL;
    request->return_full = whole && m->ret == SMTP_DSN_RET_FULL;
    request->return_headers =
        !whole || m->ret == SMTP_DSN_RET_HDRS || m->head.n + m->content.n < m->size;
    request->head = m->head;
    request->content = m->content;
    request->returned_max = config->bounce.returned_size;
    return dsn_compose(arena, request, out);
}

/* Whoever sent the message was accepted as a sender; nobody is asked again. */
static enum recipient_answer
answer_yes(void *context, const struct recipient_question *question, struct str *address_out)
{
    (void)context;
    (void)address_out;
    /* Whom our own rewriting stands for is known already (sender_of). */
    return question->kind == RECIPIENT_QUESTION_SRS ? RECIPIENT_ANSWER_NO : RECIPIENT_ANSWER_YES;
}

/* Where mail for the sender goes: aliases of our own domains hold for notices as well. */
static const struct recipient_target *
resolve_sender(struct spool_role *role, struct arena *arena, struct str sender, size_t *count_out)
{
    struct smtp_address address;
    struct recipient_outcome outcome;
    if (smtp_mailbox_parse(arena, sender, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL, &address) !=
        STATUS_OK) {
        return NULL;
    }
    struct recipient_request request = {.config = role_config(role->runtime),
                                        .address = &address,
                                        .may_relay = true,
                                        .answer = answer_yes};
    if (recipient_resolve(&request, arena, &outcome) != STATUS_OK ||
        outcome.verdict != RECIPIENT_ACCEPT) {
        return NULL;
    }
    *count_out = outcome.target_count;
    return outcome.targets;
}

static enum status
address_notice(struct spool_role *role, struct arena *arena, struct str sender,
               struct spool_message *notice)
{
    struct recipient_target as_it_is = {.address = arena_str_dup(arena, sender)};
    size_t n = 1;
    const struct recipient_target *targets = resolve_sender(role, arena, as_it_is.address, &n);
    struct spool_recipient *items = arena_alloc_array(arena, n, sizeof *items);
    if (items == NULL || as_it_is.address.p == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        /* RFC 3461 6.2: no notice about a notice */
        items[i] = (struct spool_recipient){
            .number = (uint32_t)i,
            .address = arena_str_dup(arena, (targets != NULL ? &targets[i] : &as_it_is)->address),
            .original = as_it_is.address,
            .notify = SMTP_DSN_NOTIFY_NEVER,
            .state = SPOOL_QUEUED,
        };
    }
    notice->recipients = items;
    notice->recipient_count = n;
    notice->total = (uint32_t)n;
    return STATUS_OK;
}

static void
trace_notice(struct spool_role *role, enum dsn_kind kind, const struct parcel *about,
             const struct spool_message *notice, const struct dsn_message *dsn)
{
    static const char *const names[] = {
        [DSN_FAILURE] = "failure", [DSN_DELAY] = "delay", [DSN_SUCCESS] = "success"};
    struct trace trace;
    trace_init(&trace, NULL);
    TRACE(&trace, notice_created, .kind = str_from_cstr(names[kind]), .about = about->m.id,
          .to = notice->recipients[0].original, .subject = dsn->subject,
          .message_id = dsn->message_id);
    LOG_INFO("notice", LOG_STR("id", notice->id), LOG_STR("about", about->m.id),
             LOG_CSTR("kind", names[kind]), LOG_STR("to", notice->recipients[0].original));
    trace_sender_add(role->traces, notice->id, str_make(NULL, 0), &trace);
    trace_free(&trace);
}

struct parcel *
notice_to_postmaster(struct spool_role *role, struct str subject, struct str text)
{
    char id[ID_LENGTH + 1];
    struct arena *arena = arena_create(NOTICE_CEILING);
    struct str host = role_config(role->runtime)->hostname;
    int64_t now = clock_wall_ms();
    id_make(now, id);
    struct spool_message notice = {
        .id = arena_str_dup(arena, str_make(id, ID_LENGTH)),
        .received_ms = now,
        .priority = SPOOL_PRIORITY_HIGH,
        .flags = SMTP_MESSAGE_TO_POSTMASTER,
        .content = arena_str_dup(arena, text),
    };
    struct str postmaster = arena_printf(arena, "postmaster@%.*s", STR_ARG(host));
    struct str date = clock_format_rfc5322(arena, now);
    notice.head = arena_printf(
        arena,
        "From: Postern <%.*s>\r\nTo: <%.*s>\r\nDate: %.*s\r\nSubject: %.*s\r\n"
        "Message-ID: <%s@%.*s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        STR_ARG(postmaster), STR_ARG(postmaster), STR_ARG(date), STR_ARG(subject), id,
        STR_ARG(host));
    notice.size = notice.head.n + notice.content.n;
    if (notice.head.p == NULL || notice.content.p == NULL ||
        address_notice(role, arena, postmaster, &notice) != STATUS_OK) {
        LOG_ERROR("a notice to the postmaster cannot be made");
        arena_destroy(&arena);
        return NULL;
    }
    struct parcel *parcel = parcel_from_arena(arena, &notice);
    if (parcel_prepare(parcel, -1) != STATUS_OK) {
        parcel_unref(&parcel);
        return NULL;
    }
    return parcel;
}

struct parcel *
notice_make(struct spool_role *role, const struct notice_subject *subject)
{
    const struct parcel *about = subject->about;
    char id[ID_LENGTH + 1];
    struct dsn_message dsn;
    struct arena *arena =
        arena_create(NOTICE_CEILING + (size_t)role_config(role->runtime)->bounce.returned_size * 2);
    id_make(clock_wall_ms(), id);
    struct spool_message notice = {
        .id = arena_str_dup(arena, str_make(id, ID_LENGTH)),
        .received_ms = clock_wall_ms(),
        .priority = SPOOL_PRIORITY_BULK, /* the mail of people goes first */
    };
    struct dsn_request request = {
        .kind = subject->kind,
        .id = notice.id,
        .recipients = subject->recipients,
        .recipient_count = subject->count,
    };
    enum status status = compose(role, arena, subject, &request, &dsn);
    if (status == STATUS_OK) {
        status = address_notice(role, arena, request.sender, &notice);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("a notice of a message cannot be made", LOG_STR("id", about->m.id),
                  LOG_CSTR("status", status_name(status)));
        arena_destroy(&arena);
        return NULL;
    }
    notice.head = dsn.head;
    notice.content = dsn.content;
    notice.size = dsn.head.n + dsn.content.n;
    notice.flags = (dsn.utf8_header || !str_is_ascii(request.sender) ? SMTP_MESSAGE_SMTPUTF8 : 0) |
                   (dsn.utf8_header ? SMTP_MESSAGE_HEADER_8BIT : 0) |
                   (dsn.has_8bit ? SMTP_MESSAGE_8BITMIME | SMTP_MESSAGE_HAS_8BIT : 0) |
                   (subject->why_postmaster.n > 0 ? SMTP_MESSAGE_TO_POSTMASTER : 0);
    struct parcel *parcel = parcel_from_arena(arena, &notice);
    if (parcel_prepare(parcel, -1) != STATUS_OK) {
        parcel_unref(&parcel);
        return NULL;
    }
    trace_notice(role, subject->kind, about, &notice, &dsn);
    role->counts.notices++;
    return parcel;
}

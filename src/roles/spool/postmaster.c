/*
 * What the postmaster is told. A flood of forged mail to one failing alias must not become a flood
 * of notices: past so many in an hour the failures are gathered, and told in one message when the
 * hour is over or the role stops. What is gathered is in memory; the log and the trace have each.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/spool/tell.h"

#define WINDOW_MS       3600000
/* Notices with one failure each, in a window. */
#define SINGLE_MAX      20u
/* Octets of the list of what is gathered. */
#define LIST_MAX        (64u * 1024u)
/* Octets of an address or a reply in it; a line of a message has 998 (RFC 5322 2.1.1). */
#define LIST_TEXT_MAX   256u
#define MESSAGE_CEILING (2u * LIST_MAX)

/* ---- a message to the postmaster */

struct tell_job {
    struct job job;
    struct spool_role *role;
    struct parcel *notice;
    struct intake intake;
};

static enum status
run_tell(struct job *base, struct spool *spool)
{
    struct tell_job *job = (struct tell_job *)base;
    return intake_insert(&job->intake, spool, job->intake.parcel->m.queued_ms);
}

static void
on_told(struct job *base)
{
    struct tell_job *job = (struct tell_job *)base;
    struct spool_role *role = job->role;
    intake_finish(role, &job->intake, base->status == STATUS_OK);
    free(job);
    dispatch(role);
}

static void
submit_tell(struct spool_role *role, void *context)
{
    struct tell_job *job = context;
    worker_submit(role->worker, &job->job);
}

bool
postmaster_tell(struct spool_role *role, struct str subject, struct str text)
{
    struct parcel *notice = notice_to_postmaster(role, subject, text);
    struct tell_job *job = notice != NULL ? calloc(1, sizeof *job) : NULL;
    if (job == NULL) {
        parcel_unref(&notice);
        return false;
    }
    job->job = (struct job){.kind = JOB_COMMIT, .run = run_tell, .done = on_told};
    job->role = role;
    job->notice = notice;
    intake_prepare(role, &job->intake, notice);
    notice_sign(role, &job->notice, 1, submit_tell, job);
    return true;
}

/* ---- failures */

bool
postmaster_admits(struct spool_role *role)
{
    struct postmaster_window *w = &role->postmaster;
    if (w->since_ms == 0) {
        w->since_ms = clock_monotonic_ms();
        buf_init(&w->list, LIST_MAX);
    }
    if (w->single >= SINGLE_MAX) {
        return false;
    }
    w->single++;
    return true;
}

/* A stranger's text, in ASCII and of bounded length. */
static struct str
plain(struct arena *arena, struct str s)
{
    s = str_head(s, LIST_TEXT_MAX);
    char *text = arena_cstr(arena, s);
    for (size_t i = 0; text != NULL && i < s.n; i++) {
        text[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    return str_make(text, text != NULL ? s.n : 0);
}

static enum status
list_recipient(struct arena *arena, struct buf *list, const struct dsn_recipient *r)
{
    char code[8] = "";
    if (r->code > 0) {
        snprintf(code, sizeof code, "%u ", r->code);
    }
    struct str address = plain(arena, r->address);
    struct str status = plain(arena, r->status);
    struct str text = plain(arena, r->text);
    return buf_printf(list, "    <%.*s>\r\n        %s%.*s%s%.*s\r\n", STR_ARG(address), code,
                      STR_ARG(status), status.n > 0 ? " " : "", STR_ARG(text));
}

void
postmaster_gather(struct spool_role *role, const struct spool_message *m,
                  const struct notice_list *failures)
{
    struct postmaster_window *w = &role->postmaster;
    struct arena *arena = arena_create(MESSAGE_CEILING);
    struct str sender = plain(arena, m->sender);
    enum status status = buf_printf(&w->list, "  %.*s from <%.*s>: %s\r\n", STR_ARG(m->id),
                                    STR_ARG(sender), end_text(failures->why));
    for (size_t i = 0; status == STATUS_OK && i < failures->n; i++) {
        status = list_recipient(arena, &w->list, &failures->items[i]);
        arena_reset(arena);
    }
    w->cut |= status != STATUS_OK;
    w->messages++;
    arena_destroy(&arena);
}

static void
tell_gathered(struct spool_role *role)
{
    struct postmaster_window *w = &role->postmaster;
    struct arena *arena = arena_create(MESSAGE_CEILING);
    struct str text = arena_printf(
        arena,
        "More messages failed within an hour than the postmaster gets single notices of.\r\n"
        "Their senders are not told. This message lists the others, %llu in all.\r\n"
        "\r\n%.*s%s\r\n"
        "\"postern explain ID\" tells the whole story of one of them.\r\n",
        (unsigned long long)w->messages, STR_ARG(buf_str(&w->list)),
        w->cut
            ? "\r\nThe list is too long to be complete. The log has a line for each recipient\r\n"
              "(event=bounced), and \"postern trace\" finds them all.\r\n"
            : "");
    if (text.p == NULL ||
        !postmaster_tell(role, STR("Messages that could not be delivered"), text)) {
        LOG_ERROR("the postmaster cannot be told of messages that failed; see the log for them",
                  LOG_INT("messages", w->messages));
    }
    arena_destroy(&arena);
}

bool
postmaster_tick(struct spool_role *role, bool at_once)
{
    struct postmaster_window *w = &role->postmaster;
    bool over = at_once || clock_monotonic_ms() - w->since_ms >= WINDOW_MS;
    if (w->since_ms == 0 || !over) {
        return false;
    }
    bool any = w->messages > 0;
    if (any) {
        tell_gathered(role);
    }
    buf_free(&w->list);
    *w = (struct postmaster_window){0};
    return any;
}

/*
 * What the postmaster is told. A flood of forged mail to one failing alias must not become a flood
 * of notices: past so many in an hour the failures are gathered, and told in one message when the
 * hour is over or the role stops. What is gathered is in the queue's database, written together
 * with the failure, so that who dies in between tells of it when it is back.
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
#define MESSAGE_CEILING (6u * LIST_MAX)

/* Gathered failures are told of, or could not be: then with the next ones, or after a restart. */
static void
finish_telling(struct spool_role *role, const struct spool_gathered *told, bool done)
{
    struct postmaster_window *w = &role->postmaster;
    w->telling = false;
    if (!done && !role->stopping) {
        w->messages += told->messages;
        w->since_ms = w->since_ms == 0 ? clock_monotonic_ms() : w->since_ms;
    }
    if (!done) {
        LOG_ERROR("the postmaster cannot be told of messages that failed now; see the log for them",
                  LOG_INT("messages", told->messages));
    }
}

/* ---- a message to the postmaster */

struct tell_job {
    struct job job;
    struct spool_role *role;
    struct parcel *notice;
    struct intake intake;
    struct spool_gathered told; /* what it tells of; its text is not used */
};

static enum status
run_tell(struct job *base, struct spool *spool)
{
    struct tell_job *job = (struct tell_job *)base;
    enum status status = intake_insert(&job->intake, spool, job->intake.parcel->m.queued_ms);
    return status == STATUS_OK && job->told.messages > 0 ? spool_gathered_forget(spool, &job->told)
                                                         : status;
}

static void
on_told(struct job *base)
{
    struct tell_job *job = (struct tell_job *)base;
    struct spool_role *role = job->role;
    intake_finish(role, &job->intake, base->status == STATUS_OK);
    if (job->told.messages > 0) {
        finish_telling(role, &job->told, base->status == STATUS_OK);
    }
    free(job);
    dispatch(role);
}

static void
submit_tell(struct spool_role *role, void *context)
{
    struct tell_job *job = context;
    worker_submit(role->worker, &job->job);
}

static bool
tell(struct spool_role *role, struct str subject, struct str text,
     const struct spool_gathered *told)
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
    job->told = *told;
    intake_prepare(role, &job->intake, notice);
    notice_sign(role, &job->notice, 1, submit_tell, job);
    return true;
}

bool
postmaster_tell(struct spool_role *role, struct str subject, struct str text)
{
    return tell(role, subject, text, &(struct spool_gathered){0});
}

/* ---- failures */

bool
postmaster_admits(struct spool_role *role)
{
    struct postmaster_window *w = &role->postmaster;
    if (w->since_ms == 0) {
        w->since_ms = clock_monotonic_ms();
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

struct str
postmaster_list(struct spool_role *role, const struct spool_message *m,
                const struct notice_list *failures, struct arena *arena, bool *cut_out)
{
    struct postmaster_window *w = &role->postmaster;
    struct arena *scratch = arena_create(MESSAGE_CEILING);
    struct str sender = plain(scratch, m->sender);
    struct buf list;
    buf_init(&list, LIST_MAX - w->octets);
    enum status status = buf_printf(&list, "  %.*s from <%.*s>: %s\r\n", STR_ARG(m->id),
                                    STR_ARG(sender), end_text(failures->why));
    for (size_t i = 0; status == STATUS_OK && i < failures->n; i++) {
        status = list_recipient(scratch, &list, &failures->items[i]);
        arena_reset(scratch);
    }
    struct str text = arena_str_dup(arena, buf_str(&list));
    w->octets += text.n;
    *cut_out = status != STATUS_OK;
    buf_free(&list);
    arena_destroy(&scratch);
    return text;
}

void
postmaster_gathered(struct spool_role *role, uint64_t messages, bool at_once)
{
    struct postmaster_window *w = &role->postmaster;
    w->messages += messages;
    w->overdue |= at_once && messages > 0;
    if (w->since_ms == 0) {
        w->since_ms = clock_monotonic_ms();
    }
}

/* ---- telling of what is gathered */

struct read_job {
    struct job job;
    struct spool_role *role;
    struct arena *arena;
    struct spool_gathered gathered;
};

static enum status
run_read(struct job *base, struct spool *spool)
{
    struct read_job *job = (struct read_job *)base;
    arena_reset(job->arena);
    return spool_gathered(spool, job->arena, 2 * LIST_MAX, &job->gathered);
}

static bool
tell_gathered(struct spool_role *role, struct arena *arena, const struct spool_gathered *g)
{
    struct str text = arena_printf(
        arena,
        "More messages failed within an hour than the postmaster gets single notices of.\r\n"
        "Their senders are not told. This message lists the others, %llu in all.\r\n"
        "\r\n%.*s%s\r\n"
        "\"postern explain ID\" tells the whole story of one of them.\r\n",
        (unsigned long long)g->messages, STR_ARG(g->text),
        g->cut
            ? "\r\nThe list is too long to be complete. The log has a line for each recipient\r\n"
              "(event=bounced), and \"postern trace\" finds them all.\r\n"
            : "");
    return text.p != NULL && tell(role, STR("Messages that could not be delivered"), text, g);
}

static void
on_read(struct job *base)
{
    struct read_job *job = (struct read_job *)base;
    struct spool_role *role = job->role;
    const struct spool_gathered *g = &job->gathered;
    if (base->status == STATUS_OK && g->messages == 0) {
        role->postmaster.telling = false;
    } else if (base->status != STATUS_OK || !tell_gathered(role, job->arena, g)) {
        finish_telling(role, g, false);
    }
    arena_destroy(&job->arena);
    free(job);
}

static void
read_gathered(struct spool_role *role)
{
    struct read_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        abort();
    }
    job->job = (struct job){.kind = JOB_READ, .run = run_read, .done = on_read};
    job->role = role;
    job->arena = arena_create(MESSAGE_CEILING);
    job->gathered.messages = role->postmaster.messages; /* if they cannot be read */
    worker_submit(role->worker, &job->job);
}

bool
postmaster_tick(struct spool_role *role, bool at_once)
{
    struct postmaster_window *w = &role->postmaster;
    bool over = at_once || w->overdue || clock_monotonic_ms() - w->since_ms >= WINDOW_MS;
    if (w->telling) {
        return true;
    }
    if (w->since_ms == 0 || !over) {
        return false;
    }
    bool any = w->messages > 0;
    *w = (struct postmaster_window){.telling = any};
    if (any) {
        read_gathered(role);
    }
    return any;
}

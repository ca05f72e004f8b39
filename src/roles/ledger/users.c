/* The table of users: lookups, lists, changes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "roles/ledger/internal.h"

#define NAME_ARENA 4096u
/* Users of one page. */
#define PAGE_MAX   500u

/* ---- reading */

void
ledger_on_lookup(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    struct arena *arena = arena_create(NAME_ARENA);
    struct str name;
    bool is_name =
        user_name_normalise(arena, MSG_BODY(message, recipient_lookup)->name, &name) == STATUS_OK;
    struct msg_recipient_lookup_reply reply = {
        .exists = is_name && user_table_find(ledger->users, name) != NULL,
    };
    struct asker asker;
    ledger->counters.lookups++;
    asker_begin(&ledger->askers, &asker, channel, message);
    asker_end(&ledger->askers, &asker, MSG_RECIPIENT_LOOKUP_REPLY, &reply);
    arena_destroy(&arena);
    ipc_message_free(&message);
}

void
ledger_on_user_list(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct user *page[PAGE_MAX + 1];
    struct record_user_record records[PAGE_MAX];
    size_t found =
        user_table_page(ledger->users, MSG_BODY(message, user_list)->after, page, PAGE_MAX + 1);
    size_t shown = found < PAGE_MAX ? found : PAGE_MAX;
    for (size_t i = 0; i < shown; i++) {
        records[i] = (struct record_user_record){
            .name = str_from_cstr(page[i]->name),
            .disabled = page[i]->disabled,
            .created_ms = page[i]->created_ms,
            .last_login_ms = page[i]->last_login_ms,
        };
    }
    struct msg_user_list_reply reply = {.users = {records, shown}, .more = found > shown};
    struct asker asker;
    asker_begin(&ledger->askers, &asker, channel, message);
    asker_end(&ledger->askers, &asker, MSG_USER_LIST_REPLY, &reply);
    ipc_message_free(&message);
}

/* ---- changes: the password is hashed, then the file written, then the table changed */

struct change_job {
    struct work_job job; /* first */
    struct ledger *ledger;
    struct asker asker;
    struct ipc_message *message; /* may have the password; wiped when it is freed */
    enum user_action action;
    struct user user; /* as it is to be */
    enum status status;
    bool ran;
};

static void
change_end(struct change_job *change, enum user_outcome outcome, struct str text)
{
    struct msg_user_change_reply reply = {.outcome = (uint8_t)outcome, .text = text};
    asker_end(&change->ledger->askers, &change->asker, MSG_USER_CHANGE_REPLY, &reply);
    ipc_message_free(&change->message);
    explicit_bzero(&change->user, sizeof change->user);
    free(change);
}

/* A user whose address is in no domain of ours can log in, but no mail will come: say so. */
static struct str
remark(struct ledger *ledger, const struct user *user)
{
    struct str local;
    struct str domain;
    if (!str_cut(str_from_cstr(user->name), '@', &local, &domain)) {
        return STR("The name has no domain: it can log in, but receives no mail.");
    }
    if (config_domain_find(role_config(ledger->runtime), domain) == NULL) {
        return STR("The domain is not among `domains` in the configuration: no mail is accepted"
                   " for this address.");
    }
    return STR("");
}

static const char *
action_name(enum user_action action)
{
    static const char *const names[] = {[USER_ADD] = "add",
                                        [USER_PASSWORD] = "passwd",
                                        [USER_DISABLE] = "disable",
                                        [USER_ENABLE] = "enable",
                                        [USER_REMOVE] = "remove"};
    return names[action];
}

static void
change_done(struct change_job *change)
{
    struct ledger *ledger = change->ledger;
    struct str name = str_from_cstr(change->user.name);
    struct user *user = user_table_find(ledger->users, name);
    struct str text = STR("");
    switch (change->action) {
    case USER_ADD:
        if (user_table_put(ledger->users, &change->user) != STATUS_OK) {
            LOG_ERROR("a user is in the file but not in memory", LOG_STR("user", name));
        }
        text = remark(ledger, &change->user);
        break;
    case USER_PASSWORD:
        if (user != NULL) {
            user->credential = change->user.credential;
        }
        break;
    case USER_DISABLE:
    case USER_ENABLE:
        if (user != NULL) {
            user->disabled = change->user.disabled;
        }
        break;
    case USER_REMOVE:
        user_table_remove(ledger->users, name);
        break;
    }
    LOG_INFO("a user was changed", LOG_STR("user", name),
             LOG_CSTR("action", action_name(change->action)));
    change_end(change, USER_DONE, text);
}

static void
change_written(struct work_job *job)
{
    struct change_job *change = (struct change_job *)job;
    enum status status = change->ran ? change->status : STATUS_TEMPORARY;
    if (status == STATUS_OK) {
        change_done(change);
    } else if (status == STATUS_DENIED) {
        change_end(change, USER_EXISTS, STR("there is such a user already"));
    } else if (status == STATUS_NOT_FOUND) {
        change_end(change, USER_UNKNOWN, STR("there is no such user"));
    } else {
        change_end(change, USER_FAILED, STR("the change could not be written; see the log"));
    }
}

static void
change_write(struct work_job *job, void *context)
{
    struct change_job *change = (struct change_job *)job;
    struct ledger_writer *writer = context;
    const struct user *user = &change->user;
    change->ran = true;
    switch (change->action) {
    case USER_ADD:
        change->status = user_file_add(writer->users, user);
        break;
    case USER_PASSWORD:
        change->status = user_file_set_credential(writer->users, user->name, &user->credential);
        break;
    case USER_DISABLE:
    case USER_ENABLE:
        change->status = user_file_set_disabled(writer->users, user->name, user->disabled);
        break;
    case USER_REMOVE:
        change->status = user_file_remove(writer->users, user->name);
        break;
    }
    writer->users_changed |= change->status == STATUS_OK;
}

static void
change_to_writer(struct change_job *change)
{
    change->job = (struct work_job){.run = change_write, .finish = change_written};
    change->ran = false;
    if (!work_add(change->ledger->writers, &change->job)) {
        change_end(change, USER_FAILED, STR("the ledger is busy; try again"));
    }
}

static void
change_hash(struct work_job *job, void *context)
{
    struct change_job *change = (struct change_job *)job;
    (void)context;
    change->status =
        credential_make(MSG_BODY(change->message, user_change)->password, &change->user.credential);
    change->ran = true;
}

static void
change_hashed(struct work_job *job)
{
    struct change_job *change = (struct change_job *)job;
    if (!change->ran || change->status != STATUS_OK) {
        change_end(change, USER_FAILED, STR("there is not enough memory to hash the password"));
    } else {
        change_to_writer(change);
    }
}

static void
change_to_hashers(struct change_job *change)
{
    struct str password = MSG_BODY(change->message, user_change)->password;
    if (password.n < CREDENTIAL_PASSWORD_MIN || str_contains_char(password, '\0') ||
        !str_is_utf8(password)) {
        change_end(change, USER_BAD_PASSWORD,
                   STR("a password has at least 8 octets of UTF-8 and no NUL"));
        return;
    }
    change->job = (struct work_job){.run = change_hash, .finish = change_hashed};
    if (!work_add(change->ledger->hashers, &change->job)) {
        change_end(change, USER_FAILED, STR("the ledger is busy; try again"));
    }
}

/* Fills change->user with what the user is to be. False when there is no such user, or there is. */
static bool
prepare_user(struct change_job *change, struct str name)
{
    const struct user *user = user_table_find(change->ledger->users, name);
    if (change->action == USER_ADD) {
        memcpy(change->user.name, name.p, name.n);
        change->user.created_ms = clock_wall_ms();
        return user == NULL;
    }
    if (user == NULL) {
        return false;
    }
    change->user = *user;
    change->user.disabled =
        change->action == USER_DISABLE || (change->action != USER_ENABLE && user->disabled);
    return true;
}

static void
change_begin(struct change_job *change, struct str name)
{
    bool is_add = change->action == USER_ADD;
    if (!prepare_user(change, name)) {
        change_end(change, is_add ? USER_EXISTS : USER_UNKNOWN,
                   is_add ? STR("there is such a user already") : STR("there is no such user"));
    } else if (is_add || change->action == USER_PASSWORD) {
        change_to_hashers(change);
    } else {
        change_to_writer(change);
    }
}

void
ledger_on_user_change(struct ledger *ledger, struct channel *channel, struct ipc_message *message)
{
    const struct msg_user_change *fields = MSG_BODY(message, user_change);
    struct change_job *change = calloc(1, sizeof *change);
    struct arena *arena = arena_create(NAME_ARENA);
    struct str name;
    if (change == NULL || fields->action < USER_ADD || fields->action > USER_REMOVE) {
        free(change);
        arena_destroy(&arena);
        ipc_message_free(&message);
        role_peer_misbehaved(ledger->runtime, channel);
        return;
    }
    change->ledger = ledger;
    change->message = message;
    change->action = (enum user_action)fields->action;
    asker_begin(&ledger->askers, &change->asker, channel, message);
    if (user_name_normalise(arena, fields->name, &name) == STATUS_OK) {
        change_begin(change, name);
    } else {
        change_end(change, USER_BAD_NAME,
                   STR("not a name for a user: expected a mail address like bob@example.com"
                       " without quotes, blanks, ':' or '/'"));
    }
    arena_destroy(&arena);
}

/* ---- logins leave a date */

struct login_note {
    struct work_job job; /* first */
    char name[USER_NAME_MAX + 1];
    int64_t wall_ms;
};

static void
note_write(struct work_job *job, void *context)
{
    const struct login_note *note = (const struct login_note *)job;
    struct ledger_writer *writer = context;
    enum status status = user_file_set_last_login(writer->users, note->name, note->wall_ms);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        LOG_WARN("the date of a login was not written", LOG_CSTR("user", note->name));
    }
}

static void
note_finish(struct work_job *job)
{
    free(job);
}

void
ledger_note_login(struct ledger *ledger, struct user *user)
{
    int64_t now = clock_wall_ms();
    if (now - user->last_login_ms < LEDGER_LAST_LOGIN_MS && now >= user->last_login_ms) {
        return;
    }
    user->last_login_ms = now;
    struct login_note *note = calloc(1, sizeof *note);
    if (note == NULL) {
        return;
    }
    note->job = (struct work_job){.run = note_write, .finish = note_finish};
    note->wall_ms = now;
    memcpy(note->name, user->name, sizeof note->name);
    if (!work_add(ledger->writers, &note->job)) {
        free(note);
    }
}

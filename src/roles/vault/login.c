/* Passwords for other servers: set by a command, given to the relay, never listed. */
#include "base/clock.h"
#include "base/log.h"
#include "roles/vault/internal.h"

/* Logins in one answer, as in messages.def. */
#define LOGIN_LIST_MAX 1000u
#define LOGIN_ARENA    (2u * 1024u * 1024u)
#define PASSWORD_MAX   1024u

static void
answer(struct vault *vault, struct channel *channel, struct ipc_message *message,
       enum msg_type type, const void *fields)
{
    struct asker asker;
    asker_begin(&vault->askers, &asker, channel, message);
    asker_end(&vault->askers, &asker, type, fields);
    ipc_message_free(&message);
}

/* Printable, without blanks at its ends, and not too long. */
static bool
name_is_right(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f) {
            return false;
        }
    }
    return name.n > 0 && name.n <= VAULT_LOGIN_NAME_MAX && str_trim(name).n == name.n;
}

/* A NUL would end the password in PLAIN (RFC 4616 2), a line end is a slip of the hand. */
static bool
password_is_right(struct str password)
{
    return password.n > 0 && password.n <= PASSWORD_MAX && !str_contains_char(password, '\0') &&
           !str_contains_char(password, '\n') && !str_contains_char(password, '\r');
}

static void
lower_host(struct str host, char out[static VAULT_LOGIN_NAME_MAX + 1])
{
    for (size_t i = 0; i < host.n; i++) {
        out[i] = char_lower(host.p[i]);
    }
    out[host.n] = '\0';
}

static enum status
change(struct vault *vault, const struct msg_login_set *fields)
{
    struct vault_login login = {.changed_ms = clock_wall_ms()};
    lower_host(fields->host, login.host);
    memcpy(login.user, fields->user.p, fields->user.n);
    if (fields->action == LOGIN_ACTION_REMOVE) {
        return vault_file_login_remove(vault->file, str_from_cstr(login.host), fields->user);
    }
    return vault_file_login_set(vault->file, &login, fields->password);
}

void
vault_on_login_set(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_login_set *fields = MSG_BODY(message, login_set);
    struct msg_login_reply reply = {.outcome = LOGIN_OUTCOME_DONE};
    bool removes = fields->action == LOGIN_ACTION_REMOVE;
    if (!name_is_right(fields->host) || !name_is_right(fields->user)) {
        reply = (struct msg_login_reply){
            .outcome = LOGIN_OUTCOME_BAD,
            .text = STR("host and user are 1 to 255 octets, without control characters")};
    } else if (!removes && !password_is_right(fields->password)) {
        reply = (struct msg_login_reply){
            .outcome = LOGIN_OUTCOME_BAD,
            .text = STR("a password has 1 to 1024 octets, and neither NUL nor line ends")};
    } else {
        enum status status = change(vault, fields);
        if (status == STATUS_NOT_FOUND) {
            reply.outcome = LOGIN_OUTCOME_UNKNOWN;
            reply.text = STR("there is no such login; see postern secret list");
        } else if (status != STATUS_OK) {
            reply.outcome = LOGIN_OUTCOME_FAILED;
            reply.text = STR("it could not be written; see the log");
            LOG_ERROR("a password for another server cannot be written",
                      LOG_CSTR("status", status_name(status)));
        } else {
            LOG_INFO(removes ? "a password for another server was removed"
                             : "a password for another server was set",
                     LOG_STR("host", fields->host), LOG_STR("user", fields->user));
        }
    }
    answer(vault, channel, message, MSG_LOGIN_REPLY, &reply);
}

/* ---- the list */

struct login_list {
    struct arena *arena;
    struct record_login_record items[LOGIN_LIST_MAX];
    size_t count;
};

static bool
add_login(void *context, const struct vault_login *login)
{
    struct login_list *list = context;
    struct record_login_record *record = &list->items[list->count];
    *record = (struct record_login_record){
        .host = arena_str_dup(list->arena, str_from_cstr(login->host)),
        .user = arena_str_dup(list->arena, str_from_cstr(login->user)),
        .changed_ms = login->changed_ms,
    };
    return record->host.p != NULL && record->user.p != NULL && ++list->count < LOGIN_LIST_MAX;
}

void
vault_on_login_list(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    struct arena *arena = arena_create(LOGIN_ARENA);
    struct login_list *list = arena_alloc(arena, sizeof *list);
    struct msg_login_reply reply = {.outcome = LOGIN_OUTCOME_FAILED,
                                    .text = STR("the logins cannot be read; see the log")};
    if (list != NULL) {
        list->arena = arena;
        list->count = 0;
        if (vault_file_login_each(vault->file, add_login, list) == STATUS_OK) {
            reply = (struct msg_login_reply){.outcome = LOGIN_OUTCOME_DONE,
                                             .logins = {list->items, list->count}};
        }
    }
    answer(vault, channel, message, MSG_LOGIN_REPLY, &reply);
    arena_destroy(&arena);
}

/* ---- for the relay */

void
vault_on_login_find(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_login_find *fields = MSG_BODY(message, login_find);
    struct msg_login_find_reply reply = {.outcome = LOGIN_OUTCOME_UNKNOWN};
    char host[VAULT_LOGIN_NAME_MAX + 1];
    struct buf password;
    buf_init(&password, PASSWORD_MAX);
    lower_host(fields->host, host);
    enum status status =
        vault_file_login_find(vault->file, str_from_cstr(host), fields->user, &password);
    if (status == STATUS_OK) {
        reply.outcome = LOGIN_OUTCOME_DONE;
        reply.password = buf_str(&password);
    } else if (status != STATUS_NOT_FOUND) {
        reply.outcome = LOGIN_OUTCOME_FAILED;
        LOG_ERROR("a password for another server cannot be read",
                  LOG_CSTR("status", status_name(status)));
    }
    answer(vault, channel, message, MSG_LOGIN_FIND_REPLY, &reply);
    buf_free_wiped(&password);
}

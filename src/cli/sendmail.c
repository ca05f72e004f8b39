/*
 * postern sendmail: mail from this machine's own users and programs, as cron, PHP and mutt send it.
 *
 * It has no rights of its own and keeps nothing: it hands the message to the running Postern over a
 * Unix socket, whose other end the kernel tells who calls. What cannot be handed over ends in an
 * exit status of sysexits.h, which every caller of sendmail knows.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/sendmail_message.h"
#include "cli/sendmail_options.h"
#include "cli/sendmail_session.h"
#include "config/local_user.h"

/* Where the socket is when the configuration cannot be read. */
#define RUN_DEFAULT   "/run/postern"
/* More than any limits.message_size. */
#define MESSAGE_MAX   (3ull << 30)
#define READ_SIZE     65536u
#define ARENA_MAX     (64u << 20)
#define USER_NAME_MAX 64u

static const char usage[] =
    "usage: postern sendmail [OPTIONS] [RECIPIENT...]\n"
    "\n"
    "Reads a message from standard input and puts it into the queue. Called by the name sendmail "
    "it\n"
    "does the same; as mailq it shows the queue, as newaliases it does nothing.\n"
    "\n"
    "  -t             recipients are those of To, Cc and Bcc, besides those named\n"
    "  -f, -r SENDER  who it is from, and who hears of failures; <> is nobody\n"
    "  -F NAME        the name in a From field that is made\n"
    "  -i, -oi        a line with a single dot does not end the message\n"
    "  -N LIST        notices of delivery: never, or success, failure and delay\n"
    "  -R full|hdrs   what such a notice returns of the message\n"
    "  -V ID          what such a notice calls the message\n"
    "  -bs            speak SMTP on standard input and output\n"
    "  -bp            show the queue, as postern queue list\n"
    "  -bm, -bi, -q, -v, -G, -B TYPE, -oX, -X FILE and the like are taken and change nothing\n"
    "  --config FILE  the configuration, which says where the socket is\n"
    "\n"
    "Nothing is sent unless all recipients are accepted. Exit status: 0 the message is in the "
    "queue;\n"
    "64 the call is wrong; 65 the message is; 67 a recipient does not exist; 69 refused; 75 try\n"
    "again later; 77 not allowed.\n"
    "\n"
    "example: echo hello | postern sendmail -f root jack@example.com\n";

struct call {
    struct sendmail_options options;
    struct arena *arena;
    struct buf lines;   /* what came on standard input */
    struct buf message; /* what is sent */
    struct sendmail_session session;
    struct sendmail_recipients recipients;
    struct str sender; /* "": the null path */
    struct str author; /* for a From field that is made */
};

/* ---- who and where */

/* The socket of the running Postern. Users who may not read the configuration use the usual place.
 */
static void
find_socket(const char *config_file, char path_out[static PATH_MAX])
{
    const char *from_environment = getenv("POSTERN_CONFIG");
    const char *file = config_file != NULL        ? config_file
                       : from_environment != NULL ? from_environment
                                                  : CONFIG_FILE_DEFAULT;
    const struct config *config = NULL;
    if (config_file != NULL || access(file, R_OK) == 0) {
        config = cli_load_config(file);
    }
    struct str run = config != NULL ? config->directories.run : STR(RUN_DEFAULT);
    snprintf(path_out, PATH_MAX, "%.*s/" LOCAL_USER_SOCKET, STR_ARG(run));
    config_unref(&config);
}

/* The name of the user that calls: "www-data"; "uid-12345" where nobody knows it. */
static const char *
user_name(char out[static USER_NAME_MAX])
{
    const struct passwd *entry = getpwuid(getuid());
    if (entry != NULL) {
        snprintf(out, USER_NAME_MAX, "%s", entry->pw_name);
    } else {
        snprintf(out, USER_NAME_MAX, "uid-%u", (unsigned)getuid());
    }
    return out;
}

/* -F, $NAME, or what the system knows him by (up to the first comma). */
static struct str
full_name(const struct sendmail_options *options)
{
    const char *name = options->full_name != NULL ? options->full_name : getenv("NAME");
    const struct passwd *entry = name == NULL ? getpwuid(getuid()) : NULL;
    if (entry != NULL) {
        name = entry->pw_gecos;
    }
    struct str text = str_from_cstr(name != NULL ? name : "");
    size_t comma = options->full_name == NULL ? str_find_char(text, ',') : STR_NPOS;
    return comma != STR_NPOS ? str_head(text, comma) : text;
}

/* One address, with the domain of this host where it has none. */
static int
read_address(struct call *call, const char *text, struct str *address_out)
{
    struct sendmail_recipients one = {0};
    struct str wrong;
    if (sendmail_add_recipients(call->arena, str_from_cstr(text), call->session.domain, &one,
                                &wrong) != STATUS_OK ||
        one.count != 1) {
        return cli_fail("sendmail", EX_USAGE, "the sender '%s' is no address", text);
    }
    *address_out = one.items[0];
    return EX_OK;
}

static int
find_sender(struct call *call)
{
    char name[USER_NAME_MAX];
    const char *sender = call->options.sender;
    bool null_path = sender != NULL && (sender[0] == '\0' || strcmp(sender, "<>") == 0);
    int exit_status =
        read_address(call, sender != NULL && !null_path ? sender : user_name(name), &call->author);
    call->sender = null_path ? STR("") : call->author;
    return exit_status;
}

/* ---- the message */

static int
read_input(struct call *call)
{
    struct buf input;
    int exit_status = EX_OK;
    buf_init(&input, MESSAGE_MAX);
    for (;;) {
        char *room = buf_reserve(&input, READ_SIZE);
        ssize_t n = room != NULL ? read(STDIN_FILENO, room, READ_SIZE) : -1;
        if (n > 0) {
            buf_commit(&input, (size_t)n);
        } else if (n == 0) {
            break;
        } else if (room == NULL || errno != EINTR) {
            exit_status = cli_fail("sendmail", room == NULL ? EX_DATAERR : EX_IOERR,
                                   "the message cannot be read: %s",
                                   room == NULL ? "it is too large" : strerror(errno));
            break;
        }
    }
    if (exit_status == EX_OK &&
        sendmail_lines(buf_str(&input), call->options.dots_are_text, &call->lines) != STATUS_OK) {
        exit_status = cli_fail("sendmail", EX_DATAERR, "the message is too large");
    }
    buf_free(&input);
    return exit_status;
}

static int
tell_wrong_recipient(enum status status, struct str wrong, int exit_status)
{
    if (status == STATUS_LIMIT) {
        return cli_fail("sendmail", EX_DATAERR, "too many recipients, or too large a header");
    }
    fprintf(stderr, "postern sendmail: the recipient '");
    cli_print_text(stderr, wrong);
    fprintf(stderr, "' is no address; the message was not sent\n");
    return exit_status;
}

static int
find_recipients(struct call *call)
{
    const struct sendmail_options *options = &call->options;
    struct str domain = call->session.domain;
    struct str wrong = STR("");
    for (size_t i = 0; i < options->recipient_count; i++) {
        struct str text = str_from_cstr(options->recipients[i]);
        enum status status =
            sendmail_add_recipients(call->arena, text, domain, &call->recipients, &wrong);
        if (status != STATUS_OK) {
            return tell_wrong_recipient(status, wrong, EX_USAGE);
        }
    }
    if (options->from_header) {
        enum status status = sendmail_header_recipients(call->arena, buf_str(&call->lines), domain,
                                                        &call->recipients, &wrong);
        if (status != STATUS_OK) {
            return tell_wrong_recipient(status, wrong, EX_DATAERR);
        }
    }
    return call->recipients.count > 0
               ? EX_OK
               : cli_fail("sendmail", EX_DATAERR,
                          "the message names no recipients; it was not sent");
}

static int
send_message(struct call *call)
{
    const struct sendmail_options *options = &call->options;
    if (sendmail_complete(call->arena, buf_str(&call->lines), full_name(options), call->author,
                          &call->message) != STATUS_OK) {
        return cli_fail("sendmail", EX_DATAERR, "the message or its header is too large");
    }
    struct sendmail_envelope envelope = {
        .sender = call->sender,
        .recipients = call->recipients.items,
        .recipient_count = call->recipients.count,
        .notify = options->notify,
        .return_part = options->return_part,
        .envelope_id = options->envelope_id,
        .content = buf_str(&call->message),
    };
    return sendmail_session_send(&call->session, &envelope);
}

static int
submit(struct call *call, const char *path)
{
    /* All of it first: who is slow to write holds no connection. */
    int exit_status = read_input(call);
    if (exit_status != EX_OK) {
        return exit_status;
    }
    exit_status = sendmail_session_open(&call->session, call->arena, path);
    if (exit_status == EX_OK) {
        exit_status = find_sender(call);
    }
    if (exit_status == EX_OK) {
        exit_status = find_recipients(call);
    }
    if (exit_status == EX_OK) {
        exit_status = send_message(call);
    }
    sendmail_session_close(&call->session);
    return exit_status;
}

static int
submit_message(const struct sendmail_options *options, const char *path)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return EX_OSERR;
    }
    if (options->recipient_count == 0 && !options->from_header) {
        free(call);
        return cli_fail("sendmail", EX_USAGE,
                        "no recipients; name them, or use -t to take those of the header");
    }
    call->options = *options;
    call->arena = arena_create(ARENA_MAX);
    buf_init(&call->lines, MESSAGE_MAX);
    buf_init(&call->message, MESSAGE_MAX);
    int exit_status = submit(call, path);
    buf_free(&call->lines);
    buf_free(&call->message);
    arena_destroy(&call->arena);
    free(call);
    return exit_status;
}

/* ---- the command */

/* DSN parameters become part of a command of SMTP: letters and commas, or nothing. */
static bool
is_words(const char *text)
{
    return text == NULL ||
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz,") == strlen(text);
}

static int
show_queue(const char *config_file)
{
    char queue[] = "queue";
    char list[] = "list";
    char option[] = "--config";
    char file[PATH_MAX];
    snprintf(file, sizeof file, "%s", config_file != NULL ? config_file : "");
    char *argv[] = {queue, list, config_file != NULL ? option : NULL, file, NULL};
    return cli_queue(config_file != NULL ? 4 : 2, argv) == CLI_DONE ? EX_OK : EX_UNAVAILABLE;
}

int
cli_sendmail(int argc, char **argv)
{
    struct sendmail_options options;
    char error[SENDMAIL_ERROR_MAX];
    char path[PATH_MAX];
    if (!sendmail_options_read(argc, argv, &options, error)) {
        return cli_fail("sendmail", EX_USAGE, "%s; see postern sendmail --help", error);
    }
    if (!is_words(options.notify) || !is_words(options.return_part)) {
        return cli_fail("sendmail", EX_USAGE, "-N and -R want words such as failure and hdrs");
    }
    switch (options.mode) {
    case SENDMAIL_HELP:
        fputs(usage, stdout);
        return EX_OK;
    case SENDMAIL_NOTHING:
        return EX_OK;
    case SENDMAIL_QUEUE:
        return show_queue(options.config_file);
    case SENDMAIL_SESSION:
        find_socket(options.config_file, path);
        return sendmail_session_copy(path);
    case SENDMAIL_SUBMIT:
        break;
    }
    find_socket(options.config_file, path);
    return submit_message(&options, path);
}

int
cli_called_as(const char *name, int argc, char **argv)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    if (strcmp(base, "sendmail") == 0) {
        return cli_sendmail(argc, argv);
    }
    if (strcmp(base, "mailq") == 0) {
        return show_queue(NULL);
    }
    return strcmp(base, "newaliases") == 0 ? EX_OK : -1;
}

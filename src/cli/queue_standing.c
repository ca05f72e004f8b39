/* postern queue destinations, errors, pause, resume. */
#include <jansson.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/queue.h"
#include "cli/queue_print.h"
#include "trace/trace.h"

/* ---- for people */

static void
print_reply(uint16_t code, struct str enhanced, struct str text)
{
    if (code > 0) {
        printf("%u ", code);
    }
    if (enhanced.n > 0) {
        cli_print_text(stdout, enhanced);
        putchar(' ');
    }
    cli_print_text(stdout, text);
}

static void
print_destination(const struct record_queue_destination *d, int64_t now_ms)
{
    char text[QUEUE_TEXT_MAX];
    printf("%8u %6u  %-8s  ", d->waiting, d->held,
           d->oldest_ms > 0 ? queue_format_duration(now_ms - d->oldest_ms, text) : "-");
    cli_print_text(stdout, d->name);
    putchar('\n');
    if (d->paused_ms > 0) {
        printf("%28spaused for %s by ", "", queue_format_duration(now_ms - d->paused_ms, text));
        cli_print_text(stdout, d->paused_by);
        putchar('\n');
    }
    if (d->blocked_until_ms > 0) {
        printf("%28sblocked, next try in %s\n", "",
               queue_format_duration(d->blocked_until_ms - now_ms, text));
    }
    if (d->failed_ms > 0) {
        printf("%28slast error %s ago", "", queue_format_duration(now_ms - d->failed_ms, text));
        if (d->remote.n > 0) {
            fputs(" at ", stdout);
            cli_print_text(stdout, d->remote);
        }
        fputs(": ", stdout);
        print_reply(d->code, d->enhanced, d->text);
        putchar('\n');
    }
}

static void
print_destinations(const struct msg_queue_standing_reply *r)
{
    int64_t now = clock_wall_ms();
    printf("%8s %6s  %-8s  %s\n", "WAITING", "HELD", "OLDEST", "DESTINATION");
    for (size_t i = 0; i < r->destinations.n; i++) {
        print_destination(&r->destinations.items[i], now);
    }
    printf("%zu destination%s\n", r->destinations.n, r->destinations.n == 1 ? "" : "s");
    if (r->left_out > 0) {
        printf("%u recipients of others are left out: give a pattern\n", r->left_out);
    }
}

static void
print_errors(const struct msg_queue_standing_reply *r)
{
    printf("%10s  %s\n", "RECIPIENTS", "LAST ERROR");
    for (size_t i = 0; i < r->errors.n; i++) {
        const struct record_queue_error *e = &r->errors.items[i];
        printf("%10u  ", e->recipients);
        print_reply(e->code, e->enhanced, e->text);
        printf("\n%12sas from ", "");
        cli_print_text(stdout, e->destination);
        putchar('\n');
    }
    if (r->errors.n == 0) {
        puts("no errors");
    }
}

/* ---- JSON */

static json_t *
error_json(uint16_t code, struct str enhanced, struct str text)
{
    return json_pack("{s:i, s:o, s:o}", "code", (int)code, "enhanced", trace_json_text(enhanced),
                     "text", trace_json_text(text));
}

static json_t *
destination_json(const struct record_queue_destination *d)
{
    json_t *error = json_null();
    if (d->failed_ms > 0) {
        error = error_json(d->code, d->enhanced, d->text);
        json_object_set_new(error, "at", queue_time_json(d->failed_ms));
        json_object_set_new(error, "remote", trace_json_text(d->remote));
    }
    return json_pack(
        "{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "destination", trace_json_text(d->name),
        "waiting", (json_int_t)d->waiting, "held", (json_int_t)d->held, "oldest",
        queue_time_json(d->oldest_ms), "blocked_until", queue_time_json(d->blocked_until_ms),
        "paused_since", queue_time_json(d->paused_ms), "paused_by",
        d->paused_ms > 0 ? trace_json_text(d->paused_by) : json_null(), "last_error", error);
}

static json_t *
standing_json(const struct msg_queue_standing_reply *r, bool errors)
{
    json_t *array = json_array();
    for (size_t i = 0; errors && i < r->errors.n; i++) {
        const struct record_queue_error *e = &r->errors.items[i];
        json_t *error = error_json(e->code, e->enhanced, e->text);
        json_object_set_new(error, "recipients", json_integer(e->recipients));
        json_object_set_new(error, "destination", trace_json_text(e->destination));
        json_array_append_new(array, error);
    }
    for (size_t i = 0; !errors && i < r->destinations.n; i++) {
        json_array_append_new(array, destination_json(&r->destinations.items[i]));
    }
    return array;
}

int
queue_standing(int fd, const struct queue_command *command)
{
    bool errors = command->action == VERB_ERRORS;
    struct msg_queue_standing fields = {0};
    if (command->id_count > 0) {
        fields.destination = str_from_cstr(command->ids[0]);
    }
    struct ipc_message *reply =
        cli_call(fd, ROLE_SPOOL, MSG_QUEUE_STANDING, &fields, MSG_QUEUE_STANDING_REPLY);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    const struct msg_queue_standing_reply *r = MSG_BODY(reply, queue_standing_reply);
    int result = CLI_DONE;
    if (r->error.n > 0) {
        result = cli_fail("queue", CLI_FAILED, "%.*s", STR_ARG(r->error));
    } else if (command->common.json) {
        json_t *json = standing_json(r, errors);
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
        json_decref(json);
    } else if (errors) {
        print_errors(r);
    } else {
        print_destinations(r);
    }
    ipc_message_free(&reply);
    return result;
}

/* ---- pause and resume */

/* A domain is written in any case, and may end with a dot; a next hop is as it stands. */
static struct str
normalize(const char *word, char out[static 301])
{
    struct str name = str_head(str_from_cstr(word), 300);
    bool is_domain = str_find_char(name, ':') == STR_NPOS && str_find_char(name, '/') == STR_NPOS;
    for (size_t i = 0; i < name.n; i++) {
        out[i] = is_domain ? char_lower(name.p[i]) : name.p[i];
    }
    bool dot = is_domain && name.n > 1 && out[name.n - 1] == '.';
    return str_make(out, dot ? name.n - 1 : name.n);
}

/* Says what became of one; *changed_out: it was not so before. */
static int
pause_one(int fd, const struct queue_command *command, struct str name, bool *changed_out)
{
    struct msg_queue_pause fields = {
        .name = name, .pause = command->action == VERB_PAUSE, .by = str_from_cstr(command->by)};
    struct ipc_message *reply =
        cli_call(fd, ROLE_SPOOL, MSG_QUEUE_PAUSE, &fields, MSG_QUEUE_PAUSE_REPLY);
    if (reply == NULL) {
        return CLI_FAILED;
    }
    const struct msg_queue_pause_reply *r = MSG_BODY(reply, queue_pause_reply);
    int result = CLI_DONE;
    *changed_out = r->changed;
    if (r->error.n > 0) {
        result = cli_fail("queue", CLI_FAILED, "%.*s: %.*s", STR_ARG(name), STR_ARG(r->error));
    } else if (!r->changed && !fields.pause) {
        result = cli_fail("queue", CLI_FAILED, "%.*s is not paused", STR_ARG(name));
    }
    ipc_message_free(&reply);
    return result;
}

int
queue_pause(int fd, const struct queue_command *command)
{
    json_t *array = json_array();
    int result = CLI_DONE;
    const char *done = command->action == VERB_PAUSE ? "paused" : "resumed";
    for (size_t i = 0; i < command->id_count; i++) {
        char text[301];
        bool changed = false;
        struct str name = normalize(command->ids[i], text);
        int one = pause_one(fd, command, name, &changed);
        result = one != CLI_DONE ? one : result;
        if (one == CLI_DONE && !command->common.json) {
            cli_print_text(stdout, name);
            printf(": %s%s\n", changed ? "" : "was already ", done);
        }
        json_array_append_new(array, json_pack("{s:o, s:b}", "destination", trace_json_text(name),
                                               done, one == CLI_DONE));
    }
    if (command->common.json) {
        json_dumpf(array, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
        putchar('\n');
    }
    json_decref(array);
    return result;
}

/*
 * resolver_ask - asks a resolver role of its own, for the end to end tests and by hand.
 *
 *     resolver_ask STATE_DIRECTORY '{stub_root: 127.0.53.1@5353, trust_anchors: [root.key]}'
 *
 * Reads commands from stdin, one a line, and answers each with one line of JSON:
 *     ask NAME TYPE            {"outcome": "answer", "security": "secure", "records": ["0a.."],
 * ...} batch NAME TYPE ...      a list of such, null where there is no answer yet status
 * {"metrics": {...}, "warnings": [...]} reload SETTINGS          {}
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns/dns.h"
#include "dns/source_channel.h"
#include "roles/resolver/test_process.h"

#define LINE_MAX_OCTETS 8192
#define WORDS_MAX       (2u * DNS_BATCH_MAX + 1u)

static json_t *
octets_to_json(struct str octets)
{
    char hex[2 * 512 + 1];
    size_t n = octets.n < 512 ? octets.n : 512;
    for (size_t i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)octets.p[i]);
    }
    return json_stringn(hex, 2 * n);
}

static json_t *
answer_to_json(const struct record_answer *answer)
{
    if (answer->outcome == DNS_BATCH_UNANSWERED) {
        return json_null();
    }
    json_t *records = json_array();
    for (size_t i = 0; i < answer->records.n; i++) {
        json_array_append_new(records, octets_to_json(answer->records.items[i].octets));
    }
    return json_pack("{s:s, s:s, s:s%, s:s%, s:I, s:o}", "outcome",
                     dns_outcome_name((enum dns_outcome)answer->outcome), "security",
                     dns_security_name((enum dns_security)answer->security), "canonical",
                     answer->canonical.p, answer->canonical.n, "detail", answer->detail.p,
                     answer->detail.n, "ttl", (json_int_t)answer->ttl, "records", records);
}

/* The root is "." here, and an empty name in a message. */
static struct record_question
question_of(char *name, char *type)
{
    return (struct record_question){str_from_cstr(strcmp(name, ".") == 0 ? "" : name),
                                    dns_type_find(str_from_cstr(type))};
}

static json_t *
ask(struct test_process *process, char **words, size_t count)
{
    if (count != 3) {
        return json_pack("{s:s}", "error", "ask NAME TYPE");
    }
    struct record_question question = question_of(words[1], words[2]);
    struct msg_resolve fields = {question.name, question.type};
    struct ipc_message *reply = test_process_call(process, MSG_RESOLVE, &fields);
    const struct msg_resolve_reply *r = MSG_BODY(reply, resolve_reply);
    struct record_answer answer = {r->outcome, r->security, r->canonical,
                                   r->detail,  r->ttl,      {r->records.items, r->records.n}};
    json_t *out = answer_to_json(&answer);
    ipc_message_free(&reply);
    return out;
}

static json_t *
ask_batch(struct test_process *process, char **words, size_t count)
{
    struct record_question questions[DNS_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 1; i + 1 < count; i += 2) {
        questions[n++] = question_of(words[i], words[i + 1]);
    }
    struct msg_resolve_batch fields = {.questions = {questions, n}};
    struct ipc_message *reply = test_process_call(process, MSG_RESOLVE_BATCH, &fields);
    const struct msg_resolve_batch_reply *r = MSG_BODY(reply, resolve_batch_reply);
    json_t *out = json_array();
    for (size_t i = 0; i < r->answers.n; i++) {
        json_array_append_new(out, answer_to_json(&r->answers.items[i]));
    }
    ipc_message_free(&reply);
    return out;
}

static json_t *
status(struct test_process *process)
{
    struct ipc_message *reply = test_process_status(process);
    const struct msg_status_reply *r = MSG_BODY(reply, status_reply);
    json_t *metrics = json_object();
    json_t *warnings = json_array();
    for (size_t i = 0; i < r->metrics.n; i++) {
        char name[65];
        snprintf(name, sizeof name, "%.*s", STR_ARG(r->metrics.items[i].name));
        json_object_set_new(metrics, name, json_integer(r->metrics.items[i].value));
    }
    for (size_t i = 0; i < r->warnings.n; i++) {
        struct str text = r->warnings.items[i].text;
        json_array_append_new(warnings, json_stringn(text.p, text.n));
    }
    ipc_message_free(&reply);
    return json_pack("{s:o, s:o}", "metrics", metrics, "warnings", warnings);
}

static json_t *
command(struct test_process *process, char *line)
{
    char *words[WORDS_MAX];
    size_t count = 0;
    if (strncmp(line, "reload ", 7) == 0) {
        test_process_reload(process, line + 7);
        return json_object();
    }
    char *rest = NULL;
    for (char *w = strtok_r(line, " ", &rest); w != NULL && count < WORDS_MAX;
         w = strtok_r(NULL, " ", &rest)) {
        words[count++] = w;
    }
    if (count > 0 && strcmp(words[0], "ask") == 0) {
        return ask(process, words, count);
    }
    if (count > 0 && strcmp(words[0], "batch") == 0) {
        return ask_batch(process, words, count);
    }
    return count > 0 && strcmp(words[0], "status") == 0
               ? status(process)
               : json_pack("{s:s}", "error", "ask, batch, status or reload");
}

int
main(int argc, char **argv)
{
    static char line[LINE_MAX_OCTETS];
    struct test_process process;
    if (argc != 3) {
        fprintf(stderr, "usage: resolver_ask STATE_DIRECTORY SETTINGS\n");
        return 2;
    }
    test_process_launch(&process, argv[1]);
    test_process_begin(&process, argv[2]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        json_t *out = command(&process, line);
        json_dumpf(out, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        putchar('\n');
        fflush(stdout);
        json_decref(out);
    }
    test_process_stop(&process);
    return 0;
}

/*
 * smtp_driver.c - lets a conformance runner in another language talk to the SMTP code.
 *
 * Reads one JSON object a line from standard input, writes one a line to standard output, in the
 * same order. In both directions a string holds octets: code point U+00E9 is the octet 0xE9
 * (Latin-1), code points above U+00FF are an error. What is text in UTF-8 has to be encoded first;
 * in Python: text.encode("utf-8").decode("latin-1").
 *
 * {"op": "address", "address": A [, "smtputf8": true] [, "long_local": true]}
 *     -> {"valid": true, "normal": N} or {"valid": false, "status": "syntax"|"limit"|"denied"}
 *     A is a mailbox (RFC 5321 4.1.2), the whole string. "denied": not ASCII, without smtputf8.
 *
 * {"op": "dialog", "send": [S, ...] [, "settings": {...}]}
 *     -> {"output": [greeting, after the first S, ...], "messages": [M, ...], "closed": bool}
 *     One connection. Each S is fed as it is (with its line ends); output i+1 is what the server
 * wrote after send i. A message M is {"sender", "recipients": [...], "content", "wire"}; "wire" is
 * how the client core would send the content with DATA.
 *
 * {"op": "inbound", "stream": S [, "settings": {...}]}
 *     -> the answer of "dialog", sending "EHLO", MAIL FROM:<legit@sender.example>, RCPT
 *     TO:<rcpt@gw.example>, DATA, and then S: what a client sends after 354.
 *
 * {"op": "outbound", "body": B [, "chunked": true] [, "settings": {...}]}
 *     -> the answer of "dialog" on a submission listener inside TLS, by an authenticated user; B
 * goes by DATA, dots at the start of CRLF lines doubled, or as one BDAT chunk.
 *
 * {"op": "dotreader", "input": S, "max_size": N}
 *     -> {"output": O, "error": null|"unexpected-eof"|"invalid-line-ending"|"too-large"|"other"}
 *     What DATA content gives; O keeps CRLF. N counts as RFC 1870 does: content with its CRLFs, not
 * the final dot.
 *
 * "settings" (all may be absent): "kind" mx|submission|smtps; "tls" none|opportunistic|required;
 * "inside_tls" (bool: TLS before the greeting); "auth" (bool: AUTH on an mx listener too, once TLS
 * is active); "auth_without_tls" (bool); "bare_lf" refuse|data|normalize; "refuse_malformed_header"
 * (bool); "strict_paths" (bool); "long_local_parts" (bool); "message_size", "errors",
 * "auth_failures", "command_line", "text_line", "recipients", "received" (numbers); "user",
 * "password". Without settings every sender, recipient and message is accepted.
 *
 * An object that cannot be read gives {"error": text}. The end of input ends the program with 0.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "smtp/client_content.h"
#include "smtp/content.h"
#include "smtp/test_edge.h"

#define DRIVER_CEILING ((size_t)1 << 30)

static void
must(bool good)
{
    if (!good) {
        abort();
    }
}

/* ---- strings that hold octets ---- */

/* Latin-1 in UTF-8 to octets; false for code points above U+00FF. */
static bool
octets_of(struct arena *arena, const json_t *json, struct str *octets_out)
{
    if (!json_is_string(json)) {
        return false;
    }
    const unsigned char *p = (const unsigned char *)json_string_value(json);
    size_t n = json_string_length(json);
    char *octets = arena_alloc(arena, n + 1);
    must(octets != NULL);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned c = p[i];
        if (c >= 0xc4) {
            return false;
        }
        if (c >= 0x80) {
            c = (c & 3u) << 6 | (p[++i] & 0x3fu);
        }
        octets[count++] = (char)c;
    }
    *octets_out = str_make(octets, count);
    return true;
}

static json_t *
json_of(struct arena *arena, struct str octets)
{
    char *text = arena_alloc(arena, 2 * octets.n + 1);
    must(text != NULL);
    size_t n = 0;
    for (size_t i = 0; i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        if (c >= 0x80) {
            text[n++] = (char)(0xc0 | c >> 6);
            c = (unsigned char)(0x80 | (c & 0x3f));
        }
        text[n++] = (char)c;
    }
    return json_stringn(text, n);
}

static json_t *
json_failure(const char *text)
{
    return json_pack("{s:s}", "error", text);
}

/* ---- address ---- */

static json_t *
op_address(struct arena *arena, const json_t *request)
{
    struct str text;
    if (!octets_of(arena, json_object_get(request, "address"), &text)) {
        return json_failure("address: a string of octets is missing");
    }
    unsigned flags = json_is_true(json_object_get(request, "smtputf8")) ? SMTP_ADDRESS_UTF8 : 0u;
    flags |= json_is_true(json_object_get(request, "long_local")) ? SMTP_ADDRESS_LONG_LOCAL : 0u;
    struct smtp_address address;
    enum status status = smtp_mailbox_parse(arena, text, flags, &address);
    if (status != STATUS_OK) {
        return json_pack("{s:b, s:s}", "valid", 0, "status", status_name(status));
    }
    return json_pack("{s:b, s:o}", "valid", 1, "normal", json_of(arena, address.text));
}

/* ---- dialogues ---- */

static unsigned
number_of(const json_t *settings, const char *name, unsigned otherwise)
{
    const json_t *value = json_object_get(settings, name);
    return json_is_integer(value) ? (unsigned)json_integer_value(value) : otherwise;
}

/* The index of a setting's value in a list that ends in NULL; `otherwise` when it is not there. */
static unsigned
choice_of(const json_t *settings, const char *name, const char *const *values, unsigned otherwise)
{
    const char *value = json_string_value(json_object_get(settings, name));
    for (unsigned i = 0; value != NULL && values[i] != NULL; i++) {
        if (strcmp(value, values[i]) == 0) {
            return i;
        }
    }
    return otherwise;
}

static bool
is_set(const json_t *settings, const char *name)
{
    return json_is_true(json_object_get(settings, name));
}

static const json_t *current_settings; /* for tweak, which takes no context */

static void
tweak(struct smtp_server_settings *settings)
{
    static const char *const tls_modes[] = {"none", "opportunistic", "required", NULL};
    static const char *const bare_lf[] = {"refuse", "data", "normalize", NULL};
    const json_t *json = current_settings;
    struct smtp_server_limits *limits = &settings->limits;
    settings->tls = (enum smtp_tls_mode)choice_of(json, "tls", tls_modes, settings->tls);
    settings->bare_lf = (enum smtp_bare_lf)choice_of(json, "bare_lf", bare_lf, settings->bare_lf);
    settings->auth |= is_set(json, "auth") ? (unsigned)(SMTP_AUTH_PLAIN | SMTP_AUTH_LOGIN) : 0u;
    settings->auth_without_tls = is_set(json, "auth_without_tls");
    settings->refuse_malformed_header = is_set(json, "refuse_malformed_header");
    settings->strict_paths = is_set(json, "strict_paths");
    settings->long_local_parts = is_set(json, "long_local_parts");
    limits->message_size = number_of(json, "message_size", (unsigned)limits->message_size);
    limits->errors = number_of(json, "errors", limits->errors);
    limits->auth_failures = number_of(json, "auth_failures", limits->auth_failures);
    limits->command_line = number_of(json, "command_line", (unsigned)limits->command_line);
    limits->text_line = number_of(json, "text_line", (unsigned)limits->text_line);
    limits->recipients = number_of(json, "recipients", limits->recipients);
    limits->received = number_of(json, "received", limits->received);
}

static void
dialog_open(struct test_edge *edge, const json_t *settings, enum smtp_listener_kind kind)
{
    static const char *const kinds[] = {"mx", "submission", "smtps", NULL};
    kind = (enum smtp_listener_kind)choice_of(settings, "kind", kinds, kind);
    current_settings = settings;
    test_edge_open(edge, kind, tweak);
    edge->permissive = true;
    (void)octets_of(edge->arena, json_object_get(settings, "user"), &edge->user);
    (void)octets_of(edge->arena, json_object_get(settings, "password"), &edge->password);
    if (kind == SMTP_LISTENER_SMTPS || is_set(settings, "inside_tls")) {
        test_edge_tls(edge);
    }
    test_edge_start(edge);
}

/* What the server wrote since the last call. */
static json_t *
take_output(struct test_edge *edge, struct arena *arena)
{
    json_t *output = json_of(arena, buf_str(&edge->wire));
    buf_clear(&edge->wire);
    return output;
}

/* The content as the client core frames it for DATA. */
static json_t *
wire_of(struct arena *arena, struct str content)
{
    size_t blank = str_find(content, STR("\r\n\r\n"));
    struct str head = str_head(content, blank == STR_NPOS ? content.n : blank + 4);
    struct str body = str_skip(content, head.n);
    struct smtp_content_form form;
    smtp_content_look(head, body, &form);
    struct smtp_content_writer writer;
    smtp_content_writer_start(&writer, head, body, &form, true);
    struct buf wire;
    buf_init(&wire, DRIVER_CEILING);
    struct str piece;
    while (smtp_content_writer_next(&writer, &piece)) {
        must(buf_append(&wire, piece) == STATUS_OK);
    }
    json_t *json = json_of(arena, buf_str(&wire));
    buf_free(&wire);
    return json;
}

static json_t *
messages_of(const struct test_edge *edge, struct arena *arena)
{
    json_t *messages = json_array();
    for (size_t i = 0; i < edge->message_count; i++) {
        const struct test_message *message = &edge->messages[i];
        json_t *recipients = json_array();
        struct str one;
        struct str rest = message->recipients;
        for (bool more = true; more;) {
            more = str_cut(rest, ',', &one, &rest);
            must(json_array_append_new(recipients, json_of(arena, one)) == 0);
        }
        json_t *object =
            json_pack("{s:o, s:o, s:o, s:o}", "sender", json_of(arena, message->sender),
                      "recipients", recipients, "content", json_of(arena, message->content), "wire",
                      wire_of(arena, message->content));
        must(json_array_append_new(messages, object) == 0);
    }
    return messages;
}

static json_t *
dialog_close(struct test_edge *edge, struct arena *arena, json_t *output)
{
    json_t *answer = json_pack("{s:o, s:o, s:b}", "output", output, "messages",
                               messages_of(edge, arena), "closed", edge->closed ? 1 : 0);
    test_edge_close(edge);
    return answer;
}

static json_t *
op_dialog(struct arena *arena, const json_t *request)
{
    struct test_edge edge;
    const json_t *sends = json_object_get(request, "send");
    dialog_open(&edge, json_object_get(request, "settings"), SMTP_LISTENER_MX);
    json_t *output = json_array();
    must(json_array_append_new(output, take_output(&edge, arena)) == 0);
    size_t index;
    json_t *send;
    json_array_foreach(sends, index, send)
    {
        struct str text;
        if (!octets_of(arena, send, &text)) {
            json_decref(output);
            test_edge_close(&edge);
            return json_failure("send: a string of octets is missing");
        }
        test_edge_feed(&edge, text, 0);
        must(json_array_append_new(output, take_output(&edge, arena)) == 0);
    }
    return dialog_close(&edge, arena, output);
}

/* Feeds `before` and `content` and returns all that came of it. */
static json_t *
one_message(struct arena *arena, const json_t *request, enum smtp_listener_kind kind,
            const char *before, struct str content)
{
    struct test_edge edge;
    dialog_open(&edge, json_object_get(request, "settings"), kind);
    json_t *output = json_array();
    test_edge_feed(&edge, str_from_cstr(before), 0);
    must(json_array_append_new(output, take_output(&edge, arena)) == 0);
    test_edge_feed(&edge, content, 0);
    must(json_array_append_new(output, take_output(&edge, arena)) == 0);
    return dialog_close(&edge, arena, output);
}

static json_t *
op_inbound(struct arena *arena, const json_t *request)
{
    struct str stream;
    if (!octets_of(arena, json_object_get(request, "stream"), &stream)) {
        return json_failure("stream: a string of octets is missing");
    }
    return one_message(arena, request, SMTP_LISTENER_MX,
                       "EHLO sender.example\r\nMAIL FROM:<legit@sender.example>\r\n"
                       "RCPT TO:<rcpt@gw.example>\r\nDATA\r\n",
                       stream);
}

/* The body as a client sends it with DATA: what it takes for lines get their dots. */
static struct str
dot_stuffed(struct arena *arena, struct str body)
{
    char *text = arena_alloc(arena, 2 * body.n + 5);
    must(text != NULL);
    size_t n = 0;
    for (size_t i = 0; i < body.n; i++) {
        bool at_start = i == 0 || (i > 1 && body.p[i - 2] == '\r' && body.p[i - 1] == '\n');
        if (at_start && body.p[i] == '.') {
            text[n++] = '.';
        }
        text[n++] = body.p[i];
    }
    struct str end = str_ends_with(body, STR("\r\n")) ? STR(".\r\n") : STR("\r\n.\r\n");
    memcpy(text + n, end.p, end.n);
    return str_make(text, n + end.n);
}

static json_t *
op_outbound(struct arena *arena, const json_t *request)
{
    struct str body;
    if (!octets_of(arena, json_object_get(request, "body"), &body)) {
        return json_failure("body: a string of octets is missing");
    }
    bool chunked = json_is_true(json_object_get(request, "chunked"));
    char before[256];
    char command[64] = "DATA";
    if (chunked) {
        snprintf(command, sizeof command, "BDAT %zu LAST", body.n);
    }
    snprintf(before, sizeof before,
             "EHLO client.example\r\nAUTH PLAIN AHVzZXIAc2VjcmV0\r\n"
             "MAIL FROM:<legit@sender.example>\r\nRCPT TO:<rcpt@gw.example>\r\n%s\r\n",
             command);
    return one_message(arena, request, SMTP_LISTENER_SMTPS, before,
                       chunked ? body : dot_stuffed(arena, body));
}

/* ---- dotreader ---- */

static const char *
dotreader_error(enum smtp_content_error error, bool ended)
{
    switch (error) {
    case SMTP_CONTENT_OK:
        return ended ? NULL : "unexpected-eof";
    case SMTP_CONTENT_TOO_LARGE:
        return "too-large";
    case SMTP_CONTENT_BARE_LF:
    case SMTP_CONTENT_BARE_CR:
        return "invalid-line-ending";
    case SMTP_CONTENT_LINE_TOO_LONG:
    case SMTP_CONTENT_LOOP:
    case SMTP_CONTENT_MALFORMED:
    case SMTP_CONTENT_NUL:
        break;
    }
    return "other";
}

static json_t *
op_dotreader(struct arena *arena, const json_t *request)
{
    struct str input;
    if (!octets_of(arena, json_object_get(request, "input"), &input)) {
        return json_failure("input: a string of octets is missing");
    }
    struct smtp_content_rules rules = {
        .size_max = number_of(request, "max_size", 0), .text_line_max = 998, .received_max = 50};
    struct smtp_content content;
    smtp_content_start(&content, true);
    struct buf output;
    buf_init(&output, DRIVER_CEILING);
    struct str piece;
    size_t used;
    enum status status;
    while ((status = smtp_content_read(&content, &rules, input, &used, &piece)) == STATUS_OK) {
        must(buf_append(&output, piece) == STATUS_OK);
        input = str_skip(input, used);
    }
    json_t *answer = json_pack("{s:o, s:s?}", "output", json_of(arena, buf_str(&output)), "error",
                               dotreader_error(content.error, status == STATUS_END));
    buf_free(&output);
    return answer;
}

/* ---- requests ---- */

static const struct {
    const char *name;
    json_t *(*run)(struct arena *arena, const json_t *request);
} operations[] = {
    {"address", op_address},   {"dialog", op_dialog},       {"inbound", op_inbound},
    {"outbound", op_outbound}, {"dotreader", op_dotreader},
};

static json_t *
answer_line(struct arena *arena, const char *line, size_t n)
{
    json_error_t error;
    json_t *request = json_loadb(line, n, JSON_ALLOW_NUL, &error);
    if (request == NULL) {
        return json_failure(error.text);
    }
    const char *op = json_string_value(json_object_get(request, "op"));
    json_t *answer = NULL;
    for (size_t i = 0; op != NULL && i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(op, operations[i].name) == 0) {
            answer = operations[i].run(arena, request);
        }
    }
    json_decref(request);
    return answer != NULL ? answer : json_failure("op: unknown");
}

int
main(void)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    while ((n = getline(&line, &size, stdin)) > 0) {
        struct arena *arena = arena_create(DRIVER_CEILING);
        json_t *answer = answer_line(arena, line, (size_t)n);
        char *text = json_dumps(answer, JSON_COMPACT);
        must(text != NULL);
        puts(text);
        fflush(stdout);
        free(text);
        json_decref(answer);
        arena_destroy(&arena);
    }
    free(line);
    return 0;
}

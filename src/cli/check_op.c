#include "cli/check_op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "dns/source_zone.h"

static const struct {
    const char *name;
    check_op_function *run;
} table[] = {
#define CHECK_OP(name, function) {name, function},
#include "cli/check_ops.def"
#undef CHECK_OP
};

#define OP_COUNT (sizeof table / sizeof table[0])

json_t *
check_op_error(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_t *error = json_pack("{s:s}", "error", text);
    return error != NULL ? error
                         : json_pack("{s:s}", "error", "the text of the error is not UTF-8");
}

/* ---- octets */

bool
check_op_octets_of(struct check_op *op, const json_t *value, struct str *octets_out)
{
    if (!json_is_string(value)) {
        return false;
    }
    const unsigned char *p = (const unsigned char *)json_string_value(value);
    size_t n = json_string_length(value);
    char *octets = arena_alloc(op->arena, n + 1);
    size_t count = 0;
    for (size_t i = 0; octets != NULL && i < n; i++) {
        unsigned c = p[i];
        if (c >= 0xc4) {
            return false; /* above U+00FF */
        }
        if (c >= 0x80) {
            c = (c & 3u) << 6 | (p[++i] & 0x3fu);
        }
        octets[count++] = (char)c;
    }
    if (octets == NULL) {
        return false;
    }
    *octets_out = str_make(octets, count);
    return true;
}

bool
check_op_octets(struct check_op *op, const char *key, struct str *octets_out)
{
    return check_op_octets_of(op, json_object_get(op->request, key), octets_out);
}

struct str
check_op_octets_or_empty(struct check_op *op, const char *key)
{
    struct str octets = STR("");
    (void)check_op_octets(op, key, &octets);
    return octets;
}

json_t *
check_op_json(struct check_op *op, struct str octets)
{
    char *text = arena_alloc(op->arena, 2 * octets.n + 1);
    size_t n = 0;
    for (size_t i = 0; text != NULL && i < octets.n; i++) {
        unsigned char c = (unsigned char)octets.p[i];
        if (c >= 0x80) {
            text[n++] = (char)(0xc0 | c >> 6);
            c = (unsigned char)(0x80 | (c & 0x3f));
        }
        text[n++] = (char)c;
    }
    return text != NULL ? json_stringn(text, n) : json_null();
}

/* ---- running */

/* Stands in where there is no DNS: every question fails for now. */
static enum status
resolve_nothing(void *context, struct arena *arena, struct str name, uint16_t type,
                struct dns_answer *out)
{
    (void)context;
    (void)arena;
    (void)type;
    *out = (struct dns_answer){
        .outcome = DNS_OUTCOME_SERVFAIL, .canonical = name, .detail = STR("there is no DNS here")};
    return STATUS_OK;
}

#define CONFIG_ARENA (16u << 20)

const struct config *
check_op_no_gateway(void)
{
    static const struct str text =
        STR_INIT("hostname: postern.invalid\n"
                 "listeners: [{address: 127.0.0.1, port: 25, kind: mx}]\n"
                 "domains: [{name: postern.invalid, delivery: \"lmtp://127.0.0.1:24\"}]\n"
                 "bounce: {postmaster: postmaster@postern.invalid}\n");
    struct arena *arena = arena_create(CONFIG_ARENA);
    struct config_errors *errors = arena_alloc(arena, sizeof *errors);
    const struct config *config = NULL;
    if (errors == NULL || config_load_text(arena, text, &config, errors) != STATUS_OK) {
        abort();
    }
    arena_destroy(&arena);
    return config;
}

static json_t *
run_with_zone(check_op_function *run, struct check_op *op, const json_t *zone_json)
{
    struct dns_zone *zone;
    struct str error = STR("too large");
    char *text = json_dumps(zone_json, JSON_COMPACT);
    if (text == NULL) {
        abort();
    }
    enum status status =
        dns_zone_create(op->arena, str_from_cstr(text), DNS_SECURITY_INSECURE, &zone, &error);
    free(text);
    if (status != STATUS_OK) {
        return check_op_error("zone: %.*s", STR_ARG(error));
    }
    struct dns_source source = dns_source_from_zone(zone);
    op->dns = &source;
    json_t *answer = run(op);
    dns_zone_destroy(&zone);
    return answer;
}

static json_t *
run_with_config(check_op_function *run, struct check_op *op)
{
    const json_t *zone = json_object_get(op->request, "zone");
    return zone != NULL ? run_with_zone(run, op, zone) : run(op);
}

static json_t *
run_with_own_config(check_op_function *run, struct check_op *op)
{
    struct str text;
    struct config_errors *errors = arena_alloc(op->arena, sizeof *errors);
    const struct config *config = NULL;
    if (!check_op_octets(op, "config", &text)) {
        config = check_op_no_gateway();
    } else if (errors == NULL) {
        return check_op_error("config: no memory");
    } else if (config_load_text(op->arena, text, &config, errors) != STATUS_OK) {
        return check_op_error("config:%u:%u: %.*s", errors->items[0].line, errors->items[0].column,
                              STR_ARG(errors->items[0].text));
    }
    op->config = config;
    json_t *answer = run_with_config(run, op);
    config_unref(&config);
    return answer;
}

static json_t *
run_function(check_op_function *run, const json_t *request, const struct check_op_around *around)
{
    static const struct dns_source nothing = {.resolve = resolve_nothing};
    const json_t *now = json_object_get(request, "now");
    struct check_op op = {
        .arena = arena_create(CHECK_OP_ARENA),
        .request = request,
        .dns = around->dns != NULL ? around->dns : &nothing,
        .config = around->config,
        .now = json_is_number(now) ? (int64_t)json_number_value(now) : clock_wall_ms() / 1000,
    };
    bool own = around->config == NULL || json_object_get(request, "config") != NULL;
    json_t *answer = own ? run_with_own_config(run, &op) : run_with_config(run, &op);
    arena_destroy(&op.arena);
    return answer;
}

json_t *
check_op_run(const json_t *request, const struct check_op_around *around)
{
    const char *name = json_string_value(json_object_get(request, "op"));
    for (size_t i = 0; name != NULL && i < OP_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return run_function(table[i].run, request, around);
        }
    }
    return name != NULL ? check_op_error("there is no operation \"%s\"", name)
                        : check_op_error("\"op\" is missing: the name of an operation");
}

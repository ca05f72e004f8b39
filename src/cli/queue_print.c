#include "cli/queue_print.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "store/spool.h"
#include "trace/trace.h"

/* ---- small texts */

const char *
queue_format_size(uint64_t octets, char out[static QUEUE_TEXT_MAX])
{
    static const char units[] = "KMGTP";
    double value = (double)octets;
    int unit = -1;
    while (value >= 1000 && unit < 4) {
        value /= 1024;
        unit++;
    }
    if (unit < 0) {
        snprintf(out, QUEUE_TEXT_MAX, "%llu", (unsigned long long)octets);
    } else {
        snprintf(out, QUEUE_TEXT_MAX, value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    }
    return out;
}

const char *
queue_format_duration(int64_t ms, char out[static QUEUE_TEXT_MAX])
{
    long long s = ms > 0 ? ms / 1000 : 0;
    if (s < 60) {
        snprintf(out, QUEUE_TEXT_MAX, "%llds", s);
    } else if (s < 3600) {
        snprintf(out, QUEUE_TEXT_MAX, "%lldm %02llds", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(out, QUEUE_TEXT_MAX, "%lldh %02lldm", s / 3600, s / 60 % 60);
    } else {
        snprintf(out, QUEUE_TEXT_MAX, "%lldd %02lldh", s / 86400, s / 3600 % 24);
    }
    return out;
}

enum status
queue_parse_duration(struct str text, int64_t *ms_out)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    uint64_t value;
    if (text.n < 2 || str_parse_u64(str_head(text, text.n - 1), UINT32_MAX, &value) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (text.p[text.n - 1] == units[i].unit) {
            *ms_out = (int64_t)value * units[i].ms;
            return STATUS_OK;
        }
    }
    return STATUS_SYNTAX;
}

static void
print_address(FILE *out, struct str address)
{
    fputc('<', out);
    cli_print_text(out, address);
    fputc('>', out);
}

static void
print_time(FILE *out, const char *label, int64_t at_ms)
{
    struct arena *arena = arena_create(1024);
    struct str text = clock_format_rfc3339(arena, at_ms);
    fprintf(out, "%-13s %.*s", label, STR_ARG(text));
    arena_destroy(&arena);
}

const char *
queue_priority_name(uint8_t priority)
{
    return priority == SPOOL_PRIORITY_HIGH   ? "high"
           : priority == SPOOL_PRIORITY_BULK ? "bulk"
                                             : "normal";
}

/* ---- lists */

void
queue_print_heading(FILE *out)
{
    fprintf(out, "%-16s  %-8s %6s  %-8s  %s\n", "ID", "AGE", "SIZE", "PRIORITY",
            "SENDER AND RECIPIENTS");
}

/* "deferred, 3 attempts, next in 5m 00s: 450 4.2.0 mailbox busy" */
static void
print_standing(FILE *out, const struct record_queue_recipient *r, int64_t now_ms)
{
    char text[QUEUE_TEXT_MAX];
    fputs(spool_state_name((enum spool_state)r->state), out);
    if (r->attempts > 0) {
        fprintf(out, ", %u attempt%s", r->attempts, r->attempts == 1 ? "" : "s");
    }
    if (r->paused) {
        fputs(", paused", out);
    }
    if (r->next_attempt_ms > 0) {
        fprintf(out, ", next in %s", queue_format_duration(r->next_attempt_ms - now_ms, text));
    }
    if (r->code > 0 || r->text.n > 0) {
        fputs(r->of_destination ? "; its destination: " : ": ", out);
        if (r->code > 0) {
            fprintf(out, "%u ", r->code);
        }
        if (r->enhanced.n > 0) {
            cli_print_text(out, r->enhanced);
            fputc(' ', out);
        }
        cli_print_text(out, r->text);
    }
    fputc('\n', out);
}

void
queue_print_listed(FILE *out, const struct record_queue_message *m, int64_t now_ms)
{
    char age[QUEUE_TEXT_MAX];
    char size[QUEUE_TEXT_MAX];
    fprintf(out, "%.*s  %-8s %6s  %-8s  ", STR_ARG(m->id),
            queue_format_duration(now_ms - m->queued_ms, age), queue_format_size(m->size, size),
            queue_priority_name(m->priority));
    print_address(out, m->sender);
    fputc('\n', out);
    for (size_t i = 0; i < m->recipients.n; i++) {
        fprintf(out, "%47s", "");
        print_address(out, m->recipients.items[i].address);
        fputs(" ", out);
        print_standing(out, &m->recipients.items[i], now_ms);
    }
    if (m->recipients.n < m->recipient_count) {
        fprintf(out, "%47sof %u recipients\n", "", m->recipient_count);
    }
}

/* ---- one message */

void
queue_print_message(FILE *out, const struct record_queue_message *m, int64_t now_ms)
{
    char text[QUEUE_TEXT_MAX];
    fprintf(out, "%-13s %.*s\n", "Id", STR_ARG(m->id));
    print_time(out, "Queued", m->queued_ms);
    fprintf(out, " (%s ago)\n", queue_format_duration(now_ms - m->queued_ms, text));
    fprintf(out, "%-13s ", "Sender");
    print_address(out, m->sender);
    fprintf(out, "\n%-13s %llu octets\n", "Size", (unsigned long long)m->size);
    fprintf(out, "%-13s %s\n", "Priority", queue_priority_name(m->priority));
    if (m->hold.n > 0) {
        fprintf(out, "%-13s ", "Held for");
        cli_print_text(out, m->hold);
        fputc('\n', out);
    }
    fprintf(out, "%-13s %u\n", "Recipients", m->recipient_count);
}

void
queue_print_recipient(FILE *out, const struct record_queue_recipient *r, int64_t now_ms)
{
    fprintf(out, "\n%-13s ", "Recipient");
    print_address(out, r->address);
    if (!str_eq(r->address, r->original)) {
        fputs(", sent to ", out);
        print_address(out, r->original);
    }
    fprintf(out, "\n%-13s ", "  State");
    print_standing(out, r, now_ms);
    fprintf(out, "%-13s ", "  Destination");
    cli_print_text(out, r->destination);
    fputs(r->rerouted ? " (rerouted)\n" : "\n", out);
    if (r->last_attempt_ms > 0) {
        print_time(out, "  Last tried", r->last_attempt_ms);
        if (r->remote.n > 0) {
            fputs(" at ", out);
            cli_print_text(out, r->remote);
        }
        fputc('\n', out);
    }
    if (r->next_attempt_ms > 0) {
        print_time(out, "  Next try", r->next_attempt_ms);
        fputc('\n', out);
    }
}

/* ---- JSON */

json_t *
queue_time_json(int64_t at_ms)
{
    if (at_ms <= 0) {
        return json_null();
    }
    struct arena *arena = arena_create(1024);
    json_t *json = trace_json_text(clock_format_rfc3339(arena, at_ms));
    arena_destroy(&arena);
    return json;
}

json_t *
queue_recipient_json(const struct record_queue_recipient *r)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:i, s:o, s:o, s:i, s:o, s:o, s:o, s:b, s:b, s:b}",
                     "address", trace_json_text(r->address), "original",
                     trace_json_text(r->original), "destination", trace_json_text(r->destination),
                     "state", spool_state_name((enum spool_state)r->state), "attempts",
                     (int)r->attempts, "next_attempt", queue_time_json(r->next_attempt_ms),
                     "last_attempt", queue_time_json(r->last_attempt_ms), "code", (int)r->code,
                     "enhanced", trace_json_text(r->enhanced), "text", trace_json_text(r->text),
                     "remote", trace_json_text(r->remote), "of_destination", (int)r->of_destination,
                     "paused", (int)r->paused, "rerouted", (int)r->rerouted);
}

json_t *
queue_message_json(const struct record_queue_message *m)
{
    json_t *recipients = json_array();
    for (size_t i = 0; i < m->recipients.n; i++) {
        json_array_append_new(recipients, queue_recipient_json(&m->recipients.items[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:s, s:o, s:i, s:o}", "id", trace_json_text(m->id),
                     "queued", queue_time_json(m->queued_ms), "sender", trace_json_text(m->sender),
                     "size", (json_int_t)m->size, "priority", queue_priority_name(m->priority),
                     "hold", m->hold.n > 0 ? trace_json_text(m->hold) : json_null(),
                     "recipient_count", (int)m->recipient_count, "recipients", recipients);
}

#include "cli/check_print.h"

#include <stdlib.h>

#include "cli/cli.h"
#include "transport/tls_result.h"

/* ---- words and colours */

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* A JSON string holds octets (check_op.h): the text that they are. */
static void
print_octets(FILE *out, const char *text)
{
    size_t n = 0;
    char *octets = malloc(strlen(text) + 1);
    for (size_t i = 0; octets != NULL && text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x80) {
            c = (unsigned char)((c & 3u) << 6 | ((unsigned char)text[++i] & 0x3fu));
        }
        octets[n++] = (char)c;
    }
    cli_print_text(out, str_make(octets, n));
    free(octets);
}

static bool
has_colours(FILE *out)
{
    return out == stdout && cli_terminal_columns() > 0 && getenv("NO_COLOR") == NULL;
}

/* A word in the colour that fits it, filled up to `width`. */
static void
print_word(FILE *out, const char *word, int width)
{
    static const struct {
        const char *word;
        const char *colour;
    } colours[] = {
        {"pass", "32"},      {"ok", "32"},     {"accept", "32"},  {"fail", "31"},
        {"fault", "31"},     {"reject", "31"}, {"FAULT", "31"},   {"permerror", "31"},
        {"temperror", "33"}, {"defer", "33"},  {"warning", "33"}, {"WARNING", "33"},
        {"softfail", "33"},  {"tag", "33"},    {"hold", "33"},
    };
    for (size_t i = 0; has_colours(out) && i < sizeof colours / sizeof colours[0]; i++) {
        if (strcmp(colours[i].word, word) == 0) {
            fprintf(out, "\033[%sm%-*s\033[0m", colours[i].colour, width, word);
            return;
        }
    }
    fprintf(out, "%-*s", width, word);
}

/* "  SPF        pass       " */
static void
print_head(FILE *out, const char *label, const char *result)
{
    fprintf(out, "  %-10s ", label);
    print_word(out, result, 10);
    putc(' ', out);
}

/* A folded header field, its lines below each other. */
static void
print_folded(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\r\n\t");
        char *piece = strndup(text, n);
        text += n + strspn(text + n, "\r\n\t");
        print_octets(out, piece != NULL ? piece : "");
        fputs(*text != '\0' ? "\n    " : "\n", out);
        free(piece);
    }
}

/* "prefix" and the text, when there is one. */
static void
print_if(FILE *out, const char *prefix, const char *text)
{
    if (text[0] != '\0') {
        fputs(prefix, out);
        print_octets(out, text);
    }
}

/* The same for text that is UTF-8. */
static void
print_utf8(FILE *out, const char *prefix, const char *text)
{
    if (text[0] != '\0') {
        fputs(prefix, out);
        cli_print_text(out, str_from_cstr(text));
    }
}

/* ---- spf */

static void
print_spf_line(FILE *out, const char *label, const json_t *spf)
{
    print_head(out, label, text_of(spf, "result"));
    print_octets(out, text_of(spf, "domain"));
    print_if(out, ", by ", text_of(spf, "mechanism"));
    print_if(out, ": ", text_of(spf, "problem"));
    print_if(out, "; it says: ", text_of(spf, "explanation"));
    putc('\n', out);
}

void
check_print_spf(FILE *out, const json_t *answer)
{
    const json_t *mailfrom = json_object_get(answer, "mailfrom");
    print_spf_line(out, "HELO", json_object_get(answer, "helo"));
    print_spf_line(out, "MAIL FROM", mailfrom);
    fprintf(out, "\nMAIL FROM asked the DNS for %d of at most 10 terms, %d of them in vain.\n",
            (int)json_integer_value(json_object_get(mailfrom, "lookups")),
            (int)json_integer_value(json_object_get(mailfrom, "void")));
    fputs("Received-SPF: ", out);
    print_folded(out, text_of(mailfrom, "received_spf"));
}

/* ---- message */

static void
print_dkim(FILE *out, const json_t *list)
{
    size_t i;
    const json_t *signature;
    if (json_array_size(list) == 0) {
        print_head(out, "DKIM", json_is_array(list) ? "none" : "-");
        fputs(json_is_array(list) ? "the message is not signed\n" : "not looked at\n", out);
    }
    json_array_foreach(list, i, signature)
    {
        int bits = (int)json_integer_value(json_object_get(signature, "key_bits"));
        print_head(out, "DKIM", text_of(signature, "result"));
        print_octets(out, text_of(signature, "domain"));
        print_if(out, ", selector ", text_of(signature, "selector"));
        print_if(out, ", ", text_of(signature, "algorithm"));
        if (bits > 0) {
            fprintf(out, " %d bits", bits);
        }
        print_if(out, ": ", text_of(signature, "reason"));
        putc('\n', out);
    }
}

static void
print_arc(FILE *out, const json_t *arc)
{
    if (strcmp(text_of(arc, "result"), "none") != 0 && json_is_object(arc)) {
        const json_t *sets = json_object_get(arc, "sets");
        const json_t *last = json_array_get(sets, json_array_size(sets) - 1);
        print_head(out, "ARC", text_of(arc, "result"));
        fprintf(out, "%zu sets", json_array_size(sets));
        print_if(out, ", the last by ", text_of(last, "domain"));
        print_if(out, ": ", text_of(arc, "reason"));
        putc('\n', out);
    }
}

static void
print_dmarc(FILE *out, const json_t *dmarc)
{
    if (!json_is_object(dmarc)) {
        return;
    }
    print_head(out, "DMARC", text_of(dmarc, "result"));
    print_octets(out, text_of(dmarc, "author_domain"));
    if (text_of(dmarc, "record_domain")[0] != '\0') {
        print_if(out, ", ", text_of(dmarc, "policy_tag"));
        print_if(out, "=", text_of(dmarc, "policy"));
        print_if(out, " of ", text_of(dmarc, "record_domain"));
    }
    print_if(out, ", aligned by DKIM of ", text_of(dmarc, "dkim_aligned"));
    print_if(out, ", aligned by SPF of ", text_of(dmarc, "spf_aligned"));
    print_if(out, ": ", text_of(dmarc, "problem"));
    putc('\n', out);
}

static void
print_methods(FILE *out, const json_t *answer)
{
    const json_t *iprev = json_object_get(answer, "iprev");
    const json_t *author = json_object_get(answer, "author");
    if (json_is_object(iprev)) {
        print_head(out, "client", text_of(iprev, "result"));
        print_if(out, "", text_of(iprev, "name"));
        print_if(out, "", text_of(iprev, "problem"));
        putc('\n', out);
    }
    if (json_is_object(json_object_get(answer, "spf"))) {
        print_spf_line(out, "SPF HELO", json_object_get(answer, "spf_helo"));
        print_spf_line(out, "SPF", json_object_get(answer, "spf"));
    }
    print_dkim(out, json_object_get(answer, "dkim"));
    print_arc(out, json_object_get(answer, "arc"));
    if (json_is_object(author)) {
        print_head(out, "author", text_of(author, "kind"));
        print_octets(out, text_of(author, "domain"));
        putc('\n', out);
    }
    print_dmarc(out, json_object_get(answer, "dmarc"));
}

/* What speaks against the message, or leads to something; the rest is in --json. */
static bool
is_worth_telling(const json_t *finding)
{
    const char *verdict = text_of(finding, "verdict");
    return strcmp(verdict, "fail") == 0 || strcmp(verdict, "error") == 0 ||
           strcmp(text_of(finding, "action"), "accept") != 0;
}

static void
print_finding(FILE *out, const json_t *finding)
{
    const char *key;
    json_t *value;
    const char *separator = " (";
    fputs("  ", out);
    print_word(out, text_of(finding, "action"), 7);
    fprintf(out, " %s: %s", text_of(finding, "name"), text_of(finding, "meaning"));
    json_object_foreach((json_t *)(uintptr_t)json_object_get(finding, "evidence"), key, value)
    {
        if (json_string_length(value) > 0) {
            fprintf(out, "%s%s ", separator, key);
            print_octets(out, json_string_value(value));
            separator = ", ";
        }
    }
    fputs(separator[0] == ',' ? ")\n" : "\n", out);
}

static const json_t *
find_finding(const json_t *findings, const char *name)
{
    size_t i;
    const json_t *finding;
    json_array_foreach(findings, i, finding)
    {
        if (strcmp(text_of(finding, "name"), name) == 0) {
            return finding;
        }
    }
    return NULL;
}

static void
print_decision(FILE *out, const json_t *answer)
{
    static const struct {
        const char *action;
        const char *words;
    } words[] = {
        {"accept", "would be accepted"},
        {"tag", "would be accepted with a tag"},
        {"hold", "would be held in the queue for an administrator"},
        {"defer", "would be put off"},
        {"reject", "would be refused"},
    };
    const json_t *decision = json_object_get(answer, "decision");
    const char *rule = text_of(decision, "rule");
    const json_t *cause = find_finding(json_object_get(answer, "findings"), rule);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].action, text_of(decision, "action")) == 0) {
            fprintf(out, "\nThe message %s", words[i].words);
        }
    }
    int code = (int)json_integer_value(json_object_get(decision, "code"));
    if (code > 0) {
        fprintf(out, ": %d %s ", code, text_of(decision, "enhanced"));
        print_octets(out, text_of(decision, "text"));
    }
    if (rule[0] != '\0') {
        fprintf(out, "%s because of %s", code > 0 ? "," : "", rule);
        print_if(out, " (", text_of(cause, "standard"));
        fputs(text_of(cause, "standard")[0] != '\0' ? ")" : "", out);
    }
    fputs(".\n", out);
}

void
check_print_message(FILE *out, const json_t *answer)
{
    size_t i;
    const json_t *finding;
    bool any = false;
    print_methods(out, answer);
    json_array_foreach(json_object_get(answer, "findings"), i, finding)
    {
        if (is_worth_telling(finding)) {
            fputs(any ? "" : "\n", out);
            any = true;
            print_finding(out, finding);
        }
    }
    print_decision(out, answer);
}

/* ---- domain */

static void
print_fault(FILE *out, const json_t *fault)
{
    const char *severity = text_of(fault, "severity");
    fputs("    ", out);
    print_word(out,
               strcmp(severity, "fault") == 0     ? "FAULT"
               : strcmp(severity, "warning") == 0 ? "WARNING"
                                                  : "note",
               7);
    fprintf(out, " %s", text_of(fault, "meaning"));
    if (text_of(fault, "detail")[0] != '\0') {
        print_if(out, " [", text_of(fault, "detail"));
        putc(']', out);
    }
    fprintf(out, "\n            -> %s (%s)\n", text_of(fault, "do"), text_of(fault, "standard"));
}

static void
print_section(FILE *out, const json_t *section)
{
    size_t i;
    const json_t *item;
    fprintf(out, "  %-7s ", text_of(section, "title"));
    print_word(out, text_of(section, "verdict"), 1);
    putc('\n', out);
    json_array_foreach(json_object_get(section, "facts"), i, item)
    {
        int depth = (int)json_integer_value(json_object_get(item, "depth"));
        fprintf(out, "    %*s", 2 * depth, "");
        print_octets(out, text_of(item, "text"));
        putc('\n', out);
    }
    json_array_foreach(json_object_get(section, "faults"), i, item)
    {
        print_fault(out, item);
    }
}

static void
print_count(FILE *out, const json_t *answer, const char *key, const char *word)
{
    int count = (int)json_integer_value(json_object_get(answer, key));
    fprintf(out, "%d %s%s", count, word, count == 1 ? "" : "s");
}

void
check_print_domain(FILE *out, const json_t *answer)
{
    size_t i;
    const json_t *section;
    json_array_foreach(json_object_get(answer, "sections"), i, section)
    {
        print_section(out, section);
    }
    putc('\n', out);
    print_octets(out, text_of(answer, "domain"));
    fputs(": ", out);
    print_count(out, answer, "faults", "fault");
    fputs(", ", out);
    print_count(out, answer, "warnings", "warning");
    fputs(", ", out);
    print_count(out, answer, "notes", "note");
    fputs(".\n", out);
}

/* ---- MTA-STS and TLS reports */

/* "MTA-STS policy: ok", or with what is wrong. */
static void
print_validity(FILE *out, const char *what, const json_t *answer)
{
    bool valid = json_is_true(json_object_get(answer, "valid"));
    int line = (int)json_integer_value(json_object_get(answer, "line"));
    fprintf(out, "%s: ", what);
    print_word(out, valid ? "ok" : "FAULT", 1);
    if (line > 0) {
        fprintf(out, ", line %d", line);
    }
    print_if(out, ": ", text_of(answer, "problem"));
    putc('\n', out);
}

/* "  label      text" */
static void
print_member(FILE *out, const char *label, const char *text)
{
    if (text[0] != '\0') {
        fprintf(out, "  %-10s ", label);
        print_octets(out, text);
        putc('\n', out);
    }
}

static void
print_members(FILE *out, const char *label, const json_t *list)
{
    size_t i;
    const json_t *item;
    json_array_foreach(list, i, item)
    {
        print_member(out, label, json_string_value(item));
    }
}

static void
print_mode(FILE *out, const char *mode)
{
    static const struct {
        const char *mode;
        const char *meaning;
    } rows[] = {
        {"enforce", "enforce: mail goes only to hosts with these names and a valid certificate"},
        {"testing", "testing: mail goes anywhere, failures are reported"},
        {"none", "none: the domain is leaving MTA-STS"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].mode, mode) == 0) {
            print_member(out, "mode", rows[i].meaning);
        }
    }
}

static void
print_sts_policy(FILE *out, const json_t *answer)
{
    long long seconds = json_integer_value(json_object_get(answer, "max_age"));
    print_validity(out, "MTA-STS policy", answer);
    if (json_is_true(json_object_get(answer, "valid"))) {
        print_mode(out, text_of(answer, "mode"));
        print_members(out, "mx", json_object_get(answer, "mx"));
        fprintf(out, "  %-10s %lld seconds (%lld days)\n", "max_age", seconds, seconds / 86400);
        print_members(out, "note", json_object_get(answer, "notes"));
    }
}

void
check_print_mta_sts(FILE *out, const json_t *answer)
{
    if (strcmp(text_of(answer, "kind"), "policy") == 0) {
        print_sts_policy(out, answer);
        return;
    }
    print_validity(out, "MTA-STS record", answer);
    print_member(out, "id", text_of(answer, "id"));
}

static void
print_failure(FILE *out, const json_t *failure)
{
    struct str word = str_from_cstr(text_of(failure, "result-type"));
    fprintf(out, "  %10lld ",
            (long long)json_integer_value(json_object_get(failure, "failed-session-count")));
    print_utf8(out, "", word.p);
    print_utf8(out, " at ", text_of(failure, "receiving-mx-hostname"));
    print_utf8(out, " ", text_of(failure, "receiving-ip"));
    print_utf8(out, " from ", text_of(failure, "sending-mta-ip"));
    print_utf8(out, ": ", tls_result_text(tls_result_find(word)));
    print_utf8(out, "; ", text_of(failure, "failure-reason-code"));
    print_utf8(out, "; ", text_of(failure, "additional-information"));
    putc('\n', out);
}

static void
print_reported(FILE *out, const json_t *item)
{
    size_t i;
    const json_t *failure;
    const json_t *policy = json_object_get(item, "policy");
    const json_t *summary = json_object_get(item, "summary");
    print_utf8(out, "", text_of(policy, "policy-domain"));
    print_utf8(out, ", ", text_of(policy, "policy-type"));
    fprintf(
        out, ": %lld sessions succeeded, %lld failed\n",
        (long long)json_integer_value(json_object_get(summary, "total-successful-session-count")),
        (long long)json_integer_value(json_object_get(summary, "total-failure-session-count")));
    json_array_foreach(json_object_get(item, "failure-details"), i, failure)
    {
        print_failure(out, failure);
    }
}

static void
print_report(FILE *out, const json_t *report)
{
    size_t i;
    const json_t *item;
    const json_t *range = json_object_get(report, "date-range");
    fprintf(out, "  %-10s ", "from");
    print_utf8(out, "", text_of(report, "organization-name"));
    print_utf8(out, ", ", text_of(report, "contact-info"));
    fprintf(out, "\n  %-10s ", "about");
    print_utf8(out, "", text_of(range, "start-datetime"));
    print_utf8(out, " to ", text_of(range, "end-datetime"));
    fprintf(out, "\n  %-10s ", "id");
    print_utf8(out, "", text_of(report, "report-id"));
    fputs("\n", out);
    json_array_foreach(json_object_get(report, "policies"), i, item)
    {
        print_reported(out, item);
    }
}

static void
print_rua(FILE *out, const json_t *answer)
{
    size_t i;
    const json_t *item;
    int skipped = (int)json_integer_value(json_object_get(answer, "skipped"));
    json_array_foreach(json_object_get(answer, "rua"), i, item)
    {
        print_member(out, "rua", text_of(item, "uri"));
    }
    if (skipped > 0) {
        fprintf(out, "  %-10s ignored, of other schemes or past the sixteenth: %d\n", "note",
                skipped);
    }
}

void
check_print_tlsrpt(FILE *out, const json_t *answer)
{
    if (strcmp(text_of(answer, "kind"), "record") == 0) {
        print_validity(out, "TLS report record", answer);
        print_rua(out, answer);
        return;
    }
    print_validity(out, "TLS report", answer);
    print_member(out, "domain", text_of(answer, "domain"));
    print_member(out, "submitter", text_of(answer, "submitter"));
    print_members(out, "note", json_object_get(answer, "notes"));
    if (json_is_object(json_object_get(answer, "report"))) {
        print_report(out, json_object_get(answer, "report"));
    }
}

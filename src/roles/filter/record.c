#include "roles/filter/record.h"

#include <stdio.h>

#include "auth/dmarc_observation.h"
#include "auth/results.h"
#include "mail/encoded_word.h"
#include "roles/filter/job.h"
#include "trace/finding.h"

static struct str
field_text(struct arena *arena, const struct mail_head *head, enum mail_field_id id)
{
    return mail_text_decode(arena, mail_head_value(arena, head, id), FILTER_TRACE_VALUE);
}

void
record_header(struct trace *trace, struct arena *arena, const struct mail_head *head)
{
    TRACE(trace, message_header, .from = field_text(arena, head, MAIL_FIELD_FROM),
          .to = field_text(arena, head, MAIL_FIELD_TO),
          .subject = field_text(arena, head, MAIL_FIELD_SUBJECT),
          .message_id = field_text(arena, head, MAIL_FIELD_MESSAGE_ID),
          .date = field_text(arena, head, MAIL_FIELD_DATE), .fields = (int64_t)head->field_count);
}

void
record_findings(struct trace *trace, const struct finding_list *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        finding_record(trace, &findings->items[i]);
    }
}

static int64_t
total_weight(const struct finding_list *findings)
{
    int64_t weight = 0;
    for (size_t i = 0; i < findings->count; i++) {
        weight += finding_row(findings->items[i].id)->weight;
    }
    return weight;
}

void
record_decision(struct trace *trace, const struct decision *decision,
                const struct finding_list *findings)
{
    char enhanced[16] = "";
    if (decision->reply.code != 0 && decision->action >= CONFIG_ACTION_DEFER) {
        snprintf(enhanced, sizeof enhanced, "%u.%u.%u", (unsigned)decision->reply.enhanced.class,
                 (unsigned)decision->reply.enhanced.subject,
                 (unsigned)decision->reply.enhanced.detail);
    }
    bool refused = decision->action >= CONFIG_ACTION_DEFER;
    const char *rule = decision->cause != NULL ? finding_row(decision->cause->id)->name : NULL;
    TRACE(trace, decision, .action = str_from_cstr(config_action_name(decision->action)),
          .rule = str_from_cstr(rule), .code = refused ? decision->reply.code : 0,
          .enhanced = str_from_cstr(enhanced),
          .text = refused ? decision->reply.text : str_make(NULL, 0),
          .weight = total_weight(findings));
}

static enum dmarc_disposition
disposition_of(const struct check_input *input, const struct decision *decision)
{
    if (input->auth->dmarc->result == DMARC_RESULT_PASS) {
        return DMARC_DISPOSITION_PASS;
    }
    return decision->action == CONFIG_ACTION_REJECT ? DMARC_DISPOSITION_REJECT
           : decision->action == CONFIG_ACTION_HOLD ? DMARC_DISPOSITION_QUARANTINE
                                                    : DMARC_DISPOSITION_NONE;
}

/* What the events of one line have room for: one text and a list of five. */
#define LINE_TEXTS_MAX   6u
#define LINE_MAX_OCTETS  (LINE_TEXTS_MAX * TRACE_TEXT_MAX)
/* Domains of recipients that are told apart; a trace has room for some lines only. */
#define LINE_DOMAINS_MAX 8u

/* The line without the signatures that tell least, and without the record, if it is too long. */
static struct str
encode_bounded(struct arena *arena, struct dmarc_observation *observation)
{
    struct str line = dmarc_observation_encode(arena, observation);
    while (line.n > LINE_MAX_OCTETS && observation->dkim_count > 1) {
        observation->dkim_count /= 2;
        line = dmarc_observation_encode(arena, observation);
    }
    if (line.n > LINE_MAX_OCTETS) {
        observation->record = STR("");
        line = dmarc_observation_encode(arena, observation);
    }
    return line;
}

static void
record_line(struct trace *trace, struct str domain, struct str line)
{
    struct str more[LINE_TEXTS_MAX - 1];
    size_t n = 0;
    for (size_t at = TRACE_TEXT_MAX; at < line.n && n < LINE_TEXTS_MAX - 1; at += TRACE_TEXT_MAX) {
        more[n++] = str_head(str_skip(line, at), TRACE_TEXT_MAX);
    }
    TRACE(trace, dmarc_observed, .domain = domain, .line = str_head(line, TRACE_TEXT_MAX),
          .more = {more, n}, .octets = (int64_t)line.n);
}

/* The domains that RCPT named (RFC 9990 3.1.1.8: envelope_to), each once. */
static size_t
recipient_domains(const struct check_input *input, struct str out[static LINE_DOMAINS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < input->recipient_count && n < LINE_DOMAINS_MAX; i++) {
        struct str to = input->recipients[i].original;
        size_t at = str_rfind_char(to, '@');
        struct str domain = at != STR_NPOS ? str_skip(to, at + 1) : STR("");
        size_t k = 0;
        while (k < n && !str_eq_nocase(out[k], domain)) {
            k++;
        }
        if (k == n) {
            out[n++] = domain;
        }
    }
    return n;
}

void
record_dmarc(struct trace *trace, const struct check_input *input, const struct decision *decision)
{
    struct dmarc_observation observation;
    struct str domains[LINE_DOMAINS_MAX];
    const struct dmarc_outcome *dmarc = input->auth != NULL ? input->auth->dmarc : NULL;
    /* What comes again later is counted then. */
    if (dmarc == NULL || decision->action == CONFIG_ACTION_DEFER ||
        !dmarc_observation_is_wanted(dmarc)) {
        return;
    }
    size_t count = recipient_domains(input, domains);
    for (size_t i = 0; i < count; i++) {
        dmarc_observation_gather(input, disposition_of(input, decision), domains[i], &observation);
        struct str line = encode_bounded(input->arena, &observation);
        if (line.p != NULL) {
            record_line(trace, dmarc->record_domain, line);
        }
    }
}

void
record_edits(struct trace *trace, const struct mail_edits *edits)
{
    static const char *const actions[] = {
        [MAIL_EDIT_PREPEND] = "added",
        [MAIL_EDIT_REMOVE] = "removed",
        [MAIL_EDIT_REPLACE] = "replaced",
    };
    for (const struct mail_edit *e = edits->first; e != NULL; e = e->next) {
        struct mail_field field = {.value = e->value};
        struct str value = mail_field_unfold(edits->arena, &field);
        TRACE(trace, header_edited, .action = str_from_cstr(actions[e->kind]), .name = e->name,
              .value = mail_text_decode(edits->arena, value, FILTER_TRACE_VALUE),
              .why = str_from_cstr(e->why));
    }
}

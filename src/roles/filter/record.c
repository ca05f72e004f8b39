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

void
record_dmarc(struct trace *trace, const struct check_input *input, const struct decision *decision)
{
    struct dmarc_observation observation;
    const struct dmarc_outcome *dmarc = input->auth != NULL ? input->auth->dmarc : NULL;
    /* What comes again later is counted then. */
    if (dmarc == NULL || decision->action == CONFIG_ACTION_DEFER ||
        !dmarc_observation_is_wanted(dmarc)) {
        return;
    }
    struct str to = input->recipient_count > 0 ? input->recipients[0].original : STR("");
    size_t at = str_rfind_char(to, '@');
    dmarc_observation_gather(input, disposition_of(input, decision),
                             at != STR_NPOS ? str_skip(to, at + 1) : STR(""), &observation);
    struct str line = dmarc_observation_encode(input->arena, &observation);
    if (line.p != NULL) {
        TRACE(trace, dmarc_observed, .domain = dmarc->record_domain, .line = line);
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

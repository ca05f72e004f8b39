/*
 * header_sanity - the header section as a whole, and the fields that every message must have once.
 *
 * Two From fields, a line that is no field, a header that never ends: readers of mail differ in
 * what they make of these, and an attack lives in each difference.
 */
#include "check/check.h"
#include "mail/address_list.h"
#include "mail/author.h"

static struct str
first_value(const struct check_input *input, enum mail_field_id id)
{
    return str_trim(input->head->first[id]->value);
}

/* ---- the section as a whole */

static void
check_anomalies(const struct check_input *input, struct finding_list *findings)
{
    static const struct {
        enum mail_anomaly_kind anomaly;
        enum finding_id finding;
        bool regular_with_smtputf8;
    } rows[] = {
        {MAIL_ANOMALY_BAD_LINE, FINDING_HEADER_LINE_MALFORMED, false},
        {MAIL_ANOMALY_NO_END, FINDING_HEADER_END_MISSING, false},
        {MAIL_ANOMALY_CONTROL, FINDING_HEADER_CONTROL, false},
        {MAIL_ANOMALY_8BIT, FINDING_HEADER_8BIT, true},
        {MAIL_ANOMALY_NOT_UTF8, FINDING_HEADER_NOT_UTF8, false},
        {MAIL_ANOMALY_BLANK_IN_NAME, FINDING_HEADER_SYNTAX_OBSOLETE, false},
        {MAIL_ANOMALY_BLANK_FOLD, FINDING_HEADER_SYNTAX_OBSOLETE, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct mail_anomaly *anomaly = &input->head->anomalies[rows[i].anomaly];
        if (anomaly->count == 0 || (rows[i].regular_with_smtputf8 && input->smtputf8)) {
            continue;
        }
        finding_list_add(findings, rows[i].finding,
                         (const struct finding_evidence[]){
                             EVIDENCE("anomaly", str_from_cstr(mail_anomaly_name(rows[i].anomaly))),
                             EVIDENCE("count", finding_number(findings, anomaly->count)),
                             EVIDENCE("offset", finding_number(findings, anomaly->offset)),
                             {.key = NULL}});
    }
}

/* ---- fields that must be there once */

/* The author as everything else reads it: mail/author.h. */
static void
check_from(const struct check_input *input, struct finding_list *findings)
{
    const struct mail_head *head = input->head;
    struct mail_author author;
    size_t count = head->counts[MAIL_FIELD_FROM];
    enum status status = mail_author_read(input->arena, head, &author);
    struct str value = count > 0 ? first_value(input, MAIL_FIELD_FROM) : STR("");
    if (status != STATUS_OK) {
        FINDING_ADD(findings, FROM_MALFORMED, EVIDENCE("from", value)); /* the arena is full */
        return;
    }
    if (count == 0) {
        FINDING_ADD(findings, FROM_MISSING);
    } else if (count > 1) {
        FINDING_ADD(findings, FROM_REPEATED, EVIDENCE("count", finding_number(findings, count)),
                    EVIDENCE("first", value));
    }
    if (author.kind == MAIL_AUTHOR_MALFORMED) {
        FINDING_ADD(findings, FROM_MALFORMED, EVIDENCE("from", value));
    } else if (author.kind == MAIL_AUTHOR_SEVERAL_DOMAINS) {
        FINDING_ADD(findings, FROM_SEVERAL_DOMAINS,
                    EVIDENCE("authors", finding_number(findings, author.mailbox_count)),
                    EVIDENCE("from", value));
    }
    if (author.irregular && mail_author_is_known(&author)) {
        FINDING_ADD(findings, FROM_IRREGULAR, EVIDENCE("domain", author.domain),
                    EVIDENCE("from", value));
    }
    if (author.doubt != MAIL_DOUBT_NONE) {
        FINDING_ADD(findings, FROM_AMBIGUOUS,
                    EVIDENCE("reason", str_from_cstr(mail_author_doubt_name(author.doubt))),
                    EVIDENCE("from", value));
    }
    if (author.mailbox_count > 1 && head->counts[MAIL_FIELD_SENDER] == 0) {
        FINDING_ADD(findings, SENDER_MISSING,
                    EVIDENCE("authors", finding_number(findings, author.mailbox_count)));
    }
}

static void
check_message_id(const struct check_input *input, struct finding_list *findings)
{
    size_t count = input->head->counts[MAIL_FIELD_MESSAGE_ID];
    struct str id;
    if (count == 0) {
        FINDING_ADD(findings, MESSAGE_ID_MISSING);
        return;
    }
    struct str value = first_value(input, MAIL_FIELD_MESSAGE_ID);
    if (count > 1) {
        FINDING_ADD(findings, MESSAGE_ID_REPEATED,
                    EVIDENCE("count", finding_number(findings, count)), EVIDENCE("first", value));
    }
    if (mail_message_id_parse(value, &id) != STATUS_OK) {
        FINDING_ADD(findings, MESSAGE_ID_MALFORMED, EVIDENCE("message_id", value));
    }
}

static void
check_date_count(const struct check_input *input, struct finding_list *findings)
{
    size_t count = input->head->counts[MAIL_FIELD_DATE];
    if (count == 0) {
        FINDING_ADD(findings, DATE_MISSING);
    } else if (count > 1) {
        FINDING_ADD(findings, DATE_REPEATED, EVIDENCE("count", finding_number(findings, count)),
                    EVIDENCE("first", first_value(input, MAIL_FIELD_DATE)));
    }
}

/* All other fields that may be there once. */
static void
check_repeated(const struct check_input *input, struct finding_list *findings)
{
    for (size_t i = MAIL_FIELD_BAD + 1; i < MAIL_FIELD_COUNT_; i++) {
        enum mail_field_id id = (enum mail_field_id)i;
        size_t most = mail_field_most(id);
        bool has_own_finding =
            id == MAIL_FIELD_FROM || id == MAIL_FIELD_DATE || id == MAIL_FIELD_MESSAGE_ID;
        if (most > 0 && input->head->counts[id] > most && !has_own_finding) {
            FINDING_ADD(findings, FIELD_REPEATED, EVIDENCE("field", mail_field_name(id)),
                        EVIDENCE("count", finding_number(findings, input->head->counts[id])));
        }
    }
}

enum status
check_header_sanity(const struct check_input *input, struct finding_list *findings)
{
    if (input->head_over_limit) {
        FINDING_ADD(findings, HEADER_TOO_LARGE);
        return STATUS_OK;
    }
    check_anomalies(input, findings);
    check_from(input, findings);
    check_date_count(input, findings);
    check_message_id(input, findings);
    check_repeated(input, findings);
    return STATUS_OK;
}

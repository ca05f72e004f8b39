/*
 * Fuzz target: an evaluation over a zone that the input makes. Every line is the answer to one more
 * question, in the order of the questions: its first octet says what kind of answer, the rest is
 * the text of a TXT record or a name. When there are no more lines, nothing is there.
 */
#include <stdlib.h>

#include "auth/spf.h"
#include "dns/rdata.h"

/*
 * Questions that an evaluation within its limits can ask: the record, the explanation, and ten
 * names for each term and for the client.
 */
#define QUESTIONS_MAX (2u + (SPF_LOOKUPS_MAX + 1u) * (1u + SPF_MX_NAMES_MAX))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    struct str rest;
    size_t questions;
};

/* Appends what a line says as a record of the type that was asked for. */
static enum status
put_record(struct buf *out, uint16_t type, struct str line)
{
    struct ip_address ip;
    switch ((enum dns_type)type) {
    case DNS_TYPE_TXT:
        return dns_rdata_put_txt(out, line);
    case DNS_TYPE_MX:
        return dns_rdata_put_mx(out, 10, line);
    case DNS_TYPE_PTR:
        return dns_rdata_put_name(out, line);
    case DNS_TYPE_A:
    case DNS_TYPE_AAAA:
        (void)!ip_parse(type == DNS_TYPE_A ? STR("192.0.2.1") : STR("2001:db8::1"), &ip);
        return dns_rdata_put_ip(out, type, &ip);
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
    case DNS_TYPE_SOA:
    case DNS_TYPE_DS:
    case DNS_TYPE_DNSKEY:
    case DNS_TYPE_TLSA:
    case DNS_TYPE_SPF:
        break;
    }
    return STATUS_SYNTAX;
}

static enum status
answer_from_line(struct arena *arena, uint16_t type, struct str line, struct dns_answer *answer)
{
    size_t copies = 1 + ((size_t)(uint8_t)line.p[0] >> 4);
    struct str *records = arena_alloc_array(arena, copies, sizeof *records);
    struct buf rdata;
    buf_init(&rdata, DNS_RDATA_MAX);
    enum status status = put_record(&rdata, type, str_skip(line, 1));
    struct str octets = arena_str_dup(arena, buf_str(&rdata));
    buf_free(&rdata);
    if (records == NULL || octets.p == NULL) {
        return STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        /* One SPF record is one; of names there may be many. */
        answer->record_count = type == DNS_TYPE_TXT ? 1 : copies;
        for (size_t i = 0; i < answer->record_count; i++) {
            records[i] = octets;
        }
        answer->records = records;
        answer->outcome = DNS_OUTCOME_ANSWER;
    }
    return STATUS_OK;
}

static enum status
script_resolve(void *ctx, struct arena *arena, struct str name, uint16_t type,
               struct dns_answer *out)
{
    struct script *script = ctx;
    struct str line;
    struct dns_wire_name wire;
    *out = (struct dns_answer){.outcome = DNS_OUTCOME_NXDOMAIN, .canonical = name};
    if (dns_name_to_wire(name, &wire) != STATUS_OK || ++script->questions > QUESTIONS_MAX) {
        abort();
    }
    (void)str_cut(script->rest, '\n', &line, &script->rest);
    if (line.n == 0) {
        return STATUS_OK;
    }
    if ((line.p[0] & 15) < (int)DNS_OUTCOME_COUNT && (line.p[0] & 15) > 0) {
        out->outcome = (enum dns_outcome)(line.p[0] & 15);
        return STATUS_OK;
    }
    return answer_from_line(arena, type, line, out);
}

static void
check_outcome(const struct spf_input *input, const struct spf_outcome *outcome)
{
    if ((unsigned)outcome->result >= SPF_RESULT_COUNT || !str_is_ascii(outcome->explanation) ||
        !str_is_ascii(outcome->problem) || !str_is_ascii(outcome->mechanism) ||
        !str_is_ascii(outcome->domain) || outcome->explanation.n > SPF_EXPLANATION_MAX) {
        abort();
    }
    struct str field = spf_received_header(input, outcome);
    if (field.p == NULL || str_contains_char(field, '\0')) {
        abort();
    }
}

/* The first line is the client's address, the second HELO, the third MAIL FROM. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script = {.rest = str_make((const char *)data, size)};
    struct dns_source source = {.resolve = script_resolve, .ctx = &script};
    struct arena *arena = arena_create(64u << 20);
    struct spf_outcome outcome;
    struct spf_input input = {
        .dns = &source,
        .arena = arena,
        .identity = SPF_IDENTITY_MAILFROM,
        .receiver = STR("mx.example.org"),
        .now = 1795456094,
    };
    struct str ip;
    (void)str_cut(script.rest, '\n', &ip, &script.rest);
    (void)str_cut(script.rest, '\n', &input.helo, &script.rest);
    (void)str_cut(script.rest, '\n', &input.sender, &script.rest);
    if (ip_parse(ip, &input.client) == STATUS_OK && spf_check(&input, &outcome) == STATUS_OK) {
        check_outcome(&input, &outcome);
    }
    arena_destroy(&arena);
    return 0;
}

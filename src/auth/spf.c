#include "auth/spf.h"

#include "auth/spf_internal.h"
#include "base/buf.h"
#include "dns/name.h"
#include "smtp/address.h"

const char *
spf_result_name(enum spf_result result)
{
    static const char *const names[SPF_RESULT_COUNT] = {
        [SPF_RESULT_NONE] = "none",           [SPF_RESULT_NEUTRAL] = "neutral",
        [SPF_RESULT_PASS] = "pass",           [SPF_RESULT_FAIL] = "fail",
        [SPF_RESULT_SOFTFAIL] = "softfail",   [SPF_RESULT_TEMPERROR] = "temperror",
        [SPF_RESULT_PERMERROR] = "permerror",
    };
    return (unsigned)result < SPF_RESULT_COUNT ? names[result] : "unknown";
}

const char *
spf_identity_name(enum spf_identity identity)
{
    return identity == SPF_IDENTITY_HELO ? "helo" : "mailfrom";
}

/* ---- what the files of the evaluation share */

void
spf_problem(struct spf_state *state, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(state->input->arena, format, args);
    va_end(args);
    state->problem = spf_printable(state->input->arena, text, SPF_PROBLEM_MAX);
}

enum status
spf_query_name(struct arena *arena, struct str domain, struct str *name_out)
{
    struct buf escaped;
    struct dns_wire_name wire;
    buf_init(&escaped, DNS_NAME_TEXT_MAX);
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < domain.n; i++) {
        uint8_t c = (uint8_t)domain.p[i];
        if (c == '\\') {
            status = buf_append(&escaped, STR("\\\\"));
        } else if (c > ' ' && c <= '~') {
            status = buf_append_char(&escaped, domain.p[i]);
        } else {
            status = buf_printf(&escaped, "\\%03u", c);
        }
    }
    if (status != STATUS_OK || domain.n == 0 || str_ends_with(domain, STR(".")) ||
        dns_name_to_wire(buf_str(&escaped), &wire) != STATUS_OK) {
        buf_free(&escaped);
        return STATUS_SYNTAX;
    }
    struct str name = arena_str_dup(arena, buf_str(&escaped));
    buf_free(&escaped);
    if (name.p == NULL) {
        return STATUS_LIMIT;
    }
    *name_out = name;
    return STATUS_OK;
}

bool
spf_count_lookup(struct spf_state *state)
{
    state->lookups++;
    if (state->lookups > SPF_LOOKUPS_MAX) {
        spf_problem(state, "more than %u terms ask the DNS", SPF_LOOKUPS_MAX);
        return false;
    }
    return true;
}

enum status
spf_client_names(struct spf_state *state)
{
    if (state->names_known) {
        return STATUS_OK;
    }
    enum status status =
        iprev_check(state->input->dns, state->input->arena, &state->input->client, &state->names);
    state->names_known = status == STATUS_OK;
    return status;
}

/* %{p} (RFC 7208 7.3) */
static enum status
validated_name(void *ctx, struct str *name_out)
{
    struct spf_state *state = ctx;
    struct str domain;
    /* RFC 7208 4.6.4: the question for PTR records of %{p} is one of the ten. */
    if (!state->names_known && !state->explaining && !spf_count_lookup(state)) {
        return STATUS_DENIED;
    }
    state->failure = spf_client_names(state);
    if (state->failure != STATUS_OK) {
        return state->failure;
    }
    if (spf_query_name(state->input->arena, state->values.domain, &domain) != STATUS_OK) {
        domain = state->values.domain;
    }
    *name_out = iprev_name_for(&state->names, domain);
    return STATUS_OK;
}

enum status
spf_expand_target(struct spf_state *state, struct str spec, struct str *domain_out)
{
    if (spec.n == 0) {
        *domain_out = state->values.domain;
        return STATUS_OK;
    }
    enum status status =
        spf_macro_expand(state->input->arena, spec, SPF_MACRO_DOMAIN, &state->values, domain_out);
    if (state->failure != STATUS_OK) {
        return state->failure;
    }
    return status == STATUS_OK || status == STATUS_DENIED ? status : STATUS_NOT_FOUND;
}

/* ---- the identity */

/* A domain as it is looked up: A-labels, no final dot (RFC 7208 4.3, RFC 8616 4). */
static struct str
domain_for_lookup(struct arena *arena, struct str domain)
{
    struct str ascii = domain;
    if (!str_is_ascii(domain) &&
        smtp_domain_parse(arena, domain, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_UNDERSCORE, &ascii) !=
            STATUS_OK) {
        ascii = domain;
    }
    return str_ends_with(ascii, STR(".")) ? str_head(ascii, ascii.n - 1) : ascii;
}

/*
 * The sender whose local-part and domain the macros see. Without a local part it is postmaster
 * (RFC 7208 4.3), without a domain the HELO name takes its place (2.4).
 */
static enum status
set_sender(struct spf_state *state)
{
    const struct spf_input *input = state->input;
    struct spf_macro_values *values = &state->values;
    struct str sender = input->identity == SPF_IDENTITY_HELO ? STR("") : input->sender;
    size_t at = str_rfind_char(sender, '@');
    struct str local = at != STR_NPOS ? str_head(sender, at) : STR("");
    struct str domain = at != STR_NPOS ? str_skip(sender, at + 1) : sender;
    values->helo = domain_for_lookup(input->arena, input->helo);
    values->local = local.n > 0 ? local : STR("postmaster");
    values->domain = sender.n > 0 ? domain_for_lookup(input->arena, domain) : values->helo;
    values->sender_domain = values->domain;
    values->sender =
        arena_printf(input->arena, "%.*s@%.*s", STR_ARG(values->local), STR_ARG(values->domain));
    return values->sender.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* RFC 7208 4.3: a domain that is malformed, a literal or a single label has no policy. */
static bool
can_have_policy(struct spf_state *state)
{
    struct str domain = state->values.domain;
    struct str name;
    return str_contains_char(domain, '.') && str_is_ascii(domain) && domain.p[0] != '[' &&
           spf_query_name(state->input->arena, domain, &name) == STATUS_OK;
}

enum status
spf_check(const struct spf_input *input, struct spf_outcome *outcome_out)
{
    struct spf_state state = {
        .input = input,
        .values = {.receiver = input->receiver, .client = input->client, .now = input->now},
        .mechanism = STR(""),
        .explanation = STR(""),
        .problem = STR(""),
    };
    enum spf_result result = SPF_RESULT_NONE;
    state.values.validated_name = validated_name;
    state.values.ctx = &state;
    enum status status = set_sender(&state);
    if (status != STATUS_OK) {
        return status;
    }
    struct str domain = state.values.domain;
    if (can_have_policy(&state)) {
        status = spf_evaluate(&state, false, &result);
    } else {
        spf_problem(&state, "\"%.*s\" is not a domain name that can have a record",
                    STR_ARG(domain));
    }
    if (status != STATUS_OK) {
        return status;
    }
    *outcome_out = (struct spf_outcome){
        .result = result,
        .identity = input->identity,
        .domain = spf_printable(input->arena, domain, SIZE_MAX),
        .sender = state.values.sender,
        .helo = input->helo,
        .mechanism = state.mechanism,
        .explanation = state.explanation,
        .problem = state.problem,
        .lookups = state.lookups,
        .void_lookups = state.void_lookups,
    };
    return STATUS_OK;
}

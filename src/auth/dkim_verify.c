#include "auth/dkim_verify.h"

#include "dns/name.h"

struct verifier {
    struct arena *arena;
    const struct dkim_verify_input *input;
    struct dkim_lookup *lookup;
    struct hasher *hasher;
};

bool
dkim_field_is_signature(const struct mail_field *field)
{
    return str_eq_nocase(field->name, STR("DKIM-Signature"));
}

/* RFC 6376 6.1.3: the body hash first, since it needs no key. */
static enum dkim_problem
check_body(struct verifier *verifier, struct dkim_outcome *outcome)
{
    const struct dkim_signature *signature = &outcome->signature;
    const struct body_hash *body;
    if (hasher_body(verifier->hasher, signature->body, signature->length, &body) != STATUS_OK) {
        return DKIM_PROBLEM_FAILED;
    }
    if (signature->length != CANONICAL_NO_LIMIT) {
        /* 3.5: l= must not be larger than the canonical body. */
        if (signature->length > body->length) {
            return DKIM_PROBLEM_LENGTH_OVER;
        }
        outcome->body_uncovered = body->length - signature->length;
        outcome->body_limited = outcome->body_uncovered > 0;
    }
    return memcmp(signature->body_hash.p, body->octets, sizeof body->octets) == 0
               ? DKIM_PROBLEM_NONE
               : DKIM_PROBLEM_BODY_CHANGED;
}

static void
note_key(struct dkim_outcome *outcome, const struct dkim_key_use *use)
{
    outcome->key_bits = use->bits;
    outcome->testing = use->key != NULL && use->key->testing;
}

static enum dkim_problem
check_header(struct verifier *verifier, const struct dkim_key_set *keys,
             struct dkim_outcome *outcome)
{
    const struct dkim_signature *signature = &outcome->signature;
    uint8_t hash[CANONICAL_HASH_SIZE];
    struct dkim_key_use use;
    const struct dkim_header_hash what = {
        .head = verifier->input->head,
        .form = signature->head,
        .names = signature->names,
        .name_count = signature->name_count,
        .own = outcome->field,
        .raw = outcome->field->raw,
        .without = signature->signature_raw,
        .hasher = verifier->hasher,
    };
    if (dkim_header_hash(verifier->arena, &what, hash) != STATUS_OK) {
        return DKIM_PROBLEM_FAILED;
    }
    const struct dkim_trial trial = {
        .algorithm = signature->algorithm,
        .identity_below = signature->identity_below,
        .hash = str_make((const char *)hash, sizeof hash),
        .signature = signature->signature,
    };
    enum dkim_problem problem = dkim_key_set_verify(keys, verifier->lookup->cache, &trial, &use);
    note_key(outcome, &use);
    return problem;
}

/* RFC 6376 6.1.1: what can be said of a signature without its key. */
static enum dkim_problem
read_one(const struct verifier *verifier, struct dkim_outcome *outcome)
{
    unsigned flags = verifier->input->utf8 ? DKIM_SIGNATURE_UTF8 : 0;
    enum dkim_problem problem =
        dkim_signature_parse(verifier->arena, outcome->field->value, flags, &outcome->signature);
    return problem == DKIM_PROBLEM_NONE
               ? dkim_signature_time(&outcome->signature, verifier->input->now)
               : problem;
}

/* RFC 6376 6.1.2 and 6.1.3 */
static enum dkim_problem
verify_one(struct verifier *verifier, struct dkim_outcome *outcome)
{
    const struct dkim_signature *signature = &outcome->signature;
    const struct dkim_key_set *keys =
        dkim_lookup_find(verifier->lookup, signature->selector, signature->domain);
    struct dkim_key_use use;
    enum dkim_problem problem = dkim_key_set_usable(
        keys, verifier->lookup->cache, signature->algorithm, signature->identity_below, &use);
    note_key(outcome, &use);
    if (problem == DKIM_PROBLEM_NONE) {
        problem = check_body(verifier, outcome);
    }
    return problem == DKIM_PROBLEM_NONE ? check_header(verifier, keys, outcome) : problem;
}

/* How near the signer is to the author; what is nearer is verified before. */
enum nearness {
    NEAR_SAME,
    NEAR_RELATED, /* above or below it */
    NEAR_STRANGER,
    NEAR_COUNT_,
};

static enum nearness
nearness(struct str author, struct str domain)
{
    if (author.n == 0 || str_eq(author, domain)) {
        return NEAR_SAME;
    }
    return dns_name_is_within(author, domain) || dns_name_is_within(domain, author) ? NEAR_RELATED
                                                                                    : NEAR_STRANGER;
}

/*
 * Anybody can put signatures on top of a message. Those that cannot be read took no work and count
 * for nothing, and those that matter to DMARC come first, so that the author's is not crowded out.
 */
static void
verify_all(struct verifier *verifier, struct dkim_outcome *items, size_t count)
{
    const struct mail_head *head = verifier->input->head;
    size_t n = 0;
    for (size_t i = 0; i < head->field_count && n < count; i++) {
        if (dkim_field_is_signature(&head->fields[i])) {
            items[n].field = &head->fields[i];
            items[n].problem = read_one(verifier, &items[n]);
            items[n].result = dkim_problem_result(items[n].problem);
            n++;
        }
    }
    size_t verified = 0;
    for (unsigned near = NEAR_SAME; near < NEAR_COUNT_; near++) {
        for (size_t i = 0; i < n; i++) {
            struct str domain = items[i].signature.domain;
            if (items[i].problem != DKIM_PROBLEM_NONE ||
                nearness(verifier->input->author_domain, domain) != (enum nearness)near) {
                continue;
            }
            items[i].looked_at = verified < DKIM_SIGNATURES_MAX;
            items[i].problem =
                items[i].looked_at ? verify_one(verifier, &items[i]) : DKIM_PROBLEM_COUNT;
            items[i].result = dkim_problem_result(items[i].problem);
            verified++;
        }
    }
}

enum status
dkim_verify(struct arena *arena, const struct dkim_verify_input *input, struct dkim_lookup *lookup,
            struct dkim_outcomes *outcomes_out)
{
    struct verifier verifier = {
        .arena = arena, .input = input, .lookup = lookup, .hasher = input->hasher};
    struct dkim_outcomes outcomes = {0};
    for (size_t i = 0; i < input->head->field_count; i++) {
        outcomes.total += dkim_field_is_signature(&input->head->fields[i]) ? 1 : 0;
    }
    outcomes.count = outcomes.total < DKIM_OUTCOMES_MAX ? outcomes.total : DKIM_OUTCOMES_MAX;
    struct dkim_outcome *items = arena_alloc_array(arena, outcomes.count, sizeof *items);
    if (items == NULL) {
        return STATUS_LIMIT;
    }
    if (outcomes.count > 0 && verifier.hasher == NULL) {
        verifier.hasher = hasher_create(arena, input->body);
    }
    if (outcomes.count > 0) {
        if (verifier.hasher == NULL) {
            return STATUS_LIMIT;
        }
        verify_all(&verifier, items, outcomes.count);
    }
    outcomes.items = items;
    *outcomes_out = outcomes;
    return STATUS_OK;
}

enum dkim_result
dkim_outcomes_best(const struct dkim_outcomes *outcomes)
{
    static const enum dkim_result order[] = {
        DKIM_RESULT_PASS,      DKIM_RESULT_FAIL,   DKIM_RESULT_TEMPERROR,
        DKIM_RESULT_PERMERROR, DKIM_RESULT_POLICY,
    };
    for (size_t r = 0; r < sizeof order / sizeof order[0]; r++) {
        for (size_t i = 0; i < outcomes->count; i++) {
            if (outcomes->items[i].result == order[r]) {
                return order[r];
            }
        }
    }
    return outcomes->head_unread ? DKIM_RESULT_PERMERROR : DKIM_RESULT_NONE;
}

enum dkim_result
dkim_outcome_reported(const struct dkim_outcome *outcome)
{
    return outcome->result == DKIM_RESULT_PASS && outcome->body_limited ? DKIM_RESULT_POLICY
                                                                        : outcome->result;
}

bool
dkim_outcome_authenticates(const struct dkim_outcome *outcome)
{
    return dkim_outcome_reported(outcome) == DKIM_RESULT_PASS;
}

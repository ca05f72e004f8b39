#include "auth/arc_verify.h"

#include "auth/arc_hash.h"
#include "auth/dkim_verify.h"

const char *
arc_result_name(enum arc_result result)
{
    static const char *const names[] = {
        [ARC_RESULT_NONE] = "none", [ARC_RESULT_PASS] = "pass", [ARC_RESULT_FAIL] = "fail"};
    return result <= ARC_RESULT_FAIL ? names[result] : "unknown";
}

const char *
arc_check_name(enum arc_check check)
{
    static const char *const names[] = {[ARC_CHECK_SKIPPED] = "skipped",
                                        [ARC_CHECK_PASS] = "pass",
                                        [ARC_CHECK_FAIL] = "fail",
                                        [ARC_CHECK_TEMPORARY] = "temperror"};
    return check <= ARC_CHECK_TEMPORARY ? names[check] : "unknown";
}

_Static_assert(DKIM_SIGNATURES_MAX + ARC_BODY_HASHES_MAX <= HASHER_BODIES_MAX,
               "DKIM leaves room for ARC");

struct verifier {
    struct arena *arena;
    const struct arc_verify_input *input;
    struct dkim_lookup *lookup;
    struct hasher *hasher;
    const struct body_hash *bodies[ARC_BODY_HASHES_MAX]; /* those that were asked for */
    size_t body_count;
    struct arc_set_verdict *sets;
    struct arc_verification verification;
};

/* What the two kinds of signature have in common. */
struct arc_signer {
    struct str domain;
    struct str selector;
    struct str signature;
};

/* What became of one signature, and why. */
struct outcome {
    enum arc_check check;
    const char *fault; /* NULL when it passed */
};

static struct outcome
fail(const char *fault)
{
    return (struct outcome){ARC_CHECK_FAIL, fault};
}

/* ---- one signature */

/* The signature over a hash, by the keys that the DNS has. */
static enum status
check_hash(struct verifier *verifier, const struct arc_signer *signer, const uint8_t *hash,
           struct outcome *outcome)
{
    const struct dkim_key_set *keys =
        dkim_lookup_find(verifier->lookup, signer->selector, signer->domain);
    struct dkim_trial trial = {.algorithm = CRYPTO_RSA_SHA256,
                               .hash = str_make((const char *)hash, CRYPTO_HASH_SIZE),
                               .signature = signer->signature};
    struct dkim_key_use use;
    enum dkim_problem problem = dkim_key_set_verify(keys, verifier->lookup->cache, &trial, &use);
    if (problem == DKIM_PROBLEM_FAILED) {
        return STATUS_TEMPORARY;
    }
    if (problem == DKIM_PROBLEM_NONE) {
        *outcome = (struct outcome){ARC_CHECK_PASS, NULL};
    } else if (problem != DKIM_PROBLEM_SIGNATURE_WRONG) {
        bool temporary = dkim_problem_result(problem) == DKIM_RESULT_TEMPERROR;
        outcome->check = temporary ? ARC_CHECK_TEMPORARY : ARC_CHECK_FAIL;
        outcome->fault = dkim_problem_text(problem);
    }
    return STATUS_OK;
}

/* The hash of the body, from the few that are asked for. STATUS_LIMIT: they are too many. */
static enum status
find_body(struct verifier *verifier, const struct dkim_signature *signature,
          const struct body_hash **body_out)
{
    size_t i = 0;
    while (i < verifier->body_count && (verifier->bodies[i]->form != signature->body ||
                                        verifier->bodies[i]->limit != signature->length)) {
        i++;
    }
    if (i == ARC_BODY_HASHES_MAX) {
        return STATUS_LIMIT;
    }
    if (i == verifier->body_count) {
        enum status status =
            hasher_body(verifier->hasher, signature->body, signature->length, &verifier->bodies[i]);
        if (status != STATUS_OK) {
            return status;
        }
        verifier->body_count++;
    }
    *body_out = verifier->bodies[i];
    return STATUS_OK;
}

/* bh= and l= (RFC 6376 6.1.3 step 3, 3.5); *outcome passes when they are good. */
static enum status
check_body(struct verifier *verifier, const struct dkim_signature *signature,
           struct outcome *outcome)
{
    const struct body_hash *body;
    enum status status = find_body(verifier, signature, &body);
    if (status == STATUS_LIMIT) {
        *outcome = fail("too many ways to read the body");
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    bool limited = signature->length != CANONICAL_NO_LIMIT;
    if (limited && signature->length > body->length) {
        *outcome = fail("the body is shorter than what was signed (l=)");
    } else if (limited && signature->length < body->length) {
        /* RFC 6376 8.2: what is behind the signed part can be anybody's. */
        *outcome = fail("a part of the body is not signed (l=)");
    } else if (signature->body_hash.n != CRYPTO_HASH_SIZE ||
               memcmp(signature->body_hash.p, body->octets, CRYPTO_HASH_SIZE) != 0) {
        *outcome = fail("the body was altered");
    } else {
        *outcome = (struct outcome){ARC_CHECK_PASS, NULL};
    }
    return STATUS_OK;
}

/* Body and fields, read in the canonical forms that the signature names. */
static enum status
check_forms(struct verifier *verifier, const struct arc_set *set,
            const struct dkim_signature *signature, struct outcome *outcome)
{
    const struct mail_field *own = set->fields[ARC_PART_SIGNATURE];
    struct dkim_header_hash what = {.head = verifier->input->head,
                                    .form = signature->head,
                                    .names = signature->names,
                                    .name_count = signature->name_count,
                                    .own = own,
                                    .raw = own->raw,
                                    .without = signature->signature_raw,
                                    .hasher = verifier->hasher};
    struct arc_signer signer = {signature->domain, signature->selector, signature->signature};
    uint8_t hash[CRYPTO_HASH_SIZE];
    enum status status = check_body(verifier, signature, outcome);
    if (status != STATUS_OK || outcome->check != ARC_CHECK_PASS) {
        return status;
    }
    *outcome = fail("the signature of the message does not fit: its header was changed");
    status = dkim_header_hash(verifier->arena, &what, hash);
    return status == STATUS_OK ? check_hash(verifier, &signer, hash, outcome) : status;
}

static enum status
check_signature(struct verifier *verifier, const struct arc_set *set, struct outcome *outcome)
{
    const struct dkim_signature *signature = &set->signature.dkim;
    enum dkim_problem problem = DKIM_PROBLEM_NONE;
    if (set->signature.fault == NULL) {
        problem = dkim_signature_time(signature, verifier->input->now);
    }
    if (set->signature.fault != NULL || problem != DKIM_PROBLEM_NONE) {
        *outcome =
            fail(problem != DKIM_PROBLEM_NONE ? dkim_problem_text(problem) : set->signature.fault);
        return STATUS_OK;
    }
    enum status status = check_forms(verifier, set, signature, outcome);
    if (status == STATUS_OK && outcome->check == ARC_CHECK_FAIL && !set->signature.has_form) {
        /* Without c= it is simple/simple; sealers after the drafts of RFC 8617 mean relaxed. */
        struct dkim_signature relaxed = *signature;
        struct outcome second;
        relaxed.head = CANONICAL_RELAXED;
        relaxed.body = CANONICAL_RELAXED;
        status = check_forms(verifier, set, &relaxed, &second);
        if (status == STATUS_OK && second.check == ARC_CHECK_PASS) {
            *outcome = second;
        }
    }
    return status;
}

/* ---- the chain */

/* The first failure is that of the chain. */
static void
fail_chain(struct verifier *verifier, unsigned instance, struct outcome outcome)
{
    struct arc_verification *verification = &verifier->verification;
    verification->result = ARC_RESULT_FAIL;
    verification->temporary = outcome.check == ARC_CHECK_TEMPORARY;
    verification->reason = str_from_cstr(outcome.fault);
    verification->instance = instance;
}

/* RFC 8617 5.2 step 4 */
static enum status
check_newest_signature(struct verifier *verifier)
{
    struct arc_set_verdict *newest = &verifier->sets[verifier->verification.chain.count - 1];
    struct outcome outcome;
    enum status status = check_signature(verifier, newest->set, &outcome);
    if (status == STATUS_OK) {
        newest->signature = outcome.check;
        if (outcome.check != ARC_CHECK_PASS) {
            fail_chain(verifier, newest->set->instance, outcome);
        }
    }
    return status;
}

/* RFC 8617 5.2 step 6 */
static enum status
check_seals(struct verifier *verifier)
{
    const struct arc_chain *chain = &verifier->verification.chain;
    struct arc_sealed_set sets[ARC_SETS_MAX];
    uint8_t hashes[ARC_SETS_MAX][CRYPTO_HASH_SIZE];
    for (size_t i = 0; i < chain->count; i++) {
        for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_COUNT_; part++) {
            sets[i].raw[part] = chain->sets[i].fields[part]->raw;
        }
        sets[i].b_value = chain->sets[i].seal.b_value;
    }
    enum status status = arc_seal_hashes(verifier->hasher, sets, chain->count, hashes);
    for (size_t i = chain->count; i > 0 && status == STATUS_OK; i--) {
        struct arc_set_verdict *verdict = &verifier->sets[i - 1];
        const struct arc_seal_tags *seal = &verdict->set->seal;
        struct arc_signer signer = {seal->domain, seal->selector, seal->signature};
        struct outcome outcome = fail("the seal does not fit: a field of the chain was changed");
        status = check_hash(verifier, &signer, hashes[i - 1], &outcome);
        if (status == STATUS_OK) {
            verdict->seal = outcome.check;
        }
        if (status == STATUS_OK && outcome.check != ARC_CHECK_PASS) {
            fail_chain(verifier, verdict->set->instance, outcome);
            return STATUS_OK;
        }
    }
    return status;
}

/* RFC 8617 5.2 step 5; after the seals, since without them nobody asks. */
static enum status
find_oldest_pass(struct verifier *verifier)
{
    size_t i = verifier->verification.chain.count;
    verifier->verification.oldest_pass = 0;
    while (i > 1) {
        struct arc_set_verdict *verdict = &verifier->sets[i - 2];
        struct outcome outcome;
        enum status status = check_signature(verifier, verdict->set, &outcome);
        if (status != STATUS_OK) {
            return status;
        }
        verdict->signature = outcome.check;
        if (outcome.check != ARC_CHECK_PASS) {
            verifier->verification.oldest_pass = (unsigned)i;
            return STATUS_OK;
        }
        i--;
    }
    return STATUS_OK;
}

/* What to hash with, room for the verdicts, and what the sealers found. */
static enum status
prepare(struct verifier *verifier)
{
    const struct arc_chain *chain = &verifier->verification.chain;
    verifier->sets = arena_alloc_array(verifier->arena, chain->count, sizeof *verifier->sets);
    verifier->hasher = verifier->input->hasher;
    if (verifier->hasher == NULL) {
        verifier->hasher = hasher_create(verifier->arena, verifier->input->body);
    }
    if (verifier->sets == NULL || verifier->hasher == NULL) {
        return STATUS_LIMIT;
    }
    verifier->verification.sets = verifier->sets;
    for (size_t i = 0; i < chain->count; i++) {
        struct arc_set_verdict *verdict = &verifier->sets[i];
        verdict->set = &chain->sets[i];
        /* Results that cannot be read say nothing; the chain holds without them. */
        verdict->has_results =
            authres_parse(verifier->arena, verdict->set->results, &verdict->results) == STATUS_OK;
    }
    return STATUS_OK;
}

enum status
arc_verify(struct arena *arena, const struct arc_verify_input *input, struct dkim_lookup *lookup,
           struct arc_verification *verification_out)
{
    struct verifier verifier = {.arena = arena, .input = input, .lookup = lookup};
    struct arc_verification *verification = &verifier.verification;
    enum status status = arc_chain_collect(arena, input->head, &verification->chain);
    if (status != STATUS_OK) {
        return status;
    }
    if (verification->chain.structure == ARC_STRUCTURE_GOOD) {
        verification->result = ARC_RESULT_PASS;
        status = prepare(&verifier);
        if (status == STATUS_OK) {
            status = check_newest_signature(&verifier);
        }
        if (status == STATUS_OK && verification->result == ARC_RESULT_PASS) {
            status = check_seals(&verifier);
        }
        if (status == STATUS_OK && verification->result == ARC_RESULT_PASS) {
            status = find_oldest_pass(&verifier);
        }
    } else if (verification->chain.structure != ARC_STRUCTURE_NONE) {
        fail_chain(&verifier, verification->chain.fault_instance, fail(verification->chain.fault));
    }
    if (status == STATUS_OK) {
        *verification_out = *verification;
    }
    return status;
}

/* ---- as a result among others */

enum status
arc_authres(struct arena *arena, const struct arc_verification *verification, struct str client,
            struct authres_result *result_out)
{
    struct authres_property *properties = arena_alloc_array(arena, 2, sizeof *properties);
    struct str oldest = arena_printf(arena, "%u", verification->oldest_pass);
    size_t count = 0;
    if (properties == NULL || oldest.p == NULL) {
        return STATUS_LIMIT;
    }
    if (verification->result == ARC_RESULT_PASS) {
        properties[count++] = (struct authres_property){STR("header"), STR("oldest-pass"), oldest};
    }
    if (client.n > 0) {
        properties[count++] = (struct authres_property){STR("smtp"), STR("remote-ip"), client};
    }
    *result_out = (struct authres_result){
        .method = STR("arc"),
        .version = 1,
        .result = str_from_cstr(arc_result_name(verification->result)),
        .reason = verification->reason,
        .properties = properties,
        .property_count = count,
    };
    return STATUS_OK;
}

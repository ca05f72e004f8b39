#include "auth/arc_set.h"

#include "auth/arc_field.h"

static const struct str part_names[ARC_PART_COUNT_] = {
    [ARC_PART_RESULTS] = STR_INIT("ARC-Authentication-Results"),
    [ARC_PART_SIGNATURE] = STR_INIT("ARC-Message-Signature"),
    [ARC_PART_SEAL] = STR_INIT("ARC-Seal"),
};

const char *
arc_part_name(enum arc_part part)
{
    return part < ARC_PART_COUNT_ ? part_names[part].p : "unknown";
}

enum arc_part
arc_part_find(const struct mail_field *field)
{
    enum arc_part part = ARC_PART_RESULTS;
    while (part < ARC_PART_COUNT_ && !str_eq_nocase(field->name, part_names[part])) {
        part++;
    }
    return part;
}

const char *
arc_cv_name(enum arc_cv cv)
{
    static const char *const names[] = {
        [ARC_CV_NONE] = "none", [ARC_CV_PASS] = "pass", [ARC_CV_FAIL] = "fail"};
    return cv <= ARC_CV_FAIL ? names[cv] : "unknown";
}

/* Everything while the fields are collected. */
struct collector {
    struct arena *arena;
    struct arc_set *sets; /* ARC_SETS_MAX, by instance */
    struct arc_chain chain;
    bool ended; /* a seal of the highest instance says cv=fail */
};

/* The first fault is the one that is told. */
static void
break_chain(struct collector *collector, unsigned instance, const char *fault)
{
    if (collector->chain.fault == NULL) {
        collector->chain.fault = fault;
        collector->chain.fault_instance = instance;
    }
}

/* Reads a field; its instance, what it holds in *set. */
static unsigned
read_field(struct arena *arena, struct str value, enum arc_part part, struct arc_set *set)
{
    switch (part) {
    case ARC_PART_RESULTS:
        return arc_results_parse(value, &set->results);
    case ARC_PART_SIGNATURE:
        return arc_message_signature_parse(arena, value, &set->signature);
    case ARC_PART_SEAL:
        return arc_seal_parse(arena, value, &set->seal);
    case ARC_PART_COUNT_:
        break;
    }
    return 0;
}

/* Takes a field into the set it belongs to. */
static void
add_field(struct collector *collector, const struct mail_field *field, enum arc_part part)
{
    struct arc_set one = {0};
    unsigned instance = read_field(collector->arena, field->value, part, &one);
    if (instance == 0) {
        break_chain(collector, 0, "an ARC field has no instance (i=) from 1 to 50");
        return;
    }
    struct arc_set *set = &collector->sets[instance - 1];
    if (instance > collector->chain.highest) {
        collector->chain.highest = instance;
        collector->ended = false;
    }
    if (part == ARC_PART_SEAL && instance == collector->chain.highest &&
        one.seal.cv == ARC_CV_FAIL) {
        collector->ended = true;
    }
    if (set->fields[part] != NULL) {
        break_chain(collector, instance, "an ARC field occurs twice in a set");
        return;
    }
    set->instance = instance;
    set->fields[part] = field;
    if (part == ARC_PART_RESULTS) {
        set->results = one.results;
    } else if (part == ARC_PART_SIGNATURE) {
        set->signature = one.signature;
    } else {
        set->seal = one.seal;
    }
}

/* RFC 8617 5.2 step 3 for the set of one instance. */
static void
check_set(struct collector *collector, unsigned instance)
{
    const struct arc_set *set = &collector->sets[instance - 1];
    if (set->instance == 0) {
        break_chain(collector, instance, "an ARC set is missing");
        return;
    }
    for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_COUNT_; part++) {
        if (set->fields[part] == NULL) {
            break_chain(collector, instance, "an ARC set lacks one of its fields");
            return;
        }
    }
    if (set->seal.fault != NULL) {
        break_chain(collector, instance, set->seal.fault);
    } else if (set->seal.cv != (instance == 1 ? ARC_CV_NONE : ARC_CV_PASS)) {
        break_chain(collector, instance,
                    instance == 1 ? "the first seal does not say cv=none"
                                  : "a seal does not say cv=pass");
    }
}

/* True when there are more fields of one kind than a message may have sets (5.2 step 1). */
static bool
has_too_many(const struct mail_head *head, bool *any_out)
{
    size_t counts[ARC_PART_COUNT_] = {0};
    *any_out = false;
    for (size_t i = 0; i < head->field_count; i++) {
        enum arc_part part = arc_part_find(&head->fields[i]);
        if (part < ARC_PART_COUNT_) {
            *any_out = true;
            if (++counts[part] > ARC_SETS_MAX) {
                return true;
            }
        }
    }
    return false;
}

enum status
arc_chain_collect(struct arena *arena, const struct mail_head *head, struct arc_chain *chain_out)
{
    struct collector collector = {.arena = arena};
    bool any;
    if (has_too_many(head, &any)) {
        *chain_out = (struct arc_chain){.structure = ARC_STRUCTURE_BROKEN,
                                        .fault = "there are more than 50 ARC sets",
                                        .highest = ARC_SETS_MAX};
        return STATUS_OK;
    }
    if (!any) {
        *chain_out = (struct arc_chain){.structure = ARC_STRUCTURE_NONE};
        return STATUS_OK;
    }
    collector.sets = arena_alloc_array(arena, ARC_SETS_MAX, sizeof *collector.sets);
    if (collector.sets == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < head->field_count; i++) {
        enum arc_part part = arc_part_find(&head->fields[i]);
        if (part < ARC_PART_COUNT_) {
            add_field(&collector, &head->fields[i], part);
        }
    }
    struct arc_chain *chain = &collector.chain;
    for (unsigned i = 1; i <= chain->highest && chain->fault == NULL; i++) {
        check_set(&collector, i);
    }
    if (collector.ended) {
        chain->structure = ARC_STRUCTURE_ENDED;
        chain->fault = "the newest seal says that the chain had failed (cv=fail)";
        chain->fault_instance = chain->highest;
    } else if (chain->fault != NULL) {
        chain->structure = ARC_STRUCTURE_BROKEN;
    } else {
        chain->structure = ARC_STRUCTURE_GOOD;
        chain->sets = collector.sets;
        chain->count = chain->highest;
    }
    *chain_out = *chain;
    return STATUS_OK;
}

#include "auth/dkim_key.h"

#include "auth/tag_list.h"
#include "dns/rdata.h"

struct dkim_lookup_entry {
    struct dkim_lookup_entry *next;
    struct str name;
    struct dkim_key_set set;
};

/* ---- one record */

static const struct str no_text = STR_INIT("");

static struct str
value_of(const struct tag_list *list, struct str name, struct str otherwise)
{
    const struct tag *tag = tag_list_find(list, name);
    return tag != NULL ? tag->value : otherwise;
}

/* RFC 6376 3.6.1: "v=" is optional, but if it is there, it is first and exactly "DKIM1". */
static bool
version_fits(const struct tag_list *list)
{
    const struct tag *version = tag_list_find(list, STR("v"));
    return version == NULL || (version == &list->tags[0] && str_eq(version->value, STR("DKIM1")));
}

bool
dkim_key_is_record(struct str text)
{
    struct tag_list list;
    enum tag_list_result result = tag_list_parse(text, TAG_LIST_UTF8, &list);
    /* What stands before a fault has been read, which is enough for the version. */
    const struct tag *version = tag_list_find(&list, STR("v"));
    if (version != NULL) {
        return str_eq(version->value, STR("DKIM1"));
    }
    return (result == TAG_LIST_OK || result == TAG_LIST_DUPLICATE) &&
           tag_list_find(&list, STR("p")) != NULL;
}

static void
read_type(struct str type, struct dkim_key *key)
{
    key->type_known = true;
    if (str_eq_nocase(type, STR("rsa"))) {
        key->algorithm = CRYPTO_RSA_SHA256;
    } else if (str_eq_nocase(type, STR("ed25519"))) {
        key->algorithm = CRYPTO_ED25519_SHA256;
    } else {
        key->type_known = false;
    }
}

enum dkim_problem
dkim_key_parse(struct str text, struct dkim_key *key_out)
{
    struct tag_list list;
    struct dkim_key key = {0};
    /* "n=" is for people, who write UTF-8. */
    if (tag_list_parse(text, TAG_LIST_UTF8, &list) != TAG_LIST_OK) {
        return DKIM_PROBLEM_KEY_SYNTAX;
    }
    if (!version_fits(&list)) {
        return DKIM_PROBLEM_KEY_VERSION;
    }
    const struct tag *public = tag_list_find(&list, STR("p"));
    if (public == NULL) {
        return DKIM_PROBLEM_KEY_MISSING;
    }
    read_type(value_of(&list, STR("k"), STR("rsa")), &key);
    key.sha256 = tag_value_has(value_of(&list, STR("h"), STR("sha256")), STR("sha256"));
    struct str services = value_of(&list, STR("s"), STR("*"));
    key.email = tag_value_has(services, STR("*")) || tag_value_has(services, STR("email"));
    key.testing = tag_value_has(value_of(&list, STR("t"), no_text), STR("y"));
    key.strict = tag_value_has(value_of(&list, STR("t"), no_text), STR("s"));
    key.revoked = public->value.n == 0;
    key.public = public->value;
    *key_out = key;
    return DKIM_PROBLEM_NONE;
}

/* RFC 6376 6.1.2 steps 6 to 9, and 3.6.1 for s= and t=s. */
enum dkim_problem
dkim_key_fits(const struct dkim_key *key, enum crypto_algorithm algorithm, bool identity_below)
{
    if (key->revoked) {
        return DKIM_PROBLEM_KEY_REVOKED;
    }
    if (!key->type_known || key->algorithm != algorithm) {
        return DKIM_PROBLEM_KEY_TYPE;
    }
    if (!key->sha256) {
        return DKIM_PROBLEM_KEY_HASH;
    }
    if (!key->email) {
        return DKIM_PROBLEM_KEY_SERVICE;
    }
    if (key->strict && identity_below) {
        return DKIM_PROBLEM_KEY_STRICT;
    }
    return DKIM_PROBLEM_NONE;
}

/* ---- looking up */

void
dkim_lookup_init(struct dkim_lookup *lookup, struct arena *arena, const struct dns_source *dns,
                 struct key_cache *cache)
{
    *lookup = (struct dkim_lookup){.arena = arena, .dns = dns, .cache = cache};
}

/* Records that are no key records are passed over; broken ones count when nothing else is there. */
static void
read_records(struct arena *arena, const struct dns_answer *answer, struct dkim_key_set *set)
{
    set->problem = DKIM_PROBLEM_KEY_NONE;
    for (size_t i = 0; i < answer->record_count && set->count < DKIM_KEYS_MAX; i++) {
        struct str text;
        if (dns_rdata_txt(arena, answer->records[i], &text) != STATUS_OK) {
            continue;
        }
        enum dkim_problem problem = dkim_key_parse(text, &set->keys[set->count]);
        if (problem == DKIM_PROBLEM_NONE) {
            set->count++;
        } else if (set->problem == DKIM_PROBLEM_KEY_NONE || dkim_key_is_record(text)) {
            set->problem = problem;
        }
    }
    if (set->count > 0) {
        set->problem = DKIM_PROBLEM_NONE;
    }
}

static void
ask(struct dkim_lookup *lookup, struct str name, struct dkim_key_set *set)
{
    struct dns_answer answer;
    enum status status = dns_resolve(lookup->dns, lookup->arena, name, DNS_TYPE_TXT, &answer);
    if (status == STATUS_SYNTAX) {
        set->problem = DKIM_PROBLEM_KEY_NONE; /* no such name can exist */
    } else if (status != STATUS_OK) {
        set->problem = DKIM_PROBLEM_FAILED;
    } else if (dns_outcome_is_temporary(answer.outcome)) {
        set->problem = DKIM_PROBLEM_KEY_UNAVAILABLE; /* 6.1.2 step 2 */
    } else {
        read_records(lookup->arena, &answer, set); /* of NXDOMAIN and NODATA: none (step 3) */
    }
}

const struct dkim_key_set *
dkim_lookup_find(struct dkim_lookup *lookup, struct str selector, struct str domain)
{
    static const struct dkim_key_set failed = {.problem = DKIM_PROBLEM_FAILED};
    static const struct dkim_key_set too_many = {.problem = DKIM_PROBLEM_KEY_UNAVAILABLE};
    struct dkim_lookup_entry *entry;
    const struct str parts[] = {selector, STR("." DKIM_KEY_LABEL "."), domain};
    struct str name = arena_concat(lookup->arena, parts, 3);
    if (name.p == NULL) {
        return &failed;
    }
    for (entry = lookup->entries; entry != NULL; entry = entry->next) {
        if (str_eq_nocase(entry->name, name)) {
            return &entry->set;
        }
    }
    if (lookup->count == DKIM_LOOKUPS_MAX) {
        return &too_many;
    }
    entry = arena_alloc(lookup->arena, sizeof *entry);
    if (entry == NULL) {
        return &failed;
    }
    *entry = (struct dkim_lookup_entry){.next = lookup->entries, .name = name};
    ask(lookup, name, &entry->set);
    lookup->entries = entry;
    lookup->count++;
    return &entry->set;
}

/* ---- trying */

static enum dkim_problem
load_problem(enum crypto_key_result result)
{
    switch (result) {
    case CRYPTO_KEY_OK:
        return DKIM_PROBLEM_NONE;
    case CRYPTO_KEY_MALFORMED:
        return DKIM_PROBLEM_KEY_MALFORMED;
    case CRYPTO_KEY_SMALL:
        return DKIM_PROBLEM_KEY_SMALL;
    case CRYPTO_KEY_LARGE:
        return DKIM_PROBLEM_KEY_LARGE;
    case CRYPTO_KEY_FAILED:
        break;
    }
    return DKIM_PROBLEM_FAILED;
}

enum dkim_problem
dkim_key_usable(const struct dkim_key *key, unsigned *bits_out)
{
    struct public_key *public = NULL;
    *bits_out = 0;
    if (!key->type_known) {
        return DKIM_PROBLEM_KEY_TYPE;
    }
    if (key->revoked) {
        return DKIM_PROBLEM_KEY_REVOKED;
    }
    enum dkim_problem problem =
        load_problem(public_key_load_text(key->algorithm, key->public, &public, bits_out));
    public_key_release(&public);
    return problem;
}

/* Reads the key; with a trial that has a hash the signature is tried, too. */
static enum dkim_problem
try_key(const struct dkim_key *key, struct key_cache *cache, const struct dkim_trial *trial,
        unsigned *bits)
{
    struct public_key *public = NULL;
    enum dkim_problem problem =
        load_problem(key_cache_load(cache, key->algorithm, key->public, &public, bits));
    if (problem != DKIM_PROBLEM_NONE || trial->hash.n == 0) {
        public_key_release(&public);
        return problem;
    }
    enum crypto_verdict verdict = public_key_verify(public, trial->hash, trial->signature);
    public_key_release(&public);
    return verdict == CRYPTO_VALID     ? DKIM_PROBLEM_NONE
           : verdict == CRYPTO_INVALID ? DKIM_PROBLEM_SIGNATURE_WRONG
                                       : DKIM_PROBLEM_FAILED;
}

enum dkim_problem
dkim_key_set_verify(const struct dkim_key_set *set, struct key_cache *cache,
                    const struct dkim_trial *trial, struct dkim_key_use *use_out)
{
    enum dkim_problem worst = set->problem;
    *use_out = (struct dkim_key_use){0};
    for (size_t i = 0; i < set->count; i++) {
        unsigned bits = 0;
        enum dkim_problem problem =
            dkim_key_fits(&set->keys[i], trial->algorithm, trial->identity_below);
        if (problem == DKIM_PROBLEM_NONE) {
            problem = try_key(&set->keys[i], cache, trial, &bits);
        }
        /* The table is in the order of the steps: a later problem came further. */
        if (use_out->key == NULL || problem == DKIM_PROBLEM_NONE || problem >= worst) {
            worst = problem;
            *use_out = (struct dkim_key_use){.key = &set->keys[i], .bits = bits};
        }
        if (problem == DKIM_PROBLEM_NONE) {
            return problem;
        }
    }
    return worst;
}

enum dkim_problem
dkim_key_set_usable(const struct dkim_key_set *set, struct key_cache *cache,
                    enum crypto_algorithm algorithm, bool identity_below,
                    struct dkim_key_use *use_out)
{
    const struct dkim_trial untried = {.algorithm = algorithm, .identity_below = identity_below};
    return dkim_key_set_verify(set, cache, &untried, use_out);
}

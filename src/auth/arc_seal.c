#include "auth/arc_seal.h"

#include "auth/arc_hash.h"
#include "auth/dkim_sign.h"
#include "auth/fold.h"
#include "base/encode.h"

/* Octets of one new field. */
#define FIELD_MAX   65536u
/* RFC 6376 3.5: t= has up to 12 digits. */
#define TIME_MAX    999999999999
/* Most tags of a field that is made here. */
#define TAGS_MAX    10u
/* What stands before the values. */
#define NAME_FORMAT "%s: %.*s"

const char *
arc_seal_result_name(enum arc_seal_result result)
{
    static const char *const names[] = {
        [ARC_SEAL_DONE] = "done", [ARC_SEAL_ENDED] = "ended", [ARC_SEAL_FULL] = "full"};
    return result <= ARC_SEAL_FULL ? names[result] : "unknown";
}

struct sealer {
    struct arena *arena;
    const struct mail_head *head;
    struct hasher *hasher; /* of the message that leaves */
    const struct arc_seal_settings *settings;
    const struct arc_chain *chain; /* of the message that leaves */
    struct arc_sealing sealing;
};

struct new_tag {
    const char *name;
    struct str value;
};

/* A field under construction: its tags, of which "b" is empty until it is signed. */
struct new_field {
    enum arc_part part;
    struct new_tag tags[TAGS_MAX];
    size_t count;
};

static void
add_tag(struct new_field *field, const char *name, struct str value)
{
    field->tags[field->count++] = (struct new_tag){name, value};
}

static struct new_tag *
find_tag(struct new_field *field, const char *name)
{
    size_t i = 0;
    while (strcmp(field->tags[i].name, name) != 0) {
        i++;
    }
    return &field->tags[i];
}

static int
tag_order(const void *a, const void *b)
{
    const struct new_tag *x = a;
    const struct new_tag *y = b;
    return strcmp(x->name, y->name);
}

/* Writes a tag; its value may be broken where that does not change it. */
static void
write_tag(struct sealer *sealer, struct fold *fold, const struct new_tag *tag, bool last)
{
    bool runs = strcmp(tag->name, "b") == 0 || strcmp(tag->name, "bh") == 0;
    bool plain = sealer->settings->plain;
    struct str end = last ? STR("") : STR(";");
    struct str rest = tag->value;
    struct str item = tag->value;
    if (runs && !plain) {
        fold_word(fold, arena_printf(sealer->arena, "%s=", tag->name));
        fold_run(fold, tag->value);
        fold_join(fold, end);
        return;
    }
    bool names = strcmp(tag->name, "h") == 0 && !plain;
    bool more = names && str_cut(tag->value, ':', &item, &rest);
    fold_word(fold, arena_printf(sealer->arena, "%s=%.*s%s%.*s", tag->name, STR_ARG(item),
                                 more ? ":" : "", STR_ARG(more ? STR("") : end)));
    while (more) {
        more = str_cut(rest, ':', &item, &rest);
        fold_join(fold, arena_printf(sealer->arena, "%.*s%.*s", STR_ARG(item),
                                     STR_ARG(more ? STR(":") : end)));
    }
}

/* The value of a field, folded. {NULL,0}: too long, or the arena is full. */
static struct str
field_value(struct sealer *sealer, const struct new_field *field)
{
    struct str name = str_from_cstr(arc_part_name(field->part));
    struct str value = str_make(NULL, 0);
    struct buf text;
    struct fold fold;
    buf_init(&text, FIELD_MAX);
    fold_init(&fold, &text, DKIM_SIGN_COLUMNS, name);
    for (size_t i = 0; i < field->count; i++) {
        write_tag(sealer, &fold, &field->tags[i], i + 1 == field->count);
    }
    if (fold.status == STATUS_OK) {
        value = arena_str_dup(sealer->arena, str_trim(str_skip(buf_str(&text), name.n + 1)));
    }
    buf_free(&text);
    return value;
}

/* The whole field with a value, as the canonical forms take it. {NULL,0}: the arena is full. */
static struct str
raw_field(struct sealer *sealer, enum arc_part part, struct str value)
{
    return arena_printf(sealer->arena, NAME_FORMAT, arc_part_name(part), STR_ARG(value));
}

/* Where "b=" has its (empty) value in a raw field. */
static struct str
empty_b(struct str raw)
{
    struct tag_list tags;
    struct str value = str_skip(raw, str_find_char(raw, ':') + 1);
    const struct tag *b = tag_list_parse(value, TAG_LIST_UTF8, &tags) == TAG_LIST_OK
                              ? tag_list_find(&tags, STR("b"))
                              : NULL;
    return b != NULL ? b->raw : str_make(NULL, 0);
}

/* Signs a hash and puts the signature into "b="; the field's final value goes to the sealing. */
static enum status
finish_field(struct sealer *sealer, struct new_field *field, const uint8_t *hash)
{
    const struct crypto_signer *signer = sealer->settings->signer;
    struct buf signature;
    buf_init(&signature, CRYPTO_SIGNATURE_MAX);
    enum status status =
        signer->sign(signer->ctx, str_make((const char *)hash, CRYPTO_HASH_SIZE), &signature);
    if (status == STATUS_OK) {
        struct str base64 = base64_encode(sealer->arena, buf_str(&signature));
        find_tag(field, "b")->value = base64;
        struct str value = field_value(sealer, field);
        status = base64.p != NULL && value.p != NULL ? STATUS_OK : STATUS_LIMIT;
        sealer->sealing.values[field->part] = value;
    }
    buf_free(&signature);
    return status;
}

/* ---- ARC-Message-Signature */

static size_t
count_fields(const struct mail_head *head, struct str name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        count += str_eq_nocase(head->fields[i].name, name) ? 1 : 0;
    }
    return count;
}

/* The names of ARC_SEAL_HEADERS, each as often as it occurs, From once more. */
static enum status
choose_headers(struct sealer *sealer, struct str *names_out)
{
    struct str rest = STR(ARC_SEAL_HEADERS);
    struct str name;
    struct buf text;
    enum status status = STATUS_OK;
    buf_init(&text, DKIM_NAMES_SIZE_MAX);
    while (status == STATUS_OK && tag_value_next(&rest, &name)) {
        size_t count = count_fields(sealer->head, name);
        count += str_eq(name, STR("From")) ? 1 : 0;
        for (size_t i = 0; i < count && status == STATUS_OK; i++) {
            status = buf_printf(&text, "%s%.*s", buf_length(&text) > 0 ? ":" : "", STR_ARG(name));
        }
    }
    if (status == STATUS_OK) {
        *names_out = arena_str_dup(sealer->arena, buf_str(&text));
        status = names_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
    }
    buf_free(&text);
    return status;
}

/* The hash that an ARC-Message-Signature is made over, of the field with an empty b=. */
static enum status
hash_message(struct sealer *sealer, struct str names, struct str raw, uint8_t *hash_out)
{
    struct str list[DKIM_NAMES_MAX];
    struct dkim_header_hash what = {.head = sealer->head,
                                    .form = CANONICAL_RELAXED,
                                    .names = list,
                                    .raw = raw,
                                    .without = empty_b(raw),
                                    .hasher = sealer->hasher};
    while (what.name_count < DKIM_NAMES_MAX && tag_value_next(&names, &list[what.name_count])) {
        what.name_count++;
    }
    if (what.without.p == NULL) {
        return STATUS_SYNTAX;
    }
    if (names.p != NULL) {
        return STATUS_LIMIT;
    }
    return dkim_header_hash(sealer->arena, &what, hash_out);
}

static enum status
sign_message(struct sealer *sealer, struct str instance, struct str time)
{
    const struct arc_seal_settings *settings = sealer->settings;
    struct new_field field = {.part = ARC_PART_SIGNATURE};
    struct str names = settings->headers;
    uint8_t hash[CRYPTO_HASH_SIZE];
    const struct body_hash *body;
    enum status status = names.n > 0 ? STATUS_OK : choose_headers(sealer, &names);
    if (status == STATUS_OK) {
        status = hasher_body(sealer->hasher, CANONICAL_RELAXED, CANONICAL_NO_LIMIT, &body);
    }
    if (status != STATUS_OK) {
        return status;
    }
    add_tag(&field, "i", instance);
    add_tag(&field, "a", STR("rsa-sha256"));
    add_tag(&field, "c", STR("relaxed/relaxed"));
    add_tag(&field, "d", settings->domain);
    add_tag(&field, "s", settings->selector);
    add_tag(&field, "t", time);
    add_tag(&field, "h", names);
    add_tag(&field, "bh",
            base64_encode(sealer->arena, str_make((const char *)body->octets, CRYPTO_HASH_SIZE)));
    add_tag(&field, "b", str_make("", 0));
    if (settings->plain) {
        qsort(field.tags, field.count, sizeof field.tags[0], tag_order);
    }
    struct str raw = raw_field(sealer, field.part, field_value(sealer, &field));
    if (raw.p == NULL) {
        return STATUS_LIMIT;
    }
    status = hash_message(sealer, names, raw, hash);
    return status == STATUS_OK ? finish_field(sealer, &field, hash) : status;
}

/* ---- ARC-Seal */

/* All sets that the new seal covers: earlier ones unless the chain has failed (RFC 8617 5.1.2). */
static enum status
hash_sets(struct sealer *sealer, struct str seal, uint8_t *hash_out)
{
    struct arc_sealed_set sets[ARC_SETS_MAX];
    uint8_t hashes[ARC_SETS_MAX][CRYPTO_HASH_SIZE];
    size_t count = sealer->sealing.cv == ARC_CV_PASS ? sealer->chain->count : 0;
    for (size_t i = 0; i < count; i++) {
        for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_COUNT_; part++) {
            sets[i].raw[part] = sealer->chain->sets[i].fields[part]->raw;
        }
        sets[i].b_value = sealer->chain->sets[i].seal.b_value;
    }
    for (enum arc_part part = ARC_PART_RESULTS; part < ARC_PART_SEAL; part++) {
        sets[count].raw[part] = raw_field(sealer, part, sealer->sealing.values[part]);
    }
    sets[count].raw[ARC_PART_SEAL] = seal;
    sets[count].b_value = empty_b(seal);
    if (sets[count].raw[ARC_PART_RESULTS].p == NULL ||
        sets[count].raw[ARC_PART_SIGNATURE].p == NULL || sets[count].b_value.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = arc_seal_hashes(sealer->hasher, sets, count + 1, hashes);
    memcpy(hash_out, hashes[count], CRYPTO_HASH_SIZE);
    return status;
}

static enum status
seal_sets(struct sealer *sealer, struct str instance, struct str time)
{
    const struct arc_seal_settings *settings = sealer->settings;
    struct new_field field = {.part = ARC_PART_SEAL};
    uint8_t hash[CRYPTO_HASH_SIZE];
    add_tag(&field, "i", instance);
    add_tag(&field, "a", STR("rsa-sha256"));
    add_tag(&field, "t", time);
    add_tag(&field, "cv", str_from_cstr(arc_cv_name(sealer->sealing.cv)));
    add_tag(&field, "d", settings->domain);
    add_tag(&field, "s", settings->selector);
    add_tag(&field, "b", str_make("", 0));
    if (settings->plain) {
        qsort(field.tags, field.count, sizeof field.tags[0], tag_order);
    }
    struct str raw = raw_field(sealer, field.part, field_value(sealer, &field));
    if (raw.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = hash_sets(sealer, raw, hash);
    return status == STATUS_OK ? finish_field(sealer, &field, hash) : status;
}

/* ---- the set */

/* RFC 8617 5.1 step 4, in its order */
static enum status
make_set(struct sealer *sealer)
{
    const struct arc_seal_settings *settings = sealer->settings;
    struct str instance = arena_printf(sealer->arena, "%u", sealer->sealing.instance);
    struct str time = arena_printf(sealer->arena, "%lld", (long long)settings->now);
    struct str results = arena_printf(sealer->arena, "i=%u; %.*s", sealer->sealing.instance,
                                      STR_ARG(str_trim(settings->results)));
    if (instance.p == NULL || time.p == NULL || results.p == NULL) {
        return STATUS_LIMIT;
    }
    sealer->sealing.values[ARC_PART_RESULTS] = results;
    enum status status = sign_message(sealer, instance, time);
    return status == STATUS_OK ? seal_sets(sealer, instance, time) : status;
}

/* RFC 6376 5.4 wants From, RFC 8617 4.1.2 forbids what others may take away or add. */
static bool
headers_are_good(struct str headers)
{
    return headers.n == 0 ||
           (tag_value_has(headers, STR("From")) && !tag_value_has(headers, STR("ARC-Seal")) &&
            !tag_value_has(headers, STR("ARC-Message-Signature")) &&
            !tag_value_has(headers, STR("ARC-Authentication-Results")) &&
            !tag_value_has(headers, STR("Authentication-Results")));
}

/* The settings make fields that can be verified. */
static bool
settings_are_good(struct arena *arena, const struct arc_seal_settings *settings)
{
    struct authres results;
    return headers_are_good(settings->headers) && settings->domain.n > 0 &&
           settings->selector.n > 0 && settings->now >= 0 && settings->now <= TIME_MAX &&
           settings->signer->algorithm == CRYPTO_RSA_SHA256 &&
           authres_parse(arena, settings->results, &results) == STATUS_OK &&
           (results.deviations & AUTHRES_BROKEN_RESULT) == 0;
}

enum status
arc_seal(struct arena *arena, const struct mail_head *head, struct str body,
         const struct arc_verification *verification, const struct arc_seal_settings *settings,
         struct arc_sealing *sealing_out)
{
    static const enum arc_cv cvs[] = {[ARC_RESULT_NONE] = ARC_CV_NONE,
                                      [ARC_RESULT_PASS] = ARC_CV_PASS,
                                      [ARC_RESULT_FAIL] = ARC_CV_FAIL};
    struct arc_chain chain;
    struct sealer sealer = {.arena = arena, .head = head, .settings = settings, .chain = &chain};
    enum status status = arc_chain_collect(arena, head, &chain);
    if (status == STATUS_OK && !settings_are_good(arena, settings)) {
        status = STATUS_SYNTAX;
    }
    if (status != STATUS_OK) {
        return status;
    }
    sealer.sealing.cv = cvs[verification->result];
    bool ended = chain.structure == ARC_STRUCTURE_ENDED;
    if (ended || chain.highest >= ARC_SETS_MAX) {
        *sealing_out = (struct arc_sealing){.result = ended ? ARC_SEAL_ENDED : ARC_SEAL_FULL};
        return STATUS_OK;
    }
    bool same = chain.structure == verification->chain.structure &&
                chain.highest == verification->chain.highest;
    if (!same) {
        return STATUS_BUG;
    }
    sealer.hasher = hasher_create(arena, body);
    if (sealer.hasher == NULL) {
        return STATUS_LIMIT;
    }
    sealer.sealing.instance = chain.highest + 1;
    status = make_set(&sealer);
    if (status == STATUS_OK) {
        *sealing_out = sealer.sealing;
    }
    return status;
}

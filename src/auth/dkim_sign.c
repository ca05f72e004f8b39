#include "auth/dkim_sign.h"

#include "auth/fold.h"
#include "base/encode.h"

/* A name that is in the field as often as it is to be signed. */
struct signed_names {
    struct str *items;
    size_t count;
};

const struct dkim_sign_field dkim_sign_fields[] = {
    {STR_INIT("From"), true},
    {STR_INIT("To"), true},
    {STR_INIT("Cc"), true},
    {STR_INIT("Subject"), true},
    {STR_INIT("Date"), true},
    {STR_INIT("Reply-To"), true},
    {STR_INIT("MIME-Version"), true},
    {STR_INIT("Content-Type"), true},
    {STR_INIT("Content-Transfer-Encoding"), true},
    {STR_INIT("List-Unsubscribe"), true},
    {STR_INIT("List-Unsubscribe-Post"), true}, /* RFC 8058 4 */
    {STR_INIT("Sender"), false},
    {STR_INIT("Message-ID"), false},
    {STR_INIT("In-Reply-To"), false},
    {STR_INIT("References"), false},
    {STR_INIT("List-Id"), false},
    {STR_INIT("Autocrypt"), false},
};

const size_t dkim_sign_field_count = sizeof dkim_sign_fields / sizeof dkim_sign_fields[0];

static size_t
occurrences(const struct mail_head *head, struct str name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        count += str_eq_nocase(head->fields[i].name, name) ? 1 : 0;
    }
    return count;
}

static enum status
choose_names(struct arena *arena, const struct dkim_sign_request *request,
             struct signed_names *names)
{
    const struct dkim_sign_field *fields =
        request->fields != NULL ? request->fields : dkim_sign_fields;
    size_t count = request->fields != NULL ? request->field_count : dkim_sign_field_count;
    names->items = arena_alloc_array(arena, DKIM_NAMES_MAX, sizeof *names->items);
    names->count = 0;
    if (names->items == NULL) {
        return STATUS_LIMIT;
    }
    bool from = false;
    for (size_t i = 0; i < count; i++) {
        size_t present = occurrences(request->head, fields[i].name);
        size_t times = present + (fields[i].oversign ? 1 : 0);
        if (!mail_field_name_is_valid(fields[i].name) || str_contains_char(fields[i].name, ';')) {
            return STATUS_SYNTAX;
        }
        if (times > DKIM_NAMES_MAX - names->count) {
            return STATUS_LIMIT;
        }
        from = from || (present > 0 && str_eq_nocase(fields[i].name, STR("From")));
        for (size_t t = 0; t < times; t++) {
            names->items[names->count++] = fields[i].name;
        }
    }
    return from ? STATUS_OK : STATUS_SYNTAX;
}

/* ---- writing */

__attribute__((format(printf, 3, 4))) static void
fold_printf(struct fold *fold, struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str word = arena_vprintf(arena, format, args);
    va_end(args);
    if (word.p == NULL) {
        fold->status = STATUS_LIMIT;
        return;
    }
    fold_word(fold, word);
}

static void
write_names(struct fold *fold, struct arena *arena, const struct signed_names *names)
{
    fold_printf(fold, arena, "h=%.*s%s", STR_ARG(names->items[0]), names->count > 1 ? ":" : ";");
    for (size_t i = 1; i < names->count; i++) {
        struct str word = arena_printf(arena, "%.*s%s", STR_ARG(names->items[i]),
                                       i + 1 < names->count ? ":" : ";");
        if (word.p == NULL) {
            fold->status = STATUS_LIMIT;
            return;
        }
        fold_join(fold, word);
    }
}

/* The field up to and with "b=". */
static void
write_field(struct fold *fold, struct arena *arena, const struct dkim_sign_request *request,
            const struct dkim_sign_key *key, const struct signed_names *names)
{
    fold_printf(fold, arena, "v=1;");
    fold_printf(fold, arena, "a=%s;", crypto_algorithm_name(key->signer.algorithm));
    fold_printf(fold, arena, "c=%s/%s;", canonical_name(request->head_form),
                canonical_name(request->body_form));
    fold_printf(fold, arena, "d=%.*s;", STR_ARG(request->domain));
    fold_printf(fold, arena, "s=%.*s;", STR_ARG(key->selector));
    if (request->identity.n > 0) {
        fold_printf(fold, arena, "i=%.*s;", STR_ARG(request->identity));
    }
    fold_printf(fold, arena, "t=%lld;", (long long)request->time);
    if (request->expires != DKIM_NO_TIME) {
        fold_printf(fold, arena, "x=%lld;", (long long)request->expires);
    }
    write_names(fold, arena, names);
}

struct signing {
    struct arena *arena;
    const struct dkim_sign_request *request;
    const struct dkim_sign_key *key;
    const struct signed_names *names;
    struct str body_hash; /* base 64 */
};

/* Asks for the signature over the header with the field so far, and appends it. */
static enum status
sign_field(const struct signing *signing, struct fold *fold, struct str field)
{
    uint8_t hash[CRYPTO_HASH_SIZE];
    struct buf signature;
    const struct dkim_header_hash what = {
        .head = signing->request->head,
        .form = signing->request->head_form,
        .names = signing->names->items,
        .name_count = signing->names->count,
        .raw = field,
        .without = str_skip(field, field.n),
    };
    enum status status = dkim_header_hash(signing->arena, &what, hash);
    if (status != STATUS_OK) {
        return status;
    }
    buf_init(&signature, CRYPTO_SIGNATURE_MAX);
    const struct crypto_signer *signer = &signing->key->signer;
    status = signer->sign(signer->ctx, str_make((const char *)hash, sizeof hash), &signature);
    struct str text = base64_encode(signing->arena, buf_str(&signature));
    buf_free(&signature);
    if (status == STATUS_OK) {
        fold_run(fold, text);
        status = text.p != NULL ? fold->status : STATUS_LIMIT;
    }
    return status;
}

static enum status
sign_with(const struct signing *signing, struct buf *out)
{
    struct buf text;
    struct fold fold;
    buf_init(&text, DKIM_SIGN_FIELDS_MAX);
    fold_init(&fold, &text, DKIM_SIGN_COLUMNS, STR("DKIM-Signature"));
    write_field(&fold, signing->arena, signing->request, signing->key, signing->names);
    fold_printf(&fold, signing->arena, "bh=%.*s;", STR_ARG(signing->body_hash));
    fold_word(&fold, STR("b="));
    enum status status =
        fold.status == STATUS_OK ? sign_field(signing, &fold, buf_str(&text)) : fold.status;
    if (status == STATUS_OK) {
        status = buf_append(&text, STR("\r\n"));
    }
    if (status == STATUS_OK) {
        status = buf_append(out, buf_str(&text));
    }
    buf_free(&text);
    return status;
}

static enum status
hash_body(struct arena *arena, const struct dkim_sign_request *request, struct str *text_out)
{
    struct canonical_hash hash;
    uint8_t octets[CANONICAL_HASH_SIZE];
    enum status status = canonical_hash_init(&hash, request->body_form, CANONICAL_NO_LIMIT);
    if (status != STATUS_OK) {
        return status;
    }
    canonical_hash_feed(&hash, request->body);
    status = canonical_hash_finish(&hash, octets);
    if (status != STATUS_OK) {
        return status;
    }
    *text_out = base64_encode(arena, str_make((const char *)octets, sizeof octets));
    return text_out->p != NULL ? STATUS_OK : STATUS_LIMIT;
}

/* What is written into the field as it is must not end a tag. */
static bool
is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ';') {
            return false;
        }
    }
    return true;
}

static bool
names_are_plain(const struct dkim_sign_request *request)
{
    bool plain = request->domain.n > 0 && is_plain(request->domain) && is_plain(request->identity);
    for (size_t i = 0; i < request->key_count; i++) {
        plain = plain && request->keys[i].selector.n > 0 && is_plain(request->keys[i].selector);
    }
    return plain;
}

/* Its first line would become a continuation of the field that is put on top of it. */
static bool
begins_with_blank(const struct mail_head *head)
{
    return head->raw.n > 0 && char_is_blank(head->raw.p[0]);
}

enum status
dkim_sign(struct arena *arena, const struct dkim_sign_request *request, struct buf *fields_out)
{
    struct signed_names names;
    struct signing signing = {.arena = arena, .request = request, .names = &names};
    struct buf fields;
    bool good = names_are_plain(request) && !begins_with_blank(request->head);
    enum status status = good ? choose_names(arena, request, &names) : STATUS_SYNTAX;
    if (status == STATUS_OK) {
        status = hash_body(arena, request, &signing.body_hash);
    }
    buf_init(&fields, DKIM_SIGN_FIELDS_MAX);
    for (size_t i = 0; status == STATUS_OK && i < request->key_count; i++) {
        signing.key = &request->keys[i];
        status = sign_with(&signing, &fields);
    }
    if (status == STATUS_OK) {
        status = buf_append(fields_out, buf_str(&fields));
    }
    buf_free(&fields);
    return status;
}

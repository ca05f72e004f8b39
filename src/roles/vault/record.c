#include "roles/vault/record.h"

#include "auth/der.h"
#include "auth/tag_list.h"
#include "base/encode.h"
#include "dns/rdata.h"

/* RFC 1035 3.3: a character-string's length is one octet. */
#define STRING_MAX 255u

struct str
key_record_name(struct arena *arena, struct str domain, struct str selector)
{
    return arena_printf(arena, "%.*s._domainkey.%.*s", STR_ARG(selector), STR_ARG(domain));
}

struct str
key_record_text(struct arena *arena, enum crypto_algorithm algorithm, struct str public_key)
{
    struct str encoded = base64_encode(arena, public_key);
    if (encoded.p == NULL) {
        return encoded;
    }
    return arena_printf(arena, "v=DKIM1; k=%s; p=%.*s", crypto_key_type_name(algorithm),
                        STR_ARG(encoded));
}

struct str
key_record_zone(struct arena *arena, struct str name, struct str text)
{
    if (text.n <= STRING_MAX) {
        return arena_printf(arena, "%.*s. IN TXT \"%.*s\"\n", STR_ARG(name), STR_ARG(text));
    }
    struct str zone = arena_printf(arena, "%.*s. IN TXT (\n", STR_ARG(name));
    while (text.n > 0 && zone.p != NULL) {
        struct str part = str_head(text, STRING_MAX);
        text = str_skip(text, STRING_MAX);
        zone = arena_printf(arena, "%.*s    \"%.*s\"%s\n", STR_ARG(zone), STR_ARG(part),
                            text.n == 0 ? " )" : "");
    }
    return zone;
}

/* ---- what the DNS shows */

/* A colon list that, where it is there, must have `word`. */
static bool
list_allows(const struct tag_list *list, struct str tag_name, struct str word)
{
    const struct tag *tag = tag_list_find(list, tag_name);
    return tag == NULL || tag_value_has(tag->value, word);
}

/* RSA is published in two forms of DER: the same numbers are the same key. */
static bool
same_key(enum crypto_algorithm algorithm, struct str ours, struct str theirs)
{
    struct der_rsa a;
    struct der_rsa b;
    if (str_eq(ours, theirs)) {
        return true;
    }
    return algorithm == CRYPTO_RSA_SHA256 && der_rsa_public(ours, &a) == STATUS_OK &&
           der_rsa_public(theirs, &b) == STATUS_OK && str_eq(a.modulus, b.modulus) &&
           str_eq(a.exponent, b.exponent);
}

static enum key_seen
compare_key(struct arena *arena, enum crypto_algorithm algorithm, struct str public_key,
            const struct tag_list *list)
{
    const struct tag *k = tag_list_find(list, STR("k"));
    const struct tag *p = tag_list_find(list, STR("p"));
    struct str octets;
    if (p == NULL) {
        return KEY_SEEN_UNREADABLE;
    }
    if (str_is_empty(tag_value_squeeze(arena, p->value))) {
        return KEY_SEEN_REVOKED;
    }
    if (tag_value_base64(arena, p->value, &octets) != STATUS_OK) {
        return KEY_SEEN_UNREADABLE;
    }
    /* RFC 6376 3.6.1: "k=" is "rsa" when it is not there. */
    struct str type = k != NULL ? k->value : STR("rsa");
    bool same_type = str_eq_nocase(type, str_from_cstr(crypto_key_type_name(algorithm)));
    return same_type && same_key(algorithm, public_key, octets) ? KEY_SEEN_SHOWN
                                                                : KEY_SEEN_DIFFERENT;
}

static enum key_seen
compare_text(struct arena *arena, enum crypto_algorithm algorithm, struct str public_key,
             struct str text)
{
    struct tag_list list;
    if (tag_list_parse(text, TAG_LIST_UTF8, &list) != TAG_LIST_OK || list.count == 0) {
        return KEY_SEEN_UNREADABLE;
    }
    /* RFC 6376 3.6.1: where "v=" is there, it must be the first tag and say DKIM1. */
    const struct tag *v = tag_list_find(&list, STR("v"));
    if (v != NULL && (v != &list.tags[0] || !str_eq(v->value, STR("DKIM1")))) {
        return KEY_SEEN_UNREADABLE;
    }
    enum key_seen seen = compare_key(arena, algorithm, public_key, &list);
    if (seen != KEY_SEEN_SHOWN) {
        return seen;
    }
    /* RFC 6376 3.6.1: "*" is a word of s= alone, in h= it is an algorithm that nobody knows. */
    if (!list_allows(&list, STR("h"), STR("sha256")) ||
        !(list_allows(&list, STR("s"), STR("email")) || list_allows(&list, STR("s"), STR("*")))) {
        return KEY_SEEN_UNUSABLE;
    }
    const struct tag *t = tag_list_find(&list, STR("t"));
    return t != NULL && tag_value_has(t->value, STR("y")) ? KEY_SEEN_TESTING : KEY_SEEN_SHOWN;
}

enum key_seen
key_record_compare(struct arena *arena, enum crypto_algorithm algorithm, struct str public_key,
                   const struct dns_answer *answer, struct str *shown_out)
{
    struct str text;
    *shown_out = STR("");
    if (answer->security == DNS_SECURITY_BOGUS) {
        return KEY_SEEN_BOGUS;
    }
    if (dns_outcome_is_temporary(answer->outcome)) {
        return KEY_SEEN_FAILED;
    }
    if (answer->record_count == 0) {
        return KEY_SEEN_ABSENT;
    }
    if (dns_rdata_txt(arena, answer->records[0], &text) != STATUS_OK) {
        return KEY_SEEN_UNREADABLE;
    }
    *shown_out = text;
    /* RFC 6376 3.6.2.2: the record must be the only one; with several, results are undefined. */
    return answer->record_count > 1 ? KEY_SEEN_SEVERAL
                                    : compare_text(arena, algorithm, public_key, text);
}

#include "auth/arc_field.h"

#include "mail/token.h"

/* 1*2DIGIT, 1 to 50 (RFC 8617 4.2.1); 0: it is not. */
static unsigned
parse_instance(struct str s)
{
    uint64_t instance;
    if (s.n > 2 || str_parse_u64(s, ARC_SETS_MAX, &instance) != STATUS_OK) {
        return 0;
    }
    return (unsigned)instance;
}

unsigned
arc_results_parse(struct str value, struct str *results_out)
{
    struct str rest = value;
    size_t digits = 0;
    /* RFC 8617 4.1.1: instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position, then [CFWS] ";" */
    if (mail_token_skip_cfws(&rest) != STATUS_OK || !mail_token_char(&rest, 'i') ||
        mail_token_skip_cfws(&rest) != STATUS_OK || !mail_token_char(&rest, '=') ||
        mail_token_skip_cfws(&rest) != STATUS_OK) {
        return 0;
    }
    while (digits < rest.n && char_is_digit(rest.p[digits])) {
        digits++;
    }
    unsigned instance = parse_instance(str_head(rest, digits));
    rest = str_skip(rest, digits);
    if (mail_token_skip_cfws(&rest) != STATUS_OK || !mail_token_char(&rest, ';')) {
        return 0;
    }
    *results_out = rest;
    return instance;
}

/* The value of a tag; {NULL,0} when it is not there. */
static struct str
value_of(const struct tag_list *tags, const char *name)
{
    const struct tag *tag = tag_list_find(tags, str_from_cstr(name));
    return tag != NULL ? tag->value : str_make(NULL, 0);
}

unsigned
arc_message_signature_parse(struct arena *arena, struct str value,
                            struct arc_message_signature *signature_out)
{
    struct arc_message_signature signature = {0};
    struct tag_list tags;
    if (tag_list_parse(value, TAG_LIST_UTF8, &tags) != TAG_LIST_OK) {
        return 0;
    }
    enum dkim_problem problem = dkim_signature_from_tags(
        arena, &tags, DKIM_SIGNATURE_ARC | DKIM_SIGNATURE_UTF8, &signature.dkim);
    if (problem != DKIM_PROBLEM_NONE) {
        signature.fault = dkim_problem_text(problem);
    } else if (signature.dkim.algorithm != CRYPTO_RSA_SHA256) {
        signature.fault = "the algorithm (a=) is not rsa-sha256"; /* RFC 8617 4.1.2 */
    }
    signature.has_form = tag_list_find(&tags, STR("c")) != NULL;
    *signature_out = signature;
    return parse_instance(value_of(&tags, "i"));
}

/* 1*12DIGIT, if it is there (RFC 6376 3.5) */
static bool
time_is_good(struct str value)
{
    uint64_t seconds;
    return value.p == NULL ||
           (value.n <= DKIM_TIME_DIGITS && str_parse_u64(value, UINT64_MAX, &seconds) == STATUS_OK);
}

/* All but cv= and h=. NULL, or what is wrong. */
static const char *
read_seal(struct arena *arena, const struct tag_list *tags, struct arc_seal_tags *seal)
{
    const struct tag *b = tag_list_find(tags, STR("b"));
    /* RFC 8617 4.1.3, RFC 8301: no other algorithm was defined for ARC. */
    if (!str_eq_nocase(value_of(tags, "a"), STR("rsa-sha256"))) {
        return "the algorithm of the seal (a=) is not rsa-sha256";
    }
    if (b == NULL || tag_value_base64(arena, b->value, &seal->signature) != STATUS_OK ||
        seal->signature.n == 0) {
        return "there is no signature in the seal (b=)";
    }
    seal->b_value = b->raw;
    if (dkim_name_read(arena, value_of(tags, "d"), true, &seal->domain) != STATUS_OK) {
        return "the sealing domain (d=) is not a domain name";
    }
    if (dkim_name_read(arena, value_of(tags, "s"), false, &seal->selector) != STATUS_OK) {
        return "the selector of the seal (s=) is not a name";
    }
    return time_is_good(value_of(tags, "t")) ? NULL : "the time of sealing (t=) is not a number";
}

/* cv= in any letter case, as RFC 5234 2.3 has literals. False: it is none. */
static bool
read_cv(struct str value, enum arc_cv *cv_out)
{
    for (enum arc_cv cv = ARC_CV_NONE; cv <= ARC_CV_FAIL; cv++) {
        if (str_eq_nocase(value, str_from_cstr(arc_cv_name(cv)))) {
            *cv_out = cv;
            return true;
        }
    }
    return false;
}

unsigned
arc_seal_parse(struct arena *arena, struct str value, struct arc_seal_tags *seal_out)
{
    struct arc_seal_tags seal = {0};
    struct tag_list tags;
    if (tag_list_parse(value, TAG_LIST_UTF8, &tags) != TAG_LIST_OK) {
        return 0;
    }
    seal.fault = read_seal(arena, &tags, &seal);
    if (tag_list_find(&tags, STR("h")) != NULL) {
        seal.fault = "the seal has a list of fields (h=)"; /* RFC 8617 4.1.3 */
    }
    if (!read_cv(value_of(&tags, "cv"), &seal.cv)) {
        seal.fault = "the seal does not say how the chain was (cv=)";
    }
    *seal_out = seal;
    return parse_instance(value_of(&tags, "i"));
}

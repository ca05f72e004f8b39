#include "transport/tls_result.h"

static const struct {
    const char *name;
    const char *text;
} results[TLS_RESULT_COUNT_] = {
    {"success", ""},
#define TLS_RESULT(NAME, word, text) {word, text},
#include "transport/tls_result.def"
#undef TLS_RESULT
};

static const char *const policy_types[TLS_POLICY_COUNT_] = {"no-policy-found", "sts", "tlsa"};

const char *
tls_result_name(enum tls_result result)
{
    return results[result].name;
}

const char *
tls_result_text(enum tls_result result)
{
    return results[result].text;
}

enum tls_result
tls_result_find(struct str name)
{
    for (unsigned i = TLS_RESULT_SUCCESS + 1; i < TLS_RESULT_COUNT_; i++) {
        if (str_eq_nocase(name, str_from_cstr(results[i].name))) {
            return (enum tls_result)i;
        }
    }
    return TLS_RESULT_SUCCESS;
}

const char *
tls_policy_type_name(enum tls_policy_type type)
{
    return policy_types[type];
}

enum tls_policy_type
tls_policy_type_find(struct str name)
{
    for (unsigned i = 0; i < TLS_POLICY_COUNT_; i++) {
        if (str_eq_nocase(name, str_from_cstr(policy_types[i]))) {
            return (enum tls_policy_type)i;
        }
    }
    return TLS_POLICY_COUNT_;
}

#include "tls/setting.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

bool
tls_setting_text(SSL_CTX *context, struct str value, const char *fallback, tls_setting_apply *apply)
{
    char *text = str_is_empty(value) ? NULL : strndup(value.p, value.n);
    const char *chosen = text != NULL ? text : fallback;
    bool done = chosen == NULL || apply(context, chosen) == 1;
    free(text);
    return done;
}

int
tls_setting_server_ciphers(SSL_CTX *context, const char *text)
{
    char *list = NULL;
    if (asprintf(&list, "%s:!kRSA", text) < 0) {
        abort();
    }
    int done = SSL_CTX_set_cipher_list(context, list);
    free(list);
    return done;
}

static int
set_groups(SSL_CTX *context, char *list)
{
    return (int)SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, list);
}

/* Whether a name that begins with ? is known without it. */
static bool
optional_is_known(SSL_CTX *context, struct str word)
{
    char *name = strndup(word.p + 1, word.n - 1);
    bool known = name != NULL && name[0] != '\0' && set_groups(context, name) == 1;
    free(name);
    if (!known) {
        ERR_clear_error();
    }
    return known;
}

int
tls_setting_groups(SSL_CTX *context, const char *text)
{
    struct str rest = str_from_cstr(text);
    char *list = malloc(rest.n + 1); /* never longer than the text */
    size_t n = 0;
    if (list == NULL) {
        abort();
    }
    while (rest.n > 0) {
        size_t end = str_find_char(rest, ':');
        struct str word = str_head(rest, end);
        rest = str_skip(rest, end == STR_NPOS ? rest.n : end + 1);
        bool optional = word.n > 0 && word.p[0] == '?';
        if (optional && !optional_is_known(context, word)) {
            continue;
        }
        if (n > 0) {
            list[n++] = ':';
        }
        word = str_skip(word, optional ? 1 : 0);
        memcpy(list + n, word.p, word.n);
        n += word.n;
    }
    list[n] = '\0';
    int done = n > 0 ? set_groups(context, list) : 0;
    free(list);
    return done;
}

#include "tls/setting.h"

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

int
tls_setting_groups(SSL_CTX *context, const char *text)
{
    /* The library takes a pointer to changeable text and does not change it. */
    void *list = NULL;
    memcpy(&list, &text, sizeof text);
    return (int)SSL_CTX_ctrl(context, SSL_CTRL_SET_GROUPS_LIST, 0, list);
}

/*
 * Fuzz target: what a server answers. The first octet chooses the session (protocol, TLS, probe),
 * the rest is fed in pieces whose length is taken from the octet before each.
 */
#include "smtp/client.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smtp_client_recipient recipients[] = {
    {.address = STR_INIT("b@y.example"), .notify = SMTP_DSN_NOTIFY_FAILURE},
    {.address = STR_INIT("\xc3\xbc@y.example"), .orcpt = STR_INIT("rfc822;c@z")},
};

static void
drain(struct smtp_client *client)
{
    struct str pieces[4];
    size_t count;
    while ((count = smtp_client_output(client, pieces, 4)) > 0) {
        size_t n = 0;
        for (size_t i = 0; i < count; i++) {
            n += pieces[i].n;
        }
        smtp_client_output_written(client, n > 1 ? n - n / 3 : n);
    }
}

/* Whatever was answered, a recipient is without a result only while the session goes on. */
static void
check_results(struct smtp_client *client, const struct smtp_client_message *message)
{
    const struct smtp_client_result *results = smtp_client_results(client);
    for (size_t i = 0; results != NULL && i < message->recipient_count; i++) {
        if (results[i].outcome == SMTP_CLIENT_PENDING) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned mode = size > 0 ? data[0] : 0;
    struct smtp_client_settings settings = {.protocol =
                                                mode & 1 ? SMTP_CLIENT_LMTP : SMTP_CLIENT_SMTP,
                                            .tls = (enum smtp_client_tls)((mode >> 1) % 3),
                                            .hostname = STR("gw.example")};
    struct str head = STR("Subject: s\r\n\r\n");
    struct str body = mode & 16 ? STR(".\r\n\xc3\xbc\n.\r\n") : STR("text\r\n");
    struct smtp_content_form form;
    smtp_content_look(head, body, &form);
    struct smtp_client_message message = {.sender = STR("a@x.example"),
                                          .recipients = recipients,
                                          .recipient_count = mode & 8 ? 1 : 2,
                                          .head = head,
                                          .body = body,
                                          .form = &form};
    struct smtp_client *client = smtp_client_create(&settings);
    size_t at = 1;
    enum smtp_client_action action = SMTP_CLIENT_WAIT;
    while (at < size && action != SMTP_CLIENT_CLOSED) {
        size_t n = data[at++];
        n = n > size - at ? size - at : n;
        action = smtp_client_feed(client, str_make((const char *)data + at, n));
        at += n;
        if (action == SMTP_CLIENT_START_TLS) {
            smtp_client_tls_started(client);
        } else if (action == SMTP_CLIENT_READY) {
            check_results(client, &message);
            if (mode & 32) {
                smtp_client_probe(client, &message);
            } else {
                smtp_client_send(client, &message);
            }
        }
        drain(client);
    }
    smtp_client_failed(client, SMTP_CLIENT_LOST, STR("the end"));
    check_results(client, &message);
    smtp_client_destroy(&client);
    return 0;
}

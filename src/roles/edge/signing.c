#include "roles/edge/signing.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/packet.h"
#include "roles/signer/signer.h"
#include "tls/signable.h"

/* Room for a question: what is signed, the key's id, and the message around them. */
#define PACKET_MAX (TLS_SIGNABLE_MAX + 1024u)

void
signing_init(struct signing *signing)
{
    *signing = (struct signing){.fd = -1};
}

void
signing_fini(struct signing *signing)
{
    if (signing->fd >= 0) {
        close(signing->fd);
    }
    signing->fd = -1;
}

void
signing_connect(struct signing *signing, int fd)
{
    signing_fini(signing);
    if (packet_prepare_socket(fd) != STATUS_OK) {
        LOG_ERROR("the socket to the signer cannot be used");
        close(fd);
        return;
    }
    signing->fd = fd;
    signing->rest_until_ms = 0;
    signing->stalled = false;
}

static void
lose(struct signing *signing, enum status status)
{
    LOG_AT(status == STATUS_END ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR,
           "the signer has gone; there are no TLS handshakes until it is back",
           LOG_CSTR("status", status_name(status)));
    signing_fini(signing);
}

bool
signing_is_up(const struct signing *signing)
{
    return signing->fd >= 0 &&
           (signing->rest_until_ms == 0 || clock_monotonic_ms() >= signing->rest_until_ms);
}

bool
signing_drain(struct signing *signing)
{
    enum status status = signing->fd >= 0 ? STATUS_OK : STATUS_END;
    while (status == STATUS_OK) {
        struct ipc_message *late;
        status = channel_plain_receive(signing->fd, ROLE_SIGNER, ROLE_EDGE, 0, &late);
        if (status == STATUS_OK) {
            ipc_message_free(&late);
        }
    }
    if (signing->fd >= 0 && status != STATUS_TEMPORARY && status != STATUS_AGAIN) {
        lose(signing, status);
    }
    return signing->fd >= 0;
}

/* Without waiting: a signer whose socket is full answers nobody. */
static enum status
send_question(struct signing *signing, const struct tls_key_id *key, uint16_t scheme,
              struct str input)
{
    struct msg_tls_sign fields = {
        .key = str_make((const char *)key->octets, sizeof key->octets),
        .scheme = scheme,
        .input = input,
    };
    struct buf packet;
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    buf_init(&packet, PACKET_MAX);
    enum status status =
        ipc_encode(MSG_TLS_SIGN, ++signing->request, &fields, &packet, fds, &fd_count);
    if (status == STATUS_OK) {
        status = packet_send(signing->fd, buf_str(&packet), NULL, 0);
    }
    buf_free(&packet);
    return status;
}

/* The answer to the last question; those to earlier ones, which came too late, are dropped. */
static enum status
receive_answer(struct signing *signing, struct ipc_message **answer_out)
{
    int64_t const end_ms = clock_monotonic_ms() + SIGNING_WAIT_MS;
    for (;;) {
        struct ipc_message *message;
        int64_t const left_ms = end_ms - clock_monotonic_ms();
        enum status status = channel_plain_receive(signing->fd, ROLE_SIGNER, ROLE_EDGE,
                                                   left_ms > 0 ? (int)left_ms : 0, &message);
        if (status != STATUS_OK) {
            return status;
        }
        if (message->request == signing->request) {
            *answer_out = message;
            return STATUS_OK;
        }
        ipc_message_free(&message);
    }
}

static enum status
read_answer(const struct ipc_message *message, struct tls_signature *signature_out)
{
    const struct msg_tls_signed *answer = MSG_BODY(message, tls_signed);
    switch (answer->outcome) {
    case SIGNER_SIGNED:
        memcpy(signature_out->octets, answer->signature.p, answer->signature.n);
        signature_out->n = answer->signature.n;
        return STATUS_OK;
    case SIGNER_REFUSED:
        return STATUS_DENIED;
    case SIGNER_UNKNOWN_KEY:
        return STATUS_NOT_FOUND;
    default:
        return STATUS_IO;
    }
}

/* What a failure says about the line; returns what the handshake is told. */
static enum status
note_failure(struct signing *signing, enum status status)
{
    if (status == STATUS_AGAIN || status == STATUS_TEMPORARY) {
        if (!signing->stalled) {
            LOG_ERROR("the signer does not answer", LOG_INT("wait_ms", SIGNING_WAIT_MS));
        }
        signing->stalled = true;
        signing->rest_until_ms = clock_monotonic_ms() + SIGNING_REST_MS;
        return STATUS_TEMPORARY;
    }
    lose(signing, status);
    return status == STATUS_END ? STATUS_TEMPORARY : STATUS_SYNTAX;
}

enum status
signing_sign(void *context, const struct tls_key_id *key, uint16_t scheme, struct str input,
             struct tls_signature *signature_out)
{
    struct signing *signing = context;
    struct ipc_message *message;
    if (!signing_is_up(signing)) {
        signing->failures++;
        return STATUS_TEMPORARY;
    }
    if (input.n > TLS_SIGNABLE_MAX) {
        signing->failures++;
        return STATUS_DENIED;
    }
    enum status status = send_question(signing, key, scheme, input);
    if (status == STATUS_OK) {
        status = receive_answer(signing, &message);
    }
    if (status != STATUS_OK) {
        signing->failures++;
        return note_failure(signing, status);
    }
    signing->stalled = false;
    status = read_answer(message, signature_out);
    ipc_message_free(&message);
    signing->failures += status != STATUS_OK ? 1 : 0;
    return status;
}

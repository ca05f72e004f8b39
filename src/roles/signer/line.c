#include "roles/signer/line.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/channel.h"
#include "ipc/packet.h"

/* Signatures with RSA of 16384 bits need less than 64 KiB; a packet's room is thread-local. */
#define STACK_SIZE    ((size_t)1 << 20)
/* A taken-over edge must not fill the log: one line a minute. */
#define LOG_REST_MS   60000
/* Without an end: the thread waits for its edge. */
#define WAIT_FOR_EVER (-1)

struct signer_line {
    struct signer_line_settings settings;
    int fd;
    pthread_t thread;
    int64_t silent_until_ms; /* of the log about refusals */
};

static void
log_refusal(struct signer_line *line, enum signer_outcome outcome, uint16_t scheme, size_t octets)
{
    int64_t const now_ms = clock_monotonic_ms();
    if (now_ms < line->silent_until_ms) {
        return;
    }
    line->silent_until_ms = now_ms + LOG_REST_MS;
    if (outcome == SIGNER_REFUSED) {
        LOG_ERROR("an edge wanted a signature of what is no TLS handshake",
                  LOG_INT("instance", line->settings.instance), LOG_INT("scheme", scheme),
                  LOG_INT("octets", octets));
    } else if (outcome == SIGNER_UNKNOWN_KEY) {
        LOG_WARN("an edge wanted a signature with a key that is not here",
                 LOG_INT("instance", line->settings.instance));
    } else {
        LOG_ERROR("a signature could not be made", LOG_INT("instance", line->settings.instance),
                  LOG_INT("scheme", scheme));
    }
}

static void
count(struct signer_counts *counts, enum signer_outcome outcome)
{
    switch (outcome) {
    case SIGNER_SIGNED:
        atomic_fetch_add(&counts->signatures, 1);
        break;
    case SIGNER_REFUSED:
        atomic_fetch_add(&counts->refused, 1);
        break;
    case SIGNER_UNKNOWN_KEY:
        atomic_fetch_add(&counts->unknown_keys, 1);
        break;
    case SIGNER_FAILED:
        atomic_fetch_add(&counts->failures, 1);
        break;
    }
}

static enum signer_outcome
sign(const struct signer_line *line, const struct msg_tls_sign *ask,
     struct tls_signature *signature_out)
{
    struct tls_key_id id;
    if (ask->key.n != sizeof id.octets) {
        return SIGNER_UNKNOWN_KEY;
    }
    memcpy(id.octets, ask->key.p, sizeof id.octets);
    struct tls_signing_key *key = key_store_find(line->settings.keys, &id);
    if (key == NULL) {
        return SIGNER_UNKNOWN_KEY;
    }
    enum status status = tls_signing_key_sign(key, ask->scheme, ask->input, signature_out);
    tls_signing_key_unref(&key);
    return status == STATUS_OK                                  ? SIGNER_SIGNED
           : status == STATUS_DENIED || status == STATUS_SYNTAX ? SIGNER_REFUSED
                                                                : SIGNER_FAILED;
}

static enum status
answer(struct signer_line *line, const struct ipc_message *message)
{
    const struct msg_tls_sign *ask = MSG_BODY(message, tls_sign);
    struct tls_signature signature = {.n = 0};
    enum signer_outcome outcome = sign(line, ask, &signature);
    struct msg_tls_signed reply = {.outcome = (uint8_t)outcome};
    count(line->settings.counts, outcome);
    if (outcome == SIGNER_SIGNED) {
        reply.signature = str_make((const char *)signature.octets, signature.n);
    } else {
        log_refusal(line, outcome, ask->scheme, ask->input.n);
    }
    return channel_plain_send(line->fd, MSG_TLS_SIGNED, message->request, &reply);
}

static void *
line_serve(void *context)
{
    struct signer_line *line = context;
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        struct ipc_message *message;
        status = channel_plain_receive(line->fd, ROLE_EDGE, ROLE_SIGNER, WAIT_FOR_EVER, &message);
        if (status != STATUS_OK) {
            break;
        }
        status = answer(line, message);
        ipc_message_free(&message);
    }
    if (status == STATUS_SYNTAX || status == STATUS_DENIED) {
        LOG_ERROR("an edge broke the rules", LOG_INT("instance", line->settings.instance));
        line->settings.on_breach(line->settings.context, line->settings.instance);
    }
    shutdown(line->fd, SHUT_RDWR); /* the edge sees at once that nobody answers any more */
    return NULL;
}

enum status
signer_line_open(const struct signer_line_settings *settings, int fd, struct signer_line **line_out)
{
    struct signer_line *line = calloc(1, sizeof *line);
    pthread_attr_t attributes;
    bool done = line != NULL && packet_prepare_socket(fd) == STATUS_OK &&
                pthread_attr_init(&attributes) == 0;
    if (done) {
        line->settings = *settings;
        line->fd = fd;
        pthread_attr_setstacksize(&attributes, STACK_SIZE);
        done = pthread_create(&line->thread, &attributes, line_serve, line) == 0;
        pthread_attr_destroy(&attributes);
    }
    if (!done) {
        free(line);
        close(fd);
        return STATUS_IO;
    }
    *line_out = line;
    return STATUS_OK;
}

void
signer_line_close(struct signer_line **line)
{
    struct signer_line *l = *line;
    *line = NULL;
    if (l == NULL) {
        return;
    }
    shutdown(l->fd, SHUT_RDWR);
    pthread_join(l->thread, NULL);
    close(l->fd);
    free(l);
}

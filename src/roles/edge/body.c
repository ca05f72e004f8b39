#include "roles/edge/body.h"

#include <errno.h>
#include <unistd.h>

void
body_init(struct body *body)
{
    buf_init(&body->memory, IPC_BODY_INLINE_MAX);
    body->fd = -1;
    body->size = 0;
}

void
body_reset(struct body *body)
{
    buf_free(&body->memory);
    if (body->fd >= 0) {
        close(body->fd);
    }
    body_init(body);
}

static enum status
write_all(int fd, struct str octets)
{
    while (octets.n > 0) {
        ssize_t written = write(fd, octets.p, octets.n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return STATUS_IO;
        }
        octets = str_skip(octets, (size_t)written);
    }
    return STATUS_OK;
}

/* From memory to a memfd. */
static enum status
body_spill(struct body *body)
{
    enum status status = ipc_memfd_create("message", buf_str(&body->memory), &body->fd);
    if (status == STATUS_OK) {
        buf_free(&body->memory);
    }
    return status;
}

enum status
body_append(struct body *body, struct str octets)
{
    enum status status = STATUS_OK;
    if (body->fd < 0 && octets.n > IPC_BODY_INLINE_MAX - buf_length(&body->memory)) {
        status = body_spill(body);
    }
    if (status == STATUS_OK) {
        status = body->fd < 0 ? buf_append(&body->memory, octets) : write_all(body->fd, octets);
    }
    if (status != STATUS_OK) {
        return STATUS_IO;
    }
    body->size += octets.n;
    return STATUS_OK;
}

enum status
body_finish(struct body *body, size_t inline_max, struct ipc_body *body_out)
{
    if (body->fd < 0 && body->size <= inline_max) {
        *body_out = ipc_body_inline(buf_str(&body->memory));
        return STATUS_OK;
    }
    enum status status = body->fd < 0 ? body_spill(body) : STATUS_OK;
    if (status == STATUS_OK) {
        status = ipc_memfd_seal(body->fd);
    }
    if (status == STATUS_OK) {
        *body_out = ipc_body_fd(body->fd, body->size);
    }
    return status;
}

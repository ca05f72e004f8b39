/*
 * body.h - the content of a message while it comes in: in memory while it is small, then in a
 * memfd that is sealed before it is handed on.
 */
#ifndef POSTERN_ROLES_EDGE_BODY_H
#define POSTERN_ROLES_EDGE_BODY_H

#include "base/buf.h"
#include "ipc/body.h"

struct body {
    struct buf memory; /* empty once there is a memfd */
    int fd;            /* -1: in memory; owned */
    uint64_t size;
};

/* An empty body in memory; ends with body_reset. */
void body_init(struct body *body);
/* Drops the content; the body may be used again. */
void body_reset(struct body *body);
/* STATUS_IO when the system has no room for it. */
[[nodiscard]] enum status body_append(struct body *body, struct str octets);
/*
 * What to hand on, borrowed from the body until it is reset: inline, or the sealed memfd when it is
 * large or `inline_max` says so. Nothing can be appended afterwards. STATUS_IO as above.
 */
[[nodiscard]] enum status body_finish(struct body *body, size_t inline_max,
                                      struct ipc_body *body_out);

#endif

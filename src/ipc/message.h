/*
 * message.h - messages between roles: from struct to octets and back, checked.
 *
 * The catalogue is messages.def. A decoded message owns its octets, its lists and its descriptors;
 * everything a field points to lives until ipc_message_free. The decoder trusts nothing: it refuses
 * a message that its sender may not send or that is not for this receiver, a field over its bound,
 * octets left over, descriptors missing or left over.
 */
#ifndef POSTERN_IPC_MESSAGE_H
#define POSTERN_IPC_MESSAGE_H

#include "base/buf.h"
#include "ipc/messages.h"

/* Largest message in octets, descriptors not counted. */
#define IPC_PACKET_MAX (384u * 1024u)
/* Most descriptors in one message. */
#define IPC_FDS_MAX    8

struct ipc_message {
    enum msg_type type;
    uint64_t request; /* pairs a reply with its request; 0 for notices */
    bool is_reply;
    void *body; /* struct msg_...; see MSG_BODY */
    /* private */
    struct arena *arena;
    char *octets; /* behind the body, in the same memory */
    size_t octet_count;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    bool has_secret;
};

/* The fields of a message whose type is known: MSG_BODY(message, submit)->sender. */
#define MSG_BODY(message, name) ((struct msg_##name *)(message)->body)

/* Names for logs; static, never NULL. */
const char *ipc_type_name(enum msg_type type);
const char *ipc_role_name(enum role role);
/* The role called `name`, or ROLE_COUNT. */
enum role ipc_role_find(struct str name);

/*
 * Appends the octets of a message to *out and its descriptors (borrowed) to fds_out. `fields` is
 * the struct msg_... of the type, NULL for a type without fields. STATUS_LIMIT when a field is over
 * its bound or the whole over IPC_PACKET_MAX; *out is then as before.
 */
[[nodiscard]] enum status ipc_encode(enum msg_type type, uint64_t request, const void *fields,
                                     struct buf *out, int fds_out[static IPC_FDS_MAX],
                                     size_t *fd_count_out);

/*
 * Decodes one packet. Descriptors in `fds` become the message's on success and stay the caller's on
 * failure. STATUS_SYNTAX for anything malformed, STATUS_DENIED for a message that `sender` may not
 * send to `receiver`.
 */
[[nodiscard]] enum status ipc_decode(struct str packet, const int *fds, size_t fd_count,
                                     enum role sender, enum role receiver,
                                     struct ipc_message **message_out);

/* Octets that the message took on its way; for those who count memory. */
size_t ipc_message_octets(const struct ipc_message *message);

/* Closes descriptors that were not taken, wipes secrets, frees, sets *message to NULL. */
void ipc_message_free(struct ipc_message **message);

/*
 * Takes a descriptor (an fd field, or a body's fd) out of a message: it becomes the caller's, who
 * closes it. Returns -1 when there is none.
 */
int ipc_message_take_fd(struct ipc_message *message, int *field);

/* Appends a one-line description ("submit request=7 id=... "), secrets and bodies left out. */
[[nodiscard]] enum status ipc_message_print(const struct ipc_message *message, struct buf *out);

#endif

/*
 * layout.h - how the generated tables describe messages to the codec; nobody else needs it.
 */
#ifndef POSTERN_IPC_LAYOUT_H
#define POSTERN_IPC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/messages.h"

enum ipc_field_kind {
    IPC_FIELD_U8,
    IPC_FIELD_U16,
    IPC_FIELD_U32,
    IPC_FIELD_U64,
    IPC_FIELD_I64,
    IPC_FIELD_BOOL,
    IPC_FIELD_STR,
    IPC_FIELD_SECRET,
    IPC_FIELD_FD,
    IPC_FIELD_BODY,
    IPC_FIELD_LIST,
};

struct ipc_layout;

struct ipc_field {
    const char *name;
    enum ipc_field_kind kind;
    uint32_t bound;                  /* octets or items; 0 where it has no meaning */
    size_t offset;                   /* in the struct */
    const struct ipc_layout *record; /* of a list's items */
};

struct ipc_layout {
    const char *name;
    const struct ipc_field *fields;
    size_t field_count;
    size_t size; /* of the struct */
};

struct ipc_message_rule {
    const struct ipc_layout *layout;
    bool is_reply;
    uint32_t senders; /* bits 1 << role */
    uint32_t receivers;
};

#define IPC_ROLES_ANY UINT32_MAX

extern const struct ipc_message_rule ipc_message_rules[MSG_TYPE_COUNT];

#endif

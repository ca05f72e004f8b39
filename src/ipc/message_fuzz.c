/*
 * Any octets as a packet of any type: decoding never goes wrong, and what it accepts is encoded
 * again to the same octets.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/layout.h"
#include "ipc/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum role
any_of(uint32_t mask)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if ((mask & 1u << i) != 0) {
            return (enum role)i;
        }
    }
    return ROLE_PARENT;
}

static void
check_round_trip(const struct ipc_message *message, struct str packet)
{
    struct buf again;
    struct buf text;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    buf_init(&again, IPC_PACKET_MAX + 4096);
    buf_init(&text, 16u << 20);
    if (ipc_encode(message->type, message->request, message->body, &again, fds, &fd_count) !=
            STATUS_OK ||
        !str_eq(buf_str(&again), packet)) {
        abort();
    }
    if (ipc_message_print(message, &text) == STATUS_BUG) {
        abort();
    }
    buf_free(&text);
    buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char packet[65536];
    uint16_t head[2];
    struct ipc_message *message;
    int fds[IPC_FDS_MAX];
    if (size < 16 || size > sizeof packet) {
        return 0;
    }
    memcpy(packet, data, size);
    memcpy(head, packet, sizeof head);
    head[0] %= MSG_TYPE_COUNT;
    head[1] %= 3;
    memcpy(packet, head, sizeof head);
    uint32_t length = (uint32_t)(size - 16);
    memcpy(packet + 4, &length, sizeof length);
    for (size_t i = 0; i < head[1]; i++) {
        fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    const struct ipc_message_rule *rule = &ipc_message_rules[head[0]];
    if (ipc_decode(str_make(packet, size), fds, head[1], any_of(rule->senders),
                   any_of(rule->receivers), &message) == STATUS_OK) {
        check_round_trip(message, str_make(packet, size));
        ipc_message_free(&message);
        return 0;
    }
    for (size_t i = 0; i < head[1]; i++) {
        close(fds[i]);
    }
    return 0;
}

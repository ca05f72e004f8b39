#include "ipc/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "ipc/layout.h"
#include "ipc/role_table.h"

/* What lists of a decoded message may take in memory: records are larger than their wire form. */
#define IPC_LISTS_MAX (16u * 1024u * 1024u)

struct packet_header {
    uint16_t type;
    uint16_t fd_count;
    uint32_t length; /* of what follows */
    uint64_t request;
};

/* All lists have this shape; see generate.py. */
struct any_list {
    void *items;
    size_t n;
};

const char *
ipc_type_name(enum msg_type type)
{
    return (unsigned)type < MSG_TYPE_COUNT ? ipc_message_rules[type].layout->name : "unknown";
}

const char *
ipc_role_name(enum role role)
{
    return (unsigned)role < ROLE_COUNT ? role_rows[role].name : "unknown";
}

enum role
ipc_role_find(struct str name)
{
    for (unsigned i = 0; i < ROLE_COUNT; i++) {
        if (str_eq(name, str_from_cstr(role_rows[i].name))) {
            return (enum role)i;
        }
    }
    return ROLE_COUNT;
}

static size_t
number_size(enum ipc_field_kind kind)
{
    static const uint8_t sizes[] = {
        [IPC_FIELD_U8] = 1,  [IPC_FIELD_U16] = 2, [IPC_FIELD_U32] = 4,
        [IPC_FIELD_U64] = 8, [IPC_FIELD_I64] = 8, [IPC_FIELD_BOOL] = 1,
    };
    return (size_t)kind < sizeof sizes ? sizes[kind] : 0;
}

/* ---- encoding */

struct encoder {
    struct buf *out;
    int *fds;
    size_t fd_count;
};

static enum status encode_fields(struct encoder *e, const struct ipc_layout *layout,
                                 const unsigned char *base);

static enum status
encode_octets(struct encoder *e, struct str s, uint32_t bound)
{
    uint32_t n = (uint32_t)s.n;
    if (s.n > bound) {
        return STATUS_LIMIT;
    }
    enum status status = buf_append(e->out, str_make((const char *)&n, sizeof n));
    return status == STATUS_OK ? buf_append(e->out, s) : status;
}

/* A descriptor is announced by one octet; the descriptor itself travels beside the packet. */
static enum status
encode_fd(struct encoder *e, int fd)
{
    if (fd >= 0) {
        if (e->fd_count == IPC_FDS_MAX) {
            return STATUS_LIMIT;
        }
        e->fds[e->fd_count++] = fd;
    }
    return buf_append_char(e->out, fd >= 0 ? 1 : 0);
}

static enum status
encode_body(struct encoder *e, const struct ipc_body *body)
{
    enum status status = encode_fd(e, body->fd);
    if (status != STATUS_OK) {
        return status;
    }
    if (body->fd >= 0) {
        return buf_append(e->out, str_make((const char *)&body->size, sizeof body->size));
    }
    return encode_octets(e, body->octets, IPC_BODY_INLINE_MAX);
}

static enum status
encode_list(struct encoder *e, const struct ipc_field *field, const struct any_list *list)
{
    uint32_t n = (uint32_t)list->n;
    if (list->n > field->bound) {
        return STATUS_LIMIT;
    }
    enum status status = buf_append(e->out, str_make((const char *)&n, sizeof n));
    const unsigned char *item = list->items;
    for (size_t i = 0; status == STATUS_OK && i < list->n; i++) {
        status = encode_fields(e, field->record, item);
        item += field->record->size;
    }
    return status;
}

static enum status
encode_field(struct encoder *e, const struct ipc_field *field, const unsigned char *at)
{
    struct str s;
    struct any_list list;
    struct ipc_body body;
    int fd;
    switch (field->kind) {
    case IPC_FIELD_STR:
    case IPC_FIELD_SECRET:
        memcpy(&s, at, sizeof s);
        return encode_octets(e, s, field->bound);
    case IPC_FIELD_FD:
        memcpy(&fd, at, sizeof fd);
        return encode_fd(e, fd);
    case IPC_FIELD_BODY:
        memcpy(&body, at, sizeof body);
        return encode_body(e, &body);
    case IPC_FIELD_LIST:
        memcpy(&list, at, sizeof list);
        return encode_list(e, field, &list);
    case IPC_FIELD_U8:
    case IPC_FIELD_U16:
    case IPC_FIELD_U32:
    case IPC_FIELD_U64:
    case IPC_FIELD_I64:
    case IPC_FIELD_BOOL:
        break;
    }
    return buf_append(e->out, str_make((const char *)at, number_size(field->kind)));
}

static enum status
encode_fields(struct encoder *e, const struct ipc_layout *layout, const unsigned char *base)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < layout->field_count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        status = encode_field(e, field, base + field->offset);
    }
    return status;
}

enum status
ipc_encode(enum msg_type type, uint64_t request, const void *fields, struct buf *out,
           int fds_out[static IPC_FDS_MAX], size_t *fd_count_out)
{
    struct packet_header header = {.type = (uint16_t)type, .request = request};
    struct encoder e = {.out = out, .fds = fds_out};
    size_t const before = buf_length(out);
    enum status status = buf_append(out, str_make((const char *)&header, sizeof header));
    if (status == STATUS_OK) {
        status = encode_fields(&e, ipc_message_rules[type].layout, fields);
    }
    size_t const length = buf_length(out) - before;
    if (status == STATUS_OK && length > IPC_PACKET_MAX) {
        status = STATUS_LIMIT;
    }
    if (status != STATUS_OK) {
        out->end -= length;
        return status;
    }
    header.fd_count = (uint16_t)e.fd_count;
    header.length = (uint32_t)(length - sizeof header);
    memcpy(out->data + out->start + before, &header, sizeof header);
    *fd_count_out = e.fd_count;
    return STATUS_OK;
}

/* ---- decoding */

struct decoder {
    struct str in; /* what is left */
    const int *fds;
    size_t fd_count;
    size_t fd_used;
    struct ipc_message *message;
};

static enum status decode_fields(struct decoder *d, const struct ipc_layout *layout,
                                 unsigned char *base);

static enum status
decode_raw(struct decoder *d, void *to, size_t n)
{
    if (d->in.n < n) {
        return STATUS_SYNTAX;
    }
    memcpy(to, d->in.p, n);
    d->in = str_skip(d->in, n);
    return STATUS_OK;
}

static enum status
decode_octets(struct decoder *d, uint32_t bound, struct str *s_out)
{
    uint32_t n;
    if (decode_raw(d, &n, sizeof n) != STATUS_OK || n > bound || n > d->in.n) {
        return STATUS_SYNTAX;
    }
    *s_out = str_head(d->in, n);
    d->in = str_skip(d->in, n);
    return STATUS_OK;
}

static enum status
decode_fd(struct decoder *d, int *fd_out)
{
    uint8_t present;
    if (decode_raw(d, &present, 1) != STATUS_OK || present > 1) {
        return STATUS_SYNTAX;
    }
    if (present == 1 && d->fd_used == d->fd_count) {
        return STATUS_SYNTAX;
    }
    *fd_out = present == 1 ? d->fds[d->fd_used++] : -1;
    return STATUS_OK;
}

static enum status
decode_body(struct decoder *d, struct ipc_body *body_out)
{
    struct ipc_body body = {.fd = -1};
    enum status status = decode_fd(d, &body.fd);
    if (status != STATUS_OK) {
        return status;
    }
    if (body.fd >= 0) {
        status = decode_raw(d, &body.size, sizeof body.size);
    } else {
        status = decode_octets(d, IPC_BODY_INLINE_MAX, &body.octets);
        body.size = body.octets.n;
    }
    *body_out = body;
    return status;
}

static enum status
decode_list(struct decoder *d, const struct ipc_field *field, struct any_list *list_out)
{
    uint32_t n;
    if (decode_raw(d, &n, sizeof n) != STATUS_OK || n > field->bound) {
        return STATUS_SYNTAX;
    }
    /* Each record takes at least one octet: a short packet cannot ask for much memory. */
    if (n > d->in.n) {
        return STATUS_SYNTAX;
    }
    if (n == 0) {
        *list_out = (struct any_list){0};
        return STATUS_OK;
    }
    if (d->message->arena == NULL) {
        d->message->arena = arena_create(IPC_LISTS_MAX);
    }
    unsigned char *items = arena_alloc_array(d->message->arena, n, field->record->size);
    if (items == NULL) {
        return STATUS_SYNTAX;
    }
    for (uint32_t i = 0; i < n; i++) {
        enum status status = decode_fields(d, field->record, items + i * field->record->size);
        if (status != STATUS_OK) {
            return status;
        }
    }
    *list_out = (struct any_list){items, n};
    return STATUS_OK;
}

static enum status
decode_bool(struct decoder *d, bool *out)
{
    uint8_t octet;
    if (decode_raw(d, &octet, 1) != STATUS_OK || octet > 1) {
        return STATUS_SYNTAX;
    }
    *out = octet == 1;
    return STATUS_OK;
}

static enum status
decode_field(struct decoder *d, const struct ipc_field *field, void *at)
{
    switch (field->kind) {
    case IPC_FIELD_SECRET:
        d->message->has_secret = true;
        return decode_octets(d, field->bound, at);
    case IPC_FIELD_STR:
        return decode_octets(d, field->bound, at);
    case IPC_FIELD_FD:
        return decode_fd(d, at);
    case IPC_FIELD_BODY:
        return decode_body(d, at);
    case IPC_FIELD_LIST:
        return decode_list(d, field, at);
    case IPC_FIELD_BOOL:
        return decode_bool(d, at);
    case IPC_FIELD_U8:
    case IPC_FIELD_U16:
    case IPC_FIELD_U32:
    case IPC_FIELD_U64:
    case IPC_FIELD_I64:
        break;
    }
    return decode_raw(d, at, number_size(field->kind));
}

static enum status
decode_fields(struct decoder *d, const struct ipc_layout *layout, unsigned char *base)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        enum status status = decode_field(d, field, base + field->offset);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status
decode_header(struct str packet, size_t fd_count, struct packet_header *header_out)
{
    if (packet.n < sizeof *header_out || packet.n > IPC_PACKET_MAX) {
        return STATUS_SYNTAX;
    }
    memcpy(header_out, packet.p, sizeof *header_out);
    if (header_out->type >= MSG_TYPE_COUNT || header_out->fd_count != fd_count ||
        fd_count > IPC_FDS_MAX || header_out->length != packet.n - sizeof *header_out) {
        return STATUS_SYNTAX;
    }
    return STATUS_OK;
}

/* Message, body and octets in one piece of memory. */
static struct ipc_message *
message_allocate(const struct packet_header *header, struct str payload)
{
    const struct ipc_message_rule *rule = &ipc_message_rules[header->type];
    size_t const head = sizeof(struct ipc_message) + rule->layout->size;
    struct ipc_message *message = malloc(head + payload.n + 1);
    if (message == NULL) {
        abort();
    }
    memset(message, 0, head);
    message->type = (enum msg_type)header->type;
    message->request = header->request;
    message->is_reply = rule->is_reply;
    message->body = message + 1;
    message->octets = (char *)message + head;
    message->octet_count = payload.n;
    memcpy(message->octets, payload.p, payload.n);
    return message;
}

enum status
ipc_decode(struct str packet, const int *fds, size_t fd_count, enum role sender, enum role receiver,
           struct ipc_message **message_out)
{
    struct packet_header header;
    if (decode_header(packet, fd_count, &header) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    const struct ipc_message_rule *rule = &ipc_message_rules[header.type];
    if ((rule->senders & 1u << sender) == 0 || (rule->receivers & 1u << receiver) == 0) {
        return STATUS_DENIED;
    }
    struct ipc_message *message = message_allocate(&header, str_skip(packet, sizeof header));
    struct decoder d = {.in = str_make(message->octets, message->octet_count),
                        .fds = fds,
                        .fd_count = fd_count,
                        .message = message};
    enum status status = decode_fields(&d, rule->layout, message->body);
    if (status == STATUS_OK && (d.in.n > 0 || d.fd_used != fd_count)) {
        status = STATUS_SYNTAX;
    }
    if (status != STATUS_OK) {
        ipc_message_free(&message);
        return status;
    }
    if (fd_count > 0) {
        memcpy(message->fds, fds, fd_count * sizeof *fds);
    }
    message->fd_count = fd_count;
    *message_out = message;
    return STATUS_OK;
}

size_t
ipc_message_octets(const struct ipc_message *message)
{
    return message->octet_count;
}

void
ipc_message_free(struct ipc_message **message)
{
    struct ipc_message *m = *message;
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->fd_count; i++) {
        if (m->fds[i] >= 0) {
            close(m->fds[i]);
        }
    }
    if (m->has_secret) {
        explicit_bzero(m->octets, m->octet_count);
    }
    arena_destroy(&m->arena);
    free(m);
    *message = NULL;
}

int
ipc_message_take_fd(struct ipc_message *message, int *field)
{
    int fd = *field;
    for (size_t i = 0; fd >= 0 && i < message->fd_count; i++) {
        if (message->fds[i] == fd) {
            message->fds[i] = -1;
        }
    }
    *field = -1;
    return fd;
}

/* ---- printing */

static enum status print_fields(struct buf *out, const struct ipc_layout *layout,
                                const unsigned char *base);

static enum status
print_octets(struct buf *out, struct str s)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = c > ' ' && c < 0x7f && c != '\\';
        status = plain ? buf_append_char(out, (char)c) : buf_printf(out, "\\x%02x", c);
    }
    return status;
}

static enum status
print_list(struct buf *out, const struct ipc_field *field, const struct any_list *list)
{
    enum status status = buf_append_char(out, '[');
    const unsigned char *item = list->items;
    for (size_t i = 0; status == STATUS_OK && i < list->n; i++) {
        status = buf_append(out, STR("{"));
        if (status == STATUS_OK) {
            status = print_fields(out, field->record, item + i * field->record->size);
        }
        if (status == STATUS_OK) {
            status = buf_append(out, STR(" }"));
        }
    }
    return status == STATUS_OK ? buf_append_char(out, ']') : status;
}

static enum status
print_number(struct buf *out, const struct ipc_field *field, const unsigned char *at)
{
    uint64_t value = 0;
    memcpy(&value, at, number_size(field->kind)); /* little-endian machines */
    if (field->kind == IPC_FIELD_I64) {
        return buf_printf(out, "%lld", (long long)value);
    }
    return buf_printf(out, "%llu", (unsigned long long)value);
}

static enum status
print_field(struct buf *out, const struct ipc_field *field, const unsigned char *at)
{
    struct ipc_body body;
    struct any_list list;
    struct str s;
    switch (field->kind) {
    case IPC_FIELD_STR:
        memcpy(&s, at, sizeof s);
        return print_octets(out, s);
    case IPC_FIELD_SECRET:
        return buf_append(out, STR("<secret>"));
    case IPC_FIELD_FD:
        return buf_append(out, STR("<fd>"));
    case IPC_FIELD_BODY:
        memcpy(&body, at, sizeof body);
        return buf_printf(out, "<%llu octets>", (unsigned long long)body.size);
    case IPC_FIELD_LIST:
        memcpy(&list, at, sizeof list);
        return print_list(out, field, &list);
    case IPC_FIELD_U8:
    case IPC_FIELD_U16:
    case IPC_FIELD_U32:
    case IPC_FIELD_U64:
    case IPC_FIELD_I64:
    case IPC_FIELD_BOOL:
        break;
    }
    return print_number(out, field, at);
}

static enum status
print_fields(struct buf *out, const struct ipc_layout *layout, const unsigned char *base)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < layout->field_count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        status = buf_printf(out, " %s=", field->name);
        if (status == STATUS_OK) {
            status = print_field(out, field, base + field->offset);
        }
    }
    return status;
}

enum status
ipc_message_print(const struct ipc_message *message, struct buf *out)
{
    const struct ipc_layout *layout = ipc_message_rules[message->type].layout;
    enum status status =
        buf_printf(out, "%s request=%llu", layout->name, (unsigned long long)message->request);
    return status == STATUS_OK ? print_fields(out, layout, message->body) : status;
}

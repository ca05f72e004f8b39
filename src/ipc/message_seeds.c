/*
 * Writes one packet of each message type, in a few forms, for the fuzz target: made of the same
 * tables as the codec, so that a new message has its seeds at once.
 *
 * usage: message_seeds DIRECTORY (made if it is not there)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "ipc/layout.h"
#include "ipc/message.h"

#define FIELDS_MAX 65536u
#define LISTS_MAX  (1u << 20)
#define ITEMS_MAX  3u

/* The forms of a message: as little as can be, something of everything, more of it. */
enum form { FORM_LEAST, FORM_SOME, FORM_MORE, FORM_COUNT };

static const char *const form_names[FORM_COUNT] = {"least", "some", "more"};
static const char letters[] = "bob@example.com;250 2.0.0 Ok: queued as 01KB2M9QJ8T3XW7A\r\n\r\n";

static void fill(const struct ipc_layout *layout, enum form form, unsigned char *base);

static struct str
text_for(const struct ipc_field *field, enum form form)
{
    size_t most = field->bound < sizeof letters - 1 ? field->bound : sizeof letters - 1;
    return str_make(letters, form == FORM_LEAST ? 0 : form == FORM_SOME ? most / 2 : most);
}

/* Of the message in the making. */
static struct arena *lists;

/* Lists look alike in all structs: items and n, as the codec has it. */
static void
fill_list(const struct ipc_field *field, enum form form, unsigned char *out)
{
    struct {
        void *items;
        size_t n;
    } list = {NULL, 0};
    size_t n = form == FORM_LEAST ? 0 : form == FORM_SOME ? 1 : ITEMS_MAX;
    list.n = n < field->bound ? n : field->bound;
    list.items = arena_alloc_array(lists, list.n + 1, field->record->size);
    if (list.items == NULL) {
        abort();
    }
    for (size_t i = 0; i < list.n; i++) {
        fill(field->record, form, (unsigned char *)list.items + i * field->record->size);
    }
    memcpy(out, &list, sizeof list);
}

static void
fill_field(const struct ipc_field *field, enum form form, unsigned char *out)
{
    static const uint64_t numbers[FORM_COUNT] = {0, 1, 0x0123456789abcdef};
    struct str text = text_for(field, form);
    struct ipc_body body = ipc_body_inline(text);
    bool flag = form != FORM_LEAST;
    int fd = form == FORM_LEAST ? -1 : 0;
    switch (field->kind) {
    case IPC_FIELD_U8:
        memcpy(out, &numbers[form], 1);
        break;
    case IPC_FIELD_U16:
        memcpy(out, &numbers[form], 2);
        break;
    case IPC_FIELD_U32:
        memcpy(out, &numbers[form], 4);
        break;
    case IPC_FIELD_U64:
    case IPC_FIELD_I64:
        memcpy(out, &numbers[form], 8);
        break;
    case IPC_FIELD_BOOL:
        memcpy(out, &flag, sizeof flag);
        break;
    case IPC_FIELD_STR:
    case IPC_FIELD_SECRET:
        memcpy(out, &text, sizeof text);
        break;
    case IPC_FIELD_FD:
        memcpy(out, &fd, sizeof fd);
        break;
    case IPC_FIELD_BODY:
        memcpy(out, &body, sizeof body);
        break;
    case IPC_FIELD_LIST:
        fill_list(field, form, out);
        break;
    }
}

static void
fill(const struct ipc_layout *layout, enum form form, unsigned char *base)
{
    for (size_t i = 0; i < layout->field_count; i++) {
        fill_field(&layout->fields[i], form, base + layout->fields[i].offset);
    }
}

static enum role
any_of(uint32_t mask)
{
    unsigned role = 0;
    while (role + 1 < ROLE_COUNT && (mask & 1u << role) == 0) {
        role++;
    }
    return (enum role)role;
}

/* A seed that the decoder refuses leads a fuzzer nowhere. */
static bool
is_accepted(enum msg_type type, struct str packet, size_t fd_count)
{
    const struct ipc_message_rule *rule = &ipc_message_rules[type];
    struct ipc_message *message = NULL;
    int fds[IPC_FDS_MAX];
    for (size_t i = 0; i < fd_count; i++) {
        fds[i] = dup(STDIN_FILENO);
    }
    bool accepted = ipc_decode(packet, fds, fd_count, any_of(rule->senders),
                               any_of(rule->receivers), &message) == STATUS_OK;
    ipc_message_free(&message);
    return accepted;
}

static int
write_seed(const char *directory, enum msg_type type, enum form form)
{
    _Alignas(16) static unsigned char fields[FIELDS_MAX];
    char path[4096];
    int fds[IPC_FDS_MAX];
    size_t fd_count;
    struct buf packet;
    buf_init(&packet, IPC_PACKET_MAX + 4096);
    lists = arena_create(LISTS_MAX);
    fill(ipc_message_rules[type].layout, form, fields);
    snprintf(path, sizeof path, "%s/%s-%s", directory, ipc_type_name(type), form_names[form]);
    FILE *file = fopen(path, "wbe");
    bool done = file != NULL && ipc_encode(type, 7, fields, &packet, fds, &fd_count) == STATUS_OK &&
                is_accepted(type, buf_str(&packet), fd_count) &&
                fwrite(buf_str(&packet).p, 1, buf_length(&packet), file) == buf_length(&packet);
    done = file != NULL && fclose(file) == 0 && done;
    if (!done) {
        perror(path);
    }
    buf_free(&packet);
    arena_destroy(&lists);
    return done ? 0 : 1;
}

int
main(int argc, char **argv)
{
    int failures = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    if (mkdir(argv[1], 0755) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 1;
    }
    for (unsigned type = 0; type < MSG_TYPE_COUNT; type++) {
        for (unsigned form = 0; form < FORM_COUNT; form++) {
            failures += write_seed(argv[1], (enum msg_type)type, (enum form)form);
        }
    }
    return failures > 0 ? 1 : 0;
}

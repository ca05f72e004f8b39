/* A message in memory: made from a commit, a notice or the database; kept while it is needed. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "roles/spool/internal.h"

static struct parcel *
parcel_create(struct arena *arena)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (parcel == NULL) {
        abort();
    }
    parcel->refs = 1;
    parcel->arena = arena;
    parcel->head_fd = -1;
    parcel->content_fd = -1;
    parcel->head.fd = -1;
    parcel->content.fd = -1;
    return parcel;
}

struct parcel *
parcel_ref(struct parcel *parcel)
{
    parcel->refs++;
    return parcel;
}

void
parcel_unref(struct parcel **parcel)
{
    struct parcel *p = *parcel;
    *parcel = NULL;
    if (p == NULL || --p->refs > 0) {
        return;
    }
    ipc_body_view_close(&p->head_view);
    ipc_body_view_close(&p->content_view);
    if (p->head_fd >= 0) {
        close(p->head_fd);
    }
    if (p->content_fd >= 0) {
        close(p->content_fd);
    }
    ipc_message_free(&p->commit);
    arena_destroy(&p->arena);
    free(p);
}

/* ---- from a commit */

static enum status
open_views(struct parcel *parcel)
{
    enum status status = ipc_body_view_open(&parcel->head, &parcel->head_view);
    if (status == STATUS_OK) {
        status = ipc_body_view_open(&parcel->content, &parcel->content_view);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (parcel->content_offset > parcel->content_view.octets.n) {
        return STATUS_SYNTAX;
    }
    parcel->m.head = parcel->head_view.octets;
    parcel->m.content = str_skip(parcel->content_view.octets, (size_t)parcel->content_offset);
    parcel->m.size = parcel->m.head.n + parcel->m.content.n;
    parcel->m.in_file = parcel->m.content.n > SPOOL_FILE_ABOVE;
    return STATUS_OK;
}

static enum status
copy_recipients(struct parcel *parcel, const struct msg_commit *fields)
{
    size_t n = fields->recipients.n;
    struct spool_recipient *items = arena_alloc_array(parcel->arena, n, sizeof *items);
    if (items == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < n; i++) {
        const struct record_recipient *r = &fields->recipients.items[i];
        items[i] = (struct spool_recipient){
            .number = (uint32_t)i,
            .address = r->address,
            .original = r->original,
            .orcpt = r->orcpt,
            .notify = r->notify,
            .state = fields->hold.n > 0 ? SPOOL_HELD : SPOOL_QUEUED,
        };
    }
    parcel->m.recipients = items;
    parcel->m.recipient_count = n;
    parcel->m.total = (uint32_t)n;
    return STATUS_OK;
}

/* Identifiers become file names: letters and digits only. */
static bool
id_is_valid(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        if (!char_is_alnum(id.p[i])) {
            return false;
        }
    }
    return id.n == ID_LENGTH;
}

enum status
parcel_from_commit(struct ipc_message *commit, struct parcel **parcel_out)
{
    const struct msg_commit *fields = MSG_BODY(commit, commit);
    struct parcel *parcel = parcel_create(arena_create(SPOOL_PARCEL_CEILING));
    enum status status = STATUS_SYNTAX;
    parcel->commit = commit;
    parcel->head = fields->head;
    parcel->content = fields->content;
    parcel->content_offset = fields->content_offset;
    parcel->m = (struct spool_message){
        .id = fields->id,
        .received_ms = fields->received_ms,
        .sender = fields->sender,
        .ret = fields->ret,
        .envid = fields->envid,
        .flags = fields->flags,
        .priority = (enum spool_priority)fields->priority,
        .hold = fields->hold,
    };
    if (id_is_valid(fields->id) && fields->recipients.n > 0) {
        status = open_views(parcel);
    }
    if (status == STATUS_OK) {
        status = copy_recipients(parcel, fields);
    }
    if (status != STATUS_OK) {
        parcel_unref(&parcel);
        return status;
    }
    *parcel_out = parcel;
    return STATUS_OK;
}

/* ---- from memory of our own */

struct parcel *
parcel_from_arena(struct arena *arena, const struct spool_message *m)
{
    struct parcel *parcel = parcel_create(arena);
    parcel->m = *m;
    return parcel;
}

static enum status
body_prepare(struct str octets, struct ipc_body *body, int *fd)
{
    if (octets.n <= IPC_BODY_INLINE_MAX) {
        *body = ipc_body_inline(octets);
        return STATUS_OK;
    }
    enum status status = ipc_memfd_create("message", octets, fd);
    if (status == STATUS_OK) {
        status = ipc_memfd_seal(*fd);
    }
    *body = ipc_body_fd(*fd, octets.n);
    return status;
}

enum status
parcel_prepare(struct parcel *parcel, int content_fd)
{
    enum status status = body_prepare(parcel->m.head, &parcel->head, &parcel->head_fd);
    if (content_fd < 0) {
        return status == STATUS_OK
                   ? body_prepare(parcel->m.content, &parcel->content, &parcel->content_fd)
                   : status;
    }
    parcel->content_fd = content_fd;
    parcel->content = ipc_body_fd(content_fd, parcel->m.size - parcel->m.head.n);
    if (status == STATUS_OK) {
        status = ipc_body_view_open(&parcel->content, &parcel->content_view);
        parcel->m.content = parcel->content_view.octets;
    }
    return status;
}

enum status
parcel_put_fields(struct parcel *parcel, struct str fields)
{
    struct str head =
        arena_printf(parcel->arena, "%.*s%.*s", STR_ARG(fields), STR_ARG(parcel->m.head));
    struct ipc_body body;
    int fd = -1;
    if (head.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = body_prepare(head, &body, &fd);
    if (status != STATUS_OK) {
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    if (parcel->head_fd >= 0) {
        close(parcel->head_fd);
    }
    parcel->head = body;
    parcel->head_fd = fd;
    parcel->m.head = head;
    parcel->m.size += fields.n;
    return STATUS_OK;
}

/* ---- the cache */

static void
cache_remove(struct spool_role *role, struct parcel *parcel)
{
    HASH_DEL(role->cache, parcel);
    parcel->cached = false;
    role->cache_octets -= parcel->m.size;
    parcel_unref(&parcel);
}

static struct parcel *
cache_get(struct spool_role *role, int64_t key)
{
    struct parcel *parcel;
    HASH_FIND(hh, role->cache, &key, sizeof key, parcel);
    return parcel;
}

void
cache_add(struct spool_role *role, struct parcel *parcel)
{
    int64_t now = clock_monotonic_ms();
    while (role->cache != NULL && now - role->cache->cached_ms > SPOOL_CACHE_AGE_MS) {
        cache_remove(role, role->cache);
    }
    if (cache_get(role, parcel->m.key) != NULL ||
        role->cache_octets + parcel->m.size > SPOOL_CACHE_OCTETS) {
        return;
    }
    parcel->cached = true;
    parcel->cached_ms = now;
    role->cache_octets += parcel->m.size;
    parcel_ref(parcel);
    HASH_ADD(hh, role->cache, m.key, sizeof parcel->m.key, parcel);
}

struct parcel *
cache_find(struct spool_role *role, int64_t key, struct str destination)
{
    struct parcel *parcel = cache_get(role, key);
    bool fits = parcel != NULL && (parcel->only.n == 0 || str_eq(parcel->only, destination));
    return fits ? parcel : NULL;
}

void
cache_drop(struct spool_role *role, int64_t key)
{
    struct parcel *parcel = cache_get(role, key);
    if (parcel != NULL) {
        cache_remove(role, parcel);
    }
}

void
cache_clear(struct spool_role *role)
{
    struct parcel *parcel;
    struct parcel *next;
    HASH_ITER(hh, role->cache, parcel, next)
    {
        cache_remove(role, parcel);
    }
}

#include "ipc/body.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MEMFD_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

enum status
ipc_memfd_create(const char *name, struct str octets, int *fd_out)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return STATUS_IO;
    }
    while (octets.n > 0) {
        ssize_t written = write(fd, octets.p, octets.n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            close(fd);
            return STATUS_IO;
        }
        octets = str_skip(octets, (size_t)written);
    }
    *fd_out = fd;
    return STATUS_OK;
}

enum status
ipc_memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, MEMFD_SEALS | F_SEAL_SEAL) == 0 ? STATUS_OK : STATUS_IO;
}

struct str
ipc_memfd_read(struct arena *arena, int fd, size_t most)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > most) {
        return str_make(NULL, 0);
    }
    size_t n = (size_t)st.st_size;
    char *octets = arena_alloc(arena, n + 1);
    for (size_t done = 0; octets != NULL && done < n;) {
        ssize_t got = pread(fd, octets + done, n - done, (off_t)done);
        if (got <= 0) {
            return str_make(NULL, 0);
        }
        done += (size_t)got;
    }
    return str_make(octets, octets != NULL ? n : 0);
}

enum status
ipc_body_view_open(const struct ipc_body *body, struct ipc_body_view *view_out)
{
    struct stat st;
    if (body->fd < 0) {
        *view_out = (struct ipc_body_view){.octets = body->octets};
        return STATUS_OK;
    }
    int seals = fcntl(body->fd, F_GET_SEALS);
    if (seals < 0 || (seals & MEMFD_SEALS) != MEMFD_SEALS) {
        return STATUS_DENIED;
    }
    if (fstat(body->fd, &st) != 0) {
        return STATUS_IO;
    }
    if ((uint64_t)st.st_size != body->size) {
        return STATUS_SYNTAX;
    }
    if (body->size == 0) {
        *view_out = (struct ipc_body_view){.octets = str_make(NULL, 0)};
        return STATUS_OK;
    }
    void *map = mmap(NULL, body->size, PROT_READ, MAP_PRIVATE, body->fd, 0);
    if (map == MAP_FAILED) {
        return STATUS_IO;
    }
    *view_out = (struct ipc_body_view){str_make(map, body->size), map, body->size};
    return STATUS_OK;
}

void
ipc_body_view_close(struct ipc_body_view *view)
{
    if (view->map != NULL) {
        munmap(view->map, view->map_size);
    }
    *view = (struct ipc_body_view){.octets = str_make(NULL, 0)};
}

#include "roles/roots.h"

#include <fcntl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/body.h"
#include "tls/client.h"

static struct str
read_file(const char *path)
{
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    char *text = size > 0 && size <= TLS_TRUST_PEM_MAX ? malloc((size_t)size) : NULL;
    ssize_t n = text != NULL ? pread(fd, text, (size_t)size, 0) : 0;
    if (fd >= 0) {
        close(fd);
    }
    if (n > 0) {
        return str_make(text, (size_t)n);
    }
    free(text);
    return str_make(NULL, 0);
}

void
role_roots_read_system(struct role_roots *roots)
{
    const char *const paths[] = {"/etc/ssl/certs/ca-certificates.crt",
                                 "/etc/pki/tls/certs/ca-bundle.crt", X509_get_default_cert_file()};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0] && roots->system.n == 0; i++) {
        roots->system = read_file(paths[i]);
    }
    if (roots->system.n == 0) {
        LOG_WARN("no trusted certificates are found: no server's certificate counts as verified");
    }
}

void
role_roots_take(struct role_roots *roots, int chain_fd)
{
    struct arena *arena = arena_create(2 * (size_t)TLS_TRUST_PEM_MAX);
    struct str came = ipc_memfd_read(arena, chain_fd, TLS_TRUST_PEM_MAX);
    close(chain_fd);
    arena_destroy(&roots->came_arena);
    roots->came_arena = arena;
    roots->came = came;
}

void
role_roots_adopt(struct role_roots *roots)
{
    arena_destroy(&roots->arena);
    roots->arena = roots->came_arena;
    roots->configured = roots->came;
    roots->came_arena = NULL;
    roots->came = str_make(NULL, 0);
}

enum status
role_roots_write(const struct role_roots *roots, struct buf *out)
{
    enum status status = buf_append(out, roots->system);
    if (status == STATUS_OK && roots->configured.n > 0) {
        status = buf_append_char(out, '\n');
        status = status == STATUS_OK ? buf_append(out, roots->configured) : status;
    }
    return status;
}

void
role_roots_free(struct role_roots *roots)
{
    arena_destroy(&roots->arena);
    arena_destroy(&roots->came_arena);
    free((void *)(uintptr_t)roots->system.p);
    *roots = (struct role_roots){0};
}

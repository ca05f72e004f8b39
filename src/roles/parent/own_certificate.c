#include "roles/parent/own_certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "roles/preflight.h"
#include "tls/self_signed.h"

#define DAY_MS     86400000LL
#define ARENA_SIZE (4u * TLS_PEM_MAX)

struct paths {
    char chain[PATH_MAX];
    char key[PATH_MAX];
};

static void
find_paths(const struct config *config, struct paths *out)
{
    struct str state = config->directories.state;
    snprintf(out->chain, sizeof out->chain, "%.*s/" OWN_CERTIFICATE_NAME ".pem", STR_ARG(state));
    snprintf(out->key, sizeof out->key, "%.*s/" OWN_CERTIFICATE_NAME ".key", STR_ARG(state));
}

/* What is wrong with the pair that was read; NULL: nothing. */
static const char *
find_fault(const struct config *config, int64_t wall_ms, struct own_certificate *own)
{
    char error[TLS_ERROR_MAX];
    struct tls_identity *identity = NULL;
    if (tls_identity_parse(own->chain, own->key, &identity, error) != STATUS_OK) {
        return "it cannot be read";
    }
    bool named = false;
    for (size_t i = 0; i < tls_identity_name_count(identity); i++) {
        named = named || str_eq_nocase(tls_identity_name(identity, i), config->hostname);
    }
    own->not_after_ms = tls_identity_not_after_ms(identity);
    int64_t not_before_ms = tls_identity_not_before_ms(identity);
    tls_identity_unref(&identity);
    if (!named) {
        return "it is for another host name";
    }
    if (not_before_ms > wall_ms) {
        return "it is not valid yet";
    }
    bool ends = own->not_after_ms - OWN_CERTIFICATE_RENEW_DAYS * DAY_MS < wall_ms;
    return ends ? "its time is ending" : NULL;
}

/* Reads what there is. STATUS_OK; STATUS_END: there is none; else it is of no use, and why. */
static enum status
load(const struct config *config, int64_t wall_ms, struct arena *arena,
     struct own_certificate *own_out, const char **fault_out)
{
    struct paths paths;
    find_paths(config, &paths);
    enum status chain = preflight_read(arena, paths.chain, TLS_PEM_MAX, &own_out->chain);
    bool absent = chain == STATUS_IO && errno == ENOENT;
    enum status key = preflight_read(arena, paths.key, TLS_PEM_MAX, &own_out->key);
    absent = absent && key == STATUS_IO && errno == ENOENT;
    if (absent) {
        return STATUS_END;
    }
    *fault_out = chain != STATUS_OK || key != STATUS_OK ? "a part of it cannot be read"
                                                        : find_fault(config, wall_ms, own_out);
    return *fault_out == NULL ? STATUS_OK : STATUS_SYNTAX;
}

bool
own_certificate_is_due(const struct config *config, int64_t wall_ms)
{
    struct arena *arena = arena_create(ARENA_SIZE);
    struct own_certificate own;
    const char *fault;
    enum status status = load(config, wall_ms, arena, &own, &fault);
    arena_destroy_wiped(&arena);
    return status != STATUS_OK;
}

/* ---- writing */

static enum status
sync_directory(const struct config *config)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s", STR_ARG(config->directories.state));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = fd >= 0 && fsync(fd) == 0;
    int reason = errno;
    if (fd >= 0) {
        close(fd);
    }
    errno = reason;
    return done ? STATUS_OK : STATUS_IO;
}

static bool
write_all(int fd, struct str octets)
{
    while (octets.n > 0) {
        ssize_t n = write(fd, octets.p, octets.n);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        octets = str_skip(octets, n > 0 ? (size_t)n : 0);
    }
    return true;
}

/* Beside, synced, then renamed: there is never half a file under the name. */
static enum status
replace_file(const char *path, struct str octets)
{
    char beside[PATH_MAX + 8];
    snprintf(beside, sizeof beside, "%s.new", path);
    unlink(beside);
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return STATUS_IO;
    }
    bool done = write_all(fd, octets) && fsync(fd) == 0;
    int reason = errno;
    done = close(fd) == 0 && done;
    if (!done || rename(beside, path) != 0) {
        reason = done ? errno : reason;
        unlink(beside);
        errno = reason;
        return STATUS_IO;
    }
    return STATUS_OK;
}

enum status
own_certificate_obtain(const struct config *config, int64_t wall_ms, struct arena *arena,
                       struct own_certificate *own_out)
{
    struct paths paths;
    struct own_certificate own = {.not_after_ms = 0};
    const char *fault = NULL;
    find_paths(config, &paths);
    enum status status = load(config, wall_ms, arena, &own, &fault);
    if (status == STATUS_SYNTAX) {
        LOG_WARN("the self-signed certificate is replaced by a new one",
                 LOG_CSTR("certificate", paths.chain), LOG_CSTR("reason", fault));
    }
    if (status != STATUS_OK) {
        status = tls_self_signed_create(arena, config->hostname, wall_ms, &own.chain, &own.key);
        if (status == STATUS_OK) {
            status = replace_file(paths.key, own.key);
        }
        if (status == STATUS_OK) {
            status = replace_file(paths.chain, own.chain);
        }
        if (status == STATUS_OK) {
            status = sync_directory(config);
        }
        own.not_after_ms = wall_ms + TLS_SELF_SIGNED_DAYS * DAY_MS;
    }
    if (status == STATUS_OK) {
        own.path = arena_str_dup(arena, str_from_cstr(paths.chain));
        *own_out = own;
    }
    return status;
}

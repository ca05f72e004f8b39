#include "roles/parent/directories.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/local_user.h"
#include "ipc/role_table.h"
#include "roles/users.h"

enum status
directories_make(struct str path)
{
    char text[PATH_MAX];
    struct stat st;
    if (path.n == 0 || path.n >= sizeof text) {
        errno = ENAMETOOLONG;
        return STATUS_IO;
    }
    memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    for (size_t i = 1; i <= path.n; i++) {
        if (text[i] != '/' && text[i] != '\0') {
            continue;
        }
        char kept = text[i];
        text[i] = '\0';
        mode_t old = umask(0022); /* all roles have to pass, whatever the umask of the start */
        bool made = mkdir(text, 0755) == 0 || errno == EEXIST;
        umask(old);
        if (!made) {
            return STATUS_IO;
        }
        text[i] = kept;
    }
    if (stat(text, &st) != 0) {
        return STATUS_IO;
    }
    errno = ENOTDIR;
    return S_ISDIR(st.st_mode) ? STATUS_OK : STATUS_IO;
}

/* Roles keep no deeper trees than this. */
#define KEPT_DEPTH_MAX 4

static enum status give_to(int directory_fd, uid_t uid, gid_t gid, int depth);

/* One entry of a role's directory: files and directories change hands, links are left alone. */
static enum status
give_entry(int directory_fd, const char *name, uid_t uid, gid_t gid, int depth)
{
    struct stat st;
    if (str_eq(str_from_cstr(name), STR(".")) || str_eq(str_from_cstr(name), STR("..")) ||
        fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return STATUS_OK;
    }
    if (S_ISREG(st.st_mode) && st.st_uid != uid) {
        return fchownat(directory_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 ? STATUS_OK
                                                                                : STATUS_IO;
    }
    if (!S_ISDIR(st.st_mode) || st.st_uid == uid || depth == KEPT_DEPTH_MAX) {
        return STATUS_OK;
    }
    int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    enum status status = give_to(fd, uid, gid, depth + 1);
    close(fd);
    return status;
}

/* Gives a directory and what is in it to a user: the state may come from another machine, or from a
 * run without root. */
static enum status
give_to(int directory_fd, uid_t uid, gid_t gid, int depth)
{
    enum status status = STATUS_OK;
    if (fchown(directory_fd, uid, gid) != 0) {
        return STATUS_IO;
    }
    int copy = dup(directory_fd);
    DIR *entries = copy >= 0 ? fdopendir(copy) : NULL;
    if (entries == NULL) {
        return STATUS_IO;
    }
    for (struct dirent *e = readdir(entries); e != NULL && status == STATUS_OK;
         e = readdir(entries)) {
        status = give_entry(directory_fd, e->d_name, uid, gid, depth);
    }
    closedir(entries);
    return status;
}

/*
 * The first directory above `path` that others may not enter: a role's user could then not reach
 * its own. False when there is none.
 */
static bool
find_closed(struct str path, char closed_out[static PATH_MAX])
{
    for (size_t i = 1; i < path.n && i < PATH_MAX; i++) {
        struct stat st;
        if (path.p[i] != '/') {
            continue;
        }
        memcpy(closed_out, path.p, i);
        closed_out[i] = '\0';
        if (stat(closed_out, &st) == 0 && (st.st_mode & S_IXOTH) == 0) {
            return true;
        }
    }
    return false;
}

static enum status
prepare_keeper(const struct config *config, enum role role, struct arena *arena,
               struct str *path_out)
{
    uid_t uid;
    gid_t gid;
    *path_out =
        arena_printf(arena, "%.*s/%s", STR_ARG(config->directories.state), ipc_role_name(role));
    enum status status = directories_make(*path_out);
    if (status != STATUS_OK) {
        return status;
    }
    int fd = open(path_out->p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    if (geteuid() == 0) {
        role_user_find(config, role, &uid, &gid);
        status = give_to(fd, uid, gid, 1);
    }
    if (status == STATUS_OK && fchmod(fd, role_row(role)->directory_mode) != 0) {
        status = STATUS_IO;
    }
    close(fd);
    return status;
}

static enum status
lock_state(const struct config *config, struct arena *arena, int *fd_out, struct str *reason_out)
{
    struct str path = arena_printf(arena, "%.*s/postern.lock", STR_ARG(config->directories.state));
    int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        *reason_out = arena_printf(arena, "%s: %s", path.p, strerror(errno));
        return STATUS_IO;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        *reason_out = arena_printf(
            arena, "%s is locked: Postern already runs with this state directory", path.p);
        close(fd);
        return STATUS_DENIED;
    }
    *fd_out = fd;
    return STATUS_OK;
}

static void
write_pid(const struct config *config)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/postern.pid", STR_ARG(config->directories.run));
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        fprintf(file, "%ld\n", (long)getpid());
        fclose(file);
    }
}

/* Told here, before anything fails in there for a reason that names another file. */
static enum status
make_writable(struct str path)
{
    char text[PATH_MAX];
    enum status status = directories_make(path);
    if (status == STATUS_OK) {
        snprintf(text, sizeof text, "%.*s", STR_ARG(path));
        status = faccessat(AT_FDCWD, text, W_OK | X_OK, AT_EACCESS) == 0 ? STATUS_OK : STATUS_IO;
    }
    return status;
}

enum status
directories_prepare(const struct config *config, struct arena *arena, int *lock_fd_out,
                    struct str *reason_out)
{
    struct str path = config->directories.state;
    enum status status = make_writable(path);
    if (status == STATUS_OK) {
        path = config->directories.run;
        status = make_writable(path);
    }
    for (unsigned role = 0; status == STATUS_OK && role < ROLE_COUNT; role++) {
        if (role_row((enum role)role)->directory_mode != 0) {
            status = prepare_keeper(config, (enum role)role, arena, &path);
        }
    }
    if (status != STATUS_OK) {
        *reason_out =
            arena_printf(arena, "directory %.*s: user id %u cannot make it or write there: %s",
                         STR_ARG(path), (unsigned)geteuid(), strerror(errno));
        return status;
    }
    char closed[PATH_MAX];
    if (geteuid() == 0 && find_closed(path, closed)) {
        *reason_out = arena_printf(arena,
                                   "directories.state: the users of the roles cannot pass %s; "
                                   "allow it (chmod o+x) or choose another directory",
                                   closed);
        return STATUS_DENIED;
    }
    status = lock_state(config, arena, lock_fd_out, reason_out);
    if (status == STATUS_OK) {
        write_pid(config);
    }
    return status;
}

static void
forget(const struct config *config, const char *name, const char *ending)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s/%s%s", STR_ARG(config->directories.run), name, ending);
    unlink(path);
}

void
directories_forget(const struct config *config, int lock_fd)
{
    forget(config, "postern.pid", "");
    forget(config, LOCAL_USER_SOCKET, "");
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        if (role_row((enum role)role)->commands) {
            forget(config, role_row((enum role)role)->name, ".sock");
        }
    }
    close(lock_fd);
}

/* The database's log, before SQLite touches it: whether it has lost what was acknowledged. */
#include "store/spool_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "store/wal_scan.h"

#define LOG_NAME  SPOOL_DATABASE_NAME "-wal"
#define COPY_NAME LOG_NAME ".damaged-"
#define PATH_ROOM (SPOOL_DIRECTORY_MAX + 64u)

/* Whoever has the database open writes the log meanwhile: SQLite will refuse, and say why. */
static bool
is_in_use(const char *directory)
{
    char path[PATH_ROOM];
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    snprintf(path, sizeof path, "%s/" SPOOL_DATABASE_NAME, directory);
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return false;
    }
    bool used = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return used;
}

/* With calls that the sandbox has anyway: there is little hurry. */
static bool
copy_octets(int from, int to)
{
    char octets[16384];
    ssize_t n;
    while ((n = read(from, octets, sizeof octets)) > 0) {
        for (ssize_t done = 0, put; done < n; done += put) {
            put = write(to, octets + done, (size_t)(n - done));
            if (put <= 0) {
                return false;
            }
        }
    }
    return n == 0 && fsync(to) == 0;
}

/* Copies `from` to `path`, all of it or nothing. */
static bool
copy_file(int from, const char *path)
{
    char part[PATH_ROOM + 8];
    snprintf(part, sizeof part, "%s.part", path);
    int to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (to < 0) {
        return false;
    }
    bool copied = copy_octets(from, to);
    int error = errno;
    close(to);
    if (copied && rename(part, path) == 0) {
        return true;
    }
    error = copied ? errno : error;
    unlink(part);
    errno = error;
    return false;
}

/*
 * Keeps a copy beside the log, named after the time of its last change: starts that follow make no
 * other. Its name is in `name`, which is empty when there is no copy (errno).
 */
static void
keep_copy(const char *directory, char name[static 64])
{
    char path[PATH_ROOM];
    struct stat st;
    struct stat copy;
    struct tm tm;
    name[0] = '\0';
    snprintf(path, sizeof path, "%s/" LOG_NAME, directory);
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0) {
        return;
    }
    if (fstat(from, &st) == 0 && gmtime_r(&st.st_mtim.tv_sec, &tm) != NULL) {
        char stamp[32];
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
        snprintf(path, sizeof path, "%s/" COPY_NAME "%s", directory, stamp);
        if (stat(path, &copy) == 0 || copy_file(from, path)) {
            snprintf(name, 64, COPY_NAME "%s", stamp);
        }
    }
    close(from);
}

static enum status
refuse(struct spool *spool, const struct wal_scan *scan, struct arena *arena,
       struct str *reason_out)
{
    char name[64];
    keep_copy(spool->directory, name);
    struct str copy =
        name[0] != '\0'
            ? arena_printf(arena, "A copy of it is in %s", name)
            : arena_printf(arena, "No copy of it could be made (%s): make one", strerror(errno));
    spool->damaged = true;
    spool_mark_damage(spool, true); /* all of the database is checked when it is opened at last */
    LOG_ERROR("the log of the mail queue is damaged in the middle",
              LOG_INT("transactions_kept", scan->kept), LOG_INT("transactions_lost", scan->lost),
              LOG_CSTR("copy", name));
    *reason_out = arena_printf(
        arena,
        "%s/" LOG_NAME ": the log of the mail queue is damaged: behind %" PRIu64
        " sound transactions a part is unreadable, and %" PRIu64 " more follow it, in which mail "
        "that was acknowledged may be. Opening the queue would lose these, so it is left as it is. "
        "%.*s. Stop Postern and put a backup of this directory in its place; or go on without "
        "them: run "
        "\"sqlite3 " SPOOL_DATABASE_NAME " 'PRAGMA wal_checkpoint(TRUNCATE)'\" in this directory",
        spool->directory, scan->kept, scan->lost, STR_ARG(copy));
    return STATUS_SYNTAX;
}

enum status
spool_log_check(struct spool *spool, struct arena *arena, struct str *reason_out)
{
    char path[PATH_ROOM];
    struct wal_scan scan;
    snprintf(path, sizeof path, "%s/" LOG_NAME, spool->directory);
    if (is_in_use(spool->directory)) {
        return STATUS_OK;
    }
    if (wal_scan(path, SPOOL_PAGE_OCTETS, &scan) != STATUS_OK) {
        *reason_out = arena_printf(arena, "%s: it cannot be read: %s", path, strerror(errno));
        return STATUS_IO;
    }
    return scan.damaged ? refuse(spool, &scan, arena, reason_out) : STATUS_OK;
}

unsigned
spool_log_copies(const struct spool *spool)
{
    unsigned count = 0;
    DIR *files = opendir(spool->directory);
    for (const struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        count += str_starts_with(str_from_cstr(entry->d_name), STR(COPY_NAME));
    }
    if (files != NULL) {
        closedir(files);
    }
    return count;
}

/* Content of large messages in files of their own. */
#include "store/spool_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/body.h"

#define PATH_SIZE (SPOOL_DIRECTORY_MAX + 64u)

static void
path_make(char out[static PATH_SIZE], const char *directory, struct str name, const char *suffix)
{
    snprintf(out, PATH_SIZE, "%s/" SPOOL_LARGE_NAME "/%.*s%s", directory, STR_ARG(name), suffix);
}

static enum status
write_all(int fd, struct str content)
{
    while (content.n > 0) {
        ssize_t written = write(fd, content.p, content.n);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            /* EFBIG: a limit of the process stands for a full disk in tests */
            bool no_room = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            return no_room ? STATUS_LIMIT : STATUS_IO;
        }
        content = str_skip(content, (size_t)written);
    }
    return fsync(fd) == 0 ? STATUS_OK : STATUS_IO;
}

/* Makes the new name of a file in the directory durable. */
static enum status
sync_directory(const char *directory)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/" SPOOL_LARGE_NAME, directory);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    int failed = fsync(fd);
    close(fd);
    return failed == 0 ? STATUS_OK : STATUS_IO;
}

enum status
spool_file_write(const char *directory, struct str id, struct str content)
{
    char path[PATH_SIZE];
    path_make(path, directory, id, "");
    /* The same id twice is the same message sent again: writing it anew changes nothing. */
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return errno == ENOSPC || errno == EDQUOT ? STATUS_LIMIT : STATUS_IO;
    }
    enum status status = write_all(fd, content);
    if (status == STATUS_OK && ftruncate(fd, (off_t)content.n) != 0) {
        status = STATUS_IO;
    }
    close(fd);
    return status == STATUS_OK ? sync_directory(directory) : status;
}

/* STATUS_SYNTAX: it cannot be read, now or later. */
static enum status
copy_to_memfd(int from, int to)
{
    char block[65536];
    ssize_t got;
    while ((got = read(from, block, sizeof block)) > 0) {
        for (ssize_t done = 0; done < got;) {
            ssize_t written = write(to, block + done, (size_t)(got - done));
            if (written <= 0) {
                return STATUS_IO;
            }
            done += written;
        }
    }
    return got == 0 ? ipc_memfd_seal(to) : STATUS_SYNTAX;
}

enum status
spool_file_read(const char *directory, struct str id, int *fd_out)
{
    char path[PATH_SIZE];
    int memfd;
    path_make(path, directory, id, "");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        /* ELOOP: something else is in its place */
        return errno == ENOENT ? STATUS_NOT_FOUND : errno == ELOOP ? STATUS_SYNTAX : STATUS_IO;
    }
    enum status status = ipc_memfd_create("content", str_make(NULL, 0), &memfd);
    if (status == STATUS_OK) {
        status = copy_to_memfd(fd, memfd);
        if (status == STATUS_OK) {
            *fd_out = memfd;
        } else {
            close(memfd);
        }
    }
    close(fd);
    return status;
}

void
spool_file_discard(const char *directory, struct str id)
{
    char path[PATH_SIZE];
    path_make(path, directory, id, "");
    unlink(path);
}

/* True when the file is the content of a message in the queue. */
static bool
file_is_wanted(struct spool *spool, const char *name)
{
    int64_t key;
    return spool_find(spool, str_from_cstr(name), &key) != STATUS_NOT_FOUND;
}

enum status
spool_files_sweep(struct spool *spool)
{
    char path[PATH_SIZE];
    struct stat st;
    snprintf(path, sizeof path, "%s/" SPOOL_LARGE_NAME, spool->directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return STATUS_IO;
    }
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return STATUS_IO;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (!file_is_wanted(spool, entry->d_name)) {
            unlinkat(dirfd(directory), entry->d_name, 0);
        } else if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            spool->large_bytes += st.st_size;
        }
    }
    spool->large_bytes_committed = spool->large_bytes;
    closedir(directory);
    return STATUS_OK;
}

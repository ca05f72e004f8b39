#include "cli/dovecot_output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define COMMAND   "dovecot-config"
/* Everybody may read it: there is no secret in it. */
#define FILE_MODE 0644

static int
fail_at(const char *path)
{
    int const reason = errno;
    return cli_fail(COMMAND, CLI_FAILED, "%s: %s%s", path, strerror(reason),
                    reason == ENOENT ? "; is Dovecot installed?" : "");
}

static int
write_stream(FILE *file, const char *name, struct str text)
{
    return fwrite(text.p, 1, text.n, file) == text.n && fflush(file) == 0 ? CLI_DONE
                                                                          : fail_at(name);
}

/* Terminals, pipes and the like; nothing can be put in their place. */
static int
write_special(const char *path, struct str text)
{
    FILE *file = fopen(path, "we");
    if (file == NULL) {
        return fail_at(path);
    }
    int failed = write_stream(file, path, text);
    if (fclose(file) != 0 && failed == CLI_DONE) {
        failed = fail_at(path);
    }
    return failed;
}

static bool
says(const char *path, struct str text)
{
    char chunk[4096];
    size_t at = 0;
    size_t n;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && n <= text.n - at &&
           memcmp(chunk, text.p + at, n) == 0) {
        at += n;
    }
    bool same = n == 0 && !ferror(file) && at == text.n;
    fclose(file);
    return same;
}

/* A second name for the file, before the new one takes its first: at no moment there is none. */
static int
keep(const char *path)
{
    char kept[PATH_MAX];
    for (unsigned i = 1; i <= DOVECOT_KEPT_MAX; i++) {
        if ((size_t)snprintf(kept, sizeof kept, "%s.%u", path, i) >= sizeof kept) {
            errno = ENAMETOOLONG;
            return fail_at(path);
        }
        if (link(path, kept) == 0) {
            fprintf(stderr, "postern " COMMAND ": the file that was there is kept as %s\n", kept);
            return CLI_DONE;
        }
        if (errno != EEXIST) {
            return fail_at(kept);
        }
    }
    return cli_fail(COMMAND, CLI_FAILED, "%s: there are %d older ones already; remove some", path,
                    DOVECOT_KEPT_MAX);
}

static int
replace(const char *path, bool force, struct str text)
{
    char fresh[PATH_MAX];
    struct stat st;
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new-%ld", path, (long)getpid()) >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return fail_at(path);
    }
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file == NULL) {
        return fail_at(path);
    }
    int failed = write_stream(file, path, text);
    if ((fchmod(fd, FILE_MODE) != 0 || fsync(fd) != 0) && failed == CLI_DONE) {
        failed = fail_at(path);
    }
    fclose(file);
    if (failed == CLI_DONE && force && lstat(path, &st) == 0) {
        failed = keep(path);
    }
    if (failed == CLI_DONE && rename(fresh, path) != 0) {
        failed = fail_at(path);
    }
    if (failed != CLI_DONE) {
        unlink(fresh);
    }
    return failed;
}

int
dovecot_output_write(const char *path, bool force, struct str text)
{
    struct stat st;
    if (path == NULL) {
        return write_stream(stdout, "standard output", text);
    }
    bool const there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode)) {
        return write_special(path, text);
    }
    if (there && says(path, text)) {
        return CLI_DONE;
    }
    if (there && !force) {
        return cli_fail(COMMAND, CLI_FAILED,
                        "%s is there already and says something else; --force keeps it as %s.1 and "
                        "writes a new one",
                        path, path);
    }
    return replace(path, force, text);
}

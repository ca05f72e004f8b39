#include "ipc/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

enum status
sandbox_set_user(uid_t uid, gid_t gid)
{
    if (geteuid() != 0) {
        return STATUS_OK;
    }
    if (setgroups(0, NULL) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
        LOG_ERROR("cannot change the user", LOG_INT("uid", uid), LOG_INT("gid", gid),
                  LOG_CSTR("reason", strerror(errno)));
        return STATUS_IO;
    }
    if (uid != 0 && setuid(0) == 0) {
        LOG_ERROR("the user could be changed back", LOG_INT("uid", uid));
        return STATUS_BUG;
    }
    return STATUS_OK;
}

/* ---- resource limits */

static enum status
set_limit(int resource, rlim_t value)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0) {
        return STATUS_IO;
    }
    /* Never above what the administrator has set for the service. */
    rlim_t most = now.rlim_max != RLIM_INFINITY && value > now.rlim_max ? now.rlim_max : value;
    struct rlimit wanted = {most, most};
    return setrlimit((__rlimit_resource_t)resource, &wanted) == 0 ? STATUS_OK : STATUS_IO;
}

enum status
sandbox_limit_memory(uint64_t bytes)
{
    struct rlimit now;
    if (!SANDBOX_LIMITS_ADDRESSES) {
        return STATUS_OK;
    }
    if (getrlimit(RLIMIT_AS, &now) != 0) {
        return STATUS_IO;
    }
    now.rlim_cur = now.rlim_max != RLIM_INFINITY && bytes > now.rlim_max ? now.rlim_max : bytes;
    return setrlimit(RLIMIT_AS, &now) == 0 ? STATUS_OK : STATUS_IO;
}

static enum status
enter_limits(const struct sandbox_profile *profile)
{
    enum status status = set_limit(RLIMIT_NOFILE, profile->descriptors);
    if (status == STATUS_OK) {
        status = set_limit(RLIMIT_CORE, 0); /* a core file would hold mail and keys */
    }
    if (status == STATUS_OK && profile->memory_bytes > 0) {
        status = sandbox_limit_memory(profile->memory_bytes);
    }
    return status;
}

/* ---- Landlock: which files */

/* Access rights by the version of the kernel's interface that brought them. */
static uint64_t
landlock_rights(long version)
{
    uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* all of version 1 */
#ifdef LANDLOCK_ACCESS_FS_REFER
    rights |= version >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
#else
    rights |= version >= 2 ? 1ULL << 13 : 0;
#endif
    rights |= version >= 3 ? 1ULL << 14 : 0; /* LANDLOCK_ACCESS_FS_TRUNCATE, newer headers */
    return rights;
}

#define LANDLOCK_RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* What may be said of a file, as opposed to a directory. */
#define LANDLOCK_RIGHTS_FILE                                                                       \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_EXECUTE |   \
     1ULL << 14)

static enum status
landlock_add(int ruleset, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0) {
        /* What is not there cannot be opened either way. */
        return errno == ENOENT ? STATUS_OK : STATUS_IO;
    }
    int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        rights &= LANDLOCK_RIGHTS_FILE;
    } else {
        close(directory);
    }
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = fd};
    long failed = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(fd);
    return failed == 0 ? STATUS_OK : STATUS_IO;
}

static enum status
landlock_add_all(int ruleset, const struct sandbox_profile *profile,
                 const struct sandbox_paths *paths, uint64_t handled)
{
    enum status status = STATUS_OK;
    uint64_t all = handled & ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                         LANDLOCK_ACCESS_FS_MAKE_BLOCK);
    size_t const writable = sizeof paths->writable / sizeof paths->writable[0];
    size_t const readable = sizeof paths->readable / sizeof paths->readable[0];
    for (size_t i = 0; (profile->allow & SANDBOX_ALLOW_FILES) != 0 && i < writable; i++) {
        if (paths->writable[i] != NULL && status == STATUS_OK) {
            status = landlock_add(ruleset, paths->writable[i], all);
        }
    }
    for (size_t i = 0; (profile->allow & SANDBOX_ALLOW_READ_FILES) != 0 && i < readable; i++) {
        if (paths->readable[i] != NULL && status == STATUS_OK) {
            status = landlock_add(ruleset, paths->readable[i], LANDLOCK_RIGHTS_READ & handled);
        }
    }
    return status;
}

static enum status
enter_landlock(const struct sandbox_profile *profile, const struct sandbox_paths *paths)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1) {
        LOG_WARN("this kernel has no Landlock: files are guarded by the user and seccomp only",
                 LOG_CSTR("profile", profile->name));
        return STATUS_OK;
    }
    struct landlock_ruleset_attr attr = {.handled_access_fs = landlock_rights(version)};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (ruleset < 0) {
        return STATUS_IO;
    }
    enum status status = landlock_add_all(ruleset, profile, paths, attr.handled_access_fs);
    if (status == STATUS_OK && syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
        status = STATUS_IO;
    }
    close(ruleset);
    return status;
}

/* ---- seccomp: which system calls */

static const int calls_always[] = {
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), /* fstat of newer C libraries; names are Landlock's matter */
    SCMP_SYS(lseek),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(pipe2),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(ioctl),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(memfd_create),
    SCMP_SYS(ftruncate),
    SCMP_SYS(mmap),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mprotect),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(membarrier),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getrlimit),
    SCMP_SYS(getrusage),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

static const int calls_accept[] = {SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(listen)};

static const int calls_socket[] = {SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(socketpair)};

static const int calls_read_files[] = {
    SCMP_SYS(open),   SCMP_SYS(openat),     SCMP_SYS(stat),       SCMP_SYS(lstat),
    SCMP_SYS(statx),  SCMP_SYS(getdents64), SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
    SCMP_SYS(access), SCMP_SYS(faccessat),  SCMP_SYS(faccessat2), SCMP_SYS(getcwd),
};

static const int calls_files[] = {
    SCMP_SYS(unlink),    SCMP_SYS(unlinkat),  SCMP_SYS(rename),    SCMP_SYS(renameat),
    SCMP_SYS(renameat2), SCMP_SYS(mkdir),     SCMP_SYS(mkdirat),   SCMP_SYS(rmdir),
    SCMP_SYS(fsync),     SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(fchmod),
    SCMP_SYS(fchown),    SCMP_SYS(truncate),  SCMP_SYS(statfs),    SCMP_SYS(fstatfs),
    SCMP_SYS(flock),     SCMP_SYS(umask),     SCMP_SYS(fchmodat),  SCMP_SYS(sync_file_range),
    SCMP_SYS(utimensat), SCMP_SYS(chmod),     SCMP_SYS(pwritev),
};

bool
sandbox_filter_allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        /* A call that this machine's architecture does not have needs no rule. */
        if (failed != 0 && failed != -EDOM && failed != -EINVAL) {
            return false;
        }
    }
    return true;
}

bool
sandbox_filter_kill(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int failed = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, calls[i], 0);
        if (failed != 0 && failed != -EDOM && failed != -EINVAL) {
            return false;
        }
    }
    return true;
}

#define ALLOW(filter, table) sandbox_filter_allow(filter, table, sizeof(table) / sizeof(table)[0])

static bool
filter_allow_sockets(scmp_filter_ctx filter, uint32_t allow)
{
    static const struct {
        uint32_t bit;
        int family;
    } families[] = {
        {SANDBOX_ALLOW_INTERNET, AF_INET},
        {SANDBOX_ALLOW_INTERNET, AF_INET6},
        {SANDBOX_ALLOW_UNIX, AF_UNIX},
    };
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        if ((allow & families[i].bit) != 0 &&
            seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i].family)) != 0) {
            return false;
        }
    }
    return true;
}

/*
 * Threads, but neither processes nor namespaces; signals to itself, and its own limits to look at.
 * The flags of clone3 are behind a pointer, where a filter cannot see them: with ENOSYS the C
 * library goes back to clone.
 */
static bool
filter_allow_threads(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | SANDBOX_CLONE_NEW_ANYTHING,
                                    CLONE_THREAD)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
                            SCMP_A0(SCMP_CMP_EQ, 0)) == 0;
}

bool
sandbox_filter_fill(scmp_filter_ctx filter, uint32_t allow)
{
    uint32_t const sockets = SANDBOX_ALLOW_INTERNET | SANDBOX_ALLOW_UNIX;
    uint32_t const files = SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES;
    bool done = ALLOW(filter, calls_always);
    done = done && ((allow & SANDBOX_ALLOW_ACCEPT) == 0 || ALLOW(filter, calls_accept));
    done = done && ((allow & sockets) == 0 || ALLOW(filter, calls_socket));
    done = done && ((allow & files) == 0 || ALLOW(filter, calls_read_files));
    done = done && ((allow & SANDBOX_ALLOW_FILES) == 0 || ALLOW(filter, calls_files));
    return done && filter_allow_sockets(filter, allow);
}

static enum status
enter_seccomp(const struct sandbox_profile *profile)
{
    /*
     * A forbidden call fails with EPERM: libraries probe for things they can do without. What tries
     * to become another program, or to look into another process, is killed.
     */
    static const int calls_fatal[] = {SCMP_SYS(execve),
                                      SCMP_SYS(execveat),
                                      SCMP_SYS(ptrace),
                                      SCMP_SYS(process_vm_readv),
                                      SCMP_SYS(process_vm_writev),
                                      SCMP_SYS(fork),
                                      SCMP_SYS(vfork),
                                      SCMP_SYS(bpf),
                                      SCMP_SYS(mount),
                                      SCMP_SYS(setns),
                                      SCMP_SYS(unshare)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return STATUS_IO;
    }
    bool done = sandbox_filter_fill(filter, profile->allow) && filter_allow_threads(filter);
    done = done &&
           sandbox_filter_kill(filter, calls_fatal, sizeof calls_fatal / sizeof calls_fatal[0]);
    done = done && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return done ? STATUS_OK : STATUS_IO;
}

enum status
sandbox_enter(const struct sandbox_profile *profile, const struct sandbox_paths *paths)
{
    const char *step = "no_new_privs";
    enum status status = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? STATUS_OK : STATUS_IO;
    if (status == STATUS_OK) {
        step = "resource limits";
        status = enter_limits(profile);
    }
    if (status == STATUS_OK) {
        step = "Landlock";
        status = enter_landlock(profile, paths);
    }
    if (status == STATUS_OK) {
        step = "seccomp";
        status = enter_seccomp(profile);
    }
    if (status != STATUS_OK) {
        LOG_ERROR("cannot enter the sandbox", LOG_CSTR("profile", profile->name),
                  LOG_CSTR("step", step), LOG_CSTR("reason", strerror(errno)));
    }
    return status;
}

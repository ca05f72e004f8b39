#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/sandbox.h"

static char directory[64];
static char readable[80]; /* a directory with a file in it */

enum attempt {
    TRY_WRITE_INSIDE,
    TRY_WRITE_OUTSIDE,
    TRY_READ_PASSWD,
    TRY_READ_READABLE,
    TRY_LIST_READABLE,
    TRY_WRITE_READABLE,
    TRY_CHANGE_READABLE,
    TRY_REMOVE_READABLE,
    TRY_INET_SOCKET,
    TRY_UNIX_SOCKET,
    TRY_EXEC,
    TRY_MANY_FILES,
    TRY_FORK,
    TRY_USER_NAMESPACE,
    TRY_THREAD,
    TRY_SIGNAL_PARENT,
    TRY_MOUNT,
    TRY_TRACE,
    TRY_CHOWN,
    TRY_MUCH_MEMORY,
};

static void *
thread_main(void *context)
{
    return context;
}

static int
attempt_thread(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, thread_main, NULL);
    return error != 0 ? error : pthread_join(thread, NULL);
}

/* In a child that came to be nonetheless: tell so at once. */
static int
attempt_clone(long flags)
{
    long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        _exit(0);
    }
    return pid > 0 ? 0 : errno;
}

/* The exit status of the child: 0 it worked, else errno. */
static int
attempt_now(enum attempt what)
{
    char path[128];
    switch (what) {
    case TRY_WRITE_INSIDE:
        snprintf(path, sizeof path, "%s/file", directory);
        return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
    case TRY_WRITE_OUTSIDE:
        snprintf(path, sizeof path, "%s-outside", directory);
        return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
    case TRY_READ_PASSWD:
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
    case TRY_READ_READABLE:
        snprintf(path, sizeof path, "%s/file", readable);
        return open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno;
    case TRY_LIST_READABLE:
        return open(readable, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 0 : errno;
    case TRY_WRITE_READABLE:
        snprintf(path, sizeof path, "%s/new", readable);
        return open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
    case TRY_CHANGE_READABLE:
        snprintf(path, sizeof path, "%s/file", readable);
        return open(path, O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0 ? 0 : errno;
    case TRY_REMOVE_READABLE:
        snprintf(path, sizeof path, "%s/file", readable);
        return unlink(path) == 0 ? 0 : errno;
    case TRY_INET_SOCKET:
        return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno;
    case TRY_UNIX_SOCKET:
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0 ? 0 : errno;
    case TRY_EXEC:
        execl("/bin/true", "true", (char *)NULL);
        return errno;
    case TRY_FORK:
        return attempt_clone(SIGCHLD);
    case TRY_USER_NAMESPACE:
        return attempt_clone(CLONE_NEWUSER | SIGCHLD);
    case TRY_THREAD:
        return attempt_thread();
    case TRY_SIGNAL_PARENT:
        return syscall(SYS_tgkill, getppid(), getppid(), 0) == 0 ? 0 : errno;
    case TRY_MOUNT:
        return mount("none", directory, "tmpfs", 0, NULL) == 0 ? 0 : errno;
    case TRY_TRACE:
        return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
    case TRY_CHOWN:
        return chown(directory, 1, 1) == 0 ? 0 : errno;
    case TRY_MUCH_MEMORY:
        return mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
                   ? 0
                   : errno;
    case TRY_MANY_FILES:
        for (int i = 0; i < 64; i++) {
            if (dup(0) < 0) {
                return errno;
            }
        }
        return 0;
    }
    return 255;
}

/* The child's exit status, or minus the signal that ended it. */
static int
run_in_sandbox(uint32_t allow, enum attempt what)
{
    struct sandbox_profile profile = {.name = "test", .allow = allow, .descriptors = 32};
    struct sandbox_paths paths = {.writable = {directory}, .readable = {readable}};
    pid_t pid = fork();
    if (pid == 0) {
        _exit(sandbox_enter(&profile, &paths) == STATUS_OK ? attempt_now(what) : 254);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void
test_profiles(void **state)
{
    static const struct {
        uint32_t allow;
        enum attempt what;
        int want;
    } cases[] = {
        {0, TRY_WRITE_INSIDE, EPERM},
        {0, TRY_INET_SOCKET, EPERM},
        {0, TRY_UNIX_SOCKET, EPERM},
        {0, TRY_EXEC, -SIGSYS},
        {0, TRY_MANY_FILES, EMFILE},
        {0, TRY_FORK, EPERM},
        {0, TRY_USER_NAMESPACE, EPERM},
        {0, TRY_SIGNAL_PARENT, EPERM},
        {0, TRY_THREAD, 0},
        {SANDBOX_ALLOW_FILES, TRY_WRITE_INSIDE, 0},
        {SANDBOX_ALLOW_FILES, TRY_WRITE_OUTSIDE, EACCES},
        {SANDBOX_ALLOW_FILES, TRY_READ_PASSWD, EACCES},
        {SANDBOX_ALLOW_FILES, TRY_INET_SOCKET, EPERM},
        {SANDBOX_ALLOW_INTERNET, TRY_INET_SOCKET, 0},
        {SANDBOX_ALLOW_INTERNET, TRY_UNIX_SOCKET, EPERM},
        {SANDBOX_ALLOW_UNIX, TRY_UNIX_SOCKET, 0},
        {SANDBOX_ALLOW_INTERNET, TRY_READ_PASSWD, EPERM},
        {0, TRY_READ_READABLE, EPERM},
        {SANDBOX_ALLOW_FILES, TRY_READ_READABLE, EACCES},
        {SANDBOX_ALLOW_FILES, TRY_WRITE_READABLE, EACCES},
        {SANDBOX_ALLOW_READ_FILES, TRY_READ_READABLE, 0},
        {SANDBOX_ALLOW_READ_FILES, TRY_LIST_READABLE, 0},
        {SANDBOX_ALLOW_READ_FILES, TRY_READ_PASSWD, EACCES},
        {SANDBOX_ALLOW_READ_FILES, TRY_WRITE_READABLE, EACCES},
        {SANDBOX_ALLOW_READ_FILES, TRY_CHANGE_READABLE, EACCES},
        {SANDBOX_ALLOW_READ_FILES, TRY_REMOVE_READABLE, EPERM},
        {SANDBOX_ALLOW_READ_FILES, TRY_WRITE_INSIDE, EACCES},
        {SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES, TRY_READ_READABLE, 0},
        {SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES, TRY_WRITE_INSIDE, 0},
        {SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES, TRY_WRITE_READABLE, EACCES},
        {SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES, TRY_CHANGE_READABLE, EACCES},
        {SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES, TRY_REMOVE_READABLE, EACCES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int got = run_in_sandbox(cases[i].allow, cases[i].what);
        if (got != cases[i].want) {
            fail_msg("case %zu: got %d, want %d", i, got, cases[i].want);
        }
    }
}

static int
run_as_parent(enum attempt what)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(sandbox_enter_parent(1ull << 30) == STATUS_OK ? attempt_now(what) : 254);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* It starts and ends others and opens files and ports, and no more. */
static void
test_parent(void **state)
{
    static const struct {
        enum attempt what;
        int want;
    } cases[] = {
        {TRY_EXEC, 0},          {TRY_FORK, 0},
        {TRY_THREAD, 0},        {TRY_READ_PASSWD, 0},
        {TRY_WRITE_INSIDE, 0},  {TRY_INET_SOCKET, 0},
        {TRY_SIGNAL_PARENT, 0}, {TRY_USER_NAMESPACE, EPERM},
        {TRY_CHOWN, EPERM},     {TRY_MOUNT, -SIGSYS},
        {TRY_TRACE, -SIGSYS},   {TRY_MUCH_MEMORY, ENOMEM},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (!SANDBOX_LIMITS_ADDRESSES && cases[i].what == TRY_MUCH_MEMORY) {
            continue;
        }
        int got = run_as_parent(cases[i].what);
        if (got != cases[i].want) {
            fail_msg("case %zu: got %d, want %d", i, got, cases[i].want);
        }
    }
}

static int
make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/postern-sandbox-XXXXXX");
    char path[128];
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(readable, sizeof readable, "%s-readable", directory);
    snprintf(path, sizeof path, "%s/file", readable);
    int fd = mkdir(readable, 0755) == 0 ? open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644) : -1;
    return fd >= 0 ? close(fd) : -1;
}

static int
remove_directory(void **state)
{
    char path[128];
    (void)state;
    snprintf(path, sizeof path, "%s/file", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/file", readable);
    unlink(path);
    return rmdir(readable) == 0 ? rmdir(directory) : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_profiles, make_directory, remove_directory),
        cmocka_unit_test_setup_teardown(test_parent, make_directory, remove_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

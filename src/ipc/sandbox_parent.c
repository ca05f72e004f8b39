/* The sandbox of the process that starts the others. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/sandbox_internal.h"

/*
 * What is left of root's rights. The roles begin with these and give all up with their user; the
 * parent itself goes on needing them.
 */
static const unsigned kept_capabilities[] = {
    CAP_SETUID,           /* roles: their own users */
    CAP_SETGID,           /* and groups */
    CAP_KILL,             /* ending a role that has another user */
    CAP_NET_BIND_SERVICE, /* new listeners at a reload */
    CAP_DAC_READ_SEARCH,  /* keys that belong to somebody else */
};

/* ---- capabilities */

static uint64_t
kept_set(void)
{
    uint64_t set = 0;
    for (size_t i = 0; i < sizeof kept_capabilities / sizeof kept_capabilities[0]; i++) {
        set |= (uint64_t)1 << kept_capabilities[i];
    }
    return set;
}

/*
 * Gives up the others, for the processes that are started too. Where the bounding set may not be
 * changed (it takes CAP_SETPCAP), no_new_privs keeps an exec from bringing them back.
 */
static enum status
drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2];
    uint64_t const kept = kept_set();
    if (geteuid() != 0) {
        return STATUS_OK;
    }
    for (unsigned i = 0; i <= CAP_LAST_CAP; i++) {
        if ((kept & (uint64_t)1 << i) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 &&
            errno != EINVAL && errno != EPERM) {
            return STATUS_IO;
        }
    }
    if (syscall(SYS_capget, &header, now) != 0) {
        return STATUS_IO;
    }
    for (unsigned half = 0; half < 2; half++) {
        uint32_t mask = (uint32_t)(kept >> 32 * half);
        now[half].permitted &= mask; /* the administrator may have given less */
        now[half].effective = now[half].permitted;
        now[half].inheritable = 0;
    }
    return syscall(SYS_capset, &header, now) == 0 ? STATUS_OK : STATUS_IO;
}

/* ---- seccomp */

/* What a role needs until it is in its own sandbox, and the parent to start and to end it. */
static const int calls_parent[] = {
    SCMP_SYS(execve),
    SCMP_SYS(wait4),
    SCMP_SYS(waitid),
    SCMP_SYS(kill),
    SCMP_SYS(tgkill),
    SCMP_SYS(arch_prctl),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(prctl),
    SCMP_SYS(prlimit64),
    SCMP_SYS(setrlimit),
    SCMP_SYS(seccomp),
    SCMP_SYS(landlock_create_ruleset),
    SCMP_SYS(landlock_add_rule),
    SCMP_SYS(landlock_restrict_self),
    SCMP_SYS(setgroups),
    SCMP_SYS(setresgid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setuid),
    SCMP_SYS(capget),
    SCMP_SYS(fchownat),
    SCMP_SYS(mlock),
    SCMP_SYS(munlock),
};

/* Looking into other processes, loading code into the kernel, rearranging the system. */
static const int calls_fatal[] = {
    SCMP_SYS(ptrace),       SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
    SCMP_SYS(bpf),          SCMP_SYS(perf_event_open),  SCMP_SYS(mount),
    SCMP_SYS(umount2),      SCMP_SYS(pivot_root),       SCMP_SYS(chroot),
    SCMP_SYS(setns),        SCMP_SYS(unshare),          SCMP_SYS(init_module),
    SCMP_SYS(finit_module), SCMP_SYS(kexec_load),       SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),       SCMP_SYS(swapon),           SCMP_SYS(keyctl),
    SCMP_SYS(userfaultfd),  SCMP_SYS(io_uring_setup),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static bool
fill_filter(scmp_filter_ctx filter)
{
    uint32_t const all = SANDBOX_ALLOW_ACCEPT | SANDBOX_ALLOW_INTERNET | SANDBOX_ALLOW_UNIX |
                         SANDBOX_ALLOW_FILES | SANDBOX_ALLOW_READ_FILES;
    return sandbox_filter_fill(filter, all) &&
           sandbox_filter_allow(filter, calls_parent, COUNT(calls_parent)) &&
           sandbox_filter_kill(filter, calls_fatal, COUNT(calls_fatal)) &&
           /* The relay asks for the machine's addresses before its own sandbox. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                            SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)AF_NETLINK)) == 0 &&
           /* Processes and threads, but no namespaces; clone3 as in sandbox.c. */
           seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, SANDBOX_CLONE_NEW_ANYTHING, 0)) == 0 &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

static enum status
enter_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL) {
        return STATUS_IO;
    }
    bool done = fill_filter(filter) && seccomp_load(filter) == 0;
    seccomp_release(filter);
    return done ? STATUS_OK : STATUS_IO;
}

/* No core file, which would hold keys; roles inherit that. */
static enum status
enter_limits(uint64_t memory_bytes)
{
    struct rlimit none = {0, 0};
    enum status status = setrlimit(RLIMIT_CORE, &none) == 0 ? STATUS_OK : STATUS_IO;
    return status == STATUS_OK && memory_bytes > 0 ? sandbox_limit_memory(memory_bytes) : status;
}

enum status
sandbox_enter_parent(uint64_t memory_bytes)
{
    const char *step = "no_new_privs";
    enum status status = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? STATUS_OK : STATUS_IO;
    if (status == STATUS_OK) {
        step = "resource limits";
        status = enter_limits(memory_bytes);
    }
    if (status == STATUS_OK) {
        step = "capabilities";
        status = drop_capabilities();
    }
    if (status == STATUS_OK) {
        step = "seccomp";
        status = enter_filter();
    }
    if (status != STATUS_OK) {
        LOG_ERROR("cannot enter the sandbox", LOG_CSTR("profile", "parent"), LOG_CSTR("step", step),
                  LOG_CSTR("reason", strerror(errno)));
    }
    return status;
}

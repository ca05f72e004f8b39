/*
 * sandbox.h - a process gives up what its job does not need.
 *
 * sandbox_enter runs before the first untrusted octet is read. What the running kernel does not
 * offer (Landlock before Linux 5.13) is left out with a warning in the log; what it offers and
 * refuses is an error. Nothing here can be undone by the process.
 */
#ifndef POSTERN_IPC_SANDBOX_H
#define POSTERN_IPC_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "base/str.h"

/* What a role may still do afterwards; bits of sandbox_profile.allow. Memory, threads, time,
 * reading and writing open descriptors are always allowed. */
enum sandbox_allow {
    SANDBOX_ALLOW_ACCEPT = 1u << 0,    /* accept connections on sockets it was given */
    SANDBOX_ALLOW_INTERNET = 1u << 1,  /* make sockets: IPv4, IPv6; connect, bind */
    SANDBOX_ALLOW_UNIX = 1u << 2,      /* make Unix sockets and connect them */
    SANDBOX_ALLOW_FILES = 1u << 3,     /* open, read, write, rename, delete below `writable` */
    SANDBOX_ALLOW_READ_FILES = 1u << 4 /* open for reading below `readable` */
};

struct sandbox_profile {
    const char *name;
    uint32_t allow;        /* enum sandbox_allow bits */
    uint32_t descriptors;  /* most open descriptors (RLIMIT_NOFILE) */
    uint64_t memory_bytes; /* address space, see sandbox_limit_memory; 0: not limited */
};

struct sandbox_paths {
    const char *writable[4]; /* directories; NULL where unused */
    const char *readable[8]; /* files or directories */
};

/*
 * Changes to the user and group, with no other groups. Does nothing when not root. After it the
 * process cannot change back.
 */
[[nodiscard]] enum status sandbox_set_user(uid_t uid, gid_t gid);

/*
 * no_new_privs, resource limits, Landlock and the seccomp filter of the profile, for all threads
 * (call it before there are others). STATUS_IO with a log line when one cannot be set.
 */
[[nodiscard]] enum status sandbox_enter(const struct sandbox_profile *profile,
                                        const struct sandbox_paths *paths);

/* The sanitizers of addresses and threads reserve terabytes of addresses, whatever the program
 * uses: they are not limited where one is built in, which GCC says in its way and Clang in another.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_LIMITS_ADDRESSES false
#elif defined(__has_feature)
#define SANDBOX_LIMITS_ADDRESSES                                                                   \
    (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define SANDBOX_LIMITS_ADDRESSES true
#endif

/*
 * Another limit of the address space (RLIMIT_AS), for a new configuration. The limit is a soft one:
 * it stops code that runs away, and seccomp and Landlock stop code that somebody else has taken
 * over. STATUS_IO when the system refuses.
 */
[[nodiscard]] enum status sandbox_limit_memory(uint64_t bytes);

/*
 * For the parent, which starts the others: no_new_privs, no core files, at most `memory_bytes` of
 * address space (0: not limited), of root's rights those alone that starting and ending roles,
 * binding ports and reading keys take, and a seccomp filter with what a role needs until it is in
 * its own sandbox. What is started inherits all of it, and may set a larger memory limit of its
 * own. STATUS_IO with a log line.
 */
[[nodiscard]] enum status sandbox_enter_parent(uint64_t memory_bytes);

#endif

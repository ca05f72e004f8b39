/*
 * sandbox_internal.h - the seccomp filter that sandbox.c (roles) and sandbox_parent.c share.
 */
#ifndef POSTERN_IPC_SANDBOX_INTERNAL_H
#define POSTERN_IPC_SANDBOX_INTERNAL_H

#include <sched.h>
#include <seccomp.h>

#include "ipc/sandbox.h"

/* Every flag of clone(2) that makes a new namespace. */
#define SANDBOX_CLONE_NEW_ANYTHING                                                                 \
    ((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |  \
                    CLONE_NEWPID | CLONE_NEWNET))

/* Allows the calls that a profile with these enum sandbox_allow bits has, but for threads. */
bool sandbox_filter_fill(scmp_filter_ctx filter, uint32_t allow);
bool sandbox_filter_allow(scmp_filter_ctx filter, const int *calls, size_t count);
bool sandbox_filter_kill(scmp_filter_ctx filter, const int *calls, size_t count);

#endif

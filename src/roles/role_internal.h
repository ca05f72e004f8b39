/*
 * role_internal.h - the frame of a role inside: what role.c and role_commands.c share.
 */
#ifndef POSTERN_ROLES_ROLE_INTERNAL_H
#define POSTERN_ROLES_ROLE_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include "roles/role.h"

/* Commands connected at one time. */
#define COMMANDS_MAX 64

struct event;

struct role_runtime {
    const struct role_definition *definition;
    uint32_t instance;
    struct event_base *loop;
    void *state;
    struct channel *control;
    struct channel *peers[ROLE_COUNT][ROLE_INSTANCES_MAX];
    struct channel *commands[COMMANDS_MAX];
    struct event *command_listener;
    struct event *destroy_later; /* channels of commands that have gone */
    pthread_mutex_t config_mutex;
    const struct config *config;
    const struct config *next_config; /* received, not started yet */
    uint64_t generation;
    char directory[PATH_MAX];
    bool running; /* the loop turns: past `start` */
};

/* A channel to a peer, or to a command (ROLE_CLI), that hands its messages to the role. */
struct channel *role_peer_channel_create(struct role_runtime *runtime, enum role peer,
                                         uint32_t instance);
/* Takes commands from a listening socket, which becomes the role's. STATUS_IO without memory. */
[[nodiscard]] enum status role_listen_for_commands(struct role_runtime *runtime, int fd);

#endif

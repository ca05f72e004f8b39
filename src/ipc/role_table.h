/*
 * role_table.h - the table of roles (roles.def): what the parent and the frame know of each.
 *
 * Made by generate.py, which refuses a table that contradicts itself or the catalogue of messages.
 */
#ifndef POSTERN_IPC_ROLE_TABLE_H
#define POSTERN_IPC_ROLE_TABLE_H

#include "ipc/messages.h"
#include "ipc/sandbox.h"

/* What the parent hands to a role at its start and at each reload; bits of role_row.gets. */
enum role_gets {
    ROLE_GETS_CERTIFICATES = 1u << 0, /* of Postern's own, without their keys */
    ROLE_GETS_ROOTS = 1u << 1,        /* the authorities that are trusted, tls.trusted_roots */
    ROLE_GETS_LISTENERS = 1u << 2,    /* sockets for SMTP, by their index in config->listeners */
    ROLE_GETS_CLIENTS = 1u << 3,      /* the counts of clients that its processes share (tally.h) */
    ROLE_GETS_METRICS = 1u << 4,      /* the socket for collectors; at its start only */
    ROLE_GETS_KEYS = 1u << 5,         /* of the certificates */
};

struct role_row {
    const char *name;     /* also of its user (postern-NAME), its directory and its sockets */
    uint32_t user_number; /* see users.h; 0: no process */
    uint32_t processes_least;
    uint32_t processes_most; /* 0: no process of the parent's. Where they differ, see role.h */
    bool starts_last;
    bool commands;                  /* the command line connects to it */
    uint32_t peers;                 /* bits 1 << role, in both directions */
    uint32_t gets;                  /* enum role_gets bits */
    uint32_t directory_mode;        /* 0: it keeps no files */
    struct sandbox_profile sandbox; /* its memory: without what the configuration adds */
};

/* By enum role, in the order in which roles are started. */
extern const struct role_row role_rows[ROLE_COUNT];

/* The row of a role; static. `role` is below ROLE_COUNT. */
const struct role_row *role_row(enum role role);
/* Whether two roles talk to each other. Any numbers may be given. */
bool role_are_peers(enum role a, enum role b);

#endif

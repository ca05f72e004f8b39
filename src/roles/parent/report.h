/*
 * report.h - answers `postern status`, `postern reload` and the console: asks every role for its
 * metrics, waits for the slowest a few seconds, and sends one report. A role that has started and
 * says nothing in that time is told as not answering.
 */
#ifndef POSTERN_ROLES_PARENT_REPORT_H
#define POSTERN_ROLES_PARENT_REPORT_H

#include "ipc/channel.h"
#include "roles/parent/child.h"

/* What the parent knows by itself. */
struct report_facts {
    uint64_t generation;
    uint64_t uptime_ms;
    struct child *children;
    size_t child_count;
    const struct material *material;
    const char *rejected; /* why what is new was not taken, or "" */
};

struct report_server;
typedef void report_fill(void *context, struct report_facts *facts_out);
/* *text_out: on failure the reason, else the keys that take a restart (RESTART_KEYS_MAX). */
typedef enum status report_reload(void *context, struct arena *arena, struct str *text_out);

/* Serves commands on a listening socket, which becomes the server's. */
struct report_server *report_server_create(struct event_base *loop, int listener, void *context,
                                           report_fill *fill, report_reload *reload);
/* Makes a report and sends it as the reply to `request` on `channel`. */
void report_to_channel(struct report_server *server, struct channel *channel, uint64_t request);

#endif

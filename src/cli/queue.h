/*
 * queue.h - the inside of `postern queue`: its command line, and one function for each kind of
 * verb. Each returns the exit status of the program.
 */
#ifndef POSTERN_CLI_QUEUE_H
#define POSTERN_CLI_QUEUE_H

#include "base/random.h"
#include "cli/cli.h"

/* Messages of one page of the queue. */
#define QUEUE_PAGE_MESSAGES 100u

/* Beside enum spool_action. */
enum queue_verb {
    VERB_LIST = -1,
    VERB_SHOW = -2,
    VERB_DESTINATIONS = -3,
    VERB_ERRORS = -4,
    VERB_PAUSE = -5,
    VERB_RESUME = -6,
    VERB_TEXT = -7,
};

struct queue_command {
    struct cli_common common;
    const char *verb;
    int action; /* enum spool_action or enum queue_verb */
    struct record_queue_filter filter;
    char filter_id[ID_LENGTH + 1]; /* of filter.id */
    unsigned priorities;           /* 1 << enum spool_priority; 0: all */
    bool has_filter;
    bool all;
    bool header;    /* text: only the header section */
    uint64_t limit; /* 0: none */
    struct str reason;
    struct str to; /* reroute: the next hop; empty: as the configuration says */
    bool has_to;
    char **ids; /* or destinations, for pause and resume */
    size_t id_count;
    char by[320];
};

/* One page of the queue; *after moves to the next. NULL after a message. */
struct ipc_message *queue_ask_page(int fd, struct queue_command *command, uint64_t *after,
                                   uint32_t limit);

/* queue_act.c: hold, release, flush, bounce, remove, reroute. */
int queue_act(int fd, struct queue_command *command);
/* queue_standing.c: destinations and errors; pause and resume. */
int queue_standing(int fd, const struct queue_command *command);
int queue_pause(int fd, const struct queue_command *command);
/* queue_text.c: the octets of messages. */
int queue_text(int fd, const struct queue_command *command);

#endif

/*
 * sendmail_options.h - the command line of sendmail, as programs have called it since 1983.
 *
 * Single letters, whose values stand in the same word or the next one; options and recipients in
 * any order; "--" ends the options. What means nothing here and does no harm is taken and ignored.
 */
#ifndef POSTERN_CLI_SENDMAIL_OPTIONS_H
#define POSTERN_CLI_SENDMAIL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum sendmail_mode {
    SENDMAIL_SUBMIT,  /* a message on standard input (-bm) */
    SENDMAIL_SESSION, /* SMTP on standard input and output (-bs) */
    SENDMAIL_QUEUE,   /* show the queue (-bp) */
    SENDMAIL_NOTHING, /* there is nothing to be done: aliases (-bi, -I), a run of the queue (-q) */
    SENDMAIL_HELP,
};

struct sendmail_options {
    enum sendmail_mode mode;
    bool from_header;        /* -t: recipients are those of To, Cc and Bcc */
    bool dots_are_text;      /* -i, -oi: a line with one dot does not end the message */
    const char *sender;      /* -f, -r; NULL: the user */
    const char *full_name;   /* -F; NULL: that of the user */
    const char *notify;      /* -N: "success,failure"; NULL: not given */
    const char *return_part; /* -R: "full" or "hdrs"; NULL: not given */
    const char *envelope_id; /* -V; NULL: not given */
    const char *config_file; /* --config; NULL: not given */
    char **recipients;       /* in argv */
    size_t recipient_count;
};

#define SENDMAIL_ERROR_MAX 160u

/*
 * Reads argv[1..argc-1], which it reorders. False when the call is wrong: `error` says why then.
 * All texts of *options_out are argv's.
 */
bool sendmail_options_read(int argc, char **argv, struct sendmail_options *options_out,
                           char error[static SENDMAIL_ERROR_MAX]);

#endif

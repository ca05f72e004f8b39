/*
 * cli.h - what the sub-commands share: their table, options, the way to a running Postern.
 *
 * A sub-command is one file with one function `int cli_<name>(int argc, char **argv)`, argv[0]
 * being its own name; it returns the exit status of the program: 0 done; 1 it could not be done
 * (said on standard error); 2 the call itself is wrong.
 */
#ifndef POSTERN_CLI_CLI_H
#define POSTERN_CLI_CLI_H

#include <getopt.h>
#include <stdio.h>

#include "config/config.h"
#include "ipc/channel.h"

#define CLI_DONE   0
#define CLI_FAILED 1
#define CLI_USAGE  2

/* How long a command waits for an answer of the running program. */
#define CLI_TIMEOUT_MS 30000

int cli_run(int argc, char **argv);
int cli_role(int argc, char **argv);
int cli_config(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_reload(int argc, char **argv);
int cli_queue(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_address(int argc, char **argv);
int cli_completion(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_secret(int argc, char **argv);
int cli_trace(int argc, char **argv);
int cli_explain(int argc, char **argv);
int cli_dmarc(int argc, char **argv);
int cli_dovecot_config(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_dns(int argc, char **argv);
/* Its exit statuses are those of sysexits.h, which callers of sendmail know. */
int cli_sendmail(int argc, char **argv);
/* The program was called by a name that stands for a command: "/usr/sbin/sendmail", mailq,
 * newaliases. The exit status; -1: it was not. */
int cli_called_as(const char *name, int argc, char **argv);

/*
 * Takes "--config FILE" (or "--config=FILE", "-c FILE") and "--json" out of argv wherever they
 * stand before a "--". Who wants other options reads what is left. Returns the new argc; 0 when
 * --help or -h was there and `help` has been printed; -1 after a message when a value is missing.
 * With `help` NULL the caller prints it, when common_out->help says so.
 */
struct cli_common {
    const char *config_file; /* $POSTERN_CONFIG or CONFIG_FILE_DEFAULT when not given */
    bool json;
    bool help;
};
int cli_take_common(int argc, char **argv, const char *help, struct cli_common *common_out);

/*
 * The next of the long options, as getopt_long tells it (optarg, optind); -1 at their end. '?'
 * after a message, "postern NAME: there is no option '--bogus'; see postern NAME --help" or the
 * like: the call is wrong then. argv[0] is the sub-command.
 */
int cli_next_option(int argc, char **argv, const struct option *options);

/* How many columns the terminal has that standard output goes to; 0: it goes to none. */
unsigned cli_terminal_columns(void);

/* Text from the network: nothing of it may command a terminal; what could, and what
 * is not to be seen (base/show.h), is printed as '?' or \u{HEX}. */
void cli_print_text(FILE *out, struct str text);

/* "postern NAME: text" on standard error; returns `exit_status`. */
int cli_fail(const char *name, int exit_status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Reads the configuration file; on failure prints every fault as "file:line:column: ..." and
 * returns NULL. The caller ends it with config_unref.
 */
const struct config *cli_load_config(const char *file_name);

/*
 * The whole address of a user or recipient: without a domain that of the only domain is meant.
 * False after a message where there are several, or none. `name_out` may not overlap `name`.
 */
#define CLI_ADDRESS_MAX 512u
bool cli_complete_address(const char *command, const char *config_file, const char *name,
                          char name_out[static CLI_ADDRESS_MAX]);

/*
 * Connects to a running Postern: the parent (status, reload), the spool (queue), the ledger
 * (users, trace) or the vault (keys). -1 after a message that says what to do. The caller closes
 * the descriptor.
 */
int cli_connect(const char *config_file, enum role peer);

/* The same without a message: -1 where nothing is running. */
int cli_connect_if_running(const struct config *config, enum role peer);

/*
 * Sends a request and waits for its reply of type `reply_type`. NULL after a message. The caller
 * frees it.
 */
struct ipc_message *cli_call(int fd, enum role peer, enum msg_type type, const void *fields,
                             enum msg_type reply_type);

#endif

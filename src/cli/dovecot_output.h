/*
 * dovecot_output.h - writes the configuration for Dovecot without losing one that is there. Called
 * by cli/dovecot_config.c.
 */
#ifndef POSTERN_CLI_DOVECOT_OUTPUT_H
#define POSTERN_CLI_DOVECOT_OUTPUT_H

#include "base/str.h"

/* Most copies of older files that are kept beside FILE: FILE.1, FILE.2, ... */
#define DOVECOT_KEPT_MAX 99

/*
 * Writes `text` to the file `path`, as a whole or not at all; NULL is standard output. A regular
 * file that is there and says something else stays as it is and makes the call fail, unless
 * `force`: then it is renamed to the first free name of the list above, and standard error tells
 * that name. What is no regular file (a terminal, a pipe) is written to. Returns CLI_DONE, or
 * CLI_FAILED with a text on standard error.
 */
int dovecot_output_write(const char *path, bool force, struct str text);

#endif

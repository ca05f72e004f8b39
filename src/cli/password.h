/*
 * password.h - passwords for the commands: from the terminal, without echo and twice, or from the
 * first line of standard input; never from the command line, where every process can read them.
 */
#ifndef POSTERN_CLI_PASSWORD_H
#define POSTERN_CLI_PASSWORD_H

#include <stdbool.h>
#include <sys/types.h>

#include "store/credential.h"

/*
 * Its length, with a NUL behind it; the caller wipes it. -1 after a message that names `command`
 * ("user"): there is none, it is too long, or the two differ.
 */
[[nodiscard]] ssize_t cli_get_password(const char *command, bool from_stdin,
                                       char password[static CREDENTIAL_PASSWORD_MAX + 1]);

#endif

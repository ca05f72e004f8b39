/*
 * config.h - `postern config`: check the configuration, print its defaults, schema and reference.
 */
#ifndef POSTERN_CLI_CONFIG_H
#define POSTERN_CLI_CONFIG_H

/*
 * Runs the sub-command; argv[0] is "config". Returns the exit status: 0 all right, 1 the
 * configuration has errors, 2 wrong use of the command, 3 the file cannot be read or the output not
 * be written.
 */
int cli_config(int argc, char **argv);

#endif

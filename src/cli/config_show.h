/*
 * config_show.h - postern config show and get.
 */
#ifndef POSTERN_CLI_CONFIG_SHOW_H
#define POSTERN_CLI_CONFIG_SHOW_H

#include "base/str.h"

/*
 * Prints the values of a configuration (its text and, for the origins, its file's name) below
 * `prefix`, each with where it comes from; an empty prefix: all. Returns how many there were; -1
 * when the text cannot be read.
 */
int config_show_print(struct str text, const char *file_name, const char *prefix, bool json);

#endif

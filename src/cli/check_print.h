/*
 * check_print.h - the answers of `postern check` for people. Colours only on a terminal, and not
 * with NO_COLOR in the environment.
 */
#ifndef POSTERN_CLI_CHECK_PRINT_H
#define POSTERN_CLI_CHECK_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* {"helo": answer of the operation spf, "mailfrom": the other} */
void check_print_spf(FILE *out, const json_t *answer);
/* The answer of the operation message. */
void check_print_message(FILE *out, const json_t *answer);
/* The answer of the operation domain. */
void check_print_domain(FILE *out, const json_t *answer);
/* The answer of the operation mta-sts. */
void check_print_mta_sts(FILE *out, const json_t *answer);
/* The answer of the operation tlsrpt. */
void check_print_tlsrpt(FILE *out, const json_t *answer);

#endif

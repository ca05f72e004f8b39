/*
 * checks.h - the rows of the table of checks that ask who sent a message.
 *
 * All of them need input->dns: without it they return STATUS_TEMPORARY and have learnt nothing.
 * What they learn beside their findings goes to input->auth (results.h), when there is one;
 * check_dmarc and check_own_domain, which rest on what the others have left there, are
 * STATUS_TEMPORARY without.
 */
#ifndef POSTERN_AUTH_CHECKS_H
#define POSTERN_AUTH_CHECKS_H

#include "check/check.h"

/*
 * Verifies the chain of ARC sets, which also goes to input->auth->arc. Where a chain of trusted
 * sealers (authentication.arc.trusted_sealers) vouches for the author, that is a finding of its
 * own. Without a chain there is nothing to find, and no DNS is needed.
 */
check_function check_arc;

check_function check_dkim;
check_function check_dmarc;
check_function check_iprev;
/* Needs no DNS of its own. */
check_function check_own_domain;
check_function check_spf;

#endif

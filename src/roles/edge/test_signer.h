/*
 * test_signer.h - a real signer beside an edge that is tested: a process of its own.
 */
#ifndef POSTERN_ROLES_EDGE_TEST_SIGNER_H
#define POSTERN_ROLES_EDGE_TEST_SIGNER_H

#include <sys/types.h>

#include "base/str.h"

struct test_signer {
    pid_t pid; /* 0: there is none */
    int control;
};

void test_signer_start(struct test_signer *signer);
/* The only key of a new generation. */
void test_signer_hand_out(struct test_signer *signer, struct str key_pem);
/* A socket between it and the edge of that control socket. */
void test_signer_join(struct test_signer *signer, int edge_control);
/* Kills it; one that is not there is no fault. */
void test_signer_end(struct test_signer *signer);

#endif

/*
 * dkim_problem.h - how a signature turned out, and what was wrong with it (RFC 6376 6.1, RFC 8601
 * 2.7.1). The table is dkim_problems.def; ARC uses it too, since its signatures are of the same
 * kind.
 */
#ifndef POSTERN_AUTH_DKIM_PROBLEM_H
#define POSTERN_AUTH_DKIM_PROBLEM_H

#include "base/str.h"

/* RFC 8601 2.7.1. The numbers are kept in traces. */
enum dkim_result {
    DKIM_RESULT_NONE,
    DKIM_RESULT_PASS,
    DKIM_RESULT_FAIL,
    DKIM_RESULT_POLICY,
    DKIM_RESULT_NEUTRAL, /* not given by us: what it stands for is permerror here */
    DKIM_RESULT_TEMPERROR,
    DKIM_RESULT_PERMERROR,
    DKIM_RESULT_COUNT_, /* not a result */
};

enum dkim_problem {
#define DKIM_PROBLEM(NAME, name, RESULT, text) DKIM_PROBLEM_##NAME,
#include "auth/dkim_problems.def"
#undef DKIM_PROBLEM
    DKIM_PROBLEM_COUNT_, /* not a problem */
};

/* "pass", "temperror", ...; static, never NULL. */
const char *dkim_result_name(enum dkim_result result);
/* The result that a problem leads to; NONE is a pass. */
enum dkim_result dkim_problem_result(enum dkim_problem problem);
/* "key_revoked"; "none" where nothing is wrong. Static, never NULL. */
const char *dkim_problem_name(enum dkim_problem problem);
/* A sentence without full stop; empty where nothing is wrong. Static, never NULL. */
const char *dkim_problem_text(enum dkim_problem problem);

#endif

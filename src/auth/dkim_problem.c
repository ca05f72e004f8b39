#include "auth/dkim_problem.h"

static const struct {
    const char *name;
    const char *text;
    enum dkim_result result;
} problems[] = {
#define DKIM_PROBLEM(NAME, name, RESULT, text) {#name, text, DKIM_RESULT_##RESULT},
#include "auth/dkim_problems.def"
#undef DKIM_PROBLEM
};

static const char *const results[] = {"none",    "pass",      "fail",     "policy",
                                      "neutral", "temperror", "permerror"};

const char *
dkim_result_name(enum dkim_result result)
{
    return results[result];
}

enum dkim_result
dkim_problem_result(enum dkim_problem problem)
{
    return problems[problem].result;
}

const char *
dkim_problem_name(enum dkim_problem problem)
{
    return problems[problem].name;
}

const char *
dkim_problem_text(enum dkim_problem problem)
{
    return problems[problem].text;
}

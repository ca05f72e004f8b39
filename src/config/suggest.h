/*
 * suggest.h - "did you mean": the name that comes nearest to what somebody wrote.
 */
#ifndef POSTERN_CONFIG_SUGGEST_H
#define POSTERN_CONFIG_SUGGEST_H

#include "base/str.h"

/*
 * The one of `count` names that `input` was probably meant to be (few edits away, case ignored), or
 * NULL. `name_of(names, i)` gives the i-th.
 */
const char *suggest_name(struct str input, const void *names, size_t count,
                         const char *(*name_of)(const void *names, size_t i));

#endif

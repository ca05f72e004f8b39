#include "auth/results.h"

#include "auth/hasher.h"

struct hasher *
auth_results_hasher(struct auth_results *results, struct arena *arena, struct str body)
{
    if (results == NULL) {
        return hasher_create(arena, body);
    }
    if (results->hasher == NULL) {
        results->hasher = hasher_create(arena, body);
    }
    return results->hasher;
}

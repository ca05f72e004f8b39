#include "roles/definitions.h"

#define DECLARE(NAME, name) extern const struct role_definition name##_role;
ROLE_EACH(DECLARE)
#undef DECLARE

static const struct role_definition *const definitions[ROLE_COUNT] = {
#define DEFINITION(NAME, name) [ROLE_##NAME] = &name##_role,
    ROLE_EACH(DEFINITION)
#undef DEFINITION
};

const struct role_definition *
role_definition_of(enum role role)
{
    return (unsigned)role < ROLE_COUNT ? definitions[role] : NULL;
}

uint32_t
role_processes(enum role role, const struct config *config)
{
    const struct role_definition *definition = role_definition_of(role);
    const struct role_row *row = role_row(role);
    if (definition == NULL || definition->processes == NULL) {
        return row->processes_least;
    }
    uint32_t const wanted = definition->processes(config);
    if (wanted < row->processes_least) {
        return row->processes_least;
    }
    return wanted < row->processes_most ? wanted : row->processes_most;
}

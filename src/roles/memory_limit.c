#include "roles/memory_limit.h"

uint64_t
role_memory_limit(const struct role_definition *definition, const struct config *config)
{
    uint64_t const more = definition->memory != NULL ? definition->memory(config) : 0;
    return role_row(definition->role)->sandbox.memory_bytes + more;
}

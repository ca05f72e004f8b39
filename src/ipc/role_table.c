#include "ipc/role_table.h"

_Static_assert(ROLE_COUNT < 32, "roles are bits of a uint32_t");

const struct role_row *
role_row(enum role role)
{
    return &role_rows[role];
}

bool
role_are_peers(enum role a, enum role b)
{
    return (unsigned)a < ROLE_COUNT && (unsigned)b < ROLE_COUNT &&
           (role_rows[a].peers & 1u << b) != 0;
}

#include "roles/role.h"

static const struct {
    enum role a;
    enum role b;
} topology[] = {
    {ROLE_EDGE, ROLE_FILTER},     {ROLE_EDGE, ROLE_LEDGER},    {ROLE_EDGE, ROLE_RELAY},
    {ROLE_EDGE, ROLE_RESOLVER},   {ROLE_FILTER, ROLE_SPOOL},   {ROLE_FILTER, ROLE_LEDGER},
    {ROLE_FILTER, ROLE_RESOLVER}, {ROLE_SPOOL, ROLE_RELAY},    {ROLE_SPOOL, ROLE_LEDGER},
    {ROLE_RELAY, ROLE_RESOLVER},  {ROLE_RELAY, ROLE_LEDGER},   {ROLE_FILTER, ROLE_VAULT},
    {ROLE_EDGE, ROLE_VAULT},      {ROLE_VAULT, ROLE_RESOLVER}, {ROLE_SPOOL, ROLE_VAULT},
    {ROLE_RELAY, ROLE_VAULT},
};

bool
role_topology_connects(enum role a, enum role b)
{
    for (size_t i = 0; i < sizeof topology / sizeof topology[0]; i++) {
        if ((topology[i].a == a && topology[i].b == b) ||
            (topology[i].a == b && topology[i].b == a)) {
            return true;
        }
    }
    return false;
}

#include "roles/users.h"

#include <pwd.h>
#include <stdio.h>

#include "ipc/role_table.h"

#define USER_NAME_MAX 64

static bool
user_by_name(const char *name, uid_t *uid_out, gid_t *gid_out)
{
    struct passwd *entry = getpwnam(name);
    if (entry == NULL) {
        return false;
    }
    *uid_out = entry->pw_uid;
    *gid_out = entry->pw_gid;
    return true;
}

void
role_user_find(const struct config *config, enum role role, uid_t *uid_out, gid_t *gid_out)
{
    char name[USER_NAME_MAX];
    snprintf(name, sizeof name, "postern-%s", ipc_role_name(role));
    if (user_by_name(name, uid_out, gid_out)) {
        return;
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(config->run_as));
    if (user_by_name(name, uid_out, gid_out)) {
        return;
    }
    *uid_out = ROLE_UID_FALLBACK + role_row(role)->user_number;
    *gid_out = ROLE_UID_FALLBACK + role_row(role)->user_number;
}

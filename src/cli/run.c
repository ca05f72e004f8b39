#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "roles/console.h"
#include "roles/edge.h"
#include "roles/filter.h"
#include "roles/ledger.h"
#include "roles/parent/parent.h"
#include "roles/relay/relay.h"
#include "roles/resolver.h"
#include "roles/role.h"
#include "roles/spool.h"
#include "roles/vault/vault.h"

static const struct role_definition *const definitions[] = {
    &console_role, &edge_role,     &filter_role, &ledger_role,
    &relay_role,   &resolver_role, &spool_role,  &vault_role,
};

static const char run_usage[] =
    "usage: postern run [--config FILE]\n"
    "\n"
    "Runs the gateway in the foreground; the log goes to standard error.\n"
    "SIGHUP reloads the configuration and the certificates, SIGTERM stops in order.\n"
    "\n"
    "example: postern run --config /etc/postern/postern.yaml\n";

int
cli_run(int argc, char **argv)
{
    struct cli_common common;
    char path[PATH_MAX];
    argc = cli_take_common(argc, argv, run_usage, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    if (argc > 1) {
        return cli_fail("run", CLI_USAGE, "'%s' is not understood; see postern run --help",
                        argv[1]);
    }
    /* A full path stays right whatever the working directory is. */
    return parent_main(realpath(common.config_file, path) != NULL ? path : common.config_file);
}

/* Started by the parent only; its control socket is descriptor 3. */
int
cli_role(int argc, char **argv)
{
    uint64_t instance;
    if (argc != 3 ||
        str_parse_u64(str_from_cstr(argv[2]), ROLE_INSTANCES_MAX - 1, &instance) != STATUS_OK) {
        return cli_fail("role", CLI_USAGE, "roles are started by `postern run`");
    }
    enum role wanted = ipc_role_find(str_from_cstr(argv[1]));
    for (size_t i = 0; i < sizeof definitions / sizeof definitions[0]; i++) {
        if (definitions[i]->role == wanted) {
            return role_main(definitions[i], (uint32_t)instance);
        }
    }
    return cli_fail("role", CLI_USAGE, "no role is called '%s'", argv[1]);
}

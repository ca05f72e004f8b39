#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "roles/definitions.h"
#include "roles/parent/parent.h"

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
    const struct role_definition *wanted =
        role_definition_of(ipc_role_find(str_from_cstr(argv[1])));
    return wanted != NULL ? role_main(wanted, (uint32_t)instance)
                          : cli_fail("role", CLI_USAGE, "no role is called '%s'", argv[1]);
}

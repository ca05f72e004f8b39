/*
 * postern dovecot-config: a working Dovecot behind this gateway.
 */
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/dovecot_output.h"
#include "cli/dovecot_template.h"
#include "roles/parent/own_certificate.h"
#include "roles/users.h"

#define ARENA_MAX          (1u << 20)
/* What the ledger calls the file it keeps for Dovecot, in its own directory. */
#define DOVECOT_USERS_NAME "dovecot-users"

static const char HELP[] =
    "usage: postern dovecot-config [--output FILE [--force]] [--imaps ADDRESS:PORT]\n"
    "           [--mail-directory DIR] [--mail-owner USER] [--base-directory DIR]\n"
    "           [--config FILE]\n"
    "\n"
    "Writes a configuration for Dovecot 2.3 that takes mail from this gateway over LMTP\n"
    "(where the domains' `delivery` says lmtp:) and lets users read it over IMAPS, with\n"
    "the certificate, the users and the passwords of the gateway. When users change, the\n"
    "gateway tells Dovecot by itself. Nothing else of Dovecot's configuration is needed.\n"
    "\n"
    "  --output FILE          where to write it; otherwise to standard output. A file that\n"
    "                         is there and says something else is left alone\n"
    "  --force                put it in that file's place, which is kept as FILE.1, FILE.2, ...\n"
    "  --imaps ADDRESS:PORT   where users read; default *:993\n"
    "  --mail-directory DIR   where mail is kept; default /var/vmail\n"
    "  --mail-owner USER      whose it is, a name or a number; default vmail, or the\n"
    "                         one who calls this when that is not root\n"
    "  --base-directory DIR   Dovecot's sockets; default /run/dovecot\n"
    "\n"
    "example: postern dovecot-config --output /etc/dovecot/dovecot.conf --force &&\n"
    "             systemctl restart dovecot\n";

struct options {
    const char *output; /* NULL: standard output */
    const char *imaps;
    const char *mail_directory;
    const char *mail_owner; /* NULL: vmail, or who calls when that is not root */
    const char *base_directory;
    bool force; /* another file may be put aside */
};

/* Points `*value_out` at the option called `name`, or returns false. */
static bool
option_find(struct options *options, const char *name, const char ***value_out)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = {
        {"--output", &options->output},
        {"--imaps", &options->imaps},
        {"--mail-directory", &options->mail_directory},
        {"--mail-owner", &options->mail_owner},
        {"--base-directory", &options->base_directory},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *value_out = known[i].value;
            return true;
        }
    }
    return false;
}

static int
read_options(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i += 2) {
        const char **value;
        if (strcmp(argv[i], "--force") == 0) {
            options->force = true;
            i--;
            continue;
        }
        if (!option_find(options, argv[i], &value)) {
            return cli_fail("dovecot-config", CLI_USAGE,
                            "'%s' is not understood; see postern dovecot-config --help", argv[i]);
        }
        if (i + 1 == argc) {
            return cli_fail("dovecot-config", CLI_USAGE,
                            "%s wants a value; see postern dovecot-config --help", argv[i]);
        }
        *value = argv[i + 1];
    }
    return CLI_DONE;
}

/* "ADDRESS:PORT", with brackets around an IPv6 address; "*" is every address. */
static enum status
read_imaps(struct str text, struct dovecot_settings *settings)
{
    size_t colon = str_rfind_char(text, ':');
    uint64_t port;
    struct ip_address ip;
    if (colon == STR_NPOS ||
        str_parse_u64(str_skip(text, colon + 1), UINT16_MAX, &port) != STATUS_OK || port == 0) {
        return STATUS_SYNTAX;
    }
    struct str address = str_head(text, colon);
    if (str_starts_with(address, STR("[")) && str_ends_with(address, STR("]"))) {
        address = str_make(address.p + 1, address.n - 2);
    }
    if (!str_eq(address, STR("*")) && ip_parse(address, &ip) != STATUS_OK) {
        return STATUS_SYNTAX;
    }
    settings->imaps_address = address;
    settings->imaps_port = (uint16_t)port;
    return STATUS_OK;
}

static bool
same_place(const struct config_delivery *a, const struct config_delivery *b)
{
    return a->kind == b->kind && a->port == b->port && str_eq(a->path, b->path) &&
           str_eq(a->host, b->host);
}

/*
 * `path` as the kernel sees it, without links, as far as it exists: /var/run/dovecot is
 * /run/dovecot, though Dovecot may not have made that yet.
 */
static struct str
resolved(struct arena *arena, struct str path)
{
    char absolute[PATH_MAX];
    while (path.n > 1 && path.p[path.n - 1] == '/') {
        path.n--;
    }
    for (size_t n = path.n; n > 0; n = str_rfind_char(str_head(path, n), '/')) {
        if (n == STR_NPOS) {
            break;
        }
        const char *head = arena_cstr(arena, str_head(path, n));
        if (head != NULL && realpath(head, absolute) != NULL) {
            return arena_printf(arena, "%s%.*s", absolute, STR_ARG(str_skip(path, n)));
        }
    }
    return path;
}

/*
 * The name that Dovecot must use for a socket. Its own LMTP socket is "lmtp" in its base directory;
 * listed under the full path it would be a second listener in the same place.
 */
static struct str
socket_name(struct arena *arena, struct str path, struct str base)
{
    size_t slash = str_rfind_char(path, '/');
    if (slash == STR_NPOS || slash == 0) {
        return path;
    }
    struct str directory = resolved(arena, str_head(path, slash));
    struct str name = str_skip(path, slash + 1);
    return str_eq(directory, resolved(arena, base))
               ? name
               : arena_printf(arena, "%.*s/%.*s", STR_ARG(directory), STR_ARG(name));
}

/* Collects the places that domains deliver to over LMTP, each once. */
static int
collect_lmtp(const struct config *config, struct arena *arena, struct dovecot_settings *settings)
{
    for (size_t i = 0; i < config->domains.count; i++) {
        const struct config_domain *domain = &config->domains.items[i];
        struct config_delivery delivery = domain->delivery;
        bool known =
            delivery.kind != CONFIG_DELIVERY_LMTP_TCP && delivery.kind != CONFIG_DELIVERY_LMTP_UNIX;
        if (delivery.kind == CONFIG_DELIVERY_LMTP_UNIX) {
            delivery.path = socket_name(arena, delivery.path, settings->base_directory);
        }
        for (size_t k = 0; !known && k < settings->lmtp_count; k++) {
            known = same_place(&settings->lmtp[k], &delivery);
        }
        if (known) {
            continue;
        }
        if (settings->lmtp_count == DOVECOT_LMTP_MAX) {
            return cli_fail("dovecot-config", CLI_FAILED, "more than %u places for LMTP",
                            DOVECOT_LMTP_MAX);
        }
        settings->lmtp[settings->lmtp_count++] = delivery;
        if (domain->plus_addressing) {
            settings->plus_separator = domain->plus_separator;
        }
    }
    return settings->lmtp_count > 0
               ? CLI_DONE
               : cli_fail("dovecot-config", CLI_FAILED,
                          "no domain delivers over LMTP; write, for instance, "
                          "\"delivery: lmtp:/run/dovecot/lmtp\" in the configuration");
}

static struct str
absolute_path(struct arena *arena, const char *path)
{
    char absolute[PATH_MAX];
    return arena_str_dup(arena, str_from_cstr(realpath(path, absolute) != NULL ? absolute : path));
}

static int
take_certificate(const struct config *config, struct arena *arena,
                 struct dovecot_settings *settings)
{
    const struct config_certificates *listed = &config->tls.certificates;
    if (listed->count > 0) {
        settings->certificate = listed->items[0].certificate;
        settings->key = listed->items[0].key;
    } else {
        struct str state = config->directories.state;
        settings->certificate =
            arena_printf(arena, "%.*s/" OWN_CERTIFICATE_NAME ".pem", STR_ARG(state));
        settings->key = arena_printf(arena, "%.*s/" OWN_CERTIFICATE_NAME ".key", STR_ARG(state));
    }
    return settings->certificate.n > 0 && settings->key.n > 0
               ? CLI_DONE
               : cli_fail("dovecot-config", CLI_FAILED, "out of memory");
}

/* The group of a role's user; empty when it has no name (a trial without the package's users). */
static struct str
role_group(const struct config *config, struct arena *arena, enum role role)
{
    uid_t uid;
    gid_t gid;
    role_user_find(config, role, &uid, &gid);
    const struct group *group = getgrgid(gid);
    return group != NULL ? arena_str_dup(arena, str_from_cstr(group->gr_name)) : STR("");
}

/* Who runs what: Dovecot's own accounts and Postern's groups as root, else only this user. */
static int
take_accounts(const struct config *config, struct arena *arena, struct dovecot_settings *settings)
{
    settings->started_as_root = geteuid() == 0;
    if (settings->started_as_root) {
        settings->users_group = role_group(config, arena, ROLE_LEDGER);
        settings->lmtp_group = role_group(config, arena, ROLE_RELAY);
        return CLI_DONE;
    }
    const struct passwd *user = getpwuid(geteuid());
    const struct group *group = getgrgid(getegid());
    if (user == NULL || group == NULL) {
        return cli_fail("dovecot-config", CLI_FAILED, "this user or its group has no name");
    }
    settings->process_user = arena_str_dup(arena, str_from_cstr(user->pw_name));
    settings->process_group = arena_str_dup(arena, str_from_cstr(group->gr_name));
    return CLI_DONE;
}

/*
 * Who owns the mail, and that it may be a system account: those have low numbers, which Dovecot
 * refuses unless it is told.
 */
static void
take_mail_owner(const char *owner, struct arena *arena, struct dovecot_settings *settings)
{
    const struct passwd *user = owner != NULL    ? getpwnam(owner)
                                : geteuid() == 0 ? getpwnam("vmail")
                                                 : getpwuid(geteuid());
    uint64_t uid = 0;
    if (user != NULL) {
        uid = user->pw_uid;
        settings->mail_user = arena_str_dup(arena, str_from_cstr(user->pw_name));
        settings->mail_group = arena_printf(arena, "%u", (unsigned)user->pw_gid);
    } else {
        settings->mail_user = owner != NULL ? str_from_cstr(owner) : STR("vmail");
        settings->mail_group = settings->mail_user;
        if (str_parse_u64(settings->mail_user, UINT32_MAX - 1, &uid) != STATUS_OK) {
            fprintf(stderr,
                    "postern dovecot-config: there is no user '%.*s' yet; make it before Dovecot\n"
                    "starts, for instance with: adduser --system --group --no-create-home %.*s\n",
                    STR_ARG(settings->mail_user), STR_ARG(settings->mail_user));
        }
    }
    settings->mail_uid_first = (uint32_t)uid;
}

static int
gather(const struct config *config, const struct options *options, struct arena *arena,
       struct dovecot_settings *settings)
{
    settings->tls_minimum = config->tls.minimum;
    settings->mail_directory = absolute_path(arena, options->mail_directory);
    take_mail_owner(options->mail_owner, arena, settings);
    settings->base_directory = str_from_cstr(options->base_directory);
    settings->users_file =
        arena_printf(arena, "%.*s/%s/" DOVECOT_USERS_NAME, STR_ARG(config->directories.state),
                     ipc_role_name(ROLE_LEDGER));
    if (read_imaps(str_from_cstr(options->imaps), settings) != STATUS_OK) {
        return cli_fail("dovecot-config", CLI_USAGE,
                        "--imaps wants ADDRESS:PORT, such as 192.0.2.1:993, not '%s'",
                        options->imaps);
    }
    int failed = collect_lmtp(config, arena, settings);
    if (failed == CLI_DONE) {
        failed = take_certificate(config, arena, settings);
    }
    return failed == CLI_DONE ? take_accounts(config, arena, settings) : failed;
}

static int
generate(const struct config *config, const struct options *options)
{
    struct arena *arena = arena_create(ARENA_MAX);
    struct dovecot_settings settings = {0};
    struct str offender = {0};
    struct buf text;
    buf_init(&text, DOVECOT_TEMPLATE_CEILING);
    int failed = gather(config, options, arena, &settings);
    if (failed == CLI_DONE) {
        enum status status = dovecot_template_write(&text, &settings, &offender);
        if (status == STATUS_SYNTAX) {
            failed = cli_fail("dovecot-config", CLI_FAILED,
                              "\"%.*s\" cannot stand in a configuration of Dovecot: no blanks, "
                              "no # \" ' { } $ %% < \\, ASCII only",
                              STR_ARG(offender));
        } else if (status != STATUS_OK) {
            failed = cli_fail("dovecot-config", CLI_FAILED, "the configuration gets too long");
        }
    }
    if (failed == CLI_DONE) {
        failed = dovecot_output_write(options->output, options->force, buf_str(&text));
    }
    buf_free(&text);
    arena_destroy(&arena);
    return failed;
}

int
cli_dovecot_config(int argc, char **argv)
{
    struct cli_common common;
    struct options options = {
        .imaps = "*:993",
        .mail_directory = "/var/vmail",
        .base_directory = "/run/dovecot",
    };
    argc = cli_take_common(argc, argv, HELP, &common);
    if (argc <= 0) {
        return argc == 0 ? CLI_DONE : CLI_USAGE;
    }
    int failed = read_options(argc, argv, &options);
    if (failed != CLI_DONE) {
        return failed;
    }
    const struct config *config = cli_load_config(common.config_file);
    if (config == NULL) {
        return CLI_FAILED;
    }
    failed = generate(config, &options);
    config_unref(&config);
    return failed;
}

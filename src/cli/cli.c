#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/show.h"

#define LOAD_ARENA_MAX (2u * CONFIG_TEXT_MAX + (4u << 20))

int
cli_fail(const char *name, int exit_status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "postern %s: ", name);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return exit_status;
}

/* ---- options */

/* The value of option `name` at argv[i], in either spelling; *used_out: words it takes. */
static const char *
option_value(int argc, char **argv, int i, const char *name, int *used_out)
{
    size_t n = strlen(name);
    if (strcmp(argv[i], name) == 0) {
        *used_out = 2;
        return i + 1 < argc ? argv[i + 1] : NULL;
    }
    if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=') {
        *used_out = 1;
        return argv[i] + n + 1;
    }
    *used_out = 0;
    return NULL;
}

static const char *
default_config_file(void)
{
    const char *from_environment = getenv("POSTERN_CONFIG");
    return from_environment != NULL ? from_environment : CONFIG_FILE_DEFAULT;
}

int
cli_take_common(int argc, char **argv, const char *help, struct cli_common *common_out)
{
    struct cli_common common = {.config_file = default_config_file()};
    int kept = 1;
    for (int i = 1; i < argc;) {
        int used = 0;
        const char *value = option_value(argc, argv, i, "--config", &used);
        if (used == 0) {
            value = option_value(argc, argv, i, "-c", &used);
        }
        if (strcmp(argv[i], "--") == 0) {
            while (i < argc) {
                argv[kept++] = argv[i++];
            }
        } else if (used > 0) {
            if (value == NULL) {
                cli_fail(argv[0], CLI_USAGE, "--config wants the name of a file");
                return -1;
            }
            common.config_file = value;
            i += used;
        } else if (strcmp(argv[i], "--json") == 0) {
            common.json = true;
            i++;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            common.help = true;
            i++;
        } else {
            argv[kept++] = argv[i++];
        }
    }
    argv[kept] = NULL;
    *common_out = common;
    if (common.help && help != NULL) {
        fputs(help, stdout);
        return 0;
    }
    return kept;
}

int
cli_next_option(int argc, char **argv, const struct option *options)
{
    const char *name = argv[0];
    opterr = 0; /* getopt's own words would name neither the program nor its help */
    int option = getopt_long(argc, argv, ":", options, NULL);
    if (option == ':') {
        cli_fail(name, CLI_USAGE, "%s wants a value; see postern %s --help", argv[optind - 1],
                 name);
        return '?';
    }
    if (option == '?' && optopt > ' ' && optopt <= '~') { /* -xyz: optind is not past it yet */
        cli_fail(name, CLI_USAGE, "there is no option '-%c'; see postern %s --help", optopt, name);
    } else if (option == '?' && optopt != 0) {
        cli_fail(name, CLI_USAGE, "'%s': this option has no value; see postern %s --help",
                 argv[optind - 1], name);
    } else if (option == '?') {
        cli_fail(name, CLI_USAGE, "there is no option '%s'; see postern %s --help",
                 argv[optind - 1], name);
    }
    return option;
}

/* ---- output */

unsigned
cli_terminal_columns(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return 0;
    }
    return size.ws_col;
}

void
cli_print_text(FILE *out, struct str text)
{
    while (text.n > 0) {
        uint32_t code = 0;
        size_t n = show_length(text);
        if (n > 0) {
            fwrite(text.p, 1, n, out);
        } else if ((n = show_character(text, &code)) > 1) {
            fprintf(out, "\\u{%x}", (unsigned)code);
        } else {
            fputc('?', out);
            n = 1;
        }
        text = str_skip(text, n);
    }
}

/* ---- configuration */

static struct str
read_text(struct arena *arena, const char *file_name)
{
    char *text = arena_alloc(arena, CONFIG_TEXT_MAX + 1);
    size_t n = 0;
    int fd = text != NULL ? open(file_name, O_RDONLY | O_CLOEXEC) : -1;
    while (fd >= 0 && n <= CONFIG_TEXT_MAX) {
        ssize_t got = read(fd, text + n, CONFIG_TEXT_MAX + 1 - n);
        if (got == 0) {
            close(fd);
            return str_make(text, n);
        }
        if (got < 0 && errno != EINTR) {
            break;
        }
        n += got > 0 ? (size_t)got : 0;
    }
    fprintf(stderr, "%s: cannot be read: %s\n", file_name,
            n > CONFIG_TEXT_MAX ? "larger than is allowed" : strerror(errno));
    if (fd >= 0) {
        close(fd);
    }
    return str_make(NULL, 0);
}

const struct config *
cli_load_config(const char *file_name)
{
    struct arena *arena = arena_create(LOAD_ARENA_MAX);
    const struct config *config = NULL;
    struct config_errors *errors = arena_alloc(arena, sizeof *errors);
    struct str text = read_text(arena, file_name);
    if (text.p != NULL && errors != NULL &&
        config_load_text(arena, text, &config, errors) != STATUS_OK) {
        for (size_t i = 0; i < errors->count; i++) {
            struct str line =
                config_error_format(arena, str_from_cstr(file_name), &errors->items[i]);
            fprintf(stderr, "%.*s\n", STR_ARG(line));
        }
    }
    arena_destroy(&arena);
    return config;
}

bool
cli_complete_address(const char *command, const char *config_file, const char *name,
                     char name_out[static CLI_ADDRESS_MAX])
{
    int n = snprintf(name_out, CLI_ADDRESS_MAX, "%s", name);
    if (n < 0 || (size_t)n >= CLI_ADDRESS_MAX) {
        cli_fail(command, CLI_USAGE, "an address has at most %u octets", CLI_ADDRESS_MAX - 1);
        return false;
    }
    if (strchr(name, '@') != NULL || name[0] == '\0') {
        return true;
    }
    const struct config *config = cli_load_config(config_file);
    if (config == NULL) {
        return false;
    }
    size_t count = config->domains.count;
    struct str domain = count > 0 ? config->domains.items[0].name : STR("example.com");
    n = snprintf(name_out, CLI_ADDRESS_MAX, "%s@%.*s", name, STR_ARG(domain));
    bool complete = count == 1 && n > 0 && (size_t)n < CLI_ADDRESS_MAX;
    if (!complete) {
        cli_fail(command, CLI_USAGE, "'%s' has no domain; write the whole address, such as %s",
                 name, name_out);
    }
    config_unref(&config);
    return complete;
}

/* ---- the running program */

static void
explain_connect(const char *path, int reason)
{
    if (reason == ENOENT || reason == ECONNREFUSED) {
        fprintf(stderr,
                "postern: no Postern is running with this configuration (%s).\n"
                "Start it with `postern run --config FILE`, or name its file with --config.\n",
                path);
    } else if (reason == EACCES) {
        fprintf(stderr, "postern: %s may not be used by this user; try as root\n", path);
    } else {
        fprintf(stderr, "postern: %s: %s\n", path, strerror(reason));
    }
}

/* Connects; -1 with errno when it cannot. False: the path is too long. */
static bool
try_connect(const struct config *config, enum role peer, struct sockaddr_un *sa, int *fd_out)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(sa->sun_path, sizeof sa->sun_path, "%.*s/%s.sock",
                     STR_ARG(config->directories.run), ipc_role_name(peer));
    if (n < 0 || (size_t)n >= sizeof sa->sun_path) {
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0) {
        int reason = errno;
        close(fd);
        errno = reason;
        fd = -1;
    }
    *fd_out = fd;
    return true;
}

int
cli_connect(const char *config_file, enum role peer)
{
    struct sockaddr_un sa;
    int fd = -1;
    const struct config *config = cli_load_config(config_file);
    if (config == NULL) {
        return -1;
    }
    bool tried = try_connect(config, peer, &sa, &fd);
    if (!tried) {
        fprintf(stderr, "postern: directories.run is too long for a socket\n");
    } else if (fd < 0) {
        explain_connect(sa.sun_path, errno);
    }
    config_unref(&config);
    return fd;
}

int
cli_connect_if_running(const struct config *config, enum role peer)
{
    struct sockaddr_un sa;
    int fd = -1;
    return try_connect(config, peer, &sa, &fd) ? fd : -1;
}

struct ipc_message *
cli_call(int fd, enum role peer, enum msg_type type, const void *fields, enum msg_type reply_type)
{
    struct ipc_message *reply = NULL;
    enum status status = channel_plain_send(fd, type, 1, fields);
    if (status == STATUS_OK) {
        status = channel_plain_receive(fd, peer, ROLE_CLI, CLI_TIMEOUT_MS, &reply);
    }
    if (status == STATUS_OK && reply->type != reply_type) {
        ipc_message_free(&reply);
        status = STATUS_BUG;
    }
    if (status != STATUS_OK) {
        fprintf(stderr, "postern: the %s did not answer (%s)\n", ipc_role_name(peer),
                status_name(status));
    }
    return reply;
}

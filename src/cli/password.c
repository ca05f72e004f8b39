#include "cli/password.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"

/* Reads one line without its end; -1 at the end of input, when it is too long, or on failure. */
static ssize_t
read_line(int fd, char line[static CREDENTIAL_PASSWORD_MAX + 1])
{
    size_t n = 0;
    char c = '\0';
    ssize_t got;
    while ((got = read(fd, &c, 1)) == 1 && c != '\n') {
        if (n == CREDENTIAL_PASSWORD_MAX) {
            return -1;
        }
        line[n++] = c;
    }
    if (got < 0 || (got == 0 && n == 0)) {
        return -1;
    }
    if (n > 0 && line[n - 1] == '\r') {
        n--;
    }
    line[n] = '\0';
    return (ssize_t)n;
}

/* Asks on the terminal with echo off. */
static ssize_t
ask(int tty, const char *prompt, char line[static CREDENTIAL_PASSWORD_MAX + 1])
{
    struct termios before;
    struct termios quiet;
    if (tcgetattr(tty, &before) != 0) {
        return -1;
    }
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    /* Before the prompt: what is typed after it is neither thrown away nor shown. */
    tcsetattr(tty, TCSAFLUSH, &quiet);
    ssize_t n = write(tty, prompt, strlen(prompt)) < 0 ? -1 : read_line(tty, line);
    tcsetattr(tty, TCSAFLUSH, &before);
    if (write(tty, "\n", 1) < 0) {
        n = -1;
    }
    return n;
}

static ssize_t
ask_twice(const char *command, char password[static CREDENTIAL_PASSWORD_MAX + 1])
{
    char again[CREDENTIAL_PASSWORD_MAX + 1];
    int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty < 0) {
        cli_fail(command, CLI_USAGE, "there is no terminal to ask on; use --password-stdin");
        return -1;
    }
    ssize_t n = ask(tty, "Password: ", password);
    ssize_t m = n >= 0 ? ask(tty, "Again: ", again) : -1;
    close(tty);
    bool same = n >= 0 && n == m && memcmp(password, again, (size_t)n) == 0;
    explicit_bzero(again, sizeof again);
    if (!same) {
        cli_fail(command, CLI_FAILED,
                 n < 0 || m < 0 ? "no password was given" : "the two passwords differ");
        return -1;
    }
    return n;
}

ssize_t
cli_get_password(const char *command, bool from_stdin,
                 char password[static CREDENTIAL_PASSWORD_MAX + 1])
{
    if (!from_stdin) {
        return ask_twice(command, password);
    }
    ssize_t n = read_line(STDIN_FILENO, password);
    if (n < 0) {
        cli_fail(command, CLI_FAILED,
                 "standard input has no password, or one of more than %u octets",
                 CREDENTIAL_PASSWORD_MAX);
    }
    return n;
}

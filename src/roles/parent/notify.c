#include "roles/parent/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* False for what is no path and no abstract name, and for what is too long. */
static bool
fill_address(const char *text, struct sockaddr_un *address_out, socklen_t *length_out)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t const n = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || n < 2 || n >= sizeof address.sun_path) {
        return false;
    }
    memcpy(address.sun_path, text, n);
    if (text[0] == '@') {
        address.sun_path[0] = '\0'; /* its length, not a NUL, ends an abstract name */
    }
    *address_out = address;
    *length_out =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (text[0] == '/' ? 1 : 0));
    return true;
}

int
notify_open(const char *address)
{
    struct sockaddr_un target;
    socklen_t length;
    if (address == NULL || address[0] == '\0') {
        return -1;
    }
    if (!fill_address(address, &target, &length)) {
        LOG_WARN("NOTIFY_SOCKET is no address of a socket", LOG_CSTR("address", address));
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&target, length) != 0) {
        LOG_WARN("the service manager cannot be reached", LOG_CSTR("address", address),
                 LOG_CSTR("reason", strerror(errno)));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

void
notify_send(int fd, const char *text)
{
    if (fd >= 0 && send(fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
        LOG_WARN("the service manager was not told", LOG_CSTR("reason", strerror(errno)));
    }
}

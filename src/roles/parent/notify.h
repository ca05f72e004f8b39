/*
 * notify.h - tells the service manager how far the start has come: sd_notify(3), Type=notify of
 * systemd.service(5). Only the parent calls it; the roles do not know of it.
 */
#ifndef POSTERN_ROLES_PARENT_NOTIFY_H
#define POSTERN_ROLES_PARENT_NOTIFY_H

/* All ports are open and all roles run, at the start and again after a reload. */
#define NOTIFY_READY     "READY=1\nSTATUS=All roles are ready\n"
/* A new configuration is being handed to the roles; NOTIFY_READY follows. */
#define NOTIFY_RELOADING "RELOADING=1\nSTATUS=The roles take a new configuration\n"
/* The roles are being stopped. */
#define NOTIFY_STOPPING  "STOPPING=1\nSTATUS=The roles are being stopped\n"

/*
 * A datagram socket to `address`, the value of $NOTIFY_SOCKET: a path, or an abstract name that
 * begins with "@". The caller closes it. -1 when `address` is NULL or empty (nobody wants to know),
 * and, with a log line, when it cannot be reached. To be called before the sandbox is entered.
 */
[[nodiscard]] int notify_open(const char *address);

/* Sends one of the texts above; nothing for an `fd` of -1. What cannot be sent is a log line. */
void notify_send(int fd, const char *text);

#endif

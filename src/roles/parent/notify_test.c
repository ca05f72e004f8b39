#include "roles/parent/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A datagram socket bound to `name`, which begins with a NUL for an abstract one. */
static int
bind_to(const char *name, size_t n)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, n);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    return fd;
}

static void
expect_arrives(const char *address, int receiver)
{
    char got[256];
    int fd = notify_open(address);
    assert_true(fd >= 0);
    notify_send(fd, NOTIFY_READY);
    assert_int_equal(recv(receiver, got, sizeof got, 0), strlen(NOTIFY_READY));
    assert_memory_equal(got, NOTIFY_READY, strlen(NOTIFY_READY));
    close(fd);
}

static void
test_a_path(void **state)
{
    (void)state;
    char path[64];
    char directory[] = "/tmp/postern-notify-XXXXXX";
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    int receiver = bind_to(path, strlen(path));
    expect_arrives(path, receiver);
    close(receiver);
    unlink(path);
    rmdir(directory);
}

static void
test_an_abstract_name(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof name, "@postern-notify-%ld", (long)getpid());
    char bound[64];
    memcpy(bound, name, sizeof bound);
    bound[0] = '\0';
    int receiver = bind_to(bound, strlen(name));
    expect_arrives(name, receiver);
    close(receiver);
}

static void
test_the_longest_name(void **state)
{
    (void)state;
    char name[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    memset(name, 'n', sizeof name);
    name[0] = '@';
    name[sizeof name - 1] = '\0'; /* as long as sun_path: no room for the NUL of a path */
    assert_int_equal(notify_open(name), -1);
    name[sizeof name - 2] = '\0';
    char bound[sizeof name];
    memcpy(bound, name, sizeof name);
    bound[0] = '\0';
    int receiver = bind_to(bound, sizeof name - 2);
    expect_arrives(name, receiver);
    close(receiver);
}

static void
test_nobody_there(void **state)
{
    (void)state;
    static const char *const NAMES[] = {
        NULL, "", "relative", "@", "/", "/nonexistent/socket", "@postern-nobody", "vsock:2:1"};
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        assert_int_equal(notify_open(NAMES[i]), -1);
    }
    notify_send(-1, NOTIFY_READY);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path),
        cmocka_unit_test(test_an_abstract_name),
        cmocka_unit_test(test_the_longest_name),
        cmocka_unit_test(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

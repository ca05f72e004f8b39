#include "roles/edge/test_signer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "ipc/body.h"
#include "roles/role_test_parent.h"
#include "roles/signer/signer.h"

static const char configuration[] = "hostname: mx.ours.example\n"
                                    "listeners: [{address: 127.0.0.1, port: 2525, kind: mx}]\n";

void
test_signer_start(struct test_signer *signer)
{
    signer->pid = role_test_launch(&signer_role, &signer->control);
}

void
test_signer_hand_out(struct test_signer *signer, struct str key_pem)
{
    struct msg_signing_key key = {.name = STR("self-signed")};
    struct msg_start start = {.generation = 1};
    role_test_configure(signer->control, "/tmp", configuration);
    assert_int_equal(ipc_memfd_create("key", key_pem, &key.key_pem), STATUS_OK);
    role_test_send(signer->control, MSG_SIGNING_KEY, 0, &key);
    close(key.key_pem);
    role_test_send(signer->control, MSG_START, 0, &start);
    role_test_ready(signer->control, ROLE_SIGNER);
}

void
test_signer_join(struct test_signer *signer, int edge_control)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct msg_peer to_edge = {.role = ROLE_SIGNER, .socket = pair[0]};
    struct msg_peer to_signer = {.role = ROLE_EDGE, .socket = pair[1]};
    role_test_send(edge_control, MSG_PEER, 0, &to_edge);
    role_test_send(signer->control, MSG_PEER, 0, &to_signer);
    close(pair[0]);
    close(pair[1]);
}

void
test_signer_end(struct test_signer *signer)
{
    if (signer->pid > 0) {
        kill(signer->pid, SIGKILL);
        waitpid(signer->pid, NULL, 0);
        close(signer->control);
    }
    signer->pid = 0;
}

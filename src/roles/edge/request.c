#include "roles/edge/request.h"

#include <stdlib.h>

bool
request_send(struct connection *connection, struct channel *channel, enum msg_type type,
             const void *fields, int timeout_ms, channel_on_reply *on_reply)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return false;
    }
    request->connection = connection;
    enum status status = channel_request(channel, type, fields, timeout_ms, on_reply, request);
    if (status != STATUS_OK) {
        LOG_WARN("a role cannot be asked", LOG_CSTR("message", ipc_type_name(type)),
                 LOG_CSTR("status", status_name(status)), LOG_CSTR("session", connection->id));
        connection->edge->counters.peer_failures++;
        free(request);
        return false;
    }
    connection->request = request;
    return true;
}

struct connection *
request_finish(void *context)
{
    struct request *request = context;
    struct connection *connection = request->connection;
    if (connection != NULL) {
        connection->request = NULL;
    }
    free(request);
    return connection;
}

void
request_detach(struct connection *connection)
{
    if (connection->request != NULL) {
        connection->request->connection = NULL;
        connection->request = NULL;
    }
}

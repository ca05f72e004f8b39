/* Whether a connection may come in, and what begins when it may. */
#include <sys/socket.h>

#include "roles/edge/connection.h"
#include "roles/edge/record.h"

static const struct smtp_reply reply_no_memory =
    SMTP_REPLY(421, 4, 3, 1, "Too much to do now; try again later");

static const struct smtp_reply reply_local_user =
    SMTP_REPLY(554, 5, 7, 1, "This user may not submit mail (sendmail.users)");

static const struct smtp_reply reply_no_tls =
    SMTP_REPLY(421, 4, 7, 0, "TLS cannot be offered here now; try again later");

/* A word in the clear before there is a session; TLS from the start leaves only the door. */
static void
connection_refuse(struct connection *connection, const struct smtp_reply *reply, const char *limit,
                  uint64_t value)
{
    struct buf text;
    buf_init(&text, SMTP_REPLY_LINE_MAX);
    TRACE(&connection->trace, limit_hit, .limit = str_from_cstr(limit), .value = (int64_t)value,
          .code = reply->code, .text = reply->text);
    if (connection->listener->config->kind != CONFIG_LISTENER_SMTPS &&
        smtp_reply_format(&text, reply) == STATUS_OK) {
        ssize_t ignored =
            send(connection->fd, buf_str(&text).p, buf_length(&text), MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
        shutdown(connection->fd, SHUT_WR);
    }
    buf_free(&text);
    connection->noteworthy = record_refusal_is_told(connection->edge);
    connection_close(connection, "limit");
}

static struct smtp_reply
admission_reply(enum admission_verdict verdict)
{
    if (verdict == ADMISSION_ADDRESS || verdict == ADMISSION_ADDRESS_RATE) {
        return SMTP_REPLY(421, 4, 7, 0, "Too many connections from your address; try again later");
    }
    if (verdict == ADMISSION_NETWORK || verdict == ADMISSION_NETWORK_RATE) {
        return SMTP_REPLY(421, 4, 7, 0, "Too many connections from your network; try again later");
    }
    return SMTP_REPLY(421, 4, 3, 2, "Too many connections; try again later");
}

/*
 * What a client is counted by. Local users get an address each in a block that no host has (RFC
 * 6666), so that one of them cannot use up what the others need; together they are one network.
 */
static struct ip_address
counted_address(const struct connection *connection)
{
    uint32_t const uid = connection->local_uid;
    if (connection->local_user[0] == '\0') {
        return connection->client;
    }
    return (struct ip_address){{[0] = 0x01,
                                [12] = (uint8_t)(uid >> 24),
                                [13] = (uint8_t)(uid >> 16),
                                [14] = (uint8_t)(uid >> 8),
                                [15] = (uint8_t)uid}};
}

/* False when it may not come in; then it is closed. */
static bool
connection_check_limits(struct connection *connection)
{
    struct edge *edge = connection->edge;
    const struct config_limits *limits = &connection->profile->config->limits;
    bool rated = connection->zone == NULL || connection->zone->rate_limits;
    if (!edge_memory_admits(edge, EDGE_CONNECTION_COST)) {
        edge->counters.refused_memory++;
        connection_refuse(connection, &reply_no_memory, "limits.memory", limits->memory);
        return false;
    }
    struct ip_address const counted = counted_address(connection);
    enum admission_verdict verdict = admission_enter(
        edge->clients, &edge->admission_limits, &counted, rated, edge_now_ms(), &connection->place);
    if (verdict != ADMISSION_OK) {
        struct smtp_reply reply = admission_reply(verdict);
        edge->counters.refused[verdict]++;
        connection_refuse(connection, &reply, admission_limit_name(verdict),
                          admission_limit_value(&edge->admission_limits, verdict));
        return false;
    }
    return true;
}

void
connection_admit(struct connection *connection)
{
    const struct config *config = connection->profile->config;
    enum config_listener_kind kind = connection->listener->config->kind;
    bool local = kind == CONFIG_LISTENER_LOCAL;
    if (!connection->by_proxy_itself && !local) {
        connection->zone = config_zone_for_ip(config, &connection->client);
    }
    TRACE(&connection->trace, connection_opened, .client = connection->client,
          .client_port = connection->client_port, .server = connection->server,
          .server_port = connection->server_port,
          .listener = str_from_cstr(config_listener_kind_name(kind)),
          .zone = connection->zone != NULL ? connection->zone->name : STR(""),
          .proxy = connection->proxy);
    if (!connection_check_limits(connection)) {
        return;
    }
    if (local && !local_user_may_submit(config, str_from_cstr(connection->local_user))) {
        connection_refuse(connection, &reply_local_user, "sendmail.users", connection->local_uid);
        return;
    }
    if (connection->listener->broken) {
        connection->edge->counters.refused_no_tls++;
        connection_refuse(connection, &reply_no_tls, "tls", 0);
        return;
    }
    if (kind == CONFIG_LISTENER_SMTPS) {
        connection_enter(connection, CONNECTION_HANDSHAKE);
        return;
    }
    /* Who may relay is known; the others on port 25 have to show that they can wait. */
    bool trusted = connection->zone != NULL && connection->zone->relay;
    if (kind == CONFIG_LISTENER_MX && config->limits.pregreet_delay_ms > 0 && !trusted) {
        connection_enter(connection, CONNECTION_PREGREET);
        return;
    }
    connection_begin_session(connection, false);
}

#include "roles/relay/call.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

static enum config_tls_mode
tls_mode(const struct config *config, const struct next_hop *hop, const struct relay_target *target)
{
    if (target->is_unix) {
        return CONFIG_TLS_NONE; /* the octets do not leave the machine */
    }
    const struct config_zone *zone = config_zone_for_ip(config, &target->ip);
    return zone != NULL && zone->minimum_tls > hop->tls ? zone->minimum_tls : hop->tls;
}

static enum smtp_client_tls
tls_wanted(enum config_tls_mode mode, bool tls_closed)
{
    switch (mode) {
    case CONFIG_TLS_NONE:
        return SMTP_CLIENT_TLS_NEVER;
    case CONFIG_TLS_OPPORTUNISTIC:
        return tls_closed ? SMTP_CLIENT_TLS_NEVER : SMTP_CLIENT_TLS_IF_OFFERED;
    case CONFIG_TLS_REQUIRED:
        break;
    }
    return SMTP_CLIENT_TLS_REQUIRED;
}

static void
trace_tls(struct trace *trace, const struct relay_target *target, enum config_tls_mode mode,
          const struct relay_session *session, const char *error)
{
    bool encrypted = session != NULL && session->tls != NULL;
    if (mode == CONFIG_TLS_NONE && !encrypted) {
        return;
    }
    if (error == NULL && encrypted) {
        error = session->facts.trust_error;
    } else if (error == NULL) {
        bool refused = session != NULL && smtp_client_tls_was_refused(session->client);
        error = refused ? "the server refused STARTTLS" : "the server does not offer STARTTLS";
    }
    TRACE(trace, attempt_tls, .host = target->host,
          .version = str_from_cstr(encrypted ? session->facts.version : NULL),
          .cipher = str_from_cstr(encrypted ? session->facts.cipher : NULL),
          .policy = str_from_cstr(config_tls_mode_name(mode)),
          .verified = encrypted && session->facts.trusted && session->facts.name_matches,
          .error = str_from_cstr(error));
}

static void
count_session(struct relay_counters *counters, const struct relay_session *session)
{
    atomic_fetch_add(&counters->connections, 1);
    if (session == NULL) {
        atomic_fetch_add(&counters->connections_failed, 1);
    } else if (session->tls != NULL) {
        atomic_fetch_add(&counters->tls, 1);
    }
}

/*
 * It went wrong between STARTTLS and the end of the EHLO behind the handshake: with TLS 1.3 a
 * server's objection to the handshake arrives only there. A STARTTLS that is refused where TLS is
 * required is no failure of TLS but its absence.
 */
static bool
is_failure_of_tls(const struct relay_session_failure *failure)
{
    struct str stage = str_from_cstr(failure->stage);
    if (str_eq(stage, str_from_cstr(smtp_client_stage_name(SMTP_CLIENT_STAGE_HELLO)))) {
        return failure->encrypted;
    }
    return str_eq(stage, str_from_cstr(smtp_client_stage_name(SMTP_CLIENT_STAGE_TLS))) &&
           failure->problem != SMTP_CLIENT_TLS_MISSING;
}

/* What the target must not be asked for: by configuration, and because it was seen to fail. */
static unsigned
keywords_to_ignore(const struct relay_caller *caller, const struct relay_target *target)
{
    char text[SESSION_REMOTE_MAX];
    unsigned ignore = caller->hop->ignore;
    struct str host = relay_target_text(target, text);
    if (relay_quirks_has(caller->world->quirks, host, clock_monotonic_ms())) {
        ignore |= 1u << SMTP_CLIENT_KEYWORD_CHUNKING;
    }
    return ignore;
}

/* ---- login */

/* Longest password, as in messages.def. */
#define PASSWORD_MAX 1024u

/* Why the password may not go over this session; NULL: it may. */
static const char *
login_obstacle(const struct relay_session *session, enum config_login_tls wanted)
{
    bool verified = session->tls != NULL && session->facts.trusted && session->facts.name_matches;
    if (wanted == CONFIG_LOGIN_TLS_NONE || verified ||
        (session->tls != NULL && wanted == CONFIG_LOGIN_TLS_ENCRYPTED)) {
        return NULL;
    }
    if (session->tls == NULL) {
        return "the connection is not encrypted";
    }
    if (session->facts.trusted) {
        return "the server's certificate is not for this host's name";
    }
    return session->facts.trust_error != NULL ? session->facts.trust_error
                                              : "the server's certificate is not trusted";
}

static void
refuse_login(struct relay_session *session, const struct next_hop *hop, const char *why)
{
    char words[SMTP_CLIENT_TEXT_MAX];
    snprintf(words, sizeof words, "no login as %.*s at %.*s: %s", STR_ARG(hop->login->user),
             STR_ARG(hop->name), why);
    relay_session_refuse_login(session, str_from_cstr(words));
}

/* Gets the password and logs in; false: the session is CLOSED. */
static bool
log_in(const struct relay_caller *caller, struct relay_session *session)
{
    const struct next_hop *hop = caller->hop;
    const struct relay_passwords *passwords = &caller->world->passwords;
    const char *obstacle = login_obstacle(session, hop->login->tls);
    struct buf password;
    bool done = false;
    if (obstacle != NULL) {
        refuse_login(session, hop, obstacle);
        return false;
    }
    buf_init(&password, PASSWORD_MAX);
    enum status status =
        passwords->find(passwords->context, hop->name, hop->login->user, &password);
    if (status == STATUS_OK) {
        const struct smtp_client_login login = {.user = hop->login->user,
                                                .password = buf_str(&password)};
        done = relay_session_login(session, &login);
    } else if (status == STATUS_NOT_FOUND) {
        refuse_login(session, hop, "the vault has no password; set it with postern secret set");
    } else {
        refuse_login(session, hop, "the vault cannot be asked for the password now");
    }
    buf_free_wiped(&password);
    return done;
}

/* Logs in where the hop wants it; a session that cannot is closed, with *failure_out. */
static void
log_in_if_wanted(const struct relay_caller *caller, struct relay_session **session,
                 struct relay_session_failure *failure_out)
{
    const struct next_hop *hop = caller->hop;
    if (*session == NULL || hop->login == NULL || log_in(caller, *session)) {
        return;
    }
    relay_session_failure(*session, failure_out);
    atomic_fetch_add(&caller->world->counters.logins_failed, 1);
    LOG_ERROR("the login at a next hop failed; its mail waits",
              LOG_CSTR("remote", (*session)->remote), LOG_STR("user", hop->login->user),
              LOG_INT("code", failure_out->reply.code), LOG_STR("text", failure_out->reply.text));
    relay_session_close(session);
}

struct relay_session *
relay_call(const struct relay_caller *caller, const struct relay_target *target,
           struct relay_session_failure *failure_out)
{
    struct relay_counters *counters = &caller->world->counters;
    enum config_tls_mode mode = tls_mode(caller->config, caller->hop, target);
    struct relay_session_settings settings = {
        .config = caller->config,
        .tls = caller->tls,
        .protocol = caller->hop->lmtp ? SMTP_CLIENT_LMTP : SMTP_CLIENT_SMTP,
        .wanted = tls_wanted(mode, caller->tls_closed),
        .ignore = keywords_to_ignore(caller, target),
        .deadline_ms = caller->deadline_ms,
    };
    if (relay_session_count() >= caller->config->queue.connections) {
        (void)relay_idle_give_way(caller->world->idle);
    }
    struct relay_session *session = NULL;
    enum status status = relay_session_open(target, &settings, &session, failure_out);
    const char *error =
        caller->tls_closed ? "the server refused STARTTLS and closed the connection" : NULL;
    char tls_error[SMTP_CLIENT_TEXT_MAX + 1];
    if (status != STATUS_OK && is_failure_of_tls(failure_out)) {
        atomic_fetch_add(&counters->tls_failed, 1);
        struct str text = str_head(failure_out->reply.text, sizeof tls_error - 1);
        memcpy(tls_error, text.p, text.n);
        tls_error[text.n] = '\0';
        error = tls_error;
        if (mode == CONFIG_TLS_OPPORTUNISTIC) {
            settings.wanted = SMTP_CLIENT_TLS_NEVER; /* RFC 7435: better than not at all */
            status = relay_session_open(target, &settings, &session, failure_out);
        }
    }
    if (session != NULL) {
        session->configured = caller->hop->configured;
        session->tls_lost = error != NULL || smtp_client_tls_was_refused(session->client);
    }
    count_session(counters, session);
    if (status == STATUS_OK || error != NULL) {
        trace_tls(caller->trace, target, mode, session, error);
    }
    log_in_if_wanted(caller, &session, failure_out);
    return session;
}

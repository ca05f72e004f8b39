#include "roles/relay/call.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

static enum smtp_client_tls
tls_wanted(const struct transport_demand *demand, bool tls_closed)
{
    if (demand->no_tls) {
        return SMTP_CLIENT_TLS_NEVER;
    }
    if (demand->level > TRANSPORT_NOTHING) {
        return SMTP_CLIENT_TLS_REQUIRED;
    }
    return tls_closed ? SMTP_CLIENT_TLS_NEVER : SMTP_CLIENT_TLS_IF_OFFERED;
}

/* What TLS lacks at a session that is used; SUCCESS where none was asked for. */
static enum tls_result
result_of(const struct transport_demand *demand, const struct relay_session *session,
          const char *error)
{
    if (session->tls != NULL) {
        return session->result;
    }
    const struct transport_shown shown = {.offered = error != NULL};
    return transport_judge(demand, &shown).result;
}

static const char *
why_clear(const struct transport_demand *demand, const struct relay_session *session)
{
    if (demand->no_tls) {
        return NULL;
    }
    return smtp_client_tls_was_refused(session->client) ? "the server refused STARTTLS"
                                                        : "the server does not offer STARTTLS";
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
    const struct tls_facts *facts = &session->facts;
    bool verified =
        session->tls != NULL && (facts->dane_matched || (facts->trusted && facts->name_matches));
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

/* ---- the call */

/* One call, to one target. */
struct call {
    const struct relay_caller *caller;
    const struct relay_target *target;
    struct transport_demand demand;
    struct relay_session *session;
    const char *error; /* of TLS; NULL: none */
    char error_text[SMTP_CLIENT_TEXT_MAX + 1];
};

static void
count_result(struct call *call, enum tls_result result, bool used)
{
    struct relay_counters *counters = &call->caller->world->counters;
    atomic_fetch_add(&counters->results[result], 1);
    if (!used) {
        atomic_fetch_add(&counters->insecure, 1);
    } else if (call->demand.level == TRANSPORT_AUTHENTICATION) {
        atomic_fetch_add(&counters->authenticated, 1);
    }
}

static void
trace_protection(struct call *call, const struct tls_facts *tls, enum tls_result result, bool used)
{
    const struct relay_protection got = {
        .tls = tls, .result = result, .error = call->error, .used = used};
    relay_protection_trace(call->caller->trace, call->caller->hop, call->target, &call->demand,
                           &got);
    if (!call->demand.no_tls) {
        count_result(call, result, used);
    }
}

/* Our own words in place of what was said, which nobody has proved to be the server's. */
static void
put_failure(struct relay_session_failure *failure, enum smtp_client_problem problem,
            const char *words, struct str more)
{
    int n = snprintf(failure->text, sizeof failure->text, "%s%s%.*s", words, more.n > 0 ? "; " : "",
                     STR_ARG(more));
    size_t length = (size_t)n < sizeof failure->text ? (size_t)n : sizeof failure->text - 1;
    failure->problem = problem;
    failure->reply =
        (struct smtp_reply){.enhanced = {4, 7, 5}, .text = str_make(failure->text, length)};
}

/* The DNS, a policy or the message says that the host must not be used: it is not called. */
static void
skip_host(struct call *call, struct relay_session_failure *failure_out)
{
    const struct dane *dane = call->demand.dane;
    struct str detail =
        call->demand.reason == TRANSPORT_REASON_DANE_FAILED ? dane->detail : STR("");
    char words[SMTP_CLIENT_TEXT_MAX];
    *failure_out = (struct relay_session_failure){
        .stage = "resolve", .problem = SMTP_CLIENT_TLS_FAILED, .skip_host = true};
    snprintf(words, sizeof words, "the host is not used: %s",
             transport_reason_text(call->demand.reason));
    put_failure(failure_out, SMTP_CLIENT_TLS_FAILED, words, detail);
    trace_protection(call, NULL, call->demand.result, false);
}

/* A demand that neither the configuration of the hop nor a zone makes has words of its own. */
static bool
is_demand_of_others(const struct transport_demand *demand)
{
    return demand->level > TRANSPORT_NOTHING && demand->reason != TRANSPORT_REASON_CONFIGURED &&
           demand->reason != TRANSPORT_REASON_ZONE;
}

/* The host was called and is left, for its TLS or the want of it. */
static void
leave_host(struct call *call, struct relay_session_failure *failure)
{
    const struct transport_demand *demand = &call->demand;
    enum tls_result result = failure->judged && failure->result != TLS_RESULT_SUCCESS
                                 ? failure->result
                                 : TLS_RESULT_VALIDATION_FAILURE;
    if (failure->problem == SMTP_CLIENT_TLS_MISSING) {
        result = TLS_RESULT_STARTTLS_NOT_SUPPORTED;
    }
    if (failure->problem == SMTP_CLIENT_TLS_MISSING && is_demand_of_others(demand)) {
        char words[SMTP_CLIENT_TEXT_MAX];
        char said[SMTP_CLIENT_TEXT_MAX];
        struct str text = failure->reply.code > 0 ? failure->reply.text : STR("");
        snprintf(said, sizeof said, "%.*s", STR_ARG(text));
        snprintf(words, sizeof words, "TLS is not as demanded: %s; %s",
                 failure->reply.code > 0 ? "the server refuses STARTTLS" : tls_result_text(result),
                 transport_reason_text(demand->reason));
        put_failure(failure, SMTP_CLIENT_TLS_MISSING, words, str_from_cstr(said));
    }
    if (failure->judged && !failure->facts.trusted) {
        call->error = failure->facts.trust_error;
    }
    trace_protection(call, failure->judged ? &failure->facts : NULL, result, false);
}

static enum status
open_session(struct call *call, enum smtp_client_tls wanted,
             struct relay_session_failure *failure_out)
{
    const struct relay_caller *caller = call->caller;
    const struct relay_session_settings settings = {
        .config = caller->config,
        .tls = caller->tls,
        .protocol = caller->hop->lmtp ? SMTP_CLIENT_LMTP : SMTP_CLIENT_SMTP,
        .wanted = wanted,
        .demand = &call->demand,
        .ignore = keywords_to_ignore(caller, call->target),
        .deadline_ms = caller->deadline_ms,
    };
    return relay_session_open(call->target, &settings, &call->session, failure_out);
}

/* Opens a session that is what is demanded; in the clear, where TLS fails and that will do. */
static enum status
try_target(struct call *call, struct relay_session_failure *failure_out)
{
    const struct relay_caller *caller = call->caller;
    enum status status =
        open_session(call, tls_wanted(&call->demand, caller->tls_closed), failure_out);
    if (status == STATUS_OK || !is_failure_of_tls(failure_out)) {
        return status;
    }
    atomic_fetch_add(&caller->world->counters.tls_failed, 1);
    struct str text = str_head(failure_out->reply.text, sizeof call->error_text - 1);
    memcpy(call->error_text, text.p, text.n);
    call->error_text[text.n] = '\0';
    call->error = call->error_text;
    if (call->demand.may_clear) { /* RFC 7435: better than not at all */
        status = open_session(call, SMTP_CLIENT_TLS_NEVER, failure_out);
    }
    return status;
}

static void
tell_session(struct call *call)
{
    struct relay_session *session = call->session;
    enum tls_result result = result_of(&call->demand, session, call->error);
    session->configured = call->caller->hop->configured;
    session->tls_lost = call->error != NULL || smtp_client_tls_was_refused(session->client);
    if (call->error == NULL && session->tls != NULL) {
        call->error = session->facts.trust_error;
    } else if (call->error == NULL) {
        call->error = why_clear(&call->demand, session);
    }
    if (!call->demand.no_tls || session->tls != NULL) {
        trace_protection(call, session->tls != NULL ? &session->facts : NULL, result, true);
    }
}

struct relay_session *
relay_call(const struct relay_caller *caller, const struct relay_target *target,
           struct relay_session_failure *failure_out)
{
    static const char closed[] = "the server refused STARTTLS and closed the connection";
    struct call call = {.caller = caller,
                        .target = target,
                        .demand = relay_demand_make(caller->config, caller->hop, target,
                                                    &caller->needs, &caller->sts),
                        .error = caller->tls_closed ? closed : NULL};
    if (call.demand.skip) {
        skip_host(&call, failure_out);
        return NULL;
    }
    if (relay_session_count() >= caller->config->queue.connections) {
        (void)relay_idle_give_way(caller->world->idle);
    }
    enum status status = try_target(&call, failure_out);
    count_session(&caller->world->counters, call.session);
    if (status == STATUS_OK) {
        tell_session(&call);
    } else {
        failure_out->unproved =
            call.demand.level == TRANSPORT_AUTHENTICATION && !failure_out->encrypted;
        if (call.error != NULL || failure_out->problem == SMTP_CLIENT_TLS_MISSING) {
            leave_host(&call, failure_out);
        }
    }
    log_in_if_wanted(caller, &call.session, failure_out);
    return call.session;
}

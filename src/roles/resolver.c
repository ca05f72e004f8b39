#include "roles/resolver.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "dns/packet.h"

/* Memory for reading one answer. */
#define QUERY_ARENA_MAX  (512u * 1024u)
/* Questions under way; more are answered SERVFAIL at once. */
#define QUERIES_MAX      4096u
/* Largest file of trust anchors. */
#define ANCHORS_MAX      (256u * 1024u)
#define ANCHOR_FILES_MAX 16u
/* A name as libunbound takes it: escapes and a final dot. */
#define NAME_MAX_TEXT    1024u
#define DETAIL_MAX       200u
/* Largest inline payload of a reply: what is over is SERVFAIL, as a truncated answer is no answer.
 */
#define REPLY_OCTETS_MAX (300u * 1024u)
#define CLASS_IN         1

/* The root zone's keys as published by IANA: 2017 (20326) and 2024 (38696). */
static const char *const root_anchors[] = {
    ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/* One libunbound context; a reload makes a new one while questions to the old one end. */
struct context {
    struct ub_ctx *ub;
    const struct config *config; /* one reference */
    size_t queries;
    bool retired;
    struct context *next; /* retired ones */
};

struct anchor_file {
    struct str name;
    struct str text;
};

struct resolver {
    struct role_runtime *runtime;
    struct arena *arena; /* texts of anchor files */
    struct anchor_file anchors[ANCHOR_FILES_MAX];
    size_t anchor_count;
    struct context *current;
    struct context *retired;
    struct event *clean_up;
    struct event *sweep;
    struct query *queries; /* under way */
    size_t query_count;
    int64_t asked;
    int64_t answered[DNS_OUTCOME_COUNT];
    int64_t secure;
    int64_t bogus;
};

struct query {
    struct query *next;
    struct query **link; /* what points to this one */
    struct resolver *resolver;
    struct context *context;
    struct channel *channel;
    uint64_t request;
    struct str name; /* in octets below */
    uint16_t type;
    int64_t deadline_ms;
    bool answered; /* its time had passed: only libunbound still holds it */
    char octets[NAME_MAX_TEXT];
};

/* ---- context */

static bool
set_option(struct ub_ctx *ub, const char *name, const char *value)
{
    int failed = ub_ctx_set_option(ub, name, value);
    if (failed != 0) {
        LOG_ERROR("libunbound refuses an option", LOG_CSTR("option", name),
                  LOG_CSTR("reason", ub_strerror(failed)));
    }
    return failed == 0;
}

static bool
set_size(struct ub_ctx *ub, const char *name, uint64_t octets)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)octets);
    return set_option(ub, name, text);
}

static const char *
endpoint_text(const struct config_endpoint *endpoint, char out[static IP_TEXT_MAX + 8])
{
    char address[IP_TEXT_MAX];
    snprintf(out, IP_TEXT_MAX + 8, "%s@%u", ip_format(&endpoint->ip, address),
             endpoint->port != 0 ? endpoint->port : 53);
    return out;
}

static bool
set_upstream(struct ub_ctx *ub, const struct config_resolver *config)
{
    char text[IP_TEXT_MAX + 8];
    for (size_t i = 0; i < config->forwarders.count; i++) {
        if (ub_ctx_set_fwd(ub, endpoint_text(&config->forwarders.items[i], text)) != 0) {
            LOG_ERROR("not a forwarder", LOG_CSTR("address", text));
            return false;
        }
    }
    if (config->stub_root.port != 0 &&
        ub_ctx_set_stub(ub, ".", endpoint_text(&config->stub_root, text), 0) != 0) {
        LOG_ERROR("not a server of the root", LOG_CSTR("address", text));
        return false;
    }
    bool own = config->stub_root.port != 0 || config->forwarders.count > 0;
    return set_option(ub, "do-not-query-localhost:", own ? "no" : "yes");
}

static bool
add_anchor_line(struct ub_ctx *ub, struct str line)
{
    char text[4096];
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == ';' || line.p[0] == '#') {
        return true;
    }
    snprintf(text, sizeof text, "%.*s", STR_ARG(line));
    return line.n < sizeof text && ub_ctx_add_ta(ub, text) == 0;
}

static struct str
read_anchor_file(struct arena *arena, struct str name)
{
    char path[PATH_MAX];
    char *text = arena_alloc(arena, ANCHORS_MAX);
    snprintf(path, sizeof path, "%.*s", STR_ARG(name));
    int fd = text != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd >= 0 ? read(fd, text, ANCHORS_MAX) : -1;
    if (n < 0) {
        LOG_ERROR("trust anchors cannot be read", LOG_CSTR("file", path),
                  LOG_CSTR("reason", strerror(errno)));
    }
    if (fd >= 0) {
        close(fd);
    }
    return str_make(text, n > 0 && n < (ssize_t)ANCHORS_MAX ? (size_t)n : 0);
}

/* Files are read before the sandbox and kept, because a reload cannot see them any more. */
static struct str
anchor_text(struct resolver *resolver, struct str name)
{
    for (size_t i = 0; i < resolver->anchor_count; i++) {
        if (str_eq(resolver->anchors[i].name, name)) {
            return resolver->anchors[i].text;
        }
    }
    struct str text = read_anchor_file(resolver->arena, name);
    if (text.n > 0 && resolver->anchor_count < ANCHOR_FILES_MAX) {
        resolver->anchors[resolver->anchor_count].name = arena_str_dup(resolver->arena, name);
        resolver->anchors[resolver->anchor_count].text = text;
        resolver->anchor_count++;
    }
    return text;
}

static bool
add_anchor_file(struct resolver *resolver, struct ub_ctx *ub, struct str name)
{
    struct str rest = anchor_text(resolver, name);
    bool done = rest.n > 0;
    while (done && rest.n > 0) {
        struct str line;
        str_cut(rest, '\n', &line, &rest);
        done = add_anchor_line(ub, line);
    }
    if (!done) {
        LOG_ERROR("a file holds no trust anchors (DS or DNSKEY records)", LOG_STR("file", name));
    }
    return done;
}

static bool
set_anchors(struct resolver *resolver, struct ub_ctx *ub, const struct config_resolver *config)
{
    bool done = true;
    for (size_t i = 0; done && i < config->trust_anchors.count; i++) {
        done = add_anchor_file(resolver, ub, config->trust_anchors.items[i]);
    }
    size_t const own = sizeof root_anchors / sizeof root_anchors[0];
    for (size_t i = 0; done && config->trust_anchors.count == 0 && i < own; i++) {
        done = ub_ctx_add_ta(ub, root_anchors[i]) == 0;
    }
    return done;
}

static void
free_local_zones(struct ub_ctx *ub, const struct config_resolver *config)
{
    for (size_t i = 0; i < config->local_zones.count; i++) {
        char name[NAME_MAX_TEXT];
        snprintf(name, sizeof name, "%.*s.", STR_ARG(config->local_zones.items[i]));
        ub_ctx_zone_remove(ub, name);
    }
}

static bool
context_configure(struct resolver *resolver, struct ub_ctx *ub,
                  const struct config_resolver *config)
{
    /* The rest of the cache is for records, which are the larger part. */
    bool done = set_size(ub, "msg-cache-size:", config->cache_size / 3) &&
                set_size(ub, "rrset-cache-size:", config->cache_size / 3 * 2) &&
                set_option(ub, "edns-buffer-size:", "1232") &&
                set_option(ub, "outgoing-range:", "512") &&
                set_option(ub, "num-queries-per-thread:", "4096") &&
                set_option(ub, "chroot:", "") && set_option(ub, "username:", "");
    if (done && !config->dnssec) {
        done = set_option(ub, "module-config:", "iterator");
    }
    done =
        done && set_upstream(ub, config) && (!config->dnssec || set_anchors(resolver, ub, config));
    return done;
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_primed(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    (void)data, (void)rcode, (void)packet, (void)n, (void)security, (void)why, (void)limited;
}

static struct context *
context_create(struct resolver *resolver, const struct config *config)
{
    struct context *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return NULL;
    }
    context->ub = ub_ctx_create_event(role_loop(resolver->runtime));
    if (context->ub == NULL || !context_configure(resolver, context->ub, &config->resolver)) {
        ub_ctx_delete(context->ub);
        free(context);
        return NULL;
    }
    /* The first question makes libunbound settle; "localhost." is answered without the network. */
    int id;
    ub_resolve_event(context->ub, "localhost.", DNS_TYPE_A, CLASS_IN, NULL, on_primed, &id);
    free_local_zones(context->ub, &config->resolver);
    context->config = config_ref(config);
    return context;
}

static void
context_destroy(struct context *context)
{
    ub_ctx_delete(context->ub);
    config_unref(&context->config);
    free(context);
}

/* ---- queries */

static struct query *
query_create(struct resolver *resolver, struct channel *channel, struct ipc_message *message)
{
    struct msg_resolve *fields = MSG_BODY(message, resolve);
    struct query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        return NULL;
    }
    query->resolver = resolver;
    query->context = resolver->current;
    query->channel = channel;
    query->request = message->request;
    query->type = fields->type;
    query->deadline_ms = clock_monotonic_ms() + query->context->config->resolver.timeout_ms;
    int n = snprintf(query->octets, sizeof query->octets, "%.*s.", STR_ARG(fields->name));
    query->name = str_make(query->octets, (size_t)n - 1);
    query->link = &resolver->queries;
    query->next = resolver->queries;
    if (query->next != NULL) {
        query->next->link = &query->next;
    }
    resolver->queries = query;
    resolver->query_count++;
    query->context->queries++;
    return query;
}

static void
query_destroy(struct query *query)
{
    struct timeval now = {0, 0};
    *query->link = query->next;
    if (query->next != NULL) {
        query->next->link = query->link;
    }
    query->resolver->query_count--;
    if (--query->context->queries == 0 && query->context->retired) {
        event_add(query->resolver->clean_up, &now);
    }
    free(query);
}

static size_t
answer_octets(const struct dns_answer *answer)
{
    size_t n = 0;
    for (size_t i = 0; i < answer->record_count; i++) {
        n += answer->records[i].n + sizeof(uint32_t);
    }
    return n;
}

static void
send_answer(struct resolver *resolver, struct channel *channel, uint64_t request,
            struct dns_answer answer)
{
    static struct record_rdata records[DNS_RECORDS_MAX];
    if (answer_octets(&answer) > REPLY_OCTETS_MAX) {
        answer.outcome = DNS_OUTCOME_SERVFAIL;
        answer.detail = STR("the answer is larger than can be used");
        answer.record_count = 0;
    }
    for (size_t i = 0; i < answer.record_count; i++) {
        records[i].octets = answer.records[i];
    }
    struct msg_resolve_reply reply = {
        .outcome = (uint8_t)answer.outcome,
        .security = (uint8_t)answer.security,
        .canonical = answer.canonical,
        .detail = str_head(answer.detail, DETAIL_MAX),
        .ttl = answer.ttl,
        .records = {records, answer.record_count},
    };
    resolver->answered[answer.outcome]++;
    resolver->secure += answer.security == DNS_SECURITY_SECURE;
    resolver->bogus += answer.security == DNS_SECURITY_BOGUS;
    if (channel_send(channel, MSG_RESOLVE_REPLY, request, &reply) != STATUS_OK) {
        LOG_DEBUG("who asked for a name has gone");
    }
}

static enum dns_security
security_of(const struct context *context, int security)
{
    if (!context->config->resolver.dnssec) {
        return DNS_SECURITY_INDETERMINATE;
    }
    return security == 2   ? DNS_SECURITY_SECURE
           : security == 1 ? DNS_SECURITY_BOGUS
                           : DNS_SECURITY_INSECURE;
}

static void
answer_query(struct query *query, int rcode, struct str packet, int security, const char *why)
{
    struct arena *arena = arena_create(QUERY_ARENA_MAX);
    struct dns_answer answer = {
        .outcome = DNS_OUTCOME_SERVFAIL,
        .security = security_of(query->context, security),
        .canonical = query->name,
        .detail = str_from_cstr(why),
    };
    if (answer.security != DNS_SECURITY_BOGUS && packet.n > 0) {
        enum status status = dns_packet_answer(arena, packet, query->name, query->type, &answer);
        if (status != STATUS_OK) {
            answer.detail = STR("the answer cannot be read");
        }
    } else if (answer.security != DNS_SECURITY_BOGUS && rcode == 3) {
        answer.outcome = DNS_OUTCOME_NXDOMAIN;
    }
    send_answer(query->resolver, query->channel, query->request, answer);
    arena_destroy(&arena);
}

static void /* NOLINTNEXTLINE(readability-function-size): the library's callback */
on_resolved(void *data, int rcode, void *packet, int n, int security, char *why, int limited)
{
    struct query *query = data;
    (void)limited;
    if (!query->answered) {
        answer_query(query, rcode, str_make(packet, n > 0 ? (size_t)n : 0), security, why);
    }
    query_destroy(query);
}

static void
refuse(struct resolver *resolver, struct channel *channel, struct ipc_message *message,
       const char *why)
{
    struct dns_answer answer = {.outcome = DNS_OUTCOME_SERVFAIL,
                                .canonical = MSG_BODY(message, resolve)->name,
                                .detail = str_from_cstr(why)};
    send_answer(resolver, channel, message->request, answer);
}

static void
on_message(void *state, struct channel *channel, struct ipc_message *message)
{
    struct resolver *resolver = state;
    int id = 0;
    resolver->asked++;
    if (resolver->query_count >= QUERIES_MAX) {
        refuse(resolver, channel, message, "too many questions under way");
        ipc_message_free(&message);
        return;
    }
    struct query *query = query_create(resolver, channel, message);
    if (query == NULL) {
        ipc_message_free(&message);
        return;
    }
    int failed = ub_resolve_event(query->context->ub, query->octets, query->type, CLASS_IN, query,
                                  on_resolved, &id);
    if (failed != 0) {
        /* libunbound has not taken it: a name that cannot be, or no memory. */
        refuse(resolver, channel, message, ub_strerror(failed));
        query_destroy(query);
    }
    ipc_message_free(&message);
}

/* ---- time */

static void
on_sweep(evutil_socket_t fd, short what, void *state)
{
    struct resolver *resolver = state;
    int64_t const now = clock_monotonic_ms();
    (void)fd;
    (void)what;
    for (struct query *q = resolver->queries; q != NULL; q = q->next) {
        if (!q->answered && q->deadline_ms <= now) {
            struct dns_answer answer = {.outcome = DNS_OUTCOME_TIMEOUT,
                                        .canonical = q->name,
                                        .detail = STR("no server answered in time")};
            q->answered = true;
            send_answer(resolver, q->channel, q->request, answer);
        }
    }
}

static void
on_clean_up(evutil_socket_t fd, short what, void *state)
{
    struct resolver *resolver = state;
    (void)fd;
    (void)what;
    for (struct context **at = &resolver->retired; *at != NULL;) {
        struct context *context = *at;
        if (context->queries > 0) {
            at = &context->next;
            continue;
        }
        *at = context->next;
        context_destroy(context);
    }
}

/* ---- role */

static enum status
resolver_open(struct role_runtime *runtime, void **state_out)
{
    struct resolver *resolver = calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return STATUS_LIMIT;
    }
    resolver->runtime = runtime;
    resolver->arena = arena_create(2 * ANCHOR_FILES_MAX * ANCHORS_MAX);
    resolver->current = context_create(resolver, role_config(runtime));
    if (resolver->current == NULL) {
        free(resolver);
        return STATUS_IO;
    }
    *state_out = resolver;
    return STATUS_OK;
}

static enum status
resolver_start(struct role_runtime *runtime, void *state)
{
    struct resolver *resolver = state;
    struct timeval interval = {0, 100000};
    resolver->clean_up = event_new(role_loop(runtime), -1, 0, on_clean_up, resolver);
    resolver->sweep = event_new(role_loop(runtime), -1, EV_PERSIST, on_sweep, resolver);
    if (resolver->clean_up == NULL || resolver->sweep == NULL ||
        event_add(resolver->sweep, &interval) != 0) {
        return STATUS_IO;
    }
    return STATUS_OK;
}

static void
resolver_reload(void *state, const struct config *config)
{
    struct resolver *resolver = state;
    struct timeval now = {0, 0};
    struct context *next = context_create(resolver, config);
    if (next == NULL) {
        LOG_ERROR("the resolver keeps its old settings; restart Postern to change its anchors");
        return;
    }
    struct context *old = resolver->current;
    resolver->current = next;
    old->retired = true;
    old->next = resolver->retired;
    resolver->retired = old;
    event_add(resolver->clean_up, &now);
}

static void
resolver_metrics(void *state, struct role_metrics *metrics_out)
{
    static const char *const names[DNS_OUTCOME_COUNT] = {
        [DNS_OUTCOME_ANSWER] = "dns_answers",    [DNS_OUTCOME_NODATA] = "dns_nodata",
        [DNS_OUTCOME_NXDOMAIN] = "dns_nxdomain", [DNS_OUTCOME_SERVFAIL] = "dns_servfail",
        [DNS_OUTCOME_TIMEOUT] = "dns_timeout",   [DNS_OUTCOME_REFUSED] = "dns_refused",
    };
    struct resolver *resolver = state;
    role_metric_add(metrics_out, "dns_questions", resolver->asked);
    for (size_t i = 0; i < DNS_OUTCOME_COUNT; i++) {
        role_metric_add(metrics_out, names[i], resolver->answered[i]);
    }
    role_metric_add(metrics_out, "dns_secure", resolver->secure);
    role_metric_add(metrics_out, "dns_bogus", resolver->bogus);
    role_metric_add(metrics_out, "dns_under_way", (int64_t)resolver->query_count);
}

static const struct sandbox_profile resolver_sandbox = {
    .name = "resolver",
    .allow = SANDBOX_ALLOW_INTERNET,
    .descriptors = 4096,
};

const struct role_definition resolver_role = {
    .role = ROLE_RESOLVER,
    .sandbox = &resolver_sandbox,
    .open = resolver_open,
    .start = resolver_start,
    .on_message = on_message,
    .reload = resolver_reload,
    .metrics = resolver_metrics,
};

/*
 * One fetch, and all who wait for it: a request for what is being fetched already joins it, so that
 * a thousand messages to one domain cost its server one request.
 */
#include <stdlib.h>
#include <utlist.h>

#include "roles/fetch/internal.h"

/* Memory of one fetch: its request, its body twice, the DNS's answers. */
#define ARENA_MAX (4u * FETCH_SIZE_MAX)

struct waiter {
    struct asker asker;
    struct waiter *next;
};

struct fetch_job {
    struct work_job work; /* first: the queue hands this back */
    struct fetch_job *prev;
    struct fetch_job *next;
    struct fetch_state *state;
    struct fetch_client *client;
    struct arena *arena;
    struct fetch_request request; /* in the arena */
    struct fetch_response response;
    struct waiter *waiters;
    size_t waiter_count;
};

/* ---- replies */

static void
fill_reply(const struct fetch_response *response, struct msg_fetch_reply *reply_out)
{
    *reply_out = (struct msg_fetch_reply){
        .outcome = (uint8_t)response->outcome,
        .http_status = (uint16_t)response->http_status,
        .content_type = str_head(response->content_type, FETCH_MEDIA_TYPE_MAX),
        .body = response->body,
        .detail = str_head(response->detail, FETCH_DETAIL_MAX),
    };
}

static void
answer_busy(struct fetch_state *state, struct channel *channel, uint64_t request, const char *why)
{
    struct fetch_response response = {.outcome = FETCH_OUTCOME_BUSY, .detail = str_from_cstr(why)};
    struct msg_fetch_reply reply;
    state->outcomes[FETCH_OUTCOME_BUSY]++;
    fill_reply(&response, &reply);
    (void)channel_send(channel, MSG_FETCH_REPLY, request, &reply);
}

/* ---- the life of a job */

static void
job_destroy(struct fetch_job *job)
{
    fetch_client_release(job->client);
    arena_destroy(&job->arena);
    free(job);
}

static void
job_run(struct work_job *work, void *context)
{
    struct fetch_job *job = (struct fetch_job *)work;
    struct fetch_source source = fetch_source_from_curl(job->client->curl);
    (void)context;
    job->response = (struct fetch_response){.outcome = FETCH_OUTCOME_BUSY,
                                            .detail = STR("there is no memory for the answer")};
    (void)fetch_get(&source, job->arena, &job->request, &job->response);
}

static void
job_finish(struct work_job *work)
{
    struct fetch_job *job = (struct fetch_job *)work;
    struct fetch_state *state = job->state;
    struct msg_fetch_reply reply;
    state->outcomes[job->response.outcome]++;
    fill_reply(&job->response, &reply);
    for (struct waiter *waiter = job->waiters; waiter != NULL;) {
        struct waiter *next = waiter->next;
        asker_end(&state->askers, &waiter->asker, MSG_FETCH_REPLY, &reply);
        free(waiter);
        waiter = next;
    }
    DL_DELETE(state->jobs, job);
    job_destroy(job);
}

static bool
job_wait(struct fetch_job *job, struct channel *channel, const struct ipc_message *message)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL) {
        return false;
    }
    asker_begin(&job->state->askers, &waiter->asker, channel, message);
    LL_APPEND(job->waiters, waiter);
    job->waiter_count++;
    return true;
}

/* ---- requests */

static int
least(int a, int b)
{
    return a < b ? a : b;
}

/* What the message says, borrowed from it; `types` has room for FETCH_MEDIA_TYPES_MAX. */
static struct fetch_request
read_request(const struct msg_fetch *fields, struct str *types)
{
    for (size_t i = 0; i < fields->media_types.n; i++) {
        types[i] = fields->media_types.items[i].type;
    }
    return (struct fetch_request){
        .url = fields->url,
        .size_max = fields->size_max,
        .timeout_ms = fields->timeout_ms <= FETCH_TIMEOUT_MAX_MS ? (int)fields->timeout_ms : 0,
        .media_types = types,
        .media_type_count = fields->media_types.n,
        .redirects = fields->redirects,
    };
}

/* Copies it; false: no memory. */
static bool
take_request(struct fetch_job *job, const struct fetch_request *request)
{
    size_t const count = request->media_type_count;
    struct str *types = arena_alloc_array(job->arena, count + 1, sizeof *types);
    for (size_t i = 0; types != NULL && i < count; i++) {
        types[i] = arena_str_dup(job->arena, request->media_types[i]);
    }
    job->request = *request;
    job->request.url = arena_str_dup(job->arena, request->url);
    job->request.media_types = types;
    job->request.timeout_ms = least(request->timeout_ms, job->client->timeout_ms);
    return types != NULL && job->request.url.p != NULL;
}

static bool
is_same(const struct fetch_request *a, const struct fetch_request *b)
{
    bool same = str_eq(a->url, b->url) && a->size_max == b->size_max &&
                a->redirects == b->redirects && a->media_type_count == b->media_type_count;
    for (size_t i = 0; same && i < a->media_type_count; i++) {
        same = str_eq(a->media_types[i], b->media_types[i]);
    }
    return same;
}

static struct fetch_job *
job_create(struct fetch_state *state, const struct fetch_request *request)
{
    struct fetch_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->work = (struct work_job){.run = job_run, .finish = job_finish, .cost = 1};
    job->state = state;
    job->arena = arena_create(ARENA_MAX);
    job->client = state->client;
    job->client->users++;
    if (!take_request(job, request)) {
        job_destroy(job);
        return NULL;
    }
    return job;
}

/* False: no room, and nobody has been answered. */
static bool
begin(struct fetch_state *state, const struct fetch_request *request, struct channel *channel,
      const struct ipc_message *message)
{
    struct fetch_job *job = job_create(state, request);
    if (job == NULL) {
        return false;
    }
    if (!work_add(state->queue, &job->work)) {
        job_destroy(job);
        return false;
    }
    DL_APPEND(state->jobs, job);
    /* Should there be no memory to note who asked, the fetch runs for nobody. */
    return job_wait(job, channel, message);
}

static bool
join(struct fetch_state *state, const struct fetch_request *request, struct channel *channel,
     const struct ipc_message *message)
{
    struct fetch_job *job;
    DL_FOREACH(state->jobs, job)
    {
        if (job->client == state->client && job->waiter_count < FETCH_ASKERS_MAX &&
            is_same(&job->request, request)) {
            state->shared++;
            return job_wait(job, channel, message);
        }
    }
    return false;
}

void
fetch_job_ask(struct fetch_state *state, struct channel *channel, struct ipc_message *message)
{
    struct str types[FETCH_MEDIA_TYPES_MAX];
    struct fetch_request request = read_request(MSG_BODY(message, fetch), types);
    if (!fetch_request_is_valid(&request)) {
        role_peer_misbehaved(state->runtime, channel);
    } else if (state->stopping) {
        answer_busy(state, channel, message->request, "Postern stops");
    } else if (!join(state, &request, channel, message) &&
               !begin(state, &request, channel, message)) {
        answer_busy(state, channel, message->request, "too many fetches are under way");
    }
    ipc_message_free(&message);
}

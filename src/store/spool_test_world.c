#include "store/spool_test_world.h"

#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/spool_bodies.h"

#define NOW_MS 1000

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

enum status
world_open(struct world *world, struct str *reason_out)
{
    return spool_open(world->directory, world->arena, &world->spool, reason_out);
}

void
world_reopen(struct world *world)
{
    struct str reason = {0};
    spool_close(&world->spool);
    enum status status = world_open(world, &reason);
    if (status != STATUS_OK) {
        print_error("%.*s\n", STR_ARG(reason));
    }
    assert_int_equal(status, STATUS_OK);
}

int
world_setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    snprintf(world->directory, sizeof world->directory, "/tmp/spool_unit.XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world->arena = arena_create(64 * 1024 * 1024);
    world_reopen(world);
    *state = world;
    return 0;
}

int
world_teardown(void **state)
{
    struct world *world = *state;
    spool_close(&world->spool);
    arena_destroy(&world->arena);
    nftw(world->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(world);
    return 0;
}

struct spool_message
world_message(struct world *world, const char *id, const char *destination, size_t recipients)
{
    struct spool_recipient *items = arena_alloc_array(world->arena, recipients, sizeof *items);
    struct str domain = str_from_cstr(destination);
    assert_non_null(items);
    for (size_t i = 0; i < recipients; i++) {
        struct str address = arena_printf(world->arena, "r%zu@%.*s", i, STR_ARG(domain));
        items[i] = (struct spool_recipient){.number = (uint32_t)i,
                                            .address = address,
                                            .original = address,
                                            .destination = domain,
                                            .due_ms = NOW_MS};
    }
    return (struct spool_message){.id = str_from_cstr(id),
                                  .received_ms = NOW_MS,
                                  .queued_ms = NOW_MS,
                                  .sender = STR("s@out.example"),
                                  .head = STR("Subject: test\r\n\r\n"),
                                  .content = STR("Body.\r\n"),
                                  .size = 24,
                                  .recipients = items,
                                  .recipient_count = recipients};
}

int64_t
world_insert(struct world *world, struct spool_message *message)
{
    bool duplicate = true;
    assert_int_equal(spool_begin(world->spool), STATUS_OK);
    assert_int_equal(spool_insert(world->spool, message, &duplicate), STATUS_OK);
    assert_false(duplicate);
    assert_int_equal(spool_commit(world->spool, NOW_MS), STATUS_OK);
    return message->key;
}

struct spool_end
world_settle(struct world *world, int64_t key, uint32_t total, uint32_t number,
             enum spool_state state, int64_t due_ms)
{
    struct spool_end end;
    struct spool_result result = {
        .number = number, .state = state, .due_ms = due_ms, .attempts = 1};
    assert_int_equal(spool_begin(world->spool), STATUS_OK);
    assert_int_equal(spool_settle(world->spool, key, total, &result, 1, &end), STATUS_OK);
    assert_int_equal(spool_commit(world->spool, NOW_MS), STATUS_OK);
    return end;
}

/* ---- the body log */

static const struct spool_choice everything = {
    .due_ms = INT64_MAX, .finals = true, .most = SPOOL_RECIPIENTS_MAX, .octets = SIZE_MAX};

struct spool_message
world_numbered(struct world *w, unsigned number, size_t size)
{
    char id[ID_LENGTH + 1];
    char *octets = arena_alloc(w->arena, size);
    assert_non_null(octets);
    snprintf(id, sizeof id, "%016u", number);
    for (size_t i = 0; i < size; i++) {
        octets[i] = (char)(number * 31 + i / 7);
    }
    struct str name = arena_str_dup(w->arena, str_from_cstr(id));
    struct spool_message m = world_message(w, "", "a.example", 1);
    m.id = name;
    m.head = str_make(octets, size / 5);
    m.content = str_make(octets + size / 5, size - size / 5);
    m.size = size;
    return m;
}

enum status
world_load(struct world *w, const struct spool_message *m, struct spool_message *got)
{
    return spool_load(w->spool, w->arena, m->key, &everything, true, got);
}

void
world_assert_same(struct world *w, const struct spool_message *m)
{
    struct spool_message got;
    assert_int_equal(world_load(w, m, &got), STATUS_OK);
    assert_true(str_eq(got.id, m->id));
    assert_true(str_eq(got.head, m->head));
    assert_true(str_eq(got.content, m->content));
}

size_t
world_count_bodies(const struct world *w)
{
    char path[128];
    size_t n = 0;
    snprintf(path, sizeof path, "%s/" SPOOL_BODIES_NAME, w->directory);
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(directory);
    return n;
}

void
world_segment_path(const struct world *w, int64_t number, char path[static 128])
{
    snprintf(path, 128, "%s/" SPOOL_BODIES_NAME "/%lld", w->directory, (long long)number);
}

void
world_deliver(struct world *w, const struct spool_message *m)
{
    assert_true(world_settle(w, m->key, 1, 0, SPOOL_DELIVERED, 0).gone);
}

bool
world_says(struct str reason, const char *part)
{
    if (str_find(reason, str_from_cstr(part)) == STR_NPOS) {
        print_error("\"%.*s\" does not say \"%s\"\n", STR_ARG(reason), part);
        return false;
    }
    return true;
}

#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The first block; later ones double up to the largest, or fit what was asked. */
#define ARENA_BLOCK_FIRST   1024u
#define ARENA_BLOCK_LARGEST (256u * 1024u)

struct block {
    struct block *next;
    size_t size; /* usable bytes */
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

struct destructor {
    struct destructor *next;
    void (*destroy)(void *);
    void *object;
};

struct arena {
    struct block *blocks; /* newest first */
    struct destructor *destructors;
    size_t ceiling;
    size_t used;
    size_t next_block_size;
};

struct arena *
arena_create(size_t ceiling)
{
    struct arena *arena = calloc(1, sizeof *arena);
    if (arena == NULL) {
        abort();
    }
    arena->ceiling = ceiling;
    arena->next_block_size = ARENA_BLOCK_FIRST;
    return arena;
}

static void
arena_run_destructors(struct arena *arena)
{
    while (arena->destructors != NULL) {
        struct destructor *d = arena->destructors;
        arena->destructors = d->next;
        d->destroy(d->object);
    }
}

static void
arena_free_blocks(struct block *block, bool wipe)
{
    while (block != NULL) {
        struct block *next = block->next;
        if (wipe) {
            explicit_bzero(block->data, block->size);
        }
        free(block);
        block = next;
    }
}

static void
arena_destroy_common(struct arena **arena, bool wipe)
{
    if (arena == NULL || *arena == NULL) {
        return;
    }
    arena_run_destructors(*arena);
    arena_free_blocks((*arena)->blocks, wipe);
    free(*arena);
    *arena = NULL;
}

void
arena_destroy(struct arena **arena)
{
    arena_destroy_common(arena, false);
}

void
arena_destroy_wiped(struct arena **arena)
{
    arena_destroy_common(arena, true);
}

void
arena_reset(struct arena *arena)
{
    arena_run_destructors(arena);
    struct block *keep = arena->blocks;
    if (keep != NULL) {
        arena_free_blocks(keep->next, false);
        keep->next = NULL;
        keep->used = 0;
    }
    arena->used = 0;
}

size_t
arena_used(const struct arena *arena)
{
    return arena->used;
}

static struct block *
arena_add_block(struct arena *arena, size_t at_least)
{
    size_t size = arena->next_block_size;
    if (size < at_least) {
        size = at_least;
    }
    if (arena->next_block_size < ARENA_BLOCK_LARGEST) {
        arena->next_block_size *= 2;
    }
    struct block *block = malloc(sizeof *block + size);
    if (block == NULL) {
        return NULL;
    }
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
    size_t const align = alignof(max_align_t);
    if (size > SIZE_MAX - align) {
        return NULL;
    }
    size_t rounded = (size + align - 1) / align * align;
    if (rounded > arena->ceiling || arena->used > arena->ceiling - rounded) {
        return NULL;
    }
    struct block *block = arena->blocks;
    if (block == NULL || block->size - block->used < rounded) {
        block = arena_add_block(arena, rounded);
        if (block == NULL) {
            return NULL;
        }
    }
    void *p = block->data + block->used;
    block->used += rounded;
    arena->used += rounded;
    memset(p, 0, rounded);
    return p;
}

void *
arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total)) {
        return NULL;
    }
    return arena_alloc(arena, total);
}

struct str
arena_concat(struct arena *arena, const struct str *parts, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(total, parts[i].n, &total)) {
            return str_make(NULL, 0);
        }
    }
    char *text = total < SIZE_MAX ? arena_alloc(arena, total + 1) : NULL;
    if (text == NULL) {
        return str_make(NULL, 0);
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > 0) {
            memcpy(text + at, parts[i].p, parts[i].n);
            at += parts[i].n;
        }
    }
    return str_make(text, total);
}

char *
arena_cstr(struct arena *arena, struct str s)
{
    char *copy = s.n < SIZE_MAX ? arena_alloc(arena, s.n + 1) : NULL;
    if (copy != NULL && s.n > 0) {
        memcpy(copy, s.p, s.n);
    }
    return copy;
}

struct str
arena_str_dup(struct arena *arena, struct str s)
{
    char *copy = arena_cstr(arena, s);
    return copy != NULL ? (struct str){copy, s.n} : (struct str){NULL, 0};
}

struct str
arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    struct str text = {NULL, 0};
    if (n >= 0) {
        char *p = arena_alloc(arena, (size_t)n + 1);
        if (p != NULL) {
            vsnprintf(p, (size_t)n + 1, format, again);
            text = (struct str){p, (size_t)n};
        }
    }
    va_end(again);
    return text;
}

struct str
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

enum status
arena_on_destroy(struct arena *arena, void (*destroy)(void *object), void *object)
{
    struct destructor *d = arena_alloc(arena, sizeof *d);
    if (d == NULL) {
        return STATUS_LIMIT;
    }
    d->destroy = destroy;
    d->object = object;
    d->next = arena->destructors;
    arena->destructors = d;
    return STATUS_OK;
}

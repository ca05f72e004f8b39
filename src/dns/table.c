#include "dns/table.h"

#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "dns/table_entry.h"

/* Entries that a question may be in. */
#define WAYS       4u
/* What comes before the octets of an entry. */
#define HEAD_WORDS 4u
#define TEXT_WORDS (DNS_TABLE_ENTRY_SIZE / 8 - HEAD_WORDS)
#define TEXT_SIZE  (TEXT_WORDS * 8)

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE)

/* Words, since what is read while it is written must be atomic, however useless it then is. */
struct entry {
    _Atomic uint64_t sequence; /* odd while it is written */
    _Atomic uint64_t tag;      /* hash of the question and of the table's generation */
    _Atomic int64_t expires_ms;
    _Atomic uint64_t length;
    _Atomic uint64_t text[TEXT_WORDS];
};

struct memory {
    unsigned char key[crypto_shorthash_KEYBYTES];
    _Atomic uint64_t generation; /* what was written under another one is forgotten */
    char unused[DNS_TABLE_ENTRY_SIZE - crypto_shorthash_KEYBYTES - sizeof(uint64_t)];
    struct entry entries[DNS_TABLE_ENTRIES];
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "only atomics without locks work between processes");
_Static_assert(sizeof(struct entry) == DNS_TABLE_ENTRY_SIZE, "an entry has its size");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a hash is a number");

/* The hash of a question. A tag of 0 is an entry that was never written. */
static uint64_t
hash_of(const struct memory *memory, uint64_t generation, struct str name, uint16_t type)
{
    uint64_t hash;
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, (const unsigned char *)name.p, name.n, memory->key);
    memcpy(&hash, out, sizeof hash);
    hash ^= (generation << 16 | type) * 0x9e3779b97f4a7c15u;
    return hash != 0 ? hash : 1;
}

/* ---- writing */

struct dns_table {
    int fd;
    struct memory *memory;
    size_t turn;
    uint64_t generations[DNS_TABLE_ENTRIES]; /* under which each entry was written */
};

struct dns_table *
dns_table_create(void)
{
    struct dns_table *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->fd = memfd_create("answers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    table->memory = MAP_FAILED;
    if (table->fd >= 0 && ftruncate(table->fd, sizeof *table->memory) == 0) {
        table->memory =
            mmap(NULL, sizeof *table->memory, PROT_READ | PROT_WRITE, MAP_SHARED, table->fd, 0);
    }
    /* The mapping that is there already is the only one that will ever write. */
    if (table->memory == MAP_FAILED || fcntl(table->fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) != 0) {
        dns_table_destroy(&table);
        return NULL;
    }
    random_bytes(table->memory->key, sizeof table->memory->key);
    return table;
}

void
dns_table_destroy(struct dns_table **table)
{
    if (*table == NULL) {
        return;
    }
    if ((*table)->memory != MAP_FAILED) {
        munmap((*table)->memory, sizeof *(*table)->memory);
    }
    if ((*table)->fd >= 0) {
        close((*table)->fd);
    }
    free(*table);
    *table = NULL;
}

int
dns_table_fd(const struct dns_table *table)
{
    return table->fd;
}

/*
 * Where an answer is written: over its older one, else over one that is over or forgotten, else
 * over each of its places in turn. How long an answer may be kept is the word of strangers: it is
 * no reason to keep it before others.
 */
static size_t
choose(struct dns_table *table, uint64_t generation, uint64_t tag, int64_t now_ms)
{
    size_t const first = tag % (DNS_TABLE_ENTRIES / WAYS) * WAYS;
    size_t chosen = first + table->turn++ % WAYS;
    for (size_t i = first; i < first + WAYS; i++) {
        const struct entry *entry = &table->memory->entries[i];
        if (atomic_load(&entry->tag) == tag) {
            return i;
        }
        if (table->generations[i] != generation || atomic_load(&entry->expires_ms) <= now_ms) {
            chosen = i;
        }
    }
    return chosen;
}

bool
dns_table_put(struct dns_table *table, struct str name, uint16_t type,
              const struct dns_answer *answer, int64_t now_ms)
{
    uint64_t text[TEXT_WORDS] = {0}; /* no octets of the stack go out */
    if (table == NULL || answer->ttl == 0 || dns_outcome_is_temporary(answer->outcome)) {
        return false;
    }
    size_t const n = dns_table_entry_write((char *)text, TEXT_SIZE, name, type, answer);
    if (n == 0) {
        return false;
    }
    uint64_t const generation = atomic_load(&table->memory->generation);
    uint64_t const tag = hash_of(table->memory, generation, name, type);
    size_t const chosen = choose(table, generation, tag, now_ms);
    struct entry *entry = &table->memory->entries[chosen];
    table->generations[chosen] = generation;
    uint64_t const sequence = atomic_load(&entry->sequence);
    atomic_store_explicit(&entry->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&entry->tag, tag, memory_order_relaxed);
    atomic_store_explicit(&entry->expires_ms, now_ms + (int64_t)answer->ttl * 1000,
                          memory_order_relaxed);
    atomic_store_explicit(&entry->length, n, memory_order_relaxed);
    for (size_t i = 0; i * 8 < n; i++) {
        atomic_store_explicit(&entry->text[i], text[i], memory_order_relaxed);
    }
    atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
    return true;
}

void
dns_table_clear(struct dns_table *table)
{
    if (table != NULL) {
        atomic_fetch_add(&table->memory->generation, 1);
    }
}

/* ---- reading */

struct dns_view {
    pthread_rwlock_t lock; /* of `memory`: written to where it changes */
    const struct memory *memory;
    atomic_uint_fast64_t found;
};

struct dns_view *
dns_view_create(void)
{
    struct dns_view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        abort();
    }
    pthread_rwlock_init(&view->lock, NULL);
    return view;
}

static void
unmap(const struct memory *memory)
{
    if (memory != NULL) {
        munmap((void *)(uintptr_t)memory, sizeof *memory);
    }
}

void
dns_view_destroy(struct dns_view **view)
{
    if (*view != NULL) {
        unmap((*view)->memory);
        pthread_rwlock_destroy(&(*view)->lock);
        free(*view);
        *view = NULL;
    }
}

static enum status
map(int fd, const struct memory **memory_out)
{
    struct stat st;
    int const seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS) {
        return STATUS_DENIED;
    }
    if (fstat(fd, &st) != 0 || st.st_size != (off_t)sizeof(struct memory)) {
        return STATUS_SYNTAX;
    }
    void *at = mmap(NULL, sizeof(struct memory), PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) {
        return STATUS_IO;
    }
    *memory_out = at;
    return STATUS_OK;
}

enum status
dns_view_attach(struct dns_view *view, int fd)
{
    const struct memory *memory = NULL;
    enum status status = map(fd, &memory);
    if (fd >= 0) {
        close(fd);
    }
    if (status == STATUS_OK) {
        pthread_rwlock_wrlock(&view->lock);
        const struct memory *old = view->memory;
        view->memory = memory;
        pthread_rwlock_unlock(&view->lock);
        unmap(old);
    }
    return status;
}

/* What a reader sees of an entry. */
struct copy {
    int64_t expires_ms;
    size_t length;
    uint64_t text[TEXT_WORDS];
};

/* False when the entry has another tag, or was written meanwhile. */
static bool
copy_entry(const struct entry *entry, uint64_t tag, struct copy *copy)
{
    uint64_t const sequence = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    if (sequence % 2 != 0 || atomic_load_explicit(&entry->tag, memory_order_relaxed) != tag) {
        return false;
    }
    copy->expires_ms = atomic_load_explicit(&entry->expires_ms, memory_order_relaxed);
    copy->length = atomic_load_explicit(&entry->length, memory_order_relaxed);
    if (copy->length > TEXT_SIZE) {
        return false;
    }
    for (size_t i = 0; i * 8 < copy->length; i++) {
        copy->text[i] = atomic_load_explicit(&entry->text[i], memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->sequence, memory_order_relaxed) == sequence;
}

static enum status
find(const struct memory *memory, struct arena *arena, struct str name, uint16_t type,
     int64_t now_ms, struct dns_answer *answer_out)
{
    struct copy copy;
    uint64_t const tag = hash_of(memory, atomic_load(&memory->generation), name, type);
    const struct entry *ways = &memory->entries[tag % (DNS_TABLE_ENTRIES / WAYS) * WAYS];
    size_t i = 0;
    while (i < WAYS && !copy_entry(&ways[i], tag, &copy)) {
        i++;
    }
    if (i == WAYS || copy.expires_ms <= now_ms) {
        return STATUS_NOT_FOUND;
    }
    struct dns_answer answer;
    enum status status = dns_table_entry_read(str_make((const char *)copy.text, copy.length), arena,
                                              name, type, &answer);
    if (status == STATUS_OK) {
        int64_t const left_s = (copy.expires_ms - now_ms + 999) / 1000;
        answer.ttl = left_s < answer.ttl ? (uint32_t)left_s : answer.ttl;
        *answer_out = answer;
    }
    return status == STATUS_SYNTAX ? STATUS_NOT_FOUND : status;
}

enum status
dns_view_find(struct dns_view *view, struct arena *arena, struct str name, uint16_t type,
              int64_t now_ms, struct dns_answer *answer_out)
{
    if (view == NULL) {
        return STATUS_NOT_FOUND;
    }
    pthread_rwlock_rdlock(&view->lock);
    enum status status = view->memory != NULL
                             ? find(view->memory, arena, name, type, now_ms, answer_out)
                             : STATUS_NOT_FOUND;
    pthread_rwlock_unlock(&view->lock);
    if (status == STATUS_OK) {
        atomic_fetch_add_explicit(&view->found, 1, memory_order_relaxed);
    }
    return status;
}

uint64_t
dns_view_found(const struct dns_view *view)
{
    return view != NULL ? atomic_load_explicit(&view->found, memory_order_relaxed) : 0;
}

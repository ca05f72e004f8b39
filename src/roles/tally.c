#include "roles/tally.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"

#define MINUTE_US 60000000
/* Places that an entry can be at; beyond them the table counts as full. */
#define WINDOW    32u
/* How often an entry is looked for when others change the table meanwhile. */
#define TRIES     16
/* Tags below are no entries: 0 is an empty place, 1 + process one that is being made. */
#define TAG_FIRST (TALLY_PROCESSES_MAX + 1u)
#define TAG_EMPTY 0u

struct tally_entry {
    _Atomic uint64_t tag;
    _Atomic uint32_t open;
    uint32_t unused;
    /* When each rate is back at rest ("theoretical arrival time"), microseconds. */
    _Atomic int64_t rests[TALLY_RATES];
    _Atomic uint32_t columns[]; /* of `open`, by process */
};

/* At the beginning of the memory. */
struct head {
    uint64_t secret[4];
    _Atomic uint32_t open;
    _Atomic uint32_t used;
    _Atomic uint32_t columns[TALLY_PROCESSES_MAX]; /* of `open` */
    _Atomic uint32_t lives[TALLY_PROCESSES_MAX];   /* how often the process was started */
};

/* Entries begin at a cache line. */
#define HEAD_SIZE ((sizeof(struct head) + 63) / 64 * 64)

struct tally {
    struct head *head;
    char *entries;
    size_t size; /* of the mapping */
    size_t stride;
    uint32_t count; /* of entries, a power of two */
    uint32_t process;
};

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
               "only atomics without locks work between processes");

static size_t
stride_for(uint32_t processes)
{
    size_t size = sizeof(struct tally_entry) + processes * sizeof(uint32_t);
    return (size + 7) / 8 * 8;
}

enum status
tally_create(uint32_t entries, uint32_t processes, int *fd_out)
{
    uint32_t count = TALLY_ENTRIES_MIN;
    while (count < entries && count < TALLY_ENTRIES_MAX) {
        count *= 2;
    }
    size_t const size = HEAD_SIZE + count * stride_for(processes);
    int fd = memfd_create("clients", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return STATUS_IO;
    }
    struct head head = {.open = 0};
    random_bytes(head.secret, sizeof head.secret);
    /* Nobody can make it smaller, which would kill whoever reads behind its end. */
    if (ftruncate(fd, (off_t)size) != 0 ||
        pwrite(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        close(fd);
        return STATUS_IO;
    }
    *fd_out = fd;
    return STATUS_OK;
}

static struct tally_entry *
entry_at(const struct tally *tally, uint64_t index)
{
    char *at = tally->entries + (index & (tally->count - 1)) * tally->stride;
    return (struct tally_entry *)(void *)at;
}

/* Takes `n` off, but never below zero: a number of a broken process must not make a huge one. */
static void
take_off(_Atomic uint32_t *count, uint32_t n)
{
    uint32_t now = atomic_load(count);
    while (!atomic_compare_exchange_weak(count, &now, now > n ? now - n : 0)) {
    }
}

/* What a predecessor that was killed has left open, or half made. */
static void
forget_predecessor(struct tally *tally)
{
    uint32_t const p = tally->process;
    take_off(&tally->head->open, atomic_exchange(&tally->head->columns[p], 0));
    for (uint32_t i = 0; i < tally->count; i++) {
        struct tally_entry *entry = entry_at(tally, i);
        uint64_t making = 1 + p;
        uint32_t left = atomic_exchange(&entry->columns[p], 0);
        if (left > 0) {
            take_off(&entry->open, left);
        }
        atomic_compare_exchange_strong(&entry->tag, &making, TAG_EMPTY);
    }
}

/* The number of entries that a memory of this size has; 0: it is none. */
static uint32_t
count_in(off_t size, size_t stride)
{
    if (size < (off_t)(HEAD_SIZE + stride)) {
        return 0;
    }
    size_t room = (size_t)size - HEAD_SIZE;
    size_t count = room / stride;
    bool fits = room % stride == 0 && (count & (count - 1)) == 0 && count <= TALLY_ENTRIES_MAX;
    return fits ? (uint32_t)count : 0;
}

struct tally *
tally_open(int fd, uint32_t processes, uint32_t process)
{
    struct stat st;
    struct tally *tally = calloc(1, sizeof *tally);
    bool known = tally != NULL && processes <= TALLY_PROCESSES_MAX && process < processes &&
                 fstat(fd, &st) == 0;
    if (known) {
        tally->stride = stride_for(processes);
        tally->count = count_in(st.st_size, tally->stride);
        tally->process = process;
    }
    void *memory = MAP_FAILED;
    if (known && tally->count > 0) {
        tally->size = (size_t)st.st_size;
        memory = mmap(NULL, tally->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    close(fd);
    if (memory == MAP_FAILED) {
        free(tally);
        return NULL;
    }
    tally->head = memory;
    tally->entries = (char *)memory + HEAD_SIZE;
    if (atomic_fetch_add(&tally->head->lives[process], 1) > 0) {
        forget_predecessor(tally); /* not at first: it would bring all of the table into memory */
    }
    return tally;
}

void
tally_close(struct tally **tally)
{
    if (*tally != NULL) {
        munmap((*tally)->head, (*tally)->size);
        free(*tally);
        *tally = NULL;
    }
}

/* ---- finding and making entries */

/* Universal while the secret is one: the two halves are mixed by one wide multiplication. */
static uint64_t
mix(const struct ip_network *key, const uint64_t secret[2])
{
    uint64_t half[2];
    memcpy(half, key->base.octets, sizeof half);
    unsigned __int128 product =
        (unsigned __int128)(half[0] ^ secret[0]) * (half[1] ^ secret[1] ^ key->prefix);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static bool
is_at_rest(const struct tally_entry *entry, int64_t now_us)
{
    return atomic_load(&entry->rests[TALLY_CONNECTIONS]) <= now_us &&
           atomic_load(&entry->rests[TALLY_MESSAGES]) <= now_us;
}

static struct tally_entry *
find(const struct tally *tally, uint64_t start, uint64_t tag)
{
    for (uint64_t i = 0; i < WINDOW; i++) {
        struct tally_entry *entry = entry_at(tally, start + i);
        if (atomic_load(&entry->tag) == tag) {
            return entry;
        }
    }
    return NULL;
}

/* How willingly a place is given up: 3 empty, 2 at rest, 1 idle, 0 not at all. */
static int
rank_of(const struct tally_entry *entry, int64_t now_us)
{
    uint64_t tag = atomic_load(&entry->tag);
    if (tag == TAG_EMPTY) {
        return 3;
    }
    if (tag < TAG_FIRST || atomic_load(&entry->open) > 0) {
        return 0;
    }
    return is_at_rest(entry, now_us) ? 2 : 1;
}

static struct tally_entry *
find_place(const struct tally *tally, uint64_t start, int64_t now_us)
{
    struct tally_entry *best = NULL;
    int best_rank = 0;
    for (uint64_t i = 0; i < WINDOW && best_rank < 3; i++) {
        struct tally_entry *entry = entry_at(tally, start + i);
        int rank = rank_of(entry, now_us);
        if (rank > best_rank) {
            best = entry;
            best_rank = rank;
        }
    }
    return best;
}

/*
 * Makes an entry at that place; false when somebody else was quicker. The tag is taken first, then
 * `open` is looked at; who enters an entry raises `open` first, then looks at the tag. So one of
 * the two sees the other.
 */
static bool
make(struct tally *tally, struct tally_entry *entry, uint64_t start, uint64_t tag)
{
    uint64_t old = atomic_load(&entry->tag);
    if ((old != TAG_EMPTY && old < TAG_FIRST) ||
        !atomic_compare_exchange_strong(&entry->tag, &old, 1 + (uint64_t)tally->process)) {
        return false;
    }
    if (atomic_load(&entry->open) > 0 || find(tally, start, tag) != NULL) {
        atomic_store(&entry->tag, old);
        return false;
    }
    for (size_t i = 0; i < TALLY_RATES; i++) {
        atomic_store(&entry->rests[i], 0);
    }
    if (old == TAG_EMPTY) {
        atomic_fetch_add(&tally->head->used, 1);
    }
    atomic_store(&entry->tag, tag);
    return true;
}

/* ---- open connections */

/* One more in *count unless there are `limit`; this process's column is counted first. */
static bool
count_up(_Atomic uint32_t *count, _Atomic uint32_t *column, uint32_t limit)
{
    atomic_fetch_add(column, 1);
    uint32_t now = atomic_load(count);
    do {
        if (now >= limit) {
            take_off(column, 1);
            return false;
        }
    } while (!atomic_compare_exchange_weak(count, &now, now + 1));
    return true;
}

static void
count_down(_Atomic uint32_t *count, _Atomic uint32_t *column)
{
    take_off(count, 1);
    take_off(column, 1);
}

enum tally_result
tally_enter(struct tally *tally, const struct ip_network *key, uint32_t limit, int64_t now_us,
            struct tally_entry **entry_out)
{
    uint64_t const start = mix(key, tally->head->secret);
    uint64_t const mixed = mix(key, tally->head->secret + 2);
    uint64_t const tag = mixed < TAG_FIRST ? mixed + TAG_FIRST : mixed;
    for (int i = 0; i < TRIES; i++) {
        struct tally_entry *entry = find(tally, start, tag);
        if (entry == NULL) {
            entry = find_place(tally, start, now_us);
            if (entry == NULL) {
                return TALLY_FULL;
            }
            if (!make(tally, entry, start, tag)) {
                continue;
            }
        }
        if (!count_up(&entry->open, &entry->columns[tally->process], limit)) {
            return TALLY_LIMIT;
        }
        if (atomic_load(&entry->tag) == tag) {
            *entry_out = entry;
            return TALLY_OK;
        }
        tally_leave(tally, entry); /* it was given to another network meanwhile */
    }
    return TALLY_FULL;
}

void
tally_leave(struct tally *tally, struct tally_entry *entry)
{
    count_down(&entry->open, &entry->columns[tally->process]);
}

bool
tally_total_enter(struct tally *tally, uint32_t limit)
{
    return count_up(&tally->head->open, &tally->head->columns[tally->process], limit);
}

void
tally_total_leave(struct tally *tally)
{
    count_down(&tally->head->open, &tally->head->columns[tally->process]);
}

uint32_t
tally_total(const struct tally *tally)
{
    return atomic_load(&tally->head->open);
}

uint32_t
tally_entries(const struct tally *tally)
{
    return atomic_load(&tally->head->used);
}

/* ---- rates */

bool
tally_rate_take(struct tally_entry *entry, enum tally_rate rate, uint32_t per_minute,
                int64_t now_us)
{
    if (per_minute == 0) {
        return true;
    }
    int64_t const step = MINUTE_US / per_minute;
    int64_t rest = atomic_load(&entry->rests[rate]);
    int64_t next;
    do {
        int64_t from = rest > now_us ? rest : now_us;
        /* Farther than a minute ahead is nothing that was ever counted. */
        if (from > now_us + MINUTE_US) {
            from = now_us + MINUTE_US;
        }
        next = from + step;
        if (next - now_us > MINUTE_US) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&entry->rests[rate], &rest, next));
    return true;
}

void
tally_rate_return(struct tally_entry *entry, enum tally_rate rate, uint32_t per_minute)
{
    if (per_minute > 0) {
        atomic_fetch_sub(&entry->rests[rate], MINUTE_US / per_minute);
    }
}

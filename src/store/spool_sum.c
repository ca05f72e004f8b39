#include "store/spool_sum.h"

static uint64_t
load_word(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

#define LANES      4u
#define LANES_SIZE (LANES * sizeof(uint64_t))

static uint64_t
mix(uint64_t lane, uint64_t word)
{
    uint64_t mixed = (lane ^ word) * 0x9e3779b97f4a7c15u;
    return mixed << 29 | mixed >> 35;
}

uint64_t
spool_sum_add(uint64_t sum, struct str octets)
{
    uint64_t lanes[LANES] = {sum, sum + 1, sum + 2, sum + 3};
    char last[LANES_SIZE] = {0};
    const char *p = octets.p;
    size_t left = octets.n;
    for (; left >= LANES_SIZE; left -= LANES_SIZE, p += LANES_SIZE) {
        lanes[0] = mix(lanes[0], load_word(p));
        lanes[1] = mix(lanes[1], load_word(p + 8));
        lanes[2] = mix(lanes[2], load_word(p + 16));
        lanes[3] = mix(lanes[3], load_word(p + 24));
    }
    if (left > 0) {
        memcpy(last, p, left);
    }
    sum = octets.n;
    for (unsigned k = 0; k < LANES; k++) {
        sum = mix(sum, mix(lanes[k], load_word(last + k * sizeof(uint64_t))));
        sum ^= sum >> 32;
    }
    return sum;
}

/* 0 stands for "there is none". */
static uint64_t
never_zero(uint64_t sum)
{
    return sum != 0 ? sum : 1;
}

static uint64_t
add_numbers(uint64_t sum, const uint64_t *numbers, size_t count)
{
    return spool_sum_add(sum, str_make((const char *)numbers, count * sizeof *numbers));
}

uint64_t
spool_sum(struct str octets)
{
    return never_zero(spool_sum_add(1, octets));
}

uint64_t
spool_sum_message(const struct spool_message *m)
{
    const uint64_t numbers[] = {m->ret, m->flags, m->size, m->total, m->in_file};
    uint64_t sum = add_numbers(1, numbers, sizeof numbers / sizeof numbers[0]);
    return never_zero(spool_sum_add(spool_sum_add(spool_sum_add(sum, m->id), m->sender), m->envid));
}

uint64_t
spool_sum_recipient(int64_t key, const struct spool_recipient *r)
{
    const uint64_t numbers[] = {(uint64_t)key, r->number, r->notify, r->rerouted};
    uint64_t sum = add_numbers(1, numbers, sizeof numbers / sizeof numbers[0]);
    sum = spool_sum_add(spool_sum_add(sum, r->address), r->original);
    return never_zero(spool_sum_add(spool_sum_add(sum, r->orcpt), r->destination));
}

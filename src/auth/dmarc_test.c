#include "auth/dmarc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dns/source_zone.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define ARENA_SIZE  (1u << 20)

/* Results of an underlying check, "domain", "domain?" for a temporary error, "domain-" for a fail;
 * blanks between. */
static size_t
identifiers_of(struct str text, struct dmarc_identifier *out)
{
    size_t count = 0;
    bool more = text.n > 0;
    while (more) {
        struct str word;
        more = str_cut(text, ' ', &word, &text);
        char last = word.p[word.n - 1];
        out[count++] = (struct dmarc_identifier){
            .domain = last == '?' || last == '-' ? str_head(word, word.n - 1) : word,
            .evidence = last == '?'   ? DMARC_EVIDENCE_TEMPERROR
                        : last == '-' ? DMARC_EVIDENCE_OTHER
                                      : DMARC_EVIDENCE_PASS,
        };
    }
    return count;
}

struct world {
    struct arena *arena;
    struct dns_zone *zone;
    struct dmarc_outcome outcome;
};

/* The zone's records are given as "name=text|name=text"; "!" as text: SERVFAIL, "-": an A record.
 */
static struct dns_zone *
zone_of(struct arena *arena, struct str text)
{
    struct dns_zone *zone;
    struct str error;
    struct str json = STR("{");
    struct str last = STR("");
    bool more = text.n > 0;
    while (more) {
        struct str item;
        struct str name;
        struct str value;
        more = str_cut(text, '|', &item, &text);
        assert_true(str_cut(item, '=', &name, &value));
        bool again = str_eq(name, last);
        struct str record =
            str_eq(value, STR("!")) ? STR("{\"type\": \"SERVFAIL\"}")
            : str_eq(value, STR("-"))
                ? STR("{\"type\": \"A\", \"value\": \"192.0.2.1\"}")
                : arena_printf(arena, "{\"type\": \"TXT\", \"value\": \"%.*s\"}", STR_ARG(value));
        json = again ? arena_printf(arena, "%.*s, %.*s", STR_ARG(str_head(json, json.n - 1)),
                                    STR_ARG(record))
                     : arena_printf(arena, "%.*s%s\"%.*s\": [%.*s", STR_ARG(json),
                                    json.n > 1 ? ", " : "", STR_ARG(name), STR_ARG(record));
        json = arena_printf(arena, "%.*s]", STR_ARG(json));
        last = name;
    }
    json = arena_printf(arena, "%.*s}", STR_ARG(json));
    if (dns_zone_create(arena, json, DNS_SECURITY_INSECURE, &zone, &error) != STATUS_OK) {
        fail_msg("zone %.*s: %.*s", STR_ARG(json), STR_ARG(error));
    }
    return zone;
}

static struct world
evaluate(const char *zone, const char *from, const char *spf, const char *dkim)
{
    struct dmarc_identifier spf_list[8];
    struct dmarc_identifier dkim_list[8];
    struct world world = {.arena = arena_create(ARENA_SIZE)};
    world.zone = zone_of(world.arena, str_from_cstr(zone));
    struct dns_source dns = dns_source_from_zone(world.zone);
    struct dmarc_input input = {.author_domain = str_from_cstr(from),
                                .spf = spf_list,
                                .spf_count = identifiers_of(str_from_cstr(spf), spf_list),
                                .dkim = dkim_list,
                                .dkim_count = identifiers_of(str_from_cstr(dkim), dkim_list)};
    assert_int_equal(dmarc_evaluate(world.arena, &dns, &input, &world.outcome), STATUS_OK);
    return world;
}

static void
world_close(struct world *world)
{
    dns_zone_destroy(&world->zone);
    arena_destroy(&world->arena);
}

/* "result record_domain tag=policy>effective dkim=d spf=d", without what is absent. */
static const char *
outcome_text(struct world *world)
{
    const struct dmarc_outcome *o = &world->outcome;
    struct str text = arena_printf(world->arena, "%s", dmarc_result_name(o->result));
    if (o->record != NULL) {
        text =
            arena_printf(world->arena, "%.*s %.*s %s=%s", STR_ARG(text), STR_ARG(o->record_domain),
                         dmarc_policy_tag_name(o->policy_tag), dmarc_policy_name(o->policy));
        if (o->effective != o->policy) {
            text = arena_printf(world->arena, "%.*s>%s", STR_ARG(text),
                                dmarc_policy_name(o->effective));
        }
    }
    if (o->dkim_aligned.n > 0) {
        text =
            arena_printf(world->arena, "%.*s dkim=%.*s", STR_ARG(text), STR_ARG(o->dkim_aligned));
    }
    if (o->spf_aligned.n > 0) {
        text = arena_printf(world->arena, "%.*s spf=%.*s", STR_ARG(text), STR_ARG(o->spf_aligned));
    }
    return text.p;
}

#define REJECT "v=DMARC1; p=reject"

static const struct {
    const char *zone;
    const char *from;
    const char *spf;
    const char *dkim;
    const char *want;
} cases[] = {
    /* results */
    {"", "a.example", "a.example", "a.example", "none"},
    {"_dmarc.a.example=" REJECT, "a.example", "a.example", "",
     "pass a.example p=reject spf=a.example"},
    {"_dmarc.a.example=" REJECT, "A.Example", "", "a.EXAMPLE",
     "pass a.example p=reject dkim=a.example"},
    {"_dmarc.a.example=" REJECT, "a.example", "b.example", "b.example c.test",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "a.example", "a.example-", "a.example-",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "", "a.example", "", "permerror"},
    {"_dmarc.a.example=" REJECT, "a..example", "a.example", "", "permerror"},
    {"_dmarc.a.example=" REJECT, "[192.0.2.1]", "a.example", "", "permerror"},
    /* RFC 9989 5.3.1: A-labels are compared */
    {"_dmarc.xn--bcher-kva.example=" REJECT,
     "b\xc3\xbc"
     "cher.example",
     "",
     "B\xc3\x9c"
     "CHER.example",
     "pass xn--bcher-kva.example p=reject dkim=xn--bcher-kva.example"},
    /* 4.10: which records count */
    {"_dmarc.a.example=other|_dmarc.a.example=" REJECT, "a.example", "", "",
     "fail a.example p=reject"},
    {"_dmarc.a.example=v=DMARC1; p=none|_dmarc.a.example=" REJECT, "a.example", "", "", "none"},
    {"_dmarc.a.example=v=DMARC1; p=none|_dmarc.a.example=" REJECT "|_dmarc.example=" REJECT,
     "a.example", "", "", "fail example p=reject"},
    {"_dmarc.a.example=v=DMARC1; p=none; p=none|_dmarc.example=" REJECT, "a.example", "", "",
     "fail example p=reject"},
    {"_dmarc.a.example=v=DMARC1; adkim=s|_dmarc.example=" REJECT, "a.example", "", "",
     "none a.example p=none"},
    {"_dmarc.a.example=v=DMARC1; rua=mailto:x@y.example", "a.example", "", "",
     "fail a.example p=none"},
    /* 4.10.1: discovery */
    {"_dmarc.a.example=" REJECT "; sp=none", "x.y.a.example", "", "", "fail a.example sp=none"},
    {"_dmarc.a.example=" REJECT, "x.y.a.example", "", "", "fail a.example p=reject"},
    {"_dmarc.y.a.example=v=DMARC1; p=none|_dmarc.a.example=" REJECT, "x.y.a.example", "", "",
     "fail a.example p=reject"},
    {"_dmarc.y.a.example=v=DMARC1; p=none; psd=n|_dmarc.a.example=" REJECT, "x.y.a.example", "", "",
     "fail y.a.example p=none"},
    {"_dmarc.bank=" REJECT "; psd=y; sp=quarantine", "x.giant.bank", "", "",
     "fail bank sp=quarantine"},
    {"_dmarc.bank=" REJECT "; psd=y|_dmarc.giant.bank=v=DMARC1; p=none", "x.giant.bank", "", "",
     "fail giant.bank p=none"},
    {"_dmarc.bank=" REJECT "; psd=y|_dmarc.x.giant.bank=v=DMARC1; p=none", "y.x.giant.bank", "", "",
     "fail bank p=reject"},
    {"_dmarc.bank=" REJECT "; psd=y", "bank", "", "x.bank", "fail bank p=reject"},
    {"_dmarc.a=" REJECT, "k.j.i.h.g.f.e.d.c.b.a", "", "", "fail a p=reject"},
    {"_dmarc.h.g.f.e.d.c.b.a=v=DMARC1; p=none; psd=n|_dmarc.a=" REJECT, "k.j.i.h.g.f.e.d.c.b.a", "",
     "", "fail a p=reject"},
    {"_dmarc.g.f.e.d.c.b.a=v=DMARC1; p=none; psd=n|_dmarc.a=" REJECT, "k.j.i.h.g.f.e.d.c.b.a", "",
     "", "fail g.f.e.d.c.b.a p=none"},
    {"_dmarc.k.j.i.h.g.f.e.d.c.b.a=v=DMARC1; p=none|_dmarc.a=" REJECT, "k.j.i.h.g.f.e.d.c.b.a", "",
     "", "fail k.j.i.h.g.f.e.d.c.b.a p=none"},
    /* np: only where the name does not exist */
    {"_dmarc.a.example=" REJECT "; np=none", "ghost.a.example", "", "", "fail a.example np=none"},
    {"_dmarc.a.example=" REJECT "; np=none; sp=quarantine|x.a.example=-", "x.a.example", "", "",
     "fail a.example sp=quarantine"},
    {"_dmarc.a.example=" REJECT "; np=none|x.a.example=text", "x.a.example", "", "",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; np=none|_dmarc.x.a.example=text", "x.a.example", "", "",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; np=none", "a.example", "", "", "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; sp=none", "ghost.a.example", "", "", "fail a.example sp=none"},
    {"_dmarc.a.example=" REJECT "; np=none|x.a.example=!", "x.a.example", "", "",
     "temperror a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; np=none|x.a.example=!", "x.a.example", "x.a.example", "",
     "pass a.example p=reject spf=x.a.example"},
    /* t */
    {"_dmarc.a.example=" REJECT "; t=y", "a.example", "", "", "fail a.example p=reject>quarantine"},
    {"_dmarc.a.example=v=DMARC1; p=none; sp=quarantine; t=y", "x.a.example", "", "",
     "fail a.example sp=quarantine>none"},
    {"_dmarc.a.example=v=DMARC1; p=none; t=y", "a.example", "", "", "fail a.example p=none"},
    /* alignment */
    {"_dmarc.a.example=" REJECT, "a.example", "x.a.example", "y.z.a.example",
     "pass a.example p=reject dkim=y.z.a.example spf=x.a.example"},
    {"_dmarc.a.example=" REJECT, "x.a.example", "", "a.example",
     "pass a.example p=reject dkim=a.example"},
    {"_dmarc.a.example=" REJECT "; adkim=s; aspf=s", "x.a.example", "a.example", "y.a.example",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; adkim=s", "a.example", "x.a.example", "x.a.example",
     "pass a.example p=reject spf=x.a.example"},
    {"_dmarc.a.example=" REJECT "; aspf=s", "a.example", "x.a.example", "x.a.example a.example",
     "pass a.example p=reject dkim=a.example"},
    {"_dmarc.a.example=" REJECT "|_dmarc.y.a.example=" REJECT "; psd=n", "a.example", "",
     "x.y.a.example", "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "|_dmarc.y.a.example=" REJECT "; psd=n", "x.y.a.example", "",
     "a.example z.y.a.example", "pass y.a.example p=reject dkim=z.y.a.example"},
    {"_dmarc.bank.example=" REJECT "; psd=y|_dmarc.giant.bank.example=v=DMARC1; p=quarantine",
     "giant.bank.example", "mail.giant.bank.example", "mail.mega.bank.example",
     "pass giant.bank.example p=quarantine spf=mail.giant.bank.example"},
    /* a label that merely ends alike */
    {"_dmarc.a.example=" REJECT, "a.example", "", "ba.example", "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "a.example", "", "example", "fail a.example p=reject"},
    /* names that are none (espoofer) */
    {"_dmarc.a.example=" REJECT, "a.example",
     "a.example'x.attack.example a.example(.attack.example", "a.example\\000.attack.example",
     "fail a.example p=reject"},
    /* the DNS fails */
    {"_dmarc.a.example=!", "a.example", "a.example", "", "temperror"},
    {"_dmarc.example=!", "a.example", "a.example", "", "temperror"},
    {"_dmarc.a.example=" REJECT "|_dmarc.example=!", "a.example", "a.example", "",
     "pass a.example p=reject spf=a.example"},
    {"_dmarc.a.example=" REJECT "|_dmarc.example=!", "a.example", "b.test", "b.test",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "|_dmarc.example=!", "a.example", "", "x.a.example",
     "temperror a.example p=reject"},
    {"_dmarc.a.example=" REJECT "|_dmarc.x.a.example=!", "a.example", "", "x.a.example b.example",
     "temperror a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "a.example", "x.a.example?", "", "temperror a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "a.example", "b.test?", "c.test?", "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT "; aspf=s", "a.example", "x.a.example?", "",
     "fail a.example p=reject"},
    {"_dmarc.a.example=" REJECT, "a.example", "a.example?", "a.example",
     "pass a.example p=reject dkim=a.example"},
};

static void
test_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world = evaluate(cases[i].zone, cases[i].from, cases[i].spf, cases[i].dkim);
        const char *got = outcome_text(&world);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("case %zu (%s; %s): got \"%s\", want \"%s\"", i, cases[i].zone, cases[i].from,
                     got, cases[i].want);
        }
        world_close(&world);
    }
}

/* The names asked for, blanks between. */
static void
test_queries(void **state)
{
    static const struct {
        const char *zone;
        const char *from;
        const char *dkim;
        const char *want;
    } rows[] = {
        {"_dmarc.a.example=" REJECT, "a.example", "", "_dmarc.a.example"},
        {"_dmarc.a.example=" REJECT, "a.example", "a.example", "_dmarc.a.example"},
        {"_dmarc.a.example=" REJECT, "a.example", "b.test", "_dmarc.a.example"},
        {"_dmarc.a.example=" REJECT, "a.example", "b.example", "_dmarc.a.example _dmarc.example"},
        {"_dmarc.a.example=" REJECT "; adkim=s", "a.example", "x.a.example", "_dmarc.a.example"},
        {"_dmarc.a.example=" REJECT, "a.example", "x.a.example",
         "_dmarc.a.example _dmarc.example _dmarc.x.a.example"},
        {"_dmarc.a.example=" REJECT "; np=none", "g.a.example", "",
         "_dmarc.g.a.example _dmarc.a.example _dmarc.example g.a.example"},
        {"", "h.g.f.e.d.c.b.a", "",
         "_dmarc.h.g.f.e.d.c.b.a _dmarc.g.f.e.d.c.b.a _dmarc.f.e.d.c.b.a _dmarc.e.d.c.b.a "
         "_dmarc.d.c.b.a _dmarc.c.b.a _dmarc.b.a _dmarc.a"},
        {"", "i.h.g.f.e.d.c.b.a", "",
         "_dmarc.i.h.g.f.e.d.c.b.a _dmarc.g.f.e.d.c.b.a _dmarc.f.e.d.c.b.a _dmarc.e.d.c.b.a "
         "_dmarc.d.c.b.a _dmarc.c.b.a _dmarc.b.a _dmarc.a"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world world = evaluate(rows[i].zone, rows[i].from, "", rows[i].dkim);
        struct str got = STR("");
        for (size_t k = 0; k < world.outcome.queried_count; k++) {
            got = arena_printf(world.arena, "%.*s%s%.*s", STR_ARG(got), k > 0 ? " " : "",
                               STR_ARG(world.outcome.queried[k]));
        }
        if (!str_eq(got, str_from_cstr(rows[i].want))) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(got));
        }
        assert_int_equal(dns_zone_questions(world.zone), world.outcome.queried_count);
        world_close(&world);
    }
}

static void
test_problems(void **state)
{
    static const struct {
        const char *zone;
        const char *from;
        const char *want;
    } rows[] = {
        {"", "a.example", ""},
        {"", "", "there is no usable author domain: "},
        {"_dmarc.a.example=" REJECT "|_dmarc.a.example=" REJECT, "a.example",
         "several DMARC records, so that none of them counts: a.example"},
        {"_dmarc.a.example=" REJECT "; p=none", "a.example",
         "a tag occurs twice in the DMARC record, so that it does not count: a.example"},
        {"_dmarc.a.example=v=DMARC1", "a.example",
         "the DMARC record has no policy that can be read: a.example"},
        {"_dmarc.example=!", "a.example", "the DNS does not tell the policy: a.example"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct world world = evaluate(rows[i].zone, rows[i].from, "", "");
        if (!str_eq(world.outcome.problem, str_from_cstr(rows[i].want))) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(world.outcome.problem));
        }
        world_close(&world);
    }
}

/* Many signers of the author's own tree: bounded, and said so. */
static void
test_query_limit(void **state)
{
    struct arena *arena = arena_create(ARENA_SIZE);
    struct dns_zone *zone = zone_of(arena, STR("_dmarc.a.example=" REJECT));
    struct dns_source dns = dns_source_from_zone(zone);
    struct dmarc_identifier dkim[DMARC_IDENTIFIERS_MAX + 1];
    struct dmarc_outcome outcome;
    (void)state;
    /* Each has an organizational domain of its own, so that all of them are walked. */
    for (size_t i = 0; i < COUNT_OF(dkim); i++) {
        dkim[i].domain = arena_printf(arena, "h%zu.y.x.w.v.u.b.example", i);
        dkim[i].evidence = DMARC_EVIDENCE_PASS;
    }
    dkim[DMARC_IDENTIFIERS_MAX].domain = STR("a.example");
    struct dmarc_input input = {
        .author_domain = STR("a.example"), .dkim = dkim, .dkim_count = COUNT_OF(dkim)};
    assert_int_equal(dmarc_evaluate(arena, &dns, &input, &outcome), STATUS_OK);
    assert_int_equal(outcome.result, DMARC_RESULT_FAIL);
    assert_int_equal(outcome.queried_count, 2);
    assert_true(str_eq(outcome.problem, STR("more signatures than are looked at: a.example")));
    input.dkim_count = DMARC_IDENTIFIERS_MAX;
    for (size_t i = 0; i < input.dkim_count; i++) {
        dkim[i].domain = arena_printf(arena, "h%zu.a.example", i);
        dkim[i].evidence = i + 1 < input.dkim_count ? DMARC_EVIDENCE_TEMPERROR : dkim[i].evidence;
    }
    assert_int_equal(dmarc_evaluate(arena, &dns, &input, &outcome), STATUS_OK);
    assert_int_equal(outcome.queried_count, DMARC_QUERIES_MAX);
    assert_int_equal(outcome.result, DMARC_RESULT_TEMPERROR);
    assert_true(str_starts_with(outcome.problem, STR("the DNS did not answer")));
    dns_zone_destroy(&zone);
    arena_destroy(&arena);
}

static void
test_organizational_domain_on_request(void **state)
{
    struct arena *arena = arena_create(ARENA_SIZE);
    struct dns_zone *zone =
        zone_of(arena, STR("_dmarc.x.a.example=" REJECT "|_dmarc.a.example=" REJECT));
    struct dns_source dns = dns_source_from_zone(zone);
    struct dmarc_input input = {.author_domain = STR("x.a.example")};
    struct dmarc_outcome outcome;
    (void)state;
    assert_int_equal(dmarc_evaluate(arena, &dns, &input, &outcome), STATUS_OK);
    assert_int_equal(outcome.organizational_domain.n, 0);
    input.wants_organizational_domain = true;
    assert_int_equal(dmarc_evaluate(arena, &dns, &input, &outcome), STATUS_OK);
    assert_true(str_eq(outcome.organizational_domain, STR("a.example")));
    assert_true(str_eq(outcome.record_domain, STR("x.a.example")));
    struct arena *small = arena_create(256);
    outcome.queried_count = 4711;
    assert_int_equal(dmarc_evaluate(small, &dns, &input, &outcome), STATUS_LIMIT);
    assert_int_equal(outcome.queried_count, 4711);
    arena_destroy(&small);
    dns_zone_destroy(&zone);
    arena_destroy(&arena);
}

/* A parent that passed without a record is told; what a record would not mend is not. */
static void
test_unaligned_parent(void **state)
{
    static const struct {
        const char *zone;
        const char *spf;
        const char *dkim;
        const char *want;
    } parents[] = {
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "", "b.example", "b.example"},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "B.example", "", "b.example"},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "b.example", "other.example b.example",
         "b.example"},
        {"_dmarc.b.example=v=DMARC1; p=reject", "", "b.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject|_dmarc.b.example=v=DMARC1; p=none", "", "b.example",
         ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject; adkim=s", "", "b.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject; aspf=s", "b.example", "", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject; psd=n", "", "b.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "b.example-", "b.example-", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "", "c.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "", "c.b.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "", "example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "a.b.example", "b.example", ""},
        {"_dmarc.a.b.example=v=DMARC1; p=reject", "b.example?", "b.example", "b.example"},
        {"_dmarc.a.b.example=v=DMARC1; p=reject|_dmarc.b.example=!", "", "b.example", ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(parents); i++) {
        struct world world =
            evaluate(parents[i].zone, "a.b.example", parents[i].spf, parents[i].dkim);
        if (!str_eq(world.outcome.unaligned_parent, str_from_cstr(parents[i].want))) {
            fail_msg("case %zu: got \"%.*s\"", i, STR_ARG(world.outcome.unaligned_parent));
        }
        world_close(&world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unaligned_parent),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_query_limit),
        cmocka_unit_test(test_organizational_domain_on_request),
    };
    return cmocka_run_group_tests_name("auth dmarc", tests, NULL, NULL);
}

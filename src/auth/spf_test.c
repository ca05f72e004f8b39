#include "auth/spf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "auth/test_zone.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct test_record records[] = {
    {"plain.example", "TXT", "v=spf1 ip4:192.0.2.0/25 ~all"},
    {"six.example", "TXT", "v=spf1 ip6:::ffff:192.0.2.9 ip6:2001:db8::/33 ip6:::/0 -all"},
    {"empty.example", "TXT", "v=spf1"},
    {"other.example", "TXT", "v=spf10 -all"},
    {"zz.example", "", ""},
    {"broken.example", "TXT", "v=spf1 +all moo"},
    {"xn--caf-dma.example", "TXT", "v=spf1 a:%{o} -all"},
    {"eai.example", "TXT", "v=spf1 exists:%{l}.example exp=why.example -all"},
    {"why.example", "TXT", "%{s} from %{c} at %{t}, %{r}"},
    {"noexp.example", "TXT", "v=spf1 -all exp=two.example"},
    {"two.example", "TXT", "a"},
    {"two.example", "TXT", "b"},
    {"split.example", "TXT", "v=sp|f1 -|all"},
    {"split.example", "TXT", "something else"},
    {"several.example", "TXT", "v=spf1 -all"},
    {"several.example", "TXT", "V=SPF1 +all"},
    {"alias.example", "CNAME", "plain.example"},
    {"late.example", "TIMEOUT", ""},
    {"sick.example", "SERVFAIL", ""},
    {"waits.example", "TXT", "v=spf1 a:late.example ip4:192.0.2.1 -all"},
    {"first.example", "TXT", "v=spf1 ip4:192.0.2.1 a:late.example -all"},
    {"h.example", "A", "192.0.2.200"},
    {"dead.example", "CNAME", "nothing.example"},
    {"mail.example", "TXT", "v=spf1 ip4:192.0.2.1 -all"},
    {"dual.example", "TXT", "v=spf1 a/24//64 -all"},
    {"dual.example", "A", "192.0.2.7"},
    {"dual.example", "AAAA", "2001:db8:0:1::7"},
    {"badname.example", "TXT", "v=spf1 a:x..example include:%{h} ~all"},
    {"expnames.example", "TXT", "v=spf1 -all exp=names-%{d}"},
    {"names-expnames.example", "TXT", "%{p} ~"},
    /* include and redirect */
    {"incnone.example", "TXT", "v=spf1 include:other.example +all"},
    {"incfail.example", "TXT", "v=spf1 include:neutral.example ?all"},
    {"incpass.example", "TXT", "v=spf1 -include:plain.example ?all"},
    {"inclate.example", "TXT", "v=spf1 include:sick.example +all"},
    {"neutral.example", "TXT", "v=spf1 -ip4:192.0.2.1 ?all exp=why.example"},
    {"redir.example", "TXT", "v=spf1 exp=why.example redirect=noexp.example"},
    {"rednone.example", "TXT", "v=spf1 redirect=nothing.example"},
    {"redlate.example", "TXT", "v=spf1 redirect=late.example"},
    {"redloop.example", "TXT", "v=spf1 redirect=redloop.example"},
    {"incloop.example", "TXT", "v=spf1 include:incloop.example"},
    /* limits */
    {"ten.example", "TXT",
     "v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example"
     " a:h.example a:h.example a:h.example -all"},
    {"eleven.example", "TXT",
     "v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example"
     " a:h.example a:h.example a:h.example a:h.example -all"},
    {"void2.example", "TXT", "v=spf1 a:n1.example exists:n2.example -all"},
    {"void3.example", "TXT", "v=spf1 a:n1.example exists:n2.example a:n3.example -all"},
    {"voidonce.example", "TXT",
     "v=spf1 a:n1.example ip4:192.0.2.9 ip4:192.0.2.8 ip6:::9 a:h.example -all"},
    {"deadcname.example", "TXT", "v=spf1 a:dead.example a:dead.example -all"},
    {"mxvoid.example", "TXT", "v=spf1 mx ip4:192.0.2.1 -all"},
    {"mxvoid.example", "MX", "n1.example"},
    {"mxvoid.example", "MX", "n2.example"},
    {"mxvoid.example", "MX", "n3.example"},
    {"mxs.example", "TXT",
     "v=spf1 mx:v41.example mx:v42.example mx:v43.example mx:v44.example -all"},
    {"v41.example", "MX", "h.example"},
    {"v42.example", "MX", "h.example"},
    {"v43.example", "MX", "nothing.example"},
    {"v44.example", "MX", ""},
    {"as.example", "TXT", "v=spf1 a:h.example a:v4.example a:alias4.example a:h.example -all"},
    {"v4.example", "A", "192.0.2.200"},
    {"alias4.example", "CNAME", "v4.example"},
    {"v6s.example", "TXT", "v=spf1 a:v6.example a:v6.example a:v6.example -all"},
    {"v6.example", "AAAA", "2001:db8::6"},
    {"both.example", "TXT", "v=spf1 a mx a:h.example mx:v41.example a:v4.example -all"},
    {"both.example", "A", "192.0.2.200"},
    {"both.example", "MX", "h.example"},
    {"textonly.example", "TXT", "v=spf1 a a a -all"},
    {"mxnotmx.example", "TXT", "v=spf1 mx:h.example mx:h.example mx:h.example -all"},
    {"percent.example", "TXT", "v=spf1 a:%% exists:x%_ ip4:192.0.2.1 -all"},
    {"mxnone.example", "TXT", "v=spf1 mx -all"},
    {"mxnone.example", "A", "192.0.2.1"},
    {"mx10.example", "TXT", "v=spf1 mx -all"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", "h.example"},
    {"mx10.example", "MX", ""}, /* a null MX is no name */
    {"mx10.example", "MX", "x.names.example"},
    {"mx11.example", "TXT", "v=spf1 mx -all"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "h.example"},
    {"mx11.example", "MX", "x.names.example"},
    /* the client's names */
    {"ptrs.example", "TXT", "v=spf1 ptr:names.example -all"},
    {"pmacro.example", "TXT", "v=spf1 exists:%{p}.ok.example a:%{p} -all"},
    {"x.Names.example.ok.example", "A", "127.0.0.2"},
    {"x.names.example", "A", "192.0.2.201"},
    {"x.names.example", "A", "192.0.2.202"},
    {"201.2.0.192.in-addr.arpa", "PTR", "gone.example"},
    {"201.2.0.192.in-addr.arpa", "PTR", "dead.example"},
    {"201.2.0.192.in-addr.arpa", "PTR", "nothing.example"},
    {"201.2.0.192.in-addr.arpa", "PTR", "late.example"},
    {"201.2.0.192.in-addr.arpa", "PTR", "x.Names.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x1.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x2.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x3.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x4.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x5.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x6.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x7.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x8.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x9.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x10.example"},
    {"202.2.0.192.in-addr.arpa", "PTR", "x.names.example"},
    {"203.2.0.192.in-addr.arpa", "TIMEOUT", ""},
};

static struct dns_zone *zone;

/* "result mechanism lookups/voids [explanation]" */
static const char *
checked(struct arena *arena, const struct spf_input *input, struct spf_outcome *outcome)
{
    static char out[1024];
    assert_int_equal(spf_check(input, outcome), STATUS_OK);
    bool error = outcome->result == SPF_RESULT_TEMPERROR ||
                 outcome->result == SPF_RESULT_PERMERROR || outcome->result == SPF_RESULT_NONE;
    assert_int_equal(error, outcome->problem.n > 0);
    (void)arena;
    snprintf(out, sizeof out, "%s %.*s %u/%u%s%.*s", spf_result_name(outcome->result),
             STR_ARG(outcome->mechanism), outcome->lookups, outcome->void_lookups,
             outcome->explanation.n > 0 ? " " : "", STR_ARG(outcome->explanation));
    return out;
}

static const struct {
    struct str sender;
    const char *client;
    const char *want;
} results[] = {
    {STR_INIT("a@plain.example"), "192.0.2.1", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("a@plain.example"), "::ffff:192.0.2.127", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("a@plain.example"), "192.0.2.128", "softfail ~all 0/0"},
    {STR_INIT("a@plain.example"), "2001:db8::1", "softfail ~all 0/0"},
    {STR_INIT("a@PLAIN.example."), "192.0.2.1", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("plain.example"), "192.0.2.1", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("@plain.example"), "192.0.2.1", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("a@alias.example"), "192.0.2.1", "pass ip4:192.0.2.0/25 0/0"},
    {STR_INIT("a@six.example"), "192.0.2.9", "fail -all 0/0"},
    {STR_INIT("a@six.example"), "::ffff:192.0.2.9", "fail -all 0/0"},
    {STR_INIT("a@six.example"), "2001:db8:7fff::1", "pass ip6:2001:db8::/33 0/0"},
    {STR_INIT("a@six.example"), "2001:db8:8000::1", "pass ip6:::/0 0/0"},
    {STR_INIT("a@empty.example"), "192.0.2.1", "neutral  0/0"},
    {STR_INIT("a@other.example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@nothing.example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@zz.example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@x..example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@plain.example.."), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@[192.0.2.1]"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@\xff.example"), "192.0.2.1", "none  0/0"},
    {STR_INIT("a@broken.example"), "192.0.2.1", "permerror  0/0"},
    {STR_INIT("a@split.example"), "192.0.2.1", "fail -all 0/0"},
    {STR_INIT("a@several.example"), "192.0.2.1", "permerror  0/0"},
    {STR_INIT("a@late.example"), "192.0.2.1", "temperror  0/0"},
    {STR_INIT("a@sick.example"), "192.0.2.1", "temperror  0/0"},
    {STR_INIT("a@waits.example"), "192.0.2.1", "temperror  1/0"},
    {STR_INIT("a@first.example"), "192.0.2.1", "pass ip4:192.0.2.1 0/0"},
    {STR_INIT("a@dual.example"), "192.0.2.99", "pass a/24//64 1/0"},
    {STR_INIT("a@dual.example"), "2001:db8:0:1::99", "pass a/24//64 1/0"},
    {STR_INIT("a@dual.example"), "2001:db8:0:2::7", "fail -all 1/0"},
    /* include and redirect */
    {STR_INIT("a@incnone.example"), "192.0.2.1", "permerror  1/0"},
    {STR_INIT("a@incfail.example"), "192.0.2.1", "neutral ?all 1/0"},
    {STR_INIT("a@incpass.example"), "192.0.2.1", "fail -include:plain.example 1/0"},
    {STR_INIT("a@inclate.example"), "192.0.2.1", "temperror  1/0"},
    {STR_INIT("a@redir.example"), "192.0.2.1", "fail -all 1/0"},
    {STR_INIT("a@rednone.example"), "192.0.2.1", "permerror  1/0"},
    {STR_INIT("a@redlate.example"), "192.0.2.1", "temperror  1/0"},
    {STR_INIT("a@redloop.example"), "192.0.2.1", "permerror  11/0"},
    {STR_INIT("a@incloop.example"), "192.0.2.1", "permerror  11/0"},
    /* RFC 7208 4.6.4 */
    {STR_INIT("a@ten.example"), "192.0.2.1", "fail -all 10/0"},
    {STR_INIT("a@eleven.example"), "192.0.2.1", "permerror  11/0"},
    {STR_INIT("a@eleven.example"), "192.0.2.200", "pass a:h.example 1/0"},
    {STR_INIT("a@void2.example"), "192.0.2.1", "fail -all 2/2"},
    {STR_INIT("a@void3.example"), "192.0.2.1", "permerror  3/3"},
    {STR_INIT("a@voidonce.example"), "192.0.2.1", "fail -all 2/1"},
    {STR_INIT("a@deadcname.example"), "192.0.2.1", "fail -all 2/2"},
    {STR_INIT("a@mx10.example"), "192.0.2.201", "pass mx 1/0"},
    {STR_INIT("a@mx11.example"), "192.0.2.201", "permerror  1/0"},
    {STR_INIT("a@mx11.example"), "192.0.2.200", "pass mx 1/0"},
    {STR_INIT("a@mxvoid.example"), "192.0.2.1", "pass ip4:192.0.2.1 1/0"},
    {STR_INIT("a@mxs.example"), "2001:db8::1", "fail -all 4/0"},
    {STR_INIT("a@mxs.example"), "192.0.2.1", "fail -all 4/0"},
    {STR_INIT("a@as.example"), "2001:db8::1", "fail -all 4/0"},
    {STR_INIT("a@v6s.example"), "192.0.2.1", "fail -all 3/0"},
    {STR_INIT("a@v6s.example"), "2001:db8::6", "pass a:v6.example 1/0"},
    {STR_INIT("a@both.example"), "2001:db8::1", "fail -all 5/0"},
    {STR_INIT("a@textonly.example"), "2001:db8::1", "permerror  3/3"},
    {STR_INIT("a@textonly.example"), "192.0.2.1", "permerror  3/3"},
    {STR_INIT("a@mxnotmx.example"), "192.0.2.1", "permerror  3/3"},
    {STR_INIT("a@percent.example"), "192.0.2.1", "pass ip4:192.0.2.1 2/2"},
    {STR_INIT("a@mxnone.example"), "192.0.2.1", "fail -all 1/1"},
    {STR_INIT("a@ptrs.example"), "192.0.2.201", "pass ptr:names.example 1/0"},
    {STR_INIT("a@ptrs.example"), "192.0.2.202", "fail -all 1/0"},
    {STR_INIT("a@ptrs.example"), "192.0.2.203", "fail -all 1/0"},
    {STR_INIT("a@ptrs.example"), "192.0.2.204", "fail -all 1/1"},
    {STR_INIT("a@pmacro.example"), "192.0.2.201", "pass exists:%{p}.ok.example 2/0"},
    {STR_INIT("a@pmacro.example"), "192.0.2.204", "fail -all 3/2"},
    /* Names outside ASCII, names that cannot be asked for */
    {STR_INIT("a@caf\xc3\xa9.example"), "192.0.2.1", "fail -all 1/1"},
    {STR_INIT("jos\xc3\xa9@eai.example"), "192.0.2.1",
     "fail -all 1/0 jos??@eai.example from 192.0.2.1 at 1795456094, mx.kartapuce.example"},
    {STR_INIT("a@badname.example"), "192.0.2.2", "softfail ~all 2/0"},
    {STR_INIT("a@noexp.example"), "192.0.2.1", "fail -all 0/0"},
    {STR_INIT("a@expnames.example"), "192.0.2.201", "fail -all 0/0 x.Names.example ~"},
};

static void
test_results(void **state)
{
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        struct arena *arena = arena_create(4u << 20);
        struct spf_outcome outcome;
        struct spf_input input = {
            .dns = &source,
            .arena = arena,
            .identity = SPF_IDENTITY_MAILFROM,
            .helo = STR("mail.example"),
            .sender = results[i].sender,
            .receiver = STR("mx.kartapuce.example"),
            .now = 1795456094,
        };
        assert_int_equal(ip_parse(str_from_cstr(results[i].client), &input.client), STATUS_OK);
        const char *got = checked(arena, &input, &outcome);
        if (strcmp(got, results[i].want) != 0) {
            fail_msg("%.*s from %s: got \"%s\" (%.*s)", STR_ARG(results[i].sender),
                     results[i].client, got, STR_ARG(outcome.problem));
        }
        arena_destroy(&arena);
    }
}

/* RFC 7208 2.3, 2.4: the HELO identity, and the null path that takes its name. */
static void
test_identities(void **state)
{
    static const struct {
        enum spf_identity identity;
        struct str helo;
        struct str sender;
        const char *want;
        const char *domain;
        const char *as_sender;
    } cases[] = {
        {SPF_IDENTITY_HELO, STR_INIT("mail.example"), STR_INIT("a@plain.example"),
         "pass ip4:192.0.2.1 0/0", "mail.example", "postmaster@mail.example"},
        {SPF_IDENTITY_MAILFROM, STR_INIT("mail.example"), STR_INIT(""), "pass ip4:192.0.2.1 0/0",
         "mail.example", "postmaster@mail.example"},
        {SPF_IDENTITY_MAILFROM, STR_INIT("mail.example"), STR_INIT("a@split.example"),
         "fail -all 0/0", "split.example", "a@split.example"},
        {SPF_IDENTITY_MAILFROM, STR_INIT("mail.example"), STR_INIT("\"a@b\"@split.example"),
         "fail -all 0/0", "split.example", "\"a@b\"@split.example"},
        {SPF_IDENTITY_HELO, STR_INIT("caf\xc3\xa9.example"), STR_INIT(""), "fail -all 1/1",
         "xn--caf-dma.example", "postmaster@xn--caf-dma.example"},
        {SPF_IDENTITY_HELO, STR_INIT("[192.0.2.1]"), STR_INIT(""), "none  0/0", "[192.0.2.1]",
         "postmaster@[192.0.2.1]"},
        {SPF_IDENTITY_HELO, STR_INIT("[IPv6:2001:db8::1.2.3.4]"), STR_INIT(""), "none  0/0",
         "[IPv6:2001:db8::1.2.3.4]", "postmaster@[IPv6:2001:db8::1.2.3.4]"},
        {SPF_IDENTITY_HELO, STR_INIT("OEMCOMPUTER"), STR_INIT(""), "none  0/0", "OEMCOMPUTER",
         "postmaster@OEMCOMPUTER"},
        {SPF_IDENTITY_HELO, STR_INIT(""), STR_INIT("a@plain.example"), "none  0/0", "",
         "postmaster@"},
        {SPF_IDENTITY_HELO, STR_INIT("a\r\nb.example"), STR_INIT(""), "none  0/0", "a??b.example",
         "postmaster@a\r\nb.example"},
    };
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(1u << 20);
        struct spf_outcome outcome;
        struct spf_input input = {
            .dns = &source,
            .arena = arena,
            .identity = cases[i].identity,
            .helo = cases[i].helo,
            .sender = cases[i].sender,
        };
        assert_int_equal(ip_parse(STR("192.0.2.1"), &input.client), STATUS_OK);
        assert_string_equal(checked(arena, &input, &outcome), cases[i].want);
        assert_string_equal(outcome.domain.p, cases[i].domain);
        assert_string_equal(outcome.sender.p, cases[i].as_sender);
        assert_int_equal(outcome.identity, cases[i].identity);
        arena_destroy(&arena);
    }
}

/* The other family is asked for only where the name has none of the client's. */
static void
test_questions(void **state)
{
    static const struct {
        struct str sender;
        const char *client;
        size_t want;
    } cases[] = {
        {STR_INIT("a@void2.example"), "2001:db8::1", 3},  /* TXT, AAAA of n1, A of n2 */
        {STR_INIT("a@dual.example"), "2001:db8::1", 2},   /* TXT, AAAA */
        {STR_INIT("a@v6s.example"), "2001:db8::6", 2},    /* TXT, AAAA */
        {STR_INIT("a@v6s.example"), "192.0.2.1", 7},      /* TXT, three times A and AAAA */
        {STR_INIT("a@mxvoid.example"), "2001:db8::1", 5}, /* TXT, MX, three times AAAA */
    };
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *arena = arena_create(4u << 20);
        struct spf_outcome outcome;
        struct spf_input input = {.dns = &source,
                                  .arena = arena,
                                  .identity = SPF_IDENTITY_MAILFROM,
                                  .helo = STR("mail.example"),
                                  .sender = cases[i].sender};
        assert_int_equal(ip_parse(str_from_cstr(cases[i].client), &input.client), STATUS_OK);
        size_t before = dns_zone_questions(zone);
        assert_int_equal(spf_check(&input, &outcome), STATUS_OK);
        if (dns_zone_questions(zone) - before != cases[i].want) {
            fail_msg("case %zu: %zu questions", i, dns_zone_questions(zone) - before);
        }
        arena_destroy(&arena);
    }
}

/* Whatever the size of the arena, it is a status and never a result that is half there. */
static void
test_full_arena(void **state)
{
    static const struct str senders[] = {STR_INIT("a@pmacro.example"), STR_INIT("a@mx10.example"),
                                         STR_INIT("jos\xc3\xa9@eai.example"),
                                         STR_INIT("a@incpass.example")};
    (void)state;
    struct dns_source source = dns_source_from_zone(zone);
    for (size_t i = 0; i < COUNT_OF(senders); i++) {
        bool done = false;
        for (size_t ceiling = 64; ceiling < 262144 && !done; ceiling += 97) {
            struct arena *arena = arena_create(ceiling);
            struct spf_outcome outcome = {.result = SPF_RESULT_NONE};
            struct spf_input input = {
                .dns = &source,
                .arena = arena,
                .identity = SPF_IDENTITY_MAILFROM,
                .helo = STR("mail.example"),
                .sender = senders[i],
            };
            assert_int_equal(ip_parse(STR("192.0.2.201"), &input.client), STATUS_OK);
            enum status status = spf_check(&input, &outcome);
            assert_true(status == STATUS_OK || status == STATUS_LIMIT);
            done = status == STATUS_OK;
            arena_destroy(&arena);
        }
        assert_true(done);
    }
}

static int
open_zone(void **state)
{
    (void)state;
    zone = test_zone_create(records, COUNT_OF(records));
    return 0;
}

static int
close_zone(void **state)
{
    (void)state;
    dns_zone_destroy(&zone);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_full_arena),
    };
    return cmocka_run_group_tests_name("spf", tests, open_zone, close_zone);
}

/* Recipients against one configuration and what the ledger and the servers behind would say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/recipient.h"

#define ROOM ((size_t)1 << 20)

static const char config_text[] =
    "hostname: mx.example.com\n"
    "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n"
    "bounce: {postmaster: bob@users.example}\n"
    "domains:\n"
    "  - name: users.example\n"
    "    delivery: lmtp:/run/lmtp\n"
    "    aliases:\n"
    "      - {name: sales, to: [bob@users.example, jack@users.example, tom@outside.example]}\n"
    "      - {name: all, to: [sales@users.example, bob@users.example, zoe@list.example]}\n"
    "      - {name: jack, to: [jack@users.example, copy@outside.example]}\n"
    "      - {name: half, to: [bob@users.example, gone@users.example]}\n"
    "      - {name: none, to: [gone@users.example]}\n"
    "      - {name: SRS0=good=alias, to: [bob@users.example]}\n"
    "      - {name: '\"odd name\"', to: ['\"b q\"@outside.example']}\n"
    "      - {name: slow, to: [bob@users.example, late@callout.example]}\n"
    "      - {name: early, to: [late@callout.example, bob@users.example, gone@users.example]}\n"
    "      - {name: others, to: [SRS0=bad=x@users.example, SRS0=old=x@users.example,\n"
    "                            bob@users.example]}\n"
    "      - {name: twice, to: [Tom@outside.example, tom@OUTSIDE.example]}\n"
    "      - {name: again, to: [Tom@outside.example, Tom@OUTSIDE.example, BOB@users.example,\n"
    "                           bob@users.example]}\n"
    "  - name: list.example\n"
    "    delivery: smtp://127.0.0.1:2525\n"
    "    recipients: list\n"
    "    list: [zoe@list.example, '\"anna maria\"@list.example']\n"
    "    catch_all: zoe@list.example\n"
    "    plus_separator: \"-\"\n"
    "  - name: callout.example\n"
    "    delivery: smtp://127.0.0.1:2526\n"
    "    recipients: callout\n"
    "    plus_addressing: false\n"
    "  - name: any.example\n"
    "    delivery: smtp://127.0.0.1:2527\n"
    "    recipients: any\n"
    "    aliases: [{name: abuse, to: [security@any.example]}]\n"
    "  - name: catch.example\n"
    "    delivery: lmtp:/run/lmtp\n"
    "    catch_all: sales@users.example\n";

/* What is true in the world; "?" before an address: cannot be found out. */
static const char *const world[] = {
    "bob@users.example",
    "jack@users.example",
    "carol+x@users.example",
    "carol@users.example",
    "known@callout.example",
    "?late@callout.example",
    "postmaster@catch.example",
    "srs0=good=user@users.example",
    "SRS0=bad=behind@callout.example",
    "?SRS0=bad=busy@callout.example",
};

struct knowledge {
    bool asked_only;        /* only what is in `learned` is known */
    struct str learned[64]; /* addresses that were asked for, in an arena */
    size_t learned_count;
};

static enum recipient_answer
truth(struct str address)
{
    for (size_t i = 0; i < sizeof world / sizeof world[0]; i++) {
        struct str fact = str_from_cstr(world[i]);
        if (str_starts_with(fact, STR("?")) && str_eq(str_skip(fact, 1), address)) {
            return RECIPIENT_ANSWER_FAILED;
        }
        if (str_eq(fact, address)) {
            return RECIPIENT_ANSWER_YES;
        }
    }
    return RECIPIENT_ANSWER_NO;
}

/* What the vault says of an address of SRS: its hash tells the test what it is. */
static enum recipient_answer
truth_of_srs(struct str address, struct str *sender_out)
{
    static const struct {
        struct str hash;
        enum recipient_answer answer;
        struct str sender;
    } hashes[] = {
        {STR_INIT("=good="), RECIPIENT_ANSWER_YES, STR_INIT("ann@far.example")},
        {STR_INIT("=home="), RECIPIENT_ANSWER_YES, STR_INIT("bob@users.example")},
        {STR_INIT("=gone="), RECIPIENT_ANSWER_YES, STR_INIT("nobody@users.example")},
        {STR_INIT("=loop="), RECIPIENT_ANSWER_YES, STR_INIT("SRS0=loop=x@users.example")},
        {STR_INIT("=odd="), RECIPIENT_ANSWER_YES, STR_INIT("no address")},
        {STR_INIT("=old="), RECIPIENT_ANSWER_EXPIRED, STR_INIT("")},
        {STR_INIT("=away="), RECIPIENT_ANSWER_FAILED, STR_INIT("")},
        {STR_INIT("=none="), RECIPIENT_ANSWER_NO, STR_INIT("")},
    };
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (str_eq(str_head(str_skip(address, 4), hashes[i].hash.n), hashes[i].hash)) {
            *sender_out = hashes[i].answer == RECIPIENT_ANSWER_YES ? hashes[i].sender : *sender_out;
            return hashes[i].answer;
        }
    }
    return RECIPIENT_ANSWER_FORGED;
}

static enum recipient_answer
truth_of(const struct recipient_question *question, struct str *address_out)
{
    bool wants_callout = question->domain->recipients == CONFIG_RECIPIENTS_CALLOUT;
    if (question->kind == RECIPIENT_QUESTION_SRS) {
        return truth_of_srs(question->address, address_out);
    }
    assert_int_equal(question->kind == RECIPIENT_QUESTION_CALLOUT, wants_callout);
    return truth(question->address);
}

static enum recipient_answer
answer(void *context, const struct recipient_question *question, struct str *address_out)
{
    const struct knowledge *knowledge = context;
    for (size_t i = 0; knowledge->asked_only && i < knowledge->learned_count; i++) {
        if (str_eq(knowledge->learned[i], question->address)) {
            return truth_of(question, address_out);
        }
    }
    return knowledge->asked_only ? RECIPIENT_ANSWER_PENDING : truth_of(question, address_out);
}

struct recipient_case {
    const char *address;
    bool may_relay;
    enum recipient_verdict verdict;
    const char *targets; /* with blanks between; "(user)" after those of the ledger */
    const char *missing;
};

static const struct recipient_case cases[] = {
    /* users */
    {"bob@users.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)", ""},
    {"Bob@USERS.example", false, RECIPIENT_ACCEPT, "Bob@users.example(bob@users.example)", ""},
    {"bob+news@users.example", false, RECIPIENT_ACCEPT, "bob+news@users.example(bob@users.example)",
     ""},
    {"bob+a+b@users.example", false, RECIPIENT_ACCEPT, "bob+a+b@users.example(bob@users.example)",
     ""},
    {"carol+x@users.example", false, RECIPIENT_ACCEPT,
     "carol+x@users.example(carol+x@users.example)", ""},
    {"+bob@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"bob-news@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"nobody@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"nobody@users.example", true, RECIPIENT_UNKNOWN, "", ""},
    {"bob@sub.users.example", false, RECIPIENT_NO_RELAY, "", ""},
    /* what can be no mailbox is unknown, not a matter of room */
    {"\"\"@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"\"\"@list.example", false, RECIPIENT_ACCEPT, "zoe@list.example", ""},
    {"\"\"@callout.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"\"\"@any.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"\"\"@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
    /* aliases */
    {"SALES@users.example", false, RECIPIENT_ACCEPT,
     "bob@users.example(bob@users.example) jack@users.example(jack@users.example) "
     "copy@outside.example tom@outside.example",
     ""},
    {"sales+x@users.example", false, RECIPIENT_ACCEPT,
     "bob@users.example(bob@users.example) jack@users.example(jack@users.example) "
     "copy@outside.example tom@outside.example",
     ""},
    {"all@users.example", false, RECIPIENT_ACCEPT,
     "bob@users.example(bob@users.example) jack@users.example(jack@users.example) "
     "copy@outside.example tom@outside.example zoe@list.example",
     ""},
    {"jack@users.example", false, RECIPIENT_ACCEPT,
     "jack@users.example(jack@users.example) copy@outside.example", ""},
    {"half@users.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     "gone@users.example"},
    {"none@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"\"odd name\"@users.example", false, RECIPIENT_ACCEPT, "\"b q\"@outside.example", ""},
    {"slow@users.example", false, RECIPIENT_TRY_LATER, "", ""},
    {"early@users.example", false, RECIPIENT_TRY_LATER, "", ""}, /* whatever the others say */
    {"others@users.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     "SRS0=bad=x@users.example SRS0=old=x@users.example"},
    {"twice@users.example", false, RECIPIENT_ACCEPT, "Tom@outside.example tom@outside.example", ""},
    {"again@users.example", false, RECIPIENT_ACCEPT,
     "Tom@outside.example BOB@users.example(bob@users.example)", ""},
    /* postmaster and abuse */
    {"postmaster@users.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"PostMaster@list.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"abuse@users.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)", ""},
    {"abuse@catch.example", false, RECIPIENT_ACCEPT,
     "postmaster@catch.example(postmaster@catch.example)", ""},
    {"abuse@any.example", false, RECIPIENT_ACCEPT, "security@any.example", ""},
    {"postmaster@callout.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"postmaster", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)", ""},
    {"postmaster@mx.example.com", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"postmaster@[192.0.2.25]", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"postmaster@[192.0.2.26]", false, RECIPIENT_NO_RELAY, "", ""},
    {"abuse@mx.example.com", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)", ""},
    {"ABUSE@[192.0.2.25]", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)", ""},
    {"abuse@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"postmaster@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
    /* list and catch-all */
    {"zoe@list.example", false, RECIPIENT_ACCEPT, "zoe@list.example", ""},
    {"ZOE-news@list.example", false, RECIPIENT_ACCEPT, "ZOE-news@list.example", ""},
    {"\"anna maria\"@list.example", false, RECIPIENT_ACCEPT, "\"anna maria\"@list.example", ""},
    {"nobody@list.example", false, RECIPIENT_ACCEPT, "zoe@list.example", ""},
    {"nobody@catch.example", false, RECIPIENT_ACCEPT,
     "bob@users.example(bob@users.example) jack@users.example(jack@users.example) "
     "copy@outside.example tom@outside.example",
     ""},
    /* callout and any */
    {"known@callout.example", false, RECIPIENT_ACCEPT, "known@callout.example", ""},
    {"unknown@callout.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"known+x@callout.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"late@callout.example", false, RECIPIENT_TRY_LATER, "", ""},
    {"whoever@any.example", false, RECIPIENT_ACCEPT, "whoever@any.example", ""},
    /* SRS: the vault says what it stands for */
    {"SRS0=good=x@users.example", false, RECIPIENT_ACCEPT, "ann@far.example", ""},
    {"srs1=good=x@list.example", false, RECIPIENT_ACCEPT, "ann@far.example", ""},
    {"SRS0=good=x@any.example", false, RECIPIENT_ACCEPT, "ann@far.example", ""},
    {"SRS0=good=x@callout.example", false, RECIPIENT_ACCEPT, "ann@far.example", ""},
    {"SRS0=home=x@list.example", false, RECIPIENT_ACCEPT, "bob@users.example(bob@users.example)",
     ""},
    {"SRS0=gone=x@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"SRS0=gone=x@list.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"SRS0=loop=x@users.example", false, RECIPIENT_LIMIT, "", ""},
    {"SRS0=bad=x@users.example", false, RECIPIENT_FORGED, "", ""},
    {"SRS0=bad=x@users.example", true, RECIPIENT_FORGED, "", ""},
    {"SRS0=bad=x@list.example", false, RECIPIENT_FORGED, "", ""},
    /* ... but a server behind may rewrite senders too: it is asked like for any other name */
    {"SRS0=bad=x@any.example", false, RECIPIENT_ACCEPT, "SRS0=bad=x@any.example", ""},
    {"SRS1=bad=x@any.example", false, RECIPIENT_ACCEPT, "SRS1=bad=x@any.example", ""},
    {"SRS0=bad=x@callout.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"SRS0=bad=behind@callout.example", false, RECIPIENT_ACCEPT, "SRS0=bad=behind@callout.example",
     ""},
    {"SRS0=bad=busy@callout.example", false, RECIPIENT_TRY_LATER, "", ""},
    {"SRS0=old=x@any.example", false, RECIPIENT_EXPIRED, "", ""},
    {"SRS0=odd=x@any.example", false, RECIPIENT_FORGED, "", ""},
    {"SRS0=odd=x@users.example", false, RECIPIENT_FORGED, "", ""},
    {"SRS0=old=x@users.example", false, RECIPIENT_EXPIRED, "", ""},
    {"SRS0=away=x@users.example", false, RECIPIENT_TRY_LATER, "", ""},
    {"SRS0=none=x@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    {"SRS0=none=x@list.example", false, RECIPIENT_ACCEPT, "zoe@list.example", ""},
    {"SRS0=none=x@any.example", false, RECIPIENT_ACCEPT, "SRS0=none=x@any.example", ""},
    {"SRS0=good=x@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"SRS0=good=user@users.example", false, RECIPIENT_ACCEPT,
     "SRS0=good=user@users.example(srs0=good=user@users.example)", ""},
    {"SRS0=good=alias@users.example", false, RECIPIENT_ACCEPT,
     "bob@users.example(bob@users.example)", ""},
    {"SRS2=good=x@users.example", false, RECIPIENT_UNKNOWN, "", ""},
    /* relaying and its disguises */
    {"x@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"x@outside.example", true, RECIPIENT_ACCEPT, "x@outside.example", ""},
    {"x@[198.51.100.1]", false, RECIPIENT_NO_RELAY, "", ""},
    {"x@[198.51.100.1]", true, RECIPIENT_ACCEPT, "x@[198.51.100.1]", ""},
    {"x%outside.example@any.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"x%outside.example@callout.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"outside.example!x@any.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"\"x@outside.example\"@any.example", false, RECIPIENT_NO_RELAY, "", ""},
    {"x%outside.example@any.example", true, RECIPIENT_ACCEPT, "x%outside.example@any.example", ""},
    {"\"x@outside.example\"@users.example", false, RECIPIENT_UNKNOWN, "", ""},
};

static const struct config *
load(const char *text)
{
    struct arena *arena = arena_create(ROOM);
    const struct config *config = NULL;
    struct config_errors errors;
    if (config_load_text(arena, str_from_cstr(text), &config, &errors) != STATUS_OK) {
        fail_msg("%u: %.*s", errors.items[0].line, STR_ARG(errors.items[0].text));
    }
    arena_destroy(&arena);
    return config;
}

static struct smtp_address
parse(struct arena *arena, const char *text)
{
    struct smtp_address address = {0};
    struct str rest;
    struct str path = arena_printf(arena, "<%s>", text);
    assert_int_equal(
        smtp_path_parse(arena, path, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_POSTMASTER, &address, &rest),
        STATUS_OK);
    return address;
}

static void
check_outcome(struct arena *arena, const struct recipient_case *c,
              const struct recipient_outcome *outcome)
{
    struct str targets = STR("");
    for (size_t i = 0; i < outcome->target_count; i++) {
        const struct recipient_target *target = &outcome->targets[i];
        targets = arena_printf(arena, "%.*s%s%.*s", STR_ARG(targets), i > 0 ? " " : "",
                               STR_ARG(target->address));
        if (target->user.n > 0) {
            targets = arena_printf(arena, "%.*s(%.*s)", STR_ARG(targets), STR_ARG(target->user));
        }
    }
    struct str missing = STR("");
    for (size_t i = 0; i < outcome->missing_count; i++) {
        missing = arena_printf(arena, "%.*s%s%.*s", STR_ARG(missing), i > 0 ? " " : "",
                               STR_ARG(outcome->missing[i]));
    }
    if (outcome->verdict != c->verdict || !str_eq(targets, str_from_cstr(c->targets)) ||
        !str_eq(missing, str_from_cstr(c->missing))) {
        fail_msg("%s%s: got %s \"%.*s\" missing \"%.*s\", want %s \"%s\" missing \"%s\"",
                 c->address, c->may_relay ? " (may relay)" : "",
                 recipient_verdict_name(outcome->verdict), STR_ARG(targets), STR_ARG(missing),
                 recipient_verdict_name(c->verdict), c->targets, c->missing);
    }
}

static void
test_cases(void **state)
{
    (void)state;
    const struct config *config = load(config_text);
    struct arena *arena = arena_create(ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct knowledge knowledge = {0};
        struct smtp_address address = parse(arena, cases[i].address);
        struct recipient_request request = {config, &address, cases[i].may_relay, answer,
                                            &knowledge};
        struct recipient_outcome outcome;
        assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
        check_outcome(arena, &cases[i], &outcome);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    config_unref(&config);
}

/* Asking question by question leads to the same outcome as knowing everything. */
static void
test_asking(void **state)
{
    (void)state;
    const struct config *config = load(config_text);
    struct arena *arena = arena_create(ROOM);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct knowledge knowledge = {.asked_only = true};
        struct smtp_address address = parse(arena, cases[i].address);
        struct recipient_request request = {config, &address, cases[i].may_relay, answer,
                                            &knowledge};
        struct recipient_outcome outcome;
        assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
        for (unsigned round = 0; outcome.verdict == RECIPIENT_ASK; round++) {
            assert_true(round < 10);
            assert_true(outcome.question_count > 0);
            for (size_t k = 0; k < outcome.question_count; k++) {
                knowledge.learned[knowledge.learned_count++] = outcome.questions[k].address;
                assert_true(knowledge.learned_count < 64);
            }
            assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
        }
        check_outcome(arena, &cases[i], &outcome);
        arena_reset(arena);
    }
    arena_destroy(&arena);
    config_unref(&config);
}

/* Catch-alls that multiply each other meet the bound instead of the end of time. */
static void
test_limit(void **state)
{
    (void)state;
    struct arena *arena = arena_create((size_t)64 << 20);
    struct str text = STR("hostname: mx.example.com\n"
                          "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\ndomains:\n");
    for (unsigned d = 0; d < 5; d++) {
        text =
            arena_printf(arena,
                         "%.*s- name: d%u.example\n  delivery: mx\n  catch_all: all@d%u.example\n"
                         "  aliases:\n  - name: all\n    to: [",
                         STR_ARG(text), d, d);
        for (unsigned i = 0; i < 50; i++) {
            text = arena_printf(arena, "%.*sn%u@d%u.example,", STR_ARG(text), i, (d + 1) % 5);
        }
        text = arena_printf(arena, "%.*s]\n", STR_ARG(text));
    }
    const struct config *config = load(arena_cstr(arena, text));
    struct knowledge knowledge = {0};
    struct smtp_address address = parse(arena, "x@d0.example");
    struct recipient_request request = {config, &address, false, answer, &knowledge};
    struct recipient_outcome outcome;
    assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
    assert_int_equal(outcome.verdict, RECIPIENT_LIMIT);
    assert_int_equal(recipient_reply(outcome.verdict).code, 450);

    struct arena *small = arena_create(64);
    assert_int_equal(recipient_resolve(&request, small, &outcome), STATUS_LIMIT);
    arena_destroy(&small);
    arena_destroy(&arena);
    config_unref(&config);
}

/* An alias, in two halves, of `count` addresses outside. */
static enum recipient_verdict
verdict_on(unsigned count)
{
    struct arena *arena = arena_create((size_t)64 << 20);
    struct str text = STR("hostname: mx.example.com\nbounce: {postmaster: x@a.example}\n"
                          "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n"
                          "domains:\n- name: a.example\n  delivery: mx\n  aliases:\n"
                          "  - {name: all, to: [one@a.example, two@a.example]}\n"
                          "  - name: one\n    to: [");
    for (unsigned i = 0; i < count; i++) {
        text = arena_printf(arena, "%.*s%sn%u@out.example,", STR_ARG(text),
                            i == count / 2 ? "]\n  - name: two\n    to: [" : "", i);
    }
    const struct config *config =
        load(arena_cstr(arena, arena_printf(arena, "%.*s]\n", STR_ARG(text))));
    struct knowledge knowledge = {0};
    struct smtp_address address = parse(arena, "all@a.example");
    struct recipient_request request = {config, &address, false, answer, &knowledge};
    struct recipient_outcome outcome;
    assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
    arena_destroy(&arena);
    config_unref(&config);
    return outcome.verdict;
}

static void
test_most_targets(void **state)
{
    (void)state;
    assert_int_equal(verdict_on(CONFIG_ALIAS_TARGETS_MAX), RECIPIENT_ACCEPT);
}

static void
check_table(struct arena *arena, const char *text, const struct recipient_case *table, size_t count)
{
    const struct config *config = load(text);
    for (size_t i = 0; i < count; i++) {
        struct knowledge knowledge = {0};
        struct smtp_address address = parse(arena, table[i].address);
        struct recipient_request request = {config, &address, table[i].may_relay, answer,
                                            &knowledge};
        struct recipient_outcome outcome;
        assert_int_equal(recipient_resolve(&request, arena, &outcome), STATUS_OK);
        check_outcome(arena, &table[i], &outcome);
    }
    config_unref(&config);
}

/* A listener on every address is no address that a name outside could have. */
static void
test_a_listener_on_every_address(void **state)
{
    static const struct recipient_case table[] = {
        {"postmaster@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
        {"abuse@outside.example", false, RECIPIENT_NO_RELAY, "", ""},
        {"postmaster@mx.example.com", false, RECIPIENT_ACCEPT, "x@b.example", ""},
    };
    (void)state;
    struct arena *arena = arena_create(ROOM);
    check_table(arena,
                "hostname: mx.example.com\n"
                "listeners: [{address: \"::\", port: 25, kind: mx}]\n"
                "bounce: {postmaster: x@b.example}\n"
                "domains: [{name: b.example, delivery: mx, recipients: any}]\n",
                table, sizeof table / sizeof table[0]);
    arena_destroy(&arena);
}

/* Without SRS these are names like others, and nobody is asked. */
static void
test_without_srs(void **state)
{
    static const struct recipient_case off[] = {
        {"SRS0=good=x@a.example", false, RECIPIENT_UNKNOWN, "", ""},
        {"SRS0=bad=x@b.example", false, RECIPIENT_ACCEPT, "SRS0=bad=x@b.example", ""},
    };
    (void)state;
    struct arena *arena = arena_create(ROOM);
    check_table(arena,
                "hostname: mx.example.com\n"
                "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n"
                "domains:\n- {name: a.example, delivery: mx}\n"
                "- {name: b.example, delivery: mx, recipients: any}\n"
                "authentication: {srs: {enabled: false}}\nbounce: {postmaster: x@b.example}\n",
                off, sizeof off / sizeof off[0]);
    arena_destroy(&arena);
}

/* Without bounce.postmaster; without any domain; and with one who does not exist. */
static void
test_no_postmaster(void **state)
{
    (void)state;
    static const struct recipient_case with_domain[] = {
        {"postmaster", false, RECIPIENT_ACCEPT, "postmaster@a.example", ""},
        {"abuse@b.example", false, RECIPIENT_ACCEPT, "c@a.example", ""},
    };
    static const struct recipient_case without[] = {
        {"postmaster", false, RECIPIENT_NO_POSTMASTER, "", ""},
        {"postmaster@mx.example.com", false, RECIPIENT_NO_POSTMASTER, "", ""},
    };
    static const struct recipient_case nobody[] = {
        {"Postmaster", false, RECIPIENT_NO_POSTMASTER, "", ""},
        {"postmaster@a.example", false, RECIPIENT_NO_POSTMASTER, "", ""},
        {"abuse@a.example", true, RECIPIENT_NO_POSTMASTER, "", ""},
        {"postmaster@mx.example.com", false, RECIPIENT_NO_POSTMASTER, "", ""},
        {"abuse@mx.example.com", false, RECIPIENT_NO_POSTMASTER, "", ""},
        {"webmaster@a.example", false, RECIPIENT_UNKNOWN, "", ""},
    };
    static const char head[] = "hostname: mx.example.com\n"
                               "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n";
    struct arena *arena = arena_create(ROOM);
    struct str text =
        arena_printf(arena,
                     "%sdomains:\n- {name: a.example, delivery: mx, recipients: any}\n"
                     "- {name: b.example, delivery: mx, catch_all: c@a.example}\n",
                     head);
    struct str users = arena_printf(arena,
                                    "%sbounce: {postmaster: postmaster@a.example}\n"
                                    "domains:\n- {name: a.example, delivery: mx}\n",
                                    head);
    check_table(arena, text.p, with_domain, sizeof with_domain / sizeof with_domain[0]);
    check_table(arena, head, without, sizeof without / sizeof without[0]);
    check_table(arena, users.p, nobody, sizeof nobody / sizeof nobody[0]);
    arena_destroy(&arena);
}

/* The configuration reads addresses with its own parser; both must come to the same form. */
static void
test_same_reading(void **state)
{
    (void)state;
    static const char *const addresses[] = {
        "bob@Example.COM",
        "\"bob\"@example.com",
        "\"bob smith\"@example.com",
        "\"a\\\"b\\\\c\"@example.com",
        "b.o.b@example.com",
        "!#$%&'*+-/=?^_`{|}~@example.com",
        ("b\xc3\xb6"
         "b@example.com"),
        ("bob@b\xc3\xbc"
         "cher.example"),
        "\"a@b\"@example.com",
        "\"a\\b\"@example.com",
        "bob@xn--bcher-kva.example",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct arena *arena = arena_create(ROOM);
        struct str quoted = STR("");
        for (const char *p = addresses[i]; *p != '\0'; p++) {
            quoted = arena_printf(arena, "%.*s%s%c", STR_ARG(quoted), *p == '\'' ? "'" : "", *p);
        }
        struct str text = arena_printf(arena,
                                       "hostname: mx.example.com\n"
                                       "listeners: [{address: 192.0.2.25, port: 25, kind: mx}]\n"
                                       "bounce: {postmaster: '%.*s'}\n",
                                       STR_ARG(quoted));
        const struct config *config = load(text.p);
        const struct config_mailbox *ours = &config->bounce.postmaster;
        struct smtp_address theirs = parse(arena, addresses[i]);
        if (!str_eq(ours->text, theirs.text) || !str_eq(ours->local, theirs.local) ||
            !str_eq(ours->domain, theirs.domain)) {
            fail_msg("%s: \"%.*s\" and \"%.*s\"", addresses[i], STR_ARG(ours->text),
                     STR_ARG(theirs.text));
        }
        config_unref(&config);
        arena_destroy(&arena);
    }
}

static void
test_replies(void **state)
{
    (void)state;
    for (int verdict = RECIPIENT_ACCEPT; verdict <= RECIPIENT_EXPIRED; verdict++) {
        struct smtp_reply reply = recipient_reply((enum recipient_verdict)verdict);
        assert_true(smtp_reply_is_valid(&reply));
        assert_int_equal(smtp_reply_is_positive(&reply), verdict == RECIPIENT_ACCEPT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),         cmocka_unit_test(test_asking),
        cmocka_unit_test(test_most_targets),  cmocka_unit_test(test_a_listener_on_every_address),
        cmocka_unit_test(test_limit),         cmocka_unit_test(test_without_srs),
        cmocka_unit_test(test_no_postmaster), cmocka_unit_test(test_same_reading),
        cmocka_unit_test(test_replies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

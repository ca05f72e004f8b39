#include "check/test_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char settings[] = "hostname: mx.kartapuce.example\n"
                               "listeners:\n"
                               "  - {address: 198.51.100.1, port: 25, kind: mx}\n"
                               "domains:\n"
                               "  - {name: kartapuce.example, delivery: \"lmtp://192.0.2.2:24\"}\n"
                               "bounce: {postmaster: bob@kartapuce.example}\n";

static const struct check_recipient bob = {STR_INIT("bob@kartapuce.example"),
                                           STR_INIT("bob@kartapuce.example")};

void
test_message_open(struct test_message *message, struct str content)
{
    static const struct mail_head_limits limits = {65536, 1000};
    static struct config_errors errors;
    memset(message, 0, sizeof *message);
    message->arena = arena_create(4u << 20);
    if (config_load_text(message->arena, str_from_cstr(settings), &message->config, &errors) !=
        STATUS_OK) {
        fail_msg("settings: line %u: %.*s", errors.items[0].line, STR_ARG(errors.items[0].text));
    }
    assert_int_equal(mail_head_parse(message->arena, content, &limits, &message->head), STATUS_OK);
    message->input = (struct check_input){
        .arena = message->arena,
        .config = message->config,
        .received_ms = 1795456094000,
        .direction = CHECK_INBOUND,
        .helo = STR("mail.example"),
        .sender = STR("jack@mail.example"),
        .recipients = &bob,
        .recipient_count = 1,
        .content = content,
        .head = &message->head,
    };
    assert_int_equal(ip_parse(STR("192.0.2.9"), &message->input.client), STATUS_OK);
}

void
test_message_close(struct test_message *message)
{
    config_unref(&message->config);
    arena_destroy(&message->arena);
}

const char *
test_message_check(struct test_message *message, check_function *check)
{
    size_t used = 0;
    finding_list_init(&message->findings, message->arena);
    assert_int_equal(check(&message->input, &message->findings), STATUS_OK);
    message->text[0] = '\0';
    for (size_t i = 0; i < message->findings.count; i++) {
        const struct finding *finding = &message->findings.items[i];
        used += (size_t)snprintf(message->text + used, sizeof message->text - used, "%s%s",
                                 i > 0 ? " " : "", finding_row(finding->id)->name);
        for (size_t k = 0; k < finding->evidence_count; k++) {
            const struct finding_evidence *e = &finding->evidence[k];
            used += (size_t)snprintf(message->text + used, sizeof message->text - used,
                                     "%s%s=%.*s%s", k == 0 ? "(" : " ", e->key, STR_ARG(e->value),
                                     k + 1 == finding->evidence_count ? ")" : "");
        }
    }
    assert_true(used < sizeof message->text);
    return message->text;
}

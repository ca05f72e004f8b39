/*
 * Fuzz target: the server core. The first octet chooses the state in which the input begins, the
 * second the settings, the third the size of the pieces. Fed whole and cut, replies and messages
 * must be the same, and no message may hold what a next hop could take for an end of data.
 */
#include <stdlib.h>

#include "smtp/test_edge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EHLO     "EHLO client.example\r\n"
#define ENVELOPE "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
#define AUTH     "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n"

static const struct start {
    enum smtp_listener_kind kind;
    bool tls;
    struct str input;
} starts[] = {
    {SMTP_LISTENER_MX, false, STR_INIT("")},
    {SMTP_LISTENER_MX, false, STR_INIT(EHLO)},
    {SMTP_LISTENER_MX, true, STR_INIT(EHLO "MAIL FROM:<> SMTPUTF8\r\n")},
    {SMTP_LISTENER_MX, false, STR_INIT(EHLO ENVELOPE)},
    {SMTP_LISTENER_MX, false, STR_INIT(EHLO ENVELOPE "DATA\r\n")},
    {SMTP_LISTENER_MX, false, STR_INIT(EHLO ENVELOPE "BDAT 100\r\n")},
    {SMTP_LISTENER_MX, false, STR_INIT(EHLO ENVELOPE "BDAT 2\r\na\n")},
    {SMTP_LISTENER_SMTPS, true, STR_INIT(EHLO)},
    {SMTP_LISTENER_SMTPS, true, STR_INIT(EHLO "AUTH LOGIN\r\n")},
    {SMTP_LISTENER_SMTPS, true, STR_INIT(EHLO "AUTH PLAIN\r\n")},
    {SMTP_LISTENER_SMTPS, true, STR_INIT(EHLO "AUTH SCRAM-SHA-256\r\n")},
    {SMTP_LISTENER_SMTPS, true, STR_INIT(EHLO AUTH)},
    {SMTP_LISTENER_SUBMISSION, false, STR_INIT(EHLO)},
};

static uint8_t chosen;

static void
tweak(struct smtp_server_settings *settings)
{
    settings->bare_lf = (chosen & 96) == 96 ? SMTP_BARE_LF_NORMALIZE
                        : chosen & 1        ? SMTP_BARE_LF_DATA
                                            : SMTP_BARE_LF_REFUSE;
    settings->limits.message_size = chosen & 2 ? 64 : 1u << 20;
    settings->limits.text_line = chosen & 4 ? 16 : 998;
    settings->limits.recipients = chosen & 8 ? 2 : 100;
    settings->limits.errors = chosen & 16 ? 3 : 1000;
    settings->limits.small_chunks = chosen & 32 ? 2 : 1000;
    settings->strict_paths = (chosen & 64) != 0;
    settings->limits.received = chosen & 128 ? 1 : 50;
}

static void
run(struct test_edge *edge, const struct start *start, struct str input, size_t step)
{
    test_edge_open(edge, start->kind, tweak);
    if (start->tls) {
        test_edge_tls(edge);
    }
    test_edge_start(edge);
    test_edge_feed(edge, start->input, 0);
    test_edge_feed(edge, input, step);
}

static void
check_message(const struct test_edge *edge, const struct test_message *message)
{
    struct str content = message->content;
    if (content.n != message->facts.size || content.n > edge->settings.limits.message_size ||
        str_contains_char(content, '\0') || message->recipients.n == 0) {
        abort();
    }
    for (size_t i = 0; i < content.n; i++) {
        char before = i > 0 ? content.p[i - 1] : '\0';
        char after = i + 1 < content.n ? content.p[i + 1] : '\0';
        bool bare_lf = content.p[i] == '\n' && before != '\r';
        bool dangerous =
            edge->settings.bare_lf != SMTP_BARE_LF_DATA || before == '.' || after == '.';
        if ((content.p[i] == '\r' && after != '\n') || (bare_lf && dangerous)) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    const struct start *start = &starts[data[0] % (sizeof starts / sizeof starts[0])];
    chosen = data[1];
    struct str input = str_make((const char *)data + 3, size - 3);
    struct test_edge whole;
    struct test_edge cut;
    run(&whole, start, input, 0);
    run(&cut, start, input, data[2] % 32u + 1);
    /* What stands behind STARTTLS is dropped when it came in the clear, and what comes before a
     * reply that must be waited for ends the session: then cuts matter. */
    bool cuts_matter = str_find(buf_str(&whole.log), STR("tls")) != STR_NPOS ||
                       str_find(buf_str(&whole.trace), STR("! out_of_turn")) != STR_NPOS ||
                       str_find(buf_str(&cut.trace), STR("! out_of_turn")) != STR_NPOS;
    if (!cuts_matter && (!str_eq(buf_str(&whole.log), buf_str(&cut.log)) ||
                         !str_eq(buf_str(&whole.wire), buf_str(&cut.wire)))) {
        abort();
    }
    for (size_t i = 0; i < whole.message_count; i++) {
        check_message(&whole, &whole.messages[i]);
        if (!cuts_matter && !str_eq(whole.messages[i].content, cut.messages[i].content)) {
            abort();
        }
    }
    test_edge_close(&whole);
    test_edge_close(&cut);
    return 0;
}

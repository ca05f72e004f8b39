/*
 * Fuzz target: the reader of DATA and BDAT content. The first octet gives the rules, the second the
 * size of the pieces. Cut or whole, the outcome is the same; what was accepted has no octet that a
 * next hop could take for the end of data.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "smtp/content.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    struct smtp_content content;
    struct buf taken;
    size_t used;
    bool ended;
};

static void
read_all(struct outcome *outcome, const struct smtp_content_rules *rules, bool dots,
         struct str input, size_t step)
{
    smtp_content_start(&outcome->content, dots);
    buf_init(&outcome->taken, 1u << 20);
    while (input.n > 0 && !outcome->ended) {
        struct str rest = str_head(input, step > 0 ? step : input.n);
        input = str_skip(input, rest.n);
        enum status status = STATUS_OK;
        while (status == STATUS_OK) {
            size_t used;
            struct str piece;
            status = smtp_content_read(&outcome->content, rules, rest, &used, &piece);
            if (used > rest.n || (status == STATUS_OK && piece.n == 0) ||
                (status == STATUS_AGAIN && used != rest.n)) {
                abort();
            }
            outcome->used += used;
            rest = str_skip(rest, used);
            if (status == STATUS_OK && buf_append(&outcome->taken, piece) != STATUS_OK) {
                abort();
            }
        }
        outcome->ended = status != STATUS_AGAIN;
    }
    if (!dots && smtp_content_finish(&outcome->content) &&
        buf_append(&outcome->taken, STR("\r\n")) != STATUS_OK) {
        abort();
    }
}

static void
check_accepted(const struct outcome *outcome, const struct smtp_content_rules *rules)
{
    struct str taken = buf_str(&outcome->taken);
    if (outcome->content.facts.size != taken.n || str_contains_char(taken, '\0') ||
        (taken.n > 0 && !str_ends_with(taken, STR("\r\n")))) {
        abort();
    }
    for (size_t i = 0; i < taken.n; i++) {
        char before = i > 0 ? taken.p[i - 1] : '\0';
        char after = i + 1 < taken.n ? taken.p[i + 1] : '\0';
        bool bare_cr = taken.p[i] == '\r' && after != '\n';
        bool bare_lf = taken.p[i] == '\n' && before != '\r';
        bool dangerous = !rules->bare_lf_is_data || before == '.' || after == '.';
        if (bare_cr || (bare_lf && dangerous)) {
            abort();
        }
    }
}

/* Where LF becomes CRLF, what others may take for an end of data is in no message. */
static void
check_ends(struct str input, const struct smtp_content_rules *rules)
{
    for (size_t i = 1; rules->bare_lf_is_crlf && i + 2 < input.n; i++) {
        bool line_end = input.p[i + 2] == '\n' || input.p[i + 2] == '\r';
        if (input.p[i] == '\n' && input.p[i - 1] != '\r' && input.p[i + 1] == '.' && line_end) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct smtp_content_rules rules = {
        .size_max = data[0] & 1 ? 100 : 0,
        .text_line_max = data[0] & 2 ? 20 : 998,
        .received_max = data[0] & 4 ? 1 : 50,
        .discard_max = 64u << 20,
        .bare_lf_is_data = (data[0] & 8) != 0 && (data[0] & 64) == 0,
        .bare_lf_is_crlf = (data[0] & 64) != 0,
        .refuse_malformed_header = (data[0] & 16) != 0,
    };
    bool dots = (data[0] & 32) == 0;
    struct str input = str_make((const char *)data + 2, size - 2);
    struct outcome whole = {.used = 0};
    struct outcome cut = {.used = 0};
    read_all(&whole, &rules, dots, input, 0);
    read_all(&cut, &rules, dots, input, data[1] % 16u + 1);
    if (whole.content.error != cut.content.error || whole.ended != cut.ended ||
        whole.used != cut.used) {
        abort();
    }
    bool complete = whole.ended || !dots;
    if (whole.content.error == SMTP_CONTENT_OK &&
        !str_eq(buf_str(&whole.taken), buf_str(&cut.taken))) {
        abort();
    }
    if (whole.content.error == SMTP_CONTENT_OK && complete) {
        check_accepted(&whole, &rules);
        check_ends(str_head(input, dots ? whole.used : 0), &rules);
    }
    buf_free(&whole.taken);
    buf_free(&cut.taken);
    return 0;
}

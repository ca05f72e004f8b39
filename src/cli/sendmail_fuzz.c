/*
 * Fuzz target: what sendmail makes of its input. The first octet chooses: a list of recipients, or
 * a message. A recipient that is taken is one address that the server would read as it was meant;
 * lines end in CRLF, and what has been completed is complete.
 */
#include <stdlib.h>

#include "cli/sendmail_message.h"
#include "smtp/address.h"

#define DOMAIN  "a.example"
#define OUTPUT  ((size_t)4 << 20)
#define CEILING ((size_t)32 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

static void
check_recipients(const struct sendmail_recipients *recipients, struct arena *arena)
{
    for (size_t i = 0; i < recipients->count; i++) {
        struct smtp_address again;
        struct str text = recipients->items[i];
        require(smtp_mailbox_parse(arena, text, SMTP_ADDRESS_UTF8 | SMTP_ADDRESS_LONG_LOCAL,
                                   &again) == STATUS_OK);
        require(str_eq(again.text, text) && again.domain.n > 0);
        for (size_t k = 0; k < text.n; k++) {
            require((unsigned char)text.p[k] >= ' ' && text.p[k] != 0x7f);
        }
        for (size_t k = 0; k < i; k++) {
            require(!str_eq(recipients->items[k], text));
        }
    }
}

static void
read_recipients(struct arena *arena, struct str text)
{
    struct sendmail_recipients recipients = {0};
    struct str wrong = {0};
    enum status status = sendmail_add_recipients(arena, text, STR(DOMAIN), &recipients, &wrong);
    if (status == STATUS_OK) {
        check_recipients(&recipients, arena);
    }
    require(status != STATUS_SYNTAX || wrong.n <= text.n);
}

/* Completes `message` into `out`, and again: then nothing is left to add. */
static void
complete(struct arena *arena, struct str message)
{
    struct buf once;
    struct buf twice;
    buf_init(&once, OUTPUT);
    buf_init(&twice, OUTPUT);
    if (sendmail_complete(arena, message, STR("A \"b\""), STR("a@" DOMAIN), &once) == STATUS_OK &&
        sendmail_complete(arena, buf_str(&once), STR("A \"b\""), STR("a@" DOMAIN), &twice) ==
            STATUS_OK) {
        require(str_eq(buf_str(&once), buf_str(&twice)));
    }
    buf_free(&once);
    buf_free(&twice);
}

static void
read_message(struct arena *arena, struct str input, bool dots_are_text)
{
    struct sendmail_recipients recipients = {0};
    struct str wrong = {0};
    struct buf lines;
    struct buf again;
    buf_init(&lines, OUTPUT);
    buf_init(&again, OUTPUT);
    require(sendmail_lines(input, dots_are_text, &lines) == STATUS_OK);
    struct str message = buf_str(&lines);
    require(message.n == 0 || str_ends_with(message, STR("\r\n")));
    /* The first line of an mbox goes; of two, the second is a field that nobody can read. */
    if (!str_starts_with(message, STR("From "))) {
        require(sendmail_lines(message, dots_are_text, &again) == STATUS_OK);
        require(str_eq(message, buf_str(&again)));
    }
    if (sendmail_header_recipients(arena, message, STR(DOMAIN), &recipients, &wrong) == STATUS_OK) {
        check_recipients(&recipients, arena);
    }
    complete(arena, message);
    buf_free(&lines);
    buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct str input = str_make((const char *)data + 1, size - 1);
    struct arena *arena = arena_create(CEILING);
    if (data[0] % 4 == 0) {
        read_recipients(arena, input);
    } else {
        read_message(arena, input, data[0] % 2 == 0);
    }
    arena_destroy(&arena);
    return 0;
}

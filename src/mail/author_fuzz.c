/* Fuzz target: the author of a message. What is known as one domain must be a usable one. */
#include <stdlib.h>

#include "mail/author.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mail_head_limits limits = {65536, 100};
    struct arena *arena = arena_create(8u << 20);
    struct mail_head head;
    struct mail_author author;
    if (mail_head_parse(arena, str_make((const char *)data, size), &limits, &head) == STATUS_OK &&
        mail_author_read(arena, &head, &author) == STATUS_OK) {
        bool known = mail_author_is_known(&author);
        require(known == (author.domain.n > 0));
        require(!known || (author.doubt == MAIL_DOUBT_NONE && author.field_count == 1 &&
                           str_is_ascii(author.domain) && author.mailbox_count > 0));
        require((author.kind == MAIL_AUTHOR_NONE) == (author.field_count == 0));
        require((author.kind == MAIL_AUTHOR_AMBIGUOUS) <= (author.doubt != MAIL_DOUBT_NONE));
    }
    arena_destroy(&arena);
    return 0;
}

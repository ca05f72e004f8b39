/*
 * Fuzz target: mailboxes and paths. The first octet gives the flags. What is accepted has a normal
 * form that is read again to the same.
 */
#include <stdlib.h>

#include "smtp/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_again(struct arena *arena, const struct smtp_address *address, unsigned flags)
{
    struct smtp_address again;
    if (smtp_address_is_null(address)) {
        return;
    }
    flags |= SMTP_ADDRESS_UTF8;
    if (address->text.n > SMTP_PATH_MAX - 2 ||
        smtp_mailbox_parse(arena, address->text, flags, &again) != STATUS_OK ||
        !str_eq(again.text, address->text) || !smtp_address_eq(&again, address)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    unsigned flags = data[0] & 63u;
    struct str input = str_make((const char *)data + 1, size - 1);
    struct arena *arena = arena_create(1 << 16);
    struct smtp_address address;
    struct str rest;
    if (smtp_mailbox_parse(arena, input, flags, &address) == STATUS_OK) {
        check_again(arena, &address, flags);
    }
    if (smtp_path_parse(arena, input, flags, &address, &rest) == STATUS_OK) {
        check_again(arena, &address, flags);
        if (rest.n > input.n || (rest.n > 0 && !char_is_blank(rest.p[0]))) {
            abort();
        }
    }
    struct str domain;
    struct ip_address ip;
    (void)!smtp_domain_parse(arena, input, flags, &domain);
    (void)smtp_address_fits(input, STR("*.a..b.@*"));
    (void)!smtp_literal_parse(input, &ip);
    arena_destroy(&arena);
    return 0;
}

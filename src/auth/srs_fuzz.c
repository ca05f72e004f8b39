/* Fuzz target: rewritten senders, there and back. */
#include <stdlib.h>

#include "auth/srs.h"

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
    static const struct str secret = STR_INIT("secret");
    static const struct srs_settings settings = {.secrets = &secret,
                                                 .secret_count = 1,
                                                 .domain = STR_INIT("us.example"),
                                                 .valid_days = 7,
                                                 .local_max = 4096};
    struct arena *arena = arena_create(1u << 20);
    struct str text = str_make((const char *)data, size);
    struct srs_address sender;
    struct srs_address there;
    struct srs_address back;
    enum srs_result result;
    str_cut(text, '@', &sender.local, &sender.domain);
    if (srs_forward(arena, &settings, &sender, 1795000000, &result, &there) == STATUS_OK &&
        result == SRS_REWRITTEN) {
        require(there.local.n <= settings.local_max && srs_is_rewritten(there.local));
        require(srs_reverse(arena, &settings, there.local, 1795000000, &result, &back) ==
                STATUS_OK);
        require(result == SRS_REWRITTEN);
        /* One layer is taken off; an SRS1 of ours goes to the first forwarder. */
        require(srs_is_rewritten(sender.local) ||
                (str_eq(back.local, sender.local) && str_eq(back.domain, sender.domain)));
    }
    if (srs_reverse(arena, &settings, text, 1795000000, &result, &back) == STATUS_OK &&
        result == SRS_REWRITTEN) {
        require(back.local.n > 0 && back.domain.n > 0);
    }
    arena_destroy(&arena);
    return 0;
}

#include <stdlib.h>

#include "smtp/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A header that is taken must be taken again from exactly its own octets, and from fewer never. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_make((const char *)data, size);
    struct smtp_proxy proxy;
    struct smtp_proxy again;
    size_t used = 0;
    size_t used_again = 0;
    if (smtp_proxy_parse(input, &proxy, &used) != STATUS_OK) {
        return 0;
    }
    if (used > size || !smtp_proxy_is_header(input) ||
        smtp_proxy_parse(str_head(input, used), &again, &used_again) != STATUS_OK ||
        used_again != used || again.source_port != proxy.source_port ||
        smtp_proxy_parse(str_head(input, used - 1), &again, &used_again) != STATUS_AGAIN) {
        abort();
    }
    return 0;
}

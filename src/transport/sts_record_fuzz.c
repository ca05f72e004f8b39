/* Fuzz target: MTA-STS TXT records. */
#include <stdlib.h>

#include "transport/sts_record.h"

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
    struct str text = str_make((const char *)data, size);
    struct str id = STR("");
    const char *problem = NULL;
    if (sts_record_parse(text, &id, &problem)) {
        require(sts_record_is_ours(text));
        require(id.n > 0 && id.n <= STS_ID_MAX && str_find(text, id) != STR_NPOS);
        require(problem == NULL);
    } else {
        require(id.n == 0 && problem != NULL);
    }
    return 0;
}

#include <stdlib.h>

#include "mail/address_list.h"
#include "mail/date.h"
#include "mail/fields.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool what)
{
    if (!what) {
        abort();
    }
}

/* The readers of values, over every value: they must stay within it. */
static void
read_values(struct arena *arena, const struct mail_field *field)
{
    struct mail_address_list list;
    struct str id;
    int64_t date_ms;
    if (mail_address_list_parse(arena, field->value, 100, &list) == STATUS_OK) {
        require(list.count > 0 || list.group_count > 0);
    }
    if (mail_message_id_parse(field->value, &id) == STATUS_OK) {
        require(id.n >= 5);
    }
    if (mail_date_parse(field->value, &date_ms) == STATUS_OK) {
        require(date_ms >= -2208988800000 - 360000000);
    }
    require(mail_field_unfold(arena, field).n <= field->value.n);
}

/* The fields cover the section without gaps; what follows it was not looked at. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mail_head_limits limits = {8192, 100};
    struct str content = str_make((const char *)data, size);
    struct arena *arena = arena_create(4u << 20);
    struct mail_head head;
    if (mail_head_parse(arena, content, &limits, &head) == STATUS_OK) {
        size_t end = 0;
        for (size_t i = 0; i < head.field_count; i++) {
            const struct mail_field *field = &head.fields[i];
            require(field->offset == end && field->raw.p == content.p + end);
            require((field->id == MAIL_FIELD_BAD) == (field->name.n == 0));
            end += field->raw.n;
            read_values(arena, field);
        }
        bool ended = head.anomalies[MAIL_ANOMALY_NO_END].count == 0;
        require(head.raw.n == end + (ended ? 2 : 0) && (ended || end == size));
        require(head.raw.n <= limits.size && head.field_count <= limits.fields);
    }
    arena_destroy(&arena);
    return 0;
}

#include "dns/table_entry.h"

struct entry_head {
    uint16_t type;
    uint8_t outcome;
    uint8_t security;
    uint32_t ttl;
};

/* ---- writing */

struct writer {
    char *p;
    size_t room; /* what is left */
    bool full;
};

static void
put(struct writer *writer, const void *octets, size_t n)
{
    writer->full = writer->full || n > writer->room;
    if (writer->full || n == 0) {
        return;
    }
    memcpy(writer->p, octets, n);
    writer->p += n;
    writer->room -= n;
}

static void
put_text(struct writer *writer, struct str text)
{
    uint16_t const n = (uint16_t)text.n;
    writer->full = writer->full || text.n > UINT16_MAX;
    put(writer, &n, sizeof n);
    put(writer, text.p, text.n);
}

size_t
dns_table_entry_write(char *out, size_t room, struct str name, uint16_t type,
                      const struct dns_answer *answer)
{
    struct writer writer = {.p = out, .room = room};
    struct entry_head head = {
        .type = type,
        .outcome = (uint8_t)answer->outcome,
        .security = (uint8_t)answer->security,
        .ttl = answer->ttl,
    };
    uint16_t const count = (uint16_t)answer->record_count;
    put(&writer, &head, sizeof head);
    put_text(&writer, name);
    put_text(&writer, answer->canonical);
    put_text(&writer, answer->detail);
    put(&writer, &count, sizeof count);
    for (size_t i = 0; i < answer->record_count && !writer.full; i++) {
        put_text(&writer, answer->records[i]);
    }
    return writer.full ? 0 : room - writer.room;
}

/* ---- reading */

static bool
take(struct str *rest, void *out, size_t n)
{
    if (rest->n < n) {
        return false;
    }
    memcpy(out, rest->p, n);
    *rest = str_skip(*rest, n);
    return true;
}

static bool
take_text(struct str *rest, struct str *out)
{
    uint16_t n;
    if (!take(rest, &n, sizeof n) || rest->n < n) {
        return false;
    }
    *out = str_head(*rest, n);
    *rest = str_skip(*rest, n);
    return true;
}

static enum status
take_records(struct str rest, struct arena *arena, struct dns_answer *answer)
{
    uint16_t count;
    if (!take(&rest, &count, sizeof count) || count > DNS_RECORDS_MAX ||
        (count > 0) != (answer->outcome == DNS_OUTCOME_ANSWER)) {
        return STATUS_SYNTAX;
    }
    struct str *records = arena_alloc_array(arena, (size_t)count + 1, sizeof *records);
    if (records == NULL) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_text(&rest, &records[i])) {
            return STATUS_SYNTAX;
        }
    }
    answer->records = records;
    answer->record_count = count;
    return rest.n == 0 ? STATUS_OK : STATUS_SYNTAX;
}

enum status
dns_table_entry_read(struct str octets, struct arena *arena, struct str name, uint16_t type,
                     struct dns_answer *answer_out)
{
    struct entry_head head;
    struct str of;
    struct dns_answer answer = {0};
    if (!take(&octets, &head, sizeof head) || !take_text(&octets, &of)) {
        return STATUS_SYNTAX;
    }
    if (head.type != type || !str_eq(of, name)) {
        return STATUS_NOT_FOUND;
    }
    if (head.outcome >= DNS_OUTCOME_COUNT || head.security >= DNS_SECURITY_COUNT) {
        return STATUS_SYNTAX;
    }
    octets.p = arena_str_dup(arena, octets).p; /* what the answer points to must stay */
    if (octets.p == NULL) {
        return STATUS_LIMIT;
    }
    answer.outcome = (enum dns_outcome)head.outcome;
    answer.security = (enum dns_security)head.security;
    answer.ttl = head.ttl;
    if (!take_text(&octets, &answer.canonical) || !take_text(&octets, &answer.detail)) {
        return STATUS_SYNTAX;
    }
    enum status status = take_records(octets, arena, &answer);
    if (status == STATUS_OK) {
        *answer_out = answer;
    }
    return status;
}

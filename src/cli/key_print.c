#include "cli/key_print.h"

#include <stdio.h>

#include "base/clock.h"
#include "roles/vault/record.h"
#include "roles/vault/rotation.h"
#include "trace/trace.h"

#define PRINT_ARENA 16384u

static const char *
algorithm_name(const struct record_key_record *key)
{
    return key->algorithm <= CRYPTO_ED25519_SHA256
               ? crypto_key_type_name((enum crypto_algorithm)key->algorithm)
               : "unknown";
}

static struct str
record_text(struct arena *arena, const struct record_key_record *key)
{
    return key_record_text(arena, (enum crypto_algorithm)key->algorithm, key->public_key);
}

/* Since when it has been in its state. */
static int64_t
state_since(const struct record_key_record *key)
{
    switch ((enum key_state)key->state) {
    case KEY_PUBLISHED:
        return key->published_ms;
    case KEY_ACTIVE:
        return key->activated_ms;
    case KEY_RETIRING:
        return key->retiring_ms;
    case KEY_RETIRED:
        return key->retired_ms;
    case KEY_PENDING:
    case KEY_REMOVED:
        break;
    }
    return key->created_ms;
}

void
key_print_head(void)
{
    printf("%-24s %-16s %-8s %5s %-10s %-10s  %s\n", "DOMAIN", "SELECTOR", "KIND", "BITS", "STATE",
           "SINCE", "DNS");
}

void
key_print_row(const struct record_key_record *key)
{
    struct arena *arena = arena_create(PRINT_ARENA);
    struct str since = clock_format_rfc3339(arena, state_since(key));
    printf("%-24.*s %-16.*s %-8s %5u %-10s %-10.10s  %s\n", STR_ARG(key->domain),
           STR_ARG(key->selector), algorithm_name(key), key->bits,
           key_state_name((enum key_state)key->state), since.p,
           key_seen_text((enum key_seen)key->seen));
    arena_destroy(&arena);
}

void
key_print_record(const struct record_key_record *key)
{
    struct arena *arena = arena_create(PRINT_ARENA);
    struct str name = key_record_name(arena, key->domain, key->selector);
    struct str zone = key_record_zone(arena, name, record_text(arena, key));
    printf("; %s, %u bits, %s\n%.*s", algorithm_name(key), key->bits,
           key_state_name((enum key_state)key->state), STR_ARG(zone));
    arena_destroy(&arena);
}

void
key_print_comparison(const struct record_key_record *key)
{
    struct arena *arena = arena_create(PRINT_ARENA);
    struct str name = key_record_name(arena, key->domain, key->selector);
    printf("%.*s: %s, %s\n", STR_ARG(name), key_state_name((enum key_state)key->state),
           key_seen_text((enum key_seen)key->seen));
    bool const wanted = key->state < KEY_RETIRED;
    if (wanted && !key_seen_is_shown((enum key_seen)key->seen)) {
        struct str text = record_text(arena, key);
        printf("  should be: %.*s\n", STR_ARG(text));
        if (key->shown.n > 0) {
            json_t *quoted = trace_json_text(key->shown); /* from a stranger: escaped */
            char *shown = json_dumps(quoted, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
            printf("  is:        %s\n", shown != NULL ? shown : "");
            free(shown);
            json_decref(quoted);
        }
    }
    if (!wanted && key->seen != KEY_SEEN_ABSENT) {
        puts("  the record may be taken out of the DNS");
    }
    arena_destroy(&arena);
}

static json_t *
time_to_json(int64_t ms)
{
    struct arena *arena = arena_create(256);
    json_t *json = ms != 0 ? trace_json_text(clock_format_rfc3339(arena, ms)) : json_null();
    arena_destroy(&arena);
    return json;
}

json_t *
key_to_json(const struct record_key_record *key)
{
    struct arena *arena = arena_create(PRINT_ARENA);
    struct str name = key_record_name(arena, key->domain, key->selector);
    struct str text = record_text(arena, key);
    const struct {
        const char *name;
        int64_t ms;
    } times[] = {
        {"created", key->created_ms},     {"published", key->published_ms},
        {"activated", key->activated_ms}, {"retiring", key->retiring_ms},
        {"retired", key->retired_ms},     {"shown_at", key->shown_ms},
        {"checked", key->checked_ms},     {"missing_since", key->missing_ms},
    };
    json_t *json =
        json_pack("{s:o, s:o, s:s, s:i, s:s, s:b, s:s, s:o, s:o, s:o, s:o}", "domain",
                  trace_json_text(key->domain), "selector", trace_json_text(key->selector),
                  "algorithm", algorithm_name(key), "bits", (int)key->bits, "state",
                  key_state_name((enum key_state)key->state), "imported", (int)key->imported, "dns",
                  key_seen_name((enum key_seen)key->seen), "dns_shows",
                  key->shown.n > 0 ? trace_json_text(key->shown) : json_null(), "record_name",
                  trace_json_text(name), "record", trace_json_text(text), "zone",
                  trace_json_text(key_record_zone(arena, name, text)));
    for (size_t i = 0; json != NULL && i < sizeof times / sizeof times[0]; i++) {
        json_object_set_new(json, times[i].name, time_to_json(times[i].ms));
    }
    arena_destroy(&arena);
    return json;
}

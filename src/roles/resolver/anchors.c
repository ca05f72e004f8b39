#include "roles/resolver/anchors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "dns/unbound_setup.h"

struct anchor_file {
    struct str name;
    struct str text;
};

struct zone_set {
    struct anchor_zone zones[ANCHOR_ZONES_MAX];
    size_t count;
};

struct anchors {
    const char *directory;
    struct arena *arena; /* names and texts of files */
    struct anchor_file files[ANCHOR_FILES_MAX];
    size_t file_count;
    struct zone_set set;
};

/* ---- files */

/* {NULL, 0} when it cannot be read, is empty, or too large; errno says why. */
static struct str
read_file(struct arena *arena, const char *path)
{
    char *text = arena_alloc(arena, ANCHOR_OCTETS_MAX);
    int fd = text != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = -1;
    if (fd >= 0) {
        errno = EFBIG;
        n = read(fd, text, ANCHOR_OCTETS_MAX);
        close(fd);
    }
    return n > 0 && n < (ssize_t)ANCHOR_OCTETS_MAX ? str_make(text, (size_t)n)
                                                   : (struct str){NULL, 0};
}

/* A crash leaves the old file or the new one, never a part. */
static enum status
write_file(const char *path, struct str text)
{
    char fresh[PATH_MAX + 8];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool done = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (!done || rename(fresh, path) != 0) {
        LOG_ERROR("the state of the trust anchors cannot be written", LOG_CSTR("file", path),
                  LOG_CSTR("reason", strerror(errno)));
        return STATUS_IO;
    }
    return STATUS_OK;
}

static struct str
configured_text(struct anchors *anchors, struct str name)
{
    for (size_t i = 0; i < anchors->file_count; i++) {
        if (str_eq(anchors->files[i].name, name)) {
            return anchors->files[i].text;
        }
    }
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s", STR_ARG(name));
    struct str text = read_file(anchors->arena, path);
    if (text.p == NULL) {
        LOG_ERROR("trust anchors cannot be read", LOG_CSTR("file", path),
                  LOG_CSTR("reason", strerror(errno)));
    } else if (anchors->file_count < ANCHOR_FILES_MAX) {
        anchors->files[anchors->file_count++] =
            (struct anchor_file){arena_str_dup(anchors->arena, name), text};
    }
    return text;
}

/* ---- records and their zones */

static bool
is_blank_or_comment(struct str line)
{
    return line.n == 0 || line.p[0] == ';' || line.p[0] == '#';
}

/* The first word of a record: its owner, whose zone this is. */
static struct str
owner_of(struct str record)
{
    size_t n = 0;
    while (n < record.n && record.p[n] != ' ' && record.p[n] != '\t') {
        n++;
    }
    return str_head(record, n);
}

static struct anchor_zone *
zone_of(struct zone_set *set, struct str owner)
{
    for (size_t i = 0; i < set->count; i++) {
        if (str_eq_nocase(str_from_cstr(set->zones[i].name), owner)) {
            return &set->zones[i];
        }
    }
    struct anchor_zone *zone = &set->zones[set->count];
    if (set->count == ANCHOR_ZONES_MAX || owner.n == 0 || owner.n >= sizeof zone->name ||
        owner.p[owner.n - 1] != '.') {
        return NULL;
    }
    set->count++;
    memset(zone, 0, sizeof *zone);
    memcpy(zone->name, owner.p, owner.n);
    buf_init(&zone->seed, ANCHOR_OCTETS_MAX);
    buf_init(&zone->trusted, ANCHOR_OCTETS_MAX);
    return zone;
}

static enum status
add_line(struct buf *to, struct str record)
{
    enum status status = buf_append(to, record);
    return status == STATUS_OK ? buf_append_char(to, '\n') : status;
}

static enum status
add_seed(struct zone_set *set, struct str text)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK && text.n > 0) {
        struct str line;
        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (is_blank_or_comment(line)) {
            continue;
        }
        struct anchor_zone *zone = zone_of(set, owner_of(line));
        if (zone == NULL) {
            return set->count == ANCHOR_ZONES_MAX ? STATUS_LIMIT : STATUS_SYNTAX;
        }
        status = line.n < ANCHOR_RECORD_MAX ? add_line(&zone->seed, line) : STATUS_LIMIT;
    }
    return status;
}

static void
set_fini(struct zone_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        anchor_zone_fini(&set->zones[i]);
    }
    set->count = 0;
}

void
anchor_zone_fini(struct anchor_zone *zone)
{
    buf_free(&zone->seed);
    buf_free(&zone->trusted);
}

/* ---- state files */

/* As libunbound writes them behind ";;state="; RFC 5011 4.1. */
enum anchor_state { KEY_ADD_PENDING = 1, KEY_VALID = 2, KEY_MISSING = 3, KEY_REVOKED = 4 };

static int64_t
number_after(struct str line, const char *label, int64_t otherwise)
{
    struct str const text = str_from_cstr(label);
    for (size_t i = 0; i + text.n <= line.n; i++) {
        if (memcmp(line.p + i, text.p, text.n) != 0) {
            continue;
        }
        int64_t value = 0;
        size_t const from = i + text.n;
        for (i = from; i < line.n && i < from + 12 && line.p[i] >= '0' && line.p[i] <= '9'; i++) {
            value = value * 10 + (line.p[i] - '0');
        }
        return i > from ? value : otherwise;
    }
    return otherwise;
}

static enum status
parse_record(struct anchor_zone *zone, struct str line)
{
    struct str record;
    struct str comment;
    str_cut(line, ';', &record, &comment);
    record = str_trim(record);
    if (record.n >= ANCHOR_RECORD_MAX ||
        !str_eq_nocase(owner_of(record), str_from_cstr(zone->name))) {
        return STATUS_SYNTAX;
    }
    /* A seed has no states: what the administrator or the program says is valid. */
    switch (number_after(line, ";;state=", KEY_VALID)) {
    case KEY_VALID:
    case KEY_MISSING:
        return add_line(&zone->trusted, record);
    case KEY_ADD_PENDING:
        zone->pending++;
        break;
    case KEY_REVOKED:
        zone->revoked++;
        break;
    default:
        break;
    }
    return STATUS_OK;
}

enum status
anchor_zone_parse(struct anchor_zone *zone, struct str text)
{
    enum status status = STATUS_OK;
    buf_clear(&zone->trusted);
    zone->pending = zone->revoked = 0;
    zone->next_probe_s = 0;
    while (status == STATUS_OK && text.n > 0) {
        struct str line;
        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        zone->next_probe_s = number_after(line, ";;next_probe_time: ", zone->next_probe_s);
        if (!is_blank_or_comment(line)) {
            status = parse_record(zone, line);
        }
    }
    /* RFC 5011 5: with all its keys revoked, a zone has no trust anchor any more. */
    bool empty = buf_length(&zone->trusted) == 0 && zone->revoked == 0;
    return status == STATUS_OK && empty ? STATUS_SYNTAX : status;
}

/* The part of a record that says which key it is: what follows its type. */
static struct str
key_of(struct str record)
{
    for (size_t i = 0; i + 1 < record.n; i++) {
        struct str rest = str_skip(record, i + 1);
        bool begins = record.p[i] == ' ' || record.p[i] == '\t';
        if (begins && (str_starts_with_nocase(rest, STR("DNSKEY")) ||
                       str_starts_with_nocase(rest, STR("DS")))) {
            return rest;
        }
    }
    return record;
}

static bool
has_key(struct str records, struct str key)
{
    while (records.n > 0) {
        struct str line;
        str_cut(records, '\n', &line, &records);
        if (str_eq(key_of(line), key)) {
            return true;
        }
    }
    return false;
}

/* Every key of one is in the other; their order and their TTLs change from probe to probe. */
static bool
is_within(struct str records, struct str others)
{
    bool all = true;
    while (all && records.n > 0) {
        struct str line;
        str_cut(records, '\n', &line, &records);
        all = has_key(others, key_of(line));
    }
    return all;
}

enum status
anchor_zone_load(struct anchor_zone *zone, bool *changed_out)
{
    struct arena *arena = arena_create(3u * ANCHOR_OCTETS_MAX);
    struct str before = arena_str_dup(arena, buf_str(&zone->trusted));
    struct str text = read_file(arena, zone->path);
    enum status status = text.p != NULL ? anchor_zone_parse(zone, text) : STATUS_NOT_FOUND;
    if (status != STATUS_OK) {
        if (text.p != NULL || errno != ENOENT) {
            LOG_WARN("the state of trust anchors is broken: it begins anew",
                     LOG_CSTR("file", zone->path));
        }
        status = write_file(zone->path, buf_str(&zone->seed));
        if (status == STATUS_OK) {
            status = anchor_zone_parse(zone, buf_str(&zone->seed));
        }
    }
    struct str after = buf_str(&zone->trusted);
    *changed_out = !is_within(before, after) || !is_within(after, before);
    arena_destroy(&arena);
    return status;
}

/* FNV-1a: tells seeds apart, nothing more. */
static uint64_t
fingerprint(struct str text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.n; i++) {
        hash = (hash ^ (unsigned char)text.p[i]) * 0x100000001b3u;
    }
    return hash;
}

/* ---- selection */

static enum status
gather(struct anchors *anchors, const struct config_resolver *config, struct zone_set *set)
{
    enum status status = STATUS_OK;
    if (config->dnssec && config->trust_anchors.count == 0) {
        return add_seed(set, unbound_root_anchors());
    }
    for (size_t i = 0; config->dnssec && status == STATUS_OK && i < config->trust_anchors.count;
         i++) {
        struct str name = config->trust_anchors.items[i];
        struct str text = configured_text(anchors, name);
        status = text.p != NULL ? add_seed(set, text) : STATUS_IO;
        if (status == STATUS_SYNTAX || status == STATUS_LIMIT) {
            LOG_ERROR("a file does not hold trust anchors (DS or DNSKEY records, one a line, each "
                      "with its owner's full name)",
                      LOG_STR("file", name), LOG_CSTR("status", status_name(status)));
        }
    }
    return status;
}

enum status
anchors_select(struct anchors *anchors, const struct config_resolver *config)
{
    struct zone_set *set = calloc(1, sizeof *set);
    if (set == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = gather(anchors, config, set);
    for (size_t i = 0; status == STATUS_OK && i < set->count; i++) {
        struct anchor_zone *zone = &set->zones[i];
        bool changed;
        int n = snprintf(zone->path, sizeof zone->path, "%s/anchor-%016llx", anchors->directory,
                         (unsigned long long)fingerprint(buf_str(&zone->seed)));
        status = n > 0 && (size_t)n < sizeof zone->path ? anchor_zone_load(zone, &changed)
                                                        : STATUS_LIMIT;
    }
    if (status == STATUS_OK) {
        set_fini(&anchors->set);
        anchors->set = *set;
    } else {
        set_fini(set);
    }
    free(set);
    return status;
}

struct anchor_zone *
anchors_zones(struct anchors *anchors, size_t *count_out)
{
    *count_out = anchors->set.count;
    return anchors->set.zones;
}

struct anchors *
anchors_create(const char *directory)
{
    struct anchors *anchors = calloc(1, sizeof *anchors);
    if (anchors == NULL) {
        abort();
    }
    anchors->directory = directory;
    anchors->arena = arena_create(2u * ANCHOR_FILES_MAX * ANCHOR_OCTETS_MAX);
    return anchors;
}

void
anchors_destroy(struct anchors **anchors)
{
    if (*anchors == NULL) {
        return;
    }
    set_fini(&(*anchors)->set);
    arena_destroy(&(*anchors)->arena);
    free(*anchors);
    *anchors = NULL;
}

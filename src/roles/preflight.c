#include "roles/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "tls/configured.h"

#define PATH_TEXT_MAX 64
#define READ_SIZE     16384u
/* Certificates and keys while they are looked at. */
#define SECRETS_MAX   ((size_t)64 << 20)

enum status
preflight_read(struct arena *arena, const char *path, size_t most, struct str *octets_out)
{
    struct buf buf;
    enum status status = STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return STATUS_IO;
    }
    buf_init(&buf, most + 4 * (size_t)READ_SIZE);
    for (;;) {
        char *room = buf_reserve(&buf, READ_SIZE);
        ssize_t got = room != NULL ? read(fd, room, READ_SIZE) : -1;
        if (room != NULL && got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            status = got == 0 ? STATUS_OK : room == NULL ? STATUS_LIMIT : STATUS_IO;
            break;
        }
        buf_commit(&buf, (size_t)got);
    }
    int reason = errno;
    close(fd);
    if (status == STATUS_OK) {
        struct str octets = arena_str_dup(arena, buf_str(&buf));
        status = octets.p != NULL && octets.n <= most ? STATUS_OK : STATUS_LIMIT;
        *octets_out = status == STATUS_OK ? octets : *octets_out;
    }
    buf_free_wiped(&buf);
    errno = reason;
    return status;
}

void
preflight_settings(const struct preflight *preflight)
{
    char error[TLS_ERROR_MAX];
    const char *key;
    if (tls_configured_check(&preflight->config->tls, &key, error) != STATUS_OK) {
        config_error_add(preflight->arena, preflight->text, preflight->errors, key, "%s", error);
    }
}

/* ---- files */

/* Reads the file that the value at `path` names. */
static enum status
read_named(const struct preflight *preflight, const char *path, struct str name, size_t most,
           struct arena *arena, struct str *octets_out)
{
    char *file = arena_cstr(arena, name);
    enum status status =
        file != NULL ? preflight_read(arena, file, most, octets_out) : STATUS_LIMIT;
    if (status == STATUS_LIMIT) {
        config_error_add(preflight->arena, preflight->text, preflight->errors, path,
                         "%.*s is larger than the %zu octets that are read", STR_ARG(name), most);
    } else if (status != STATUS_OK) {
        const char *hint = errno == EACCES ? "; give it to the user who runs Postern" : "";
        config_error_add(preflight->arena, preflight->text, preflight->errors, path,
                         "%.*s cannot be read: %s%s", STR_ARG(name), strerror(errno), hint);
    }
    return status;
}

enum status
preflight_pair(const struct preflight *preflight, size_t index, struct arena *secrets,
               struct preflight_pair *pair_out)
{
    const struct config_certificate *listed = &preflight->config->tls.certificates.items[index];
    struct preflight_pair pair = {.identity = NULL};
    char path[PATH_TEXT_MAX];
    char fault[TLS_ERROR_MAX] = "";
    snprintf(path, sizeof path, "tls.certificates[%zu].certificate", index);
    enum status status =
        read_named(preflight, path, listed->certificate, TLS_PEM_MAX, secrets, &pair.chain);
    snprintf(path, sizeof path, "tls.certificates[%zu].key", index);
    enum status key_status =
        read_named(preflight, path, listed->key, TLS_PEM_MAX, secrets, &pair.key);
    status = status == STATUS_OK ? key_status : status;
    if (status != STATUS_OK) {
        return status;
    }
    status = tls_identity_parse(pair.chain, pair.key, &pair.identity, fault);
    if (status != STATUS_OK) {
        snprintf(path, sizeof path, "tls.certificates[%zu]", index);
        config_error_add(preflight->arena, preflight->text, preflight->errors, path,
                         "%.*s with %.*s: %s", STR_ARG(listed->certificate), STR_ARG(listed->key),
                         fault);
        return status;
    }
    *pair_out = pair;
    return STATUS_OK;
}

static void
check_certificates(const struct preflight *preflight)
{
    const struct config_tls *tls = &preflight->config->tls;
    size_t const count = tls->certificates.count;
    struct arena *secrets = arena_create(SECRETS_MAX);
    struct tls_identity **identities = calloc(count + 1, sizeof(struct tls_identity *));
    size_t good = 0;
    if (identities == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        struct preflight_pair pair;
        if (preflight_pair(preflight, i, secrets, &pair) == STATUS_OK) {
            identities[good++] = pair.identity;
        }
    }
    char error[TLS_ERROR_MAX];
    struct tls_server_settings settings = tls_server_settings_of(tls, STR("check"));
    struct tls_server *server = NULL;
    if (good > 0 && preflight->errors->count == 0 &&
        tls_server_create(&settings, identities, good, &server, error) != STATUS_OK) {
        config_error_add(preflight->arena, preflight->text, preflight->errors, "tls", "%s", error);
    }
    tls_server_unref(&server);
    for (size_t i = 0; i < good; i++) {
        tls_identity_unref(&identities[i]);
    }
    free(identities);
    arena_destroy_wiped(&secrets);
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Whether one of the line's words is DS or DNSKEY; what follows ";" is a comment. */
static bool
line_has_anchor(struct str line)
{
    line = str_head(line, str_find_char(line, ';'));
    while (line.n > 0) {
        size_t n = 0;
        while (n < line.n && !is_blank(line.p[n])) {
            n++;
        }
        struct str word = str_head(line, n);
        if (str_eq_nocase(word, STR("DS")) || str_eq_nocase(word, STR("DNSKEY"))) {
            return true;
        }
        line = str_skip(line, n + (n < line.n ? 1 : 0));
    }
    return false;
}

static bool
has_anchor(struct str text)
{
    struct str line;
    while (str_cut(text, '\n', &line, &text)) {
        if (line_has_anchor(line)) {
            return true;
        }
    }
    return line_has_anchor(line);
}

static void
check_trust_anchors(const struct preflight *preflight)
{
    const struct config_texts *anchors = &preflight->config->resolver.trust_anchors;
    for (size_t i = 0; i < anchors->count; i++) {
        struct arena *arena = arena_create((size_t)4 * PREFLIGHT_ANCHORS_MAX);
        struct str text;
        char path[PATH_TEXT_MAX];
        snprintf(path, sizeof path, "resolver.trust_anchors[%zu]", i);
        if (read_named(preflight, path, anchors->items[i], PREFLIGHT_ANCHORS_MAX, arena, &text) ==
                STATUS_OK &&
            !has_anchor(text)) {
            config_error_add(preflight->arena, preflight->text, preflight->errors, path,
                             "%.*s holds neither a DS nor a DNSKEY record",
                             STR_ARG(anchors->items[i]));
        }
        arena_destroy(&arena);
    }
}

enum status
preflight_roots(const struct preflight *preflight, size_t index, struct arena *arena,
                struct str *pem_out)
{
    struct str name = preflight->config->tls.trusted_roots.items[index];
    char path[PATH_TEXT_MAX];
    struct str pem;
    snprintf(path, sizeof path, "tls.trusted_roots[%zu]", index);
    enum status status = read_named(preflight, path, name, PREFLIGHT_ROOTS_MAX, arena, &pem);
    if (status != STATUS_OK) {
        return status;
    }
    if (tls_trust_count(pem) == 0) {
        config_error_add(preflight->arena, preflight->text, preflight->errors, path,
                         "%.*s holds no certificate in PEM form", STR_ARG(name));
        return STATUS_SYNTAX;
    }
    *pem_out = pem;
    return STATUS_OK;
}

static void
check_roots(const struct preflight *preflight)
{
    for (size_t i = 0; i < preflight->config->tls.trusted_roots.count; i++) {
        struct arena *arena = arena_create((size_t)4 * PREFLIGHT_ROOTS_MAX);
        struct str pem;
        enum status status = preflight_roots(preflight, i, arena, &pem);
        (void)status; /* the errors tell */
        arena_destroy(&arena);
    }
}

void
preflight_files(const struct preflight *preflight)
{
    check_certificates(preflight);
    check_roots(preflight);
    check_trust_anchors(preflight);
}

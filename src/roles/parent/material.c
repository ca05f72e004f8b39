#include "roles/parent/material.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/body.h"
#include "tls/identity.h"
#include "tls/self_signed.h"

#define MATERIAL_ARENA_MAX (CONFIG_TEXT_MAX + (8u << 20))

/* ---- files */

static enum status
read_file(struct arena *arena, const char *path, size_t most, struct str *octets_out)
{
    struct buf buf;
    enum status status = STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return STATUS_IO;
    }
    buf_init(&buf, most + 65536);
    for (;;) {
        char *room = buf_reserve(&buf, 16384);
        ssize_t got = room != NULL ? read(fd, room, 16384) : -1;
        if (got < 0 && errno == EINTR) {
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
        *octets_out = arena_str_dup(arena, buf_str(&buf));
        status = octets_out->p != NULL && octets_out->n <= most ? STATUS_OK : STATUS_LIMIT;
    }
    buf_free_wiped(&buf);
    errno = reason;
    return status;
}

static struct str
read_reason(struct arena *arena, const char *path, enum status status)
{
    if (status == STATUS_LIMIT) {
        return arena_printf(arena, "%s: larger than is allowed", path);
    }
    return arena_printf(arena, "%s: cannot be read: %s", path, strerror(errno));
}

static uint64_t
mix(uint64_t hash, const void *p, size_t n)
{
    const unsigned char *at = p;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ at[i]) * 1099511628211u; /* FNV-1a */
    }
    return hash;
}

static uint64_t
mix_file(uint64_t hash, struct str name)
{
    char path[PATH_MAX];
    struct stat st;
    snprintf(path, sizeof path, "%.*s", STR_ARG(name));
    if (stat(path, &st) != 0) {
        return mix(hash, "-", 1);
    }
    hash = mix(hash, &st.st_mtim, sizeof st.st_mtim);
    hash = mix(hash, &st.st_ino, sizeof st.st_ino);
    return mix(hash, &st.st_size, sizeof st.st_size);
}

uint64_t
material_fingerprint(const struct config *config)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < config->tls.certificates.count; i++) {
        hash = mix_file(hash, config->tls.certificates.items[i].certificate);
        hash = mix_file(hash, config->tls.certificates.items[i].key);
    }
    return hash;
}

/* ---- certificates */

static enum status
keep_certificate(struct material *material, struct str name, struct str chain, struct str key)
{
    struct material_certificate *slot = &material->certificates[material->certificate_count];
    *slot = (struct material_certificate){.name = name, .chain_fd = -1, .key_fd = -1};
    if (ipc_memfd_create("chain", chain, &slot->chain_fd) != STATUS_OK) {
        return STATUS_IO;
    }
    if (ipc_memfd_create("key", key, &slot->key_fd) != STATUS_OK) {
        close(slot->chain_fd);
        return STATUS_IO;
    }
    if (ipc_memfd_seal(slot->chain_fd) != STATUS_OK || ipc_memfd_seal(slot->key_fd) != STATUS_OK) {
        LOG_WARN("a certificate's memory could not be sealed", LOG_STR("certificate", name));
    }
    material->certificate_count++;
    return STATUS_OK;
}

static enum status
load_pair(struct material *material, struct arena *secrets, const struct config_certificate *pair,
          struct str *report_out)
{
    char *chain_path = arena_cstr(material->arena, pair->certificate);
    char *key_path = arena_cstr(material->arena, pair->key);
    struct str chain;
    struct str key;
    if (chain_path == NULL || key_path == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = read_file(secrets, chain_path, MATERIAL_PEM_MAX, &chain);
    if (status != STATUS_OK) {
        *report_out = read_reason(material->arena, chain_path, status);
        return status;
    }
    status = read_file(secrets, key_path, MATERIAL_PEM_MAX, &key);
    if (status != STATUS_OK) {
        *report_out = read_reason(material->arena, key_path, status);
        return status;
    }
    char fault[TLS_ERROR_MAX] = "";
    struct tls_identity *identity = NULL;
    status = tls_identity_parse(chain, key, &identity, fault);
    tls_identity_unref(&identity);
    if (status != STATUS_OK) {
        *report_out = arena_printf(material->arena, "%s with %s: %s", chain_path, key_path, fault);
        return status;
    }
    return keep_certificate(material, pair->certificate, chain, key);
}

static enum status
write_private(const char *path, struct str octets)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return STATUS_IO;
    }
    ssize_t written = write(fd, octets.p, octets.n);
    bool done = written == (ssize_t)octets.n && fsync(fd) == 0;
    return close(fd) == 0 && done ? STATUS_OK : STATUS_IO;
}

/* Without a certificate a trial would get nowhere: make one, keep it, and say so in the status. */
static enum status
load_self_signed(struct material *material, struct arena *secrets, struct str *report_out)
{
    const struct config *config = material->config;
    char chain_path[PATH_MAX];
    char key_path[PATH_MAX];
    struct str chain;
    struct str key;
    snprintf(chain_path, sizeof chain_path, "%.*s/" MATERIAL_SELF_SIGNED_NAME ".pem",
             STR_ARG(config->directories.state));
    snprintf(key_path, sizeof key_path, "%.*s/" MATERIAL_SELF_SIGNED_NAME ".key",
             STR_ARG(config->directories.state));
    material->self_signed = true;
    if (read_file(secrets, chain_path, MATERIAL_PEM_MAX, &chain) != STATUS_OK ||
        read_file(secrets, key_path, MATERIAL_PEM_MAX, &key) != STATUS_OK) {
        enum status status =
            tls_self_signed_create(secrets, config->hostname, clock_wall_ms(), &chain, &key);
        if (status == STATUS_OK) {
            status = write_private(key_path, key);
        }
        if (status == STATUS_OK) {
            status = write_private(chain_path, chain);
        }
        if (status != STATUS_OK) {
            *report_out = arena_printf(material->arena,
                                       "%s: a self-signed certificate cannot be made there: %s",
                                       chain_path, strerror(errno));
            return status;
        }
    }
    return keep_certificate(material, arena_str_dup(material->arena, str_from_cstr(chain_path)),
                            chain, key);
}

static enum status
load_certificates(struct material *material, struct str *report_out)
{
    const struct config_certificates *listed = &material->config->tls.certificates;
    struct arena *secrets = arena_create(64u << 20);
    enum status status = STATUS_OK;
    material->certificates =
        arena_alloc_array(material->arena, listed->count + 1, sizeof *material->certificates);
    if (material->certificates == NULL) {
        status = STATUS_LIMIT;
    }
    for (size_t i = 0; status == STATUS_OK && i < listed->count; i++) {
        status = load_pair(material, secrets, &listed->items[i], report_out);
    }
    if (status == STATUS_OK && listed->count == 0 && material->config->tls.self_signed) {
        status = load_self_signed(material, secrets, report_out);
    }
    arena_destroy_wiped(&secrets);
    return status;
}

/* ---- the whole */

static struct str
format_errors(struct arena *arena, struct str file_name, const struct config_errors *errors)
{
    struct buf lines;
    buf_init(&lines, 1u << 20);
    for (size_t i = 0; i < errors->count; i++) {
        struct str line = config_error_format(arena, file_name, &errors->items[i]);
        if (buf_printf(&lines, "%s%.*s", i > 0 ? "\n" : "", STR_ARG(line)) != STATUS_OK) {
            break;
        }
    }
    struct str report = arena_str_dup(arena, buf_str(&lines));
    buf_free(&lines);
    return report;
}

static enum status
load_config(struct material *material, struct str *report_out)
{
    struct config_errors *errors = arena_alloc(material->arena, sizeof *errors);
    if (errors == NULL || material->text.p == NULL) {
        return STATUS_LIMIT;
    }
    enum status status =
        config_load_text(material->arena, material->text, &material->config, errors);
    if (status != STATUS_OK) {
        *report_out = format_errors(material->arena, material->file_name, errors);
        return status;
    }
    return ipc_memfd_create("configuration", material->text, &material->config_fd);
}

static struct material *
material_create(struct str file_name)
{
    struct material *material = calloc(1, sizeof *material);
    if (material != NULL) {
        material->arena = arena_create(MATERIAL_ARENA_MAX);
        material->config_fd = -1;
        material->file_name = arena_str_dup(material->arena, file_name);
    }
    return material;
}

/* The end of making one: `status` is what came before, `report` is in the material's arena. */
static enum status
material_finish(struct material *material, enum status status, struct arena *arena,
                struct material **material_out, struct str *report_out)
{
    struct str report = STR("out of memory");
    if (status == STATUS_OK) {
        status = load_config(material, &report);
    } else {
        report = *report_out;
    }
    if (status != STATUS_OK) {
        *report_out = arena_str_dup(arena, report);
        material_destroy(&material);
        return status;
    }
    *material_out = material;
    return STATUS_OK;
}

enum status
material_read(const char *file_name, struct arena *arena, struct material **material_out,
              struct str *report_out)
{
    struct material *material = material_create(str_from_cstr(file_name));
    *report_out = STR("out of memory");
    if (material == NULL) {
        return STATUS_LIMIT;
    }
    enum status status = read_file(material->arena, file_name, CONFIG_TEXT_MAX, &material->text);
    if (status != STATUS_OK) {
        *report_out = read_reason(material->arena, file_name, status);
    }
    return material_finish(material, status, arena, material_out, report_out);
}

enum status
material_renew(const struct material *old, struct arena *arena, struct material **material_out,
               struct str *report_out)
{
    struct material *material = material_create(old->file_name);
    *report_out = STR("out of memory");
    if (material == NULL) {
        return STATUS_LIMIT;
    }
    material->text = arena_str_dup(material->arena, old->text);
    return material_finish(material, STATUS_OK, arena, material_out, report_out);
}

enum status
material_equip(struct material *material, struct arena *arena, struct str *report_out)
{
    struct str report = STR("out of memory");
    material->fingerprint = material_fingerprint(material->config);
    enum status status = load_certificates(material, &report);
    if (status != STATUS_OK) {
        *report_out = arena_str_dup(arena, report);
    }
    return status;
}

void
material_destroy(struct material **material)
{
    struct material *m = *material;
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->certificate_count; i++) {
        close(m->certificates[i].chain_fd);
        close(m->certificates[i].key_fd);
    }
    if (m->config_fd >= 0) {
        close(m->config_fd);
    }
    config_unref(&m->config);
    arena_destroy(&m->arena);
    free(m);
    *material = NULL;
}

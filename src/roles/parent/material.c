#include "roles/parent/material.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "ipc/body.h"
#include "roles/parent/own_certificate.h"
#include "roles/preflight.h"
#include "tls/client.h"

#define MATERIAL_ARENA_MAX (CONFIG_TEXT_MAX + (8u << 20))
#define SECRETS_ARENA_MAX  (64u << 20)
#define DAY_MS             86400000LL

/* ---- the files' times */

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
    for (size_t i = 0; i < config->tls.trusted_roots.count; i++) {
        hash = mix_file(hash, config->tls.trusted_roots.items[i]);
    }
    if (config->tls.certificates.count == 0 && config->tls.self_signed) {
        bool due = own_certificate_is_due(config, clock_wall_ms());
        hash = mix(hash, &due, sizeof due);
    }
    return hash;
}

/* ---- errors */

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

/* Whether a certificate is for that name; a wildcard stands for one label (RFC 6125 6.4.3). */
static bool
identity_covers(const struct tls_identity *identity, struct str host)
{
    for (size_t i = 0; i < tls_identity_name_count(identity); i++) {
        struct str name = tls_identity_name(identity, i);
        size_t dot = str_find_char(host, '.');
        bool wild = str_starts_with(name, STR("*.")) && dot != STR_NPOS && dot > 0;
        if (str_eq_nocase(name, host) ||
            (wild && str_eq_nocase(str_skip(name, 1), str_skip(host, dot)))) {
            return true;
        }
    }
    return false;
}

static unsigned
mode_of(struct arena *arena, struct str path)
{
    struct stat info;
    const char *name = arena_cstr(arena, path);
    return name != NULL && stat(name, &info) == 0 ? (unsigned)info.st_mode & 07777u : 0;
}

static enum status
keep_pair(struct material *material, const struct preflight_pair *pair, struct str name)
{
    enum status status = keep_certificate(material, name, pair->chain, pair->key);
    if (status == STATUS_OK) {
        struct material_certificate *kept =
            &material->certificates[material->certificate_count - 1];
        kept->not_after_ms = tls_identity_not_after_ms(pair->identity);
        kept->names_us = identity_covers(pair->identity, material->config->hostname);
    }
    return status;
}

/* Without a certificate a trial would get nowhere: make one, keep it, and say so in the status. */
static enum status
load_self_signed(struct material *material, struct arena *secrets, struct str *report_out)
{
    const struct config *config = material->config;
    struct own_certificate own;
    struct preflight_pair pair;
    char error[TLS_ERROR_MAX];
    enum status status = own_certificate_obtain(config, clock_wall_ms(), secrets, &own);
    if (status != STATUS_OK) {
        *report_out = arena_printf(material->arena,
                                   "%.*s/" OWN_CERTIFICATE_NAME
                                   ".pem: a self-signed certificate cannot be made there: %s",
                                   STR_ARG(config->directories.state), strerror(errno));
        return status;
    }
    pair = (struct preflight_pair){.chain = own.chain, .key = own.key};
    material->self_signed = true;
    status = tls_identity_parse(own.chain, own.key, &pair.identity, error);
    if (status == STATUS_OK) {
        status = keep_pair(material, &pair, arena_str_dup(material->arena, own.path));
    } else {
        *report_out = arena_printf(material->arena, "%.*s: %s", STR_ARG(own.path), error);
    }
    tls_identity_unref(&pair.identity);
    return status;
}

static enum status
load_certificates(struct material *material, struct str *report_out)
{
    const struct config_certificates *listed = &material->config->tls.certificates;
    struct config_errors *errors = arena_alloc(material->arena, sizeof *errors);
    struct arena *secrets = arena_create(SECRETS_ARENA_MAX);
    enum status status = STATUS_OK;
    material->certificates =
        arena_alloc_array(material->arena, listed->count + 1, sizeof *material->certificates);
    if (material->certificates == NULL || errors == NULL) {
        status = STATUS_LIMIT;
    }
    struct preflight preflight = {material->config, material->text, material->arena, errors};
    for (size_t i = 0; status == STATUS_OK && i < listed->count; i++) {
        struct preflight_pair pair;
        status = preflight_pair(&preflight, i, secrets, &pair);
        if (status == STATUS_OK) {
            status = keep_pair(material, &pair, listed->items[i].certificate);
            tls_identity_unref(&pair.identity);
            if (status == STATUS_OK) {
                material->certificates[i].key_path = listed->items[i].key;
                material->certificates[i].key_mode = mode_of(material->arena, listed->items[i].key);
            }
        } else {
            *report_out = format_errors(material->arena, material->file_name, errors);
        }
    }
    if (status == STATUS_OK && listed->count == 0 && material->config->tls.self_signed) {
        status = load_self_signed(material, secrets, report_out);
    }
    arena_destroy_wiped(&secrets);
    return status;
}

/* All trusted roots in one text. */
static enum status
load_roots(struct material *material, struct str *report_out)
{
    size_t count = material->config->tls.trusted_roots.count;
    struct config_errors *errors = arena_alloc(material->arena, sizeof *errors);
    struct arena *arena = arena_create((count + 1) * (size_t)2 * PREFLIGHT_ROOTS_MAX);
    struct buf roots;
    buf_init(&roots, TLS_TRUST_PEM_MAX);
    enum status status = errors != NULL ? STATUS_OK : STATUS_LIMIT;
    struct preflight preflight = {material->config, material->text, material->arena, errors};
    for (size_t i = 0; status == STATUS_OK && i < count; i++) {
        struct str pem;
        status = preflight_roots(&preflight, i, arena, &pem);
        if (status != STATUS_OK) {
            *report_out = format_errors(material->arena, material->file_name, errors);
        } else if (buf_append(&roots, pem) != STATUS_OK ||
                   buf_append_char(&roots, '\n') != STATUS_OK) {
            *report_out = STR("tls.trusted_roots are larger than is allowed together");
            status = STATUS_LIMIT;
        }
    }
    if (status == STATUS_OK && count > 0) {
        status = ipc_memfd_create("roots", buf_str(&roots), &material->roots_fd);
    }
    buf_free(&roots);
    arena_destroy(&arena);
    return status;
}

/* ---- warnings */

static struct str
certificate_warning(struct arena *arena, const struct material_certificate *certificate,
                    int64_t wall_ms)
{
    int64_t const left_ms = certificate->not_after_ms - wall_ms;
    if (left_ms <= 0) {
        return arena_printf(arena,
                            "the certificate %.*s has expired: mail clients and strict servers "
                            "refuse it; renew it",
                            STR_ARG(certificate->name));
    }
    if (left_ms < MATERIAL_EXPIRY_WARNING_DAYS * DAY_MS) {
        return arena_printf(arena, "the certificate %.*s ends in less than %lld day(s); renew it",
                            STR_ARG(certificate->name), (long long)(left_ms / DAY_MS + 1));
    }
    return STR("");
}

/* Who can read the key can be us. */
static struct str
key_warning(struct arena *arena, const struct material_certificate *certificate)
{
    if ((certificate->key_mode & (S_IRWXO | S_IWGRP)) == 0) {
        return STR("");
    }
    return arena_printf(
        arena,
        "the private key %.*s can be read or changed by others (mode %04o): make it "
        "0600",
        STR_ARG(certificate->key_path), certificate->key_mode);
}

/* Servers that check names, and mail clients, look for our host name in one of them. */
static struct str
name_warning(struct arena *arena, const struct material *material)
{
    for (size_t i = 0; i < material->certificate_count; i++) {
        if (material->certificates[i].names_us) {
            return STR("");
        }
    }
    if (material->certificate_count == 0) {
        return STR("");
    }
    return arena_printf(arena,
                        "no certificate is for the host name %.*s: the certificate %.*s is for "
                        "another name; get one for this name",
                        STR_ARG(material->config->hostname),
                        STR_ARG(material->certificates[0].name));
}

static size_t
add_warning(struct str warning, struct str *warnings_out, size_t count, size_t most)
{
    if (warning.n > 0 && count < most) {
        warnings_out[count++] = warning;
    }
    return count;
}

size_t
material_warnings(const struct material *material, int64_t wall_ms, struct arena *arena,
                  struct str *warnings_out, size_t most)
{
    size_t count = 0;
    if (material->self_signed && count < most) {
        warnings_out[count++] =
            STR("TLS uses a self-signed certificate; list one under tls.certificates");
    }
    count = add_warning(name_warning(arena, material), warnings_out, count, most);
    for (size_t i = 0; i < material->certificate_count; i++) {
        const struct material_certificate *certificate = &material->certificates[i];
        count = add_warning(certificate_warning(arena, certificate, wall_ms), warnings_out, count,
                            most);
        count = add_warning(key_warning(arena, certificate), warnings_out, count, most);
    }
    return count;
}

/* ---- the whole */

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
    struct preflight preflight = {material->config, material->text, material->arena, errors};
    preflight_settings(&preflight);
    if (errors->count > 0) {
        *report_out = format_errors(material->arena, material->file_name, errors);
        return STATUS_SYNTAX;
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
        material->roots_fd = -1;
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
    enum status status =
        preflight_read(material->arena, file_name, CONFIG_TEXT_MAX, &material->text);
    if (status == STATUS_LIMIT) {
        *report_out = arena_printf(material->arena, "%s: larger than is allowed", file_name);
    } else if (status != STATUS_OK) {
        *report_out =
            arena_printf(material->arena, "%s: cannot be read: %s", file_name, strerror(errno));
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
    if (status == STATUS_OK) {
        status = load_roots(material, &report);
    }
    if (status != STATUS_OK) {
        *report_out = arena_str_dup(arena, report);
        return status;
    }
    if (material->self_signed) {
        material->fingerprint = material_fingerprint(material->config); /* it is no longer due */
    }
    struct str warnings[MATERIAL_WARNINGS_MAX];
    size_t count =
        material_warnings(material, clock_wall_ms(), arena, warnings, MATERIAL_WARNINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        LOG_WARN("a warning about certificates", LOG_STR("text", warnings[i]));
    }
    return STATUS_OK;
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
    if (m->roots_fd >= 0) {
        close(m->roots_fd);
    }
    config_unref(&m->config);
    arena_destroy(&m->arena);
    free(m);
    *material = NULL;
}

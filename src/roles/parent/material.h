/*
 * material.h - what the parent reads from disk and hands out: the configuration's text,
 * certificates and keys. Everything becomes sealed memory (memfd), so that the roles need no files.
 */
#ifndef POSTERN_ROLES_PARENT_MATERIAL_H
#define POSTERN_ROLES_PARENT_MATERIAL_H

#include "config/config.h"

#define MATERIAL_CERTIFICATES_MAX    1000
#define MATERIAL_WARNINGS_MAX        16
/* A certificate that ends so soon is warned of. */
#define MATERIAL_EXPIRY_WARNING_DAYS 7

struct material_certificate {
    struct str name; /* file of the certificate */
    int chain_fd;    /* owned */
    int key_fd;      /* owned */
    int64_t not_after_ms;
    bool names_us;       /* it is for our host name */
    struct str key_path; /* empty: of our own making */
    unsigned key_mode;   /* permissions of the key's file, 0: not known */
};

/* One generation of everything; immutable once loaded. */
struct material {
    struct arena *arena;
    struct str file_name;
    struct str text;             /* of the configuration */
    const struct config *config; /* one reference */
    int config_fd;               /* memfd with the text */
    struct material_certificate *certificates;
    size_t certificate_count;
    int roots_fd;         /* memfd with all of tls.trusted_roots; -1: none */
    bool self_signed;     /* the certificate was made by Postern itself */
    uint64_t fingerprint; /* of the files' times and sizes, to notice a change */
};

/*
 * Reads the configuration file and nothing else; material_equip is to follow. On failure the report
 * (in `arena`) holds one line for each fault ("file:line:column: ..."), nothing is kept, and
 * *material_out is untouched.
 */
[[nodiscard]] enum status material_read(const char *file_name, struct arena *arena,
                                        struct material **material_out, struct str *report_out);
/* As material_read, with the text that `old` was made of: what the file says now is not asked. */
[[nodiscard]] enum status material_renew(const struct material *old, struct arena *arena,
                                         struct material **material_out, struct str *report_out);
/*
 * Reads the certificates and keys, once; makes a self-signed certificate in the state directory
 * where the configuration wants that. Errors as above; `material` is then good for destroying only.
 */
[[nodiscard]] enum status material_equip(struct material *material, struct arena *arena,
                                         struct str *report_out);
void material_destroy(struct material **material);

/*
 * What is wrong with the certificates at that time, for status and log: at most `most` texts, in
 * `arena` or static. Returns how many.
 */
size_t material_warnings(const struct material *material, int64_t wall_ms, struct arena *arena,
                         struct str *warnings_out, size_t most);

/*
 * The fingerprint that the certificate files have now; of Postern's own certificate only whether it
 * is to be made anew.
 */
uint64_t material_fingerprint(const struct config *config);

#endif

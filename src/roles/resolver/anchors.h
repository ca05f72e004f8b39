/*
 * anchors.h - what DNSSEC validation starts from: keys of zones, from the configuration or from the
 * program, and what has become of them since (RFC 5011).
 *
 * The configuration's files, or the root's two keys that are part of the program, are the seed. For
 * each zone in it there is a state file in the role's directory, in the form that libunbound keeps
 * (watch.c has it kept); its name holds a fingerprint of the seed, so that other anchors in the
 * configuration, or in a new version of the program, begin anew. Only keys that the state calls
 * valid or missing are trusted (RFC 5011 4): not those that wait for their hold-down, and never one
 * that was revoked.
 *
 * Files of the configuration are read before the sandbox and kept in memory; those that a reload
 * names for the first time cannot be read any more.
 */
#ifndef POSTERN_ROLES_RESOLVER_ANCHORS_H
#define POSTERN_ROLES_RESOLVER_ANCHORS_H

#include <limits.h>

#include "base/buf.h"
#include "config/config.h"

/* Zones with trust anchors; files they come from; octets of one file and of one record. */
#define ANCHOR_ZONES_MAX  16u
#define ANCHOR_FILES_MAX  16u
#define ANCHOR_OCTETS_MAX (256u * 1024u)
#define ANCHOR_RECORD_MAX 4096u

struct anchor_zone {
    char name[1024];      /* as its records write it, with the final dot */
    char path[PATH_MAX];  /* the state file */
    struct buf seed;      /* records, each with its line end */
    struct buf trusted;   /* those that validation starts from now, likewise */
    int64_t next_probe_s; /* when its keys should be asked for again; wall clock, 0: unknown */
    unsigned pending;     /* keys that wait for their hold-down */
    unsigned revoked;
};

struct anchors;

/* `directory` is borrowed and must outlive it. */
[[nodiscard]] struct anchors *anchors_create(const char *directory);
void anchors_destroy(struct anchors **anchors);

/*
 * Takes the anchors of a configuration: reads its files, makes state files where there are none and
 * loads them. On failure it has logged why and everything is as before. STATUS_SYNTAX: not records;
 * STATUS_LIMIT: too many; STATUS_IO: a file cannot be read or written.
 */
[[nodiscard]] enum status anchors_select(struct anchors *anchors,
                                         const struct config_resolver *config);

/* The zones of the last selection; borrowed until the next. */
struct anchor_zone *anchors_zones(struct anchors *anchors, size_t *count_out);

/*
 * Reads a zone's state file again; *changed_out: other keys are trusted than before. A file that is
 * broken is made anew from the seed, with a warning in the log.
 */
[[nodiscard]] enum status anchor_zone_load(struct anchor_zone *zone, bool *changed_out);

/* Reads the text of a state file into the zone; for anchor_zone_load, tests and the fuzzer. */
[[nodiscard]] enum status anchor_zone_parse(struct anchor_zone *zone, struct str text);
void anchor_zone_fini(struct anchor_zone *zone);

#endif

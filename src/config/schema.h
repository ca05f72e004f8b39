/*
 * schema.h - the one table of what may be configured.
 *
 * Each key is a row: its type, where its value lives in struct config, default, bounds, and what it
 * means. The loader, `config defaults`, the reference page, the manual page and the JSON schema all
 * walk this table, so a new key is a new member in config.h and a new row in schema.c. Private to
 * src/config; constant data only.
 */
#ifndef POSTERN_CONFIG_SCHEMA_H
#define POSTERN_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a value is. All but SCHEMA_MAP are written as one scalar; scalar.c has a row for each. */
enum schema_type {
    SCHEMA_MAP,          /* field->map */
    SCHEMA_BOOL,         /* bool */
    SCHEMA_COUNT,        /* uint32_t */
    SCHEMA_PORT,         /* uint16_t */
    SCHEMA_DECIMAL,      /* double; bounds in thousandths */
    SCHEMA_DURATION,     /* int64_t milliseconds */
    SCHEMA_SIZE,         /* uint64_t octets */
    SCHEMA_DATE,         /* int64_t, milliseconds since 1970: the end of that day in UTC */
    SCHEMA_CHOICE,       /* an enum; field->choices */
    SCHEMA_TEXT,         /* struct str of printable ASCII; bounds on its length */
    SCHEMA_NAME,         /* struct str of a-z 0-9 _ - */
    SCHEMA_SEPARATOR,    /* char */
    SCHEMA_PATH,         /* struct str, absolute */
    SCHEMA_HOSTNAME,     /* struct str, A-labels, at least two */
    SCHEMA_DOMAIN,       /* struct str, A-labels */
    SCHEMA_ROUTE_DOMAIN, /* the same, may begin with a dot */
    SCHEMA_MAILBOX,      /* struct config_mailbox */
    SCHEMA_LOCAL_PART,   /* struct str */
    SCHEMA_ADDRESS,      /* struct ip_address */
    SCHEMA_NETWORK,      /* struct ip_network */
    SCHEMA_ENDPOINT,     /* struct config_endpoint */
    SCHEMA_DELIVERY,     /* struct config_delivery */
    SCHEMA_FINDING,      /* enum finding_id */
};

/* One word of a SCHEMA_CHOICE; the list ends with name NULL. */
struct schema_choice {
    const char *name;
    unsigned value;
    const char *doc;
};

struct schema_field {
    const char *name;
    enum schema_type type;
    bool is_list;  /* the member is {const T *items; size_t count}; bounds are on count */
    bool required; /* must be in its map */
    size_t offset; /* of the member in the map's struct */
    /* The default as it would be written; NULL: not set (or empty), and `unset` says what then. */
    const char *fallback;
    const char *unset;
    uint64_t least; /* bounds in the type's unit; both 0: none */
    uint64_t most;
    const struct schema_choice *choices;
    const struct schema_map *map;
    const char *doc;     /* plain sentences */
    const char *example; /* YAML flow form; shown where there is no default */
};

struct schema_map {
    const char *title; /* for headings, "A listener" */
    const char *c_struct;
    size_t size; /* of the C struct */
    /* A key whose value may be written instead of the whole map ("smart_host: smtp://..."). */
    const char *shorthand;
    const struct schema_field *fields;
    size_t count;
};

/* The whole file: fills a struct config. */
extern const struct schema_map schema_root;

/* The words of the enums, for config_*_name(). */
extern const struct schema_choice schema_listener_kinds[];
extern const struct schema_choice schema_tls_modes[];
extern const struct schema_choice schema_tls_versions[];
extern const struct schema_choice schema_recipients[];
extern const struct schema_choice schema_actions[];
extern const struct schema_choice schema_seals[];
extern const struct schema_choice schema_ehlo_keywords[];

#endif

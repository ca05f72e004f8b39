/*
 * check_op.h - the operations behind `postern check`: one JSON object in, one out.
 *
 * An operation is a pure function over its request: the DNS is a table in the request ("zone"), or
 * whatever source the caller has, and the clock is a number. So a case that was written down can be
 * run again anywhere, with the same result.
 *
 * Octets in JSON: a string holds octets, code point U+00E9 is the octet 0xE9; code points above
 * U+00FF are an error. What is text in UTF-8 has to be encoded first (in Python:
 * text.encode("utf-8").decode("latin-1")).
 */
#ifndef POSTERN_CLI_CHECK_OP_H
#define POSTERN_CLI_CHECK_OP_H

#include <jansson.h>

#include "config/config.h"
#include "dns/dns.h"

/* Memory of one operation; what needs more fails. */
#define CHECK_OP_ARENA (512u << 20)

struct check_op {
    struct arena *arena;          /* of this operation */
    const json_t *request;        /* borrowed */
    const struct dns_source *dns; /* never NULL; answers SERVFAIL where there is no DNS */
    const struct config *config;  /* never NULL; see struct check_op_around */
    int64_t now;                  /* seconds since 1970: "now" of the request, or the clock */
};

/* What an operation is done with where the request does not say otherwise. Borrowed. */
struct check_op_around {
    const struct dns_source *dns; /* NULL: there is none */
    const struct config *config;  /* NULL: that of a gateway which has nothing of its own */
};

/*
 * Does one operation. Returns an object that the caller releases; {"error": text} (see
 * check_op_error) when the request is not what the operation wants. Never NULL.
 */
typedef json_t *check_op_function(struct check_op *op);

/* Every function that check_ops.def names. */
#define CHECK_OP(name, function) check_op_function function;
#include "cli/check_ops.def"
#undef CHECK_OP

/*
 * Runs the operation that the member "op" of `request` names. Members "zone" (source_zone.h) and
 * "config" (the text of a configuration) take the place of what is `around`. Returns the answer,
 * which the caller releases; never NULL.
 */
json_t *check_op_run(const json_t *request, const struct check_op_around *around);

/*
 * The settings of a gateway that has nothing of its own, for who asks about others' mail with no
 * configuration at hand. The caller ends it with config_unref; never NULL.
 */
const struct config *check_op_no_gateway(void);

/* The answer {"error": text}. */
json_t *check_op_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * The octets of a member; copied into the arena. False when it is absent, no string, or holds a
 * code point above U+00FF; *octets_out is untouched then.
 */
bool check_op_octets(struct check_op *op, const char *key, struct str *octets_out);
/* The same, the empty text where the member is absent. */
struct str check_op_octets_or_empty(struct check_op *op, const char *key);
/* The same for a value that stands elsewhere. */
bool check_op_octets_of(struct check_op *op, const json_t *value, struct str *octets_out);

/* A JSON string that holds these octets; the caller releases it. */
json_t *check_op_json(struct check_op *op, struct str octets);

#endif

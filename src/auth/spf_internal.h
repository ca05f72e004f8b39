/*
 * spf_internal.h - what the files of the SPF evaluation share; nobody else includes it.
 */
#ifndef POSTERN_AUTH_SPF_INTERNAL_H
#define POSTERN_AUTH_SPF_INTERNAL_H

#include "auth/iprev.h"
#include "auth/spf.h"
#include "auth/spf_macro.h"

/* One evaluation. The domain in `values` is the one whose record is being looked at. */
struct spf_state {
    const struct spf_input *input;
    struct spf_macro_values values;
    unsigned lookups;
    unsigned void_lookups;
    bool term_is_void; /* the mechanism at hand asked in vain */
    bool explaining;   /* limits do not hold for explanations (RFC 7208 6.2) */
    bool names_known;
    struct iprev_outcome names; /* of the client, when names_known */
    enum status failure;        /* of the program, met where only the DNS was asked for */
    struct str mechanism;
    struct str explanation;
    struct str problem;
};

/*
 * check_host() for the domain in state->values (RFC 7208 4), with its results and state->mechanism,
 * ->explanation and ->problem. `included`: inside an include, so that only the result counts.
 * STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status spf_evaluate(struct spf_state *state, bool included,
                                       enum spf_result *result_out);

/*
 * The octets of a domain, without a final dot, as a name to ask for. STATUS_SYNTAX: it is malformed
 * (a dot that is still at its end has an empty label before it, RFC 7208 4.3), so that nothing can
 * be there; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status spf_query_name(struct arena *arena, struct str domain,
                                         struct str *name_out);

/*
 * Expands a domain-spec, the current domain where it is empty. STATUS_NOT_FOUND: it names nothing,
 * STATUS_DENIED: its %{p} is one lookup too many; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status spf_expand_target(struct spf_state *state, struct str spec,
                                            struct str *domain_out);

/* Notes one more term that asks the DNS; false when it is one too many (RFC 7208 4.6.4). */
bool spf_count_lookup(struct spf_state *state);

/* Looks the client's names up, once in an evaluation. STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status spf_client_names(struct spf_state *state);

/* Sets the problem from printf's arguments; a full arena leaves it empty. */
void spf_problem(struct spf_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum spf_match {
    SPF_MATCH_NO,
    SPF_MATCH_YES,
    SPF_MATCH_TEMPERROR,
    SPF_MATCH_PERMERROR,
};

/* Evaluates one mechanism but include (RFC 7208 5). STATUS_LIMIT: the arena is full. */
[[nodiscard]] enum status spf_mechanism_match(struct spf_state *state,
                                              const struct spf_directive *directive,
                                              enum spf_match *match_out);

/* Fetches and expands the explanation of a record into the state (RFC 7208 6.2). */
[[nodiscard]] enum status spf_explain(struct spf_state *state, struct str domain_spec);

#endif

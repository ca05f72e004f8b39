/*
 * tls_sessions.h - the accounts of which TLS reports are made (RFC 8460 4): for each day (UTC),
 * each policy domain and each policy that applied, how many sessions succeeded, and how many failed
 * in which way.
 *
 * One file, <directory>/tls-sessions.db, used by one thread. What is counted is on disk after
 * tls_sessions_commit; a power cut may lose the last commits. A damaged file is set aside as
 * tls-sessions.db.damaged, with an error in the log, and counting begins anew. Counts are less than
 * mail: when they cannot be written they are lost, and said to be, and nothing else waits for them.
 *
 * Who calls leaves out the sessions that carry reports (RFC 8460 3), and says of each session which
 * policy it was judged by; another policy that the domain has is told with no session (is_used).
 */
#ifndef POSTERN_STORE_TLS_SESSIONS_H
#define POSTERN_STORE_TLS_SESSIONS_H

#include "transport/tlsrpt_report.h"

/* Policies of one domain on one day: it may change them. More count as one without its text. */
#define TLS_SESSIONS_POLICIES_MAX    16u
/* Kinds of failures of one policy on one day; more count by result alone. */
#define TLS_SESSIONS_FAILURES_MAX    500u
/* Rows of one day, of all domains; what is beyond them is not counted (struct tls_session_counts).
 */
#define TLS_SESSIONS_ROWS_OF_DAY_MAX 200000u
/* Octets of the text of a policy, cut at a line; of any other text. */
#define TLS_SESSIONS_LINES_MAX       16384u
#define TLS_SESSIONS_TEXT_MAX        255u
/* Domains of one page. */
#define TLS_SESSIONS_PAGE_MAX        500u

struct tls_sessions;

/* One session. Texts may be empty, but for the domain. */
struct tls_session {
    struct str domain; /* of the policy: A-labels, lower case */
    enum tls_policy_type type;
    struct str lines; /* the policy-string: lines with "\n" between */
    bool is_used;     /* false: the policy is there, and the session was judged by another */
    enum tls_result result;
    struct str mx;
    struct str sending_ip;
    struct str receiving_ip;
    struct str reason; /* failure-reason-code: of a failure; no two sessions should differ by it
                          without need */
};

struct tls_session_counts {
    uint64_t sessions; /* counted since opening */
    uint64_t lost;     /* not counted: errors, or beyond TLS_SESSIONS_ROWS_OF_DAY_MAX */
};

/* Opens or makes the file. Errors as in ledger_database.h, but for damage. */
[[nodiscard]] enum status tls_sessions_open(const char *directory,
                                            struct tls_sessions **sessions_out);
/* Commits, and sets *sessions to NULL. NULL is allowed. */
void tls_sessions_close(struct tls_sessions **sessions);

/* Counts a session on the day of `now_ms`. Never fails: see above. */
void tls_sessions_count(struct tls_sessions *sessions, const struct tls_session *session,
                        int64_t now_ms);
/* Commits what was counted. */
void tls_sessions_commit(struct tls_sessions *sessions);
struct tls_session_counts tls_sessions_counts(const struct tls_sessions *sessions);

/* ---- reports; each commits first */

/*
 * The domains of a day (since 1970) in order, after `after` (empty: from the beginning); at most
 * TLS_SESSIONS_PAGE_MAX. An array in the arena. STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status tls_sessions_domains(struct tls_sessions *sessions, int64_t day,
                                               struct str after, struct arena *arena,
                                               const struct str **domains_out, size_t *count_out);
/*
 * What a report about the domain and day says: its range and policies; organization, contact and id
 * are the caller's. STATUS_NOT_FOUND: nothing was counted; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status tls_sessions_report(struct tls_sessions *sessions, int64_t day,
                                              struct str domain, struct arena *arena,
                                              struct tlsrpt_report *report_out);
/* Forgets a domain's day: its report is on its way, or nobody wants it. */
[[nodiscard]] enum status tls_sessions_forget(struct tls_sessions *sessions, int64_t day,
                                              struct str domain);
/* Forgets all days before `day`. */
[[nodiscard]] enum status tls_sessions_expire(struct tls_sessions *sessions, int64_t day);

#endif

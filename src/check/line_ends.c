/*
 * line_ends - NUL, CR without LF, LF without CR, and overlong lines, in the whole message.
 *
 * Readers of mail differ in what they take for the end of a line; what hides behind that difference
 * is read by one and not by the other (SMTP smuggling is the best known case). The edge refuses
 * most of it; here it is told, and what was let in as data on purpose is on record.
 */
#include "check/check.h"

struct line_facts {
    size_t nul;
    size_t nul_at;
    size_t bare_cr;
    size_t bare_cr_at;
    size_t bare_lf;
    size_t bare_lf_at;
    size_t longest;
    size_t longest_at;
};

static void
count_once(size_t *count, size_t *first, size_t at)
{
    if ((*count)++ == 0) {
        *first = at;
    }
}

/* The CRs between `start` and `end`, which is a LF or the end of the content. */
static void
count_bare_cr(struct str content, size_t start, size_t end, struct line_facts *facts)
{
    size_t at = start;
    while (at < end) {
        const char *cr = memchr(content.p + at, '\r', end - at);
        if (cr == NULL) {
            return;
        }
        at = (size_t)(cr - content.p) + 1;
        if (at < end || end == content.n) {
            count_once(&facts->bare_cr, &facts->bare_cr_at, at - 1);
        }
    }
}

static void
count_nul(struct str content, struct line_facts *facts)
{
    size_t at = 0;
    const char *nul;
    while (at < content.n && (nul = memchr(content.p + at, '\0', content.n - at)) != NULL) {
        at = (size_t)(nul - content.p) + 1;
        count_once(&facts->nul, &facts->nul_at, at - 1);
    }
}

/* Goes from LF to LF; a line is what lies between two CRLF. */
static void
collect(struct str content, struct line_facts *facts)
{
    size_t line = 0;
    size_t at = 0;
    while (at < content.n) {
        const char *lf = memchr(content.p + at, '\n', content.n - at);
        size_t end = lf != NULL ? (size_t)(lf - content.p) : content.n;
        bool crlf = lf != NULL && end > at && content.p[end - 1] == '\r';
        count_bare_cr(content, at, end, facts);
        if (lf != NULL && !crlf) {
            count_once(&facts->bare_lf, &facts->bare_lf_at, end);
        }
        size_t length = end - line - (crlf ? 1 : 0);
        if (length > facts->longest) {
            facts->longest = length;
            facts->longest_at = line;
        }
        at = end + 1;
        if (crlf) {
            line = at;
        }
    }
}

#define OFFSET(n) EVIDENCE("offset", finding_number(findings, n))
#define COUNT(n)  EVIDENCE("count", finding_number(findings, n))

enum status
check_line_ends(const struct check_input *input, struct finding_list *findings)
{
    struct line_facts facts = {0};
    count_nul(input->content, &facts);
    collect(input->content, &facts);
    if (facts.nul > 0) {
        FINDING_ADD(findings, LINE_NUL, COUNT(facts.nul), OFFSET(facts.nul_at));
    }
    if (facts.bare_cr > 0) {
        FINDING_ADD(findings, LINE_BARE_CR, COUNT(facts.bare_cr), OFFSET(facts.bare_cr_at));
    }
    if (facts.bare_lf > 0) {
        FINDING_ADD(findings, LINE_BARE_LF, COUNT(facts.bare_lf), OFFSET(facts.bare_lf_at));
    }
    if (facts.longest > MAIL_LINE_MAX) {
        FINDING_ADD(findings, LINE_TOO_LONG,
                    EVIDENCE("octets", finding_number(findings, facts.longest)),
                    OFFSET(facts.longest_at));
    }
    return STATUS_OK;
}

/*
 * {"op": "domain", "domain": name, "selectors": [DKIM selector, ...]}
 *     -> {"domain", "faults": number, "warnings": number, "notes": number,
 *         "sections": [{"name", "title", "verdict": "ok" | "note" | "warning" | "fault",
 *             "facts": [{"depth", "text"}, ...],
 *             "faults": [{"name", "severity", "detail", "meaning", "do", "standard"}, ...]}, ...]}
 */
#include "cli/domain_report.h"
#include "mail/author.h"

json_t *
check_op_domain(struct check_op *op)
{
    static void (*const sections[])(struct domain_report *) = {
        domain_check_dns, domain_check_mx, domain_check_spf, domain_check_dmarc, domain_check_dkim,
    };
    struct domain_report report = {.op = op};
    struct str domain;
    if (!check_op_octets(op, "domain", &domain) ||
        mail_domain_normalize(op->arena, domain, &report.domain) != STATUS_OK) {
        return check_op_error("domain: expected \"domain\", the name of a domain");
    }
    report.sections = json_array();
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        sections[i](&report);
        if (i == 0 && report.counts[DOMAIN_SEVERITY_FAULT] > 0) {
            break; /* it does not exist, or cannot be asked: the rest would say the same */
        }
    }
    return json_pack("{s:o, s:i, s:i, s:i, s:o}", "domain", check_op_json(op, report.domain),
                     "faults", (int)report.counts[DOMAIN_SEVERITY_FAULT], "warnings",
                     (int)report.counts[DOMAIN_SEVERITY_WARNING], "notes",
                     (int)report.counts[DOMAIN_SEVERITY_NOTE], "sections", report.sections);
}

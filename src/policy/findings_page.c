#include "policy/findings_page.h"

#include <stdlib.h>

#include "policy/checks.h"
#include "policy/decision.h"

static const char head[] =
    "# Findings\n"
    "\n"
    "What the checks can find out about a message, and what is done about it: `inbound` for mail\n"
    "to our domains, `outbound` for mail of our users and of hosts that may relay. `checks` in "
    "the\n"
    "configuration changes it. Written by `postern config findings > doc/findings.md`.\n";

static enum status
write_row(struct buf *out, const struct finding_row *row)
{
    const struct decision_rule *rule = decision_rule_default(row->id);
    return buf_printf(out, "| `%s` | %s | %s | %s | %s | %s |\n", row->name, row->meaning,
                      row->standard, finding_verdict_name(row->verdict),
                      config_action_name(rule->inbound), config_action_name(rule->outbound));
}

/* One check with its findings; `name` is empty for those of the machinery. */
static enum status
write_check(struct buf *out, const char *name, const char *meaning)
{
    size_t count;
    const struct finding_row *rows = finding_rows(&count);
    enum status status = name[0] != '\0' ? buf_printf(out, "\n## Check %s: %s\n", name, meaning)
                                         : buf_printf(out, "\n## All checks\n");
    if (status == STATUS_OK) {
        status = buf_append(out, STR("\n| finding | meaning | standard | verdict | inbound | "
                                     "outbound |\n|---|---|---|---|---|---|\n"));
    }
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (strcmp(rows[i].check, name) == 0) {
            status = write_row(out, &rows[i]);
        }
    }
    return status;
}

enum status
findings_page_write(struct buf *out)
{
    size_t count;
    const struct check *table = checks_table(&count);
    enum status status = buf_append(out, str_from_cstr(head));
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = write_check(out, table[i].name, table[i].meaning);
    }
    return status == STATUS_OK ? write_check(out, "", "") : status;
}

/*
 * domain_report.h - what `postern check domain` finds, section by section: facts, and faults with
 * what to do about them (domain_faults.def).
 *
 * Text comes from the DNS of strangers: what is not printable ASCII is written as \DDD.
 */
#ifndef POSTERN_CLI_DOMAIN_REPORT_H
#define POSTERN_CLI_DOMAIN_REPORT_H

#include "cli/check_op.h"

/* Octets of one fact or detail; the rest is cut off. */
#define DOMAIN_TEXT_MAX 1000u

enum domain_severity {
    DOMAIN_SEVERITY_NOTE,
    DOMAIN_SEVERITY_WARNING,
    DOMAIN_SEVERITY_FAULT,
};
#define DOMAIN_SEVERITY_COUNT 3u

enum domain_fault {
#define FAULT(NAME, name, severity, meaning, action, standard) DOMAIN_FAULT_##NAME,
#include "cli/domain_faults.def"
#undef FAULT
};

struct domain_report {
    struct check_op *op;
    struct str domain; /* in normal form */
    bool is_null_mx;   /* the domain says that it takes no mail */
    json_t *sections;
    json_t *section; /* the current one; borrowed */
    unsigned counts[DOMAIN_SEVERITY_COUNT];
};

/* Begins a section; `title` as people read it. */
void domain_section(struct domain_report *report, const char *name, const char *title);
/* Adds a line; `depth` steps below the section's first. */
void domain_fact(struct domain_report *report, unsigned depth, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds a fault; the detail says where or what, and may be empty. */
void domain_fault(struct domain_report *report, enum domain_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A member of the section for programs. */
void domain_number(struct domain_report *report, const char *key, int64_t number);

/*
 * Asks the DNS. False when there is no answer to use: for temporary failures the fault has been
 * added with the name that was asked; what does not exist is an answer without records.
 */
bool domain_ask(struct domain_report *report, struct str name, uint16_t type,
                struct dns_answer *answer_out);
/* The texts of an answer's TXT records, in the arena; broken ones are left out. */
size_t domain_texts(struct domain_report *report, const struct dns_answer *answer,
                    const struct str **texts_out);
/* "prefix.name" in the arena; empty when it is full. */
struct str domain_below(struct domain_report *report, const char *prefix, struct str name);

/* The sections, in their order. */
void domain_check_dns(struct domain_report *report);
void domain_check_mx(struct domain_report *report);
void domain_check_spf(struct domain_report *report);
void domain_check_dmarc(struct domain_report *report);
void domain_check_dkim(struct domain_report *report);

#endif

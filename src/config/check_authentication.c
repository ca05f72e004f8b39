#include "config/check.h"

/* A field of our own: a name that no standard has, since it is removed from mail that comes in. */
static void
check_verdict_field(struct checker *checker, const struct yaml_node *group)
{
    struct str name = checker->config->authentication.verdict_field;
    bool good = str_starts_with_nocase(name, STR("X-")) && name.n > 2;
    for (size_t i = 0; good && i < name.n; i++) {
        good = char_is_alnum(name.p[i]) || name.p[i] == '-';
    }
    if (!good && yaml_is_sound(group, "verdict_field")) {
        report_add(checker->report, yaml_place_of(group, "verdict_field"),
                   "authentication.verdict_field: expected the name of a header field of your own: "
                   "X-, then letters, digits and hyphens");
    }
}

static void
check_srs(struct checker *checker, const struct yaml_node *group)
{
    struct str domain = checker->config->authentication.srs.domain;
    const struct yaml_node *srs = yaml_map_get(group, "srs");
    if (domain.n == 0 || srs == NULL || !yaml_is_sound(srs, "domain")) {
        return;
    }
    /* The list is not sorted yet, so config_domain_find would not find it. */
    for (size_t i = 0; i < checker->config->domains.count; i++) {
        if (str_eq(checker->config->domains.items[i].name, domain)) {
            return;
        }
    }
    report_add(checker->report, yaml_place_of(srs, "domain"),
               "authentication.srs.domain: %.*s is not among domains, so notices to its senders "
               "would be refused",
               STR_ARG(domain));
}

static void
check_exceptions(struct checker *checker, const struct yaml_node *group)
{
    const struct config_dmarc_exceptions *list = &checker->config->authentication.dmarc.exceptions;
    struct named *names = named_alloc(checker, list->count);
    if (names == NULL || list->count == 0) {
        return;
    }
    const struct yaml_node *node = yaml_map_get(yaml_map_get(group, "dmarc"), "exceptions")->first;
    for (size_t i = 0; i < list->count; i++, node = node->next) {
        names[i] = (struct named){list->items[i].domain, node, &list->items[i]};
    }
    report_repeated(checker, "the exception for", names, list->count);
}

/* Names as SPF has them: unlike those of hosts with underscores (RFC 8552). */
static bool
is_record_name(struct str name)
{
    bool good = str_contains_char(name, '.') && name.p[0] != '.' && name.p[name.n - 1] != '.' &&
                str_find(name, STR("..")) == STR_NPOS;
    for (size_t i = 0; good && i < name.n; i++) {
        char c = name.p[i];
        good = char_is_alnum(c) || c == '-' || c == '_' || c == '.';
    }
    return good;
}

static void
check_spf_includes(struct checker *checker, const struct yaml_node *group)
{
    const struct config_texts *includes = &checker->config->authentication.spf.includes;
    const struct yaml_node *spf = yaml_map_get(group, "spf");
    if (includes->count == 0 || spf == NULL || !yaml_is_sound(spf, "includes")) {
        return;
    }
    for (size_t i = 0; i < includes->count; i++) {
        if (!is_record_name(includes->items[i])) {
            report_add(
                checker->report, yaml_place_of(spf, "includes"),
                "authentication.spf.includes[%zu]: expected the name of a domain with an SPF "
                "record, such as _spf.example.net",
                i);
        }
    }
}

void
check_authentication(struct checker *checker)
{
    const struct yaml_node *group = yaml_map_get(checker->tree, "authentication");
    if (group == NULL || group->kind != YAML_MAP) {
        return;
    }
    check_verdict_field(checker, group);
    check_srs(checker, group);
    check_exceptions(checker, group);
    check_spf_includes(checker, group);
}

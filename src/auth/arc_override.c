#include "auth/arc_override.h"

#include "base/buf.h"
#include "dns/name.h"
#include "mail/author.h"

/* Octets of the comment; what is more is left out at a set's border. */
#define COMMENT_MAX 4096u
/* Of the address that a report is quoted for. */
#define REMOTE_MAX  64u

static bool
is_trusted(struct str domain, const struct str *trusted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct str entry = trusted[i];
        bool below = entry.n > 1 && entry.p[0] == '.';
        if (below ? dns_name_is_within(domain, str_skip(entry, 1)) &&
                        !dns_name_eq(domain, str_skip(entry, 1))
                  : entry.n > 0 && dns_name_eq(domain, entry)) {
            return true;
        }
    }
    return false;
}

/* A domain as others write it, in the form that is compared. */
static bool
is_same_domain(struct arena *arena, struct str reported, struct str author_domain)
{
    struct str domain;
    return mail_domain_normalize(arena, reported, &domain) == STATUS_OK &&
           dns_name_eq(domain, author_domain);
}

/* The reports about the author's domain: how many, and how many of them say pass. */
static void
count_reports(struct arena *arena, const struct authres *results, struct str author_domain,
              size_t *all_out, size_t *passed_out)
{
    const struct authres_result *dmarc;
    size_t from = 0;
    *all_out = 0;
    *passed_out = 0;
    while ((dmarc = authres_find(results, STR("dmarc"), &from)) != NULL) {
        struct str reported = authres_property_value(dmarc, STR("header"), STR("from"));
        if (is_same_domain(arena, reported, author_domain)) {
            (*all_out)++;
            *passed_out += str_eq_nocase(dmarc->result, STR("pass")) ? 1 : 0;
        }
    }
}

bool
arc_override(struct arena *arena, const struct arc_verification *verification,
             const struct str *trusted, size_t trusted_count, struct str author_domain,
             struct arc_voucher *voucher_out)
{
    if (verification->result != ARC_RESULT_PASS || str_is_empty(author_domain)) {
        return false;
    }
    for (size_t i = verification->chain.count; i > 0; i--) {
        const struct arc_set_verdict *verdict = &verification->sets[i - 1];
        const struct arc_seal_tags *seal = &verdict->set->seal;
        size_t all = 0;
        size_t passed = 0;
        if (!is_trusted(seal->domain, trusted, trusted_count)) {
            return false;
        }
        if (verdict->has_results) {
            count_reports(arena, &verdict->results, author_domain, &all, &passed);
        }
        if (passed > 0 && passed < all) {
            return false; /* it says two things at once */
        }
        if (passed > 0) {
            *voucher_out = (struct arc_voucher){.instance = verdict->set->instance,
                                                .sealer = seal->domain,
                                                .authserv_id = verdict->results.authserv_id};
            return true;
        }
    }
    return false;
}

/* smtp.remote-ip of a set's results; empty when it does not say, or says no address. */
static struct str
remote_of(const struct arc_set_verdict *verdict)
{
    for (size_t i = 0; verdict->has_results && i < verdict->results.result_count; i++) {
        struct str ip =
            authres_property_value(&verdict->results.results[i], STR("smtp"), STR("remote-ip"));
        struct ip_address parsed;
        if (ip.n > 0 && ip.n <= REMOTE_MAX && ip_parse(ip, &parsed) == STATUS_OK) {
            return ip;
        }
    }
    return str_make("", 0);
}

struct str
arc_override_comment(struct arena *arena, const struct arc_verification *verification)
{
    struct buf text;
    struct str remote = {0};
    buf_init(&text, COMMENT_MAX);
    enum status status = buf_printf(&text, "arc=%s", arc_result_name(verification->result));
    for (size_t i = verification->chain.count; i > 0 && status == STATUS_OK; i--) {
        const struct arc_seal_tags *seal = &verification->sets[i - 1].set->seal;
        status = buf_printf(&text, " as[%zu].d=%.*s as[%zu].s=%.*s", i, STR_ARG(seal->domain), i,
                            STR_ARG(seal->selector));
    }
    if (status == STATUS_OK && verification->chain.count > 0) {
        remote = remote_of(&verification->sets[0]);
    }
    if (remote.n > 0) {
        /* What does not fit is left out. */
        (void)!buf_printf(&text, " remote-ip[1]=%.*s", STR_ARG(remote));
    }
    struct str comment = arena_str_dup(arena, buf_str(&text));
    buf_free(&text);
    return comment;
}

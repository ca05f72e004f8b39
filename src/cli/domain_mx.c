/* The domain itself, and where its mail goes (RFC 5321 5.1, RFC 7505). */
#include "auth/iprev.h"
#include "cli/domain_report.h"
#include "dns/rdata.h"

/* Servers that are looked at. */
#define MX_MAX 20u

/* ---- the domain */

void
domain_check_dns(struct domain_report *report)
{
    struct dns_answer answer;
    domain_section(report, "dns", "DNS");
    if (!domain_ask(report, report->domain, DNS_TYPE_NS, &answer)) {
        return;
    }
    if (answer.outcome == DNS_OUTCOME_NXDOMAIN) {
        domain_fault(report, DOMAIN_FAULT_DOMAIN_MISSING, "%.*s", STR_ARG(report->domain));
        return;
    }
    domain_fact(report, 0, "exists; DNSSEC: %s", dns_security_name(answer.security));
    json_object_set_new(report->section, "dnssec", json_string(dns_security_name(answer.security)));
    if (answer.security == DNS_SECURITY_INSECURE) {
        domain_fault(report, DOMAIN_FAULT_DNSSEC_NONE, "%.*s", STR_ARG(report->domain));
    }
}

/* ---- servers */

/* Networks that are not routed between strangers (RFC 6890). */
static bool
is_unreachable(const struct ip_address *ip)
{
    static const char *const networks[] = {
        "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
        "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
        "::/127",         "fc00::/7",      "fe80::/10",
    };
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        struct ip_network network;
        if (ip_network_parse(str_from_cstr(networks[i]), &network) == STATUS_OK &&
            ip_network_contains(&network, ip)) {
            return true;
        }
    }
    return false;
}

static void
check_address(struct domain_report *report, struct str host, const struct ip_address *ip)
{
    char text[IP_TEXT_MAX];
    struct iprev_outcome reverse;
    ip_format(ip, text);
    if (is_unreachable(ip)) {
        domain_fact(report, 1, "%s", text);
        domain_fault(report, DOMAIN_FAULT_MX_UNREACHABLE, "%.*s: %s", STR_ARG(host), text);
    } else if (iprev_check(report->op->dns, report->op->arena, ip, &reverse) == STATUS_OK &&
               reverse.result == IPREV_RESULT_PASS) {
        domain_fact(report, 1, "%s is called %.*s", text, STR_ARG(reverse.name));
    } else {
        domain_fact(report, 1, "%s", text);
        domain_fault(report, DOMAIN_FAULT_MX_NO_REVERSE, "%s", text);
    }
}

/* Looks at the addresses of a host; how many there are. */
static size_t
check_addresses(struct domain_report *report, struct str host)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_AAAA};
    size_t found = 0;
    for (size_t i = 0; i < 2; i++) {
        struct dns_answer answer;
        const struct ip_address *ips;
        size_t count = 0;
        if (!domain_ask(report, host, types[i], &answer) ||
            dns_answer_addresses(report->op->arena, &answer, &ips, &count) != STATUS_OK) {
            return SIZE_MAX; /* unknown, and said so */
        }
        for (size_t k = 0; k < count; k++) {
            check_address(report, host, &ips[k]);
        }
        found += count;
    }
    return found;
}

static void
check_server(struct domain_report *report, const struct dns_mx *mx)
{
    struct dns_answer alias;
    struct ip_address ip;
    domain_fact(report, 0, "%u %.*s", (unsigned)mx->preference, STR_ARG(mx->exchange));
    if (!dns_name_is_host(mx->exchange) || ip_parse(mx->exchange, &ip) == STATUS_OK) {
        domain_fault(report, DOMAIN_FAULT_MX_NOT_A_HOST, "%.*s", STR_ARG(mx->exchange));
        return;
    }
    if (domain_ask(report, mx->exchange, DNS_TYPE_CNAME, &alias) &&
        alias.outcome == DNS_OUTCOME_ANSWER) {
        domain_fault(report, DOMAIN_FAULT_MX_ALIAS, "%.*s", STR_ARG(mx->exchange));
    }
    if (check_addresses(report, mx->exchange) == 0) {
        domain_fault(report, DOMAIN_FAULT_MX_NO_ADDRESS, "%.*s", STR_ARG(mx->exchange));
    }
}

static void
check_no_mx(struct domain_report *report)
{
    size_t addresses = check_addresses(report, report->domain);
    domain_fault(report, addresses == 0 ? DOMAIN_FAULT_MX_NONE : DOMAIN_FAULT_MX_IMPLICIT, "%.*s",
                 STR_ARG(report->domain));
}

/* By preference, as senders try them. */
static size_t
sorted(struct domain_report *report, const struct dns_answer *answer,
       struct dns_mx servers[static MX_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < answer->record_count && count < MX_MAX; i++) {
        struct dns_mx mx;
        if (dns_rdata_mx(report->op->arena, answer->records[i], &mx) != STATUS_OK) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && servers[at - 1].preference > mx.preference; at--) {
            servers[at] = servers[at - 1];
        }
        servers[at] = mx;
    }
    return count;
}

void
domain_check_mx(struct domain_report *report)
{
    struct dns_answer answer;
    struct dns_mx servers[MX_MAX];
    domain_section(report, "mx", "MX");
    if (!domain_ask(report, report->domain, DNS_TYPE_MX, &answer)) {
        return;
    }
    size_t count = sorted(report, &answer, servers);
    if (count == 0) {
        check_no_mx(report);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (servers[i].exchange.n > 0) {
            check_server(report, &servers[i]);
            continue;
        }
        domain_fact(report, 0, "%u . (takes no mail)", (unsigned)servers[i].preference);
        report->is_null_mx = count == 1;
        if (count > 1) {
            domain_fault(report, DOMAIN_FAULT_MX_NULL_MIXED, "%.*s", STR_ARG(report->domain));
        }
    }
}

#include "roles/relay/next_hop.h"

#include "smtp/address.h"
#include "smtp/client.h"

/* The configuration's keywords are the client's. */
_Static_assert((int)CONFIG_EHLO_PIPELINING == (int)SMTP_CLIENT_KEYWORD_PIPELINING &&
                   (int)CONFIG_EHLO_CHUNKING == (int)SMTP_CLIENT_KEYWORD_CHUNKING &&
                   (int)CONFIG_EHLO_8BITMIME == (int)SMTP_CLIENT_KEYWORD_8BITMIME &&
                   (int)CONFIG_EHLO_SMTPUTF8 == (int)SMTP_CLIENT_KEYWORD_SMTPUTF8 &&
                   (int)CONFIG_EHLO_DSN == (int)SMTP_CLIENT_KEYWORD_DSN &&
                   (int)CONFIG_EHLO_STARTTLS == (int)SMTP_CLIENT_KEYWORD_STARTTLS &&
                   (int)CONFIG_EHLO_SIZE == (int)SMTP_CLIENT_KEYWORD_SIZE &&
                   (int)CONFIG_EHLO_LIMITS == (int)SMTP_CLIENT_KEYWORD_LIMITS &&
                   (int)CONFIG_EHLO_AUTH == (int)SMTP_CLIENT_KEYWORD_AUTH,
               "one order of keywords");

static unsigned
keyword_set(const struct config_ehlo_keywords *keywords)
{
    unsigned set = 0;
    for (size_t i = 0; i < keywords->count; i++) {
        set |= 1u << keywords->items[i];
    }
    return set;
}

/* What a delivery, route or smart host says. */
static enum status
hop_from_delivery(const struct config_delivery *delivery, struct str domain, struct next_hop *hop)
{
    hop->configured = delivery->kind != CONFIG_DELIVERY_NONE;
    switch (delivery->kind) {
    case CONFIG_DELIVERY_LMTP_UNIX:
        hop->kind = NEXT_HOP_UNIX;
        hop->lmtp = true;
        hop->name = delivery->path;
        return STATUS_OK;
    case CONFIG_DELIVERY_LMTP_TCP:
    case CONFIG_DELIVERY_SMTP:
        hop->kind = delivery->host_is_ip ? NEXT_HOP_ADDRESS : NEXT_HOP_HOST;
        hop->lmtp = delivery->kind == CONFIG_DELIVERY_LMTP_TCP;
        hop->name = delivery->host;
        hop->ip = delivery->ip;
        hop->port = delivery->port;
        return STATUS_OK;
    case CONFIG_DELIVERY_NONE:
    case CONFIG_DELIVERY_MX:
        break;
    }
    hop->configured = false; /* the MX records are the domain's own */
    if (str_starts_with(domain, STR("["))) {
        hop->kind = NEXT_HOP_ADDRESS;
        hop->name = domain;
        return smtp_literal_parse(domain, &hop->ip);
    }
    hop->kind = NEXT_HOP_MX;
    hop->name = domain;
    return domain.n > 0 ? STATUS_OK : STATUS_SYNTAX;
}

static struct str
hop_key(struct arena *arena, const struct next_hop *hop)
{
    static const char *const kinds[] = {"unix", "address", "host", "mx"};
    char ip[IP_TEXT_MAX] = "";
    struct str name = hop->name;
    if (hop->kind == NEXT_HOP_ADDRESS) {
        name = str_from_cstr(ip_format(&hop->ip, ip));
    }
    struct str key =
        arena_printf(arena, "%s:%s:%.*s:%u:%s:%x", hop->lmtp ? "lmtp" : "smtp", kinds[hop->kind],
                     STR_ARG(name), hop->port, config_tls_mode_name(hop->tls), hop->ignore);
    if (hop->login == NULL || key.p == NULL) {
        return key;
    }
    return arena_printf(arena, "%.*s:%u:%.*s", STR_ARG(key), hop->login->tls,
                        STR_ARG(hop->login->user));
}

/* Which entry of the configuration is for the domain. */
static const struct config_delivery *
find_delivery(const struct config *config, struct str domain, struct next_hop *hop)
{
    const struct config_domain *own = config_domain_find(config, domain);
    const struct config_route *route = own == NULL ? config_route_find(config, domain) : NULL;
    const struct config_smart_host *smart = &config->smart_host;
    if (own != NULL) {
        hop->tls = own->tls;
        hop->ignore = keyword_set(&own->ignore_ehlo);
        return &own->delivery;
    }
    if (route != NULL) {
        hop->tls = route->tls;
        hop->ignore = keyword_set(&route->ignore_ehlo);
        hop->login = &route->login;
        return &route->to;
    }
    hop->tls = smart->to.kind == CONFIG_DELIVERY_NONE ? CONFIG_TLS_OPPORTUNISTIC : smart->tls;
    hop->ignore = keyword_set(&smart->ignore_ehlo);
    hop->login = &smart->login;
    return &smart->to;
}

/* What follows from the rest: the login, the keywords for all, the key. */
static enum status
hop_complete(struct arena *arena, const struct config *config, struct next_hop *hop)
{
    hop->ignore |= keyword_set(&config->queue.ignore_ehlo);
    if (hop->login != NULL && hop->login->user.n == 0) {
        hop->login = NULL;
    }
    if (hop->login != NULL && hop->login->tls != CONFIG_LOGIN_TLS_NONE) {
        hop->tls = CONFIG_TLS_REQUIRED; /* there is no use in a connection without */
    }
    hop->key = hop_key(arena, hop);
    return hop->key.p != NULL ? STATUS_OK : STATUS_LIMIT;
}

enum status
next_hop_find(struct arena *arena, const struct config *config, struct str address,
              struct next_hop *hop_out)
{
    size_t at = str_rfind_char(address, '@');
    struct str domain = at == STR_NPOS ? config->hostname : str_skip(address, at + 1);
    struct next_hop hop = {.tls = CONFIG_TLS_OPPORTUNISTIC};
    const struct config_delivery *delivery = find_delivery(config, domain, &hop);
    enum status status = hop_from_delivery(delivery, domain, &hop);
    if (status == STATUS_OK) {
        status = hop_complete(arena, config, &hop);
    }
    if (status == STATUS_OK) {
        *hop_out = hop;
    }
    return status;
}

/* The same server, not only the same machine. */
static bool
leads_to(const struct config_delivery *delivery, const struct next_hop *hop)
{
    struct next_hop other = {0};
    return hop_from_delivery(delivery, STR(""), &other) == STATUS_OK && other.configured &&
           other.kind == hop->kind && other.lmtp == hop->lmtp && other.port == hop->port &&
           (hop->kind == NEXT_HOP_ADDRESS ? ip_eq(&other.ip, &hop->ip)
                                          : str_eq_nocase(other.name, hop->name));
}

/* One entry for a server of the configuration: how mail goes there. */
struct way {
    const struct config_delivery *to;
    enum config_tls_mode tls;
    const struct config_ehlo_keywords *ignore_ehlo;
    const struct config_login *login; /* NULL: there is none in such an entry */
};

/* Of several entries for the server the strictest TLS counts, all keywords, and the first login. */
static void
take_over_way(const struct way *way, struct next_hop *hop)
{
    if (!leads_to(way->to, hop)) {
        return;
    }
    hop->tls = way->tls > hop->tls ? way->tls : hop->tls;
    hop->ignore |= keyword_set(way->ignore_ehlo);
    if (way->login != NULL && way->login->user.n > 0 && hop->login == NULL) {
        hop->login = way->login;
        hop->name = way->to->host; /* the password was set for this spelling */
    }
}

/* Mail that is sent another way to a server of the configuration goes there as all mail does. */
static void
take_over(const struct config *config, struct next_hop *hop)
{
    const struct config_smart_host *smart = &config->smart_host;
    take_over_way(&(struct way){&smart->to, smart->tls, &smart->ignore_ehlo, &smart->login}, hop);
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct config_route *route = &config->routes.items[i];
        take_over_way(&(struct way){&route->to, route->tls, &route->ignore_ehlo, &route->login},
                      hop);
    }
    for (size_t i = 0; i < config->domains.count; i++) {
        const struct config_domain *own = &config->domains.items[i];
        take_over_way(&(struct way){&own->delivery, own->tls, &own->ignore_ehlo, NULL}, hop);
    }
}

enum status
next_hop_find_rerouted(struct arena *arena, const struct config *config, struct str address,
                       struct str text, struct next_hop *hop_out)
{
    struct next_hop own;
    struct config_delivery delivery;
    if (!config_delivery_parse(arena, text, &delivery) || delivery.kind == CONFIG_DELIVERY_MX) {
        return STATUS_SYNTAX;
    }
    enum status status = next_hop_find(arena, config, address, &own);
    if (status != STATUS_OK) {
        return status;
    }
    struct next_hop hop = {.tls = own.tls};
    status = hop_from_delivery(&delivery, STR(""), &hop);
    if (status != STATUS_OK) {
        return status;
    }
    take_over(config, &hop);
    status = hop_complete(arena, config, &hop);
    if (status == STATUS_OK) {
        *hop_out = hop;
    }
    return status;
}

static bool
is_unspecified(const struct ip_address *ip)
{
    static const struct ip_address any_v4 = {.octets = {[10] = 0xff, [11] = 0xff}};
    static const struct ip_address any_v6;
    return ip_eq(ip, &any_v4) || ip_eq(ip, &any_v6);
}

/* Whether a listener on every address is reached at ip. */
static bool
is_own_address(const struct ip_address *own, size_t own_count, const struct ip_address *ip)
{
    for (size_t i = 0; i < own_count; i++) {
        if (ip_eq(&own[i], ip)) {
            return true;
        }
    }
    /* Linux connects to 0.0.0.0 and :: as to the loopback address. */
    return ip_is_loopback(ip) || is_unspecified(ip);
}

bool
next_hop_is_self(const struct config *config, const struct ip_address *own, size_t own_count,
                 const struct ip_address *ip, uint16_t port)
{
    for (size_t i = 0; i < config->listeners.count; i++) {
        const struct config_listener *listener = &config->listeners.items[i];
        if (listener->port != port) {
            continue;
        }
        if (ip_eq(&listener->address, ip) ||
            (is_unspecified(&listener->address) && is_own_address(own, own_count, ip))) {
            return true;
        }
    }
    return false;
}

/* Where mail goes: routes and the smart host. */
#include "config/schema_rows.h"

const struct schema_choice schema_ehlo_keywords[] = {
    {"PIPELINING", CONFIG_EHLO_PIPELINING, "commands go one by one"},
    {"CHUNKING", CONFIG_EHLO_CHUNKING, "the content goes by DATA"},
    {"8BITMIME", CONFIG_EHLO_8BITMIME, "8-bit content is encoded"},
    {"SMTPUTF8", CONFIG_EHLO_SMTPUTF8, "mail that needs it cannot go there"},
    {"DSN", CONFIG_EHLO_DSN, "notices are made here"},
    {"STARTTLS", CONFIG_EHLO_STARTTLS, "no TLS"},
    {"SIZE", CONFIG_EHLO_SIZE, "sizes are not announced, and no limit is known"},
    {"LIMITS", CONFIG_EHLO_LIMITS, "no limits are known"},
    {"AUTH", CONFIG_EHLO_AUTH, "no login"},
    {0},
};

static const struct schema_choice login_tls_choices[] = {
    {"verified", CONFIG_LOGIN_TLS_VERIFIED,
     "TLS with a certificate that is trusted and has the host's name"},
    {"encrypted", CONFIG_LOGIN_TLS_ENCRYPTED,
     "TLS with any certificate: whoever answers at that address may read the password"},
    {"none", CONFIG_LOGIN_TLS_NONE, "no TLS: everybody on the way may read the password"},
    {0},
};

static const struct schema_field login_fields[] = {
    ROW(config_login, user, SCHEMA_TEXT, struct str,
        "The name to log in with (SMTP AUTH, by SCRAM-SHA-256, PLAIN or LOGIN). Its password is "
        "kept in the vault: postern secret set HOST USER.",
        .required = true, .least = 1, .most = 255, .example = "kartapuce"),
    CHOICE(config_login, tls, enum config_login_tls, "verified", login_tls_choices,
           "What the connection must be before the password goes over it. Mail waits in the queue "
           "where it is less."),
};
const struct schema_map schema_login_map = {
    .title = "A login",
    .c_struct = "config_login",
    .size = sizeof(struct config_login),
    .shorthand = "user",
    .fields = login_fields,
    .count = sizeof login_fields / sizeof login_fields[0],
};

static const struct schema_field route_fields[] = {
    ROW(config_route, domain, SCHEMA_ROUTE_DOMAIN, struct str,
        "example.com is that domain alone; .example.com is every domain below it.",
        .required = true, .example = "example.net"),
    ROW(config_route, to, SCHEMA_DELIVERY, struct config_delivery, "As delivery of a domain.",
        .required = true, .example = "\"smtp://relay.example.net:25\""),
    CHOICE(config_route, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
    IGNORE_EHLO(config_route,
                "Keywords that are taken for not offered there, besides those of "
                "queue.ignore_ehlo. Without STARTTLS mail goes in the clear where tls allows it."),
    LOGIN(config_route, "Logging in there. The next hop is then smtp://host:port."),
};
const struct schema_map schema_route_map = MAP_OF("A route", config_route, route_fields);

static const struct schema_field smart_host_fields[] = {
    ROW(config_smart_host, to, SCHEMA_DELIVERY, struct config_delivery, "As delivery of a domain.",
        .required = true, .example = "\"smtp://smart.example.net:25\""),
    CHOICE(config_smart_host, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
    IGNORE_EHLO(config_smart_host, "As ignore_ehlo of a route."),
    LOGIN(config_smart_host, "As login of a route."),
};
const struct schema_map schema_smart_host_map = {
    .title = "Smart host",
    .c_struct = "config_smart_host",
    .size = sizeof(struct config_smart_host),
    .shorthand = "to",
    .fields = smart_host_fields,
    .count = sizeof smart_host_fields / sizeof smart_host_fields[0],
};

static const struct schema_field dane_exception_fields[] = {
    ROW(config_dane_exception, domain, SCHEMA_DOMAIN, struct str,
        "The domain whose mail goes on without DANE: that of the recipients, or the configured "
        "host.",
        .required = true, .example = "example.net"),
    {.name = "until",
     .type = SCHEMA_DATE,
     .offset = AT(config_dane_exception, until_ms, int64_t),
     .required = true,
     .doc = "The last day (UTC) of the exception; it ends by itself.",
     .example = "2027-01-31"},
    ROW(config_dane_exception, reason, SCHEMA_TEXT, struct str,
        "Why, for whoever reads the trace of a message.", .most = 200, .unset = "none is told",
        .example = "\"their TLSA records are being repaired\""),
};
static const struct schema_map dane_exception_map =
    MAP_OF("An exception", config_dane_exception, dane_exception_fields);

static const struct schema_field dane_fields[] = {
    BOOL(config_dane, enabled, "true",
         "TLSA records of servers that mail goes to are looked up where DNSSEC vouches for the "
         "answer, and decide which certificate a server must have (RFC 7672). Needs "
         "resolver.dnssec."),
    BOOL(config_dane, insecure_mx, "true",
         "Servers whose own address is signed have DANE also where the MX records that name them "
         "are not: who can forge those can name another server, and nobody else can listen."),
    ROW(config_dane, exceptions, SCHEMA_MAP, struct config_dane_exceptions,
        "Domains whose mail goes on as if there were no TLSA records, until a day: for operators "
        "whose DNS or certificates are broken. Each use is in the trace of the message.",
        .is_list = true, .most = 1000, .map = &dane_exception_map, .unset = "none"),
};
const struct schema_map schema_dane_map = MAP_OF("DANE", config_dane, dane_fields);

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

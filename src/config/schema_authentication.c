/* The part of the schema about who sent a message: DMARC, ARC, DKIM, SRS. */
#include "config/schema_rows.h"

const struct schema_choice schema_seals[] = {
    {"never", CONFIG_SEAL_NEVER, "nothing is sealed"},
    {"forwarded", CONFIG_SEAL_FORWARDED, "what an alias sends on to another domain"},
    {"inbound", CONFIG_SEAL_INBOUND, "that, and what goes to our own domains"},
    {0},
};

static const struct schema_choice dkim_algorithm_choices[] = {
    {"both", CONFIG_DKIM_BOTH, "RSA-2048, which everybody verifies, and Ed25519 beside it"},
    {"rsa", CONFIG_DKIM_RSA, "RSA-2048"},
    {"ed25519", CONFIG_DKIM_ED25519, "Ed25519 alone; many receivers cannot verify it yet"},
    {0},
};

static const struct schema_field dmarc_exception_fields[] = {
    ROW(config_dmarc_exception, domain, SCHEMA_ROUTE_DOMAIN, struct str,
        "The author's domain; .example.com is every domain below it.", .required = true,
        .example = "example.net"),
    ROW(config_dmarc_exception, reason, SCHEMA_TEXT, struct str,
        "Why; it stands in traces and in the reports that the domain gets.", .least = 1,
        .most = 200, .unset = "none is told", .example = "their lists break signatures"),
};
static const struct schema_map dmarc_exception_map =
    MAP_OF("An exception from DMARC", config_dmarc_exception, dmarc_exception_fields);

static const struct schema_field dmarc_fields[] = {
    BOOL(
        config_dmarc, enforce, "true",
        "Do what the author's domain asks for when DMARC fails: refuse (reject) or hold "
        "(quarantine), refuse mail whose From field names no single domain to ask about, and defer "
        "what cannot be asked now. Without it all of that is only noted."),
    ROW(config_dmarc, exceptions, SCHEMA_MAP, struct config_dmarc_exceptions,
        "Domains whose wish is not followed: their mail counts as dmarc_fail_overridden when DMARC "
        "fails, and checks may say what that means.",
        .is_list = true, .most = 10000, .map = &dmarc_exception_map, .unset = "none"),
};
static const struct schema_map dmarc_map = MAP_OF("DMARC", config_dmarc, dmarc_fields);

static const struct schema_field arc_fields[] = {
    CHOICE(config_arc, seal, enum config_seal, "forwarded", schema_seals,
           "What gets an ARC seal, so that the next server can see what was verified here. It "
           "takes an active key of our domain (postern key)."),
    ROW(config_arc, trusted_sealers, SCHEMA_DOMAIN, struct config_texts,
        "Forwarders and lists whose seal is believed: when DMARC fails here and a chain that only "
        "they have sealed says that it passed before, the failure is overridden and the reason "
        "recorded.",
        .is_list = true, .most = 10000, .unset = "nobody's", .example = "[lists.example.net]"),
};
static const struct schema_map arc_map = MAP_OF("ARC", config_arc, arc_fields);

static const struct schema_field dkim_rule_fields[] = {
    ROW(config_dkim_rule, sender, SCHEMA_TEXT, struct str,
        "The author's address; * stands for any text.", .required = true, .least = 1, .most = 320,
        .example = "\"*@news.example.com\""),
    ROW(config_dkim_rule, domain, SCHEMA_DOMAIN, struct str,
        "The domain that signs: the author's own or one above it.", .unset = "the author's domain",
        .example = "example.com"),
    BOOL(config_dkim_rule, sign, "true", "Whether it is signed at all."),
};
static const struct schema_map dkim_rule_map =
    MAP_OF("A rule for signing", config_dkim_rule, dkim_rule_fields);

static const struct schema_field dkim_fields[] = {
    BOOL(config_dkim, sign, "true",
         "Sign what our users send with the active keys of the author's domain."),
    BOOL(
        config_dkim, encode_8bit, "true",
        "Encode 8-bit content as 7 bits before signing (RFC 6376 5.3), so that the signature also "
        "holds where a server on the way does not take 8-bit mail. Signed and encrypted parts stay "
        "as they are."),
    CHOICE(config_dkim, algorithms, enum config_dkim_algorithms, "both", dkim_algorithm_choices,
           "Which keys postern key generate makes when it is not told."),
    ROW(config_dkim, rules, SCHEMA_MAP, struct config_dkim_rules,
        "Senders that are signed in another way; the first that fits counts.", .is_list = true,
        .most = 10000, .map = &dkim_rule_map, .unset = "each author's domain signs its own"),
    DURATION(config_dkim, rotate_after, "0", 0, 3650 * DAY,
             "How long a key is used before another one is made. 0 is until somebody says postern "
             "key rotate. A new key is used only when the DNS shows it."),
    DURATION(config_dkim, publish_wait, "1h", 0, 30 * DAY,
             "How long the DNS must have shown a key before it signs: longer than answers are kept "
             "that said it was not there."),
    DURATION(config_dkim, retire_after, "7d", HOUR, 365 * DAY,
             "How long a replaced key stays published, for mail that is under way."),
};
static const struct schema_map dkim_map = MAP_OF("DKIM", config_dkim, dkim_fields);

static const struct schema_field srs_fields[] = {
    BOOL(config_srs, enabled, "true",
         "Give mail that an alias sends on to another domain a sender of ours (SRS0=...), so that "
         "SPF passes there; notices about it find the way back."),
    ROW(config_srs, domain, SCHEMA_DOMAIN, struct str,
        "The domain of such senders; one of domains.", .unset = "that of the alias",
        .example = "example.com"),
    DURATION(config_srs, validity, "21d", DAY, 365 * DAY,
             "How long a notice to such a sender is taken."),
};
static const struct schema_map srs_map = MAP_OF("SRS", config_srs, srs_fields);

static const struct schema_field spf_fields[] = {
    ROW(config_spf, networks, SCHEMA_NETWORK, struct config_networks,
        "Where mail of our domains leaves from, when it is not this host: the addresses that "
        "others see.",
        .is_list = true, .most = 100, .unset = "the addresses of hostname",
        .example = "[192.0.2.25, \"2001:db8::25\"]"),
    ROW(config_spf, includes, SCHEMA_TEXT, struct config_texts,
        "Domains that send for ours as well (a smart host, a newsletter service): what their SPF "
        "records permit is permitted.",
        .is_list = true, .most = 20, .unset = "none", .example = "[_spf.example.net]"),
};
static const struct schema_map spf_map = MAP_OF("SPF", config_spf, spf_fields);

static const struct schema_field authentication_fields[] = {
    ROW(config_authentication, authserv_id, SCHEMA_HOSTNAME, struct str,
        "Our name in Authentication-Results (RFC 8601 section 2.5). All gateways of an "
        "organisation may share one; fields from outside that claim it are removed.",
        .unset = "hostname", .example = "example.com"),
    ROW(config_authentication, verdict_field, SCHEMA_TEXT, struct str,
        "A header field with the verdict in short, for the servers behind. It is removed when it "
        "comes from outside, so that they can trust it.",
        .fallback = "X-Postern-Verdict", .least = 3, .most = 70),
    GROUP(config_authentication, dmarc, struct config_dmarc, dmarc_map,
          "What the author's domain asks for (RFC 9989)."),
    GROUP(config_authentication, arc, struct config_arc, arc_map,
          "What servers before us have verified (RFC 8617)."),
    GROUP(config_authentication, dkim, struct config_dkim, dkim_map,
          "Signatures of our own mail (RFC 6376); keys are made with postern key."),
    GROUP(config_authentication, srs, struct config_srs, srs_map, "The sender of forwarded mail."),
    GROUP(config_authentication, spf, struct config_spf, spf_map,
          "Who may send in our domains' name (RFC 7208): what postern dns proposes. It changes "
          "nothing about mail."),
};
const struct schema_map schema_authentication =
    MAP_OF("Authentication", config_authentication, authentication_fields);

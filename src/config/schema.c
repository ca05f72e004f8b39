#include "config/schema_rows.h"

const struct schema_choice schema_listener_kinds[] = {
    {"mx", CONFIG_LISTENER_MX, "mail from other servers; no log-in"},
    {"submission", CONFIG_LISTENER_SUBMISSION, "mail from users: STARTTLS, then AUTH (RFC 6409)"},
    {"smtps", CONFIG_LISTENER_SMTPS, "mail from users: TLS at once, then AUTH (RFC 8314)"},
    {0},
};

const struct schema_choice schema_tls_modes[] = {
    {"none", CONFIG_TLS_NONE, "no TLS"},
    {"opportunistic", CONFIG_TLS_OPPORTUNISTIC, "TLS when both sides can"},
    {"required", CONFIG_TLS_REQUIRED, "no mail without TLS"},
    {0},
};

const struct schema_choice schema_actions[] = {
    {"accept", CONFIG_ACTION_ACCEPT, "nothing; it is noted in the trace"},
    {"tag", CONFIG_ACTION_TAG, "accepted, the finding's name in X-Postern-Findings"},
    {"hold", CONFIG_ACTION_HOLD, "accepted and kept until an administrator releases it"},
    {"defer", CONFIG_ACTION_DEFER, "the client is asked to try again later"},
    {"reject", CONFIG_ACTION_REJECT, "refused"},
    {0},
};

static const struct schema_choice priority_choices[] = {
    {"normal", CONFIG_PRIORITY_NORMAL,
     "as the message is: bulk for lists and notices, else normal"},
    {"high", CONFIG_PRIORITY_HIGH, "before all others"},
    {"bulk", CONFIG_PRIORITY_BULK, "behind all others"},
    {0},
};

const struct schema_choice schema_tls_versions[] = {
    {"1.2", CONFIG_TLS_1_2, "TLS 1.2 and later"},
    {"1.3", CONFIG_TLS_1_3, "TLS 1.3 and later"},
    {0},
};

const struct schema_choice schema_recipients[] = {
    {"users", CONFIG_RECIPIENTS_USERS, "the users made with postern user add"},
    {"list", CONFIG_RECIPIENTS_LIST, "the addresses under list"},
    {"callout", CONFIG_RECIPIENTS_CALLOUT, "whoever the server behind accepts; it is asked"},
    {"any", CONFIG_RECIPIENTS_ANY, "everybody; the server behind has to refuse the unknown"},
    {0},
};

static const struct schema_choice bare_lf_choices[] = {
    {"refuse", CONFIG_BARE_LF_REFUSE, "the message is refused"},
    {"data", CONFIG_BARE_LF_DATA, "kept as data where no end of the message can be read out of it"},
    {0},
};

static const struct schema_choice log_level_choices[] = {
    {"error", LOG_LEVEL_ERROR, "what is broken and needs a person"},
    {"warn", LOG_LEVEL_WARN, "also what is wrong but handled"},
    {"info", LOG_LEVEL_INFO, "also what an administrator reads every day"},
    {"debug", LOG_LEVEL_DEBUG, "everything"},
    {0},
};

static const struct schema_choice log_format_choices[] = {
    {"keyvalue", LOG_FORMAT_KEYVALUE, "key=value, for people"},
    {"json", LOG_FORMAT_JSON, "one JSON object a line, for collectors"},
    {0},
};

static const struct schema_field directories_fields[] = {
    ROW(config_directories, state, SCHEMA_PATH, struct str,
        "Queue, ledger and the certificate that Postern makes itself.",
        .fallback = "/var/lib/postern"),
    ROW(config_directories, run, SCHEMA_PATH, struct str, "Sockets and the process id.",
        .fallback = "/run/postern"),
};
static const struct schema_map directories_map =
    MAP_OF("Directories", config_directories, directories_fields);

static const struct schema_field workers_fields[] = {
    COUNT(config_workers, edge, "0", 0, 256,
          "Processes that speak SMTP to clients. 0 is one per processor core."),
    COUNT(config_workers, filter, "32", 1, 256,
          "Messages in the checks at the same time. Most of that time is waiting for the DNS."),
};
static const struct schema_map workers_map = MAP_OF("Workers", config_workers, workers_fields);

static const struct schema_field listener_fields[] = {
    ROW(config_listener, address, SCHEMA_ADDRESS, struct ip_address,
        "Where to listen. 0.0.0.0 is every IPv4 address, \"::\" every IPv6 address.",
        .required = true, .example = "192.0.2.25"),
    ROW(config_listener, port, SCHEMA_PORT, uint16_t,
        "Usually 25 for mx, 587 for submission, 465 for smtps.", .required = true, .least = 1,
        .most = 65535, .example = "25"),
    ROW(config_listener, kind, SCHEMA_CHOICE, enum config_listener_kind, "Who is expected there.",
        .required = true, .choices = schema_listener_kinds, .example = "mx"),
    ROW(config_listener, tls, SCHEMA_CHOICE, enum config_tls_mode,
        "Whether TLS is offered or demanded. Log-in is never offered without it.",
        .choices = schema_tls_modes,
        .unset = "opportunistic for mx, required for submission and smtps",
        .example = "opportunistic"),
    ROW(config_listener, proxy_protocol, SCHEMA_NETWORK, struct config_networks,
        "Load balancers: peers in these networks must send a PROXY header (version 1 or 2), "
        "and the client's address is taken from it. Nobody else may send one. Refused are networks "
        "wider than /8 (IPv4) or /16 (IPv6), and lists that come to more together, private "
        "addresses not counted.",
        .is_list = true, .most = 100, .unset = "nobody", .example = "[10.0.0.0/24]"),
};
static const struct schema_map listener_map =
    MAP_OF("A listener", config_listener, listener_fields);

static const struct schema_field certificate_fields[] = {
    ROW(config_certificate, certificate, SCHEMA_PATH, struct str,
        "PEM file: the certificate, then the chain up to the root.", .required = true,
        .example = "/etc/postern/mx.pem"),
    ROW(config_certificate, key, SCHEMA_PATH, struct str, "PEM file with the private key.",
        .required = true, .example = "/etc/postern/mx.key"),
};
static const struct schema_map certificate_map =
    MAP_OF("A certificate", config_certificate, certificate_fields);

static const struct schema_field tls_fields[] = {
    CHOICE(config_tls, minimum, enum config_tls_version, "1.2", schema_tls_versions,
           "Oldest version of TLS that is spoken, as a server and as a client."),
    ROW(config_tls, certificates, SCHEMA_MAP, struct config_certificates,
        "Which one a client sees follows from the name that it asks for (SNI); the first one "
        "is for clients that ask for none. Files are read again when they change; one that ends "
        "within a week is warned of in postern status.",
        .is_list = true, .most = 1000, .map = &certificate_map, .unset = "see self_signed"),
    BOOL(config_tls, self_signed, "true",
         "Make a self-signed certificate in directories.state when none is listed, so that "
         "STARTTLS works from the first start. Servers take it; mail clients warn. It is made anew "
         "before its end, when hostname has changed, and when it cannot be read."),
    ROW(config_tls, trusted_roots, SCHEMA_PATH, struct config_texts,
        "PEM files with certificates that are trusted besides those of the system, when other "
        "servers show theirs: a certification authority of one's own. Read again when they change.",
        .is_list = true, .most = 16, .unset = "those of the system alone",
        .example = "[/etc/postern/our-root.pem]"),
    ROW(config_tls, groups, SCHEMA_TEXT, struct str,
        "Key exchange groups in OpenSSL's syntax. A name with a question mark before it is used "
        "where "
        "OpenSSL has such a group (hybrid ones come with OpenSSL 3.5) and left out where not. Here "
        "and below, any other word that OpenSSL does not know is an error.",
        .least = 1, .most = 1000, .unset = "what the TLS library prefers",
        .example = "?X25519MLKEM768:X25519:P-256"),
    ROW(config_tls, ciphers, SCHEMA_TEXT, struct str,
        "Ciphers of TLS 1.2 in OpenSSL's syntax. Listeners never use those with RSA key exchange.",
        .least = 1, .most = 4000,
        .unset =
            "those with forward secrecy and authenticated encryption; at mx listeners whose tls "
            "is opportunistic also DHE and CBC, because the client would send in the clear "
            "otherwise",
        .example = "ECDHE+AESGCM:ECDHE+CHACHA20"),
    ROW(config_tls, ciphersuites, SCHEMA_TEXT, struct str,
        "Cipher suites of TLS 1.3 in OpenSSL's syntax.", .least = 1, .most = 1000,
        .unset = "what the TLS library prefers", .example = "TLS_AES_256_GCM_SHA384"),
    BOOL(config_tls, session_tickets, "true",
         "Let mail clients resume a session, at listeners of the kinds submission and smtps. Each "
         "listener has keys of its own."),
    BOOL(config_tls, mx_session_tickets, "false",
         "The same for other servers, at listeners of the kind mx; session_tickets must be true, "
         "too. Some large senders drop a connection on which a ticket comes."),
    DURATION(config_tls, session_lifetime, "2h", MINUTE, 7 * DAY,
             "How long a session can be resumed."),
    BOOL(config_tls, prefer_server_ciphers, "true", "Whose order of ciphers counts."),
};
static const struct schema_map tls_map = MAP_OF("TLS", config_tls, tls_fields);

static const struct schema_field alias_fields[] = {
    ROW(config_alias, name, SCHEMA_LOCAL_PART, struct str,
        "The part before the @. Upper and lower case are the same.", .required = true,
        .example = "sales"),
    ROW(config_alias, to, SCHEMA_MAILBOX, struct config_mailboxes,
        "Who gets the mail: users, other aliases, addresses elsewhere. The alias's own address "
        "among them is the mailbox of that name.",
        .is_list = true, .required = true, .least = 1, .most = 1000,
        .example = "[bob@example.com, tom@example.net]"),
};
static const struct schema_map alias_map = MAP_OF("An alias", config_alias, alias_fields);

static const struct schema_field domain_fields[] = {
    ROW(config_domain, name, SCHEMA_DOMAIN, struct str,
        "The part after the @. International names may be written as such.", .required = true,
        .example = "example.com"),
    ROW(config_domain, delivery, SCHEMA_DELIVERY, struct config_delivery,
        "Where its mail goes: lmtp://host:port, lmtp:/path/to/socket, smtp://host:port, or mx "
        "(the MX records of the domain, for a backup MX).",
        .required = true, .example = "lmtp:/run/dovecot/lmtp"),
    CHOICE(config_domain, tls, enum config_tls_mode, "opportunistic", schema_tls_modes,
           "TLS on the way there."),
    IGNORE_EHLO(config_domain, "Keywords that its server offers in the reply to EHLO, in vain."),
    CHOICE(config_domain, recipients, enum config_recipients, "users", schema_recipients,
           "How it is known who exists; unknown recipients are refused during SMTP."),
    ROW(config_domain, list, SCHEMA_MAILBOX, struct config_mailboxes,
        "Who exists, for recipients: list.", .is_list = true, .most = 200000, .unset = "nobody",
        .example = "[bob@example.com, jack@example.com]"),
    ROW(config_domain, aliases, SCHEMA_MAP, struct config_aliases,
        "Names that stand for other addresses.", .is_list = true, .most = 100000, .map = &alias_map,
        .unset = "none"),
    ROW(config_domain, catch_all, SCHEMA_MAILBOX, struct config_mailbox,
        "Who gets the mail for names that do not exist.", .unset = "unknown recipients are refused",
        .example = "bob@example.com"),
    BOOL(config_domain, plus_addressing, "true", "bob+anything is bob."),
    ROW(config_domain, plus_separator, SCHEMA_SEPARATOR, char, "The character that ends the name.",
        .fallback = "+"),
};
static const struct schema_map domain_map = MAP_OF("A domain", config_domain, domain_fields);

static const struct schema_field check_fields[] = {
    ROW(config_check, finding, SCHEMA_FINDING, enum finding_id, "What was found.", .required = true,
        .example = "helo_not_qualified"),
    ROW(config_check, action, SCHEMA_CHOICE, enum config_action,
        "What is done then, whichever way the message goes.", .required = true,
        .choices = schema_actions, .example = "reject"),
};
static const struct schema_map check_map = MAP_OF("A finding", config_check, check_fields);

static const struct schema_choice zone_bare_lf_choices[] = {
    {"limits", CONFIG_ZONE_BARE_LF_LIMITS, "what bare_lf under limits says"},
    {"refuse", CONFIG_ZONE_BARE_LF_REFUSE, "the message is refused"},
    {"data", CONFIG_ZONE_BARE_LF_DATA,
     "kept as data where no end of the message can be read out of it"},
    {"normalize", CONFIG_ZONE_BARE_LF_NORMALIZE,
     "becomes CRLF, except beside a dot alone on its line, where the message is refused; only in "
     "a zone with relay"},
    {0},
};

static const struct schema_field zone_fields[] = {
    ROW(config_zone, name, SCHEMA_NAME, struct str, "For logs and traces.", .required = true,
        .example = "inside"),
    ROW(config_zone, networks, SCHEMA_NETWORK, struct config_networks,
        "What belongs to it. An address is in the zone with the narrowest network around it.",
        .is_list = true, .required = true, .least = 1, .most = 10000,
        .example = "[192.0.2.0/24, \"2001:db8::/32\"]"),
    BOOL(config_zone, relay, "false",
         "Its hosts may send to any domain without logging in. Only for hosts that you answer "
         "for: networks wider than /8 (IPv4) or /16 (IPv6) are refused, and zones with relay that "
         "come to more together, private addresses not counted."),
    CHOICE(config_zone, minimum_tls, enum config_tls_mode, "none", schema_tls_modes,
           "Least TLS on connections from and to its hosts; where listener, route and domain say "
           "less, this counts."),
    CHOICE(config_zone, priority, enum config_priority, "normal", priority_choices,
           "Whose turn it is first in the queue, for mail from its hosts: of 13 messages for a "
           "destination 8 are high, 4 normal and 1 bulk, as long as there are some of each. Mail "
           "of lists (List-Id, or Precedence: bulk, list or junk) and notices (null sender) are "
           "bulk where the zone says normal, and where the client is in no zone."),
    BOOL(config_zone, rate_limits, "true",
         "Whether the rates and the connections per address and network under limits count for "
         "its hosts."),
    BOOL(config_zone, auth_limits, "true",
         "Whether failed log-ins of one user at an address of the zone can keep others out there. "
         "Turn it off for an office that shares one address: then each user is counted alone, with "
         "auth_failures_per_address."),
    CHOICE(
        config_zone, bare_lf, enum config_zone_bare_lf, "limits", zone_bare_lf_choices,
        "What is done about line ends without CR in mail from its hosts. The end of a message is "
        "a dot between two CRLF in any case."),
    BOOL(
        config_zone, repair, "true",
        "In a zone with relay, what printers, scanners and old programs get wrong is mended "
        "before the message is checked and signed: a header that is missing or does not end, "
        "blanks in field names, octets above 127, repeated fields, no From field, or one without a "
        "domain or an address, Date and Message-ID. The finding repaired tells what was done."),
    ROW(config_zone, domain, SCHEMA_DOMAIN, struct str,
        "The domain of an author or sender that comes without one (From: scanner).",
        .unset = "hostname", .example = "example.com"),
    ROW(config_zone, checks, SCHEMA_MAP, struct config_checks,
        "Actions on findings in mail from its hosts; they count more than those for everybody.",
        .is_list = true, .most = 1000, .map = &check_map, .unset = "those for everybody"),
};
static const struct schema_map zone_map = MAP_OF("A zone", config_zone, zone_fields);

static const struct schema_field server_timeouts_fields[] = {
    DURATION(config_server_timeouts, proxy_header, "5s", SECOND, MINUTE,
             "For the PROXY header of a load balancer."),
    DURATION(config_server_timeouts, tls_handshake, "30s", SECOND, 5 * MINUTE,
             "For the TLS handshake."),
    DURATION(config_server_timeouts, command, "5m", SECOND, HOUR,
             "For the next command. RFC 5321 section 4.5.3.2.7 asks for 5 minutes at least."),
    DURATION(config_server_timeouts, auth, "1m", SECOND, 10 * MINUTE,
             "For the next answer while logging in."),
    DURATION(config_server_timeouts, data, "5m", SECOND, HOUR, "For more of a message's data."),
    DURATION(config_server_timeouts, session, "2h", MINUTE, 7 * DAY, "For a whole connection."),
};
static const struct schema_map server_timeouts_map =
    MAP_OF("Time-outs of the server", config_server_timeouts, server_timeouts_fields);

static const struct schema_field limits_fields[] = {
    SIZE(config_limits, message_size, "50MiB", 64 * KIB, 2 * GIB,
         "Largest message; announced as SIZE, refused at MAIL and while it comes in."),
    COUNT(config_limits, recipients, "1000", 100, 10000,
          "Recipients of one message. RFC 5321 section 4.5.3.1.8 asks for 100 at least."),
    COUNT(config_limits, messages, "1000", 1, 1000000,
          "Messages over one connection; announced as MAILMAX (RFC 9422)."),
    COUNT(config_limits, commands, "100000", 100, 10000000, "Commands over one connection."),
    COUNT(config_limits, junk_commands, "100", 10, 10000,
          "Commands that bring no mail forward (NOOP, RSET, VRFY, HELP, EHLO again) since the last "
          "message."),
    COUNT(config_limits, errors, "20", 1, 1000,
          "Refused commands over one connection; then 421 and it is closed."),
    COUNT(config_limits, command_length, "2048", 1200, 65536,
          "Octets of a command line with its CRLF; longer ones are answered 500. RFC 5321 section "
          "4.5.3.1.4 asks for 512 at least; with what SIZE, BODY, SMTPUTF8, AUTH and DSN add, it "
          "is 1200."),
    COUNT(config_limits, auth_length, "12288", 1024, 65536,
          "Octets of the AUTH command and of a line while logging in (RFC 4954 section 4)."),
    COUNT(config_limits, line_length, "8192", 1000, 1048576,
          "Octets of a line of message data with its CRLF. RFC 5321 section 4.5.3.1.6 asks for "
          "1000; much real mail has longer ones."),
    SIZE(config_limits, header_size, "256KiB", 4 * KIB, 16 * MIB, "Header section of a message."),
    COUNT(config_limits, header_fields, "1000", 50, 100000, "Header fields of a message."),
    COUNT(config_limits, received_count, "50", 10, 1000,
          "Received fields of a message; with more it is taken for a loop and refused."),
    COUNT(config_limits, connections, "20000", 1, 1000000,
          "Open connections in all; then 421 at once. This and the limits by address and network "
          "below are of all edge processes together."),
    COUNT(config_limits, connections_per_address, "50", 1, 1000000,
          "Open connections from one address."),
    COUNT(config_limits, connections_per_network, "200", 1, 1000000,
          "Open connections from one /24 (IPv4) or /56 (IPv6)."),
    COUNT(config_limits, connection_rate, "120", 0, 1000000,
          "New connections from one address within a minute. 0 is any number."),
    COUNT(config_limits, connection_rate_per_network, "600", 0, 1000000,
          "New connections from one /24 or /56 within a minute. 0 is any number."),
    COUNT(config_limits, message_rate, "600", 0, 1000000,
          "Messages from one address within a minute. 0 is any number."),
    COUNT(config_limits, message_rate_per_network, "3000", 0, 1000000,
          "Messages from one /24 or /56 within a minute. 0 is any number."),
    COUNT(config_limits, auth_failures_per_connection, "3", 1, 100,
          "Failed log-ins over one connection; then 421 and it is closed."),
    COUNT(config_limits, auth_failures_per_user, "10", 1, 10000,
          "Failed log-ins of one user within auth_failure_window; then log-in is refused for the "
          "rest of it, with the right password too."),
    COUNT(config_limits, auth_failures_per_address, "20", 1, 10000,
          "The same for one client address, or one /64 of IPv6. A user who has logged in from an "
          "address within 30 days is counted alone there, with this number: the failures of others "
          "do not keep that user out, nor that user's the others."),
    DURATION(config_limits, auth_failure_window, "15m", MINUTE, DAY,
             "How long a failed log-in counts. The counts are in the ledger's memory: when Postern "
             "or the ledger is started again, they begin at 0."),
    COUNT(config_limits, small_chunks, "1000", 1, 1000000,
          "Chunks of less than 1 KiB (BDAT, RFC 3030) of one message, its last one not counted; "
          "then 421 and the connection is closed."),
    SIZE(config_limits, discard_size, "64MiB", 64 * KIB, 16 * GIB,
         "Octets of a refused message that are read past, so that the reply to it is heard and the "
         "connection can go on; then it is closed."),
    SIZE(
        config_limits, data_rate, "128", 0, MIB,
        "Least octets a second of message data, refused data too; slower clients are cut off. 0 is "
        "any speed."),
    DURATION(config_limits, data_rate_grace, "30s", SECOND, 10 * MINUTE,
             "How long a client may be slower than data_rate."),
    SIZE(config_limits, memory, "512MiB", 16 * MIB, TIB,
         "Memory of an edge process for its clients: connections, envelopes, content. Above 85 % "
         "of it new connections are answered 421, new messages and recipients 452; when all of it "
         "is used, a message that goes on growing 421."),
    CHOICE(config_limits, bare_lf, enum config_bare_lf, "refuse", bare_lf_choices,
           "Message data with a line feed without carriage return. It never ends a line: that is "
           "how mail is smuggled."),
    DURATION(config_limits, pregreet_delay, "200ms", 0, 10 * SECOND,
             "How long mx listeners wait before the greeting, to catch clients that talk first. "
             "Hosts in zones with relay do not wait."),
    GROUP(config_limits, timeouts, struct config_server_timeouts, server_timeouts_map,
          "How long clients are waited for."),
};
static const struct schema_map limits_map = MAP_OF("Limits", config_limits, limits_fields);

static const struct schema_field smtp_fields[] = {
    ROW(config_smtp, banner, SCHEMA_TEXT, struct str, "What follows the host name in the greeting.",
        .fallback = "ESMTP Postern", .least = 0, .most = 200),
};
static const struct schema_map smtp_map = MAP_OF("SMTP", config_smtp, smtp_fields);

static const struct schema_field sender_rule_fields[] = {
    ROW(config_sender_rule, user, SCHEMA_TEXT, struct str,
        "The name that the user logs in with; * stands for any text.", .required = true, .least = 1,
        .most = 320, .example = "assistant@example.com"),
    ROW(config_sender_rule, may, SCHEMA_TEXT, struct config_texts,
        "Addresses; * stands for any text.", .is_list = true, .required = true, .least = 1,
        .most = 1000, .example = "[boss@example.com, \"*@news.example.com\"]"),
};
static const struct schema_map sender_rule_map =
    MAP_OF("What a user may send as", config_sender_rule, sender_rule_fields);

static const struct schema_field submission_fields[] = {
    BOOL(config_submission, own_sender, "true",
         "Users send under their own names (RFC 6409 section 6.1): sender, From and Sender are the "
         "user's address, one with plus-addressing, or an alias that leads to the user."),
    ROW(config_submission, senders, SCHEMA_MAP, struct config_sender_rules,
        "Other addresses that users may send as.", .is_list = true, .most = 10000,
        .map = &sender_rule_map, .unset = "none"),
    BOOL(config_submission, hide_client_address, "true",
         "Leave the user's address out of the Received field."),
    BOOL(config_submission, channel_binding, "true",
         "Offer SCRAM-SHA-256-PLUS, which ties the log-in to the TLS connection. Turn it off for "
         "programs that choose it and then give up, such as mutt with GNU SASL."),
    BOOL(config_submission, repair, "true",
         "Mend what old programs get wrong, as repair of a zone does; addresses without a domain "
         "get that of the user, or become the name of the user's own address where the user may "
         "not write as them."),
    BOOL(config_submission, add_date, "true", "Add Date where it is missing."),
    BOOL(config_submission, add_message_id, "true", "Add Message-ID where it is missing."),
};
static const struct schema_map submission_map =
    MAP_OF("Submission", config_submission, submission_fields);

static const struct schema_field client_timeouts_fields[] = {
    DURATION(config_client_timeouts, connect, "30s", SECOND, 10 * MINUTE,
             "For the connection to one address."),
    DURATION(config_client_timeouts, tls_handshake, "30s", SECOND, 5 * MINUTE,
             "For the TLS handshake."),
    DURATION(config_client_timeouts, greeting, "5m", SECOND, HOUR, "For the greeting."),
    DURATION(config_client_timeouts, command, "5m", SECOND, HOUR,
             "For the reply to EHLO, MAIL, RCPT and RSET."),
    DURATION(config_client_timeouts, data_init, "2m", SECOND, HOUR, "For the reply to DATA."),
    DURATION(config_client_timeouts, data_block, "3m", SECOND, HOUR,
             "For a piece of the message to be taken."),
    DURATION(config_client_timeouts, data_end, "10m", SECOND, 2 * HOUR,
             "For the reply after the message."),
    DURATION(config_client_timeouts, quit, "10s", SECOND, 5 * MINUTE, "For the reply to QUIT."),
    DURATION(config_client_timeouts, idle, "5s", 0, 5 * MINUTE,
             "How long a connection is kept for another message."),
};
static const struct schema_map client_timeouts_map =
    MAP_OF("Time-outs of the client", config_client_timeouts, client_timeouts_fields);

static const struct schema_field queue_fields[] = {
    DURATION(config_queue, lifetime, "5d", MINUTE, 60 * DAY,
             "How long delivery is tried; then the sender is told. RFC 5321 section 4.5.4.1 asks "
             "for 4 to 5 days."),
    DURATION(config_queue, warn_after, "4h", 0, 30 * DAY,
             "When the sender is told that mail is late. 0 is never."),
    DURATION(config_queue, retry_first, "5m", SECOND, DAY, "Wait after the first failed attempt."),
    DURATION(config_queue, retry_max, "2h", SECOND, 2 * DAY, "Longest wait between attempts."),
    ROW(config_queue, retry_factor, SCHEMA_DECIMAL, double,
        "Each wait is so many times the one before.", .fallback = "2.0", .least = 1000,
        .most = 10000),
    COUNT(config_queue, retry_jitter, "20", 0, 50,
          "Per cent of each wait that are added or taken at random, so that attempts spread."),
    SIZE(config_queue, max_size, "20GiB", 16 * MIB, PIB,
         "Room of the queue on disk; when it is full, mail is answered 452."),
    COUNT(config_queue, max_messages, "5000000", 100, 1000000000,
          "Messages in the queue; with more, mail is answered 452."),
    SIZE(config_queue, min_free_disk, "256MiB", 0, TIB,
         "Room that is left on the disk; with less, mail is answered 452."),
    COUNT(config_queue, concurrency_first, "5", 1, 1000,
          "Connections to one destination at the start."),
    COUNT(config_queue, concurrency_max, "20", 1, 1000,
          "Connections to one destination when deliveries succeed."),
    COUNT(config_queue, connections, "200", 1, 10000, "Connections to all destinations."),
    COUNT(config_queue, reuse_messages, "100", 1, 100000,
          "Messages over one connection before it is closed."),
    IGNORE_EHLO(config_queue,
                "Keywords that are taken for not offered in the reply to EHLO, whichever server "
                "offers them. For one that offers what does not work there, say so with its route. "
                "A server that offers CHUNKING and does not know BDAT is found out, and gets DATA "
                "for a day."),
    GROUP(config_queue, timeouts, struct config_client_timeouts, client_timeouts_map,
          "How long servers are waited for. The defaults are those of RFC 5321 section 4.5.3.2 "
          "or shorter where nothing can be lost."),
};
static const struct schema_map queue_map = MAP_OF("Queue", config_queue, queue_fields);

static const struct schema_field callout_fields[] = {
    DURATION(config_callout, timeout, "20s", SECOND, 5 * MINUTE,
             "How long the answer is waited for; then the recipient is answered 451."),
    DURATION(config_callout, positive_cache, "1d", 0, 30 * DAY,
             "How long it is remembered that a recipient exists."),
    DURATION(config_callout, negative_cache, "10m", 0, DAY,
             "How long it is remembered that a recipient does not exist."),
};
static const struct schema_map callout_map = MAP_OF("Call-out", config_callout, callout_fields);

static const struct schema_choice strangers_choices[] = {
    {"headers", CONFIG_STRANGERS_HEADERS,
     "failures only, in a short notice with the header of the message, and only where SPF or DKIM "
     "authenticated the domain of the sender"},
    {"never", CONFIG_STRANGERS_NEVER, "nothing"},
    {0},
};

static const struct schema_field bounce_fields[] = {
    ROW(config_bounce, postmaster, SCHEMA_MAILBOX, struct config_mailbox,
        "Who answers for this gateway. Gets the mail to postmaster and abuse of every domain "
        "that has no such user or alias. These two are never refused for good (RFC 5321 section "
        "4.5.1, RFC 2142): when the one named here does not exist, the answer is 451, and the log "
        "says so. The postmaster is also told of each failure that the sender is not told: of "
        "notices "
        "that cannot be delivered, and of mail from strangers who may be forged. After 20 such "
        "notices within an hour the others come in one list at its end.",
        .unset = "each domain needs somebody: a catch_all, or an alias postmaster",
        .example = "bob@example.com"),
    SIZE(config_bounce, returned_size, "64KiB", 0, 10 * MIB,
         "Most of the original message that goes back with a bounce."),
    CHOICE(config_bounce, to_strangers, enum config_strangers, "headers", strangers_choices,
           "What senders are told who have neither logged in nor are in a zone with relay, when "
           "their message fails after it was accepted. Their addresses may be forged, so they are "
           "never told of delivery or delay."),
};
static const struct schema_map bounce_map = MAP_OF("Bounces", config_bounce, bounce_fields);

static const struct schema_field retention_fields[] = {
    DURATION(config_retention, trace_age, "90d", HOUR, 3650 * DAY,
             "How long the traces of messages are kept."),
    SIZE(config_retention, trace_size, "10GiB", 16 * MIB, PIB,
         "How much room they may take; the oldest go first."),
    DURATION(config_retention, dmarc_observations, "40d", DAY, 3650 * DAY,
             "How long it is kept what the aggregate reports to other domains will tell (DMARC)."),
    SIZE(config_retention, dmarc_observations_size, "1GiB", MIB, TIB,
         "How much room that may take; the oldest days go first."),
};
static const struct schema_map retention_map =
    MAP_OF("Retention", config_retention, retention_fields);

static const struct schema_field logging_fields[] = {
    CHOICE(config_logging, level, enum log_level, "info", log_level_choices, "How much is logged."),
    CHOICE(config_logging, format, enum log_format, "keyvalue", log_format_choices,
           "How a line looks. Lines go to standard error, under systemd to the journal."),
};
static const struct schema_map logging_map = MAP_OF("Logging", config_logging, logging_fields);

static const struct schema_field metrics_fields[] = {
    BOOL(config_metrics, enabled, "true", "Whether there is such a listener."),
    ROW(config_metrics, address, SCHEMA_ADDRESS, struct ip_address,
        "Where it listens: a loopback address, because there is no log-in. A reverse proxy on the "
        "same host can publish it.",
        .fallback = "127.0.0.1"),
    ROW(config_metrics, port, SCHEMA_PORT, uint16_t, "Its port; the page is /metrics.",
        .fallback = "9154", .least = 1, .most = 65535),
};
static const struct schema_map metrics_map = MAP_OF("Metrics", config_metrics, metrics_fields);

static const struct schema_field resolver_fields[] = {
    ROW(config_resolver, forwarders, SCHEMA_ENDPOINT, struct config_endpoints,
        "DNS servers that are asked instead of the root. Their answers are validated all the "
        "same.",
        .is_list = true, .most = 16, .unset = "the resolver asks the DNS itself, from the root",
        .example = "[192.0.2.53, \"2001:db8::53@5353\"]"),
    ROW(config_resolver, stub_root, SCHEMA_ENDPOINT, struct config_endpoint,
        "Server of a root of one's own, for laboratories and closed networks.",
        .unset = "the root servers of the internet", .example = "127.0.53.1@5353"),
    ROW(config_resolver, trust_anchors, SCHEMA_PATH, struct config_texts,
        "Files with DS or DNSKEY records, one a line, that DNSSEC starts from. When their zone "
        "changes its keys, Postern follows (RFC 5011) and keeps what it has learnt in its state "
        "directory.",
        .is_list = true, .most = 16, .unset = "those of the internet's root",
        .example = "[/etc/postern/root.key]"),
    DURATION(config_resolver, anchor_hold_down, "30d", SECOND, 365 * DAY,
             "How long a new key must have been seen before it is trusted. RFC 5011 says 30 days; "
             "less is for laboratories."),
    ROW(config_resolver, self_test, SCHEMA_DOMAIN, struct str,
        "A signed domain that is asked for besides the zones of the trust anchors when Postern "
        "looks whether DNSSEC validation works.",
        .unset = "only the zones of the trust anchors", .example = "example.com"),
    ROW(config_resolver, local_zones, SCHEMA_DOMAIN, struct config_texts,
        "Special-use names (RFC 6761), such as test, that are looked up like others. Without "
        "this the resolver answers itself that they do not exist.",
        .is_list = true, .most = 100, .unset = "none", .example = "[test]"),
    BOOL(config_resolver, dnssec, "true", "Validate with DNSSEC; DANE needs it."),
    DURATION(config_resolver, timeout, "10s", 100 * MILLISECOND, 5 * MINUTE,
             "How long an answer is waited for in all."),
    DURATION(config_resolver, message_timeout, "30s", SECOND, 5 * MINUTE,
             "How long the checks of one message may wait for names in all."),
    COUNT(config_resolver, message_questions, "300", 20, 10000,
          "Questions that the checks of one message may ask in all."),
    SIZE(config_resolver, cache_size, "64MiB", MIB, 64 * GIB, "Memory for the cache."),
    DURATION(config_resolver, cache_ttl_min, "0s", 0, HOUR,
             "Answers are kept at least this long, even if their zone says less."),
    DURATION(config_resolver, cache_ttl_max, "1d", MINUTE, 7 * DAY,
             "Answers are kept at most this long."),
    DURATION(config_resolver, cache_negative_ttl_max, "1h", SECOND, DAY,
             "How long at most it is kept that a name does not exist."),
};
static const struct schema_map resolver_map = MAP_OF("Resolver", config_resolver, resolver_fields);

static const struct schema_field root_fields[] = {
    ROW(config, hostname, SCHEMA_HOSTNAME, struct str,
        "The name of this gateway in greetings and Received fields. It should have an address "
        "in the DNS that points back to it.",
        .required = true, .example = "mx.example.com"),
    GROUP(config, directories, struct config_directories, directories_map, "Where things are."),
    ROW(config, run_as, SCHEMA_NAME, struct str,
        "The system user of roles that have none of their own (postern-edge, postern-filter "
        "and so on). Without meaning unless started as root.",
        .fallback = "postern"),
    GROUP(config, workers, struct config_workers, workers_map, "How much runs side by side."),
    ROW(config, listeners, SCHEMA_MAP, struct config_listeners, "Where mail comes in.",
        .is_list = true, .required = true, .least = 1, .most = 64, .map = &listener_map,
        .example = "[{address: 192.0.2.25, port: 25, kind: mx}]"),
    GROUP(config, tls, struct config_tls, tls_map, "Encryption on the way."),
    ROW(config, domains, SCHEMA_MAP, struct config_domains,
        "Domains that mail is accepted for. Mail for others is only taken from users who have "
        "logged in and from zones with relay.",
        .is_list = true, .most = 100000, .map = &domain_map, .unset = "none: mail only goes out"),
    ROW(config, routes, SCHEMA_MAP, struct config_routes, "Other ways out for some domains.",
        .is_list = true, .most = 100000, .map = &schema_route_map,
        .unset = "all mail goes to the MX of its domain or to the smart host"),
    ROW(config, smart_host, SCHEMA_MAP, struct config_smart_host,
        "A server that takes everything which goes out and has no route. May be written as the "
        "URL alone.",
        .map = &schema_smart_host_map, .unset = "mail goes to the MX of its domain"),
    GROUP(config, dane, struct config_dane, schema_dane_map,
          "Which certificate a server must have, said by its DNS."),
    ROW(config, zones, SCHEMA_MAP, struct config_zones,
        "Networks with rights and duties of their own.", .is_list = true, .most = 1000,
        .map = &zone_map, .unset = "none: nobody relays without logging in"),
    GROUP(config, limits, struct config_limits, limits_map, "What clients can make Postern do."),
    ROW(config, checks, SCHEMA_MAP, struct config_checks,
        "What is done about findings, where it is not to be what Postern does by itself; "
        "postern config findings lists that.",
        .is_list = true, .most = 1000, .map = &check_map,
        .unset = "each finding has an action of its own"),
    GROUP(config, smtp, struct config_smtp, smtp_map, "How Postern presents itself."),
    GROUP(config, submission, struct config_submission, submission_map,
          "What is done to messages of users who have logged in."),
    GROUP(config, sendmail, struct config_sendmail, schema_sendmail_map,
          "Mail of this machine's own users and programs."),
    GROUP(config, queue, struct config_queue, queue_map, "How and how long delivery is tried."),
    GROUP(config, callout, struct config_callout, callout_map,
          "Asking the server behind about recipients, for domains with recipients: callout."),
    GROUP(config, bounce, struct config_bounce, bounce_map, "Reports about failed delivery."),
    GROUP(config, retention, struct config_retention, retention_map, "How long things are kept."),
    GROUP(config, logging, struct config_logging, logging_map, "What is logged."),
    GROUP(config, metrics, struct config_metrics, metrics_map, "Figures for Prometheus."),
    GROUP(config, resolver, struct config_resolver, resolver_map, "How names are looked up."),
    GROUP(config, fetch, struct config_fetch, schema_fetch_map,
          "How policies and other files are fetched from web servers."),
    GROUP(config, authentication, struct config_authentication, schema_authentication,
          "Who sent it: what is made of the answers, and how our own mail is signed."),
};
const struct schema_map schema_root = MAP_OF("The file", config, root_fields);

/*
 * dovecot_template.h - the text of a configuration for Dovecot 2.3 that fits this gateway.
 *
 * What it says: mail comes in over LMTP where Postern's domains deliver to, is read over IMAPS
 * only, with TLS 1.2 or later, by the users of the ledger with their own passwords (a passwd-file
 * that the ledger keeps up to date). Nothing listens in the clear but LMTP.
 *
 * Pure: no file is read and none is written. cli/dovecot_config.c calls it.
 */
#ifndef POSTERN_CLI_DOVECOT_TEMPLATE_H
#define POSTERN_CLI_DOVECOT_TEMPLATE_H

#include "base/buf.h"
#include "config/config.h"

/* Most LMTP listeners that one Dovecot gets. */
#define DOVECOT_LMTP_MAX         64
/* Most octets of the text. */
#define DOVECOT_TEMPLATE_CEILING (64u << 10)

struct dovecot_settings {
    struct str base_directory; /* sockets and process id; short, Unix socket paths are limited */
    struct str mail_directory; /* DIRECTORY/domain/user/Maildir */
    struct str mail_user;      /* who owns the mail, a name or a number */
    struct str mail_group;
    uint32_t mail_uid_first; /* least uid that may own mail; 0: Dovecot's default */
    struct str users_file;   /* written by the ledger: name:{ARGON2ID}...:::::: */
    bool started_as_root;    /* then Dovecot changes to its own accounts */
    /* Groups of Postern that Dovecot works with when started as root; n == 0: they have no name. */
    struct str users_group; /* may read users_file */
    struct str lmtp_group;  /* may connect to LMTP over a Unix socket */
    /* Whom Dovecot's processes run as when not started as root. */
    struct str process_user;
    struct str process_group;
    struct str certificate; /* PEM files */
    struct str key;
    enum config_tls_version tls_minimum;
    struct str imaps_address; /* "*" is every address */
    uint16_t imaps_port;
    char plus_separator; /* 0: none */
    size_t lmtp_count;
    /* LMTP_TCP or LMTP_UNIX; a socket in base_directory has its name there as path. */
    struct config_delivery lmtp[DOVECOT_LMTP_MAX];
};

/*
 * Appends the configuration to `out`.
 * STATUS_SYNTAX: a value holds a character that Dovecot's file format would take for something
 * else; *offender_out is that value. STATUS_LIMIT: past the ceiling of `out`.
 */
[[nodiscard]] enum status dovecot_template_write(struct buf *out,
                                                 const struct dovecot_settings *settings,
                                                 struct str *offender_out);

#endif

#include "cli/dovecot_template.h"

static const char HEAD[] =
    "# Dovecot 2.3 behind Postern. Written by `postern dovecot-config`: change Postern's own\n"
    "# configuration and run that again, or include this file from one of your own.\n"
    "\n"
    "protocols = imap lmtp\n"
    "instance_name = postern\n"
    "log_path = /dev/stderr\n"
    "\n"
    "# Read over TLS only; there is no listener in the clear for clients.\n"
    "ssl = required\n"
    "ssl_prefer_server_ciphers = yes\n"
    "disable_plaintext_auth = yes\n"
    "auth_mechanisms = plain login\n"
    "auth_username_format = %Lu\n";

static const char MAILBOXES[] = "mail_location = maildir:~/Maildir\n"
                                "namespace inbox {\n"
                                "  inbox = yes\n"
                                "  separator = /\n"
                                "  mailbox Drafts {\n"
                                "    special_use = \\Drafts\n"
                                "    auto = subscribe\n"
                                "  }\n"
                                "  mailbox Sent {\n"
                                "    special_use = \\Sent\n"
                                "    auto = subscribe\n"
                                "  }\n"
                                "  mailbox Junk {\n"
                                "    special_use = \\Junk\n"
                                "    auto = subscribe\n"
                                "  }\n"
                                "  mailbox Trash {\n"
                                "    special_use = \\Trash\n"
                                "    auto = subscribe\n"
                                "  }\n"
                                "}\n";

/* Verifying an Argon2id password takes the memory it was made with; both run in `auth`. */
#define AUTH_MEMORY "1G"

/*
 * Dovecot's file format knows comments (#), quotes, blocks ({}), variables ($ and %), files (<)
 * and, within `args`, blanks. None of them belongs into a path or a name here, so they are
 * refused instead of escaped.
 */
static bool
value_is_plain(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if (c <= ' ' || c >= 127 || strchr("#\"'{}$%<\\", c) != NULL) {
            return false;
        }
    }
    return true;
}

static bool
settings_are_plain(const struct dovecot_settings *s, struct str *offender_out)
{
    const struct str values[] = {
        s->base_directory, s->mail_directory, s->mail_user,  s->mail_group,
        s->users_file,     s->users_group,    s->lmtp_group, s->process_user,
        s->process_group,  s->certificate,    s->key,        s->imaps_address,
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (!value_is_plain(values[i])) {
            *offender_out = values[i];
            return false;
        }
    }
    for (size_t i = 0; i < s->lmtp_count; i++) {
        if (!value_is_plain(s->lmtp[i].path) || !value_is_plain(s->lmtp[i].host)) {
            *offender_out = s->lmtp[i].text;
            return false;
        }
    }
    return true;
}

static enum status
write_general(struct buf *out, const struct dovecot_settings *s)
{
    enum status status = buf_printf(out,
                                    "%s"
                                    "ssl_min_protocol = %s\n"
                                    "ssl_cert = <%.*s\n"
                                    "ssl_key = <%.*s\n"
                                    "\n"
                                    "base_dir = %.*s\n"
                                    "state_dir = %.*s\n",
                                    HEAD, s->tls_minimum == CONFIG_TLS_1_3 ? "TLSv1.3" : "TLSv1.2",
                                    STR_ARG(s->certificate), STR_ARG(s->key),
                                    STR_ARG(s->base_directory), STR_ARG(s->base_directory));
    if (status != STATUS_OK || s->started_as_root) {
        return status;
    }
    /* Without root there is nobody else to be, and no chroot. */
    return buf_printf(out,
                      "default_internal_user = %.*s\n"
                      "default_internal_group = %.*s\n"
                      "default_login_user = %.*s\n"
                      "service anvil {\n"
                      "  chroot =\n"
                      "}\n",
                      STR_ARG(s->process_user), STR_ARG(s->process_group),
                      STR_ARG(s->process_user));
}

/*
 * Who may read the users' file: Dovecot's own account with the group of Postern's ledger. Where
 * that group has no name (a trial without the package's accounts), Dovecot cannot be told of it,
 * and root reads the file.
 */
static enum status
write_auth(struct buf *out, const struct dovecot_settings *s)
{
    enum status status = buf_append(out, STR("service auth {\n  vsz_limit = " AUTH_MEMORY "\n"));
    if (status == STATUS_OK && s->users_group.n > 0) {
        status = buf_printf(out, "  extra_groups = %.*s\n", STR_ARG(s->users_group));
    } else if (status == STATUS_OK && s->started_as_root) {
        status = buf_append(out, STR("  user = root\n"));
    }
    return status == STATUS_OK ? buf_append(out, STR("}\n\n")) : status;
}

static enum status
write_users(struct buf *out, const struct dovecot_settings *s)
{
    enum status status =
        buf_printf(out,
                   "\n# Postern's users; the ledger rewrites this file whenever one changes.\n"
                   "passdb {\n"
                   "  driver = passwd-file\n"
                   "  args = scheme=ARGON2ID username_format=%%Lu %.*s\n"
                   "}\n"
                   "userdb {\n"
                   "  driver = passwd-file\n"
                   "  args = username_format=%%Lu %.*s\n"
                   "  default_fields = uid=%.*s gid=%.*s home=%.*s/%%Ld/%%Ln\n"
                   "}\n",
                   STR_ARG(s->users_file), STR_ARG(s->users_file), STR_ARG(s->mail_user),
                   STR_ARG(s->mail_group), STR_ARG(s->mail_directory));
    if (status == STATUS_OK && s->mail_uid_first > 0) {
        status = buf_printf(out, "first_valid_uid = %u\n", (unsigned)s->mail_uid_first);
    }
    if (status == STATUS_OK) {
        status = write_auth(out, s);
    }
    if (status == STATUS_OK) {
        status = buf_append(out, str_from_cstr(MAILBOXES));
    }
    if (status == STATUS_OK && s->plus_separator != 0) {
        status = buf_printf(out, "recipient_delimiter = %c\n", s->plus_separator);
    }
    return status;
}

static enum status
write_imaps(struct buf *out, const struct dovecot_settings *s)
{
    return buf_printf(out,
                      "\nservice imap-login {\n"
                      "%s"
                      "  inet_listener imap {\n"
                      "    port = 0\n"
                      "  }\n"
                      "  inet_listener imaps {\n"
                      "    address = %.*s\n"
                      "    port = %u\n"
                      "    ssl = yes\n"
                      "  }\n"
                      "}\n",
                      s->started_as_root ? "" : "  chroot =\n", STR_ARG(s->imaps_address),
                      (unsigned)s->imaps_port);
}

static enum status
write_lmtp_listener(struct buf *out, const struct dovecot_settings *s, size_t i)
{
    const struct config_delivery *lmtp = &s->lmtp[i];
    if (lmtp->kind == CONFIG_DELIVERY_LMTP_TCP) {
        return buf_printf(out,
                          "  inet_listener lmtp-%zu {\n"
                          "    address = %.*s\n"
                          "    port = %u\n"
                          "  }\n",
                          i + 1, STR_ARG(lmtp->host), (unsigned)lmtp->port);
    }
    /* Without a group that Postern's relay is in, any local user may deliver: it is only mail. */
    bool open_to_all = s->started_as_root && s->lmtp_group.n == 0;
    enum status status = buf_printf(out,
                                    "  unix_listener %.*s {\n"
                                    "    mode = %s\n",
                                    STR_ARG(lmtp->path), open_to_all ? "0666" : "0660");
    if (status == STATUS_OK && s->lmtp_group.n > 0) {
        status = buf_printf(out, "    group = %.*s\n", STR_ARG(s->lmtp_group));
    }
    return status == STATUS_OK ? buf_append(out, STR("  }\n")) : status;
}

/* Dovecot opens this one to all local users unless it is told otherwise. */
#define DOVECOT_OWN_LMTP "lmtp"

static bool
has_own_lmtp(const struct dovecot_settings *s)
{
    for (size_t i = 0; i < s->lmtp_count; i++) {
        if (s->lmtp[i].kind == CONFIG_DELIVERY_LMTP_UNIX &&
            str_eq(s->lmtp[i].path, STR(DOVECOT_OWN_LMTP))) {
            return true;
        }
    }
    return false;
}

static enum status
write_lmtp(struct buf *out, const struct dovecot_settings *s)
{
    enum status status = buf_append(out, STR("\nservice lmtp {\n"));
    if (status == STATUS_OK && !has_own_lmtp(s)) {
        status = buf_append(out, STR("  unix_listener " DOVECOT_OWN_LMTP " {\n"
                                     "    mode = 0\n"
                                     "  }\n"));
    }
    for (size_t i = 0; status == STATUS_OK && i < s->lmtp_count; i++) {
        status = write_lmtp_listener(out, s, i);
    }
    if (status == STATUS_OK) {
        status = buf_append(out, STR("}\n"));
    }
    return status;
}

enum status
dovecot_template_write(struct buf *out, const struct dovecot_settings *settings,
                       struct str *offender_out)
{
    if (!settings_are_plain(settings, offender_out)) {
        return STATUS_SYNTAX;
    }
    enum status status = write_general(out, settings);
    if (status == STATUS_OK) {
        status = write_users(out, settings);
    }
    if (status == STATUS_OK) {
        status = write_imaps(out, settings);
    }
    if (status == STATUS_OK) {
        status = write_lmtp(out, settings);
    }
    return status;
}

/* The part of the schema about mail of this machine's own users. */
#include "config/schema_rows.h"

static const struct schema_field sendmail_fields[] = {
    BOOL(config_sendmail, enabled, "true",
         "Whether this machine's own users and programs can submit mail with postern sendmail, "
         "which is /usr/sbin/sendmail where the package is the only one that has it. They need no "
         "password: the kernel tells who they are."),
    ROW(config_sendmail, domain, SCHEMA_DOMAIN, struct str,
        "The domain of addresses that have none, such as root.",
        .unset = "the domain that hostname is in, else the first of domains, else hostname",
        .example = "example.com"),
    ROW(config_sendmail, users, SCHEMA_TEXT, struct config_texts,
        "Who may submit, besides root: uid: and the number that id -u tells; * stands for any "
        "text.",
        .is_list = true, .most = 1000, .unset = "everybody", .example = "[\"uid:33\"]"),
    ROW(config_sendmail, any_sender, SCHEMA_TEXT, struct config_texts,
        "Who may use any sender and author, besides root. The others may write as any address of "
        "domains and of hostname, and as what submission.senders allows them.",
        .is_list = true, .most = 1000, .unset = "root only", .example = "[\"uid:1000\"]"),
};
const struct schema_map schema_sendmail_map = MAP_OF("Sendmail", config_sendmail, sendmail_fields);

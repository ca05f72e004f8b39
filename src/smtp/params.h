/*
 * params.h - parameters of MAIL and RCPT (RFC 5321 4.1.2, RFC 3461, 1870, 6152, 6531, 4954) and the
 * xtext encoding (RFC 3461 4).
 */
#ifndef POSTERN_SMTP_PARAMS_H
#define POSTERN_SMTP_PARAMS_H

#include "smtp/envelope.h"
#include "smtp/reply.h"

/* Most parameters of one command; more than any set of extensions gives. */
#define SMTP_PARAMS_MAX 16u

/* Which extensions are on; their parameters are unknown (555) otherwise. */
struct smtp_param_rules {
    bool dsn;
    bool smtputf8;
    bool auth;             /* AUTH= of RFC 4954 5 is understood */
    uint64_t message_size; /* 0: no limit */
};

/*
 * Decodes xtext: "+" and two upper-case hexadecimal digits, or printable characters but "+" and
 * "=". The result may hold any octet. STATUS_SYNTAX, or STATUS_LIMIT past the arena's ceiling.
 */
[[nodiscard]] enum status smtp_xtext_decode(struct arena *arena, struct str s,
                                            struct str *octets_out);
/* {NULL,0} past the arena's ceiling. */
struct str smtp_xtext_encode(struct arena *arena, struct str octets);

/*
 * Reads what follows the path of MAIL into *envelope (size, body, smtputf8, ret, envid) or of RCPT
 * into *recipient (notify, orcpt). Everything kept is in `arena`. Returns true, or false with
 * *reply_out saying why; then the target is partly filled and of no use.
 */
[[nodiscard]] bool smtp_mail_params_parse(struct arena *arena, struct str s,
                                          const struct smtp_param_rules *rules,
                                          struct smtp_envelope *envelope,
                                          struct smtp_reply *reply_out);
[[nodiscard]] bool smtp_rcpt_params_parse(struct arena *arena, struct str s,
                                          const struct smtp_param_rules *rules, bool smtputf8,
                                          struct smtp_recipient *recipient,
                                          struct smtp_reply *reply_out);

#endif

/*
 * srs.h - the sender rewriting scheme: an envelope sender that SPF can pass after forwarding, and
 * that leads a bounce back to the real sender.
 *
 *     bob@a.example            -> SRS0=HHHHHH=TT=a.example=bob@us
 *     SRS0=...@first.example   -> SRS1=HHHHHH=first.example==...@us
 *     SRS1=H=first.example==...@second.example -> SRS1=HHHHHH=first.example==...@us
 *
 * H is a truncated HMAC-SHA256 in base 32 over what follows it, with its letter case folded, since
 * hosts on the way change it; TT the day in base 32, modulo 1024. Without a valid H, nobody gets a
 * bounce through us: the rewritten address is no open relay. The first secret signs, all verify.
 * An address that was rewritten before gets a hash, not another layer: the way back goes to the
 * first forwarder at once, which checks its own day.
 *
 * Pure: secrets and clock are parameters. After draft "SRS" (Meng Weng Wong, Shevek, 2003), which
 * has no RFC; RFC 5321 4.5.3.1.1 for sizes.
 */
#ifndef POSTERN_AUTH_SRS_H
#define POSTERN_AUTH_SRS_H

#include "base/arena.h"

/* Characters of the hash: 30 bits, so that guessing takes a thousand million messages. */
#define SRS_HASH_SIZE   6u
/* A day counts modulo this; addresses cannot be valid for longer. */
#define SRS_DAYS_MODULO 1024u
#define SRS_VALID_MAX   1000u
/* Secrets that are tried. */
#define SRS_SECRETS_MAX 8u
/* RFC 5321 4.5.3.1.1. */
#define SRS_LOCAL_MAX   64u

struct srs_settings {
    const struct str *secrets; /* borrowed; the first signs */
    size_t secret_count;       /* 1 to SRS_SECRETS_MAX */
    struct str domain;         /* ours, in normal form: what comes back to us */
    unsigned valid_days;       /* 1 to SRS_VALID_MAX */
    size_t local_max;          /* octets of the local part made; 0: SRS_LOCAL_MAX */
};

enum srs_result {
    SRS_REWRITTEN,  /* the outputs are set */
    SRS_NOT_NEEDED, /* forward: null path, or ours already; reverse: not one of ours */
    SRS_TOO_LONG,   /* forward: the local part would be longer than hosts take */
    SRS_MALFORMED,  /* reverse: begins as one of ours, but is none */
    SRS_FORGED,     /* reverse: the hash is not ours; forward: of an address at our domain */
    SRS_EXPIRED,    /* reverse: older than valid_days */
};

/* An address: local part without quotes, domain in normal form. Both empty: the null path. */
struct srs_address {
    struct str local;
    struct str domain;
};

/*
 * The envelope sender for a message that is forwarded. `now`: seconds since 1970. The result lives
 * in the arena. STATUS_LIMIT: the arena is full; STATUS_BUG: settings out of their bounds.
 */
[[nodiscard]] enum status srs_forward(struct arena *arena, const struct srs_settings *settings,
                                      const struct srs_address *sender, int64_t now,
                                      enum srs_result *result_out,
                                      struct srs_address *rewritten_out);

/*
 * Where a message to a rewritten address of ours goes. `local`: the local part of a recipient at
 * settings->domain. Errors as above. Only SRS_REWRITTEN and SRS_NOT_NEEDED may be accepted.
 */
[[nodiscard]] enum status srs_reverse(struct arena *arena, const struct srs_settings *settings,
                                      struct str local, int64_t now, enum srs_result *result_out,
                                      struct srs_address *address_out);

/*
 * The sender of a message that this gateway has itself rewritten and kept: as srs_reverse, without
 * asking whether the hash is ours or the day long ago, so never for what a client has said.
 * STATUS_SYNTAX: it is none; STATUS_LIMIT: the arena is full.
 */
[[nodiscard]] enum status srs_undo(struct arena *arena, struct str local,
                                   struct srs_address *address_out);

/*
 * The short form of an address whose rewriting would be too long, such as a VERP sender's: a code
 * in place of its local part, and this in place of its domain. Who makes one keeps what it stands
 * for, and reads it again when srs_reverse or srs_undo gives a code back.
 */
#define SRS_SHORT_DOMAIN "-"
static inline bool
srs_is_short(const struct srs_address *address)
{
    return str_eq(address->domain, STR(SRS_SHORT_DOMAIN));
}

/* True when a local part begins as a rewritten one (SRS0 or SRS1 and a separator). */
bool srs_is_rewritten(struct str local);

/* "rewritten", "forged", ...; static, never NULL. */
const char *srs_result_name(enum srs_result result);

#endif

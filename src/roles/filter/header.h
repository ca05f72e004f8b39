/*
 * header.h - what the filter changes in the header section of a message that is accepted.
 *
 * From outside: a Return-Path (which only the last server writes, RFC 5321 4.4) and tags that claim
 * to be ours go; tags of ours, a Delivered-To for a forward (RFC 9228) and our Received come. Of a
 * user's message in addition: Bcc goes, Date and Message-ID come where they are missing (RFC 6409
 * 8); of that from a zone with relay these two. Obsolete syntax is written anew (mail/repair.h), as
 * far as that breaks no signature without need. All other octets stay as they are.
 */
#ifndef POSTERN_ROLES_FILTER_HEADER_H
#define POSTERN_ROLES_FILTER_HEADER_H

#include "check/check.h"
#include "ipc/messages.h"
#include "mail/edit.h"
#include "policy/decision.h"

struct filter_header_input {
    const struct config *config;
    const struct msg_submit *submit;
    const struct mail_head *head;
    const struct decision *decision;
    const struct check_input *checked; /* what authentication has found, and which way it goes */
    const struct record_recipient *recipients; /* of this copy */
    size_t recipient_count;
};

/* True when a user's program sent it: he is authenticated, or it came by a submission listener. */
bool filter_is_submission(const struct msg_submit *submit);

/*
 * Collects the edits in `edits` (initialised with the same head). STATUS_LIMIT when the arena is
 * full, STATUS_SYNTAX when a value that we write would not be one field: a bug.
 */
[[nodiscard]] enum status filter_header_edit(const struct filter_header_input *input,
                                             struct mail_edits *edits);

#endif

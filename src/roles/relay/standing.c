#include "roles/relay/standing.h"

#include "roles/relay/reply_text.h"

const struct relay_failure *
relay_failure_make(struct arena *arena, const struct relay_failure *failure)
{
    struct relay_failure *copy = arena_alloc(arena, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *failure;
    copy->reply.text = relay_reply_text(arena, &failure->reply);
    copy->remote = arena_str_dup(arena, failure->remote);
    copy->tls = arena_str_dup(arena, failure->tls);
    return copy;
}

void
relay_standing_note(struct relay_standing *standing, const struct relay_failure *failure)
{
    if (failure == NULL) {
        return;
    }
    const struct relay_failure **known =
        failure->permanent ? &standing->permanent : &standing->temporary;
    bool outweighs = *known == NULL || failure->rank > (*known)->rank;
    /* A refusal for good says more than a feature that this host happens not to have. */
    if (*known != NULL && failure->permanent && failure->lacks_feature != (*known)->lacks_feature) {
        outweighs = (*known)->lacks_feature;
    }
    if (outweighs) {
        *known = failure;
    }
}

bool
relay_standing_refused(struct relay_standing *standing, const struct ip_address *ip)
{
    if (standing->refusals < STANDING_REFUSALS_MAX) {
        standing->refused_by[standing->refusals++] = *ip;
    }
    return standing->refusals < STANDING_REFUSALS_MAX;
}

bool
relay_standing_was_refused_by(const struct relay_standing *standing, const struct ip_address *ip)
{
    for (unsigned i = 0; i < standing->refusals; i++) {
        if (ip_eq(&standing->refused_by[i], ip)) {
            return true;
        }
    }
    return false;
}

/* "mx1.example[192.0.2.1]:25 said 554 no; mx2.example: connection refused" */
static struct str
text_of_both(struct arena *arena, const struct relay_failure *temporary,
             const struct relay_failure *permanent)
{
    const struct smtp_reply *reply = &permanent->reply;
    struct str text;
    if (reply->code > 0) {
        struct str enhanced = relay_enhanced_text(arena, reply);
        text = arena_printf(arena, "%.*s said %u %.*s%s%.*s; %.*s", STR_ARG(permanent->remote),
                            reply->code, STR_ARG(enhanced), enhanced.n > 0 ? " " : "",
                            STR_ARG(reply->text), STR_ARG(temporary->reply.text));
    } else {
        text = arena_printf(arena, "%.*s: %.*s; %.*s", STR_ARG(permanent->remote),
                            STR_ARG(reply->text), STR_ARG(temporary->reply.text));
    }
    return text.p != NULL ? text : temporary->reply.text;
}

void
relay_standing_conclude(struct arena *arena, const struct relay_standing *standing, bool more_hosts,
                        struct relay_failure *told_out)
{
    const struct relay_failure *temporary = standing->temporary;
    const struct relay_failure *permanent = standing->permanent;
    if (temporary == NULL && permanent == NULL) {
        *told_out = (struct relay_failure){
            .reply = SMTP_REPLY(0, 4, 4, 0, "no address of the destination could be used")};
        return;
    }
    if (temporary == NULL) {
        *told_out = *permanent;
        told_out->permanent = !(permanent->lacks_feature && more_hosts);
        if (!told_out->permanent && permanent->reply.enhanced.class == 5) {
            told_out->reply.enhanced.class = 4;
        }
        return;
    }
    *told_out = *temporary;
    if (permanent != NULL && temporary->rank < FAILURE_TIME) {
        told_out->reply.text = text_of_both(arena, temporary, permanent);
    }
}

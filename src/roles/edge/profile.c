#include "roles/edge/profile.h"

#include <stdio.h>
#include <stdlib.h>

#include "config/local_user.h"
#include "tls/configured.h"

/* RFC 5321 4.5.3.1.6 counts a line with its CRLF; the core without. */
#define CRLF_SIZE 2u

static enum smtp_listener_kind
core_kind(enum config_listener_kind kind)
{
    switch (kind) {
    case CONFIG_LISTENER_SUBMISSION:
    case CONFIG_LISTENER_LOCAL:
        return SMTP_LISTENER_SUBMISSION;
    case CONFIG_LISTENER_SMTPS:
        return SMTP_LISTENER_SMTPS;
    case CONFIG_LISTENER_MX:
        break;
    }
    return SMTP_LISTENER_MX;
}

static enum smtp_tls_mode
core_tls(const struct profile_listener *listener)
{
    if (listener->config->tls == CONFIG_TLS_REQUIRED) {
        return SMTP_TLS_REQUIRED; /* without a context too: then nothing is accepted */
    }
    if (listener->tls == NULL || listener->config->tls == CONFIG_TLS_NONE) {
        return SMTP_TLS_NONE;
    }
    return SMTP_TLS_OPPORTUNISTIC;
}

static void
settings_apply_limits(struct smtp_server_settings *settings, const struct config_limits *limits)
{
    settings->limits.command_line = limits->command_length;
    settings->limits.auth_line = limits->auth_length;
    settings->limits.message_size = limits->message_size;
    settings->limits.text_line = limits->line_length - CRLF_SIZE;
    settings->limits.recipients = limits->recipients < SMTP_SERVER_RECIPIENTS_CEILING
                                      ? limits->recipients
                                      : SMTP_SERVER_RECIPIENTS_CEILING;
    settings->limits.transactions = limits->messages;
    settings->limits.commands = limits->commands;
    settings->limits.idle_commands = limits->junk_commands;
    settings->limits.errors = limits->errors;
    settings->limits.auth_failures = limits->auth_failures_per_connection;
    settings->limits.received = limits->received_count;
    settings->limits.small_chunks = limits->small_chunks;
    settings->limits.discard = limits->discard_size;
    settings->timeouts.command_ms = limits->timeouts.command_ms;
    settings->timeouts.data_ms = limits->timeouts.data_ms;
    settings->timeouts.auth_ms = limits->timeouts.auth_ms;
    settings->bare_lf =
        limits->bare_lf == CONFIG_BARE_LF_DATA ? SMTP_BARE_LF_DATA : SMTP_BARE_LF_REFUSE;
}

static void
settings_apply_zone(struct smtp_server_settings *settings, const struct config_zone *zone)
{
    static const enum smtp_bare_lf bare_lf[] = {
        [CONFIG_ZONE_BARE_LF_REFUSE] = SMTP_BARE_LF_REFUSE,
        [CONFIG_ZONE_BARE_LF_DATA] = SMTP_BARE_LF_DATA,
        [CONFIG_ZONE_BARE_LF_NORMALIZE] = SMTP_BARE_LF_NORMALIZE,
    };
    if (zone->minimum_tls == CONFIG_TLS_REQUIRED) {
        settings->tls = SMTP_TLS_REQUIRED;
    }
    if (zone->bare_lf != CONFIG_ZONE_BARE_LF_LIMITS) {
        settings->bare_lf = bare_lf[zone->bare_lf];
    }
}

static void
listener_make_settings(struct profile_listener *listener, const struct config *config)
{
    smtp_server_settings_init(&listener->settings, core_kind(listener->config->kind));
    /* Whoever submits locally learns from the greeting which domain addresses without one have. */
    listener->settings.hostname = listener->config->kind == CONFIG_LISTENER_LOCAL
                                      ? local_user_domain(config)
                                      : config->hostname;
    listener->settings.greeting = config->smtp.banner;
    listener->settings.tls = core_tls(listener);
    settings_apply_limits(&listener->settings, &config->limits);
    if (!config->submission.channel_binding) {
        listener->settings.auth &= ~(unsigned)SMTP_AUTH_SCRAM_SHA_256_PLUS;
    }
    listener->by_zone = calloc(config->zones.count + 1, sizeof *listener->by_zone);
    if (listener->by_zone == NULL) {
        abort();
    }
    for (size_t i = 0; i < config->zones.count; i++) {
        listener->by_zone[i] = listener->settings;
        settings_apply_zone(&listener->by_zone[i], &config->zones.items[i]);
    }
}

static void
listener_make_tls(struct profile_listener *listener, const struct config_tls *tls,
                  struct tls_identity *const *identities, size_t identity_count)
{
    char error[TLS_ERROR_MAX] = "there is no certificate";
    struct tls_server_settings settings =
        tls_server_settings_of(tls, str_from_cstr(listener->label));
    settings.session_tickets =
        tls->session_tickets &&
        (listener->config->kind != CONFIG_LISTENER_MX || tls->mx_session_tickets);
    settings.opportunistic = listener->config->kind == CONFIG_LISTENER_MX &&
                             listener->config->tls == CONFIG_TLS_OPPORTUNISTIC;
    if (identity_count == 0 || tls_server_create(&settings, identities, identity_count,
                                                 &listener->tls, error) != STATUS_OK) {
        LOG_ERROR("a listener has no TLS and takes no mail", LOG_CSTR("listener", listener->label),
                  LOG_CSTR("reason", error));
        listener->broken = true;
    }
}

/* It is in no file: there is one, or none. */
static const struct config_listener local_listener = {.kind = CONFIG_LISTENER_LOCAL,
                                                      .tls = CONFIG_TLS_NONE};

static void
listener_make_label(struct profile_listener *listener)
{
    char address[IP_TEXT_MAX];
    const struct config_listener *config = listener->config;
    if (config->kind == CONFIG_LISTENER_LOCAL) {
        snprintf(listener->label, sizeof listener->label, "%s",
                 config_listener_kind_name(config->kind));
        return;
    }
    snprintf(listener->label, sizeof listener->label, "%s %s:%u",
             config_listener_kind_name(config->kind), ip_format(&config->address, address),
             config->port);
}

struct profile *
profile_create(const struct config *config, struct tls_identity *const *identities,
               size_t identity_count)
{
    struct profile *profile = calloc(1, sizeof *profile);
    size_t const count = config->listeners.count + (config->sendmail.enabled ? 1 : 0);
    if (profile == NULL ||
        (profile->listeners = calloc(count, sizeof *profile->listeners)) == NULL) {
        abort();
    }
    profile->references = 1;
    profile->config = config_ref(config);
    profile->listener_count = count;
    for (size_t i = 0; i < count; i++) {
        struct profile_listener *listener = &profile->listeners[i];
        listener->config =
            i < config->listeners.count ? &config->listeners.items[i] : &local_listener;
        listener_make_label(listener);
        if (listener->config->tls != CONFIG_TLS_NONE ||
            listener->config->kind == CONFIG_LISTENER_SMTPS) {
            listener_make_tls(listener, &config->tls, identities, identity_count);
        }
        listener_make_settings(listener, config);
    }
    return profile;
}

struct profile *
profile_ref(struct profile *profile)
{
    profile->references++;
    return profile;
}

void
profile_unref(struct profile **profile)
{
    struct profile *p = *profile;
    *profile = NULL;
    if (p == NULL || --p->references > 0) {
        return;
    }
    for (size_t i = 0; i < p->listener_count; i++) {
        tls_server_unref(&p->listeners[i].tls);
        free(p->listeners[i].by_zone);
    }
    config_unref(&p->config);
    free(p->listeners);
    free(p);
}

const struct smtp_server_settings *
profile_settings(const struct profile *profile, const struct profile_listener *listener,
                 const struct config_zone *zone)
{
    return zone != NULL ? &listener->by_zone[zone - profile->config->zones.items]
                        : &listener->settings;
}

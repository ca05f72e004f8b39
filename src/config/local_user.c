#include "config/local_user.h"

#include <stdio.h>

#define PREFIX "uid:"
#define ROOT   0u

struct str
local_user_name(uint32_t uid, char out[static LOCAL_USER_MAX])
{
    snprintf(out, LOCAL_USER_MAX, PREFIX "%u", (unsigned)uid);
    return str_from_cstr(out);
}

bool
local_user_parse(struct str user, uint32_t *uid_out)
{
    uint64_t uid;
    if (!str_starts_with(user, STR(PREFIX)) ||
        str_parse_u64(str_skip(user, sizeof PREFIX - 1), UINT32_MAX, &uid) != STATUS_OK) {
        return false;
    }
    *uid_out = (uint32_t)uid;
    return true;
}

static bool
is_among(const struct config_texts *patterns, struct str user)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (str_fits(user, patterns->items[i])) {
            return true;
        }
    }
    return false;
}

static bool
is_root(struct str user)
{
    uint32_t uid;
    return local_user_parse(user, &uid) && uid == ROOT;
}

bool
local_user_may_submit(const struct config *config, struct str user)
{
    const struct config_texts *users = &config->sendmail.users;
    return users->count == 0 || is_root(user) || is_among(users, user);
}

bool
local_user_may_use_any_sender(const struct config *config, struct str user)
{
    uint32_t uid;
    return local_user_parse(user, &uid) &&
           (uid == ROOT || is_among(&config->sendmail.any_sender, user));
}

bool
local_user_may_use_domain(const struct config *config, struct str domain)
{
    return config_domain_find(config, domain) != NULL || str_eq_nocase(domain, config->hostname) ||
           str_eq_nocase(domain, local_user_domain(config));
}

struct str
local_user_domain(const struct config *config)
{
    struct str above = config->hostname;
    size_t dot = str_find_char(above, '.');
    if (config->sendmail.domain.n > 0) {
        return config->sendmail.domain;
    }
    if (config_domain_find(config, above) != NULL || dot == STR_NPOS) {
        return above;
    }
    above = str_skip(above, dot + 1);
    if (config_domain_find(config, above) != NULL) {
        return above;
    }
    return config->domains.count > 0 ? config->domains.items[0].name : config->hostname;
}

/* What commands ask for: list, generate, import, rotate, publish, retire. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "config/report.h"
#include "roles/vault/internal.h"

#define COMMAND_ARENA 16384u
/* Domains whose names are looked through for what was meant. */
#define NAMES_MAX     20000u

/* A command under way; it ends with its answer. */
struct command {
    struct vault *vault;
    struct asker asker;
    struct ipc_message *message;
    struct arena *arena; /* texts of the answer */
    size_t waiting;      /* answers of the DNS */
    uint64_t numbers[VAULT_LIST_MAX];
    size_t count;
    struct str text;
};

/* ---- answers */

static void
fill_record(const struct entry *entry, struct record_key_record *record_out)
{
    const struct vault_key *key = &entry->key;
    *record_out = (struct record_key_record){
        .number = key->number,
        .domain = str_from_cstr(key->domain),
        .selector = str_from_cstr(key->selector),
        .algorithm = (uint8_t)key->algorithm,
        .bits = (uint16_t)key->bits,
        .state = (uint8_t)key->state,
        .seen = (uint8_t)key->seen,
        .imported = key->imported,
        .created_ms = key->created_ms,
        .published_ms = key->published_ms,
        .activated_ms = key->activated_ms,
        .retiring_ms = key->retiring_ms,
        .retired_ms = key->retired_ms,
        .shown_ms = key->shown_ms,
        .checked_ms = key->checked_ms,
        .missing_ms = key->missing_ms,
        .public_key = str_make((const char *)key->public_key, key->public_size),
        .shown = entry->shown,
    };
}

static struct command *
command_begin(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    struct command *command = calloc(1, sizeof *command);
    if (command == NULL) {
        abort(); /* a few hundred octets */
    }
    command->vault = vault;
    command->message = message;
    command->arena = arena_create(COMMAND_ARENA);
    asker_begin(&vault->askers, &command->asker, channel, message);
    return command;
}

static void
command_end(struct command *command, enum key_outcome outcome)
{
    struct record_key_record records[VAULT_LIST_MAX];
    struct msg_key_reply reply = {
        .outcome = (uint8_t)outcome, .text = str_head(command->text, 480), .keys = {records, 0}};
    for (size_t i = 0; i < command->count; i++) {
        const struct entry *entry = vault_find_number(command->vault, command->numbers[i]);
        if (entry != NULL) {
            fill_record(entry, &records[reply.keys.n++]);
        }
    }
    asker_end(&command->vault->askers, &command->asker, MSG_KEY_REPLY, &reply);
    ipc_message_free(&command->message);
    arena_destroy(&command->arena);
    free(command);
}

static void
command_refuse(struct command *command, enum key_outcome outcome, struct str text)
{
    command->text = text;
    command_end(command, outcome);
}

/* ---- names */

struct names {
    const char *items[NAMES_MAX];
    size_t count;
};

static const char *
name_of(const void *names, size_t i)
{
    return ((const struct names *)names)->items[i];
}

static void
add_name(struct names *names, struct arena *arena, struct str name)
{
    if (names->count < NAMES_MAX && name.n > 0) {
        const char *text = arena_cstr(arena, name);
        if (text != NULL) {
            names->items[names->count++] = text;
        }
    }
}

/* The configured name that was probably meant, or NULL. In the arena. */
static const char *
suggest_domain(struct arena *arena, const struct config *config, struct str name)
{
    struct names *names = calloc(1, sizeof *names);
    struct arena *texts = arena_create(NAMES_MAX * 300u);
    const char *suggestion = NULL;
    for (size_t i = 0; names != NULL && i < config->domains.count; i++) {
        add_name(names, texts, config->domains.items[i].name);
    }
    if (names != NULL) {
        suggestion = suggest_name(name, names, names->count, name_of);
    }
    suggestion = suggestion != NULL ? arena_cstr(arena, str_from_cstr(suggestion)) : NULL;
    arena_destroy(&texts);
    free(names);
    return suggestion;
}

/* One that signs: among `domains`, or named by a rule of authentication.dkim. */
static bool
find_domain(const struct config *config, struct str name, struct str *domain_out)
{
    const struct config_domain *domain = config_domain_find(config, name);
    const struct config_dkim_rules *rules = &config->authentication.dkim.rules;
    if (domain != NULL) {
        *domain_out = domain->name;
        return true;
    }
    for (size_t i = 0; i < rules->count; i++) {
        if (name.n > 0 && str_eq_nocase(rules->items[i].domain, name)) {
            *domain_out = rules->items[i].domain;
            return true;
        }
    }
    return false;
}

/* Writes the configured spelling, or refuses the command (which is gone then). */
static bool
take_domain(struct command *command, struct str name, char domain_out[static VAULT_DOMAIN_MAX + 1])
{
    const struct config *config = role_config(command->vault->runtime);
    struct str domain;
    if (find_domain(config, name, &domain) && domain.n <= VAULT_DOMAIN_MAX) {
        memcpy(domain_out, domain.p, domain.n);
        domain_out[domain.n] = '\0';
        return true;
    }
    const char *meant = suggest_domain(command->arena, config, name);
    command_refuse(command, KEY_OUTCOME_DOMAIN,
                   meant != NULL
                       ? arena_printf(command->arena,
                                      "there is no domain '%.*s' in the configuration; did you "
                                      "mean '%s'?",
                                      STR_ARG(name), meant)
                       : arena_printf(command->arena,
                                      "there is no domain '%.*s' in the configuration (domains, "
                                      "or a rule of authentication.dkim)",
                                      STR_ARG(name)));
    return false;
}

/* RFC 6376 3.1: labels with dots between, as in a domain name. */
static bool
selector_is_right(struct str selector)
{
    char before = '.';
    for (size_t i = 0; i < selector.n; i++) {
        char c = selector.p[i];
        bool edge = before == '.' || i + 1 == selector.n || selector.p[i + 1] == '.';
        if (!char_is_alnum(c) && (edge || (c != '-' && c != '.' && c != '_'))) {
            return false;
        }
        before = c;
    }
    return selector.n > 0 && selector.n <= VAULT_SELECTOR_MAX;
}

/* The same for a selector: free to be given to a new key, in lower case. Empty is allowed. */
static bool
take_selector(struct command *command, const char *domain, struct str selector,
              char selector_out[static VAULT_SELECTOR_MAX + 1])
{
    if (selector.n == 0) {
        selector_out[0] = '\0';
        return true;
    }
    if (!selector_is_right(selector)) {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       STR("a selector is made of letters, digits and hyphens, at most 63 of them,"
                           " with dots between labels"));
        return false;
    }
    for (size_t i = 0; i < selector.n; i++) {
        selector_out[i] = char_lower(selector.p[i]);
    }
    selector_out[selector.n] = '\0';
    if (vault_file_selector_is_used(command->vault->file, str_from_cstr(domain),
                                    str_from_cstr(selector_out))) {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       arena_printf(command->arena,
                                    "the domain %s has, or had, a key with the selector '%s'; a "
                                    "selector is never used again",
                                    domain, selector_out));
        return false;
    }
    return true;
}

/* ---- list */

void
vault_on_key_list(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_key_list *fields = MSG_BODY(message, key_list);
    struct record_key_record records[VAULT_LIST_MAX];
    struct msg_key_list_reply reply = {.keys = {records, 0}};
    struct entry *entry;
    struct entry *next;
    struct asker asker;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        bool wanted = entry->key.number > fields->after &&
                      (fields->domain.n == 0 ||
                       str_eq_nocase(fields->domain, str_from_cstr(entry->key.domain)));
        if (wanted && reply.keys.n == VAULT_LIST_MAX) {
            reply.next = records[VAULT_LIST_MAX - 1].number;
            break;
        }
        if (wanted) {
            fill_record(entry, &records[reply.keys.n++]);
        }
    }
    asker_begin(&vault->askers, &asker, channel, message);
    asker_end(&vault->askers, &asker, MSG_KEY_LIST_REPLY, &reply);
    ipc_message_free(&message);
}

/* ---- generate, import, rotate */

static void
on_made(void *context, enum status status, const uint64_t *numbers, size_t count)
{
    struct command *command = context;
    for (size_t i = 0; i < count; i++) {
        command->numbers[command->count++] = numbers[i];
    }
    if (status == STATUS_OK) {
        command_end(command, KEY_OUTCOME_DONE);
    } else if (status == STATUS_DENIED) {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       STR("the selector was given to another key meanwhile"));
    } else {
        command_refuse(command, KEY_OUTCOME_FAILED,
                       STR("the key could not be made or written; see the log"));
    }
}

static void
command_make(struct command *command, const struct make_order *order)
{
    if (!vault_make(command->vault, order, on_made, command)) {
        command_refuse(command, KEY_OUTCOME_FAILED,
                       STR("too many keys are being made at this time; try again"));
    }
}

static unsigned
configured_algorithms(struct vault *vault)
{
    switch (role_config(vault->runtime)->authentication.dkim.algorithms) {
    case CONFIG_DKIM_RSA:
        return 1u << CRYPTO_RSA_SHA256;
    case CONFIG_DKIM_ED25519:
        return 1u << CRYPTO_ED25519_SHA256;
    case CONFIG_DKIM_BOTH:
        break;
    }
    return 1u << CRYPTO_RSA_SHA256 | 1u << CRYPTO_ED25519_SHA256;
}

void
vault_on_key_generate(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_key_generate *fields = MSG_BODY(message, key_generate);
    struct command *command = command_begin(vault, channel, message);
    struct make_order order = {.bits = fields->bits};
    unsigned const known = 1u << CRYPTO_RSA_SHA256 | 1u << CRYPTO_ED25519_SHA256;
    order.algorithms =
        fields->algorithms != 0 ? fields->algorithms & known : configured_algorithms(vault);
    if (!take_domain(command, fields->domain, order.domain) ||
        !take_selector(command, order.domain, fields->selector, order.selector)) {
        return;
    }
    if (order.selector[0] != '\0' && order.algorithms == known) {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       STR("a selector names one key: say which algorithm it is for (rsa or "
                           "ed25519)"));
    } else if (order.bits != 0 &&
               (order.bits < PRIVATE_KEY_RSA_BITS || order.bits > CRYPTO_RSA_BITS_MAX)) {
        command_refuse(command, KEY_OUTCOME_KEY, STR("RSA keys are made with 2048 to 4096 bits"));
    } else {
        command_make(command, &order);
    }
}

static void
import_key(struct command *command, struct vault_key *key, const struct private_key *private_key)
{
    key->imported = true;
    enum status status = vault_describe(private_key, key);
    if (status == STATUS_OK && key->algorithm == CRYPTO_RSA_SHA256 &&
        key->bits < PRIVATE_KEY_RSA_BITS) {
        /* RFC 8301 3.2: signers should use 2048 bits at least. */
        command->text = arena_printf(command->arena,
                                     "an RSA key of %u bits is weak: make a new one soon (postern "
                                     "key rotate)",
                                     key->bits);
    }
    if (status == STATUS_OK) {
        status = vault_add(command->vault, key, private_key);
    }
    if (status != STATUS_OK) {
        command_refuse(command, KEY_OUTCOME_FAILED,
                       STR("the key could not be written; see the log"));
        return;
    }
    command->numbers[command->count++] = key->number;
    command_end(command, KEY_OUTCOME_DONE);
}

void
vault_on_key_import(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_key_import *fields = MSG_BODY(message, key_import);
    struct command *command = command_begin(vault, channel, message);
    struct private_key *private_key = NULL;
    struct vault_key key = {.number = 0};
    if (!take_domain(command, fields->domain, key.domain) ||
        !take_selector(command, key.domain, fields->selector, key.selector)) {
        return;
    }
    enum status status = private_key_from_pem(fields->pem, &private_key);
    if (status == STATUS_DENIED) {
        command_refuse(command, KEY_OUTCOME_KEY,
                       STR("mail is signed with RSA of 1024 to 4096 bits or with Ed25519; this is "
                           "another kind of key"));
    } else if (status != STATUS_OK) {
        command_refuse(command, KEY_OUTCOME_KEY,
                       STR("this is no private key in PEM form, or it has a passphrase (openssl "
                           "pkey takes it off)"));
    } else if (key.selector[0] == '\0') {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       STR("an imported key needs the selector under which the DNS has it"));
    } else {
        import_key(command, &key, private_key);
    }
    private_key_destroy(&private_key);
}

/* Calls for keys of the command's domain that are in one of the states (bits). */
static unsigned
algorithms_in(struct vault *vault, const char *domain, unsigned states)
{
    unsigned algorithms = 0;
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if ((states & 1u << entry->key.state) != 0 &&
            str_eq(str_from_cstr(entry->key.domain), str_from_cstr(domain))) {
            algorithms |= 1u << entry->key.algorithm;
        }
    }
    return algorithms;
}

static void
rotate(struct command *command, const char *domain)
{
    struct vault *vault = command->vault;
    struct make_order order = {.bits = 0};
    unsigned const active = algorithms_in(vault, domain, 1u << KEY_ACTIVE);
    unsigned const coming = algorithms_in(vault, domain, 1u << KEY_PENDING | 1u << KEY_PUBLISHED);
    order.algorithms = (active != 0 ? active : configured_algorithms(vault)) & ~coming;
    memcpy(order.domain, domain, sizeof order.domain);
    if (order.algorithms == 0) {
        command_refuse(command, KEY_OUTCOME_STATE,
                       arena_printf(command->arena,
                                    "new keys of %s wait for the DNS already; see postern key "
                                    "check %s",
                                    domain, domain));
    } else {
        command_make(command, &order);
    }
}

/* ---- publish, retire */

/* Notes the keys that an action is about; 0: none. */
static size_t
select_keys(struct command *command, const char *domain, struct str selector)
{
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, command->vault->by_number, entry, next)
    {
        if (command->count < VAULT_LIST_MAX &&
            str_eq(str_from_cstr(entry->key.domain), str_from_cstr(domain)) &&
            (selector.n == 0 || str_eq_nocase(str_from_cstr(entry->key.selector), selector))) {
            command->numbers[command->count++] = entry->key.number;
        }
    }
    return command->count;
}

static void
on_checked(void *context, uint64_t number)
{
    struct command *command = context;
    (void)number;
    if (--command->waiting == 0) {
        command_end(command, KEY_OUTCOME_DONE);
    }
}

/* Asks the DNS about all of them now. */
static void
publish(struct command *command)
{
    size_t asked = 0;
    command->waiting = 1; /* until all are asked */
    for (size_t i = 0; i < command->count; i++) {
        struct entry *entry = vault_find_number(command->vault, command->numbers[i]);
        if (entry != NULL && vault_check(command->vault, entry, on_checked, command)) {
            command->waiting++;
            asked++;
        }
    }
    command->waiting--;
    if (asked == 0) {
        command_refuse(command, KEY_OUTCOME_FAILED, STR("the resolver cannot be asked; try again"));
    }
}

static void
retire(struct command *command, bool at_once)
{
    struct entry *entry = vault_find_number(command->vault, command->numbers[0]);
    char domain[VAULT_DOMAIN_MAX + 1];
    unsigned const algorithm = 1u << entry->key.algorithm;
    bool const was_active = entry->key.state == KEY_ACTIVE;
    memcpy(domain, entry->key.domain, sizeof domain);
    enum status status = vault_retire(command->vault, entry, at_once);
    if (status == STATUS_NOT_FOUND) {
        command_refuse(command, KEY_OUTCOME_STATE,
                       STR("this key retires or has retired already (--now ends it at once)"));
        return;
    }
    if (status != STATUS_OK) {
        command_refuse(command, KEY_OUTCOME_FAILED,
                       STR("the change could not be written; see the log"));
        return;
    }
    if (was_active && (algorithms_in(command->vault, domain, 1u << KEY_ACTIVE) & algorithm) == 0) {
        command->text = arena_printf(
            command->arena, "%s has no other active %s key: its mail is not signed with %s now",
            domain,
            crypto_key_type_name(algorithm == 1u ? CRYPTO_RSA_SHA256 : CRYPTO_ED25519_SHA256),
            algorithm == 1u ? "RSA" : "Ed25519");
    }
    command_end(command, KEY_OUTCOME_DONE);
}

static void
act_on_keys(struct command *command, enum key_action action, const char *domain,
            struct str selector)
{
    if (selector.n == 0 && action != KEY_ACTION_PUBLISH) {
        command_refuse(command, KEY_OUTCOME_SELECTOR, STR("say which key: its selector"));
    } else if (select_keys(command, domain, selector) == 0) {
        command_refuse(command, KEY_OUTCOME_SELECTOR,
                       selector.n > 0
                           ? arena_printf(command->arena,
                                          "%s has no key with the selector '%.*s'; see postern "
                                          "key list %s",
                                          domain, STR_ARG(selector), domain)
                           : arena_printf(command->arena,
                                          "%s has no keys; make them with postern key generate %s",
                                          domain, domain));
    } else if (action == KEY_ACTION_PUBLISH) {
        publish(command);
    } else {
        retire(command, action == KEY_ACTION_RETIRE_NOW);
    }
}

/* Keys of a domain that is no longer in the configuration can still be looked at and retired. */
static bool
domain_has_keys(struct vault *vault, struct str name, char domain_out[static VAULT_DOMAIN_MAX + 1])
{
    struct entry *entry;
    struct entry *next;
    HASH_ITER(by_number, vault->by_number, entry, next)
    {
        if (str_eq_nocase(str_from_cstr(entry->key.domain), name)) {
            memcpy(domain_out, entry->key.domain, VAULT_DOMAIN_MAX + 1);
            return true;
        }
    }
    return false;
}

void
vault_on_key_act(struct vault *vault, struct channel *channel, struct ipc_message *message)
{
    const struct msg_key_act *fields = MSG_BODY(message, key_act);
    struct command *command = command_begin(vault, channel, message);
    enum key_action const action = (enum key_action)fields->action;
    char domain[VAULT_DOMAIN_MAX + 1];
    bool const known =
        action != KEY_ACTION_ROTATE && domain_has_keys(vault, fields->domain, domain);
    if (action < KEY_ACTION_ROTATE || action > KEY_ACTION_RETIRE_NOW) {
        command_refuse(command, KEY_OUTCOME_FAILED, STR("there is no such action"));
    } else if (known || take_domain(command, fields->domain, domain)) {
        if (action == KEY_ACTION_ROTATE) {
            rotate(command, domain);
        } else {
            act_on_keys(command, action, domain, fields->selector);
        }
    }
}

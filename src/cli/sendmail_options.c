#include "cli/sendmail_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Options with a value, which may stand in the next word. */
#define WITH_VALUE  "ABCFLNORVXbefhopr"
/* Options whose value, if there is one, stands in the same word. */
#define MAYBE_VALUE "dq"
#define ALONE       "GInUmtiv"

struct reading {
    int argc;
    char **argv;
    int next; /* the word that is read next */
    struct sendmail_options options;
    char *error;
};

static bool fail(struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
fail(struct reading *reading, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(reading->error, SENDMAIL_ERROR_MAX, format, args);
    va_end(args);
    return false;
}

static bool
set_mode(struct reading *reading, const char *value)
{
    static const struct {
        char letter;
        enum sendmail_mode mode;
    } modes[] = {{'m', SENDMAIL_SUBMIT},
                 {'s', SENDMAIL_SESSION},
                 {'p', SENDMAIL_QUEUE},
                 {'i', SENDMAIL_NOTHING}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (value[0] == modes[i].letter && value[1] == '\0') {
            reading->options.mode = modes[i].mode;
            return true;
        }
    }
    if (value[0] == 'd' || value[0] == 'D') {
        return fail(reading, "-b%s: the service is started by postern run, not by sendmail", value);
    }
    return fail(reading, "there is no mode -b%s", value);
}

/* "-oi", "-oem": most of them steer what Postern does by itself. */
static void
set_old(struct sendmail_options *options, const char *value)
{
    options->dots_are_text |= strcmp(value, "i") == 0;
    options->from_header |= strcmp(value, "t") == 0;
}

static bool
set_value(struct reading *reading, char letter, const char *value)
{
    struct sendmail_options *options = &reading->options;
    switch (letter) {
    case 'b':
        return set_mode(reading, value);
    case 'o':
        set_old(options, value);
        break;
    case 'f':
    case 'r':
        options->sender = value;
        break;
    case 'F':
        options->full_name = value;
        break;
    case 'N':
        options->notify = value;
        break;
    case 'R':
        options->return_part = value;
        break;
    case 'V':
        options->envelope_id = value;
        break;
    default: /* of the body, the queue and the log: nothing that would change the message */
        break;
    }
    return true;
}

static void
set_flag(struct sendmail_options *options, char letter)
{
    options->from_header |= letter == 't';
    options->dots_are_text |= letter == 'i';
    if (letter == 'I' || letter == 'q') {
        options->mode = SENDMAIL_NOTHING;
    }
}

/* A word of single letters: "-ti", "-fbob@example.com", "-f" and then the address. */
static bool
read_letters(struct reading *reading, const char *word)
{
    for (const char *p = word + 1; *p != '\0'; p++) {
        char name[3] = {'-', *p, '\0'};
        if (strchr(WITH_VALUE, *p) != NULL) {
            const char *value = p[1] != '\0' ? p + 1 : NULL;
            if (value == NULL && reading->next < reading->argc) {
                value = reading->argv[reading->next++];
            }
            return value != NULL ? set_value(reading, *p, value)
                                 : fail(reading, "%s wants a value", name);
        }
        if (strchr(MAYBE_VALUE, *p) != NULL) {
            set_flag(&reading->options, *p);
            return true;
        }
        if (strchr(ALONE, *p) == NULL) {
            return fail(reading, "there is no option %s", name);
        }
        set_flag(&reading->options, *p);
    }
    return true;
}

static bool
read_long(struct reading *reading, const char *word)
{
    static const char config[] = "--config";
    size_t const n = sizeof config - 1;
    if (strcmp(word, "--help") == 0) {
        reading->options.mode = SENDMAIL_HELP;
        return true;
    }
    if (strncmp(word, config, n) == 0 && word[n] == '=') {
        reading->options.config_file = word + n + 1;
        return true;
    }
    if (strcmp(word, config) != 0) {
        return fail(reading, "there is no option %.100s", word);
    }
    if (reading->next == reading->argc) {
        return fail(reading, "%s wants the name of a file", word);
    }
    reading->options.config_file = reading->argv[reading->next++];
    return true;
}

static bool
read_word(struct reading *reading, bool *ended)
{
    char *word = reading->argv[reading->next++];
    struct sendmail_options *options = &reading->options;
    if (!*ended && strcmp(word, "--") == 0) {
        *ended = true;
        return true;
    }
    if (!*ended && word[0] == '-' && word[1] == '-') {
        return read_long(reading, word);
    }
    if (!*ended && word[0] == '-' && word[1] != '\0') {
        return read_letters(reading, word);
    }
    options->recipients[options->recipient_count++] = word; /* never beyond what has been read */
    return true;
}

bool
sendmail_options_read(int argc, char **argv, struct sendmail_options *options_out,
                      char error[static SENDMAIL_ERROR_MAX])
{
    struct reading reading = {.argc = argc, .argv = argv, .next = 1, .error = error};
    bool ended = false;
    reading.options.recipients = argv + 1;
    while (reading.next < argc) {
        if (!read_word(&reading, &ended)) {
            return false;
        }
    }
    *options_out = reading.options;
    return true;
}

#include "options.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    enum mode mode;
    const char *help;
} modes[] = {
    {"sync", MODE_SYNC, "sync now, in any environment; all of it, or PATHs only"},
    {"serve", MODE_SERVE, "stay, with COMMAND as a child; SIGUSR1 starts a sync"},
    {"validate", MODE_VALIDATE, "compare both sides; copy nothing"},
    {"status", MODE_STATUS, "show how the last run went"},
    {"health", MODE_HEALTH, "the same as an exit code, for a health check"},
    {"check-config", MODE_CHECK_CONFIG, "say what is wrong with the settings, if anything"},
    {"check-access", MODE_CHECK_ACCESS, "ask both services: may the credentials do all it takes?"},
    {"runs", MODE_RUNS, "show the syncs that can be rolled back (keep_previous)"},
    {"rollback", MODE_ROLLBACK, "undo the last sync, or all back to RUN"},
    {"explain", MODE_EXPLAIN, "KEY: is it synced, and which setting says so?"},
    {"print-config", MODE_PRINT_CONFIG, "show every setting, its value and where that came from"},
    {"help", MODE_HELP, "show this (-h); --help all shows every setting"},
    {"version", MODE_VERSION, "show the version (-V)"},
};
#define MODE_COUNT (sizeof modes / sizeof modes[0])

static bool set_mode(struct options *options, enum mode mode, const char *typed, struct error *error)
{
    if (options->mode != MODE_DEPLOY && options->mode != mode)
        return error_set(error, ERROR_USAGE, "%s does not go together with what is asked before it", typed);
    options->mode = mode;
    return true;
}

static bool refuse_unknown(const char *typed, struct error *error)
{
    struct nearest nearest;
    char hint[NEAREST_HINT_SIZE];
    char shown[NEAREST_SIZE];

    nearest_init(&nearest, typed + strspn(typed, "-"));
    for (size_t i = 0; i < MODE_COUNT; i++) {
        snprintf(shown, sizeof shown, "--%s", modes[i].name);
        nearest_offer(&nearest, modes[i].name, shown);
    }
    nearest_offer(&nearest, "json", "--json");
    settings_flag_nearest(&nearest);
    return error_set(error, ERROR_USAGE, "%.100s is not an option%s", typed, nearest_hint(&nearest, hint));
}

/* What takes no value: modes and --json. False if it is none of these. */
static bool is_bare(const char *name, enum mode *mode)
{
    *mode = MODE_DEPLOY;
    if (strcmp(name, "json") == 0)
        return true;
    for (size_t i = 0; i < MODE_COUNT; i++)
        if (strcmp(name, modes[i].name) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    return false;
}

static bool set_bare(struct options *options, enum mode mode, const char *typed, const char *value,
                     struct error *error)
{
    if (value != NULL)
        return error_set(error, ERROR_USAGE, "%s takes no value", typed);
    if (mode != MODE_DEPLOY)
        return set_mode(options, mode, typed, error);
    options->json = true;
    return true;
}

/* "--rollback" and "--rollback RUN". */
static bool set_rollback(struct options *options, const char *typed, const char *run, struct error *error)
{
    for (const char *at = run; at != NULL && *at != '\0'; at++) {
        if (!text_is_digit(*at) || options->run > UINT32_MAX)
            return error_set(error, ERROR_USAGE, "%s takes the number of a run, which --runs shows: %.100s",
                             typed, run);
        options->run = options->run * 10 + (uint64_t)(*at - '0');
    }
    if (run != NULL && options->run == 0)
        return error_set(error, ERROR_USAGE, "%s: there is no run 0", typed);
    return set_mode(options, MODE_ROLLBACK, typed, error);
}

static bool set_valued(struct options *options, const char *typed, const char *value, struct error *error)
{
    const char *name = typed + 2;

    if (strcmp(name, "explain") == 0) {
        options->key = value;
        return set_mode(options, MODE_EXPLAIN, typed, error);
    }
    if (strcmp(name, "config") == 0) {
        if (*value == '\0')
            return error_set(error, ERROR_USAGE, "--config needs the name of a file");
        options->config = value;
        return true;
    }
    if (options->flag_count == OPTIONS_FLAGS_MAX)
        return error_set(error, ERROR_USAGE, "more than %d settings on the command line", OPTIONS_FLAGS_MAX);
    options->flags[options->flag_count++] = (struct settings_flag){name, value};
    return true;
}

/* One option that begins with "--", and the word after it if that is its value. */
static bool parse_long(struct options *options, char **argv, int *at, struct error *error)
{
    char *typed = argv[*at];
    char *value = strchr(typed, '=');
    char variable[SETTINGS_NAME_SIZE];
    bool needs_value = true;
    enum mode mode;

    if (value != NULL)
        *value++ = '\0';
    if (is_bare(typed + 2, &mode) && mode == MODE_ROLLBACK) {
        if (value == NULL && argv[*at + 1] != NULL && text_is_digit(argv[*at + 1][0]))
            value = argv[++*at];
        return set_rollback(options, typed, value, error);
    }
    if (is_bare(typed + 2, &mode) && mode != MODE_EXPLAIN)
        return set_bare(options, mode, typed, value, error);
    if (settings_flag_secret(typed + 2, variable))
        return error_set(
            error, ERROR_USAGE,
            "%s: secrets are not taken from the command line; use the environment variable %s, or %s_FILE with the name of a file",
            typed, variable, variable);
    if (mode != MODE_EXPLAIN && !settings_flag_known(typed + 2, &needs_value))
        return refuse_unknown(typed, error);
    if (value == NULL && needs_value) {
        value = argv[*at + 1];
        if (value == NULL || text_begins(value, "--"))
            return error_set(error, ERROR_USAGE, "%s needs a value", typed);
        ++*at;
    }
    return set_valued(options, typed, value != NULL ? value : "true", error);
}

/* "storsync-init sync" would deploy, and then become whatever program is called sync. */
static bool is_mode_without_dashes(const struct options *options, const char *before)
{
    enum mode mode;

    return strcmp(before, "--") != 0 && is_bare(options->command[0], &mode) && mode != MODE_DEPLOY;
}

/* `before` is the word before the command. */
static bool check_command(const struct options *options, const char *before, struct error *error)
{
    if (options->command[0] == NULL)
        return error_set(error, ERROR_USAGE, "there is no command after --");
    if (options->command[0][0] == '\0')
        return error_set(error, ERROR_USAGE, "the command is empty");
    if (options->parts != NULL && strcmp(before, "--") != 0)
        return error_set(error, ERROR_USAGE,
                         "behind paths a command needs -- before it, and a path has a slash in it: %.100s",
                         options->command[0]);
    if (is_mode_without_dashes(options, before))
        return error_set(error, ERROR_USAGE,
                         "%s is an option: did you mean --%s? To become a program of that name: -- %s",
                         options->command[0], options->command[0], options->command[0]);
    if (strcmp(before, "--content") == 0 && text_is_digit(options->command[0][0]))
        return error_set(error, ERROR_USAGE, "did you mean --content=%.100s?", options->command[0]);
    if (options->mode != MODE_DEPLOY && options->mode != MODE_SYNC)
        return error_set(error, ERROR_USAGE, "only a deploy or --sync starts a command, here: %.100s",
                         options->command[0]);
    return true;
}

/* What nobody looks at would seem to be done. With --serve there may be validations later. */
static bool check_flags(const struct options *options, struct error *error)
{
    static const char *const of_validation[] = {"strict", "content", "content-seed"};

    if (options->serve || (options->mode != MODE_DEPLOY && options->mode != MODE_SYNC))
        return true;
    for (int i = 0; i < options->flag_count; i++)
        for (size_t n = 0; n < sizeof of_validation / sizeof of_validation[0]; n++)
            if (strcmp(options->flags[i].name, of_validation[n]) == 0)
                return error_set(error, ERROR_USAGE, "--%s needs --validate", of_validation[n]);
    return true;
}

/* A path has a slash, but not at its beginning as commands do, and not behind a dot. */
static bool is_path(const char *word)
{
    return word != NULL && strchr(word, '/') != NULL && strchr("-./", *word) == NULL;
}

/* The paths right behind --sync, which stands at *at. */
static void take_parts(struct options *options, char **argv, int *at)
{
    if (!is_path(argv[*at + 1]))
        return;
    options->parts = &argv[*at + 1];
    for (options->part_count = 0; is_path(argv[*at + 1]); ++*at)
        options->part_count++;
}

/* "--help all" shows every setting. */
static bool ask_for_help(struct options *options, const char *next)
{
    options->mode = MODE_HELP;
    options->all = next != NULL && strcmp(next, "all") == 0;
    return true;
}

bool options_parse(int argc, char **argv, struct options *options, struct error *error)
{
    *options = (struct options){.mode = MODE_DEPLOY};
    for (int i = 1; i < argc && options->command == NULL; i++) {
        const char *word = argv[i];

        if (strcmp(word, "--") == 0)
            options->command = &argv[i + 1];
        else if (word[0] != '-')
            options->command = &argv[i];
        else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return ask_for_help(options, argv[i + 1]);
        else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
            return options->mode = MODE_VERSION, true;
        else if (word[1] != '-')
            return refuse_unknown(word, error);
        else if (!parse_long(options, argv, &i, error))
            return false;
        else if (strcmp(word, "--sync") == 0)
            take_parts(options, argv, &i);
    }
    options->serve = options->mode == MODE_SERVE;
    if (options->serve)
        options->mode = MODE_DEPLOY;
    return check_flags(options, error) &&
           (options->command == NULL || check_command(options, options->command[-1], error));
}

bool options_help(bool all, struct buf *out)
{
    buf_puts(out, "Usage: storsync-init [OPTION]... [--] [COMMAND [ARG]...]\n"
                  "       storsync-init --sync [PATH]... [OPTION]... [-- COMMAND [ARG]...]\n\n"
                  "Sync the development bucket to the production bucket once per deployment, then\n"
                  "become COMMAND. Without COMMAND: do the same and exit (init container, Job).\n\n"
                  "Instead of that:\n");
    for (size_t i = 0; i < MODE_COUNT; i++)
        buf_printf(out, "  --%-15s %s\n", modes[i].name, modes[i].help);
    buf_puts(out, "With any of these:\n"
                  "  --json            the answer as JSON\n\n");
    settings_help(all, out);
    buf_puts(out, "\nExit codes:\n"
                  "  0      done, or nothing to do      75     timed out, or another replica syncs\n"
                  "  1      different, or not healthy   77     permission or credentials refused\n"
                  "  2      some objects failed         78     configuration\n"
                  "  64     usage                       126    COMMAND cannot be executed\n"
                  "  69     no bucket, or no service    127    COMMAND is not found\n"
                  "  128+N  ended by signal N           else   that of COMMAND\n"
                  "\nExample, in a Dockerfile:\n"
                  "  COPY storsync-init /usr/local/bin/\n"
                  "  ENV DEV_STORAGE_BUCKET=shop-dev PROD_STORAGE_BUCKET=shop-live\n"
                  "  ENTRYPOINT [\"storsync-init\", \"--\", \"node\", \"server.js\"]\n");
    return !out->failed;
}

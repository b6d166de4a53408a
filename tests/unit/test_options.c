/* options: modes, settings and the command on the command line, and what is refused. */
#include "options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define WORDS_MAX 70
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_WORDS ((const char *const[]){NULL})

/* An argument vector of one's own: parsing cuts words at "=". */
struct line {
    char words[WORDS_MAX][96];
    char *argv[WORDS_MAX + 1];
    int argc;
    struct options options;
    struct error error;
};

static bool parse(struct line *line, const char *const *words)
{
    memset(line, 0, sizeof *line);
    strcpy(line->words[0], "storsync-init");
    for (line->argc = 1; words[line->argc - 1] != NULL; line->argc++) {
        assert_true(line->argc < WORDS_MAX);
        snprintf(line->words[line->argc], sizeof line->words[0], "%s", words[line->argc - 1]);
    }
    for (int i = 0; i < line->argc; i++)
        line->argv[i] = line->words[i];
    return options_parse(line->argc, line->argv, &line->options, &line->error);
}

static void assert_parsed(struct line *line, const char *const *words)
{
    if (!parse(line, words))
        fail_msg("%s", line->error.text);
}

static void assert_refused(const char *const *words, const char *reason)
{
    struct line line;

    assert_false(parse(&line, words));
    assert_int_equal(line.error.kind, ERROR_USAGE);
    if (strstr(line.error.text, reason) == NULL)
        fail_msg("\"%s\" is not in: %s", reason, line.error.text);
}

static void test_nothing_is_a_deploy(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, NO_WORDS);
    assert_int_equal(line.options.mode, MODE_DEPLOY);
    assert_null(line.options.command);
    assert_null(line.options.config);
    assert_int_equal(line.options.flag_count, 0);
    assert_false(line.options.json);
    assert_true(options_parse(0, line.argv + line.argc, &line.options, &line.error));
}

/* Only a validation heeds them. The share is in the same word, or all. */
static void test_what_needs_a_validation(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, WORDS("--validate", "--content", "--strict"));
    assert_int_equal(line.options.flag_count, 2);
    assert_string_equal(line.options.flags[0].value, "true");
    assert_parsed(&line, WORDS("--content=5%", "--validate"));
    assert_string_equal(line.options.flags[0].value, "5%");
    assert_parsed(&line, WORDS("--print-config", "--strict"));
    assert_parsed(&line, WORDS("--serve", "--content=5%", "--validate-schedule", "@daily"));
    assert_refused(WORDS("--content"), "--content needs --validate");
    assert_refused(WORDS("--strict", "--", "true"), "--strict needs --validate");
    assert_refused(WORDS("--sync", "--content-seed", "7"), "--content-seed needs --validate");
    assert_refused(WORDS("--validate", "--content", "10%"), "did you mean --content=10%?");
    assert_refused(WORDS("--validate", "--content=10%", "true"), "only a deploy or --sync starts a command");
}

static void test_modes(void **state)
{
    static const struct {
        const char *word;
        enum mode mode;
    } cases[] = {
        {"--sync", MODE_SYNC},
        {"--validate", MODE_VALIDATE},
        {"--status", MODE_STATUS},
        {"--health", MODE_HEALTH},
        {"--check-config", MODE_CHECK_CONFIG},
        {"--check-access", MODE_CHECK_ACCESS},
        {"--print-config", MODE_PRINT_CONFIG},
        {"--help", MODE_HELP},
        {"-h", MODE_HELP},
        {"--version", MODE_VERSION},
        {"-V", MODE_VERSION},
    };
    struct line line;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_parsed(&line, WORDS(cases[i].word));
        assert_int_equal(line.options.mode, cases[i].mode);
    }
    assert_parsed(&line, WORDS("--json", "--status"));
    assert_true(line.options.json);
    assert_int_equal(line.options.mode, MODE_STATUS);
    assert_parsed(&line, WORDS("--sync", "--sync"));
    assert_refused(WORDS("--sync", "--validate"), "--validate does not go together");
    assert_refused(WORDS("--sync=1"), "--sync takes no value");
    assert_refused(WORDS("--json="), "--json takes no value");
    assert_parsed(&line, WORDS("--validate", "--help", "--sync"));
    assert_int_equal(line.options.mode, MODE_HELP);
    assert_false(line.options.all);
    assert_parsed(&line, WORDS("--help", "all"));
    assert_int_equal(line.options.mode, MODE_HELP);
    assert_true(line.options.all);
    assert_parsed(&line, WORDS("-h", "all", "more"));
    assert_true(line.options.all);
}

static void test_settings(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line,
                  WORDS("--timeout", "5m", "--source-bucket=a=b", "--dry-run", "--dry-run=no", "--timeout",
                        "-5", "--source-endpoint=", "--config", "/a.ini", "app", "--timeout", "x=y"));
    assert_int_equal(line.options.flag_count, 6);
    assert_string_equal(line.options.flags[0].name, "timeout");
    assert_string_equal(line.options.flags[0].value, "5m");
    assert_string_equal(line.options.flags[1].name, "source-bucket");
    assert_string_equal(line.options.flags[1].value, "a=b");
    assert_string_equal(line.options.flags[2].name, "dry-run");
    assert_string_equal(line.options.flags[2].value, "true");
    assert_string_equal(line.options.flags[3].value, "no");
    assert_string_equal(line.options.flags[4].value, "-5");
    assert_string_equal(line.options.flags[5].value, "");
    assert_string_equal(line.options.config, "/a.ini");
    assert_string_equal(line.options.command[0], "app");
    assert_string_equal(line.options.command[1], "--timeout");
    assert_string_equal(line.options.command[2], "x=y");
    assert_null(line.options.command[3]);

    /* A boolean takes no word from the command. */
    assert_parsed(&line, WORDS("--dry-run", "yes"));
    assert_string_equal(line.options.command[0], "yes");
    assert_refused(WORDS("--timeout"), "--timeout needs a value");
    assert_refused(WORDS("--timeout", "--sync"), "--timeout needs a value");
    assert_refused(WORDS("--timeout", "--", "app"), "--timeout needs a value");
    assert_refused(WORDS("--config="), "--config needs the name of a file");
}

static void test_unknown_options(void **state)
{
    (void)state;
    assert_refused(WORDS("--snc"), "--snc is not an option; did you mean --sync?");
    assert_refused(WORDS("--env", "production"), "--env is not an option; did you mean --environment?");
    assert_refused(WORDS("--env=production"), "--env is not an option; did you mean --environment?");
    assert_refused(WORDS("-sync"), "-sync is not an option; did you mean --sync?");
    assert_refused(WORDS("--bucket", "a"), "did you mean --source-bucket?");
    assert_refused(WORDS("--dest-bucket=a"), "did you mean --destination-bucket?");
    assert_refused(WORDS("--source_bucket=a"), "did you mean --source-bucket?");
    assert_refused(WORDS("--jsn"), "did you mean --json?");
    assert_refused(WORDS("--frobnicate"), "--frobnicate is not an option");
    assert_refused(WORDS("---"), "--- is not an option");
    assert_refused(WORDS("--="), "-- is not an option");
    assert_refused(WORDS("-"), "- is not an option");
    assert_refused(WORDS("-x", "app"), "-x is not an option");
    assert_refused(WORDS("--doc"), "--doc is not an option"); /* not for people */
}

static void test_secrets_are_refused(void **state)
{
    struct line line;
    (void)state;

    assert_refused(WORDS("--source-secret-access-key", "hush"), "STORSYNC_SOURCE_SECRET_ACCESS_KEY");
    assert_refused(WORDS("--destination-session-token=hush"), "STORSYNC_DESTINATION_SESSION_TOKEN");
    assert_false(parse(&line, WORDS("--destination-session-token=hush")));
    assert_null(strstr(line.error.text, "hush"));
}

static void test_command(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, WORDS("--", "node", "--help", "--", "a=b"));
    assert_int_equal(line.options.mode, MODE_DEPLOY);
    assert_ptr_equal(line.options.command, &line.argv[2]);
    assert_string_equal(line.words[3], "--help");
    assert_string_equal(line.words[5], "a=b");
    assert_parsed(&line, WORDS("--sync", "app"));
    assert_ptr_equal(line.options.command, &line.argv[2]);
    assert_parsed(&line, WORDS("--", "--odd-program"));
    assert_string_equal(line.options.command[0], "--odd-program");

    assert_refused(WORDS("--"), "there is no command after --");
    assert_refused(WORDS("--sync", "--"), "there is no command after --");
    assert_refused(WORDS("--", ""), "the command is empty");
    assert_refused(WORDS(""), "the command is empty");
    assert_refused(WORDS("--validate", "app"), "only a deploy or --sync starts a command, here: app");
    assert_refused(WORDS("--status", "--", "app"), "only a deploy or --sync");
    assert_refused(WORDS("--health", "app"), "only a deploy or --sync");
    assert_refused(WORDS("--check-config", "app"), "only a deploy or --sync");
    assert_refused(WORDS("--check-access", "app"), "only a deploy or --sync");
    assert_refused(WORDS("--print-config", "app"), "only a deploy or --sync");
    assert_refused(WORDS("--serve", "--sync"), "--sync does not go together");
    assert_refused(WORDS("--validate", "--serve"), "--serve does not go together");
}

static void test_serve(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, WORDS("app"));
    assert_false(line.options.serve);
    assert_parsed(&line, WORDS("--serve"));
    assert_true(line.options.serve && line.options.mode == MODE_DEPLOY && line.options.command == NULL);
    assert_parsed(&line, WORDS("--json", "--serve", "--", "app", "--sync"));
    assert_true(line.options.serve && line.options.mode == MODE_DEPLOY);
    assert_string_equal(line.options.command[1], "--sync");
}

static void test_parts_of_a_sync(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, WORDS("--sync", "public/a", "s3://b/c", "--dry-run", "--", "bin/app"));
    assert_int_equal(line.options.part_count, 2);
    assert_ptr_equal(line.options.parts, &line.argv[2]);
    assert_string_equal(line.options.flags[0].name, "dry-run");
    assert_string_equal(line.options.command[0], "bin/app");
    /* A command has no need of "--" as long as it cannot be taken for a path. */
    for (int i = 0; i < 3; i++) {
        static const char *const commands[] = {"app", "/bin/app", "./bin/app"};

        assert_parsed(&line, WORDS("--sync", commands[i], "a/b"));
        assert_null(line.options.parts);
        assert_string_equal(line.options.command[0], commands[i]);
    }
    assert_parsed(&line, WORDS("--sync"));
    assert_null(line.options.parts);
    assert_refused(WORDS("--sync", "public/a", "private"), "has a slash in it: private");
    assert_refused(WORDS("--sync", "public/a", "--dry-run", "app"), "a command needs --");
    assert_refused(WORDS("--validate", "public/a"), "only a deploy or --sync");
}

static void test_explain(void **state)
{
    struct line line;
    (void)state;

    assert_parsed(&line, WORDS("--explain", "public/a", "--json", "--exclude", "*.a"));
    assert_int_equal(line.options.mode, MODE_EXPLAIN);
    assert_string_equal(line.options.key, "public/a");
    assert_true(line.options.json);
    assert_int_equal(line.options.flag_count, 1);
    assert_parsed(&line, WORDS("--explain=--odd"));
    assert_string_equal(line.options.key, "--odd");
    assert_refused(WORDS("--explain"), "--explain needs a value");
    assert_refused(WORDS("--explain", "a", "--sync"), "--sync does not go together");
    assert_refused(WORDS("--sync", "--explain", "a"), "--explain does not go together");
    assert_refused(WORDS("--explain", "a", "app"), "only a deploy or --sync");
}

static void test_modes_without_dashes(void **state)
{
    static const char *const modes[] = {"sync",         "validate", "status",  "health",       "check-config",
                                        "print-config", "help",     "version", "check-access", "serve"};
    struct line line;
    char meant[64];
    (void)state;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        snprintf(meant, sizeof meant, "did you mean --%s?", modes[i]);
        assert_refused(WORDS(modes[i]), meant);
        assert_refused(WORDS("--dry-run", modes[i], "more"), meant);
        assert_refused(WORDS("--timeout", "5m", modes[i]), meant);
        assert_refused(WORDS("--sync", modes[i]), meant);
        assert_parsed(&line, WORDS("--", modes[i]));
        assert_string_equal(line.options.command[0], modes[i]);
        assert_parsed(&line, WORDS("--dry-run", "--", modes[i]));
        assert_string_equal(line.options.command[0], modes[i]);
    }
    assert_parsed(&line, WORDS("/bin/sync"));
    assert_parsed(&line, WORDS("json"));
    assert_parsed(&line, WORDS("app", "sync"));
}

static void test_too_many_settings(void **state)
{
    const char *words[OPTIONS_FLAGS_MAX + 2] = {NULL};
    struct line line;
    (void)state;

    for (int i = 0; i < OPTIONS_FLAGS_MAX; i++)
        words[i] = "--dry-run";
    assert_parsed(&line, words);
    assert_int_equal(line.options.flag_count, OPTIONS_FLAGS_MAX);
    words[OPTIONS_FLAGS_MAX] = "--dry-run";
    assert_refused(words, "more than 64 settings");
}

static void test_help(void **state)
{
    static const char *const needed[] = {
        "Usage: storsync-init [OPTION]... [--] [COMMAND [ARG]...]\n",
        "  --sync ",
        "  --validate ",
        "  --health ",
        "  --check-config ",
        "  --check-access ",
        "  --serve ",
        "  --json ",
        "  --timeout DURATION ",
        "STORSYNC_SIDE_SECRET_ACCESS_KEY",
        "Exit codes:\n",
        "  64 ",
        "  75 ",
        " 127 ",
        "ENTRYPOINT",
    };
    struct buf out;
    (void)state;

    buf_init(&out, 65536);
    assert_true(options_help(false, &out));
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (strstr(buf_str(&out), needed[i]) == NULL)
            fail_msg("the help lacks \"%s\"", needed[i]);
    for (const char *text = buf_str(&out); *text != '\0'; text += strcspn(text, "\n") + 1)
        if (strcspn(text, "\n") > 80)
            fail_msg("longer than 80 columns: %.*s", (int)strcspn(text, "\n"), text);
    assert_null(strstr(buf_str(&out), "--min-interval"));
    buf_clear(&out);
    assert_true(options_help(true, &out));
    assert_non_null(strstr(buf_str(&out), "  --min-interval DURATION "));
    buf_free(&out);

    buf_init(&out, 100);
    assert_false(options_help(true, &out));
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_a_deploy),
        cmocka_unit_test(test_what_needs_a_validation),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_unknown_options),
        cmocka_unit_test(test_secrets_are_refused),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_parts_of_a_sync),
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_modes_without_dashes),
        cmocka_unit_test(test_serve),
        cmocka_unit_test(test_too_many_settings),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* settings: the INI file, and files that hold secrets. */
#include "settings_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <sys/stat.h>

static void test_ini_syntax(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;

    assert_true(
        load_ini(fixture,
                 "\xEF\xBB\xBF; comment\r\n  retries: 3\r\n\r\nstatus_file = /a b#c ; comment\r\n"
                 "[source] ; comment\r\nbucket = s3://a=b\r\n  region = x\r\n[destination]\r\nbucket=b\r\n"
                 "[source]\r\nbucket = later",
                 ENVIRON("A=b")));
    assert_no_problem(fixture);
    assert_int_equal(settings->retries, 3);
    assert_string_equal(settings->status_file, "/a b#c");
    assert_string_equal(settings->source.region, "x");
    assert_string_equal(settings->source.bucket, "later");
    assert_string_equal(settings->destination.bucket, "b");
}

static void test_unknown_in_file(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"retrys = 4\n", ":1: unknown setting \"retrys\"; did you mean retries?"},
        {"[source]\nbuket = 4\n", ":2: unknown setting \"buket\"; did you mean bucket?"},
        {"\nbucket = a\n", ":2: unknown setting \"bucket\" here; it belongs in [source] or [destination]"},
        {"[source]\ntimeout = 5\n",
         ":2: unknown setting \"timeout\" here; it belongs before the first section"},
        {"[sorce]\nbucket = a\nregion = b\n", ":1: unknown section [sorce]; did you mean [source]?"},
        {"[other]\nbucket = a\n", ":1: unknown section [other]"},
        {"config = /etc/other.ini\n", ":1: unknown setting \"config\""},
        {"STORSYNC_RETRIES = 3\n", ":1: unknown setting \"STORSYNC_RETRIES\""},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load_ini(fixture, cases[i].text, ENVIRON("A=b")));
        assert_problem(fixture, ENVIRON(fixture->file, cases[i].problem));
        assert_string_equal(fixture->settings.source.bucket, "dedw3n-dev-storage");
    }
}

static void test_problems_have_a_ceiling(void **state)
{
    struct fixture *fixture = *state;
    char text[4096];
    size_t len = 0;

    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "unknown%d = 1\n", i);
    assert_true(load_ini(fixture, text, ENVIRON("A=b")));
    assert_non_null(settings_problem(&fixture->settings, 63));
    assert_null(settings_problem(&fixture->settings, 64));
    assert_null(settings_problem(&fixture->settings, -1));
}

static void test_malformed_files(void **state)
{
    static const struct {
        const char *text;
        int line;
    } cases[] = {
        {"retries = 3\nnonsense\n", 2},
        {"[source\nbucket = a\n", 1},
        {"\n\n= a\n", 3},
    };
    struct fixture *fixture = *state;
    char place[80];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(load_ini(fixture, cases[i].text, ENVIRON("STORSYNC_ON_FAILURE=stop", "AWS_REGION=r")));
        /* The other sources count nevertheless, and nothing of the file does. */
        assert_int_equal(fixture->settings.on_failure, ON_FAILURE_STOP);
        assert_string_equal(fixture->settings.source.region, "r");
        assert_int_equal(fixture->settings.retries, 5);
        assert_no_problem(fixture);
        assert_int_equal(fixture->error.kind, ERROR_CONFIG);
        snprintf(place, sizeof place, "%s:%d: ", fixture->file, cases[i].line);
        assert_memory_equal(fixture->error.text, place, strlen(place));
    }
}

static void test_file_ceilings(void **state)
{
    struct fixture *fixture = *state;
    static const char first[] = "retries=3\n";
    size_t max = (size_t)256 * 1024;
    char *text = malloc(max + 1);

    assert_non_null(text);
    memset(text, '\n', max + 1);
    memcpy(text, first, sizeof first - 1);
    write_bytes(fixture->file, text, max);
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    assert_int_equal(fixture->settings.retries, 3);
    write_bytes(fixture->file, text, max + 1);
    assert_false(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    assert_int_equal(fixture->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(fixture->error.text, "larger than 256 KiB"));
    memset(text + 10, 'x', 20000);
    write_bytes(fixture->file, text, max);
    assert_false(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    assert_non_null(strstr(fixture->error.text, ":2: "));
    assert_int_equal(fixture->settings.retries, 5);
    free(text);
}

static void test_files_that_cannot_be_used(void **state)
{
    struct fixture *fixture = *state;
    static const char utf16[] = "r\0e\0t\0\n\0";

    assert_false(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = "/nonexistent"}));
    assert_int_equal(fixture->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(fixture->error.text, "config: cannot open /nonexistent: No such file"));
    assert_false(load(fixture, &(struct settings_input){.environ_ = ENVIRON("STORSYNC_CONFIG=/tmp")}));
    assert_int_equal(fixture->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(fixture->error.text, "STORSYNC_CONFIG: cannot read /tmp: Is a directory"));
    write_bytes(fixture->file, utf16, sizeof utf16);
    assert_false(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    assert_int_equal(fixture->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(fixture->error.text, ":1: a NUL byte"));
    if (geteuid() == 0)
        return;
    assert_int_equal(chmod(fixture->file, 0), 0);
    assert_false(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    assert_int_equal(fixture->error.kind, ERROR_CONFIG);
}

static void test_secret_files(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;
    char variable[120];
    char large[9000];

    write_bytes(fixture->file, "from-file\n", 10);
    snprintf(variable, sizeof variable, "STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE=%s", fixture->file);
    assert_true(load_environ(fixture, ENVIRON(variable, "STORSYNC_SOURCE_ACCESS_KEY_ID=id")));
    assert_no_problem(fixture);
    assert_string_equal(settings->source.secret_access_key, "from-file");
    assert_origin(fixture, source.secret_access_key, "environment STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE");

    assert_true(load_environ(fixture, ENVIRON(variable, "STORSYNC_SOURCE_ACCESS_KEY_ID=id",
                                              "STORSYNC_SOURCE_SECRET_ACCESS_KEY=direct")));
    assert_string_equal(settings->source.secret_access_key, "direct");

    memset(large, 'x', sizeof large);
    write_bytes(fixture->file, large, sizeof large);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_problem(fixture, ENVIRON("STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE", "larger than 8 KiB"));
    write_bytes(fixture->file, large, 8192);
    assert_true(load_environ(fixture, ENVIRON(variable, "STORSYNC_SOURCE_ACCESS_KEY_ID=id")));
    assert_no_problem(fixture);

    write_bytes(fixture->file, "\n", 1);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_problem(fixture, ENVIRON("does not hold a secret"));
    write_bytes(fixture->file, "a\0b", 3);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_problem(fixture, ENVIRON("does not hold a secret"));
    write_bytes(fixture->file, "hush\x01hush", 9);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_problem(fixture, ENVIRON("STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE: ", "the secret is not"));
    assert_null(strstr(settings_problem(settings, 0), "hush"));
    unlink(fixture->file);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_problem(fixture, ENVIRON("STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE", "No such file"));
}

/* A shell's <(command) is a pipe, and its writer takes its time. */
static void test_pipe(void **state)
{
    static const char text[] = "retries = 7\nconcurrency = 3\n";
    struct fixture *fixture = *state;
    const struct settings_input input = {.environ_ = ENVIRON("A=b"), .config = fixture->file};
    int status = -1;
    pid_t writer;

    assert_int_equal(mkfifo(fixture->file, 0600), 0);
    writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        int fd;

        usleep(50000);
        fd = open(fixture->file, O_WRONLY);
        for (size_t i = 0; text[i] != '\0'; i += 4) {
            if (write(fd, text + i, strlen(text + i) < 4 ? strlen(text + i) : 4) < 0)
                _exit(1);
            usleep(10000);
        }
        _exit(0);
    }
    assert_true(load(fixture, &input));
    assert_no_problem(fixture);
    assert_int_equal(fixture->settings.retries, 7);
    assert_int_equal(fixture->settings.concurrency, 3);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
}

/* Is there a note, and does it name the file and what can be done with it? */
static bool is_exposed(struct fixture *fixture, mode_t mode, const char *how)
{
    const char *note;

    assert_int_equal(chmod(fixture->file, mode), 0);
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = fixture->file}));
    note = settings_note(&fixture->settings, 0);
    return note != NULL && strncmp(note, fixture->file, strlen(fixture->file)) == 0 &&
           strstr(note, how) != NULL && strstr(note, "chmod o-rwx") != NULL;
}

static void test_exposed_files(void **state)
{
    static const char with[] = "[source]\naccess_key_id = a\nsecret_access_key = s\n";
    static const char without[] = "[source]\naccess_key_id = a\n";
    struct fixture *fixture = *state;
    char variable[200];

    write_bytes(fixture->file, with, sizeof with - 1);
    assert_true(is_exposed(fixture, 0644, "can be read by anybody"));
    assert_true(is_exposed(fixture, 0602, "can be changed by anybody"));
    assert_false(is_exposed(fixture, 0640, ""));
    write_bytes(fixture->file, without, sizeof without - 1);
    assert_false(is_exposed(fixture, 0644, ""));

    snprintf(variable, sizeof variable, "STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE=%s", fixture->file);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_non_null(strstr(settings_note(&fixture->settings, 0), fixture->file));
    assert_int_equal(chmod(fixture->file, 0600), 0);
    assert_true(load_environ(fixture, ENVIRON(variable)));
    assert_null(settings_note(&fixture->settings, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_pipe),
        SETTINGS_TEST(test_exposed_files),
        SETTINGS_TEST(test_ini_syntax),
        SETTINGS_TEST(test_unknown_in_file),
        SETTINGS_TEST(test_problems_have_a_ceiling),
        SETTINGS_TEST(test_malformed_files),
        SETTINGS_TEST(test_file_ceilings),
        SETTINGS_TEST(test_files_that_cannot_be_used),
        SETTINGS_TEST(test_secret_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

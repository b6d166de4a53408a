/* settings: values in effect, and the documents that are made from the table. Run in the project's folder, where they are. */
#include "file.h"
#include "settings_fixture.h"

#include <yyjson.h>

static const char *const full[] = {
    "STORSYNC_SOURCE_ACCESS_KEY_ID=AKIA",
    "STORSYNC_SOURCE_SECRET_ACCESS_KEY=hush-1",
    "STORSYNC_SOURCE_SESSION_TOKEN=hush-2",
    "AWS_ACCESS_KEY_ID=AKIB",
    "AWS_SECRET_ACCESS_KEY=hush-3",
    "STORSYNC_PART_SIZE=65536KiB",
    "STORSYNC_TIMEOUT=90",
    "STORSYNC_MIN_INTERVAL=7200s",
    "STORSYNC_COMPARE=etag",
    "STORSYNC_DRY_RUN=on",
    "STORSYNC_STATUS_FILE=/a\xFF",
    "STORSYNC_STALL_TIMEOUT=1500ms",
    "STORSYNC_RETRIES=0",
    "STORSYNC_DESTINATION_ENDPOINT=https://me:hush-4@host/?key=hush-5",
    "AWS_ENDPOINT_URL=hush-6@host",
    "PROD_STORAGE_BUCKET=s3://me:hush-7@bucket",
    NULL,
};

static const struct settings_remark remark = {"colour", "the left one is red", "the right one is blue"};

static void test_print(void **state)
{
    struct fixture *fixture = *state;
    struct buf first, second;

    assert_true(load_environ(fixture, full));
    buf_init(&first, 65536);
    buf_init(&second, 65536);
    assert_true(settings_print(&fixture->settings, &remark, 1, &first));
    assert_null(strstr(buf_str(&first), "hush"));
    assert_non_null(strstr(buf_str(&first), "= 64MiB "));
    assert_non_null(strstr(buf_str(&first), "= 90s "));
    assert_non_null(strstr(buf_str(&first), "= 2h "));
    assert_non_null(strstr(buf_str(&first), "= 1500ms "));
    assert_non_null(strstr(buf_str(&first), "= true "));
    assert_non_null(strstr(buf_str(&first), "= **** "));
    assert_non_null(strstr(buf_str(&first), "; environment AWS_SECRET_ACCESS_KEY\n"));
    assert_non_null(strstr(buf_str(&first),
                           "\n; paths: public/, private/\n; colour of the source: the left one is red\n"
                           "; colour of the destination: the right one is blue\n"));

    /* What is printed is an INI file of the same values, but for the secrets and the file's own name. */
    char *config = strstr(first.data, "\nconfig ");
    assert_non_null(config);
    config[1] = '#';
    int64_t part_size = fixture->settings.part_size;
    assert_true(load_ini(fixture, buf_str(&first), ENVIRON("A=b")));
    assert_no_problem(fixture);
    assert_int_equal(fixture->settings.part_size, part_size);
    assert_int_equal(fixture->settings.timeout, 90000);
    assert_int_equal(fixture->settings.min_interval, 7200000);
    assert_int_equal(fixture->settings.stall_timeout, 1500);
    assert_int_equal(fixture->settings.compare, COMPARE_ETAG);
    assert_int_equal(fixture->settings.dry_run, 1);
    assert_int_equal(fixture->settings.retries, 0);
    assert_string_equal(fixture->settings.status_file, "/a\xFF");
    assert_string_equal(fixture->settings.source.access_key_id, "AKIA");

    buf_init(&second, 1000);
    assert_false(settings_print(&fixture->settings, &remark, 1, &second));
    buf_free(&first);
    buf_free(&second);
}

static void test_print_json(void **state)
{
    struct fixture *fixture = *state;
    struct buf out;

    assert_true(load_environ(fixture, full));
    buf_init(&out, 65536);
    assert_true(settings_print_json(&fixture->settings, &remark, 1, &out));
    assert_null(strstr(buf_str(&out), "hush"));
    yyjson_doc *doc = yyjson_read(buf_str(&out), out.len, 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *timeout = yyjson_obj_get(root, "timeout");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(timeout, "value")), "90s");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(timeout, "origin")), "environment STORSYNC_TIMEOUT");
    yyjson_val *secret = yyjson_obj_get(yyjson_obj_get(root, "source"), "secret_access_key");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(secret, "value")), "****");
    yyjson_val *bucket = yyjson_obj_get(yyjson_obj_get(root, "destination"), "bucket");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(bucket, "value")), "s3://****@bucket");
    yyjson_val *colour = yyjson_obj_get(yyjson_obj_get(root, "colour"), "destination");
    assert_string_equal(yyjson_get_str(colour), "the right one is blue");
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "paths")), 2);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "problems")), 0);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "notes")), 0);
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "assumptions")), 1);
    yyjson_doc_free(doc);
    buf_free(&out);
}

/* The document as it stands; `tests/run docs` knows that it is what the table says. */
static char *read_document(const char *path)
{
    struct error error;
    size_t len;
    char *text = file_read(path, 1024 * 1024, &len, &error);

    if (text == NULL)
        fail_msg("%s", error.text);
    return text;
}

/* Every setting is in every document, under the names that the document is about. */
static void test_documents_are_complete(void **state)
{
    char *markdown = read_document("docs/SETTINGS.md");
    char *ini = read_document("examples/storsync.ini");
    struct buf help;
    (void)state;

    buf_init(&help, 65536);
    assert_true(settings_help(true, &help));
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        char name[SETTINGS_NAME_SIZE + 16];
        char flag[SETTINGS_NAME_SIZE];

        settings_flag(&slot, flag);
        if (slot.setting->type == SETTING_SECRET)
            snprintf(name, sizeof name, "STORSYNC_SIDE_S");
        else
            snprintf(name, sizeof name, "  --%s%s", *slot.section != '\0' ? "SIDE-" : "",
                     *slot.section != '\0' ? flag + strlen(slot.section) + 1 : flag);
        assert_non_null(strstr(buf_str(&help), name));
        snprintf(name, sizeof name, "\n| `%s` | ", slot.setting->name);
        assert_non_null(strstr(markdown, name));
        snprintf(name, sizeof name, "\n;%s =", slot.setting->name);
        assert_int_equal(strstr(ini, name) != NULL, !slot.setting->not_in_file);
    }
    buf_free(&help);
    free(markdown);
    free(ini);
}

static void test_help_fits(void **state)
{
    struct buf out;
    (void)state;

    for (int all = 0; all < 2; all++) {
        buf_init(&out, 65536);
        assert_true(settings_help(all != 0, &out));
        for (const char *line = buf_str(&out); *line != '\0'; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 80)
                fail_msg("longer than 80 columns: %.*s", (int)strcspn(line, "\n"), line);
        buf_free(&out);
    }
}

/* What most people need comes without asking for more, and is no more than a screen or so. */
static void test_help_of_common_settings(void **state)
{
    static const char *const common[] = {
        "--environment", "--deployment-id", "--public-object-search-paths",   "--on-failure", "--dry-run",
        "--SIDE-bucket", "--SIDE-endpoint", "STORSYNC_SIDE_SECRET_ACCESS_KEY"};
    struct buf out;
    int lines = 0;
    (void)state;

    buf_init(&out, 65536);
    assert_true(settings_help(false, &out));
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        assert_non_null(strstr(buf_str(&out), common[i]));
    assert_null(strstr(buf_str(&out), "--lease-ttl"));
    for (const char *c = buf_str(&out); *c != '\0'; c++)
        lines += *c == '\n';
    assert_true(lines < 50);
    buf_clear(&out);
    assert_true(settings_help(true, &out));
    for (const struct setting *setting = settings_of_run(); setting->name != NULL; setting++)
        assert_true(setting->heading == NULL || strstr(buf_str(&out), setting->heading) != NULL);
    assert_non_null(settings_of_run()->heading);
    assert_non_null(settings_of_side()->heading);
    buf_free(&out);
}

static void test_markdown_rows_have_four_cells(void **state)
{
    char *text = read_document("docs/SETTINGS.md");
    const char *line = strstr(text, "settings: made by");
    const char *end = strstr(text, "end of settings");
    int rows = 0;
    (void)state;

    assert_true(line != NULL && end != NULL);
    for (; line < end; line += strcspn(line, "\n") + 1) {
        int bars = 0;

        for (const char *c = line; *c != '\n'; c++)
            bars += *c == '|';
        assert_true(bars == 0 || bars == 5);
        rows += bars == 5;
    }
    assert_true(rows > 0);
    free(text);
}

static void test_sample_ini_is_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    struct settings defaults;
    char *ini = read_document("examples/storsync.ini");
    int uncommented = 0;

    assert_true(load_ini(fixture, ini, ENVIRON("A=b")));
    assert_no_problem(fixture);
    for (char *c = ini; (c = strstr(c, "\n;")) != NULL; uncommented++)
        c[1] = ' ';
    assert_int_equal(uncommented, SETTINGS_SLOTS - 1);
    assert_true(load_ini(fixture, ini, ENVIRON("A=b")));
    assert_no_problem(fixture);
    assert_false(settings_is_default(&fixture->settings, &fixture->settings.source.bucket));

    assert_true(settings_load(&defaults,
                              &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = "/dev/null"},
                              &fixture->error));
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        struct buf sample, expected;

        if (slot.setting->not_in_file)
            continue;
        buf_init(&sample, 1000);
        buf_init(&expected, 1000);
        settings_format(&fixture->settings, &slot, &sample);
        settings_format(&defaults, &slot, &expected);
        assert_string_equal(buf_str(&sample), buf_str(&expected));
        assert_string_equal(buf_str(&sample), slot.fallback);
        buf_free(&sample);
        buf_free(&expected);
    }
    settings_free(&defaults);
    free(ini);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_print),
        SETTINGS_TEST(test_print_json),
        SETTINGS_TEST(test_documents_are_complete),
        SETTINGS_TEST(test_help_fits),
        SETTINGS_TEST(test_help_of_common_settings),
        SETTINGS_TEST(test_markdown_rows_have_four_cells),
        SETTINGS_TEST(test_sample_ini_is_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

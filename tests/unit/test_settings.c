/* settings: sources and their precedence, the grammar of values, names that are not known. */
#include "settings_fixture.h"

static void test_defaults(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;

    assert_true(load_environ(fixture, ENVIRON("PATH=/bin", "not a variable")));
    assert_no_problem(fixture);
    assert_string_equal(settings->source.bucket, "dedw3n-dev-storage");
    assert_string_equal(settings->destination.bucket, "dedw3n-production-storage");
    assert_string_equal(settings->environment, "");
    assert_string_equal(settings->status_file, "");
    assert_string_equal(settings->source.endpoint, "");
    assert_string_equal(settings->destination.secret_access_key, "");
    assert_int_equal(settings->source.path_style, PATH_STYLE_AUTO);
    assert_int_equal(settings->min_interval, 3600000);
    assert_int_equal(settings->timeout, 300000);
    assert_int_equal(settings->wait, 120000);
    assert_int_equal(settings->lease_ttl, 30000);
    assert_int_equal(settings->connect_timeout, 10000);
    assert_int_equal(settings->stall_timeout, 30000);
    assert_int_equal(settings->request_timeout, 600000);
    assert_int_equal(settings->concurrency, 0);
    assert_int_equal(settings->retries, 5);
    assert_int_equal(settings->part_size, 32 * 1024 * 1024);
    assert_int_equal(settings->compare, COMPARE_NEWER);
    assert_int_equal(settings->on_failure, ON_FAILURE_START);
    assert_int_equal(settings->dry_run, 0);
    assert_int_equal(settings->log_level, 2);
    assert_true(settings_is_default(settings, &settings->source.bucket));
    assert_origin(fixture, timeout, "default");
}

static void test_default_file_need_not_exist(void **state)
{
    struct fixture *fixture = *state;

    if (access(SETTINGS_CONFIG_DEFAULT, F_OK) == 0)
        skip();
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b")}));
    assert_string_equal(fixture->settings.config, "");
}

static void test_precedence(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;
    struct settings_flag flags[] = {{"source-bucket", "early"}, {"source-bucket", "flag"}};
    char origin[64];

    assert_true(load_ini(fixture, "[source]\n\nbucket = file\n", ENVIRON("A=b")));
    assert_string_equal(settings->source.bucket, "file");
    snprintf(origin, sizeof origin, "%s:3", fixture->file);
    assert_origin(fixture, source.bucket, origin);
    assert_false(settings_is_default(settings, &settings->source.bucket));

    assert_true(load_ini(fixture, "[source]\nbucket = file\n", ENVIRON("DEV_STORAGE_BUCKET=old")));
    assert_string_equal(settings->source.bucket, "old");
    assert_origin(fixture, source.bucket, "environment DEV_STORAGE_BUCKET");

    assert_true(load_ini(fixture, "[source]\nbucket = file\n",
                         ENVIRON("DEV_STORAGE_BUCKET=old", "STORSYNC_SOURCE_BUCKET=own")));
    assert_string_equal(settings->source.bucket, "own");
    assert_origin(fixture, source.bucket, "environment STORSYNC_SOURCE_BUCKET");

    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("STORSYNC_SOURCE_BUCKET=own"),
                                                       .flags = flags,
                                                       .flag_count = 2,
                                                       .config = fixture->file}));
    assert_string_equal(settings->source.bucket, "flag");
    assert_origin(fixture, source.bucket, "--source-bucket");
    assert_string_equal(settings->destination.bucket, "dedw3n-production-storage");
    assert_no_problem(fixture);
}

static void test_config_precedence(void **state)
{
    struct fixture *fixture = *state;
    char variable[80];

    write_bytes(fixture->file, "retries = 7\n", 12);
    snprintf(variable, sizeof variable, "STORSYNC_CONFIG=%s", fixture->file);
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON(variable)}));
    assert_int_equal(fixture->settings.retries, 7);
    assert_string_equal(fixture->settings.config, fixture->file);
    assert_origin(fixture, config, "environment STORSYNC_CONFIG");
    assert_true(
        load(fixture, &(struct settings_input){.environ_ = ENVIRON(variable), .config = "/dev/null"}));
    assert_int_equal(fixture->settings.retries, 5);
    assert_origin(fixture, config, "--config");
}

static void test_empty_variable_is_not_set(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_ini(fixture, "retries = 7\nstatus_file =\n[source]\nbucket = file\n",
                         ENVIRON("STORSYNC_RETRIES= ", "STORSYNC_SOURCE_BUCKET=", "STORSYNC_RETRYS=",
                                 "STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE=")));
    assert_no_problem(fixture);
    assert_int_equal(fixture->settings.retries, 7);
    assert_string_equal(fixture->settings.source.bucket, "file");
    assert_origin(fixture, status_file, "default");

    /* On the command line it is a way to say "none". */
    struct settings_flag flag = {"source-endpoint", ""};
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("AWS_ENDPOINT_URL=http://a"),
                                                       .flags = &flag,
                                                       .flag_count = 1,
                                                       .config = "/dev/null"}));
    assert_string_equal(fixture->settings.source.endpoint, "");
    assert_string_equal(fixture->settings.destination.endpoint, "http://a");
}

static void test_surrounding_space_does_not_count(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_TIMEOUT=\t90 \r\n", "PROD_STORAGE_BUCKET= a b\n")));
    assert_no_problem(fixture);
    assert_int_equal(fixture->settings.timeout, 90000);
    assert_string_equal(fixture->settings.destination.bucket, "a b");
}

static void test_aws_variables_are_for_both_sides(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;

    assert_true(
        load_ini(fixture, "[destination]\nendpoint = https://own\n",
                 ENVIRON("AWS_ENDPOINT_URL=https://any", "AWS_ENDPOINT_URL_S3=https://s3",
                         "AWS_DEFAULT_REGION=far", "AWS_CA_BUNDLE=/ca.pem", "STORSYNC_SOURCE_REGION=near")));
    assert_string_equal(settings->source.endpoint, "https://s3");
    assert_string_equal(settings->destination.endpoint, "https://own");
    assert_string_equal(settings->source.region, "near");
    assert_string_equal(settings->destination.region, "far");
    assert_string_equal(settings->source.ca_file, "/ca.pem");
    assert_string_equal(settings->destination.ca_file, "/ca.pem");
    assert_origin(fixture, source.endpoint, "environment AWS_ENDPOINT_URL_S3");
}

static void test_aws_credentials_are_one_unit(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;

    assert_true(load_environ(fixture, ENVIRON("AWS_ACCESS_KEY_ID=shared", "AWS_SECRET_ACCESS_KEY=hidden",
                                              "AWS_SESSION_TOKEN=token", "AWS_PROFILE=work",
                                              "STORSYNC_SOURCE_ACCESS_KEY_ID=own",
                                              "STORSYNC_SOURCE_SECRET_ACCESS_KEY=secret")));
    assert_no_problem(fixture);
    assert_string_equal(settings->source.access_key_id, "own");
    assert_string_equal(settings->source.secret_access_key, "secret");
    assert_string_equal(settings->source.session_token, "");
    assert_string_equal(settings->source.profile, "");
    assert_string_equal(settings->destination.access_key_id, "shared");
    assert_string_equal(settings->destination.secret_access_key, "hidden");
    assert_string_equal(settings->destination.session_token, "token");
    assert_string_equal(settings->destination.profile, "work");

    /* A profile of its own is a credential, too; the INI file is a source like any other. */
    assert_true(load_ini(fixture, "[destination]\nprofile = live\n",
                         ENVIRON("AWS_ACCESS_KEY_ID=shared", "AWS_SECRET_ACCESS_KEY=hidden")));
    assert_string_equal(settings->source.access_key_id, "shared");
    assert_string_equal(settings->destination.access_key_id, "");
    assert_string_equal(settings->destination.secret_access_key, "");
}

/* R2's variables are for R2, and a unit like the others. */
static void test_r2_credentials(void **state)
{
    struct fixture *fixture = *state;
    const struct settings *settings = &fixture->settings;

    assert_true(load_environ(
        fixture, ENVIRON("AWS_ACCESS_KEY_ID=shared", "AWS_SECRET_ACCESS_KEY=hidden",
                         "AWS_SESSION_TOKEN=token", "R2_ACCESS_KEY_ID=r2", "R2_SECRET_ACCESS_KEY=r2secret",
                         "STORSYNC_SOURCE_ENDPOINT=https://Account.R2.cloudflarestorage.com/")));
    assert_no_problem(fixture);
    assert_string_equal(settings->source.access_key_id, "r2");
    assert_string_equal(settings->source.secret_access_key, "r2secret");
    assert_string_equal(settings->source.session_token, "");
    assert_origin(fixture, source.access_key_id, "environment R2_ACCESS_KEY_ID");
    assert_string_equal(settings->destination.access_key_id, "shared");
    assert_string_equal(settings->destination.session_token, "token");

    assert_true(load_environ(
        fixture, ENVIRON("R2_ACCESS_KEY_ID=r2", "R2_SECRET_ACCESS_KEY=r2secret",
                         "STORSYNC_SOURCE_ACCESS_KEY_ID=own", "STORSYNC_SOURCE_SECRET_ACCESS_KEY=secret",
                         "STORSYNC_DESTINATION_ENDPOINT=https://r2.cloudflarestorage.com.example",
                         "AWS_ENDPOINT_URL=https://a.eu.r2.cloudflarestorage.com")));
    assert_string_equal(settings->source.access_key_id, "own");
    assert_string_equal(settings->destination.access_key_id, "");

    assert_true(load_environ(fixture, ENVIRON("AWS_ACCESS_KEY_ID=shared", "AWS_SECRET_ACCESS_KEY=hidden",
                                              "AWS_ENDPOINT_URL=https://a.r2.cloudflarestorage.com")));
    assert_string_equal(settings->source.access_key_id, "shared");
}

static void test_incomplete_credentials(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SOURCE_ACCESS_KEY_ID=own",
                                              "AWS_SECRET_ACCESS_KEY=hidden", "AWS_ACCESS_KEY_ID=shared")));
    assert_problem(fixture, ENVIRON("source: ", "access_key_id is set (STORSYNC_SOURCE_ACCESS_KEY_ID)",
                                    "secret_access_key is not"));
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_DESTINATION_SECRET_ACCESS_KEY=hush")));
    assert_problem(fixture, ENVIRON("destination: ", "secret_access_key is set", "access_key_id is not"));
    assert_null(strstr(settings_problem(&fixture->settings, 0), "hush"));
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_DESTINATION_SESSION_TOKEN=hush")));
    assert_problem(fixture, ENVIRON("session_token is set", "access_key_id is not"));
}

static void test_grammar(void **state)
{
    static const struct {
        const char *flag, *value;
        int64_t expected; /* -1: refused */
    } cases[] = {
        {"timeout", "0", 0},
        {"timeout", "90", 90000},
        {"timeout", "90s", 90000},
        {"timeout", "90 s", 90000},
        {"timeout", "1500ms", 1500},
        {"timeout", "5m", 300000},
        {"timeout", "24h", 86400000},
        {"timeout", "0000000000000000000000001m", 60000},
        {"timeout", "25h", -1},
        {"timeout", "86400001ms", -1},
        {"timeout", "1h30m", 5400000},
        {"timeout", "1h 30m 5s", 5405000},
        {"timeout", "1h30m0s0ms", 5400000},
        {"timeout", "1d", 86400000},
        {"min-interval", "365d", INT64_C(31536000000)},
        {"min-interval", "365d1ms", -1},
        {"timeout", "500ms", 500},
        {"timeout", "1h30", -1},
        {"timeout", "0h30", -1},
        {"timeout", "30m1h", -1},
        {"timeout", "1h1h", -1},
        {"timeout", "1h-1m", -1},
        {"timeout", "1h,1m", -1},
        {"timeout", "1 2", -1},
        {"timeout", "2562047788015h2562047788015h", -1},
        {"timeout", "1.5h", -1},
        {"timeout", "-5", -1},
        {"timeout", "+5", -1},
        {"timeout", "m", -1},
        {"timeout", "", -1},
        {"timeout", "5M", -1},
        {"timeout", "0x10", -1},
        {"timeout", "9223372036854775807", -1},
        {"timeout", "9223372036854775808", -1},
        {"timeout", "2562047788016h", -1},
        {"timeout", "99999999999999999999", -1},
        {"part-size", "5MiB", 5 << 20},
        {"part-size", "5242880", 5 << 20},
        {"part-size", "6144KiB", 6 << 20},
        {"part-size", "5GiB", (int64_t)5 << 30},
        {"part-size", "5242879", -1},
        {"part-size", "6GiB", -1},
        {"part-size", "32MB", 32 << 20},
        {"part-size", "8M", 8 << 20},
        {"part-size", "8mib", 8 << 20},
        {"part-size", "1g", 1 << 30},
        {"part-size", "1GB", 1 << 30},
        {"part-size", "8192K", 8 << 20},
        {"part-size", "8388608B", -1},
        {"part-size", "1GiB512MiB", ((int64_t)1 << 30) + (512 << 20)},
        {"part-size", "8MBit", -1},
        {"part-size", "32s", -1},
        {"part-size", "18014398509481985KiB", -1},
        {"concurrency", "1", 1},
        {"concurrency", "64", 64},
        {"concurrency", "auto", 0},
        {"concurrency", "Auto", 0},
        {"concurrency", "autos", -1},
        {"concurrency", "0", -1},
        {"concurrency", "65", -1},
        {"concurrency", "8s", -1},
        {"content", "true", 100},
        {"content", "yes", 100},
        {"content", "off", 0},
        {"content", "0", 0},
        {"content", "1", 1},
        {"content", "12%", 12},
        {"content", "12 %", 12},
        {"content", "100%", 100},
        {"content", "101%", -1},
        {"content", "0.5%", -1},
        {"content", "%", -1},
        {"content", "5%5%", -1},
        {"strict", "yes", 1},
        {"content-seed", "4294967295", 4294967295},
        {"content-seed", "4294967296", -1},
        {"retries", "0", 0},
        {"retries", "20", 20},
        {"retries", "21", -1},
        {"lease-ttl", "1s", SETTINGS_LEASE_TTL_LEAST},
        {"lease-ttl", "4s", 4000},
        {"lease-ttl", "999ms", -1},
        {"compare", "size", COMPARE_SIZE},
        {"compare", "ETag", COMPARE_ETAG},
        {"compare", "siz", -1},
        {"compare", "size|newer", -1},
        {"on-failure", "stop", ON_FAILURE_STOP},
        {"log-format", "json", 1},
        {"log-level", "debug", 3},
        {"source-path-style", "no", PATH_STYLE_NO},
        {"source-path-style", "true", PATH_STYLE_YES},
        {"source-path-style", "maybe", -1},
        {"dry-run", "yes", 1},
        {"dry-run", "Off", 0},
        {"dry-run", "1", 1},
        {"dry-run", "y", 1},
        {"dry-run", "T", 1},
        {"dry-run", "ON", 1},
        {"dry-run", "N", 0},
        {"dry-run", "f", 0},
        {"dry-run", "False", 0},
        {"dry-run", "2", -1},
        {"dry-run", "", -1},
        {"log-level", "WARNING", 1},
        {"log-level", "err", 0},
        {"source-path-style", "y", PATH_STYLE_YES},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slot slot = settings_slot(settings_find_flag(cases[i].flag));
        const void *field = (const char *)&fixture->settings + slot.offset;

        assert_true(load_flag(fixture, cases[i].flag, cases[i].value));
        if (cases[i].expected >= 0) {
            assert_no_problem(fixture);
            assert_int_equal(*(const int64_t *)field, cases[i].expected);
        } else {
            char quoted[64];

            snprintf(quoted, sizeof quoted, "\"%s\"", cases[i].value);
            assert_problem(fixture, ENVIRON("--", cases[i].flag, quoted, " is not "));
            if (slot.setting->careful == NULL) {
                assert_problem(fixture, ENVIRON("using the default ", slot.fallback));
                assert_string_equal(settings_origin(&fixture->settings, field), "default");
            }
        }
    }
}

static void test_environment_names(void **state)
{
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"production", "production"},
        {"PROD", "production"},
        {"Development", "development"},
        {"dev", "development"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load_flag(fixture, "environment", cases[i].value));
        assert_no_problem(fixture);
        assert_string_equal(fixture->settings.environment, cases[i].expected);
    }
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_ENV=staging")));
    assert_problem(fixture, ENVIRON("STORSYNC_ENV: \"staging\" is not production or development"));
    assert_string_equal(fixture->settings.environment, "development");
    assert_origin(fixture, environment, "environment STORSYNC_ENV");
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_ENV=prod", "STORSYNC_ENVIRONMENT=dev")));
    assert_string_equal(fixture->settings.environment, "development");
}

/* The default of these would do more than whoever set them wanted. */
static void test_bad_values_that_do_less(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_DRY_RUN=ture")));
    assert_problem(fixture, ENVIRON("STORSYNC_DRY_RUN: \"ture\" is not true or false", "true"));
    assert_int_equal(fixture->settings.dry_run, 1);
    assert_false(settings_is_default(&fixture->settings, &fixture->settings.dry_run));
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SOURCE_ALLOW_HTTP=ja")));
    assert_problem(
        fixture,
        ENVIRON("STORSYNC_SOURCE_ALLOW_HTTP: \"ja\" is not true or false; using the careful value false"));
    assert_int_equal(fixture->settings.source.allow_http, 0);
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_ON_FAILURE=halt")));
    assert_problem(
        fixture, ENVIRON("STORSYNC_ON_FAILURE: \"halt\" is not start or stop; using the careful value stop"));
    assert_int_equal(fixture->settings.on_failure, ON_FAILURE_STOP);
    assert_true(load_ini(fixture, "environment = producton\n", ENVIRON("A=b")));
    assert_problem(fixture, ENVIRON(":1: environment: \"producton\"", "development"));
    assert_string_equal(fixture->settings.environment, "development");
}

/* What a URL that cannot be used holds is nobody's business. */
static void test_bad_urls_are_not_repeated(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SOURCE_ENDPOINT=https://me:hush\x01@host")));
    assert_problem(fixture, ENVIRON("STORSYNC_SOURCE_ENDPOINT: the value is not text without control"));
    assert_null(strstr(settings_problem(&fixture->settings, 0), "hush"));
}

static void test_bad_values_name_their_source(void **state)
{
    struct fixture *fixture = *state;
    char place[80];

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_CONCURRENCY=many")));
    assert_problem(
        fixture,
        ENVIRON(
            "STORSYNC_CONCURRENCY: \"many\" is not a whole number from 1 to 64, or auto; using the default auto"));
    assert_int_equal(fixture->settings.concurrency, 0);
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SCHEDULE=0 25 * * *")));
    assert_problem(fixture, ENVIRON("STORSYNC_SCHEDULE: \"0 25 * * *\" is not a schedule like 0 3 * * *",
                                    "(hour \"25\": 0 to 23"));
    assert_string_equal(fixture->settings.schedule, "");
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SCHEDULE=@daily", "STORSYNC_VALIDATE_SCHEDULE=")));
    assert_no_problem(fixture);
    assert_string_equal(fixture->settings.schedule, "@daily");
    assert_true(load_ini(fixture, "# a comment\nconcurrency = many\n", ENVIRON("A=b")));
    snprintf(place, sizeof place, "%s:2: concurrency: \"many\" is not", fixture->file);
    assert_problem(fixture, ENVIRON(place));
    /* What is overridden is not used, so it cannot be a problem. */
    assert_true(load_ini(fixture, "concurrency = many\n", ENVIRON("STORSYNC_CONCURRENCY=3")));
    assert_no_problem(fixture);
    assert_int_equal(fixture->settings.concurrency, 3);
}

static void test_texts_are_bounded_and_printable(void **state)
{
    struct fixture *fixture = *state;
    char *large = malloc(SETTINGS_TEXT_MAX + 2);

    assert_non_null(large);
    memset(large, 'x', SETTINGS_TEXT_MAX + 1);
    large[SETTINGS_TEXT_MAX + 1] = '\0';
    assert_true(load_flag(fixture, "deployment-id", large));
    assert_problem(fixture, ENVIRON("--deployment-id", "at most 8192 bytes"));
    large[SETTINGS_TEXT_MAX] = '\0';
    assert_true(load_flag(fixture, "deployment-id", large));
    assert_no_problem(fixture);
    free(large);
    assert_true(load_flag(fixture, "source-region", "a\r\nHost: b"));
    assert_problem(fixture, ENVIRON("--source-region", "control characters"));
    assert_string_equal(fixture->settings.source.region, "");
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SOURCE_SECRET_ACCESS_KEY=hush\nhush")));
    assert_problem(fixture, ENVIRON("STORSYNC_SOURCE_SECRET_ACCESS_KEY: the secret is not"));
    assert_null(strstr(settings_problem(&fixture->settings, 0), "hush"));
    /* The name of the file itself may be what is wrong. */
    assert_false(load(fixture, &(struct settings_input){.environ_ = ENVIRON("A=b"), .config = "/tmp/\x01"}));
    assert_string_equal(fixture->settings.config, SETTINGS_CONFIG_DEFAULT);
}

static void test_unknown_variables(void **state)
{
    static const struct {
        const char *variable, *hint; /* NULL: no hint */
    } cases[] = {
        {"STORSYNC_CONCURENCY=4", "did you mean STORSYNC_CONCURRENCY?"},
        {"STORSYNC_SOURCE_BUKCET=a", "did you mean STORSYNC_SOURCE_BUCKET?"},
        {"STORSYNC_BUCKET=a", "did you mean STORSYNC_SOURCE_BUCKET?"},
        {"STORSYNC_DEST_BUCKET=a", "did you mean STORSYNC_DESTINATION_BUCKET?"},
        {"STORSYNC_DEPLOYMENT=a", "did you mean STORSYNC_DEPLOYMENT_ID?"},
        {"STORSYNC_TIMEOUT_FILE=a", NULL},
        {"STORSYNC_QUXQUXQUX=a", NULL},
        {"STORSYNC_=a", NULL},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[64];

        snprintf(name, sizeof name, "%.*s is not the name of a setting", (int)strcspn(cases[i].variable, "="),
                 cases[i].variable);
        assert_true(load_environ(fixture, ENVIRON(cases[i].variable)));
        assert_problem(fixture, ENVIRON(name, cases[i].hint != NULL ? cases[i].hint : "setting"));
        if (cases[i].hint == NULL)
            assert_null(strstr(settings_problem(&fixture->settings, 0), "did you mean"));
    }
}

static void test_kubernetes_service_links_are_no_mistakes(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(
        fixture,
        ENVIRON("STORSYNC_SERVICE_HOST=10.0.0.1", "STORSYNC_SERVICE_PORT=80", "STORSYNC_SERVICE_PORT_HTTP=80",
                "STORSYNC_PORT=tcp://10.0.0.1:80", "STORSYNC_PORT_80_TCP=tcp://10.0.0.1:80",
                "STORSYNC_PORT_80_TCP_PROTO=tcp", "STORSYNC_PORT_80_TCP_PORT=80",
                "STORSYNC_PORT_80_TCP_ADDR=10.0.0.1", "STORSYNC_INIT_SERVICE_HOST=10.0.0.1")));
    assert_no_problem(fixture);
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_SERVICE_HOSTS=a")));
    assert_problem(fixture, ENVIRON("STORSYNC_SERVICE_HOSTS"));
    assert_true(load_environ(fixture, ENVIRON("STORSYNC_PORT_X=a")));
    assert_problem(fixture, ENVIRON("STORSYNC_PORT_X"));
}

static void test_notes(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("A=b")));
    assert_no_problem(fixture);
    assert_null(settings_note(&fixture->settings, 0));
    assert_non_null(strstr(settings_assumption(&fixture->settings, 0), "public/ and private/"));
    assert_non_null(strstr(settings_assumption(&fixture->settings, 1), "DEV_STORAGE_BUCKET"));
    assert_non_null(strstr(settings_assumption(&fixture->settings, 1), "dedw3n-dev-storage"));
    assert_non_null(strstr(settings_assumption(&fixture->settings, 2), "PROD_STORAGE_BUCKET"));
    assert_null(settings_assumption(&fixture->settings, 3));
    assert_true(load_environ(
        fixture, ENVIRON("DEV_STORAGE_BUCKET=a", "PROD_STORAGE_BUCKET=b", "PRIVATE_OBJECT_DIR=/a/b")));
    assert_null(settings_note(&fixture->settings, 0));
    assert_null(settings_assumption(&fixture->settings, 0));
    assert_true(settings_usable(&fixture->settings, &fixture->error));
}

/* Both of the defaults are a system of its own. One of them is somebody's bucket. */
static void test_one_default_bucket(void **state)
{
    static const struct {
        const char *set, *missing, *fallback;
    } cases[] = {
        {"PROD_STORAGE_BUCKET=b", "DEV_STORAGE_BUCKET", "dedw3n-dev-storage"},
        {"STORSYNC_DESTINATION_BUCKET=file:///x", "DEV_STORAGE_BUCKET", "dedw3n-dev-storage"},
        {"DEV_STORAGE_BUCKET=a", "PROD_STORAGE_BUCKET", "dedw3n-production-storage"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load_environ(fixture, ENVIRON(cases[i].set, "PRIVATE_OBJECT_DIR=/a/b")));
        assert_no_problem(fixture);
        assert_false(settings_usable(&fixture->settings, &fixture->error));
        assert_int_equal(fixture->error.kind, ERROR_CONFIG);
        assert_non_null(strstr(fixture->error.text, cases[i].missing));
        assert_non_null(strstr(fixture->error.text, cases[i].fallback));
    }
    assert_true(load_environ(fixture, ENVIRON("A=b")));
    assert_true(settings_usable(&fixture->settings, &fixture->error));
    assert_true(
        load_environ(fixture, ENVIRON("DEV_STORAGE_BUCKET=dedw3n-dev-storage", "PROD_STORAGE_BUCKET=b")));
    assert_true(settings_usable(&fixture->settings, &fixture->error));
}

/* Replit's own variables: an app has one bucket, until it is given another. */
static void test_bucket_of_the_app(void **state)
{
    static const struct {
        const char *paths, *more, *source, *destination, *origin;
    } cases[] = {
        {"PUBLIC_OBJECT_SEARCH_PATHS=/replit-objstore-1-a/public", "A=b", "replit-objstore-1-a",
         "replit-objstore-1-a", "environment PUBLIC_OBJECT_SEARCH_PATHS"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=replit-objstore-1/public",
         "DEFAULT_OBJECT_STORAGE_BUCKET_ID=replit-objstore-2", "replit-objstore-1", "replit-objstore-1",
         "environment PUBLIC_OBJECT_SEARCH_PATHS"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=['/replit-objstore-1/public', '/x/y']", "A=b", "replit-objstore-1",
         "replit-objstore-1", "environment PUBLIC_OBJECT_SEARCH_PATHS"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=/bucket-name/public",
         "DEFAULT_OBJECT_STORAGE_BUCKET_ID=replit-objstore-2", "replit-objstore-2", "replit-objstore-2",
         "environment DEFAULT_OBJECT_STORAGE_BUCKET_ID"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=/replit-objstore-1/public", "PROD_STORAGE_BUCKET=replit-objstore-9",
         "replit-objstore-1", "replit-objstore-9", "environment PUBLIC_OBJECT_SEARCH_PATHS"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=/replit-objstore-1/public", "DEV_STORAGE_BUCKET=gs://dev", "gs://dev",
         "replit-objstore-1", "environment DEV_STORAGE_BUCKET"},
        {"PUBLIC_OBJECT_SEARCH_PATHS=/bucket-name/public", "A=b", "dedw3n-dev-storage",
         "dedw3n-production-storage", "default"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load_environ(fixture, ENVIRON(cases[i].paths, cases[i].more)));
        assert_no_problem(fixture);
        assert_true(settings_usable(&fixture->settings, &fixture->error));
        assert_string_equal(fixture->settings.source.bucket, cases[i].source);
        assert_string_equal(fixture->settings.destination.bucket, cases[i].destination);
        assert_string_equal(settings_origin(&fixture->settings, &fixture->settings.source.bucket),
                            cases[i].origin);
    }
}

static void test_notes_on_times(void **state)
{
    static const struct {
        const char *wait, *more, *note; /* NULL: none */
    } cases[] = {
        {"STORSYNC_WAIT=10m", "A=b", "wait is longer than timeout"},
        {"STORSYNC_WAIT=10m", "STORSYNC_TIMEOUT=0", NULL},
        {"STORSYNC_WAIT=2m", "STORSYNC_LEASE_TTL=3m", "wait is shorter than lease_ttl"},
        {"STORSYNC_WAIT=0", "STORSYNC_LEASE_TTL=3m", "wait is shorter than lease_ttl"},
        {"A=b", "STORSYNC_TIMEOUT=29s", "timeout is shorter than lease_ttl"},
        {"A=b", "STORSYNC_LEASE_TTL=2s", "lease_ttl counts as 3s"},
        {"A=b", "STORSYNC_TIMEOUT=30s", NULL}, /* the default of wait is nobody's decision */
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(load_environ(fixture, ENVIRON("DEV_STORAGE_BUCKET=a", "PROD_STORAGE_BUCKET=b",
                                                  "PRIVATE_OBJECT_DIR=/a/b", cases[i].wait, cases[i].more)));
        if (cases[i].note == NULL)
            assert_null(settings_note(&fixture->settings, 0));
        else
            assert_non_null(strstr(settings_note(&fixture->settings, 0), cases[i].note));
    }
}

static void test_flags(void **state)
{
    struct fixture *fixture = *state;
    char variable[SETTINGS_NAME_SIZE];
    struct nearest nearest;
    bool needs_value = false;

    assert_true(settings_flag_known("source-access-key-id", &needs_value));
    assert_true(needs_value);
    assert_true(settings_flag_known("dry-run", &needs_value));
    assert_false(needs_value);
    assert_false(settings_flag_known("source_bucket", &needs_value));
    assert_false(settings_flag_known("bucket", &needs_value));
    assert_false(settings_flag_known("", &needs_value));
    assert_false(settings_flag_known("source-secret-access-key", &needs_value));
    assert_true(settings_flag_secret("source-secret-access-key", variable));
    assert_string_equal(variable, "STORSYNC_SOURCE_SECRET_ACCESS_KEY");
    assert_false(settings_flag_secret("source-bucket", variable));

    nearest_init(&nearest, "source-secret-acces-key");
    settings_flag_nearest(&nearest);
    assert_string_not_equal(nearest.best, "--source-secret-access-key");
    assert_true(load_flag(fixture, "source-secret-access-key", "hush"));
    assert_string_equal(fixture->settings.source.secret_access_key, "");
    assert_true(load_flag(fixture, "dry-run", NULL));
    assert_int_equal(fixture->settings.dry_run, 1);
}

/* ---- before any file is opened ---- */

static struct settings_peeked peek(const char *const *environ_, const struct settings_flag *flags, int count)
{
    struct settings_peeked peeked;

    settings_peek(&(struct settings_input){.environ_ = environ_, .flags = flags, .flag_count = count},
                  &peeked);
    return peeked;
}

static void test_peek(void **state)
{
    static const struct settings_flag flags[] = {
        {"timeout", "1m"}, {"on-failure", "start"}, {"timeout", " 2m "}, {"source-bucket", "b"}};
    const char *const *environ_ = ENVIRON("STORSYNC_TIMEOUT=3s", "STORSYNC_ON_FAILURE= Stop\n",
                                          "STORSYNC_DROP_ENV=A, B*", "STORSYNC_TIMEOUTS=9s");
    struct settings_peeked peeked = peek(environ_, NULL, 0);

    (void)state;
    assert_true(peeked.timeout_set && peeked.on_failure_set);
    assert_int_equal(peeked.timeout, 3000);
    assert_false(peeked.start);
    assert_string_equal(peeked.drop_env, "A, B*");
    peeked = peek(environ_, flags, 4);
    assert_int_equal(peeked.timeout, 120000);
    assert_true(peeked.start);
}

static void test_peek_at_nothing_useful(void **state)
{
    char long_value[200] = "STORSYNC_TIMEOUT=";
    struct settings_peeked peeked = peek(ENVIRON("A=b"), NULL, 0);

    (void)state;
    assert_true(peeked.start && !peeked.on_failure_set && !peeked.timeout_set);
    assert_string_equal(peeked.drop_env, "");
    peeked = peek(ENVIRON("STORSYNC_TIMEOUT=", "STORSYNC_ON_FAILURE= "), NULL, 0);
    assert_true(peeked.start && !peeked.on_failure_set && !peeked.timeout_set);
    memset(long_value + strlen(long_value), '1', 150);
    peeked = peek(ENVIRON(long_value), NULL, 0);
    assert_false(peeked.timeout_set);
}

/* Whoever looks early and whoever reads it all come to the same failure policy. */
static void test_peek_agrees(void **state)
{
    static const char *const values[] = {
        "start",
        "stop",
        "START",
        " stop ",
        "",
        " ",
        "halt",
        "yes",
        "0",
        "start|stop",
        "stop start",
        "a value that is much longer than any that this setting could ever have had, and then some",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct settings_flag flag = {"on-failure", values[i]};
        struct settings_peeked peeked;
        char variable[128];

        snprintf(variable, sizeof variable, "STORSYNC_ON_FAILURE=%s", values[i]);
        assert_true(load_environ(fixture, ENVIRON(variable)));
        peeked = peek(ENVIRON(variable), NULL, 0);
        assert_int_equal(peeked.start, fixture->settings.on_failure == ON_FAILURE_START);
        assert_int_equal(peeked.on_failure_set,
                         !settings_is_default(&fixture->settings, &fixture->settings.on_failure));
        assert_true(load_flag(fixture, flag.name, flag.value));
        peeked = peek(ENVIRON("A=b"), &flag, 1);
        assert_int_equal(peeked.start, fixture->settings.on_failure == ON_FAILURE_START);
    }
}

/* As the settings will be, if no file says otherwise. */
static void test_without_files(void **state)
{
    struct fixture *fixture = *state;
    char variable[128];

    write_bytes(fixture->file, "timeout = 7s\n", 13);
    snprintf(variable, sizeof variable, "STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE=%s", fixture->file);
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("STORSYNC_WAIT=4s", variable),
                                                       .config = fixture->file,
                                                       .no_files = true}));
    assert_int_equal(fixture->settings.wait, 4000);
    assert_int_equal(fixture->settings.timeout, 300000);
    assert_string_equal(fixture->settings.source.secret_access_key, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_defaults),
        SETTINGS_TEST(test_default_file_need_not_exist),
        SETTINGS_TEST(test_precedence),
        SETTINGS_TEST(test_config_precedence),
        SETTINGS_TEST(test_empty_variable_is_not_set),
        SETTINGS_TEST(test_surrounding_space_does_not_count),
        SETTINGS_TEST(test_aws_variables_are_for_both_sides),
        SETTINGS_TEST(test_aws_credentials_are_one_unit),
        SETTINGS_TEST(test_r2_credentials),
        SETTINGS_TEST(test_incomplete_credentials),
        SETTINGS_TEST(test_grammar),
        SETTINGS_TEST(test_environment_names),
        SETTINGS_TEST(test_bad_values_that_do_less),
        SETTINGS_TEST(test_bad_urls_are_not_repeated),
        SETTINGS_TEST(test_bad_values_name_their_source),
        SETTINGS_TEST(test_texts_are_bounded_and_printable),
        SETTINGS_TEST(test_unknown_variables),
        SETTINGS_TEST(test_kubernetes_service_links_are_no_mistakes),
        SETTINGS_TEST(test_notes),
        SETTINGS_TEST(test_one_default_bucket),
        SETTINGS_TEST(test_bucket_of_the_app),
        SETTINGS_TEST(test_notes_on_times),
        SETTINGS_TEST(test_flags),
        SETTINGS_TEST(test_peek),
        SETTINGS_TEST(test_peek_at_nothing_useful),
        SETTINGS_TEST(test_peek_agrees),
        SETTINGS_TEST(test_without_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

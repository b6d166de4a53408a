/* detect: every row of the platform table, the order of precedence, and what ids may look like. */
#include "detect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define VARIABLES_MAX 8

static struct detection detect_with(const char *const *variables, const struct settings_flag *flags,
                                    int flag_count)
{
    struct settings settings;
    struct detection found;
    struct error error;
    const struct settings_input input = {.environ_ = variables, .flags = flags, .flag_count = flag_count};

    assert_true(settings_load(&settings, &input, &error));
    detect(&settings, variables, &found);
    settings_free(&settings);
    return found;
}

#define DETECT(...) detect_with((const char *const[]){__VA_ARGS__, NULL}, NULL, 0)
#define DETECT_NOTHING() detect_with((const char *const[]){NULL}, NULL, 0)

static void test_nothing_set(void **state)
{
    (void)state;
    struct detection found = DETECT_NOTHING();

    assert_false(found.production);
    assert_string_equal(found.environment_source, "default");
    assert_string_equal(found.platform, "");
    assert_string_equal(found.deployment_id, "");
    assert_string_equal(found.deployment_source, "");
    assert_string_equal(found.warning, "");
    assert_string_equal(found.hint, "");
}

static void test_every_platform(void **state)
{
    (void)state;
    static const struct {
        const char *seen, *id, *platform, *source;
    } rows[] = {
        {"REPL_DEPLOYMENT=true", "REPLIT_DEPLOYMENT_ID=id-1", "Replit", "REPLIT_DEPLOYMENT_ID"},
        {"REPLIT_DEPLOYMENT=1", "REPLIT_DEPLOYMENT_ID=id-1", "Replit", "REPLIT_DEPLOYMENT_ID"},
        {"KUBERNETES_SERVICE_HOST=10.0.0.1", "STORSYNC_DEPLOYMENT_ID=id-1", "Kubernetes",
         "STORSYNC_DEPLOYMENT_ID"},
        {"ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x", "STORSYNC_DEPLOYMENT_ID=id-1", "ECS",
         "STORSYNC_DEPLOYMENT_ID"},
        {"K_SERVICE=app", "K_REVISION=id-1", "Cloud Run", "K_REVISION"},
        {"CLOUD_RUN_JOB=job", "CLOUD_RUN_EXECUTION=id-1", "Cloud Run", "CLOUD_RUN_EXECUTION"},
        {"FLY_APP_NAME=app", "FLY_IMAGE_REF=id-1", "Fly", "FLY_IMAGE_REF"},
        {"RAILWAY_ENVIRONMENT_NAME=production", "RAILWAY_DEPLOYMENT_ID=id-1", "Railway",
         "RAILWAY_DEPLOYMENT_ID"},
        {"RENDER=true", "RENDER_GIT_COMMIT=id-1", "Render", "RENDER_GIT_COMMIT"},
        {"DYNO=web.1", "HEROKU_RELEASE_VERSION=id-1", "Heroku", "HEROKU_RELEASE_VERSION"},
        {"CONTAINER_APP_NAME=app", "CONTAINER_APP_REVISION=id-1", "Azure Container Apps",
         "CONTAINER_APP_REVISION"},
        {"GAE_ENV=standard", "GAE_DEPLOYMENT_ID=id-1", "App Engine", "GAE_DEPLOYMENT_ID"},
        {"VERCEL=1", "VERCEL_DEPLOYMENT_ID=id-1", "Vercel", "VERCEL_DEPLOYMENT_ID"},
        {"X=", "KAMAL_VERSION=id-1", "", "KAMAL_VERSION"},
        {"X=", "SOURCE_COMMIT=id-1", "", "SOURCE_COMMIT"},
        {"X=", "GITHUB_SHA=id-1", "", "GITHUB_SHA"},
        {"X=", "GIT_COMMIT=id-1", "", "GIT_COMMIT"},
        {"X=", "SOURCE_VERSION=id-1", "", "SOURCE_VERSION"},
        {"X=", "CI_COMMIT_SHA=id-1", "", "CI_COMMIT_SHA"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct detection found = DETECT(rows[i].seen, rows[i].id);
        assert_string_equal(found.platform, rows[i].platform);
        assert_string_equal(found.deployment_id, "id-1");
        assert_string_equal(found.deployment_source, rows[i].source);
        assert_string_equal(found.hint, "");
        /* Being seen is not being in production, but for Replit's deployments. */
        assert_int_equal(found.production, strcmp(rows[i].platform, "Replit") == 0);
        /* A platform's id means nothing without the platform. */
        if (*rows[i].platform != '\0' && strncmp(rows[i].source, "STORSYNC", 8) != 0)
            assert_string_equal(DETECT(rows[i].id).deployment_id, "");
    }
}

static void test_per_task_names_are_no_deployment(void **state)
{
    (void)state;
    assert_string_equal(DETECT("FLY_APP_NAME=a", "FLY_MACHINE_VERSION=01").deployment_id, "");
    assert_string_equal(DETECT("DYNO=web.1", "HEROKU_SLUG_COMMIT=abc").deployment_id, "");
    assert_string_equal(DETECT("KUBERNETES_SERVICE_HOST=10.0.0.1", "HOSTNAME=pod-x").deployment_id, "");
}

static void test_platforms_on_kubernetes_come_first(void **state)
{
    (void)state;
    static const char kubernetes[] = "KUBERNETES_SERVICE_HOST=10.0.0.1";

    assert_string_equal(DETECT(kubernetes, "K_SERVICE=a").platform, "Cloud Run");
    assert_string_equal(DETECT(kubernetes, "CONTAINER_APP_NAME=a").platform, "Azure Container Apps");
    assert_string_equal(DETECT(kubernetes, "RENDER=true").platform, "Render");
}

static void test_replit_decides_the_environment(void **state)
{
    (void)state;
    struct detection found = DETECT("REPLIT_DEPLOYMENT=1", "NODE_ENV=development");
    assert_true(found.production);
    assert_string_equal(found.environment_source, "REPLIT_DEPLOYMENT=1");
    found = DETECT("REPL_DEPLOYMENT=true");
    assert_true(found.production);
    assert_string_equal(found.environment_source, "REPL_DEPLOYMENT=true");

    found = DETECT("REPLIT_DEPLOYMENT=0", "REPL_DEPLOYMENT=false", "REPLIT_DEPLOYMENT_ID=x");
    assert_false(found.production);
    assert_string_equal(found.platform, "");
    assert_string_equal(found.deployment_id, "");
    assert_string_equal(found.environment_source, "default");
}

static void test_previews_are_demoted(void **state)
{
    (void)state;
    struct detection found = DETECT("RENDER=true", "IS_PULL_REQUEST=true", "NODE_ENV=production");
    assert_false(found.production);
    assert_string_equal(found.environment_source, "IS_PULL_REQUEST=true");
    found = DETECT("VERCEL=1", "VERCEL_ENV=preview", "NODE_ENV=production");
    assert_false(found.production);
    assert_string_equal(found.environment_source, "VERCEL_ENV=preview");

    assert_true(DETECT("RENDER=true", "IS_PULL_REQUEST=false", "NODE_ENV=production").production);
    assert_true(DETECT("VERCEL=1", "VERCEL_ENV=production", "NODE_ENV=production").production);
    /* Somebody else's IS_PULL_REQUEST. */
    assert_true(DETECT("IS_PULL_REQUEST=true", "NODE_ENV=production").production);
    /* The setting has the last word. */
    assert_true(DETECT("RENDER=true", "IS_PULL_REQUEST=true", "STORSYNC_ENVIRONMENT=production").production);
}

static void test_environment_variables_in_order(void **state)
{
    (void)state;
    static const char *const names[] = {
        "APP_ENV",    "RAILS_ENV", "RACK_ENV", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT",
        "DJANGO_ENV", "FLASK_ENV", "NODE_ENV",
    };
    char high[64];
    char low[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(high, sizeof high, "%s=production", names[i]);
        struct detection found = DETECT(high);
        assert_true(found.production);
        assert_string_equal(found.environment_source, high);
        if (i + 1 == sizeof names / sizeof *names)
            break;
        snprintf(low, sizeof low, "%s=staging", names[i + 1]);
        assert_true(DETECT(low, high).production);
        snprintf(high, sizeof high, "%s=staging", names[i]);
        snprintf(low, sizeof low, "%s=production", names[i + 1]);
        assert_false(DETECT(low, high).production);
        /* Empty is as good as absent. */
        snprintf(high, sizeof high, "%s=", names[i]);
        assert_true(DETECT(high, low).production);
    }
}

static void test_values_of_environments(void **state)
{
    (void)state;
    static const char *const others[] = {"NODE_ENV=development", "NODE_ENV=dev",     "NODE_ENV=test",
                                         "NODE_ENV=staging",     "NODE_ENV=preview", "NODE_ENV=Local"};

    assert_true(DETECT("NODE_ENV=Production").production);
    assert_true(DETECT("NODE_ENV=PROD").production);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct detection found = DETECT(others[i]);
        assert_false(found.production);
        assert_string_equal(found.environment_source, others[i]);
        assert_string_equal(found.warning, "");
    }
    struct detection found = DETECT("NODE_ENV=prodution");
    assert_false(found.production);
    assert_non_null(strstr(found.warning, "NODE_ENV=prodution"));
    assert_false(DETECT("NODE_ENV=production2").production);
}

static void test_the_setting_decides_first(void **state)
{
    (void)state;
    struct detection found = DETECT("STORSYNC_ENVIRONMENT=development", "REPLIT_DEPLOYMENT=1");
    assert_false(found.production);
    assert_string_equal(found.environment_source, "STORSYNC_ENVIRONMENT=development");
    found = DETECT("STORSYNC_ENV=production", "NODE_ENV=development");
    assert_true(found.production);
    assert_string_equal(found.environment_source, "STORSYNC_ENV=production");

    const struct settings_flag flag = {"environment", "development"};
    found = detect_with((const char *const[]){"STORSYNC_ENV=production", NULL}, &flag, 1);
    assert_false(found.production);
    assert_string_equal(found.environment_source, "--environment=development");
}

static void test_the_id_setting_decides_first(void **state)
{
    (void)state;
    struct detection found = DETECT("STORSYNC_DEPLOYMENT_ID=mine", "K_SERVICE=a", "K_REVISION=theirs");
    assert_string_equal(found.deployment_id, "mine");
    assert_string_equal(found.deployment_source, "STORSYNC_DEPLOYMENT_ID");
    assert_string_equal(found.platform, "Cloud Run");
    found = DETECT("STORSYNC_DEPLOYMENT_ID=", "K_SERVICE=a", "K_REVISION=theirs", "GITHUB_SHA=commit");
    assert_string_equal(found.deployment_id, "theirs");
    found = DETECT("K_SERVICE=a", "GITHUB_SHA=commit");
    assert_string_equal(found.deployment_id, "commit");
    found = DETECT("CI_COMMIT_SHA=last", "GITHUB_SHA=first");
    assert_string_equal(found.deployment_id, "first");
}

static void test_hints_where_no_id_was_found(void **state)
{
    (void)state;
    assert_non_null(strstr(DETECT("KUBERNETES_SERVICE_HOST=10.0.0.1").hint, "downward API"));
    assert_non_null(strstr(DETECT("DYNO=web.1").hint, "runtime-dyno-metadata"));
    assert_string_equal(DETECT("KUBERNETES_SERVICE_HOST=10.0.0.1", "GIT_COMMIT=x").hint, "");
}

static void test_ids_are_trimmed(void **state)
{
    (void)state;
    struct detection found = DETECT("GIT_COMMIT= abc def\r\n");
    assert_string_equal(found.deployment_id, "abc def");
    assert_string_equal(found.warning, "");
    found = DETECT("GITHUB_SHA= \n", "GIT_COMMIT=abc");
    assert_string_equal(found.deployment_id, "abc");
    assert_string_equal(found.deployment_source, "GIT_COMMIT");
}

static void test_unusable_ids_are_hashed(void **state)
{
    (void)state;
    char text[16 + DETECT_ID_MAX + 2] = "GIT_COMMIT=";
    size_t name = strlen(text);

    memset(text + name, 'a', DETECT_ID_MAX);
    struct detection found = DETECT(text);
    assert_string_equal(found.deployment_id, text + name);
    assert_string_equal(found.warning, "");

    text[name + DETECT_ID_MAX] = 'a';
    found = DETECT(text);
    assert_int_equal(strlen(found.deployment_id), 7 + 64);
    assert_memory_equal(found.deployment_id, "sha256-", 7);
    assert_non_null(strstr(found.warning, "GIT_COMMIT"));

    /* printf 'a\nb' | sha256sum */
    found = DETECT("GIT_COMMIT=a\nb");
    assert_string_equal(found.deployment_id,
                        "sha256-7e18f737311b2dc3b2f269dd78396b0351f14fb66efa879f768cb23181883c78");
}

static void test_both_warnings_are_told(void **state)
{
    (void)state;
    struct detection found = DETECT("NODE_ENV=uat", "GIT_COMMIT=a\x01");

    assert_non_null(strstr(found.warning, "NODE_ENV=uat"));
    assert_non_null(strstr(found.warning, "; the deployment id in GIT_COMMIT"));
}

static void test_long_values_are_cut(void **state)
{
    (void)state;
    char text[4096] = "NODE_ENV=";

    memset(text + strlen(text), 'x', sizeof text - strlen(text) - 1);
    struct detection found = DETECT(text);
    assert_false(found.production);
    assert_int_equal(strlen(found.environment_source), sizeof found.environment_source - 1);
    assert_true(strlen(found.warning) < sizeof found.warning);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_set),
        cmocka_unit_test(test_every_platform),
        cmocka_unit_test(test_per_task_names_are_no_deployment),
        cmocka_unit_test(test_platforms_on_kubernetes_come_first),
        cmocka_unit_test(test_replit_decides_the_environment),
        cmocka_unit_test(test_previews_are_demoted),
        cmocka_unit_test(test_environment_variables_in_order),
        cmocka_unit_test(test_values_of_environments),
        cmocka_unit_test(test_the_setting_decides_first),
        cmocka_unit_test(test_the_id_setting_decides_first),
        cmocka_unit_test(test_hints_where_no_id_was_found),
        cmocka_unit_test(test_ids_are_trimmed),
        cmocka_unit_test(test_unusable_ids_are_hashed),
        cmocka_unit_test(test_both_warnings_are_told),
        cmocka_unit_test(test_long_values_are_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

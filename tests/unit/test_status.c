/* status: replacing the file, what is refused, which of two is read, and the judgement of health. */
#include "status.h"

#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static char first[96], second[96], own[80], aside[96];
static struct status_places places;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/test_status.XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(own, sizeof own, "%s/own", folder);
    snprintf(first, sizeof first, "%s/status.json", own);
    snprintf(second, sizeof second, "%s/status.json", folder);
    snprintf(aside, sizeof aside, "%s/aside", folder);
    places = (struct status_places){first, second};
    error_clear(&error);
    return 0;
}

/* Removes a folder of files and how many there were. */
static int remove_all(const char *path)
{
    DIR *dir = opendir(path);
    int count = 0;

    if (dir == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            unlinkat(dirfd(dir), entry->d_name, AT_REMOVEDIR);
        count++;
    }
    closedir(dir);
    rmdir(path);
    return count;
}

static int tear_down(void **state)
{
    (void)state;
    remove_all(own);
    remove_all(folder);
    return access(folder, F_OK) == 0 ? -1 : 0;
}

static struct buf text_buf(const char *text)
{
    struct buf buf;

    buf_init(&buf, JSON_MAX + 1);
    buf_puts(&buf, text);
    return buf;
}

static bool write_text(const char *path, const char *text)
{
    struct buf json = text_buf(text);
    bool ok = path != NULL ? status_write(path, &json, &error) : status_write_places(&places, &json, &error);

    buf_free(&json);
    return ok;
}

/* Reads `path`, or the places for NULL. */
static void assert_read(const char *path, const char *expected, const char *expected_path)
{
    struct buf out;
    const char *found = NULL;

    buf_init(&out, JSON_MAX);
    buf_puts(&out, "what was there before");
    assert_true(path != NULL ? status_read(path, &out, &found, &error)
                             : status_read_places(&places, &out, &found, &error));
    assert_string_equal(buf_str(&out), expected);
    assert_string_equal(found, expected_path);
    buf_free(&out);
}

static void assert_not_read(const char *path, enum error_kind kind)
{
    struct buf out;

    buf_init(&out, JSON_MAX);
    error_clear(&error);
    assert_false(path != NULL ? status_read(path, &out, NULL, &error)
                              : status_read_places(&places, &out, NULL, &error));
    assert_int_equal(error.kind, kind);
    buf_free(&out);
}

static void make_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void set_time(const char *path, time_t seconds, long nanoseconds)
{
    struct timespec times[2] = {{.tv_sec = seconds, .tv_nsec = nanoseconds},
                                {.tv_sec = seconds, .tv_nsec = nanoseconds}};

    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* ---- files ---- */

static void test_written_and_read_back(void **state)
{
    (void)state;
    struct stat info;
    mode_t mask = umask(077);

    assert_true(write_text(second, "{\"a\":1}"));
    umask(mask);
    assert_read(second, "{\"a\":1}\n", second);
    assert_int_equal(stat(second, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0644);
    assert_true(write_text(second, "{}"));
    assert_read(second, "{}\n", second);
    /* Nothing is left behind. */
    assert_int_equal(remove_all(folder), 1);
}

static void test_an_open_reader_keeps_the_old_document(void **state)
{
    (void)state;
    char seen[16] = "";

    assert_true(write_text(second, "old"));
    int fd = open(second, O_RDONLY);
    assert_true(write_text(second, "new"));
    assert_int_equal(read(fd, seen, sizeof seen - 1), 4);
    assert_string_equal(seen, "old\n");
    close(fd);
}

static void test_a_symbolic_link_is_replaced(void **state)
{
    (void)state;
    struct stat info;

    make_file(aside, "precious");
    assert_int_equal(symlink(aside, second), 0);
    assert_true(write_text(second, "{}"));
    assert_int_equal(lstat(second, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_read(aside, "precious", aside);
}

/* Of /dev/stdout, which others may need. */
static void test_a_link_to_what_is_no_file_is_left_alone(void **state)
{
    (void)state;
    static const char *const targets[] = {"/dev/null", "/proc/self/fd/1"};
    struct stat info;

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(symlink(targets[i], second), 0);
        assert_false(write_text(second, "{}"));
        assert_int_equal(lstat(second, &info), 0);
        assert_true(S_ISLNK(info.st_mode));
        assert_int_equal(unlink(second), 0);
    }
}

static void test_what_is_no_file_is_left_alone(void **state)
{
    (void)state;
    struct stat info;

    assert_int_equal(mkfifo(second, 0600), 0);
    assert_false(write_text(second, "{}"));
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(lstat(second, &info), 0);
    assert_true(S_ISFIFO(info.st_mode));
    assert_int_equal(mkdir(own, 0700), 0);
    assert_false(write_text(own, "{}"));
    /* No temporary file beside them. */
    rmdir(own);
    assert_int_equal(remove_all(folder), 1);
}

static void test_a_missing_folder_is_an_error(void **state)
{
    (void)state;
    assert_false(write_text(first, "{}"));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, first));
    assert_int_equal(access(own, F_OK), -1);
}

static void test_a_path_that_is_too_long(void **state)
{
    (void)state;
    char path[5000];

    memset(path, 'a', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_false(write_text(path, "{}"));
    assert_int_equal(error.kind, ERROR_LOCAL);
}

static void test_the_first_place_is_created(void **state)
{
    (void)state;
    assert_true(write_text(NULL, "{}"));
    assert_read(first, "{}\n", first);
    assert_int_equal(access(second, F_OK), -1);
}

static void test_the_second_place_is_the_fallback(void **state)
{
    (void)state;
    make_file(own, "in the way");
    assert_true(write_text(NULL, "{}"));
    assert_read(second, "{}\n", second);
    assert_read(NULL, "{}\n", second);
}

static void test_no_place_names_both(void **state)
{
    (void)state;
    make_file(own, "in the way");
    assert_int_equal(mkfifo(second, 0600), 0);
    assert_false(write_text(NULL, "{}"));
    assert_non_null(strstr(error.text, first));
    assert_non_null(strstr(error.text, second));
}

static void test_the_newer_place_is_read(void **state)
{
    (void)state;
    assert_int_equal(mkdir(own, 0700), 0);
    make_file(first, "1");
    make_file(second, "2");
    set_time(first, 1000, 5);
    set_time(second, 1000, 6);
    assert_read(NULL, "2", second);
    set_time(first, 1001, 0);
    assert_read(NULL, "1", first);
    set_time(second, 1001, 0);
    assert_read(NULL, "1", first);
}

static void test_a_strangers_file_is_not_believed(void **state)
{
    (void)state;
    make_file(second, "{}");
    if (geteuid() != 0 || chown(second, 12345, 12345) != 0)
        skip();
    assert_not_read(NULL, ERROR_PERMISSION);
    assert_int_equal(mkdir(own, 0700), 0);
    make_file(first, "mine");
    set_time(first, 1000, 0);
    assert_read(NULL, "mine", first);
    /* Named explicitly, it is what was asked for. */
    assert_read(second, "{}", second);
}

static void test_a_link_in_the_shared_place_is_not_followed(void **state)
{
    (void)state;
    make_file(aside, "{}");
    assert_int_equal(symlink(aside, second), 0);
    assert_not_read(NULL, ERROR_NOT_FOUND);
}

static void test_nothing_there(void **state)
{
    (void)state;
    assert_not_read(NULL, ERROR_NOT_FOUND);
    assert_non_null(strstr(error.text, first));
    assert_not_read(second, ERROR_NOT_FOUND);
}

static void test_only_regular_files_are_read(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(second, 0600), 0);
    assert_not_read(second, ERROR_LOCAL); /* and does not wait for a writer */
    assert_not_read(folder, ERROR_LOCAL);
    assert_not_read("/dev/zero", ERROR_LOCAL);
}

static void test_reading_has_a_ceiling(void **state)
{
    (void)state;
    char *text = malloc(JSON_MAX + 2);
    struct buf out;

    memset(text, 'a', JSON_MAX + 1);
    text[JSON_MAX + 1] = '\0';
    make_file(second, text);
    assert_not_read(second, ERROR_LOCAL);
    buf_init(&out, 2 * JSON_MAX);
    assert_false(status_read(second, &out, NULL, &error)); /* whatever the buffer's own */
    buf_free(&out);
    assert_int_equal(truncate(second, (off_t)JSON_MAX), 0);
    text[JSON_MAX] = '\0';
    assert_read(second, text, second);
    free(text);
}

static void test_termination_log(void **state)
{
    (void)state;
    status_termination_log(second, "lost");
    assert_int_equal(access(second, F_OK), -1);
    make_file(second, "what was there before");
    status_termination_log(second, "synced");
    assert_read(second, "synced", second);
    assert_int_equal(symlink(second, aside), 0);
    status_termination_log(aside, "elsewhere");
    assert_read(second, "synced", second);
}

/* ---- health ---- */

static void assert_health(const char *json, int expected, const char *expected_why)
{
    struct buf document = text_buf(json);
    struct buf why;

    buf_init(&why, 4096);
    assert_int_equal(status_health(&document, &why), expected);
    assert_string_equal(buf_str(&why), expected_why);
    buf_free(&document);
    buf_free(&why);
}

static void test_health_of_each_state(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int code;
    } states[] = {
        {"synced", 0},        {"already-synced", 0}, {"too-soon", 0},    {"inactive", 0},
        {"nothing-to-do", 0}, {"starting", 1},       {"running", 1},     {"waiting", 1},
        {"partial", 1},       {"failed", 1},         {"interrupted", 1},
    };
    char json[128];
    char why[128];

    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        snprintf(json, sizeof json, "{\"schema\":1,\"state\":\"%s\",\"message\":\"m\\n\"}", states[i].name);
        snprintf(why, sizeof why, "%s (%s): m\\x0a", states[i].code == 0 ? "healthy" : "unhealthy",
                 states[i].name);
        assert_health(json, states[i].code, why);
    }
}

static void test_health_says_whose_run_it_is(void **state)
{
    (void)state;
    assert_health("{\"schema\":1,\"state\":\"failed\",\"mode\":\"sync\",\"message\":\"m\"}", 1,
                  "unhealthy (failed, by hand): m");
    assert_health(
        "{\"schema\":1,\"state\":\"running\",\"message\":\"m\",\"updatedAt\":\"2025-11-24T16:00:00.000Z\"}",
        1, "unhealthy (running): not updated for over a minute: that run has died");
    /* Beside an application that runs: going on is well, to have failed is not. */
    assert_health(
        "{\"schema\":1,\"mode\":\"sync\",\"byHand\":false,\"asked\":true,\"state\":\"running\",\"message\":\"Syncing\"}",
        0, "healthy (running): Syncing");
    assert_health(
        "{\"schema\":1,\"mode\":\"sync\",\"byHand\":false,\"asked\":true,\"state\":\"failed\",\"message\":\"no\"}",
        1, "unhealthy (failed): no");
    assert_health(
        "{\"schema\":1,\"asked\":true,\"state\":\"running\",\"updatedAt\":\"2026-01-01T00:00:00.000Z\",\"message\":\"Syncing\"}",
        1, "unhealthy (running): not updated for over a minute: that run has died");
}

/* ---- runs by hand ---- */

#define DEPLOY(more) "{\"schema\":1,\"mode\":\"deploy\",\"byHand\":false," more "}"
#define BY_HAND(more) "{\"schema\":1,\"mode\":\"sync\",\"byHand\":true," more "}"

static void write_by_hand(const char *path, const char *text)
{
    struct buf json = text_buf(text);

    assert_true(status_write_by_hand(path, &json, &error));
    buf_free(&json);
}

static yyjson_doc *read_document(const char *path)
{
    struct buf json;
    yyjson_doc *doc;

    buf_init(&json, JSON_MAX);
    assert_true(status_read(path, &json, NULL, &error));
    doc = json_parse(buf_str(&json), json.len, &error);
    assert_non_null(doc);
    buf_free(&json);
    return doc;
}

static const char *state_of(yyjson_val *run)
{
    return json_text(run, "state", "none");
}

static void test_a_run_by_hand_stands_beside_a_deployment(void **state)
{
    struct buf json = text_buf(DEPLOY("\"state\":\"synced\",\"lastSync\":{\"finishedAt\":\"2026-01-01\"}"));
    char beside[sizeof second + sizeof STATUS_BY_HAND];
    yyjson_doc *doc;

    (void)state;
    assert_true(status_write(second, &json, &error));
    write_by_hand(second, BY_HAND("\"state\":\"running\",\"lastSync\":{\"finishedAt\":\"2026-01-02\"}"));
    doc = read_document(second);
    assert_string_equal(state_of(yyjson_doc_get_root(doc)), "synced");
    assert_string_equal(state_of(yyjson_obj_get(yyjson_doc_get_root(doc), "manual")), "running");
    assert_string_equal(json_text(yyjson_obj_get(yyjson_doc_get_root(doc), "lastSync"), "finishedAt", ""),
                        "2026-01-02");
    yyjson_doc_free(doc);
    /* what is no document beside it changes nothing */
    snprintf(beside, sizeof beside, "%s" STATUS_BY_HAND, second);
    make_file(beside, "[1]");
    doc = read_document(second);
    assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), "manual"));
    yyjson_doc_free(doc);
    buf_free(&json);
}

/* With no deployment there, a run by hand is all there is; the next deployment takes its place. */
static void test_runs_by_hand_alone(void **state)
{
    struct buf json = text_buf(DEPLOY("\"state\":\"inactive\""));
    yyjson_doc *doc;

    (void)state;
    for (int i = 0; i < 2; i++)
        write_by_hand(second, BY_HAND("\"state\":\"synced\""));
    doc = read_document(second);
    assert_string_equal(state_of(yyjson_doc_get_root(doc)), "synced");
    assert_null(yyjson_obj_get(yyjson_doc_get_root(doc), "manual"));
    yyjson_doc_free(doc);
    assert_true(status_write(second, &json, &error));
    doc = read_document(second);
    assert_string_equal(state_of(yyjson_doc_get_root(doc)), "inactive");
    yyjson_doc_free(doc);
    buf_free(&json);
}

static void test_a_run_by_hand_can_mend_and_not_break(void **state)
{
#define FAILED(state_, last)                                                                                 \
    DEPLOY("\"state\":\"" state_                                                                             \
           "\",\"message\":\"m\",\"job\":\"a\",\"finishedAt\":\"2026-01-02\",\"lastSync\":" last)
    (void)state;
    assert_health(FAILED("failed", "{\"job\":\"a\",\"finishedAt\":\"2026-01-03\"}"), 0,
                  "healthy (failed, then synced by hand at 2026-01-03)");
    assert_health(FAILED("partial", "{\"job\":\"a\",\"finishedAt\":\"2026-01-03\"}"), 0,
                  "healthy (partial, then synced by hand at 2026-01-03)");
    assert_health(FAILED("failed", "{\"job\":\"a\",\"finishedAt\":\"2026-01-01\"}"), 1,
                  "unhealthy (failed): m");
    assert_health(FAILED("failed", "{\"job\":\"b\",\"finishedAt\":\"2026-01-03\"}"), 1,
                  "unhealthy (failed): m");
    assert_health(FAILED("running", "{\"job\":\"a\",\"finishedAt\":\"2026-01-03\"}"), 1,
                  "unhealthy (running): m");
    assert_health(FAILED("failed", "null"), 1, "unhealthy (failed): m");
    assert_health(DEPLOY("\"state\":\"synced\",\"message\":\"m\",\"manual\":{\"state\":\"failed\"}"), 0,
                  "healthy (synced): m");
    assert_health(BY_HAND("\"state\":\"failed\",\"message\":\"m\""), 1, "unhealthy (failed, by hand): m");
}

static void test_health_as_json(void **state)
{
    static const char json[] = "{\"schema\":1,\"state\":\"synced\",\"mode\":\"deploy\",\"message\":\"m\"}";
    struct buf document, out;
    struct error ignored;

    (void)state;
    buf_init(&document, 1024);
    buf_init(&out, 4096);
    assert_true(buf_append(&document, json, sizeof json - 1));
    assert_true(status_health_json(&document, 0, "healthy (synced): m", &out));
    yyjson_doc *doc = json_parse(buf_str(&out), out.len, &ignored);
    assert_non_null(doc);
    assert_true(json_flag(yyjson_doc_get_root(doc), "healthy", false));
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "why", ""), "healthy (synced): m");
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "state", ""), "synced");
    yyjson_doc_free(doc);
    buf_clear(&document);
    buf_clear(&out);
    assert_true(status_health_json(&document, 1, "no status file", &out));
    assert_non_null(strstr(buf_str(&out), "\"healthy\": false"));
    buf_free(&document);
    buf_free(&out);
}

static void test_health_of_what_is_no_document(void **state)
{
    (void)state;
    assert_health("{\"schema\":1,\"state\":\"great\"}", 1, "unhealthy: unknown state \"great\"");
    assert_health("{\"schema\":1}", 1, "unhealthy: unknown state \"\"");
    assert_health("{\"schema\":2,\"state\":\"synced\"}", 1, "unhealthy: not a status document of schema 1");
    assert_health("{\"state\":\"synced\"}", 1, "unhealthy: not a status document of schema 1");
    assert_health("[]", 1, "unhealthy: not a status document of schema 1");

    struct buf document = text_buf("{\"schema\":1,\"state\":\"syn");
    struct buf why;
    buf_init(&why, 4096);
    assert_int_equal(status_health(&document, &why), 1);
    assert_non_null(strstr(buf_str(&why), "unhealthy: status file: not JSON"));
    buf_free(&document);
    buf_free(&why);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(written_and_read_back),
        TEST(an_open_reader_keeps_the_old_document),
        TEST(a_symbolic_link_is_replaced),
        TEST(a_link_to_what_is_no_file_is_left_alone),
        TEST(what_is_no_file_is_left_alone),
        TEST(a_missing_folder_is_an_error),
        TEST(a_path_that_is_too_long),
        TEST(the_first_place_is_created),
        TEST(the_second_place_is_the_fallback),
        TEST(no_place_names_both),
        TEST(the_newer_place_is_read),
        TEST(a_strangers_file_is_not_believed),
        TEST(a_link_in_the_shared_place_is_not_followed),
        TEST(nothing_there),
        TEST(only_regular_files_are_read),
        TEST(reading_has_a_ceiling),
        TEST(termination_log),
        TEST(health_of_each_state),
        TEST(health_says_whose_run_it_is),
        TEST(a_run_by_hand_stands_beside_a_deployment),
        TEST(runs_by_hand_alone),
        TEST(a_run_by_hand_can_mend_and_not_break),
        TEST(health_as_json),
        TEST(health_of_what_is_no_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* log: what reaches the descriptor, byte for byte. */
#include "log.h"

#include "clock.h"
#include "json.h"
#include "sandbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int log_pipe[2];
static char seen[65536];

static int set_up(void **state)
{
    (void)state;
    if (pipe2(log_pipe, O_NONBLOCK) != 0)
        return -1;
    log_to(log_pipe[1]);
    log_setup(LOG_TEXT, LOG_INFO, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(log_pipe[0]);
    close(log_pipe[1]);
    return 0;
}

/* What was written since the last time. */
static const char *output(void)
{
    ssize_t n = read(log_pipe[0], seen, sizeof seen - 1);

    seen[n > 0 ? n : 0] = '\0';
    return seen;
}

static void test_diagnostics_have_prefixes(void **state)
{
    (void)state;
    log_error("no %s", "bucket");
    assert_string_equal(output(), "storsync-init: error: no bucket\n");
    log_warn("w");
    assert_string_equal(output(), "storsync-init: warning: w\n");
    log_info("i");
    assert_string_equal(output(), "storsync-init: i\n");
    log_debug("d");
    assert_string_equal(output(), "");
    log_setup(LOG_TEXT, LOG_DEBUG, true);
    log_debug("d");
    assert_string_equal(output(), "storsync-init: debug: d\n");
}

static void test_levels_filter(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_ERROR, true);
    log_warn("w");
    log_event(LOG_INFO, LOG_PLAIN, "e", NULL, "line");
    assert_string_equal(output(), "");
    assert_true(log_enabled(LOG_ERROR));
    assert_false(log_enabled(LOG_WARN));
    log_error("e");
    assert_string_equal(output(), "storsync-init: error: e\n");
}

static void test_a_text_line_is_a_decorated_sentence(void **state)
{
    (void)state;
    log_event(LOG_INFO, LOG_OK, "synced", LOG_FIELDS(LOG_STR("key", "a")), "Synced: %s", "caf\xC3\xA9");
    assert_string_equal(output(), "  \xE2\x9C\x93 Synced: caf\xC3\xA9\n");
    log_event(LOG_INFO, LOG_PLAIN, "path", NULL, "Path: %s", "a");
    assert_string_equal(output(), "Path: a\n");
    log_event(LOG_WARN, LOG_DIAGNOSTIC, "x", NULL, "w");
    assert_string_equal(output(), "storsync-init: warning: w\n");
    log_layout(LOG_FAIL, "Failed: %d", 3);
    assert_string_equal(output(), "\xE2\x9C\x97 Failed: 3\n");
    log_layout(LOG_PLAIN, "%s", "");
    assert_string_equal(output(), "\n");
}

static void test_a_key_cannot_forge_lines(void **state)
{
    (void)state;
    log_event(LOG_INFO, LOG_OK, "synced", NULL, "Synced: %s", "a\n=== Sync Complete ===\r\x1b[2J\x7f\tb");
    assert_string_equal(output(),
                        "  \xE2\x9C\x93 Synced: a\\x0a=== Sync Complete ===\\x0d\\x1b[2J\\x7f\\x09b\n");
}

static void test_treacherous_characters_are_escaped(void **state)
{
    (void)state;
    /* C1 control, line separator, override and isolate with their ends; then harmless neighbours. */
    log_info("%s",
             "\xC2\x9B|\xE2\x80\xA8|\xE2\x80\xAE\xE2\x80\xAC|\xE2\x81\xA6\xE2\x81\xA9|\xC2\xA0|\xE2\x80\xAF");
    assert_string_equal(
        output(),
        "storsync-init: \\xc2\\x9b|\\xe2\\x80\\xa8|\\xe2\\x80\\xae\\xe2\\x80\\xac|\\xe2\\x81\\xa6\\xe2\\x81\\xa9|\xC2\xA0|\xE2\x80\xAF\n");
}

static void test_bytes_that_are_not_utf8_are_escaped(void **state)
{
    (void)state;
    /* A stray byte, an overlong slash, a surrogate, beyond U+10FFFF, a sequence cut off. */
    log_info("%s", "\xFF \xC0\xAF \xED\xA0\x80 \xF4\x90\x80\x80 \xE2\x9C");
    assert_string_equal(output(),
                        "storsync-init: \\xff \\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xe2\\x9c\n");
}

static void test_outside_utf8_everything_is_ascii(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_INFO, false);
    log_event(LOG_INFO, LOG_OK, "x", NULL, "caf\xC3\xA9");
    log_event(LOG_INFO, LOG_SKIP, "x", NULL, "y");
    log_event(LOG_INFO, LOG_FAIL, "x", NULL, "y");
    assert_string_equal(output(), "  + caf\\xc3\\xa9\n  - y\n  x y\n");
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    char *text = malloc(2 * LOG_LINE_MAX);

    memset(text, 'a', 2 * LOG_LINE_MAX - 1);
    text[2 * LOG_LINE_MAX - 1] = '\0';
    log_event(LOG_INFO, LOG_PLAIN, "x", NULL, "%s", text);
    const char *line = output();
    assert_int_equal(strlen(line), LOG_LINE_MAX + 1);
    assert_string_equal(line + LOG_LINE_MAX - 4, "a...\n");

    /* The longest line when every byte needs four. */
    memset(text, '\n', LOG_LINE_MAX);
    text[LOG_LINE_MAX] = '\0';
    log_event(LOG_INFO, LOG_PLAIN, "x", NULL, "%s", text);
    line = output();
    assert_int_equal(strlen(line), 4 * LOG_LINE_MAX + 1);
    assert_string_equal(line + 4 * LOG_LINE_MAX - 4, "\\x0a\n");

    /* With its decoration: one that fits to the byte, and one that does not. */
    memset(text, 'a', LOG_LINE_MAX - 8);
    text[LOG_LINE_MAX - 8] = '\0';
    log_event(LOG_INFO, LOG_HEADING, "x", NULL, "%s", text);
    line = output();
    assert_int_equal(strlen(line), LOG_LINE_MAX + 1);
    assert_string_equal(line + LOG_LINE_MAX - 5, "a ===\n");
    log_event(LOG_INFO, LOG_HEADING, "x", NULL, "%sb", text);
    line = output();
    assert_int_equal(strlen(line), LOG_LINE_MAX + 1);
    assert_string_equal(line + LOG_LINE_MAX - 4, "b...\n");
    free(text);
}

static void test_log_safe_cuts_between_characters(void **state)
{
    (void)state;
    char text[LOG_SAFE_SIZE + 1];
    char out[LOG_SAFE_SIZE];

    memset(text, '\x01', LOG_SAFE_SIZE);
    text[LOG_SAFE_SIZE] = '\0';
    assert_ptr_equal(log_safe(text, out), out);
    size_t len = strlen(out);
    assert_true(len < LOG_SAFE_SIZE && len > LOG_SAFE_SIZE - 9);
    assert_string_equal(out + len - 7, "\\x01...");

    /* A key of the greatest length fits whatever its bytes. */
    memset(text, '\xFF', 1024);
    text[1024] = '\0';
    assert_int_equal(strlen(log_safe(text, out)), 4096);
    assert_string_equal(log_safe("", out), "");
}

/* Parses the one line of JSON that was written. */
static yyjson_doc *json_line(void)
{
    const char *line = output();
    size_t len = strlen(line);
    struct error error;

    assert_true(len > 1 && line[len - 1] == '\n');
    assert_null(memchr(line, '\n', len - 1));
    yyjson_doc *doc = json_parse(line, len, &error);
    assert_non_null(doc);
    return doc;
}

static void test_json_event(void **state)
{
    (void)state;
    log_setup(LOG_JSON, LOG_INFO, true);
    log_event(LOG_INFO, LOG_OK, "synced",
              LOG_FIELDS(LOG_STR("key", "a\n\xFF\"b"), LOG_NUM("size", INT64_MAX), LOG_NUM("less", -1),
                         LOG_FLAG("yes", true), LOG_FLAG("no", false)),
              "Synced: a (1 B)");
    yyjson_doc *doc = json_line();
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_text(root, "level", ""), "info");
    assert_string_equal(json_text(root, "event", ""), "synced");
    assert_string_equal(json_text(root, "message", ""), "Synced: a (1 B)");
    assert_string_equal(json_text(root, "key", ""), "a\n\xEF\xBF\xBD\"b");
    assert_true(json_number(root, "size", 0) == INT64_MAX);
    assert_true(json_number(root, "less", 0) == -1);
    assert_true(json_flag(root, "yes", false));
    assert_false(json_flag(root, "no", true));
    const char *time = json_text(root, "time", "");
    assert_int_equal(strlen(time), 24);
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[23], 'Z');
    yyjson_doc_free(doc);
}

static void assert_message(enum log_level level, enum log_style style, const char *sentence)
{
    log_event(level, style, "x", NULL, "%s", sentence);
    yyjson_doc *doc = json_line();
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "message", ""), sentence);
    yyjson_doc_free(doc);
}

/* A sentence without its decoration, and with whatever looks like one in it. */
static void test_json_messages_are_bare(void **state)
{
    static const enum log_style styles[] = {LOG_PLAIN, LOG_DIAGNOSTIC, LOG_HEADING,
                                            LOG_OK,    LOG_SKIP,       LOG_FAIL};

    (void)state;
    for (int utf8 = 0; utf8 < 2; utf8++) {
        log_setup(LOG_JSON, LOG_INFO, utf8 != 0);
        for (size_t i = 0; i < sizeof styles / sizeof *styles; i++) {
            assert_message(LOG_INFO, styles[i], "Sync Complete");
            assert_message(LOG_ERROR, styles[i], "Sync Complete");
            assert_message(LOG_INFO, styles[i], "=== Sync Complete ===");
            assert_message(LOG_INFO, styles[i], "  - x Skipped: y ===");
            assert_message(LOG_INFO, styles[i], "storsync-init: \xE2\x9C\x97 Failed: x");
            assert_message(LOG_INFO, styles[i], "");
        }
    }
}

static void test_json_has_no_layout_lines(void **state)
{
    (void)state;
    log_setup(LOG_JSON, LOG_INFO, true);
    log_layout(LOG_PLAIN, "%s", "");
    log_layout(LOG_HEADING, "x");
    assert_string_equal(output(), "");
    log_warn("strange");
    yyjson_doc *doc = json_line();
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "event", ""), "warning");
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "level", ""), "warning");
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "message", ""), "strange");
    yyjson_doc_free(doc);
}

static void test_a_broken_descriptor_changes_nothing(void **state)
{
    (void)state;
    log_to(-1);
    errno = ENOENT;
    log_error("lost");
    assert_int_equal(errno, ENOENT);
    log_setup(LOG_JSON, LOG_INFO, true);
    log_error("lost");
    log_transient("lost");
    assert_int_equal(errno, ENOENT);
}

static void test_transient_line_only_on_a_terminal(void **state)
{
    (void)state;
    log_transient("working");
    log_transient(NULL);
    assert_string_equal(output(), "");
}

static void test_transient_line_gives_way(void **state)
{
    (void)state;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);

    if (terminal < 0)
        skip();
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    int fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    log_to(fd);
    log_transient("abc");
    log_transient("de");
    log_info("line"); /* below which it stays */
    assert_int_equal(ioctl(fd, TIOCSWINSZ, &(struct winsize){.ws_row = 9, .ws_col = 8}), 0);
    log_transient("long line");
    log_transient(NULL);
    log_layout(LOG_PLAIN, "last");
    ssize_t n = 0;
    while (n < 2 || seen[n - 1] != '\n' || seen[n - 3] != 't') {
        ssize_t more = read(terminal, seen + n, sizeof seen - 1 - (size_t)n);
        assert_true(more > 0);
        n += more;
    }
    seen[n] = '\0';
    assert_string_equal(seen, "abc\r   \rde\r  \rstorsync-init: line\r\nde\r  \rlong li\r       \rlast\r\n");
    close(fd);
    close(terminal);
}

/* ---- a log that nobody reads ---- */

/* The log is a pipe like a container runtime's, with room for two pages, which are full. */
#define PIPE_SIZE 8192

static void fill_pipe(int ends[2])
{
    char page[PIPE_SIZE];

    memset(page, '.', sizeof page);
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, (int)sizeof page) >= 0);
    assert_int_equal(write(ends[1], page, sizeof page), sizeof page);
    log_to(ends[1]);
}

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
    log_patience(LOG_PATIENCE);
}

/* Everything that is in the pipe. */
static const char *read_pipe(int fd)
{
    ssize_t n = read(fd, seen, sizeof seen - 1);

    assert_true(n >= 0);
    seen[n] = '\0';
    return seen;
}

/* What comes of a line in a process where the system call of that number is refused; `full`: of 100 lines, and there is no room. */
static const char *logged_without(uint32_t number, bool full)
{
    int ends[2];
    int status;
    pid_t pid;

    fill_pipe(ends);
    if (!full)
        read_pipe(ends[0]);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        log_patience(50);
        if (!sandbox_refuse(number, ENOSYS))
            _exit(77);
        for (int i = 0; i < (full ? 100 : 1); i++)
            log_info("a line");
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[1]);
    read_pipe(ends[0]);
    close(ends[0]);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
    return seen;
}

/* One system call, which is not that. Kernels before 6.5 have no such thing for pipes. */
static void test_a_line_is_written_without_a_timer(void **state)
{
    struct iovec something = {.iov_base = seen, .iov_len = 1};
    int ends[2];
    ssize_t n;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    n = pwritev2(ends[1], &something, 1, -1, RWF_NOWAIT);
    close(ends[0]);
    close(ends[1]);
    if (n != 1)
        skip();
    assert_string_equal(logged_without(SYS_write, false), "storsync-init: a line\n");
}

static void test_a_kernel_that_always_waits(void **state)
{
    (void)state;
    assert_string_equal(logged_without(SYS_pwritev2, false), "storsync-init: a line\n");
    assert_int_equal(strspn(logged_without(SYS_pwritev2, true), "."), PIPE_SIZE);
}

static void test_nobody_waits_long_for_a_reader(void **state)
{
    int ends[2];
    int64_t began;

    (void)state;
    fill_pipe(ends);
    log_patience(50);
    began = clock_mono();
    for (int i = 0; i < 1000; i++)
        log_info("line %d", i);
    assert_true(clock_mono() - began >= 50);
    assert_true(clock_mono() - began < 5000); /* 50 s if each of them waited */
    read_pipe(ends[0]);
    log_info("again");
    assert_string_equal(read_pipe(ends[0]),
                        "storsync-init: warning: 1000 lines of the log could not be written, and are lost\n"
                        "storsync-init: again\n");
    close_pipe(ends);
}

static void test_the_end_tells_what_was_lost(void **state)
{
    int ends[2];

    (void)state;
    fill_pipe(ends);
    log_patience(0);
    log_info("lost");
    log_end(); /* there is no room for it either */
    read_pipe(ends[0]);
    log_end();
    assert_string_equal(read_pipe(ends[0]),
                        "storsync-init: warning: 1 line of the log could not be written, and is lost\n");
    log_info("all is told");
    assert_string_equal(read_pipe(ends[0]), "storsync-init: all is told\n");
    close_pipe(ends);
}

/* A long line of which the beginning got out: the next one begins a line of its own. */
static void test_a_line_that_was_cut_ends(void **state)
{
    char text[2501];
    int ends[2];

    (void)state;
    memset(text, '\x01', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    fill_pipe(ends);
    read_pipe(ends[0]);
    log_patience(20);
    log_info("%s", text); /* 10,000 bytes: three pages */
    assert_int_equal(strlen(read_pipe(ends[0])), PIPE_SIZE);
    log_info("next");
    read_pipe(ends[0]);
    assert_string_equal(seen,
                        "\nstorsync-init: warning: 1 line of the log could not be written, and is lost\n"
                        "storsync-init: next\n");
    close_pipe(ends);
}

static void test_locale_follows_posix_order(void **state)
{
#define IS_UTF8(...) log_locale_is_utf8((const char *const[]){__VA_ARGS__, NULL})
    (void)state;
    assert_true(IS_UTF8("LC_ALL=C.UTF-8"));
    assert_true(IS_UTF8("LC_CTYPE=en_US.utf8", "LANG=C"));
    assert_true(IS_UTF8("LC_ALL=", "LC_CTYPE=", "LANG=de_DE.UTF-8@euro"));
    assert_true(IS_UTF8("LANG=c.uTf-8"));
    assert_false(IS_UTF8("LC_ALL=C", "LC_CTYPE=C.UTF-8", "LANG=C.UTF-8"));
    assert_false(IS_UTF8("LC_ALL=", "LC_CTYPE=POSIX", "LANG=C.UTF-8"));
    assert_false(IS_UTF8("LANGUAGE=C.UTF-8"));
    assert_false(IS_UTF8("LC_ALL=", "LC_CTYPE=", "LANG="));
#undef IS_UTF8
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_written_without_a_timer),
        TEST(a_kernel_that_always_waits),
        TEST(nobody_waits_long_for_a_reader),
        TEST(the_end_tells_what_was_lost),
        TEST(a_line_that_was_cut_ends),
        TEST(diagnostics_have_prefixes),
        TEST(levels_filter),
        TEST(a_text_line_is_a_decorated_sentence),
        TEST(a_key_cannot_forge_lines),
        TEST(treacherous_characters_are_escaped),
        TEST(bytes_that_are_not_utf8_are_escaped),
        TEST(outside_utf8_everything_is_ascii),
        TEST(long_lines_are_cut),
        TEST(log_safe_cuts_between_characters),
        TEST(json_event),
        TEST(json_messages_are_bare),
        TEST(json_has_no_layout_lines),
        TEST(a_broken_descriptor_changes_nothing),
        TEST(transient_line_only_on_a_terminal),
        TEST(transient_line_gives_way),
        TEST(locale_follows_posix_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

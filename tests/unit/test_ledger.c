/* ledger and board: what is known of a run that is over, whatever its worker has left behind. */
#include "ledger.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static struct ledger ledger;
static struct board *board;

static int set_up(void **state)
{
    (void)state;
    board = board_make();
    assert_non_null(board);
    memset(&ledger, 0, sizeof ledger);
    ledger_open(&ledger, board, 1);
    return 0;
}

/* What a worker writes when it ends. */
static void write_end(const char *text, size_t len)
{
    board->figures = (struct board_figures){
        .run = {.mode = REPORT_SYNC, .state = REPORT_SYNCED, .started = 1, .finished = 2, .copied = 7}};
    memcpy(board->text, text, len < BOARD_TEXT_MAX ? len : BOARD_TEXT_MAX);
    board->status.len = (uint32_t)len;
    atomic_store(&board->status.sequence, 2);
}

static void end_with(enum error_kind kind, const char *text, int code)
{
    struct supervisor_result result = {.code = code};

    if (kind != ERROR_NONE)
        error_set(&result.error, kind, "%s", text);
    ledger_end(&ledger, &result);
}

static void a_run_that_has_told_its_end(void **state)
{
    (void)state;
    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_HTTP);
    write_end("{}", 2);
    end_with(ERROR_NONE, "", 0);
    assert_string_equal(ledger.text, "{}");
    assert_int_equal(ledger.current.figures.run.state, REPORT_SYNCED);
    assert_int_equal(ledger.current.figures.run.copied, 7);
    assert_true(ledger.last_success != CLOCK_UNKNOWN);
}

/* The longest error there is is told wholly. */
static void a_run_that_has_died(void **state)
{
    char text[ERROR_TEXT_SIZE];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_SCHEDULE);
    end_with(ERROR_LOCAL, text, 69);
    assert_string_equal(ledger.text, "");
    assert_string_equal(ledger.message, text);
    assert_int_equal(ledger.current.figures.run.state, REPORT_FAILED);
    assert_int_equal(ledger.current.figures.run.exit_code, 69);
    assert_true(ledger.last_success == CLOCK_UNKNOWN);
}

/* A document that fills the board is there, one that did not fit is told to be too long, and one that says that it is longer than
 * the board is not read. */
static void documents_of_any_size(void **state)
{
    static char text[BOARD_TEXT_MAX];

    (void)state;
    memset(text, ' ', sizeof text);
    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_HTTP);
    write_end(text, sizeof text);
    end_with(ERROR_NONE, "", 0);
    assert_int_equal(strlen(ledger.text), BOARD_TEXT_MAX);

    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_HTTP);
    write_end("", 0);
    end_with(ERROR_NONE, "", 0);
    assert_string_equal(ledger.text, "");
    assert_string_equal(ledger.message, "too much to be shown here: see the log");
    assert_int_equal(ledger.current.figures.run.state, REPORT_SYNCED);

    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_HTTP);
    write_end(text, BOARD_TEXT_MAX + 1);
    end_with(ERROR_LOCAL, "it crashed", 69);
    assert_string_equal(ledger.text, "");
    assert_string_equal(ledger.message, "it crashed");
    assert_int_equal(ledger.current.figures.run.state, REPORT_FAILED);
}

/* It died while it wrote. */
static void half_a_document(void **state)
{
    (void)state;
    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_HTTP);
    write_end("{}", 2);
    atomic_store(&board->status.sequence, 3);
    end_with(ERROR_LOCAL, "it crashed", 69);
    assert_string_equal(ledger.text, "");
    assert_string_equal(ledger.message, "it crashed");
}

/* What a broken worker has made of the figures is within bounds. */
static void figures_that_make_no_sense(void **state)
{
    (void)state;
    ledger_begin(&ledger, REPORT_VALIDATE, false, LEDGER_HTTP);
    write_end("{}", 2);
    memset(&board->figures, 0x7f, sizeof board->figures);
    end_with(ERROR_NONE, "", 0);
    assert_int_equal(ledger.current.figures.run.state, REPORT_FAILED);
    assert_int_equal(ledger.current.figures.run.mode, REPORT_VALIDATE);
    assert_in_range(ledger.current.figures.run.exit_code, 0, 255);
}

/* As many as are kept, the newest first. */
static void the_last_runs(void **state)
{
    const struct ledger_run *run = NULL;
    int count = 0;

    (void)state;
    for (int i = 0; i < LEDGER_RUNS + 5; i++) {
        ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_SIGNAL);
        end_with(ERROR_NONE, "", 0);
    }
    while ((run = ledger_before(&ledger, run)) != NULL)
        assert_int_equal(run->id, LEDGER_RUNS + 5 - count++);
    assert_int_equal(count, LEDGER_RUNS);
    ledger_begin(&ledger, REPORT_SYNC, false, LEDGER_SIGNAL);
    assert_int_equal(ledger_before(&ledger, NULL)->id, LEDGER_RUNS + 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_run_that_has_told_its_end, set_up),
        cmocka_unit_test_setup(a_run_that_has_died, set_up),
        cmocka_unit_test_setup(documents_of_any_size, set_up),
        cmocka_unit_test_setup(half_a_document, set_up),
        cmocka_unit_test_setup(figures_that_make_no_sense, set_up),
        cmocka_unit_test_setup(the_last_runs, set_up),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

#include "ledger.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

void ledger_open(struct ledger *ledger, struct board *board, int64_t started)
{
    ledger->board = board;
    ledger->last_sync.finished = ledger->last_validation.finished = ledger->last_success = CLOCK_UNKNOWN;
    ledger->counted.started = started;
}

/* What is in shared memory may be anything. */
static void bound(struct metrics_run *found, const struct metrics_run *own)
{
    unsigned char dry_run;

    memcpy(&dry_run, &found->dry_run, 1); /* which may be neither true nor false */
    found->dry_run = dry_run != 0;
    if ((unsigned)found->state > REPORT_INTERRUPTED)
        found->state = REPORT_FAILED;
    found->mode = own->mode;
    found->started = own->started;
    found->exit_code &= 0xFF;
}

void ledger_begin(struct ledger *ledger, enum report_mode mode, bool dry_run, enum ledger_by by)
{
    ledger->current = (struct ledger_run){
        .id = ++ledger->count,
        .by = by,
        .figures.run = {.mode = mode,
                        .state = REPORT_STARTING,
                        .dry_run = dry_run,
                        .started = clock_wall(),
                        .finished = CLOCK_UNKNOWN},
    };
    ledger->running = true;
    if (ledger->board != NULL)
        board_clear(ledger->board);
}

bool ledger_look(struct ledger *ledger, char text[BOARD_TEXT_MAX + 1])
{
    struct board_figures figures;

    if (ledger->board == NULL || !board_read(ledger->board, &figures, text))
        return false;
    bound(&figures.run, &ledger->current.figures.run);
    ledger->current.figures = figures;
    return true;
}

/* Of which the status file tells, and --health judges. */
static bool is_sync(const struct metrics_run *run)
{
    return run->mode != REPORT_VALIDATE && !run->dry_run;
}

static void keep(struct ledger *ledger, const struct metrics_run *run)
{
    metrics_count(&ledger->counted, run);
    if (is_sync(run))
        ledger->last_sync = *run;
    else if (run->mode == REPORT_VALIDATE)
        ledger->last_validation = *run;
    if (is_sync(run) && run->state == REPORT_SYNCED)
        ledger->last_success = run->finished;
}

void ledger_end(struct ledger *ledger, const struct supervisor_result *result)
{
    struct metrics_run *run = &ledger->current.figures.run;
    int64_t id = ledger->current.id;

    if (!ledger_look(ledger, ledger->text) || run->finished == CLOCK_UNKNOWN) {
        ledger->text[0] = '\0';
        run->state = result->error.kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED;
        run->exit_code = result->code;
        snprintf(ledger->message, sizeof ledger->message, "%s", result->error.text);
    } else if (ledger->text[0] == '\0') {
        snprintf(ledger->message, sizeof ledger->message, "too much to be shown here: see the log");
    }
    run->finished = clock_wall();
    ledger->current.figures.active = 0;
    if (ledger->current.figures.compared != 0)
        ledger->compared_by = id;
    keep(ledger, run);
    ledger->runs[id % LEDGER_RUNS] = ledger->current;
    ledger->running = false;
}

const struct ledger_run *ledger_before(const struct ledger *ledger, const struct ledger_run *run)
{
    int64_t last = ledger->count - ledger->running, id = run != NULL ? run->id - 1 : last;

    return id > 0 && id > last - LEDGER_RUNS ? &ledger->runs[id % LEDGER_RUNS] : NULL;
}

const char *ledger_mode_name(const struct ledger_run *run)
{
    const struct metrics_run *figures = &run->figures.run;

    return figures->dry_run && figures->mode != REPORT_VALIDATE ? "dry-run" : report_mode_name(figures->mode);
}

const char *ledger_by_name(enum ledger_by by)
{
    static const char *const names[] = {"start", "signal", "schedule", "http"};

    return names[by];
}

bool ledger_healthy(const struct ledger *ledger, const char **state)
{
    const struct metrics_run *current = &ledger->current.figures.run, *last = &ledger->last_sync;
    bool beside = ledger->running && ledger->current.by != LEDGER_START && is_sync(current);

    *state = report_state_name(beside || last->finished == CLOCK_UNKNOWN ? current->state : last->state);
    return beside || (last->finished != CLOCK_UNKNOWN && report_state_healthy(last->state));
}

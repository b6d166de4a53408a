/*
 * ledger - the runs that a supervisor that stays has had done: the one under way, and the last ones.
 *
 * Fixed memory. What is known of a run comes from the board (board.h), and at its end from the supervisor too: a worker that was
 * killed has not told how it ended.
 */
#ifndef STORSYNC_LEDGER_H
#define STORSYNC_LEDGER_H

#include "board.h"
#include "supervisor.h"

#include <stdbool.h>
#include <stdint.h>

#define LEDGER_RUNS 20
#define LEDGER_MESSAGE_SIZE 640

enum ledger_by { LEDGER_START, LEDGER_SIGNAL, LEDGER_SCHEDULE, LEDGER_HTTP };

struct ledger_run {
    int64_t id; /* from 1 on */
    enum ledger_by by;
    struct board_figures figures;
};

struct ledger {
    struct board *board;
    int64_t count; /* of runs, the one under way among them */
    bool running;
    struct ledger_run current;           /* the one under way; else the last one */
    struct ledger_run runs[LEDGER_RUNS]; /* those that are over: run N is at N % LEDGER_RUNS */
    char text[BOARD_TEXT_MAX +
              1]; /* of the last one that is over: its members of the status document, or "" */
    char message[LEDGER_MESSAGE_SIZE];             /* ... or how it ended, where that is not known */
    int64_t compared_by;                           /* the run whose differences the board has; 0: none */
    struct metrics_run last_sync, last_validation; /* by their times: CLOCK_UNKNOWN, there was none */
    int64_t last_success;                          /* wall; CLOCK_UNKNOWN: none */
    struct metrics_resident counted;
};

/* `started` (wall) is the process's. `board` NULL: there is none. */
void ledger_open(struct ledger *ledger, struct board *board, int64_t started);

void ledger_begin(struct ledger *ledger, enum report_mode mode, bool dry_run, enum ledger_by by);
void ledger_end(struct ledger *ledger, const struct supervisor_result *result);

/* The run under way as the board has it now; false: nothing is told of it yet. */
bool ledger_look(struct ledger *ledger, char text[BOARD_TEXT_MAX + 1]);

/* The one before `run`, which is over; NULL: there is none, or it is too long ago. With NULL the last one. */
const struct ledger_run *ledger_before(const struct ledger *ledger, const struct ledger_run *run);

const char *ledger_mode_name(const struct ledger_run *run); /* "dry-run", or as a report calls it */
const char *ledger_by_name(enum ledger_by by);

/* As --health decides it (status.h): the last sync is over and went well, or the first one since then goes on beside an
 * application. *state names it. */
bool ledger_healthy(const struct ledger *ledger, const char **state);

#endif

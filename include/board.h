/*
 * board - where a worker writes down how far it is, for a supervisor that stays and answers questions about it.
 *
 * Memory that both share, made before the worker is forked: nobody is woken by what is written there. It holds figures, the
 * members of the status document (report_json_members), and the differences that the last validation has found. The worker writes when
 * it begins, waits and ends, and once a second in between. A reader gets all of one moment, or nothing: a sequence number is odd
 * while something is being written, also if the writer died of it.
 *
 * Whatever has read it knows no more than that it is within bounds: the worker may be broken.
 */
#ifndef STORSYNC_BOARD_H
#define STORSYNC_BOARD_H

#include "metrics.h"
#include "report.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BOARD_TEXT_MAX ((size_t)24 * 1024)
#define BOARD_KEYS_MAX 100
#define BOARD_KEYS_SIZE ((size_t)32 * 1024)

struct board_figures {
    struct metrics_run run;
    uint64_t listed;   /* objects of the source that were looked at */
    uint64_t moved;    /* bytes, of transfers under way too */
    uint64_t active;   /* transfers under way */
    uint64_t compared; /* not 0: a validation that went through */
};

struct board_part {
    _Atomic uint32_t sequence; /* 0: nothing was ever written */
    uint32_t len;
};

struct board {
    struct board_part status;
    struct board_figures figures;
    char text[BOARD_TEXT_MAX]; /* a JSON object, `status.len` bytes; none if it did not fit */
    struct board_part differences;
    struct board_figures validation;
    char keys[BOARD_KEYS_SIZE]; /* a JSON array of {"key", "kind"} */
};

/* NULL: there is no memory. It is never given back. */
struct board *board_make(void);

/* A new run begins: what was there of the last one is gone, but for the differences. No worker may be at work. */
void board_clear(struct board *board);

/* Both copy one moment, the text with a NUL behind it; "" if there is none. False: none is to be had. */
bool board_read(const struct board *board, struct board_figures *figures, char text[BOARD_TEXT_MAX + 1]);
bool board_read_differences(const struct board *board, struct board_figures *validation,
                            char keys[BOARD_KEYS_SIZE + 1]);

/* The worker's side. Has to live as long as the report. */
struct board_writer {
    struct report_listener listener;
    struct board *board;
    int64_t due;     /* mono */
    struct buf keys; /* of a validation: the differences so far, without the brackets */
    int key_count;
};
void board_listen(struct board_writer *writer, struct board *board, struct report *report);
void board_end(struct board_writer *writer);

#endif

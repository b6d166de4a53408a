/*
 * admin_document - the JSON of the admin endpoint: docs/openapi.json describes it.
 */
#ifndef STORSYNC_ADMIN_DOCUMENT_H
#define STORSYNC_ADMIN_DOCUMENT_H

#include "buf.h"
#include "ledger.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* More than all its parts at their longest. */
#define ADMIN_DOCUMENT_MAX (3 * BOARD_TEXT_MAX + BOARD_KEYS_SIZE + (size_t)16 * 1024)

/* What is to be told. */
struct admin_view {
    struct ledger *ledger;
    bool read_only;
    bool has_application;     /* ... to be, at least */
    bool ready;               /* the first run is over, and the application was started if there is one */
    pid_t application;        /* 0: it does not run */
    int64_t next[WIRE_TASKS]; /* wall; CLOCK_UNKNOWN: no schedule */
};

/* Appends the document of /status on one line. The time of now is CLOCK_RFC3339_SIZE - 1 bytes at *now_at: all else is the same
 * as long as nothing happens. */
void admin_put_status(const struct admin_view *view, struct buf *out, size_t *now_at);

/* The other answers. `healthy`, and for /readyz `ready`, is their result. */
bool admin_put_health(const struct admin_view *view, struct buf *out);
bool admin_put_ready(const struct admin_view *view, struct buf *out);
void admin_put_metrics(const struct admin_view *view, struct buf *out); /* METRICS_MAX bytes at most */
void admin_put_run(const struct ledger_run *run, struct buf *out);      /* of 202 */
/* `run_id` 0: none is concerned. */
void admin_put_error(const char *code, const char *message, int64_t run_id, struct buf *out);

#endif

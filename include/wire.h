/*
 * wire - the messages from the worker to its supervisor.
 *
 * Both are the same program, and one has forked the other; still nothing that arrives is trusted beyond its bounds: the
 * worker may be broken. A message is six bytes of head ('S', version, type, 0, and the length of what follows in two
 * bytes) and at most WIRE_BODY_MAX bytes. That is below PIPE_BUF (512 at least, POSIX), so a message gets into a pipe
 * whole or not at all. Numbers are little-endian. The first byte that does not fit breaks the reader: nothing after it
 * counts, and what was told before it stands.
 */
#ifndef STORSYNC_WIRE_H
#define STORSYNC_WIRE_H

#include "address.h"
#include "cron.h"
#include "hash.h"
#include "zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_VERSION 1
#define WIRE_HEAD 6
#define WIRE_BODY_MAX 480
#define WIRE_MAX (WIRE_HEAD + WIRE_BODY_MAX)
#define WIRE_NOTIFY_MAX 600000                         /* ms; likewise */
#define WIRE_LIMIT_MAX (INT64_C(7) * 24 * 3600 * 1000) /* ms; more than any setting allows */

enum wire_type { WIRE_POLICY = 1, WIRE_NAMES, WIRE_PROGRESS, WIRE_SCHEDULE, WIRE_END, WIRE_ADMIN };

/* What the settings say, as soon as they are known. */
struct wire_policy {
    bool start;    /* on_failure=start */
    bool forgive;  /* it was asked for, so that without an application a failure ends with 0 */
    int64_t limit; /* ms from the start of the process; 0: none */
    uint8_t log_format, log_level; /* of log.h */
    bool log_utf8;
    uint32_t notify; /* ms; at most so long it may take to tell others how the run ended; 0: nobody is told */
};

/* How far the work is. */
struct wire_progress {
    uint64_t synced, skipped, failed, extra, deleted, total_size;
};

/* When something comes by itself, for a supervisor that stays. */
enum wire_task { WIRE_SYNC, WIRE_VALIDATE };
#define WIRE_TASKS 2
struct wire_schedule {
    uint8_t task;                 /* enum wire_task */
    int64_t delay;                /* ms; 0 to WIRE_LIMIT_MAX: how much later than the schedule says */
    char cron[CRON_TEXT_MAX + 1]; /* "": it does not */
    char zone[ZONE_TEXT_MAX + 1];
};

/* The admin endpoint of a supervisor that stays. The token stays with the worker: its hash is enough to know it by. */
#define WIRE_HOSTS_MAX 256
struct wire_admin {
    char listen[ADDRESS_TEXT_MAX + 1]; /* address.h */
    char hosts[WIRE_HOSTS_MAX + 1];    /* names by which it may be called, comma-separated */
    char token[HASH_SIZE];             /* SHA-256; "": none, nothing may be changed */
};

/* The last one: everything is done and told. */
struct wire_end {
    uint8_t kind; /* enum error_kind */
    uint8_t code; /* the exit code where no application starts */
};

struct wire_message {
    enum wire_type type;
    union {
        struct wire_policy policy;
        struct {
            size_t len;
            char text[WIRE_BODY_MAX]; /* the next part of drop_env: no NUL in it, and none behind it */
        } names;
        struct wire_progress progress;
        struct wire_schedule schedule;
        struct wire_end end;
        struct wire_admin admin;
    };
};

struct board;

/* Where the worker's messages go: into a pipe, or straight to who waits for them. And where it writes what may be read at any
 * time (board.h; NULL: nowhere). */
struct wire {
    struct board *board;
    void (*take)(void *ctx, const struct wire_message *message);
    void *ctx;
};

/* Tells; nobody listens if `wire` or its `take` is NULL. */
void wire_tell(const struct wire *wire, const struct wire_message *message);
void wire_tell_names(const struct wire *wire, const char *names);

/* Returns the length. */
size_t wire_encode(const struct wire_message *message, unsigned char out[WIRE_MAX]);

/* Bytes that have arrived and are no whole message yet. Begins zeroed. */
struct wire_reader {
    unsigned char data[WIRE_MAX];
    size_t len;
    bool broken;
};

/* Where the next bytes may be read to, and how many; never 0 after wire_next was called until it said no. */
unsigned char *wire_room(struct wire_reader *reader, size_t *room);
void wire_filled(struct wire_reader *reader, size_t len);

/* Takes the next message. False: there is no whole one, or the reader is broken. */
bool wire_next(struct wire_reader *reader, struct wire_message *message);

#endif

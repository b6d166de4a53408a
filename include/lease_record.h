/*
 * lease_record - the object of an epoch: its key, and the JSON in it (docs/STATUS.md, "State in the bucket"). Pure.
 */
#ifndef STORSYNC_LEASE_RECORD_H
#define STORSYNC_LEASE_RECORD_H

#include "buf.h"
#include "detect.h"
#include "job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEASE_FOLDER "lease/"
#define LEASE_SHARDS "shards/" /* in that folder, and no epoch: parts.h */
#define LEASE_KEY_SIZE (JOB_PREFIX_SIZE + sizeof LEASE_FOLDER + 16)
#define LEASE_NONCE_SIZE 33
#define LEASE_TTL_MAX INT64_C(3600000) /* ms: the longest lease_ttl */
#define LEASE_OWNER_SIZE 128

/* Nobody gets that far: a number above it was not given by this program, and does not count. */
#define LEASE_EPOCH_MAX UINT64_C(1000000000000000)

/* A deployment whose sync failed or died this often waits before the next attempt: twice as long each time. */
#define LEASE_FREE_ATTEMPTS 3
#define LEASE_BACKOFF_BASE INT64_C(30000)
#define LEASE_BACKOFF_MAX INT64_C(900000)

/* So many spans of time are told apart. Of more, the two oldest become one, with what was between them. A pass that wrote
 * nothing has none: else those of a schedule would soon be all that is remembered. */
#define LEASE_SPANS_MAX 64
struct lease_span {
    int64_t from, to; /* wall ms, by the destination's clock */
};

enum lease_state { LEASE_HELD, LEASE_RELEASED, LEASE_FAILED };

/* What an epoch's object holds. */
struct lease_record {
    uint64_t epoch;
    enum lease_state state; /* FAILED: released by an owner whose pass was not clean */
    char nonce[LEASE_NONCE_SIZE];
    char owner[LEASE_OWNER_SIZE]; /* for people: the host name */
    char deployment[DETECT_ID_MAX + 1];
    uint64_t renewals;
    int64_t ttl;  /* ms, the owner's */
    bool idle;    /* RELEASED: its owner has written no object */
    bool unused;  /* its owner began no pass: it neither wrote nor looked at any object */
    int attempts; /* of this deployment in a row, without a clean pass */
    int64_t
        began; /* by the destination's clock, no later than the owner's first write; 0: that is not known */
    struct lease_span spans[LEASE_SPANS_MAX]; /* in which the owners before it may have written, in order */
    int span_count;
    bool strange; /* read: nobody knows what it says, or who wrote it; all else is zero, and the state HELD */
};

void lease_key(const struct job *job, uint64_t epoch, char out[LEASE_KEY_SIZE]);
bool lease_parse_key(const struct job *job, const char *key,
                     uint64_t *epoch); /* false: some other object under the prefix */
bool lease_write_record(const struct lease_record *record, struct buf *out);
bool lease_read_record(const char *json, size_t len, struct lease_record *out);

/* How long attempt number `attempts` + 1 has to wait after the last one ended, in ms. */
int64_t lease_backoff(int attempts);

#endif

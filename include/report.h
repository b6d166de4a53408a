/*
 * report - what happened: counters and the first failures, turned into log lines and the status document.
 *
 * The human log is the one of the system this replaces, line for line (docs/LOG.md); the status document's
 * fields are docs/STATUS.md's. Both show the same facts, so both are made here.
 *
 * A run: report_init, the caller fills in the members that say what is being done, report_header, for each
 * path report_path ... report_path_end, then report_finish and one of the two summaries. A run that ends
 * before its header (development, already synced) goes straight to the last two.
 */
#ifndef STORSYNC_REPORT_H
#define STORSYNC_REPORT_H

#include "buf.h"
#include "detect.h"
#include "error.h"
#include "object.h"
#include "settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPORT_SCHEMA 1
#define REPORT_ERRORS_MAX 10      /* in the document; the log has all */
#define REPORT_DIFFERENCES_MAX 10 /* of each kind; the document can have all */
#define REPORT_SKIPPED_LINES 100  /* "Skipped" lines a path at level info; all of them at debug */

/* Ceiling of each list of differences, as JSON. Three of them and all else are below JSON_MAX. */
#define REPORT_DETAILS_MAX ((size_t)256 * 1024)

enum report_state {
    REPORT_STARTING, /* nothing was tried yet */
    REPORT_RUNNING,
    REPORT_WAITING,
    REPORT_SYNCED,
    REPORT_ALREADY_SYNCED,
    REPORT_TOO_SOON,
    REPORT_INACTIVE,
    REPORT_NOTHING_TO_DO,
    REPORT_PARTIAL,
    REPORT_FAILED,
    REPORT_INTERRUPTED,
};
const char *report_state_name(enum report_state state);              /* "already-synced" */
bool report_state_parse(const char *name, enum report_state *state); /* false: not a state */
bool report_state_healthy(enum report_state state); /* over, and as it should be: nothing failed */

struct report_failure {
    char *file;      /* the whole key; owned */
    char error[512]; /* as long as the text of a struct error */
};

enum report_difference { REPORT_MISSING, REPORT_MISMATCHED, REPORT_EXTRA };
#define REPORT_DIFFERENCES 3

/* The differences of one kind. */
struct report_list {
    uint64_t count;
    uint64_t listed; /* so many of them, the first ones, are in `json` */
    struct buf json; /* a JSON array of the document's `details`, or empty */
};

struct report_validation {
    bool done;        /* both listings were compared to their ends */
    uint64_t checked; /* objects at the source */
    uint64_t
        unhashed; /* of these, so many are equal as far as size and time tell: there are not two content hashes */
    struct report_list lists[REPORT_DIFFERENCES];
};

struct report {
    /* The caller's. */
    enum report_state state;
    struct detection detection;
    char source[1100], destination[1100]; /* store names */
    bool configured;                      /* both buckets were set, not defaulted */
    bool hook_active;                     /* production: automatic syncing is on */
    bool dry_run;
    char mode[16];         /* "deploy", "sync", "validate" */
    char lease[16];        /* "exclusive", "advisory", or "" while there is none */
    char waiting_for[128]; /* with REPORT_WAITING: the replica that syncs */
    int64_t due_at;        /* wall; with REPORT_TOO_SOON when the interval is over, else CLOCK_UNKNOWN */

    int64_t started, finished;                           /* wall; finished CLOCK_UNKNOWN until then */
    uint64_t listed;                                     /* objects at the source that were compared */
    uint64_t synced, skipped, failed, extra, total_size; /* total_size: bytes of the synced objects */
    uint64_t gone;                                       /* from the source, before they could be copied */
    struct report_failure failures[REPORT_ERRORS_MAX];
    int failure_count;
    struct report_validation validation;
    struct error error; /* why the run ended early, or ERROR_NONE */
    char message[640];  /* one line: the result for a person; "" until the run is over */

    /* Private. */
    bool header_shown;
    bool environment_shown;
    uint64_t skipped_in_path;
    int64_t progress_shown; /* mono; 0: not yet */
};

void report_init(struct report *report, int64_t now);
void report_free(struct report *report);

/* Which variable decided the environment, the deployment id and the platform, and the detection's warning:
 * once, however often it is called. report_header begins with it. */
void report_environment(struct report *report);

/* Log lines, counting as they go. `path` is the prefix being synced; keys are whole and shown without it. */
void report_header(struct report *report);
/* Another replica, at its `epoch`, syncs; this one waits. Sets the state. */
void report_waiting(struct report *report, const char *owner, int64_t epoch);
/* This replica has the lease. An advisory one is warned about. */
void report_lease(struct report *report, bool advisory);

void report_path(struct report *report, const char *path);
void report_synced(struct report *report, const char *path, const struct object_entry *entry,
                   const char *reason);
void report_skipped(struct report *report, const char *path, const struct object_entry *entry,
                    const char *why);
/* It is no longer at the source: nothing is left to copy. */
void report_gone(struct report *report, const char *path, const struct object_entry *entry);
void report_failed(struct report *report, const char *path, const char *key, const struct error *error);
void report_path_end(struct report *report);

/* Warns that the source has no objects under any of the paths: one that is misspelt, or a volume that is not mounted yet,
 * must not look like a sync. */
void report_nothing(const struct report *report, const struct settings *settings);

/* After report_finish. Without a header before it, one line with the message. */
void report_summary(struct report *report);

/* With `all` every difference goes into the document, up to REPORT_DETAILS_MAX; else the first ten. */
void report_difference(struct report *report, enum report_difference kind, const char *key,
                       const char *reason, bool all);
void report_validation_summary(struct report *report); /* after report_finish */

/* The validation went through and found no difference of any kind. */
bool report_valid(const struct report *report);

/* On a terminal: one line that is rewritten at most five times a second. Elsewhere nothing. `bytes` is what
 * has moved so far. Whatever is logged next takes the line away; so does report_progress_clear. */
void report_progress(struct report *report, int active, uint64_t bytes);
void report_progress_clear(struct report *report);

/* Ends the run: state, time and message. `error` may be NULL. A message that is there already stays. */
void report_finish(struct report *report, enum report_state state, const struct error *error, int64_t now);

/* Appends the status document (docs/STATUS.md). False: no memory or no room. */
bool report_json(const struct report *report, bool pretty, struct buf *out);

/* The same for a person: what --status prints, from a document that report_json made. */
bool report_text(const char *json, size_t len, struct buf *out, struct error *error);

/* After report_finish: state and message, the figures of a run that did not get to its end, and the first
 * failures, a line each and the most useful first, as far as whole lines fit into `out`. */
void report_brief(const struct report *report, struct buf *out);

/* "145.32 KB", "12.45 MB", "512 B" into out: units of 1,024, rounded half up. */
const char *report_size(uint64_t bytes, char out[32]);

#endif

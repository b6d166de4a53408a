/*
 * report - what happens in a run: the facts of it, and telling them to who listens.
 *
 * What carries out the run says what happened (report_synced ...). Each such call updates the facts, and then tells
 * every listener. The log (report_log.h), the status file and the supervisor (run_status.h) are listeners; none of them
 * is known here. The status document is made of the facts alone: its fields are docs/STATUS.md's.
 *
 * A run: report_init, the caller fills in the members that say what is being done, report_begin, for each path
 * report_path ... report_path_end, then report_finish. A run that ends before it begins to copy or compare
 * (development, already synced) goes straight to the last one.
 */
#ifndef STORSYNC_REPORT_H
#define STORSYNC_REPORT_H

#include "buf.h"
#include "clock.h"
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

/* Ceiling of each list of differences, as JSON. Three of them and all else are below JSON_MAX. */
#define REPORT_DETAILS_MAX ((size_t)256 * 1024)

enum report_mode { REPORT_DEPLOY, REPORT_SYNC, REPORT_VALIDATE, REPORT_ROLLBACK };
#define REPORT_MODES 4

enum report_state {
    REPORT_STARTING, /* nothing was tried yet */
    REPORT_RUNNING,
    REPORT_WAITING,
    REPORT_SYNCED,
    REPORT_ALREADY_SYNCED,
    REPORT_TOO_SOON,
    REPORT_INACTIVE,
    REPORT_NOTHING_TO_DO,
    REPORT_ROLLED_BACK,
    REPORT_PARTIAL,
    REPORT_FAILED,
    REPORT_INTERRUPTED,
};
const char *report_mode_name(enum report_mode mode);                 /* "validate" */
const char *report_state_name(enum report_state state);              /* "already-synced" */
bool report_state_parse(const char *name, enum report_state *state); /* false: not a state */
bool report_state_healthy(enum report_state state); /* over, and as it should be: nothing failed */

enum report_lease { REPORT_NO_LEASE, REPORT_EXCLUSIVE, REPORT_ADVISORY };

struct report_failure {
    char *file; /* the whole key; owned */
    struct error error;
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
    bool done;         /* both listings were compared to their ends */
    bool strict;       /* what only the destination has is a difference, too */
    unsigned percent;  /* the share that is read of what no hash compares; 0: no content check */
    uint32_t seed;     /* ... and which ones are in it */
    uint64_t checked;  /* objects at the source. Of these ... */
    uint64_t hashed;   /* ... so many were compared by their hashes, */
    uint64_t read;     /* so many by reading them, */
    uint64_t unhashed; /* so many by neither: they are equal as far as size and time tell */
    uint64_t changed;  /* and so many were changed meanwhile, or removed: nothing is known of them */
    uint64_t bytes;    /* that were read, on both sides */
    struct report_list lists[REPORT_DIFFERENCES];
};

/* The last run that has synced everything, as its status document told. */
struct report_last {
    char finished_at[CLOCK_RFC3339_SIZE]; /* "": none is known */
    char mode[16];
    char deployment_id[sizeof((struct detection *)0)->deployment_id];
    char job[80];
    uint64_t synced, total_size;
};

struct report {
    /* What is being done: the caller's. */
    enum report_mode mode;
    struct detection detection;
    char source[1100], destination[1100]; /* store names */
    bool configured;                      /* both buckets were set, not defaulted */
    bool dry_run;
    bool by_hand;       /* no application waits for it, nor is it of a process that has one */
    bool asked;         /* of a process that stays, which has begun its application long ago */
    char job[80];       /* what the sync is called at the destination; "" while that is not known */
    struct shard shard; /* that this is; a count of 0: none */
    uint64_t undone;    /* of a shard: the last rollback before it began (parts.h) */
    int64_t next_sync;  /* wall; by the schedule, or CLOCK_UNKNOWN */
    int64_t due_at;     /* wall; with REPORT_TOO_SOON when the interval is over, else CLOCK_UNKNOWN */

    /* How far it is. */
    enum report_state state;
    enum report_lease lease;
    char waiting_for[128]; /* with REPORT_WAITING: the replica that syncs ... */
    int64_t waiting_epoch; /* ... and of which epoch its lease is */
    const char *path;      /* the prefix that is being worked on, borrowed; NULL: none */
    int active;            /* transfers under way */
    int concurrency;       /* and how many there may be; 0: nothing is copied yet */
    char host[120];        /* who is being waited for, "" if that is nobody, or not known */
    uint64_t moved;        /* bytes, by finished transfers and those */

    uint64_t listed;                                     /* objects at the source that were compared */
    uint64_t synced, skipped, failed, extra, total_size; /* total_size: bytes of the synced objects */
    uint64_t overwritten, kept; /* changed in production; the former are among the synced */
    uint64_t elsewhere;         /* objects at the source that other shards see to */
    int shards_done;            /* of the deployment, as far as is known; which are not: */
    char shards_left[120];
    uint64_t deleted; /* from the destination, as the source has them not; no longer among the extra */
    uint64_t gone;    /* from the source, before they could be copied */
    struct report_failure failures[REPORT_ERRORS_MAX];
    int failure_count;
    struct report_validation validation;

    int64_t started, finished; /* wall; finished CLOCK_UNKNOWN until then */
    struct error error;        /* why the run ended early, or ERROR_NONE */
    char message[640];         /* one line: the result for a person; "" until the run is over */

    struct report_last last; /* report_remember */
    bool before_known;       /* how the run before ended: likewise */
    bool before_healthy;

    struct report_listener *listeners; /* private */
};

enum report_event_kind {
    REPORT_EVENT_STARTING,    /* nothing was tried yet */
    REPORT_EVENT_ENVIRONMENT, /* the detection counts: what comes depends on it */
    REPORT_EVENT_WAITING,     /* for another replica, or for another one than before */
    REPORT_EVENT_LEASED,      /* this replica syncs */
    REPORT_EVENT_BEGUN,       /* a pass through the paths */
    REPORT_EVENT_PATH,
    REPORT_EVENT_SYNCED,      /* key, size, reason; in a dry run: would be */
    REPORT_EVENT_SKIPPED,     /* key, reason */
    REPORT_EVENT_GONE,        /* key, reason */
    REPORT_EVENT_OVERWRITTEN, /* key; it comes after the one that it is synced */
    REPORT_EVENT_KEPT,        /* key, reason */
    REPORT_EVENT_DELETED,     /* key, size, reason; in a dry run: would be */
    REPORT_EVENT_FAILED,      /* key, error */
    REPORT_EVENT_DIFFERENCE,  /* key, reason, difference */
    REPORT_EVENT_CHANGED,     /* key, reason */
    REPORT_EVENT_PATH_END,
    REPORT_EVENT_NOTHING,  /* settings: under none of their paths has the source an object */
    REPORT_EVENT_PROGRESS, /* `active` and `moved` are up to date */
    REPORT_EVENT_TICK,     /* nothing has happened but that time has passed */
    REPORT_EVENT_FINISHED,
};

/* What is not among the facts. All that it points to is gone when the listener returns. */
struct report_event {
    enum report_event_kind kind;
    const char *key; /* whole */
    uint64_t size;
    const char *reason;
    const struct error *error;
    enum report_difference difference;
    const struct settings *settings;
    bool own; /* with REPORT_EVENT_DELETED: production had made or changed it */
};

/* Whoever wants to know. It must return soon, and whatever becomes of what it does, the run goes on. */
struct report_listener {
    void (*event)(void *ctx, const struct report *report, const struct report_event *event);
    void *ctx;
    struct report_listener *next; /* the report's */
};

void report_init(struct report *report, int64_t now);

/* From now on; those that listen are told in the order in which they came. The report borrows `listener`. */
void report_listen(struct report *report, struct report_listener *listener);

void report_free(struct report *report);

/* What happens. Keys are whole; `entry` and all else is borrowed for the call only. */

void report_starting(struct report *report);
void report_environment(struct report *report);
void report_waiting(struct report *report, const char *owner, int64_t epoch);
void report_leased(struct report *report, bool advisory);
void report_begin(struct report *report);

/* `path`, a prefix, is borrowed until the run is over. */
void report_path(struct report *report, const char *path);
void report_synced(struct report *report, const struct object_entry *entry, const char *reason);
void report_skipped(struct report *report, const struct object_entry *entry, const char *reason);
/* It is no longer at the source: nothing is left to copy. */
void report_gone(struct report *report, const struct object_entry *entry);
/* Production had changed it; nevertheless, or therefore. */
void report_overwritten(struct report *report, const char *key);
void report_kept(struct report *report, const char *key);
/* It was removed from the destination, or would be; `own`: production had made or changed it. */
void report_deleted(struct report *report, const struct object_entry *entry, bool own);
void report_failed(struct report *report, const char *key, const struct error *error);
/* With `all` every difference goes into the document, up to REPORT_DETAILS_MAX; else the first ten. */
void report_difference(struct report *report, enum report_difference difference, const char *key,
                       const char *reason, bool all);
/* It was changed, or removed, while its content was compared. */
void report_changed(struct report *report, const char *key);
void report_path_end(struct report *report);

/* The source has no objects under any of the paths: one that is misspelt, or a volume that is not mounted yet, must not
 * look like a sync. */
void report_nothing(struct report *report, const struct settings *settings);

/* At every turn of the loop. */
void report_progress(struct report *report, int active, uint64_t moved);
void report_tick(struct report *report);

/* Ends the run: state, time and message. `error` may be NULL. A message that is there already stays. */
void report_finish(struct report *report, enum report_state state, const struct error *error, int64_t now);

/* The exit code of a run that has ended so, before the failure policy forgives anything. */
int report_exit_code(const struct report *report);

/* The validation went through and found no difference that counts. */
bool report_valid(const struct report *report);

/* Appends the status document (docs/STATUS.md). False: no memory or no room. */
bool report_json(const struct report *report, bool pretty, struct buf *out);

/* The same on one line, without the members that say what a document is (`schema`, `version`, `mode`), and without `details`. */
bool report_json_members(const struct report *report, struct buf *out);

/* The same without lists of differences, on one line, as the member `run` of an object whose member `text` is for a person. */
bool report_json_notice(const struct report *report, const char *text, struct buf *out);

/* Takes the last sync out of the document that this run's will replace, and how the run before ended. One that cannot be read
 * tells of none. */
void report_remember(struct report *report, const char *json, size_t len);

/* The same for a person: what --status prints, from a document that report_json made. */
bool report_text(const char *json, size_t len, struct buf *out, struct error *error);

/* After report_finish: state and message, the figures of a run that did not get to its end, and the first
 * failures, a line each and the most useful first, as far as whole lines fit into `out`. */
void report_brief(const struct report *report, struct buf *out);

/* "145.32 KB", "12.45 MB", "512 B" into out: units of 1,024, rounded half up. */
const char *report_size(uint64_t bytes, char out[32]);

#endif

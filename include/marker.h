/*
 * marker - what the destination remembers: which deployments are synced, and when the last sync was.
 *
 *     deployments/<id>.json   this deployment is synced; written after a pass with no failure
 *     last-sync.json          when the last automatic sync completed, and its figures
 *
 * below the job's prefix (job.h).
 *
 * Both files hold one small JSON object: schema, version, deploymentId, finishedAt (RFC 3339), syncedFiles,
 * skippedFiles, totalSize. The id is percent-encoded into its key (an image reference has '/' and ':').
 *
 * What cannot be understood is not believed: a state file that is no such object, or larger than STORE_SMALL_MAX,
 * counts as absent, with a warning, and the next clean pass replaces it. The same goes for a marker that names another
 * deployment than its key, and for a last sync that lies in the future. A state file that could not be read is another
 * matter: then nothing is known.
 */
#ifndef STORSYNC_MARKER_H
#define STORSYNC_MARKER_H

#include "error.h"
#include "job.h"
#include "lease.h"
#include "report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MARKER_SCHEMA 1
#define MARKER_LAST_SYNC "last-sync.json"

/* Room for a marker's key. The last segment stays below 210 bytes, so that it is also a file name (NAME_MAX,
 * with room for what a directory bucket adds): an id that is longer when encoded is replaced by "sha256-" and
 * its hash. */
#define MARKER_KEY_MAX (JOB_PREFIX_SIZE + 224)

/* How far the clock of another machine may be ahead, in ms. */
#define MARKER_SKEW ((int64_t)5 * 60 * 1000)

enum marker_verdict {
    MARKER_DUE,
    MARKER_ALREADY_SYNCED,
    MARKER_TOO_SOON,
    MARKER_FAILED, /* could not be found out; see *error */
};

struct marker_finding {
    enum marker_verdict verdict;
    int64_t due_at;    /* wall; with TOO_SOON when the interval is over, else CLOCK_UNKNOWN */
    int64_t looked_at; /* by the destination's clock: of the first answer; CLOCK_UNKNOWN: not told */
    char warning[256]; /* "" or one line to tell: what was not believed */
};

/* Is this deployment synced? ALREADY_SYNCED, DUE or FAILED, in one request; DUE in none if there is no id. */
void marker_check_deployment(const struct job *job, const char *deployment_id, struct marker_finding *out,
                             struct error *error);

/* For one that is due by that: one request more, which may say that it is not. `now` is wall, `min_interval` in ms. A
 * last-sync.json within the interval that names this deployment is as good as its marker. */
void marker_check_interval(const struct job *job, const char *deployment_id, int64_t min_interval,
                           int64_t now, struct marker_finding *out, struct error *error);

/* After a clean pass: last-sync.json and, if there is an id, the deployment's marker, both at once. Both say what is proven: after a
 * crash between the two either of them is true without the other one. `lease` was confirmed after the pass. It is renewed meanwhile; if
 * it is lost, nothing more is sent: false, with ERROR_BUSY. */
bool marker_commit(const struct job *job, const char *deployment_id, const struct report *report, int64_t now,
                   struct lease *lease, struct error *error);

/* What both files hold. Of a shard (report->shard) also which one it is, of which paths and rules, and what the last one has to add up:
 * listedFiles, goneFiles, and what tells whether it still counts (parts.h). */
bool marker_make(const struct job *job, const char *deployment_id, const struct report *report, int64_t now,
                 struct buf *out);
/* Writes a document, and waits. */
bool marker_write(const struct job *job, const char *key, const struct buf *json,
                  const struct store_condition *condition, struct error *error);

/* The pure parts. */

/* False: the id is empty, or there is no memory. */
bool marker_key(const struct job *job, const char *deployment_id, char out[MARKER_KEY_MAX]);

/* Judges the content of last-sync.json, whose key is `key`: MARKER_DUE, MARKER_TOO_SOON, or MARKER_ALREADY_SYNCED if it
 * is too soon and the file names this deployment. Fills all of *out. */
enum marker_verdict marker_judge(const char *key, const char *last_sync_json, size_t len,
                                 const char *deployment_id, int64_t min_interval, int64_t now,
                                 struct marker_finding *out);

#endif

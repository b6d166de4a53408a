/*
 * status - the status file: where it is, replacing it atomically, reading it back.
 *
 * Written as a temporary file beside it, fsync, rename; so a reader sees the old document or the new one,
 * never half of one. A place that cannot be written is a warning, once, and never a failure of the run.
 */
#ifndef STORSYNC_STATUS_H
#define STORSYNC_STATUS_H

#include "buf.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>

/* Tried in this order when the setting is empty. */
#define STATUS_DEFAULT "/run/storsync/status.json"
#define STATUS_FALLBACK "/tmp/storsync-status.json"

/* Behind the name of that file: of the last run by hand, where the file is a deployment's. So whoever reads the one hears of
 * deployments alone, and no two runs have to agree on who writes. */
#define STATUS_BY_HAND ".by-hand"

/* `path` "" means the defaults. The directory is not created, except /run/storsync. The file gets mode 0644
 * and replaces the file that was there; a symbolic link is replaced, not followed. Anything else that is no
 * regular file is refused, and a link to such (/dev/stdout, say, which others may need). */
bool status_write(const char *path, const struct buf *json, struct error *error);

/* The same of a run by hand: beside the document that is there if that is a deployment's, else in its place. */
bool status_write_by_hand(const char *path, const struct buf *json, struct error *error);

/* Reads `path`, or for "" the newer of the two defaults, into `out` (its ceiling holds). `found` (may be
 * NULL) is the path it came from. ERROR_NOT_FOUND if there is none, ERROR_LOCAL for what is not a regular
 * file or too large. A fallback in the shared directory counts only if it is root's or our own. Where it is a deployment's and there is one of a
 * run by hand beside it, `out` is the former with the latter as its member `manual`. */
bool status_read(const char *path, struct buf *out, const char **found, struct error *error);

/* The same for other defaults than those above. */
struct status_places {
    const char *first;  /* in a directory of our own, which is created if its parent exists */
    const char *second; /* where others can write too */
};
bool status_write_places(const struct status_places *places, const struct buf *json, struct error *error);
bool status_read_places(const struct status_places *places, struct buf *out, const char **found,
                        struct error *error);

/* Kubernetes shows the last 4 KiB of this file as the reason why a container ended. It is written only where it
 * exists: the kubelet makes it, with mode 0666. That it cannot be written changes nothing for anyone.
 * https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
#define STATUS_TERMINATION_LOG "/dev/termination-log"
#define STATUS_TERMINATION_MAX ((size_t)4096)
void status_termination_log(const char *path, const char *text);

/* 0 healthy, 1 not; `why` gets one line (without a newline). Healthy: synced, already-synced, too-soon,
 * inactive, nothing-to-do. Not: running and waiting (the application has not started), partial, failed,
 * interrupted, and a document that cannot be read. A run that goes on beside an application (--serve) is healthy. A deployment that is over and not healthy is mended by a run by hand that has
 * synced the same job since. */
int status_health(const struct buf *json, struct buf *why);

/* Appends the same as a JSON object: `healthy`, `why`, and the document's own fields that matter, null where it has none. `json`
 * may be no document at all. */
bool status_health_json(const struct buf *json, int code, const char *why, struct buf *out);

#endif

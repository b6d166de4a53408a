/*
 * plan_file - the file of the setting `plan`: what a dry run would do, for other programs.
 *
 * json: a JSON object a line. First a header ("type": "plan"), then an object ("type": "object") for each key with its fate,
 * and last a summary; docs/PLANS.md has the members. A file without a summary, or with one that is not complete, says nothing of
 * the keys that it does not have.
 *
 * s3-batch: a manifest for S3 Batch Operations, whose job copies (S3PutObjectCopy): CSV without a header, the source's bucket and
 * the key, URL-encoded. All objects are in one bucket; without a version's id it is the latest that counts, and if one row has
 * one all must; listings tell none. Of more than 5 GB an object is not copied. ("Creating an S3 Batch Operations job", "Copy
 * objects", Amazon S3 User Guide.)
 *
 * sts: a manifest for Google's Storage Transfer Service: CSV in UTF-8 without a header, the name in quotes as in RFC 4180, and if
 * the source is Google's the generation. Names are relative to bucket and folder of the job; one that ends with a slash counts as a
 * folder, which is not supported. ("Transfer specific files or objects using a manifest", Storage Transfer Service.) A name with a
 * line break is none of Google's, so it is left out as well.
 *
 * A manifest names what is to be copied, and has no place for anything else: what that leaves out is warned about. It appears
 * only if it is complete. Memory does not depend on how many objects there are.
 */
#ifndef STORSYNC_PLAN_FILE_H
#define STORSYNC_PLAN_FILE_H

#include "buf.h"
#include "error.h"
#include "object.h"
#include "replace.h"
#include "report.h"
#include "settings.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

enum plan_fate {
    FATE_CREATE,
    FATE_OVERWRITE,
    FATE_METADATA, /* copied over content that is known to be the same */
    FATE_DELETE,
    FATE_KEEP,     /* only production has it, or has changed it: it is left alone */
    FATE_CONFLICT, /* production has changed it: a failure */
    FATE_SKIP,     /* up to date */
    FATE_FAIL,     /* it cannot be looked at */
};
#define PLAN_FATES 8

/* One key. `source` and `destination` are what the listings have; NULL: nothing. */
struct plan_line {
    enum plan_fate fate;
    const char *key;
    const char *reason; /* a word, or words, which become one: "size differs" */
    const struct object_entry *source, *destination;
    bool changed; /* in production, since it was synced */
};

struct plan_file {
    const struct settings *settings;
    const struct report *report;
    bool open, begun;
    bool has_generations;
    struct replace file; /* unless it goes to standard output */
    struct buf out;      /* not written yet */
    uint64_t counts[PLAN_FATES];
    uint64_t bytes;    /* that would be copied */
    uint64_t left_out; /* of those, by a manifest that cannot name them */
    struct error error;
};

/* Borrows both. Without a `plan` in the settings, or dry_run, nothing is opened, and the rest does nothing. */
bool plan_file_begin(struct plan_file *plan, const struct settings *settings, const struct report *report,
                     struct error *error);

/* Once both buckets are known: is there a manifest of this format for them? */
bool plan_file_check(struct plan_file *plan, const struct store *source, const struct store *destination,
                     struct error *error);

/* False: it could not be written, as plan->error says. */
bool plan_file_put(struct plan_file *plan, const struct plan_line *line);

/* The run is over, by *error if something failed. False if the plan is the first thing that did: *error says so. */
bool plan_file_finish(struct plan_file *plan, enum report_state state, struct error *error);

#endif

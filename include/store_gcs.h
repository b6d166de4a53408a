/*
 * store_gcs - buckets of Google Cloud Storage, by its JSON API.
 *
 * An object's version is its generation and metageneration, so that a change of its metadata alone is another
 * version; its hash is its MD5, or the CRC32C of one that was composed of others and has no MD5. User metadata may
 * have any name ("custom:aclPolicy"). HTTP's `Expires`, for which the service has no place, is kept as metadata of a
 * reserved name; tags it has none.
 */
#ifndef STORSYNC_STORE_GCS_H
#define STORSYNC_STORE_GCS_H

#include "error.h"
#include "loop.h"
#include "settings.h"
#include "store.h"

/* `side` and `loop` are borrowed and must outlive the store. ERROR_CONFIG for a bucket name that cannot be one, or
 * as gcp_open; asks the service nothing. NULL on failure. */
struct store *store_gcs_open(const struct side *side, const char *bucket, struct loop *loop,
                             struct error *error);

#endif

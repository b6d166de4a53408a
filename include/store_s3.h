/*
 * store_s3 - S3 and what is compatible with it: AWS, Ceph RGW, Cloudflare R2, MinIO, Google's
 * interoperability API.
 */
#ifndef STORSYNC_STORE_S3_H
#define STORSYNC_STORE_S3_H

#include "error.h"
#include "loop.h"
#include "settings.h"
#include "store.h"

/* `side` and `loop` are borrowed and must outlive the store. ERROR_CONFIG for a bucket name, an endpoint or a
 * region that cannot be one, or as creds_open; asks the service nothing. NULL on failure. */
struct store *store_s3_open(const struct side *side, const char *bucket, struct loop *loop,
                            struct error *error);

#endif

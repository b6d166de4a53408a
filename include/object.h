/*
 * object - what is known of an object: its entry in a listing, and the metadata that travels with its body.
 *
 * Keys are bytes: any but NUL, at most OBJECT_KEY_MAX of them, compared with strcmp (byte order, as S3 lists
 * them). They are never normalised.
 */
#ifndef STORSYNC_OBJECT_H
#define STORSYNC_OBJECT_H

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

#define OBJECT_KEY_MAX 1024

/* Keys under this prefix are the program's own: no sync or validation sees them. */
#define OBJECT_STATE_PREFIX ".storsync/"

#define OBJECT_ETAG_SIZE 136 /* with quotes and NUL; vendors' ETags are opaque, the longest seen has 66 */

#define OBJECT_SIZE_UNKNOWN UINT64_MAX

/*
 * One line of a listing. `key` is borrowed from whoever hands the entry out.
 *
 * `unreadable`: this is no object, but what a listing could not look at: a folder (its key ends with '/', and nothing
 * is known of all keys that begin with it), or the one key. The other members mean nothing then.
 */
struct object_entry {
    const char *key;
    uint64_t size;
    int64_t modified; /* wall milliseconds, by the store's clock */
    int unreadable;   /* errno; 0: an object */
    char etag
        [OBJECT_ETAG_SIZE]; /* as the store gives it, without quotes; "" if it has none: the version is unknown */
};

/*
 * Metadata: name and value pairs in the order they were added. A name is one of the content headers in lower
 * case ("content-type", "cache-control", "content-encoding", "content-disposition", "content-language",
 * "expires"), or "tagging" (URL-encoded like a query), or "user:" + the user metadata's own name.
 * Values are bytes without NUL. S3 allows 2 KiB of user metadata; OBJECT_META_MAX leaves room for the rest.
 */
#define OBJECT_META_MAX ((size_t)16 * 1024)

struct object_meta {
    struct buf pairs; /* name NUL value NUL name NUL value NUL ... */
    int mode;         /* permission bits (0777) of the file it comes from, or OBJECT_MODE_UNKNOWN */
};
#define OBJECT_MODE_UNKNOWN (-1)

void object_meta_init(struct object_meta *meta);
void object_meta_free(struct object_meta *meta);
void object_meta_clear(struct object_meta *meta);
bool object_meta_add(struct object_meta *meta, const char *name, const char *value); /* false: no room */
const char *object_meta_get(const struct object_meta *meta, const char *name);       /* NULL: absent */
/* The same, but a name that is there already gets ", " and the value behind its own (RFC 9110, 5.3). */
bool object_meta_join(struct object_meta *meta, const char *name, const char *value);
bool object_meta_is_content_header(const char *lower_case_name);

/* Walks the pairs: start with *at = 0; false at the end. */
bool object_meta_next(const struct object_meta *meta, size_t *at, const char **name, const char **value);

/* Do these ETags prove that it is the same version? Two that are unknown prove nothing. */
bool object_same_version(const char *etag, const char *other);

/* Two ETags that can be compared as content hashes: both 32 hexadecimal digits (an MD5, so a single-part
 * upload without SSE-KMS). */
bool object_etags_comparable(const char *a, const char *b);

/* They can be compared so, and differ: it is other content. Some services write the digits in capitals. */
bool object_etags_differ(const char *a, const char *b);

/* One version, as far as ETags can tell: the same text, or the same content hash. */
bool object_etags_equal(const char *a, const char *b);

#endif

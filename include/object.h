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

/*
 * What names one version of an object: text that only its store understands, "" if it is not known. S3's is the ETag without
 * its quotes (the longest seen has 66 bytes), a directory's is made of size and times. It proves nothing of another store's.
 */
#define OBJECT_VERSION_SIZE 136 /* with NUL */

/* A hash of an object's content, where its store has one. Two of one kind can be compared, whichever stores they are from. */
enum object_hash_kind { OBJECT_HASH_NONE, OBJECT_HASH_MD5, OBJECT_HASH_CRC32C };
#define OBJECT_HASH_SIZE 16 /* of the longest, in bytes */
struct object_hash {
    enum object_hash_kind kind;
    unsigned char bytes[OBJECT_HASH_SIZE]; /* the first ones, as many as the kind has */
};

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
    int64_t touched;  /* by how much later its metadata alone were changed; 0 also if that is not told */
    int64_t
        written; /* when it was put there, if `modified` is another time: that of its source; 0: `modified` is it */
    int unreadable; /* errno; 0: an object */
    struct object_hash hash;
    char version[OBJECT_VERSION_SIZE];
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
    bool restored;    /* it is put back: these bits are neither widened nor narrowed */
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

/* One version: the same text, or the same MD5 where both are one, which some services write in capitals here and small
 * letters there. Two that are unknown are equal as well. */
bool object_versions_equal(const char *version, const char *other);
/* The same, and it is known. */
bool object_same_version(const char *version, const char *other);

size_t object_hash_size(enum object_hash_kind kind); /* of its bytes */
/* The MD5 that the hexadecimal digits stand for; none if the text is something else. */
void object_hash_md5(struct object_hash *hash, const char *hex);
/* Both are known, and of one kind. */
bool object_hashes_comparable(const struct object_hash *a, const struct object_hash *b);
/* It is known that the content is the same; that it is other content. */
bool object_hashes_equal(const struct object_hash *a, const struct object_hash *b);
bool object_hashes_differ(const struct object_hash *a, const struct object_hash *b);

#endif

/*
 * dir_stream - the calls of a directory store that go on in steps: get, and in dir_upload.c put, and uploads in parts.
 * With store_dir.c the implementation of store_dir.h; nobody else includes this.
 *
 * A step moves at most what a pipe holds. What has all its bytes waits for its batch (dir_batch.h), and its call is over
 * when the object is durable. INVARIANT: a temporary file belongs to one dir_upload, and that to a call (put) or to the
 * caller (upload in parts); whoever frees it removes the file.
 */
#ifndef STORSYNC_DIR_STREAM_H
#define STORSYNC_DIR_STREAM_H

#include "dir_batch.h"
#include "dir_tree.h"
#include "store.h"
#include "store_ops.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct store_dir {
    struct store base;
    struct dir_tree tree;
    struct dir_batch batch;
    char path[PATH_MAX]; /* of the root */
};

struct dir_upload;

/* call->impl while a call goes on in steps. */
struct dir_call {
    bool (*step)(struct call *call, struct dir_call *work); /* true if anything moved */
    struct store_dir *store;
    struct pipe *pipe;
    uint64_t offset, left; /* in the file: where to go on, how much there is to do */

    int fd;           /* get; -1: none */
    int64_t quiet_at; /* get: mono; reading waits until then; 0: not */

    struct dir_upload *upload; /* put and upload_part */
    uint64_t part_size;
    bool owns_upload;
    bool writing; /* it is one of those that the batch counts */

    struct store_page *page; /* list */
    bool page_used;

    char key[OBJECT_KEY_MAX + 1];
};

struct store_dir *dir_store(struct store *store);

/* Opens the root if need be. False: the call is over, with its error. */
bool dir_ready(struct store_dir *store, struct call *call);

/* Ends the call with errno: "<store>: <doing> <key>: <text of errno>; <remedy>". */
void dir_fail(struct call *call, const struct store_dir *store, const char *doing, const char *key);

/* The same for writing on a condition; names the symbolic link that is in the way (ELOOP), and explains ENOTUNIQ. */
void dir_write_failed(struct call *call, const struct store_dir *store, const char *key,
                      enum store_when when);

/* Ends the call because the bytes were not those that were announced; another attempt may find them. */
void dir_fail_torn(struct call *call, const struct dir_call *work, const char *what);

/* Makes call->impl. NULL: the call is over, with its error. */
struct dir_call *dir_call_new(struct store_dir *store, struct call *call, const char *key);

/* Fills call->info, and with `meta` call->meta. False with errno. */
bool dir_describe(struct store_dir *store, struct call *call, const char *key, const struct stat *status,
                  bool meta);

/* What a call that is over, or cancelled, has of an upload. */
void dir_upload_let_go(struct dir_call *work);

/* The operations; see struct store_ops. */
void dir_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
             struct pipe *sink);
void dir_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source);
void dir_upload_begin(struct store *to, struct call *call, const struct store_target *target);
void dir_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                     struct pipe *source);
void dir_upload_finish(struct upload *upload, struct call *call);
void dir_upload_abort(struct upload *upload, struct call *call);
bool dir_step(struct call *call);
void dir_cancel(struct call *call, const struct error *why);
void dir_release(struct call *call);

#endif

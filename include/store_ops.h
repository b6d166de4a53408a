/*
 * store_ops - what is behind the interface of store.h: for the implementations, and for store.c and the cursor.
 */
#ifndef STORSYNC_STORE_OPS_H
#define STORSYNC_STORE_OPS_H

#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* call->impl is NULL when an operation starts, and 1 <= strlen(key) <= OBJECT_KEY_MAX. These may be
 * missing: tags, copy, peek and upload_copy (answered with ERROR_UNSUPPORTED), same (compares the URLs),
 * can_copy (false), sees (true), check_pair (true), step, list_end. Two stores that are given at once are of the same
 * implementation. */
struct store_ops {
    const char *scheme;
    void (*close)(struct store *store);
    bool (*same)(const struct store *a, const struct store *b);
    bool (*can_copy)(const struct store *from, const struct store *to);
    bool (*sees)(const struct store *to, const struct store *from);
    bool (*check_pair)(const struct store *source, const struct store *destination, struct error *error);
    /* Fills `page` with the keys after `page`'s position; see page_add, page_position. */
    void (*list)(struct store *store, struct call *call, const char *prefix, struct store_page *page);
    void (*list_end)(void *walk); /* frees what was left in *page_walk */
    void (*read)(struct store *store, struct call *call, const char *key);
    void (*write)(struct store *store, struct call *call, const char *key, const char *data, size_t len,
                  const char *content_type, bool create);
    void (*head)(struct store *store, struct call *call, const char *key);
    void (*remove)(struct store *store, struct call *call, const char *key);
    void (*tags)(struct store *store, struct call *call, const char *key);
    void (*get)(struct store *store, struct call *call, const char *key, uint64_t offset, uint64_t length,
                const char *version, struct pipe *sink);
    void (*put)(struct store *store, struct call *call, const char *key, uint64_t size, int64_t modified,
                const struct object_meta *meta, struct pipe *source);
    void (*copy)(struct store *to, struct call *call, struct store *from, const struct object_entry *entry);
    void (*peek)(struct store *to, struct call *call, struct store *from, const char *key);
    void (*upload_begin)(struct store *store, struct call *call, const char *key, uint64_t size,
                         int64_t modified, const struct object_meta *meta);
    void (*upload_part)(struct store *store, struct call *call, struct upload *upload, int number,
                        uint64_t offset, uint64_t size, struct pipe *source);
    void (*upload_copy)(struct store *to, struct call *call, struct upload *upload, int number,
                        uint64_t offset, uint64_t size, struct store *from, const char *key,
                        const char *version);
    void (*upload_finish)(struct store *store, struct call *call, struct upload *upload);
    void (*upload_abort)(struct store *store, struct call *call, struct upload *upload);
    bool (*step)(struct call *call);
    void (*cancel)(struct call *call, const struct error *why); /* leaves it done */
    void (*release)(struct call *call);                         /* frees call->impl */
};

/* Every implementation's struct begins with this. */
struct store {
    const struct store_ops *ops;
    struct loop *loop;
    char name[1100];
    char url[STORE_URL_SIZE];
    struct store_traits traits;
    bool repeats, timeless; /* the cursor's: that it is so of the listing has been told */
};

#endif

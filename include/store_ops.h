/*
 * store_ops - what is behind the interface of store.h: for the implementations, and for store.c and the cursor.
 */
#ifndef STORSYNC_STORE_OPS_H
#define STORSYNC_STORE_OPS_H

#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* call->impl is NULL when an operation starts, 1 <= strlen(key) <= OBJECT_KEY_MAX, and no condition is NULL. These may be
 * missing: tags, acl, copy, peek, keeps_past, find_past and upload_copy (answered with ERROR_UNSUPPORTED), same (compares the URLs),
 * can_copy (false), sees (true), check_pair (true), step, list_end, look (that of a past version: with find_past). Two stores that are given at once are of the same
 * implementation. */
struct store_ops {
    const char *scheme;
    void (*close)(struct store *store);
    bool (*same)(const struct store *a, const struct store *b);
    bool (*can_copy)(const struct store *from, const struct store *to);
    bool (*sees)(const struct store *to, const struct store *from);
    bool (*check_pair)(const struct store *source, const struct store *destination, struct error *error);
    /* Fills `page` with the keys after `page`'s position; see page_add, page_position. Those that are not after range->after
     * need not be left out, and those from range->until on are by page_add; no bound is NULL. */
    void (*list)(struct store *store, struct call *call, const struct store_range *range,
                 struct store_page *page);
    void (*list_end)(void *walk); /* frees what was left in *page_walk */
    void (*read)(struct store *store, struct call *call, const char *key);
    void (*write)(struct store *store, struct call *call, const char *key, const char *data, size_t len,
                  const struct store_condition *condition);
    void (*keeps_past)(struct store *store, struct call *call);
    void (*find_past)(struct store *store, struct call *call, const struct object_entry *entry);
    void (*look)(const struct store_source *from, struct call *call);
    void (*head)(struct store *store, struct call *call, const char *key);
    void (*remove)(struct store *store, struct call *call, const char *key,
                   const struct store_condition *condition);
    void (*tags)(struct store *store, struct call *call, const char *key);
    void (*acl)(struct store *store, struct call *call, const char *key); /* the key may be "" */
    void (*get)(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
                struct pipe *sink);
    void (*put)(struct store *to, struct call *call, const struct store_target *target, struct pipe *source);
    void (*copy)(struct store *to, struct call *call, const struct store_target *target,
                 const struct store_source *from);
    void (*peek)(struct store *to, struct call *call, const struct store_source *from);
    void (*upload_begin)(struct store *to, struct call *call, const struct store_target *target);
    void (*upload_part)(struct upload *upload, struct call *call, const struct store_part *part,
                        struct pipe *source);
    void (*upload_copy)(struct upload *upload, struct call *call, const struct store_part *part,
                        const struct store_source *from);
    void (*upload_finish)(struct upload *upload, struct call *call);
    void (*upload_abort)(struct upload *upload, struct call *call);
    bool (*step)(struct call *call);
    void (*cancel)(struct call *call, const struct error *why); /* leaves it done */
    void (*release)(struct call *call);                         /* frees call->impl */
};

/* Every implementation's struct begins with this. */
struct store {
    const struct store_ops *ops;
    struct loop *loop;
    const struct side *side; /* NULL: of no sync */
    char name[1100];
    char url[STORE_URL_SIZE];
    struct store_traits traits;
    bool repeats, timeless; /* the cursor's: that it is so of the listing has been told */
};

/* And what it has of an upload with this. */
struct upload {
    struct store *store;
};

/* For keeps_past: the answer is no. */
void store_refuse_past(struct error *error);

/* Puts in front of an error's text where it happened, and says so in its `side`: "destination my-prod (PROD_STORAGE_BUCKET): ". */
void store_blame(const struct store *store, struct error *error);
/* Appends to it where to change what it is about: " (AWS_REGION)". `field` is in the side. */
void store_name_setting(const struct side *side, const void *field, struct error *error);
void store_name_place(const char *place, struct error *error); /* the same with another place; "": none */

/* For a step that waits for nothing but time: at `at` (mono) it wants its next turn (loop_wake). */
void store_wake(const struct store *store, int64_t at);

#endif

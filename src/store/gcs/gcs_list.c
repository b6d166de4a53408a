/* "Objects: list", Cloud Storage JSON API reference. */
#include "gcs_internal.h"

#include "clock.h"
#include "json_split.h"
#include "page.h"

#include <stdio.h>
#include <string.h>

/* A name of 1,024 bytes, each of which may be written as six, or the token of the next page. */
#define PIECE_MAX ((size_t)32 * 1024)
#define LIST_BODY_MAX (STORE_PAGE_KEYS * PIECE_MAX)

struct gcs_list_call {
    struct gcs_call base;
    struct store_page *page;
    struct json_split split;

    /* Of this answer. */
    bool is_list;     /* it says so */
    bool other;       /* it has an object of another bucket */
    size_t len;       /* how much of it has come */
    struct buf token; /* where the listing goes on; "" if it does not */
};

/* ---- what is asked ---- */

static void gcs_list_target(struct gcs_list_call *list, const struct store_range *range)
{
    struct gcs_call *c = &list->base;
    const char *position = page_position(list->page);

    gcs_target(c, "/storage/v1/b/", c->store, NULL);
    gcs_target_query(c, NULL);
    buf_printf(&c->target, "&maxResults=%d", page_keys(list->page));
    gcs_param(
        c, "fields",
        "kind,nextPageToken,items(bucket,name,size,updated,timeCreated,generation,metageneration,md5Hash,crc32c)");
    if (range->prefix[0] != '\0')
        gcs_param(c, "prefix", range->prefix);
    if (range->after[0] != '\0')
        gcs_param(c, "startOffset", range->after);
    if (range->until[0] != '\0')
        gcs_param(c, "endOffset", range->until);
    if (position[0] != '\0')
        gcs_param(c, "pageToken", position);
}

static void gcs_list_prepare(struct gcs_call *c)
{
    struct gcs_list_call *list = (struct gcs_list_call *)c;

    page_reset(list->page);
    json_split_reset(&list->split);
    buf_clear(&list->token);
    list->is_list = list->other = false;
    list->len = 0;
}

/* ---- the entries ---- */

/* An object's time is that of its content; `touched` tells how much later its metadata were changed. */
static void gcs_entry_times(yyjson_val *item, struct object_entry *entry)
{
    int64_t updated = clock_parse_rfc3339(json_text(item, "updated", ""));

    entry->modified = clock_parse_rfc3339(json_text(item, "timeCreated", ""));
    if (entry->modified == CLOCK_UNKNOWN)
        entry->modified = updated;
    if (updated != CLOCK_UNKNOWN && updated > entry->modified)
        entry->touched = updated - entry->modified;
}

static bool gcs_on_item(struct gcs_list_call *list, yyjson_val *item, struct error *error)
{
    struct object_entry entry = {.key = json_text(item, "name", "")};
    size_t len = strlen(entry.key);

    if (len == 0 || len > OBJECT_KEY_MAX || len != yyjson_get_len(yyjson_obj_get(item, "name")))
        return error_set(error, ERROR_PROTOCOL, "the listing has a name of %zu bytes, or one with a NUL",
                         len);
    if (!gcs_number(item, "size", &entry.size))
        return error_set(error, ERROR_PROTOCOL, "the listing does not say how large \"%.100s\" is",
                         entry.key);
    list->other |=
        strcmp(json_text(item, "bucket", list->base.base.peer.bucket), list->base.base.peer.bucket) != 0;
    gcs_entry_times(item, &entry);
    gcs_version(item, entry.version);
    gcs_hash(json_text(item, "md5Hash", NULL), json_text(item, "crc32c", NULL), &entry.hash);
    return page_receive(list->page, &entry) || error_set(error, ERROR_LOCAL, "out of memory");
}

static bool gcs_on_piece(void *ctx, const char *name, yyjson_val *piece, struct error *error)
{
    struct gcs_list_call *list = ctx;
    const char *text = yyjson_get_str(piece);

    if (strcmp(name, "items") == 0)
        return gcs_on_item(list, piece, error);
    if (text != NULL && strcmp(name, "kind") == 0)
        list->is_list = strcmp(text, "storage#objects") == 0;
    if (text != NULL && strcmp(name, "nextPageToken") == 0)
        return buf_puts(&list->token, text) ||
               error_set(error, ERROR_PROTOCOL, "the listing goes on, but the token for it is too long");
    return true;
}

static bool gcs_list_text(struct gcs_call *c, const char *data, size_t len, struct error *error)
{
    struct gcs_list_call *list = (struct gcs_list_call *)c;

    if (len > LIST_BODY_MAX - list->len)
        return error_set(error, ERROR_PROTOCOL, "the answer is too long");
    list->len += len;
    return json_split_push(&list->split, data, len, error);
}

/* ---- what follows from it ---- */

static enum http_verdict gcs_list_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_list_call *list = (struct gcs_list_call *)c;
    const struct error *failure = &c->base.failure;

    (void)root;
    if (failure->kind != ERROR_NONE && list->is_list) {
        *error = *failure;
        return HTTP_DONE;
    }
    if (failure->kind != ERROR_NONE || !json_split_finish(&list->split, error) || !list->is_list) {
        gcs_explain_foreign(c, error);
        return exchange_retry(&c->base, HTTP_RETRY);
    }
    if (list->other) {
        error_set(error, ERROR_PROTOCOL, "the answer is the listing of another bucket");
        return exchange_retry(&c->base, HTTP_RETRY);
    }
    if (!page_end(list->page, list->token.len > 0 ? buf_str(&list->token) : NULL))
        error_set(error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

static void gcs_list_release(struct gcs_call *c)
{
    struct gcs_list_call *list = (struct gcs_list_call *)c;

    json_split_free(&list->split);
    buf_free(&list->token);
}

static const struct gcs_operation gcs_list_operation = {
    .base = {.method = "GET", .doing = "listing"},
    .size = sizeof(struct gcs_list_call),
    .permission = "storage.objects.list",
    .about_bucket = true,
    .prepare = gcs_list_prepare,
    .text = gcs_list_text,
    .answered = gcs_list_answered,
    .release = gcs_list_release,
};

void gcs_list(struct store *store, struct call *call, const struct store_range *range,
              struct store_page *page)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_list_operation, range->prefix);
    struct gcs_list_call *list = (struct gcs_list_call *)c;

    if (c == NULL)
        return;
    list->page = page;
    json_split_init(&list->split, PIECE_MAX, gcs_on_piece, list);
    buf_init(&list->token, PIECE_MAX);
    gcs_list_target(list, range);
    gcs_submit(c);
}

/* "ListObjectsV2", Amazon S3 API Reference. */
#include "s3_internal.h"

#include "clock.h"
#include "page.h"
#include "text.h"

#include <string.h>

/* One answer, as far as it has come. */
struct listing {
    bool url_encoded;            /* it says so */
    bool ends, truncated;        /* it says that it is complete, that it is not */
    bool other_prefix;           /* it says that it is about another one */
    bool decoded;                /* a key was changed by decoding */
    bool undecodable;            /* a key could not be decoded */
    int keys;                    /* how many have come */
    int safe_keys;               /* how many up to the last one that XML can hold */
    char bucket[S3_BUCKET_SIZE]; /* "" if it does not say which */

    /* The entry that is coming. */
    struct object_entry entry;
    bool in_entry; /* a leaf of it has come */
    bool size_known;
};

struct list_call {
    struct s3_call base;
    struct store_page *page;
    const char *after;
    int page_keys;                     /* how many are asked for */
    struct buf key;                    /* of the entry that is coming */
    struct buf token;                  /* where the listing goes on */
    char strange_name[S3_BUCKET_SIZE]; /* the bucket that a listing was about, if it was not ours */
    struct listing is;
};

/* ---- what is asked ---- */

static void build_query(const struct list_call *list, struct buf *query)
{
    const char *position = page_position(list->page);
    const char *prefix = list->base.base.key;

    buf_clear(query);
    if (position[0] != '\0') {
        buf_puts(query, "continuation-token=");
        uri_encode(query, position, "");
        buf_putc(query, '&');
    }
    if (!list->base.store->plain_keys)
        buf_puts(query, "encoding-type=url&");
    buf_printf(query, "list-type=2&max-keys=%d", list->page_keys);
    if (prefix[0] != '\0') {
        buf_puts(query, "&prefix=");
        uri_encode(query, prefix, "");
    }
    if (list->after[0] != '\0' && position[0] == '\0') {
        buf_puts(query, "&start-after=");
        uri_encode(query, list->after, "");
    }
}

/* What was learnt from the last attempt shows in the next one's query. */
static void list_prepare(struct s3_call *c)
{
    struct list_call *list = (struct list_call *)c;

    list->is = (struct listing){.entry = {.modified = CLOCK_UNKNOWN}};
    page_reset(list->page);
    buf_clear(&list->key);
    buf_clear(&list->token);
    build_query(list, &c->query);
}

/* ---- the entries ---- */

/* Does XML 1.0 have a way to write this key? */
static bool is_xml_safe(const char *key)
{
    for (; *key != '\0'; key++)
        if ((unsigned char)*key < 0x20 && *key != '\t' && *key != '\n' && *key != '\r')
            return false;
    return true;
}

static bool is_url_encoded(const char *key)
{
    return strchr(key, '%') != NULL || strchr(key, '+') != NULL;
}

/* The key of the current entry, decoded where the service encodes them. A space is "+" from Amazon and "%20"
 * from RGW; both write a plus sign as "%2B". */
static bool decode_key(struct list_call *list, struct error *error)
{
    struct buf *key = &list->key;
    bool encoded = !list->base.store->plain_keys && is_url_encoded(buf_str(key));

    if (encoded && !uri_decode(key->data, true)) {
        list->is.undecodable = true;
        return error_set(error, ERROR_PROTOCOL, "a key in the listing is not URL-encoded as was asked for");
    }
    list->is.decoded |= encoded;
    list->is.entry.key = buf_str(key);
    if (list->is.entry.key[0] == '\0' || strlen(list->is.entry.key) > OBJECT_KEY_MAX)
        return error_set(error, ERROR_PROTOCOL, "the listing has a key of %zu bytes",
                         strlen(list->is.entry.key));
    return true;
}

static bool on_entry_end(struct list_call *list, struct error *error)
{
    struct listing *is = &list->is;

    if (!decode_key(list, error))
        return false;
    if (!is->size_known)
        return error_set(error, ERROR_PROTOCOL, "the listing does not say how large \"%.100s\" is",
                         is->entry.key);
    if (!page_receive(list->page, &is->entry))
        return error_set(error, ERROR_LOCAL, "out of memory");
    is->keys++;
    if (is_xml_safe(is->entry.key))
        is->safe_keys = is->keys;
    list->base.reply.understood = true;
    buf_clear(&list->key);
    is->entry = (struct object_entry){.modified = CLOCK_UNKNOWN};
    is->in_entry = is->size_known = false;
    return true;
}

/* A listing does not tell which objects are encrypted: the ETags of these look like MD5s, too. */
static bool on_entry_leaf(struct list_call *list, const char *name, const char *text, struct error *error)
{
    struct listing *is = &list->is;

    is->in_entry = true;
    if (strcmp(name, "Key") == 0) {
        buf_clear(&list->key);
        return buf_puts(&list->key, text) || error_set(error, ERROR_LOCAL, "out of memory");
    }
    if (strcmp(name, "Size") == 0)
        is->size_known = exchange_number(text, &is->entry.size);
    else if (strcmp(name, "LastModified") == 0)
        is->entry.modified = clock_parse_rfc3339(text);
    else if (strcmp(name, "ETag") == 0)
        s3_read_etag(text, is->entry.version, &is->entry.hash);
    return true;
}

/* Is this the prefix that was asked for, plain or encoded? Where none is told, nothing is said. */
static bool is_own_prefix(struct list_call *list, const char *text)
{
    const char *prefix = list->base.base.key;
    struct buf *decoded = &list->key; /* between two entries nobody needs it */
    bool same = text[0] == '\0' || strcmp(text, prefix) == 0;

    if (!same) {
        buf_clear(decoded);
        same =
            buf_puts(decoded, text) && uri_decode(decoded->data, true) && strcmp(decoded->data, prefix) == 0;
    }
    buf_clear(decoded);
    return same;
}

static bool list_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    static const size_t entry_len = sizeof "Contents" - 1;
    struct list_call *list = (struct list_call *)c;
    struct listing *is = &list->is;

    /* Behind a leaf of an entry nothing can end but others, and then the entry. */
    if (is->in_entry ? path[entry_len] == '/' : text_begins(path, "Contents/"))
        return on_entry_leaf(list, path + entry_len + 1, text, error);
    if (is->in_entry || strcmp(path, "Contents") == 0)
        return on_entry_end(list, error);
    if (strcmp(path, "IsTruncated") == 0) {
        is->truncated = strcmp(text, "true") == 0;
        is->ends = strcmp(text, "false") == 0;
    } else if (strcmp(path, "EncodingType") == 0) {
        is->url_encoded = strcmp(text, "url") == 0;
    } else if (strcmp(path, "Prefix") == 0) {
        is->other_prefix = !is_own_prefix(list, text);
    } else if (strcmp(path, "Name") == 0) {
        s3_copy_text(is->bucket, sizeof is->bucket, text);
    } else if (strcmp(path, "NextContinuationToken") == 0) {
        return buf_puts(&list->token, text) || error_set(error, ERROR_LOCAL, "out of memory");
    }
    return true;
}

/* ---- what follows from it ---- */

/* A page whose end is a key that XML cannot hold: RGW's continuation token is that key, unencoded. Ask for a
 * page that ends with another key. */
static bool shorten_page(struct list_call *list)
{
    int keys = list->is.safe_keys > 0 ? list->is.safe_keys : list->page_keys / 2;

    if (list->base.reply.root_closed || keys == 0 || keys >= list->page_keys)
        return false;
    list->page_keys = keys;
    return true;
}

/* A service that ignores encoding-type does not say that keys are encoded. */
static bool learn_plain_keys(struct list_call *list)
{
    const struct listing *is = &list->is;

    if (list->base.store->plain_keys || is->url_encoded || (!is->undecodable && !is->decoded))
        return false;
    list->base.store->plain_keys = true;
    return true;
}

static bool list_misread(struct s3_call *c, bool malformed)
{
    struct list_call *list = (struct list_call *)c;

    return learn_plain_keys(list) || (malformed && shorten_page(list));
}

/* Is the answer about our bucket and prefix? Caches that look at too little of a request, and connections on which
 * answers have slipped, give the listing of another, which would make two buckets look alike. A gateway may know
 * the bucket by a name of its own; it says the same when it is asked again. */
static bool is_own_listing(struct list_call *list)
{
    struct store_s3 *store = list->base.store;
    const char *told = list->is.bucket;
    const char *tenant = strrchr(store->bucket, ':'); /* RGW's "tenant:bucket" is told without the tenant */

    if (list->is.other_prefix)
        return false;
    if (told[0] == '\0' || strcmp(told, store->told_name) == 0 ||
        (tenant != NULL && strcmp(told, tenant + 1) == 0))
        return true;
    if (strcmp(told, list->strange_name) == 0)
        memcpy(store->told_name, told, sizeof store->told_name);
    memcpy(list->strange_name, told, sizeof list->strange_name);
    return strcmp(told, store->told_name) == 0;
}

static enum http_verdict list_answered(struct s3_call *c, struct error *error)
{
    struct list_call *list = (struct list_call *)c;
    const struct listing *is = &list->is;

    if (!is_own_listing(list)) {
        error_set(error, ERROR_PROTOCOL, "the answer is the listing of another bucket or prefix");
        return exchange_retry(&c->base, HTTP_RETRY);
    }
    if (learn_plain_keys(list)) {
        error_set(error, ERROR_PROTOCOL, "the service URL-encodes keys against its word");
        return HTTP_RETRY_NOW;
    }
    /* What a listing leaves out would look as if it were missing. */
    if (!is->ends && !is->truncated)
        error_set(error, ERROR_PROTOCOL, "the listing does not say whether it is complete");
    else if (is->truncated && list->token.len == 0)
        error_set(error, ERROR_PROTOCOL, "the listing goes on, but does not say from where");
    else if (!page_end(list->page, is->truncated ? buf_str(&list->token) : NULL))
        error_set(error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

static void list_release(struct s3_call *c)
{
    struct list_call *list = (struct list_call *)c;

    buf_free(&list->key);
    buf_free(&list->token);
}

static const struct s3_operation list_operation = {
    .base = {.method = "GET", .doing = "listing"},
    .size = sizeof(struct list_call),
    .permission = "s3:ListBucket",
    .root = "ListBucketResult",
    .about_bucket = true,
    .prepare = list_prepare,
    .element = list_element,
    .misread = list_misread,
    .answered = list_answered,
    .release = list_release,
};

void s3_list(struct store *store, struct call *call, const struct store_range *range, struct store_page *page)
{
    struct s3_call *c = s3_begin(store, call, &list_operation, range->prefix);
    struct list_call *list = (struct list_call *)c;

    if (c == NULL)
        return;
    list->page = page;
    list->after = range->after;
    list->page_keys = page_keys(page);
    buf_init(&list->key, XML_TEXT_MAX);
    buf_init(&list->token, S3_QUERY_MAX);
    s3_submit(c);
}

#include "admin_request.h"

#include "address.h"
#include "hash.h"
#include "json.h"
#include "text.h"
#include "utf8.h"

#include <string.h>
#include <strings.h>

#define HOST_SIZE 256
#define PATH_MAX_LENGTH 1024

/* ---- routes ---- */

static const struct {
    const char *path, *method;
    bool changes; /* something: it needs the token */
} routes[] = {
    [ADMIN_PAGE] = {"/", "GET", false},
    [ADMIN_HEALTHZ] = {"/healthz", "GET", false},
    [ADMIN_READYZ] = {"/readyz", "GET", false},
    [ADMIN_STATUS] = {"/status", "GET", false},
    [ADMIN_EVENTS] = {"/events", "GET", false},
    [ADMIN_METRICS] = {"/metrics", "GET", false},
    [ADMIN_SYNC] = {"/sync", "POST", true},
    [ADMIN_VALIDATE] = {"/validate", "POST", true},
    [ADMIN_ROLLBACK] = {"/rollback", "POST", true},
    [ADMIN_RUN] = {"/run", "DELETE", true},
};
#define ROUTES (sizeof routes / sizeof routes[0])

static bool refuse_request(struct admin_refusal *refusal, unsigned status, const char *code,
                           const char *message)
{
    *refusal = (struct admin_refusal){.status = status, .code = code, .message = message};
    return false;
}

static bool find_route(const struct admin_head *head, enum admin_route *route, struct admin_refusal *refusal)
{
    size_t i = 0;

    while (i < ROUTES && strcmp(routes[i].path, head->path) != 0)
        i++;
    if (i == ROUTES)
        return refuse_request(refusal, 404, "not-found", "there is nothing here");
    *route = (enum admin_route)i;
    if (strcmp(head->method, routes[i].method) == 0 ||
        (strcmp(head->method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0))
        return true;
    refuse_request(refusal, 405, "method-not-allowed", "another method is needed here");
    refusal->allow = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
    return false;
}

/* ---- who asks ---- */

/* Without the port, which is behind the last colon that is in no brackets. */
static bool take_host(const char *text, char out[HOST_SIZE])
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL && strchr(colon, ']') == NULL ? (size_t)(colon - text) : strlen(text);

    if (len >= HOST_SIZE)
        return false;
    memcpy(out, text, len);
    out[len] = '\0';
    return true;
}

static bool is_among(const char *name, const char *names)
{
    while (*names != '\0') {
        size_t len = strcspn(names, ",");
        struct text_piece piece = text_trim(names, len, TEXT_SPACE);

        if (piece.len > 0 && strlen(name) == piece.len && strncasecmp(name, piece.at, piece.len) == 0)
            return true;
        names += len + (names[len] != '\0');
    }
    return false;
}

/* HTTP/1.0 has none, and no browser speaks that. */
static bool is_own_host(const char *host, const char *names)
{
    char name[HOST_SIZE];

    return host == NULL || (take_host(host, name) && (strcasecmp(name, "localhost") == 0 ||
                                                      address_is_literal(name) || is_among(name, names)));
}

/* A page that came from here, by whatever stands before us. */
static bool is_own_origin(const char *origin, const char *host)
{
    static const char http[] = "http://", https[] = "https://";

    if (origin == NULL)
        return true;
    if (text_begins(origin, http))
        origin += sizeof http - 1;
    else if (text_begins(origin, https))
        origin += sizeof https - 1;
    else
        return false;
    return host != NULL && strcasecmp(origin, host) == 0;
}

/* In a time that tells nothing of the token: hashes are compared, and all of them. */
static bool knows_token(const char *authorization, const char *expected)
{
    static const char scheme[] = "Bearer ";
    char hash[HASH_SIZE];
    unsigned differ = 0;

    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    authorization += sizeof scheme - 1;
    authorization += strspn(authorization, " ");
    hash_sha256(authorization, strlen(authorization), hash);
    for (size_t i = 0; i < sizeof hash - 1; i++)
        differ |= (unsigned)(hash[i] ^ expected[i]);
    return differ == 0;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";

    if (type == NULL)
        return true;
    if (strncasecmp(type, json, sizeof json - 1) != 0)
        return false;
    type += sizeof json - 1;
    type += strspn(type, " \t");
    return *type == '\0' || *type == ';';
}

bool admin_admit(const struct admin_head *head, const struct wire_admin *guard, bool local,
                 enum admin_route *route, struct admin_refusal *refusal)
{
    if (!local && !is_own_host(head->host, guard->hosts))
        return refuse_request(
            refusal, 421, "wrong-host",
            "this name is not known here: call it by an address or as localhost, or set admin_hosts");
    if (!find_route(head, route, refusal))
        return false;
    if (!routes[*route].changes)
        return true;
    if (!is_own_origin(head->origin, head->host))
        return refuse_request(refusal, 403, "wrong-origin", "this comes from the page of another site");
    if (guard->token[0] == '\0')
        return refuse_request(refusal, 403, "read-only",
                              "nothing can be changed here: no admin_token is set");
    if (!knows_token(head->authorization, guard->token))
        return refuse_request(refusal, 401, "unauthorized",
                              "the token is missing or wrong (Authorization: Bearer TOKEN)");
    if (!is_json(head->content_type))
        return refuse_request(refusal, 415, "unsupported-media-type", "the body has to be application/json");
    return true;
}

/* ---- what for ---- */

static bool is_usable_path(const char *path, size_t len)
{
    if (len == 0 || len > PATH_MAX_LENGTH || !utf8_is_text(path))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7F)
            return false;
    return true;
}

static bool add_order_path(struct admin_order *order, const char *path, size_t len)
{
    char *copy = order->text + order->len;

    if (order->path_count == SETTINGS_PATHS_MAX || len >= sizeof order->text - order->len)
        return false;
    memcpy(copy, path, len);
    copy[len] = '\0';
    if (!is_usable_path(copy, len))
        return false;
    order->paths[order->path_count++] = copy;
    order->len += len + 1;
    return true;
}

static bool add_listed_paths(struct admin_order *order, const char *paths)
{
    for (;; paths++) {
        size_t len = strcspn(paths, ",");

        if (!add_order_path(order, paths, len))
            return false;
        paths += len;
        if (*paths == '\0')
            return true;
    }
}

/* As --rollback RUN. */
static bool take_run(struct admin_order *order, const char *text)
{
    for (order->run = 0; text_is_digit(*text) && order->run < UINT32_MAX; text++)
        order->run = order->run * 10 + (uint64_t)(*text - '0');
    return *text == '\0' && order->run > 0;
}

bool admin_order_argument(struct admin_order *order, enum admin_route route, const char *name,
                          const char *value)
{
    if (route == ADMIN_ROLLBACK)
        return strcmp(name, "run") == 0 && value != NULL && take_run(order, value);
    if (route != ADMIN_SYNC)
        return false;
    if (strcmp(name, "paths") == 0)
        return value != NULL && add_listed_paths(order, value);
    if (strcmp(name, "dry_run") != 0)
        return false;
    order->dry_run = value == NULL || strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
    return order->dry_run || strcmp(value, "false") == 0 || strcmp(value, "0") == 0;
}

static bool take_paths(struct admin_order *order, yyjson_val *paths)
{
    size_t i, count;
    yyjson_val *path;

    if (!yyjson_is_arr(paths))
        return false;
    yyjson_arr_foreach(paths, i, count, path)
    {
        if (!yyjson_is_str(path) || strlen(yyjson_get_str(path)) != yyjson_get_len(path) ||
            !add_order_path(order, yyjson_get_str(path), yyjson_get_len(path)))
            return false;
    }
    return count > 0; /* none of them must not mean all */
}

static bool take_member(struct admin_order *order, enum admin_route route, yyjson_val *name,
                        yyjson_val *value)
{
    if (route == ADMIN_ROLLBACK) {
        order->run = yyjson_get_uint(value);
        return yyjson_equals_str(name, "run") && yyjson_is_uint(value) && order->run > 0;
    }
    if (route != ADMIN_SYNC)
        return false;
    if (yyjson_equals_str(name, "paths"))
        return take_paths(order, value);
    if (!yyjson_equals_str(name, "dry_run") || !yyjson_is_bool(value))
        return false;
    order->dry_run = yyjson_get_bool(value);
    return true;
}

bool admin_order_body(struct admin_order *order, enum admin_route route, const char *body, size_t len)
{
    struct error ignored;
    yyjson_doc *doc;
    yyjson_val *root, *name, *value;
    size_t i, count;
    bool good;

    if (len == 0)
        return true;
    doc = json_parse(body, len, &ignored);
    root = yyjson_doc_get_root(doc);
    good = yyjson_is_obj(root);
    yyjson_obj_foreach(root, i, count, name, value)
    {
        good = good && take_member(order, route, name, value);
    }
    yyjson_doc_free(doc);
    return good;
}

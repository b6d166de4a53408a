#include "status.h"

#include "report_internal.h"

#include "json.h"
#include "log.h"
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct status_places defaults = {STATUS_DEFAULT, STATUS_FALLBACK};
static const struct status_places defaults_by_hand = {STATUS_DEFAULT STATUS_BY_HAND,
                                                      STATUS_FALLBACK STATUS_BY_HAND};

/* Of a run by hand, beside that of deployments. The rest of the path is cut, and the file not there. */
static void name_beside(const char *path, char beside[PATH_MAX])
{
    snprintf(beside, PATH_MAX, "%s%s", path, *path != '\0' ? STATUS_BY_HAND : "");
}

/* ---- writing ---- */

static bool write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool write_place(const char *path, const struct buf *json, struct error *error)
{
    return replace_file(path, "the status file", json, error);
}

static void make_status_directory(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path || (size_t)(slash - path) >= sizeof directory)
        return;
    memcpy(directory, path, (size_t)(slash - path));
    directory[slash - path] = '\0';
    mkdir(directory, 0755); /* if it fails, so will what comes next, and tell why */
}

bool status_write_places(const struct status_places *places, const struct buf *json, struct error *error)
{
    struct error second;

    make_status_directory(places->first);
    if (write_place(places->first, json, error) || write_place(places->second, json, &second))
        return true;
    return error_set(error, error->kind, "%.200s; %.200s", error->text, second.text);
}

static bool write_status(const char *path, const struct status_places *places, const struct buf *json,
                         struct error *error)
{
    return *path != '\0' ? write_place(path, json, error) : status_write_places(places, json, error);
}

bool status_write(const char *path, const struct buf *json, struct error *error)
{
    return write_status(path, &defaults, json, error);
}

void status_termination_log(const char *path, const char *text)
{
    struct stat info;
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && ftruncate(fd, 0) == 0)
        write_all(fd, text, strlen(text));
    close(fd);
}

/* ---- reading ---- */

/* -1 with *error. Without waiting: a FIFO opens at once, and is then refused. */
static int open_regular(const char *path, int flags, struct stat *info, struct error *error)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);

    if (fd < 0) {
        error_set_errno(error, "cannot read the status file %s", path);
        return -1;
    }
    if (fstat(fd, info) == 0 && S_ISREG(info->st_mode))
        return fd;
    close(fd);
    error_set(error, ERROR_LOCAL, "cannot read the status file %s: not a regular file", path);
    return -1;
}

/* Closes `fd`. */
static bool read_all(int fd, const char *path, struct buf *out, struct error *error)
{
    char chunk[4096];
    ssize_t n;
    bool ok = true;

    buf_clear(out);
    do {
        n = read(fd, chunk, sizeof chunk);
        if (n > 0)
            ok = out->len + (size_t)n <= JSON_MAX && buf_append(out, chunk, (size_t)n);
    } while (ok && (n > 0 || (n < 0 && errno == EINTR)));
    if (ok && n < 0)
        ok = error_set_errno(error, "cannot read the status file %s", path);
    else if (!ok)
        error_set(error, ERROR_LOCAL, "cannot read the status file %s: too large", path);
    close(fd);
    return ok;
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

bool status_read_places(const struct status_places *places, struct buf *out, const char **found,
                        struct error *error)
{
    struct stat first_info;
    struct stat second_info;
    struct error ignored;
    int first = open_regular(places->first, 0, &first_info, error);
    int second = open_regular(places->second, O_NOFOLLOW, &second_info, &ignored);

    if (second >= 0 && second_info.st_uid != 0 && second_info.st_uid != geteuid()) {
        close(second);
        second = -1;
        if (first < 0)
            return error_set(error, ERROR_PERMISSION, "the status file %s is another user's", places->second);
    }
    if (first < 0 && second < 0) {
        if (error->kind == ERROR_NOT_FOUND)
            error_set(error, ERROR_NOT_FOUND, "no status file: neither %s nor %s", places->first,
                      places->second);
        return false;
    }
    bool take_second = first < 0 || (second >= 0 && is_newer(&second_info, &first_info));
    const char *path = take_second ? places->second : places->first;
    int unused = take_second ? first : second;
    if (unused >= 0)
        close(unused);
    if (found != NULL)
        *found = path;
    return read_all(take_second ? second : first, path, out, error);
}

static bool read_status(const char *path, const struct status_places *places, struct buf *out,
                        const char **found, struct error *error)
{
    struct stat info;

    if (*path == '\0')
        return status_read_places(places, out, found, error);
    int fd = open_regular(path, 0, &info, error);
    if (fd < 0)
        return false;
    if (found != NULL)
        *found = path;
    return read_all(fd, path, out, error);
}

/* ---- runs by hand ---- */

/* Is it the document of a run that an application waited for? */
static bool is_of_deployment(const struct buf *json)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(buf_str(json), json->len, &ignored);
    bool is = yyjson_is_obj(yyjson_doc_get_root(doc)) && !report_is_by_hand(yyjson_doc_get_root(doc));

    yyjson_doc_free(doc);
    return is;
}

bool status_write_by_hand(const char *path, const struct buf *json, struct error *error)
{
    char beside[PATH_MAX];
    struct error ignored;
    struct buf there;
    bool taken;

    buf_init(&there, JSON_MAX);
    taken = read_status(path, &defaults, &there, NULL, &ignored) && is_of_deployment(&there);
    buf_free(&there);
    if (!taken)
        return status_write(path, json, error);
    name_beside(path, beside);
    return write_status(beside, &defaults_by_hand, json, error);
}

/* The later of both runs' last sync is the last sync. */
static void take_last_sync(yyjson_mut_doc *doc, yyjson_val *root, yyjson_val *by_hand)
{
    yyjson_val *last = yyjson_obj_get(by_hand, "lastSync");

    if (strcmp(json_text(last, "finishedAt", ""),
               json_text(yyjson_obj_get(root, "lastSync"), "finishedAt", "")) > 0)
        yyjson_mut_obj_put(yyjson_mut_doc_get_root(doc), yyjson_mut_str(doc, "lastSync"),
                           yyjson_val_mut_copy(doc, last));
}

/* Puts the run by hand into the document of the deployment, as its member `manual`. */
static void join_documents(struct buf *json, const struct buf *by_hand)
{
    struct error ignored;
    yyjson_doc *main = json_parse(buf_str(json), json->len, &ignored);
    yyjson_doc *other = json_parse(buf_str(by_hand), by_hand->len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(main), *manual = yyjson_doc_get_root(other);
    struct buf joined;

    buf_init(&joined, json->max);
    if (yyjson_is_obj(root) && yyjson_is_obj(manual) && !report_is_by_hand(root)) {
        yyjson_mut_doc *doc = yyjson_doc_mut_copy(main, NULL);

        take_last_sync(doc, root, manual);
        yyjson_mut_obj_put(yyjson_mut_doc_get_root(doc), yyjson_mut_str(doc, "manual"),
                           yyjson_val_mut_copy(doc, manual));
        if (json_write(doc, true, &joined) && buf_putc(&joined, '\n')) {
            buf_clear(json);
            buf_append(json, joined.data, joined.len);
        }
        yyjson_mut_doc_free(doc);
    }
    buf_free(&joined);
    yyjson_doc_free(main);
    yyjson_doc_free(other);
}

bool status_read(const char *path, struct buf *out, const char **found, struct error *error)
{
    char beside[PATH_MAX];
    struct error ignored;
    struct buf by_hand;

    if (!read_status(path, &defaults, out, found, error))
        return false;
    name_beside(path, beside);
    buf_init(&by_hand, JSON_MAX);
    if (read_status(beside, &defaults_by_hand, &by_hand, NULL, &ignored))
        join_documents(out, &by_hand);
    buf_free(&by_hand);
    return true;
}

/* ---- health ---- */

/* Has a run by hand done since what the deployment's did not? Only one that synced the same. */
static bool is_mended(yyjson_val *root, enum report_state state)
{
    yyjson_val *last = yyjson_obj_get(root, "lastSync");
    const char *job = json_text(root, "job", "");

    return state > REPORT_WAITING && *job != '\0' && strcmp(json_text(last, "job", ""), job) == 0 &&
           strcmp(json_text(last, "finishedAt", ""), json_text(root, "finishedAt", "~")) > 0;
}

/* A sync that nothing waits for is no reason to restart what runs beside it. */
static bool goes_on_beside(yyjson_val *root, enum report_state state, const char *death)
{
    return state <= REPORT_WAITING && death == NULL && json_flag(root, "asked", false);
}

static bool judge_document(yyjson_val *root, struct buf *why)
{
    bool healthy;
    const char *death;
    char safe[LOG_SAFE_SIZE];
    enum report_state state;
    int64_t schema = json_number(root, "schema", 0);
    const char *name = json_text(root, "state", "");

    if (schema != REPORT_SCHEMA) {
        buf_printf(why, "unhealthy: not a status document of schema %d", REPORT_SCHEMA);
        return false;
    }
    if (!report_state_parse(name, &state)) {
        buf_printf(why, "unhealthy: unknown state \"%s\"", log_safe(name, safe));
        return false;
    }
    death = report_death(root);
    healthy = report_state_healthy(state);
    if (!healthy && is_mended(root, state)) {
        buf_printf(why, "healthy (%s, then synced by hand at %s)", report_state_name(state),
                   log_safe(json_text(yyjson_obj_get(root, "lastSync"), "finishedAt", ""), safe));
        return true;
    }
    healthy = healthy || goes_on_beside(root, state, death);
    buf_printf(why, "%s (%s%s): %s", healthy ? "healthy" : "unhealthy", report_state_name(state),
               report_is_by_hand(root) ? ", by hand" : "",
               death != NULL ? death : log_safe(json_text(root, "message", ""), safe));
    return healthy;
}

int status_health(const struct buf *json, struct buf *why)
{
    struct error error;
    yyjson_doc *doc = json_parse(buf_str(json), json->len, &error);

    if (doc == NULL) {
        buf_printf(why, "unhealthy: status file: %s", error.text);
        return 1;
    }
    bool healthy = judge_document(yyjson_doc_get_root(doc), why);
    yyjson_doc_free(doc);
    return healthy ? 0 : 1;
}

bool status_health_json(const struct buf *json, int code, const char *why, struct buf *out)
{
    static const char *const names[] = {"state",      "mode",      "deploymentId",
                                        "finishedAt", "updatedAt", "message"};
    struct error ignored;
    yyjson_doc *found = json_parse(buf_str(json), json->len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(found);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *answer = yyjson_mut_obj(doc);
    bool good =
        yyjson_mut_obj_add_bool(doc, answer, "healthy", code == 0) && json_add_text(doc, answer, "why", why);

    for (size_t i = 0; good && i < sizeof names / sizeof names[0]; i++)
        good = json_add_text(doc, answer, names[i], json_text(root, names[i], NULL));
    yyjson_mut_doc_set_root(doc, answer);
    good = good && json_write(doc, true, out);
    yyjson_mut_doc_free(doc);
    yyjson_doc_free(found);
    return good;
}

#include "access.h"

#include "cursor.h"
#include "json.h"
#include "loop.h"
#include "stop.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

/* A create that succeeds although the probe is there: once may be the fault of another check, which has just removed it. */
#define CREATES_MAX 2

/* How long removing the probe may take, in ms. */
#define REMOVE_LIMIT 10000

static const char probe_body[] = "{}";
static const char no_object[] = "no object is known to try it with";

/* The check of one side. */
struct access_check {
    const struct run *run;
    struct access_side *side;
    struct call call;
    bool hopeless; /* no more is to be asked there */
    bool left;     /* the probe is there, or may be */
};

/* ---- what is found ---- */

static enum access_state state_of_answer(const struct error *error)
{
    switch (error->kind) {
    case ERROR_NONE:
        return ACCESS_GRANTED;
    case ERROR_PERMISSION:
        return ACCESS_MISSING;
    case ERROR_UNSUPPORTED:
        return ACCESS_UNSUPPORTED;
    default:
        return ACCESS_FAILED;
    }
}

static void add_right(struct access_check *check, const char *name, enum access_state state,
                      const struct error *error)
{
    check->side->rights[check->side->count++] = (struct access_right){name, state, *error};
    check->hopeless |= state == ACCESS_FAILED;
}

static void add_answer(struct access_check *check, const char *name, const struct error *error)
{
    add_right(check, name, state_of_answer(error), error);
}

static void add_not_asked(struct access_check *check, const char *name, const char *why)
{
    struct error error;

    error_set(&error, ERROR_NONE, "%s", why);
    add_right(check, name, ACCESS_NOT_ASKED, &error);
}

/* Is there any use in trying this right? */
static bool may_ask(struct access_check *check, const char *name)
{
    struct error why = {.kind = ERROR_NONE};

    if (check->hopeless)
        add_not_asked(check, name, "after what failed before");
    else if (stop_requested(&why))
        add_answer(check, name, &why);
    else
        return true;
    return false;
}

/* ---- listing ---- */

/* Puts the first key below `prefix` into `key`, if there is one. */
static bool find_first(struct store *store, const char *prefix, char key[OBJECT_KEY_MAX + 1],
                       struct error *error)
{
    struct cursor *cursor = cursor_open(store, &(struct store_range){.prefix = prefix}, error);
    const struct object_entry *entry;
    enum cursor_state state;

    if (cursor == NULL)
        return false;
    state = cursor_wait(cursor, &entry, error);
    if (state == CURSOR_ENTRY && entry->unreadable)
        cursor_explain(cursor, error);
    else if (state == CURSOR_ENTRY)
        snprintf(key, OBJECT_KEY_MAX + 1, "%s", entry->key);
    cursor_close(cursor);
    return error->kind == ERROR_NONE;
}

/* Lists every path, and `more` unless it is NULL. `key` becomes the first one there is, or "". */
static void check_listing(struct access_check *check, const char *more, char key[OBJECT_KEY_MAX + 1])
{
    const struct settings *settings = check->run->settings;
    struct error error = {.kind = ERROR_NONE};
    char found[OBJECT_KEY_MAX + 1];

    key[0] = '\0';
    if (!may_ask(check, "list"))
        return;
    for (int i = 0; error.kind == ERROR_NONE && i < settings_path_count(settings); i++) {
        found[0] = '\0';
        if (find_first(check->side->store, settings_path(settings, i), found, &error) && key[0] == '\0')
            memcpy(key, found, sizeof found);
    }
    if (error.kind == ERROR_NONE && more != NULL)
        find_first(check->side->store, more, found, &error);
    add_answer(check, "list", &error);
}

/* ---- reading ---- */

/* An object that is too large to be read like this shows it as well, by its size or its beginning. */
static bool is_readable(const struct call *call)
{
    bool too_large = call->body.len > 0 || (call->head_known && call->info.size > STORE_SMALL_MAX);

    return call->error.kind == ERROR_NONE || (call->error.kind == ERROR_UNSUPPORTED && too_large);
}

/* `key` is there, or "". A key that is not there would show nothing: Ceph RGW says so to everybody who may list. */
static void check_reading(struct access_check *check, const char *key)
{
    struct call *call = &check->call;

    if (!may_ask(check, "read"))
        return;
    if (key[0] == '\0') {
        add_not_asked(check, "read", no_object);
        return;
    }
    store_read(check->side->store, call, key);
    store_wait(call);
    if (is_readable(call))
        error_clear(&call->error);
    add_answer(check, "read", &call->error);
}

typedef void asking(struct store *store, struct call *call, const char *key);

/* Tags or ACL of that object. A store without them has none that anybody would have to read. */
static void check_asking(struct access_check *check, const char *right, asking *ask, const char *key)
{
    struct call *call = &check->call;

    if (!may_ask(check, right))
        return;
    if (key[0] == '\0') {
        add_not_asked(check, right, no_object);
        return;
    }
    ask(check->side->store, call, key);
    if (store_wait(call) || call->error.kind != ERROR_UNSUPPORTED)
        add_answer(check, right, &call->error);
}

static void check_source(struct access_check *check)
{
    char key[OBJECT_KEY_MAX + 1];

    check_listing(check, NULL, key);
    check_reading(check, key);
    if (check->run->settings->tags != TAGS_IGNORE)
        check_asking(check, "read-tags", store_tags, key);
    if (check->run->settings->acl == ACL_COPY)
        check_asking(check, "read-acl", store_acl, key);
}

/* ---- writing ---- */

static bool write_probe(struct access_check *check, const char *key, const struct store_condition *condition)
{
    store_write(check->side->store, &check->call, key, probe_body, sizeof probe_body - 1, condition);
    return store_wait(&check->call);
}

/* No answer came, so it is not known. */
static bool may_have_happened(const struct error *error)
{
    return error->kind == ERROR_UNREACHABLE || error->kind == ERROR_TIMEOUT ||
           error->kind == ERROR_INTERRUPTED;
}

/* True if the probe is there now. */
static bool check_writing(struct access_check *check, const char *key)
{
    if (!may_ask(check, "write"))
        return false;
    check->left = write_probe(check, key, NULL) || may_have_happened(&check->call.error);
    add_answer(check, "write", &check->call.error);
    return check->call.error.kind == ERROR_NONE;
}

/* The probe is there, so a create has to be refused for that. */
static void check_create(struct access_check *check, const char *key)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    struct error *error = &check->call.error;
    bool created = true;

    if (!may_ask(check, "create-if-absent"))
        return;
    for (int i = 0; created && i < CREATES_MAX; i++)
        created = write_probe(check, key, &absent);
    if (created)
        error_set(error, ERROR_UNSUPPORTED, "the service takes no notice of the condition");
    else if (error->kind == ERROR_PRECONDITION)
        error_clear(error);
    add_answer(check, "create-if-absent", error);
}

/* What was written goes, also after a stop. */
static void check_removing(struct access_check *check, const char *key)
{
    if (!check->left && !may_ask(check, "remove"))
        return;
    store_remove(check->side->store, &check->call, key);
    store_wait_for(&check->call, REMOVE_LIMIT);
    add_answer(check, "remove", &check->call.error);
}

static void check_destination(struct access_check *check)
{
    const char *const prefix = check->run->job.prefix;
    char key[OBJECT_KEY_MAX + 1], probe[JOB_PREFIX_SIZE + sizeof ACCESS_PROBE];
    bool dry = check->run->settings->dry_run != 0, written;

    snprintf(probe, sizeof probe, "%s" ACCESS_PROBE, prefix);
    check_listing(check, prefix, key);
    written = !dry && check_writing(check, probe);
    check_reading(check, written ? probe : key);
    if (dry) {
        for (const char *const *name = (const char *const[]){"write", "create-if-absent", "remove", NULL};
             *name != NULL; name++)
            add_not_asked(check, *name, "nothing is written (dry_run)");
        return;
    }
    if (written)
        check_create(check, probe);
    else
        add_not_asked(check, "create-if-absent", "nothing could be written");
    check_removing(check, probe);
}

/* ---- both sides ---- */

static void check_side(const struct run *run, struct access_side *side, struct store *store,
                       void (*what)(struct access_check *check))
{
    struct access_check check = {.run = run, .side = side};

    side->store = store;
    call_init(&check.call);
    what(&check);
    call_free(&check.call);
}

/* Keeps the error with the highest exit code, which is that of the whole check. */
static void find_worst(const struct access_side *side, const char *name, struct error *error)
{
    for (int i = 0; i < side->count; i++) {
        const struct access_right *right = &side->rights[i];
        bool counts = right->state == ACCESS_MISSING || right->state == ACCESS_FAILED;

        if (counts &&
            (error->kind == ERROR_NONE || error_exit_code(&right->error) > error_exit_code(error))) {
            *error = right->error;
            if (error->side == NULL)
                error_prefix(error, "%s: ", name);
        }
    }
}

void access_check(struct run *run, struct access *access, struct error *error)
{
    *access = (struct access){.source = {.count = 0}};
    if (!run_open(run, error))
        return;
    job_init(&run->job, run->settings, run->source, run->destination);
    check_side(run, &access->source, run->source, check_source);
    check_side(run, &access->destination, run->destination, check_destination);
    find_worst(&access->source, "source", error);
    find_worst(&access->destination, "destination", error);
}

/* ---- telling ---- */

static const char *state_word(enum access_state state)
{
    static const char *const words[] = {
        [ACCESS_GRANTED] = "ok",          [ACCESS_MISSING] = "missing",         [ACCESS_FAILED] = "failed",
        [ACCESS_NOT_ASKED] = "not asked", [ACCESS_UNSUPPORTED] = "unsupported",
    };

    return words[state];
}

static void put_side(const struct access_side *side, const char *name, struct buf *out)
{
    if (side->store == NULL)
        return;
    buf_printf(out, "%s %s\n", name, store_name(side->store));
    for (int i = 0; i < side->count; i++) {
        const struct access_right *right = &side->rights[i];

        buf_printf(out, "  %-17s %s", right->name, state_word(right->state));
        if (right->error.permission[0] != '\0')
            buf_printf(out, " %s", right->error.permission);
        if (right->state != ACCESS_GRANTED)
            buf_printf(out, ": %s", right->error.text);
        buf_putc(out, '\n');
    }
}

void access_put_text(const struct access *access, struct buf *out)
{
    put_side(&access->source, "source", out);
    put_side(&access->destination, "destination", out);
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

static bool add_json_right(yyjson_mut_doc *doc, yyjson_mut_val *array, const struct access_right *right)
{
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, array);
    bool granted = right->state == ACCESS_GRANTED;

    return object != NULL && json_add_text(doc, object, "right", right->name) &&
           json_add_text(doc, object, "state", state_word(right->state)) &&
           json_add_text(doc, object, "permission", text_or_null(right->error.permission)) &&
           json_add_text(doc, object, "error", granted ? NULL : text_or_null(right->error.text));
}

static bool add_json_side(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *name,
                          const struct access_side *side)
{
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, root, name);
    yyjson_mut_val *rights;

    if (object == NULL ||
        !json_add_text(doc, object, "bucket", side->store != NULL ? store_name(side->store) : NULL))
        return false;
    rights = yyjson_mut_obj_add_arr(doc, object, "rights");
    for (int i = 0; rights != NULL && i < side->count; i++)
        if (!add_json_right(doc, rights, &side->rights[i]))
            return false;
    return rights != NULL;
}

bool access_put_json(const struct access *access, const struct error *error, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    bool good = root != NULL;

    yyjson_mut_doc_set_root(doc, root);
    good = good && yyjson_mut_obj_add_bool(doc, root, "ok", error->kind == ERROR_NONE) &&
           json_add_text(doc, root, "error", text_or_null(error->text)) &&
           add_json_side(doc, root, "source", &access->source) &&
           add_json_side(doc, root, "destination", &access->destination) && json_write(doc, true, out);
    yyjson_mut_doc_free(doc);
    buf_putc(out, '\n');
    return good;
}

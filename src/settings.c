#include "object.h"
#include "settings_internal.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- state ---- */

void settings_add(struct settings_state *state, struct settings_lines *lines, const char *format, ...)
{
    va_list arguments;
    char *line;

    if (lines->count == SETTINGS_LINES_MAX)
        return;
    va_start(arguments, format);
    if (vasprintf(&line, format, arguments) < 0)
        state->no_memory = true;
    else
        lines->line[lines->count++] = line;
    va_end(arguments);
}

static const char *line_at(const struct settings_lines *lines, int index)
{
    return index >= 0 && index < lines->count ? lines->line[index] : NULL;
}

static void free_lines(struct settings_lines *lines)
{
    for (int i = 0; i < lines->count; i++)
        free(lines->line[i]);
    lines->count = 0;
}

void settings_forget(struct settings_value *value)
{
    if (value->text != NULL)
        explicit_bzero(value->text, strlen(value->text));
    free(value->text);
    free(value->origin);
    *value = (struct settings_value){.rank = RANK_DEFAULT};
}

static void set_defaults(struct settings *settings)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        settings_parse(settings, &slot, slot.fallback);
    }
}

/* ---- values ---- */

static void add_bad_value(struct settings_state *state, const struct slot *slot,
                          const struct settings_value *value)
{
    bool in_file = value->rank == RANK_FILE;
    char shown[72] = "the secret";
    struct buf expected;

    if (slot->setting->type != SETTING_SECRET)
        snprintf(shown, sizeof shown, "\"%.64s\"", value->text);
    buf_init(&expected, 256);
    settings_expected(slot->setting, &expected);
    settings_add(state, &state->problems, "%s: %s%s%s is not %s; using the default%s%s", value->label,
                 in_file ? slot->setting->name : "", in_file ? ": " : "", shown, buf_str(&expected),
                 *slot->fallback != '\0' ? " " : "", slot->fallback);
    state->no_memory |= expected.failed;
    buf_free(&expected);
}

static void set_values(struct settings *settings)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct settings_value *value = &settings->state->values[i];
        struct slot slot = settings_slot(i);

        if (value->text != NULL && !settings_parse(settings, &slot, value->text)) {
            add_bad_value(settings->state, &slot, value);
            settings_parse(settings, &slot, slot.fallback);
            settings_forget(value);
        }
    }
}

/* The parts of an access key are of no use alone. */
static void check_credentials(struct settings *settings, const struct side *side, const char *section)
{
    bool has_id = *side->access_key_id != '\0';
    bool has_secret = *side->secret_access_key != '\0';
    const char *set = "session_token";

    if (has_id == has_secret && (has_id || *side->session_token == '\0'))
        return;
    if (has_id)
        set = "access_key_id";
    else if (has_secret)
        set = "secret_access_key";
    settings_add(settings->state, &settings->state->problems, "%s: %s is set (%s), but %s is not", section,
                 set, settings->state->values[settings_find(section, set)].label,
                 has_id ? "secret_access_key" : "access_key_id");
}

static void add_bucket_note(struct settings *settings, const char *section)
{
    int index = settings_find(section, "bucket");
    struct slot slot = settings_slot(index);

    if (settings->state->values[index].rank == RANK_DEFAULT)
        settings_add(settings->state, &settings->state->notes,
                     "no %s bucket is set (%s): using the default, %s", section, slot.variables,
                     slot.fallback);
}

/* ---- paths ---- */

static bool is_inside(const char *path, const char *outer)
{
    return strncmp(path, outer, strlen(outer)) == 0;
}

/* Adds a prefix unless another one covers it, and drops those that it covers. False: there are too many. */
static bool add_prefix(struct settings_state *state, const char *prefix)
{
    struct settings_lines *paths = &state->paths;
    int kept = 0;

    for (int i = 0; i < paths->count; i++)
        if (is_inside(prefix, paths->line[i]))
            return true;
    for (int i = 0; i < paths->count; i++)
        if (is_inside(paths->line[i], prefix))
            free(paths->line[i]);
        else
            paths->line[kept++] = paths->line[i];
    paths->count = kept;
    if (kept == SETTINGS_PATHS_MAX)
        return false;
    settings_add(state, paths, "%s", prefix);
    return true;
}

/* `path` is /bucket/prefix. The bucket's name alone needs its slash: "public" is more likely a prefix that lacks
 * the bucket than a wish to sync everything. */
static void add_path(struct settings_state *state, const char *label, const char *path, size_t len)
{
    char prefix[OBJECT_KEY_MAX + 2];
    const char *rest;
    size_t left;

    while (len > 0 && isspace((unsigned char)*path))
        path++, len--;
    while (len > 0 && isspace((unsigned char)path[len - 1]))
        len--;
    if (len == 0)
        return;
    rest = memchr(path + 1, '/', len - 1);
    left = rest != NULL ? len - (size_t)(rest + 1 - path) : 0;
    if ((rest == NULL && (*path != '/' || len == 1)) || left > OBJECT_KEY_MAX) {
        settings_add(state, &state->problems, "%s: \"%.*s\" is not /bucket/prefix; it is left out", label,
                     len < 64 ? (int)len : 64, path);
        return;
    }
    snprintf(prefix, sizeof prefix, "%.*s%s", (int)left, rest != NULL ? rest + 1 : "",
             left > 0 && path[len - 1] != '/' ? "/" : "");
    if (!add_prefix(state, prefix))
        settings_add(state, &state->problems, "%s: more than %d paths; \"%s\" is left out", label,
                     SETTINGS_PATHS_MAX, prefix);
}

static void set_paths(struct settings *settings)
{
    struct settings_state *state = settings->state;
    const char *list = settings->public_object_search_paths;
    const char *label = state->values[settings_find("", "public_object_search_paths")].label;

    while (*list != '\0') {
        size_t len = strcspn(list, ",");

        add_path(state, label, list, len);
        list += len + (list[len] == ',');
    }
    add_path(state, state->values[settings_find("", "private_object_dir")].label,
             settings->private_object_dir, strlen(settings->private_object_dir));
    if (state->paths.count > 0)
        return;
    add_prefix(state, "public/");
    add_prefix(state, "private/");
    settings_add(state, &state->notes,
                 "neither PUBLIC_OBJECT_SEARCH_PATHS nor PRIVATE_OBJECT_DIR names a path: using public/ and "
                 "private/");
}

/* ---- the interface ---- */

bool settings_load(struct settings *settings, const struct settings_input *input, struct error *error)
{
    struct settings_state *state = calloc(1, sizeof *state);
    bool good;

    *settings = (struct settings){.state = state};
    set_defaults(settings);
    if (state == NULL)
        return error_set(error, ERROR_LOCAL, "settings: out of memory");
    good = settings_collect(state, input, &settings->config, error);
    set_values(settings);
    check_credentials(settings, &settings->source, "source");
    check_credentials(settings, &settings->destination, "destination");
    add_bucket_note(settings, "source");
    add_bucket_note(settings, "destination");
    set_paths(settings);
    if (state->no_memory)
        return error_set(error, ERROR_LOCAL, "settings: out of memory");
    return good;
}

void settings_free(struct settings *settings)
{
    struct settings_state *state = settings->state;

    if (state == NULL)
        return;
    for (int i = 0; i < SETTINGS_SLOTS; i++)
        settings_forget(&state->values[i]);
    free_lines(&state->problems);
    free_lines(&state->notes);
    free_lines(&state->paths);
    free(state);
    *settings = (struct settings){.state = NULL};
}

/* Without memory there is no state, and the settings are the defaults. */
static const struct settings_state *state_of(const struct settings *settings)
{
    static const struct settings_state nothing;

    return settings->state != NULL ? settings->state : &nothing;
}

const char *settings_problem(const struct settings *settings, int index)
{
    return line_at(&state_of(settings)->problems, index);
}

const char *settings_note(const struct settings *settings, int index)
{
    return line_at(&state_of(settings)->notes, index);
}

int settings_path_count(const struct settings *settings)
{
    return state_of(settings)->paths.count;
}

const char *settings_path(const struct settings *settings, int index)
{
    return line_at(&state_of(settings)->paths, index);
}

const char *settings_origin(const struct settings *settings, const void *field)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        const struct settings_value *value = &state_of(settings)->values[i];

        if ((const char *)settings + settings_slot(i).offset == field && value->origin != NULL)
            return value->origin;
    }
    return "default";
}

bool settings_is_default(const struct settings *settings, const void *field)
{
    return strcmp(settings_origin(settings, field), "default") == 0;
}

bool settings_flag_known(const char *name, bool *needs_value)
{
    int index = settings_find_flag(name);

    if (index < 0 || settings_slot(index).setting->type == SETTING_SECRET)
        return false;
    *needs_value = settings_slot(index).setting->type != SETTING_FLAG;
    return true;
}

bool settings_flag_secret(const char *name, char variable[SETTINGS_NAME_SIZE])
{
    int index = settings_find_flag(name);
    struct slot slot;

    if (index < 0)
        return false;
    slot = settings_slot(index);
    settings_variable(&slot, variable);
    return slot.setting->type == SETTING_SECRET;
}

void settings_flag_nearest(struct nearest *nearest)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        char name[SETTINGS_NAME_SIZE];
        char shown[SETTINGS_NAME_SIZE + 2];

        if (slot.setting->type == SETTING_SECRET)
            continue;
        settings_flag(&slot, name);
        snprintf(shown, sizeof shown, "--%s", name);
        nearest_offer(nearest, name, shown);
        if (*slot.section != '\0')
            nearest_offer(nearest, name + strlen(slot.section) + 1, shown);
    }
}

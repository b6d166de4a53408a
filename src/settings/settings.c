#include "object.h"
#include "settings_internal.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

static void set_defaults(struct settings *settings)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        settings_parse(settings, &slot, slot.fallback);
    }
}

/* What can hold a secret is not repeated. */
static void show_value(const struct slot *slot, const char *text, char out[72])
{
    if (slot->setting->type == SETTING_SECRET || slot->setting->type == SETTING_URL)
        snprintf(out, 72, "the %s", slot->setting->type == SETTING_SECRET ? "secret" : "value");
    else
        snprintf(out, 72, "\"%.64s\"", text);
}

static void add_bad_value(struct settings_state *state, const struct slot *slot,
                          const struct settings_value *value)
{
    bool in_file = value->rank == RANK_FILE;
    const char *careful = slot->setting->careful;
    const char *instead = careful != NULL ? careful : slot->fallback;
    char shown[72];
    struct buf expected;

    show_value(slot, value->text, shown);
    buf_init(&expected, 256);
    settings_expected(slot->setting, &expected);
    settings_add(state, &state->problems, "%s: %s%s%s is not %s; using %s%s%s", value->label,
                 in_file ? slot->setting->name : "", in_file ? ": " : "", shown, buf_str(&expected),
                 careful != NULL ? "the careful value" : "the default", *instead != '\0' ? " " : "", instead);
    state->no_memory |= expected.failed;
    buf_free(&expected);
}

static void set_values(struct settings *settings)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct settings_value *value = &settings->state->values[i];
        struct slot slot = settings_slot(i);

        if (value->text == NULL || settings_parse(settings, &slot, value->text))
            continue;
        add_bad_value(settings->state, &slot, value);
        /* Where somebody has decided, the origin stays: the default is not that decision. */
        if (!settings_stand_in(settings, &slot))
            settings_forget(value);
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

static void tell_default_bucket(struct settings_state *state, const struct slot *slot, bool alone)
{
    if (alone)
        settings_add(state, &state->refusals,
                     "no %s bucket is set: set %s (its default, %s, only counts if neither bucket is set)",
                     slot->section, slot->variables, slot->fallback);
    else
        settings_add(state, &state->notes, "no %s bucket is set (%s): using the default, %s", slot->section,
                     slot->variables, slot->fallback);
}

/* A bucket's name is global at Amazon's, and a default that nobody has asked for can be anybody's. Both of them are one
 * system, its owner's; with one of them, a stranger's objects would get into production. */
static void check_buckets(struct settings *settings)
{
    struct settings_state *state = settings->state;
    int source = settings_find("source", "bucket"), destination = settings_find("destination", "bucket");
    bool source_set = state->values[source].rank != RANK_DEFAULT;
    bool destination_set = state->values[destination].rank != RANK_DEFAULT;
    struct slot from = settings_slot(source), to = settings_slot(destination);

    if (!source_set)
        tell_default_bucket(state, &from, destination_set);
    if (!destination_set)
        tell_default_bucket(state, &to, source_set);
}

/* Whoever waits for less than a TTL leaves a dead owner's lease to those who come later. */
static void tell_short_of_ttl(struct settings *settings, const char *name, int64_t value)
{
    if (value < settings->lease_ttl)
        settings_add(
            settings->state, &settings->state->notes,
            "%s is shorter than lease_ttl: a start right after a replica was killed in its sync may give up before its lease is over; a later start takes over",
            name);
}

/* What can be meant, but is more likely a mistake. */
static void check_times(struct settings *settings)
{
    struct settings_state *state = settings->state;

    if (settings->timeout != 0 && settings->wait > settings->timeout &&
        !settings_is_default(settings, &settings->wait))
        settings_add(state, &state->notes, "wait is longer than timeout, which ends the waiting as well");
    tell_short_of_ttl(settings, "wait", settings->wait);
    if (settings->timeout != 0)
        tell_short_of_ttl(settings, "timeout", settings->timeout);
}

/* The lease is renewed three times in a TTL, and some services take one write of an object a second. */
static void raise_lease_ttl(struct settings *settings)
{
    if (settings->lease_ttl >= SETTINGS_LEASE_TTL_LEAST)
        return;
    settings->lease_ttl = SETTINGS_LEASE_TTL_LEAST;
    settings_add(settings->state, &settings->state->notes,
                 "lease_ttl counts as 3s: renewals would be more than some services take");
}

/* ---- paths ---- */

/* Adds a prefix unless another one covers it, and drops those that it covers. False: there are too many. */
static bool add_prefix(struct settings_state *state, const char *prefix)
{
    struct settings_lines *paths = &state->paths;
    int kept = 0;

    for (int i = 0; i < paths->count; i++)
        if (text_begins(prefix, paths->line[i]))
            return true;
    for (int i = 0; i < paths->count; i++)
        if (text_begins(paths->line[i], prefix))
            free(paths->line[i]);
        else
            paths->line[kept++] = paths->line[i];
    paths->count = kept;
    if (kept == SETTINGS_PATHS_MAX)
        return false;
    settings_add(state, paths, "%s", prefix);
    return true;
}

static void refuse_path(struct settings_state *state, const char *label, const char *path, size_t len,
                        const char *why)
{
    settings_add(state, &state->refusals, "%s: \"%.*s\" %s: write /bucket/prefix, or /bucket/* for all of it",
                 label, len < 64 ? (int)len : 64, path, why);
}

/*
 * `path` is /bucket/prefix, or /bucket/ and a star for the whole bucket. A bucket's name alone, with or without slashes,
 * is more likely a prefix that lacks its bucket than a wish to sync everything, private objects included. A path that
 * cannot be used must not be left out either: what remains is not what was asked for.
 */
static void add_path(struct settings_state *state, const char *label, struct text_piece piece)
{
    char prefix[OBJECT_KEY_MAX + 2];
    const char *path = piece.at, *rest;
    size_t len = piece.len, left;

    if (len == 0)
        return;
    rest = memchr(path + 1, '/', len - 1);
    left = rest != NULL ? len - (size_t)(++rest - path) : 0;
    if (left == 0 || left > OBJECT_KEY_MAX) {
        refuse_path(state, label, path, len, left == 0 ? "names no prefix in a bucket" : "is too long");
        return;
    }
    if (left == 1 && *rest == '*')
        left = 0;
    snprintf(prefix, sizeof prefix, "%.*s%s", (int)left, rest, left > 0 && path[len - 1] != '/' ? "/" : "");
    if (text_begins(prefix, OBJECT_STATE_PREFIX)) { /* another run's state would become that of this one */
        refuse_path(state, label, path, len, "is where the state of syncs is kept, which is never copied");
        return;
    }
    if (!add_prefix(state, prefix))
        settings_add(state, &state->refusals, "%s: more than %d paths", label, SETTINGS_PATHS_MAX);
}

static void set_paths(struct settings *settings)
{
    struct settings_state *state = settings->state;
    const char *list = settings->public_object_search_paths;
    const char *label = state->values[settings_find("", "public_object_search_paths")].label;

    while (*list != '\0') {
        size_t len = strcspn(list, ",");

        add_path(state, label, text_trim(list, len, TEXT_SPACE));
        list += len + (list[len] == ',');
    }
    add_path(state, state->values[settings_find("", "private_object_dir")].label,
             text_trim(settings->private_object_dir, strlen(settings->private_object_dir), TEXT_SPACE));
    if (state->paths.count > 0 || state->refusals.count > 0)
        return;
    if (*settings->public_object_search_paths != '\0') {
        settings_add(state, &state->refusals, "%s names no path", label);
        return;
    }
    add_prefix(state, "public/");
    add_prefix(state, "private/");
    settings_add(
        state, &state->notes,
        "neither PUBLIC_OBJECT_SEARCH_PATHS nor PRIVATE_OBJECT_DIR names a path: using public/ and private/");
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
    set_paths(settings);
    check_buckets(settings);
    raise_lease_ttl(settings);
    check_times(settings);
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
    settings_free_lines(&state->problems);
    settings_free_lines(&state->notes);
    settings_free_lines(&state->paths);
    settings_free_lines(&state->refusals);
    free(state);
    *settings = (struct settings){.state = NULL};
}

/* Without memory there is no state, and the settings are the defaults. */
static const struct settings_state *state_of_settings(const struct settings *settings)
{
    /* Never written to. If it were constant, its 3 KiB of zeroes would be in the binary. */
    static struct settings_state nothing;

    return settings->state != NULL ? settings->state : &nothing;
}

const char *settings_problem(const struct settings *settings, int index)
{
    return settings_line(&state_of_settings(settings)->problems, index);
}

const char *settings_note(const struct settings *settings, int index)
{
    return settings_line(&state_of_settings(settings)->notes, index);
}

bool settings_usable(const struct settings *settings, struct error *error)
{
    const char *why = settings_line(&state_of_settings(settings)->refusals, 0);

    return why == NULL || error_set(error, ERROR_CONFIG, "%s", why);
}

int settings_path_count(const struct settings *settings)
{
    return state_of_settings(settings)->paths.count;
}

const char *settings_path(const struct settings *settings, int index)
{
    return settings_line(&state_of_settings(settings)->paths, index);
}

const char *settings_origin(const struct settings *settings, const void *field)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        const struct settings_value *value = &state_of_settings(settings)->values[i];

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

#include "object.h"
#include "settings_internal.h"

#include "cron.h"
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

/* Appends what counts instead of a value that cannot be used. */
static void put_consequence(const struct slot *slot, struct buf *out)
{
    const char *careful = slot->setting->careful;

    if (careful == NULL)
        buf_printf(out, "using the default%s%s", *slot->fallback != '\0' ? " " : "", slot->fallback);
    else if (*careful == '\0')
        buf_puts(out, "no sync begins");
    else
        buf_printf(out, "using the careful value %s", careful);
}

/* Appends what is wrong with it, where there is more to say than what it has to be. */
static void put_reason(const struct slot *slot, const char *text, struct buf *out)
{
    struct error why;
    struct cron cron;

    if (slot->setting->type == SETTING_SCHEDULE && !cron_parse(text, &cron, &why))
        buf_printf(out, " (%s)", why.text);
}

static void add_bad_value(struct settings_state *state, const struct slot *slot,
                          const struct settings_value *value)
{
    const char *careful = slot->setting->careful;
    struct buf text;
    char shown[72];

    show_value(slot, value->text, shown);
    buf_init(&text, (size_t)SETTINGS_TEXT_MAX + 1024);
    buf_printf(&text, "%s: ", value->label);
    if (value->rank == RANK_FILE)
        buf_printf(&text, "%s: ", slot->setting->name);
    buf_printf(&text, "%s is not ", shown);
    settings_expected(slot->setting, &text);
    put_reason(slot, value->text, &text);
    buf_puts(&text, "; ");
    put_consequence(slot, &text);
    settings_add(state, &state->problems, "%s", buf_str(&text));
    if (careful != NULL && *careful == '\0')
        settings_add(state, &state->refusals, "%s", buf_str(&text));
    state->no_memory |= text.failed;
    buf_free(&text);
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
        settings_add(state, &state->assumptions, "no %s bucket is set (%s): using the default, %s",
                     slot->section, slot->variables, slot->fallback);
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

/* The lease is renewed three times in a TTL, and some services take one write of an object a second. A renewal is up to three
 * requests, which go ahead of all others: half of those that are allowed are to be left for these. */
static void raise_lease_ttl(struct settings *settings)
{
    int64_t most = settings->max_requests;
    int64_t least = most != 0 ? (18 + most - 1) / most * 1000 : 0;
    bool few = least > SETTINGS_LEASE_TTL_LEAST;

    if (!few)
        least = SETTINGS_LEASE_TTL_LEAST;
    if (settings->lease_ttl >= least)
        return;
    settings->lease_ttl = least;
    settings_add(settings->state, &settings->state->notes,
                 "lease_ttl counts as %ds: renewals would be more than %s", (int)(least / 1000),
                 few ? "half of max_requests" : "some services take");
}

/* A body is read in pieces, of which one a second is the least that can be called steady. */
static void raise_max_bytes(struct settings *settings)
{
    if (settings->max_bytes == 0 || settings->max_bytes >= SETTINGS_BYTES_LEAST)
        return;
    settings->max_bytes = SETTINGS_BYTES_LEAST;
    settings_add(settings->state, &settings->state->notes, "max_bytes counts as 64KiB");
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

/* A list of paths that is being read. */
struct path_list {
    struct settings *settings;
    const char *label; /* of the setting */
    bool any;          /* there is a path in it */
    bool told;         /* that one of them names another bucket */
};

static void refuse_path(const struct path_list *list, struct text_piece path, const char *why)
{
    struct settings_state *state = list->settings->state;

    settings_add(state, &state->refusals, "%s: \"%.*s\" %s: write /bucket/prefix, or /bucket/* for all of it",
                 list->label, path.len < 64 ? (int)path.len : 64, path.at, why);
}

static struct text_piece behind(struct text_piece text, size_t len)
{
    return (struct text_piece){text.at + len, text.len - len};
}

static struct text_piece without_scheme(struct text_piece text)
{
    static const char *const schemes[] = {"s3://", "gs://"};

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (text.len >= strlen(schemes[i]) && text_begins(text.at, schemes[i]))
            return behind(text, strlen(schemes[i]));
    return text;
}

/* A side's bucket as a path names it: "name", "file:///directory". */
static struct text_piece bucket_of(const struct side *side)
{
    struct text_piece name = without_scheme((struct text_piece){side->bucket, strlen(side->bucket)});

    while (name.len > 0 && name.at[name.len - 1] == '/')
        name.len--;
    return name;
}

/* How many bytes of `path` are the name of this side's bucket, if there is a slash behind it. */
static size_t names_bucket(struct text_piece path, const struct side *side)
{
    struct text_piece name = bucket_of(side);
    bool named = name.len > 0 && path.len > name.len && path.at[name.len] == '/' &&
                 memcmp(path.at, name.at, name.len) == 0;

    return named ? name.len : 0;
}

/* A directory has no name that a path could get wrong. */
static void note_other_bucket(struct path_list *list, struct text_piece path, size_t bucket)
{
    struct settings *settings = list->settings;
    struct text_piece source = bucket_of(&settings->source), destination = bucket_of(&settings->destination);

    if (list->told || text_begins(settings->source.bucket, "file:") ||
        text_begins(settings->destination.bucket, "file:"))
        return;
    list->told = true;
    settings_add(
        settings->state, &settings->state->notes,
        "%s: the bucket %.*s is neither side's (these are %.*s and %.*s); only what is behind it counts, %.*s",
        list->label, bucket < 64 ? (int)bucket : 64, path.at, (int)source.len, source.at,
        (int)destination.len, destination.at, (int)(path.len - bucket - 1), path.at + bucket + 1);
}

/* What `path` has behind its bucket; nothing if it has a bucket only, or none. */
static struct text_piece find_prefix(struct path_list *list, struct text_piece path)
{
    struct text_piece text = without_scheme(path);
    const char *slash;
    size_t bucket;

    if (text.len == path.len && text.len > 0 && *text.at == '/')
        text = behind(text, 1);
    bucket = names_bucket(text, &list->settings->source);
    if (bucket == 0)
        bucket = names_bucket(text, &list->settings->destination);
    if (bucket > 0)
        return behind(text, bucket + 1);
    slash = memchr(text.at, '/', text.len);
    bucket = slash != NULL ? (size_t)(slash - text.at) : 0;
    if (slash == NULL || (bucket > 0 && slash[-1] == ':')) /* any other URL */
        return (struct text_piece){NULL, 0};
    if (bucket + 1 < text.len)
        note_other_bucket(list, text, bucket);
    return behind(text, bucket + 1);
}

/*
 * `path` is /bucket/prefix, or /bucket/ and a star for the whole bucket; the bucket may be a URL, and all of it in quotes. A
 * bucket's name alone, with or without slashes, is more likely a prefix that lacks its bucket than a wish to sync
 * everything, private objects included. A path that cannot be used must not be left out either: what remains is not
 * what was asked for.
 */
static void add_path(struct path_list *list, struct text_piece path)
{
    struct settings_state *state = list->settings->state;
    char prefix[OBJECT_KEY_MAX + 2];
    struct text_piece rest;

    path = text_trim(path.at, path.len, TEXT_SPACE "\"'");
    if (path.len == 0)
        return;
    list->any = true;
    rest = find_prefix(list, path);
    if (rest.len == 0 || rest.len > OBJECT_KEY_MAX) {
        refuse_path(list, path, rest.len == 0 ? "names no prefix in a bucket" : "is too long");
        return;
    }
    if (rest.len == 1 && *rest.at == '*')
        rest.len = 0;
    snprintf(prefix, sizeof prefix, "%.*s%s", (int)rest.len, rest.at,
             rest.len > 0 && rest.at[rest.len - 1] != '/' ? "/" : "");
    if (text_begins(prefix, OBJECT_STATE_PREFIX)) { /* another run's state would become that of this one */
        refuse_path(list, path, "is where the state of syncs is kept, which is never copied");
        return;
    }
    if (!add_prefix(state, prefix))
        settings_add(state, &state->refusals, "%s: more than %d paths", list->label, SETTINGS_PATHS_MAX);
}

/* Without the brackets around it, if it is written as in JSON. */
static struct text_piece unbracketed(const char *text)
{
    struct text_piece list = text_trim(text, strlen(text), TEXT_SPACE);
    bool json = list.len > 1 && list.at[0] == '[' && list.at[list.len - 1] == ']';

    return json ? (struct text_piece){list.at + 1, list.len - 2} : list;
}

/* Adds what the setting `name` holds: one path, or as many as there are between `separators`. */
static void add_paths(struct settings *settings, const char *name, const char *text, const char *separators)
{
    struct path_list list = {.settings = settings,
                             .label = settings->state->values[settings_find("", name)].label};
    struct text_piece left = unbracketed(text);

    while (left.len > 0) {
        size_t len = 0;

        while (len < left.len && !text_is_one_of(left.at[len], separators))
            len++;
        add_path(&list, (struct text_piece){left.at, len});
        left = behind(left, len < left.len ? len + 1 : len);
    }
    if (*text != '\0' && !list.any)
        settings_add(settings->state, &settings->state->refusals, "%s names no path", list.label);
}

static void set_paths(struct settings *settings)
{
    struct settings_state *state = settings->state;

    add_paths(settings, "public_object_search_paths", settings->public_object_search_paths, ",");
    add_paths(settings, "private_object_dir", settings->private_object_dir, "");
    if (state->paths.count > 0 || state->refusals.count > 0)
        return;
    add_prefix(state, "public/");
    add_prefix(state, "private/");
    settings_add(
        state, &state->assumptions,
        "neither PUBLIC_OBJECT_SEARCH_PATHS nor PRIVATE_OBJECT_DIR names a path: using public/ and private/");
}

/* ---- parts of the paths ---- */

/* Adds what is both in the path and in the part of it that is asked for. */
static bool add_part(struct settings_state *state, const char *path, const char *asked)
{
    if (!text_begins(asked, path) && !text_begins(path, asked))
        return false;
    settings_add(state, &state->parts, "%s", text_begins(asked, path) ? asked : path);
    return true;
}

/* `part` is a path like the others, or a prefix without its bucket. */
static void set_part(struct settings *settings, const char *part)
{
    struct path_list list = {.settings = settings, .label = "--sync", .told = true};
    struct settings_state *state = settings->state;
    struct text_piece rest = {part, strlen(part)};
    char prefix[OBJECT_KEY_MAX + 2] = "";
    bool found = false;

    if (*part == '/' || without_scheme(rest).len < rest.len)
        rest = find_prefix(&list, rest);
    if (rest.len > 0 && rest.len <= OBJECT_KEY_MAX)
        snprintf(prefix, sizeof prefix, "%.*s%s", (int)rest.len, rest.at,
                 rest.at[rest.len - 1] != '/' ? "/" : "");
    for (int i = 0; prefix[0] != '\0' && i < state->paths.count; i++)
        found |= add_part(state, state->paths.line[i], prefix);
    if (!found)
        settings_add(state, &state->refusals,
                     "--sync: \"%.64s\" is in none of the paths that are synced; a command stands behind --",
                     part);
}

/* ---- the interface ---- */

bool settings_load(struct settings *settings, const struct settings_input *input, struct error *error)
{
    struct settings_state *state = calloc(1, sizeof *state);
    bool good;

    *settings = (struct settings){.state = state};
    settings->source.role = "source";
    settings->destination.role = "destination";
    settings->source.settings = settings;
    settings->destination.settings = settings;
    set_defaults(settings);
    if (state == NULL)
        return error_set(error, ERROR_LOCAL, "settings: out of memory");
    good = settings_collect(state, input, &settings->config, error);
    set_values(settings);
    check_credentials(settings, &settings->source, "source");
    check_credentials(settings, &settings->destination, "destination");
    set_paths(settings);
    for (int i = 0; i < input->part_count; i++)
        set_part(settings, input->parts[i]);
    if (!input->no_files)
        settings_add_filter_file(settings);
    check_buckets(settings);
    settings_check_notify(settings);
    settings_check_shard(settings, input->environ_);
    raise_lease_ttl(settings);
    if (*settings->plan != '\0' && !settings->dry_run)
        settings_add(state, &state->refusals, "a plan is what a dry run would do: plan needs dry_run");
    raise_max_bytes(settings);
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
    settings_free_lines(&state->assumptions);
    settings_free_lines(&state->paths);
    settings_free_lines(&state->parts);
    settings_free_lines(&state->refusals);
    filter_free(state->filter);
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

const char *settings_assumption(const struct settings *settings, int index)
{
    return settings_line(&state_of_settings(settings)->assumptions, index);
}

const char *settings_refusal(const struct settings *settings, int index)
{
    return settings_line(&state_of_settings(settings)->refusals, index);
}

bool settings_usable(const struct settings *settings, struct error *error)
{
    const char *why = settings_refusal(settings, 0);

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

int settings_part_count(const struct settings *settings)
{
    const struct settings_state *state = state_of_settings(settings);

    return state->parts.count > 0 ? state->parts.count : state->paths.count;
}

const char *settings_part(const struct settings *settings, int index)
{
    const struct settings_state *state = state_of_settings(settings);

    return settings_line(state->parts.count > 0 ? &state->parts : &state->paths, index);
}

struct filter *settings_filter(const struct settings *settings)
{
    return state_of_settings(settings)->filter;
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

/* The variable that people know best. */
static void best_variable(const struct slot *slot, char out[SETTINGS_NAME_SIZE])
{
    const char *shared = slot->setting->shared;

    if (settings_next_word(slot->variables, out) == NULL &&
        (shared == NULL || settings_next_word(shared, out) == NULL))
        settings_variable(slot, out);
}

const char *settings_place(const struct side *side, const void *field, char out[SETTINGS_PLACE_SIZE])
{
    static const char environment[] = "environment ";
    const struct settings *settings = side->settings;
    const char *origin;

    out[0] = '\0';
    if (settings == NULL)
        return out;
    for (int i = 0; settings_is_default(settings, field) && i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if ((const char *)settings + slot.offset != field)
            continue;
        best_variable(&slot, out);
        return out;
    }
    origin = settings_origin(settings, field);
    if (text_begins(origin, environment))
        origin += sizeof environment - 1;
    snprintf(out, SETTINGS_PLACE_SIZE, "%s", origin);
    return out;
}

bool settings_flag_known(const char *name, bool *needs_value)
{
    int index = settings_find_flag(name);

    if (index < 0 || settings_slot(index).setting->type == SETTING_SECRET)
        return false;
    *needs_value = settings_needs_value(settings_slot(index).setting);
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

/*
 * Sources of settings: flags, environment variables, secret files, and the INI file as inih reads it.
 */
#include "env.h"
#include "file.h"
#include "nearest.h"
#include "settings_internal.h"
#include "text.h"
#include "uri.h"

#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !INI_HANDLER_LINENO || !INI_CALL_HANDLER_ON_NEW_SECTION || INI_ALLOW_MULTILINE || INI_ALLOW_NO_VALUE
#error "this inih was built with other options: see deps/build"
#endif

#define INI_FILE_MAX ((size_t)256 * 1024)
#define SECRET_FILE_MAX ((size_t)8 * 1024)

/* ---- offering ---- */

/* A list may be written one name a line. */
static void join_lines(char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '\n')
            *text = ',';
        else if (text_is_one_of(*text, TEXT_SPACE))
            *text = ' ';
}

/* How long the pattern is that `text` begins with: to a comma that is in no braces or brackets. */
static size_t pattern_length(const char *text)
{
    size_t len = 0;
    int depth = 0;

    for (; text[len] != '\0' && (depth > 0 || text[len] != ','); len++) {
        depth += text_is_one_of(text[len], "{[") - text_is_one_of(text[len], "}]");
        if (text[len] == '\\' && text[len + 1] != '\0')
            len++;
    }
    return len;
}

/* Adds each of the patterns. */
static void add_rules(struct settings_state *state, const struct setting *setting,
                      const struct settings_value *value)
{
    struct filter_rule rule = {.include = strcmp(setting->name, "include") == 0, .origin = value->label};
    const char *name = value->rank == RANK_FILE ? setting->name : "";

    for (const char *text = value->text; *text != '\0';) {
        size_t len = pattern_length(text);
        struct text_piece piece = text_trim(text, len, TEXT_SPACE);
        char *pattern = strndup(piece.at, piece.len);

        rule.pattern = pattern;
        if (pattern == NULL)
            state->no_memory = true;
        else if (*pattern != '\0')
            settings_add_rule(state, &rule, name);
        free(pattern);
        text += len + (text[len] != '\0');
    }
    if (rule.include && state->filter != NULL)
        filter_only_included(state->filter);
}

/* Of rules none replaces another: what is shown of them is those of the best source, with the others behind. */
static void put_behind(struct settings_state *state, struct settings_value *value,
                       struct settings_value *offered)
{
    char *text;

    if (asprintf(&text, "%s,%s", value->text, offered->text) < 0) {
        state->no_memory = true;
    } else {
        free(value->text);
        value->text = text;
    }
    settings_forget(offered);
}

/* Takes the text if no better one is there. A blank text counts on the command line only. `from` is the name of
 * the flag, variable or file, and `line` the file's line. */
static void offer_text(struct settings_state *state, int slot, enum settings_rank rank, const char *text,
                       const char *from, int line)
{
    const struct setting *setting = settings_slot(slot).setting;
    struct settings_value *value = &state->values[slot];
    const char *kind = rank == RANK_FLAG || rank == RANK_FILE ? "" : "environment ";
    struct text_piece trimmed = text_trim(text, strlen(text), TEXT_SPACE);
    struct settings_value offered = {.rank = rank};
    char number[16] = "";

    if ((rank < value->rank && !setting->rules) || (rank != RANK_FLAG && trimmed.len == 0))
        return;
    if (rank == RANK_FILE)
        snprintf(number, sizeof number, ":%d", line);
    offered.text = strndup(trimmed.at, trimmed.len);
    if (asprintf(&offered.origin, "%s%s%s%s", kind, rank == RANK_FLAG ? "--" : "", from, number) < 0)
        offered.origin = NULL;
    if (offered.text == NULL || offered.origin == NULL) {
        settings_forget(&offered);
        state->no_memory = true;
        return;
    }
    offered.label = offered.origin + strlen(kind);
    if (setting->names || setting->rules)
        join_lines(offered.text);
    if (setting->rules)
        add_rules(state, setting, &offered);
    if (setting->rules && value->text != NULL) {
        put_behind(state, value, &offered);
        return;
    }
    settings_forget(value);
    *value = offered;
}

/* ---- the command line ---- */

static void collect_flags(struct settings_state *state, const struct settings_input *input)
{
    for (int i = 0; i < input->flag_count; i++) {
        const struct settings_flag *flag = &input->flags[i];
        int slot = settings_find_flag(flag->name);

        if (slot >= 0 && settings_slot(slot).setting->type != SETTING_SECRET)
            offer_text(state, slot, RANK_FLAG, flag->value != NULL ? flag->value : "true", flag->name, 0);
    }
    if (input->config != NULL)
        offer_text(state, settings_find("", "config"), RANK_FLAG, input->config, "config", 0);
}

/* ---- the environment ---- */

/* The value of the variable, or NULL if it is not set or blank. */
static const char *find_filled(const char *const *environ_, const char *name)
{
    const char *value = env_find(environ_, name);

    return value == NULL || text_is_blank(value) ? NULL : value;
}

/* Offers the first of these variables that is set. */
static void offer_variables(struct settings_state *state, int slot, enum settings_rank rank,
                            const char *names, const char *const *environ_)
{
    char name[SETTINGS_NAME_SIZE];

    while ((names = settings_next_word(names, name)) != NULL) {
        const char *value = find_filled(environ_, name);

        if (value != NULL) {
            offer_text(state, slot, rank, value, name, 0);
            return;
        }
    }
}

static void note_exposure(struct settings_state *state, const char *path)
{
    const char *exposure = file_exposure(path);

    if (exposure != NULL)
        settings_add(state, &state->notes, "%s %s: chmod o-rwx %s", path, exposure, path);
}

/* Docker and Kubernetes hand secrets over as files: STORSYNC_SOURCE_SECRET_ACCESS_KEY_FILE=/run/secrets/key. */
static void collect_secret_file(struct settings_state *state, int slot, const char *variable,
                                const char *const *environ_)
{
    char name[SETTINGS_NAME_SIZE + sizeof SETTINGS_FILE_SUFFIX];
    const char *path;
    struct error error;
    size_t len;
    char *text;

    snprintf(name, sizeof name, "%s%s", variable, SETTINGS_FILE_SUFFIX);
    path = find_filled(environ_, name);
    if (path == NULL || state->values[slot].rank > RANK_SECRET_FILE)
        return;
    text = file_read(path, SECRET_FILE_MAX, &len, &error);
    note_exposure(state, path);
    if (text == NULL)
        settings_add(state, &state->problems, "%s: %s", name, error.text);
    else if (text_is_blank(text) || memchr(text, '\0', len) != NULL)
        settings_add(state, &state->problems, "%s: %s does not hold a secret", name, path);
    else
        offer_text(state, slot, RANK_SECRET_FILE, text, name, 0);
    file_free(text, len);
}

static void collect_variables(struct settings_state *state, const struct settings_input *input)
{
    const char *const *environ_ = input->environ_;

    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        char name[SETTINGS_NAME_SIZE];

        settings_variable(&slot, name);
        offer_variables(state, i, RANK_ENVIRONMENT, name, environ_);
        offer_variables(state, i, RANK_VARIABLE, slot.variables, environ_);
        if (slot.setting->type == SETTING_SECRET && !input->no_files)
            collect_secret_file(state, i, name, environ_);
    }
}

/* Does the side of this slot have a credential that was given for it alone? */
static bool has_own_credential(const struct settings_state *state, const char *section)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (slot.setting->credential && strcmp(slot.section, section) == 0 &&
            state->values[i].rank > RANK_SHARED)
            return true;
    }
    return false;
}

/* The vendor's domain that the side's endpoint is in, if one of its variables is set; else NULL. */
static const char *find_vendor(const struct settings_state *state, const char *section,
                               const char *const *environ_)
{
    const char *endpoint = state->values[settings_find(section, "endpoint")].text;
    const struct settings_vendor *vendor = settings_of_vendors();
    struct error ignored;
    struct uri uri;

    if (endpoint == NULL || !uri_parse(endpoint, "endpoint", &uri, &ignored))
        return NULL;
    for (; vendor->name != NULL; vendor++)
        if (text_ends(uri.host, vendor->domain) && find_filled(environ_, vendor->variable) != NULL)
            return vendor->domain;
    return NULL;
}

static void offer_vendor(struct settings_state *state, int slot, const char *domain,
                         const char *const *environ_)
{
    const char *name = settings_slot(slot).setting->name;

    for (const struct settings_vendor *vendor = settings_of_vendors(); vendor->name != NULL; vendor++)
        if (strcmp(vendor->domain, domain) == 0 && strcmp(vendor->name, name) == 0)
            offer_variables(state, slot, RANK_SHARED, vendor->variable, environ_);
}

/* Credentials are all or nothing: one side's key must never meet the secret of another identity. The endpoint, which
 * decides between a vendor's and Amazon's, comes before them in the table. */
static void collect_shared(struct settings_state *state, const char *const *environ_)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        const char *domain = NULL;

        if (slot.setting->credential && has_own_credential(state, slot.section))
            continue;
        if (slot.setting->credential)
            domain = find_vendor(state, slot.section, environ_);
        if (domain != NULL)
            offer_vendor(state, i, domain, environ_);
        else
            offer_variables(state, i, RANK_SHARED, slot.setting->shared, environ_);
    }
}

/* An app at Replit has one bucket unless it was given more: what its paths name, else what is its default. */
static void offer_bucket_of_paths(struct settings_state *state, const char *const *environ_)
{
    static const char name[] = "PUBLIC_OBJECT_SEARCH_PATHS";
    const char *text = find_filled(environ_, name);
    const char *id = text != NULL ? strstr(text, SETTINGS_REPLIT_BUCKET) : NULL;
    char bucket[SETTINGS_NAME_SIZE];

    if (id == NULL)
        return;
    snprintf(bucket, sizeof bucket, "%.*s", (int)strspn(id, "-0123456789abcdefghijklmnopqrstuvwxyz"), id);
    offer_text(state, settings_find("source", "bucket"), RANK_SHARED, bucket, name, 0);
    offer_text(state, settings_find("destination", "bucket"), RANK_SHARED, bucket, name, 0);
}

/*
 * Kubernetes sets variables like STORSYNC_SERVICE_HOST, STORSYNC_SERVICE_PORT_HTTP, STORSYNC_PORT and
 * STORSYNC_PORT_80_TCP_ADDR in every pod beside a Service named storsync ("Discovering services", Kubernetes
 * documentation). They are nobody's mistake.
 */
static bool is_service_link(const char *name)
{
    const char *tail = strstr(name, "_SERVICE_PORT");

    if (tail != NULL && (tail[13] == '\0' || tail[13] == '_'))
        return true;
    tail = strstr(name, "_SERVICE_HOST");
    if (tail != NULL && tail[13] == '\0')
        return true;
    tail = strstr(name, "_PORT");
    return tail != NULL && (tail[5] == '\0' || (tail[5] == '_' && text_is_digit(tail[6])));
}

static bool is_variable_of(const struct slot *slot, const char *name)
{
    char word[SETTINGS_NAME_SIZE];
    const char *words = slot->variables;
    size_t len;

    settings_variable(slot, word);
    len = strlen(word);
    if (strncmp(name, word, len) == 0 &&
        (name[len] == '\0' ||
         (slot->setting->type == SETTING_SECRET && strcmp(name + len, SETTINGS_FILE_SUFFIX) == 0)))
        return true;
    while ((words = settings_next_word(words, word)) != NULL)
        if (strcmp(word, name) == 0)
            return true;
    return false;
}

static bool is_known_variable(const char *name)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (is_variable_of(&slot, name))
            return true;
    }
    return is_service_link(name);
}

/* The names are compared without the prefix that they share, and a side may have been forgotten. */
static void offer_variable_names(struct nearest *nearest)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        char name[SETTINGS_NAME_SIZE];
        const char *bare = name + strlen(SETTINGS_PREFIX);

        settings_variable(&slot, name);
        nearest_offer(nearest, bare, name);
        if (*slot.section != '\0')
            nearest_offer(nearest, bare + strlen(slot.section) + 1, name);
    }
}

/* Can this variable, which has a value, be one of ours that is misspelt? */
static void check_variable_name(struct settings_state *state, const char *name)
{
    struct nearest nearest;
    char hint[NEAREST_HINT_SIZE];

    if (is_known_variable(name))
        return;
    nearest_init(&nearest, name + strlen(SETTINGS_PREFIX));
    offer_variable_names(&nearest);
    settings_add(state, &state->problems, "%.100s is not the name of a setting%s", name,
                 nearest_hint(&nearest, hint));
}

static void check_variable_names(struct settings_state *state, const char *const *environ_)
{
    for (; *environ_ != NULL; environ_++) {
        const char *equals = strchr(*environ_, '=');
        char *name;

        if (equals == NULL || text_is_blank(equals + 1) || !text_begins(*environ_, SETTINGS_PREFIX))
            continue;
        name = strndup(*environ_, (size_t)(equals - *environ_));
        if (name == NULL) {
            state->no_memory = true;
            return;
        }
        check_variable_name(state, name);
        free(name);
    }
}

/* ---- the INI file ---- */

struct ini_source {
    struct settings_state *state;
    const char *path;
    bool skipping; /* in a section that is not known */
};

/* First pass: is every line well formed? Nothing of a file that is not may count. No name: a section begins. */
static int ini_check(void *user, const char *section, const char *name, const char *value, int line)
{
    (void)user;
    (void)section;
    (void)value;
    (void)line;
    return name == NULL || *name != '\0';
}

static void ini_section(struct ini_source *source, const char *section, int line)
{
    struct nearest nearest;
    char hint[NEAREST_HINT_SIZE];

    source->skipping = strcmp(section, "source") != 0 && strcmp(section, "destination") != 0;
    if (!source->skipping)
        return;
    nearest_init(&nearest, section);
    nearest_offer(&nearest, "source", "[source]");
    nearest_offer(&nearest, "destination", "[destination]");
    settings_add(source->state, &source->state->problems, "%s:%d: unknown section [%s]%s", source->path, line,
                 section, nearest_hint(&nearest, hint));
}

/* A known name in the wrong place deserves a better hint than a similar name. */
static void ini_unknown_name(struct ini_source *source, const char *section, const char *name, int line)
{
    struct nearest nearest;
    char hint[NEAREST_HINT_SIZE];
    const char *more = hint;

    nearest_init(&nearest, name);
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) == 0 && !slot.setting->not_in_file)
            nearest_offer(&nearest, slot.setting->name, slot.setting->name);
    }
    nearest_hint(&nearest, hint);
    if (*section == '\0' && settings_find("source", name) >= 0)
        more = " here; it belongs in [source] or [destination]";
    else if (*section != '\0' && settings_find("", name) >= 0)
        more = " here; it belongs before the first section";
    settings_add(source->state, &source->state->problems, "%s:%d: unknown setting \"%.100s\"%s", source->path,
                 line, name, more);
}

static int ini_take(void *user, const char *section, const char *name, const char *value, int line)
{
    struct ini_source *source = user;
    int slot = name != NULL ? settings_find(section, name) : -1;

    if (name == NULL)
        ini_section(source, section, line);
    else if (source->skipping)
        return 1;
    else if (slot < 0 || settings_slot(slot).setting->not_in_file)
        ini_unknown_name(source, section, name, line);
    else
        offer_text(source->state, slot, RANK_FILE, value, source->path, line);
    return 1;
}

static bool parse_ini(struct settings_state *state, const char *path, const char *text, size_t len,
                      struct error *error)
{
    struct ini_source source = {.state = state, .path = path};
    const char *nul = memchr(text, '\0', len);
    int line = 1;

    if (nul != NULL) {
        for (const char *c = text; c < nul; c++)
            line += *c == '\n';
        return error_set(error, ERROR_CONFIG, "%s:%d: a NUL byte; is this a text file in UTF-8?", path, line);
    }
    line = ini_parse_string(text, ini_check, NULL);
    if (line != 0)
        return error_set(error, ERROR_CONFIG,
                         "%s:%d: neither \"name = value\" nor \"[section]\" nor a comment, or over %d bytes",
                         path, line, INI_MAX_LINE - 2);
    ini_parse_string(text, ini_take, &source);
    return true;
}

static bool holds_secret(const struct settings_state *state)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++)
        if (settings_slot(i).setting->type == SETTING_SECRET && state->values[i].rank == RANK_FILE)
            return true;
    return false;
}

/* `path` comes in as the default and goes out as the file that was read. */
static bool collect_ini(struct settings_state *state, const char **path, struct error *error)
{
    const struct settings_value *asked = &state->values[settings_find("", "config")];
    size_t len;
    char *text;
    bool good;

    if (asked->text != NULL)
        *path = asked->text;
    text = file_read(*path, INI_FILE_MAX, &len, error);
    if (text == NULL && asked->text == NULL && error->sys == ENOENT) {
        *path = "";
        error_clear(error);
        return true;
    }
    if (text == NULL) {
        error->kind = error->kind == ERROR_LOCAL && error->sys == 0 ? ERROR_LOCAL : ERROR_CONFIG;
        if (asked->text != NULL)
            error_prefix(error, "%s: ", asked->label);
        return false;
    }
    good = parse_ini(state, *path, text, len, error);
    file_free(text, len);
    if (holds_secret(state))
        note_exposure(state, *path);
    return good;
}

bool settings_collect(struct settings_state *state, const struct settings_input *input, const char **path,
                      struct error *error)
{
    bool good = true;

    collect_flags(state, input);
    collect_variables(state, input);
    check_variable_names(state, input->environ_);
    if (input->no_files)
        *path = "";
    else
        good = collect_ini(state, path, error);
    collect_shared(state, input->environ_);
    offer_bucket_of_paths(state, input->environ_);
    return good;
}

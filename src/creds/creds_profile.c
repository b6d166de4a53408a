/*
 * "Shared config and credentials files", AWS SDKs and Tools Reference Guide.
 *
 * The files look like INI, but a section can hold blocks: lines that are indented more than the property above them
 * belong to it, whatever names they have. inih does not tell how far a line is indented, and cuts the names of sections.
 * Names of properties are compared without case. The last of two lines with one name counts, and so do two sections.
 * What other programs put up with is taken as well: ":" for "=", text behind the ] of a section. A line that means nothing
 * is an error in the profile that was asked for, and a warning anywhere else.
 */
#include "creds_internal.h"

#include "env.h"
#include "file.h"
#include "log.h"
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_MAX ((size_t)256 * 1024)

static const char *const names[CREDS_FIELD_COUNT] = {
    [CREDS_ACCESS_KEY_ID] = "aws_access_key_id",
    [CREDS_SECRET_ACCESS_KEY] = "aws_secret_access_key",
    [CREDS_SESSION_TOKEN] = "aws_session_token",
    [CREDS_ROLE_ARN] = "role_arn",
    [CREDS_SOURCE_PROFILE] = "source_profile",
    [CREDS_CREDENTIAL_SOURCE] = "credential_source",
    [CREDS_TOKEN_FILE] = "web_identity_token_file",
    [CREDS_SESSION_NAME] = "role_session_name",
    [CREDS_EXTERNAL_ID] = "external_id",
    [CREDS_DURATION] = "duration_seconds",
    [CREDS_MFA_SERIAL] = "mfa_serial",
    [CREDS_REGION] = "region",
    [CREDS_ENDPOINT] = "endpoint_url",
    [CREDS_FIPS] = "use_fips_endpoint",
    [CREDS_DUALSTACK] = "use_dualstack_endpoint",
    [CREDS_PROCESS] = "credential_process",
    [CREDS_SSO_SESSION] = "sso_session",
    [CREDS_SSO_START_URL] = "sso_start_url",
};

static struct text_piece trimmed(const char *text, size_t len)
{
    return text_trim(text, len, TEXT_SPACE);
}

static bool is_same(struct text_piece piece, const char *text)
{
    return piece.len == strlen(text) && memcmp(piece.at, text, piece.len) == 0;
}

/* ---- one file ---- */

struct reader {
    struct creds_profile *profile;
    bool config;
    const char *path;
    int line;
    bool in_section; /* a section has begun */
    bool in_profile; /* and it is the one */
    bool in_property;
    size_t indent; /* of that property */
    bool found;
    char *values[CREDS_FIELD_COUNT];
};

static bool malformed_line(const struct reader *reader, const char *what, struct error *error)
{
    return error_set(error, ERROR_CONFIG, "%s:%d: %s", reader->path, reader->line, what);
}

/* Both sides read the same files, and one warning is enough for each thing. At most ONCE_MAX of them are told. */
#define ONCE_MAX 16
static void warn_once(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void warn_once(const char *format, ...)
{
    static uint64_t told[ONCE_MAX]; /* FNV-1a */
    static int count;
    uint64_t hash = 0xcbf29ce484222325;
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (const char *c = text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3;
    for (int i = 0; i < count; i++)
        if (told[i] == hash)
            return;
    if (count == ONCE_MAX)
        return;
    told[count++] = hash;
    log_warn("%s", text);
}

void creds_warn_exposed(const char *path)
{
    const char *exposure = file_exposure(path);

    if (exposure != NULL)
        warn_once("%s %s: chmod o-rwx %s", path, exposure, path);
}

/* In somebody else's part of the file, a line is no reason to go without credentials. */
static bool skip_line(const struct reader *reader, const char *what)
{
    warn_once("%s:%d: %s; the line is left out", reader->path, reader->line, what);
    return true;
}

/* In the config file: "default", "profile default" or "profile NAME", with or without quotes. */
static bool is_section(const struct reader *reader, struct text_piece name)
{
    static const char word[] = "profile";
    size_t len = strlen(word);

    if (!reader->config)
        return is_same(name, reader->profile->name);
    if (is_same(name, "default"))
        return strcmp(reader->profile->name, "default") == 0;
    if (name.len <= len || memcmp(name.at, word, len) != 0 || !text_is_one_of(name.at[len], TEXT_SPACE))
        return false;
    name = trimmed(name.at + len, name.len - len);
    if (name.len >= 2 && (name.at[0] == '"' || name.at[0] == '\'') && name.at[name.len - 1] == name.at[0])
        name = (struct text_piece){name.at + 1, name.len - 2};
    return is_same(name, reader->profile->name);
}

/* Who forgot the ] of our profile must not get somebody else's credentials. */
static bool read_section(struct reader *reader, struct text_piece line, struct error *error)
{
    static const char no_end[] = "a section without its ]";
    const char *end = memchr(line.at, ']', line.len);
    size_t len = end != NULL ? (size_t)(end - line.at) : line.len;
    bool ours = is_section(reader, trimmed(line.at + 1, len - 1));
    struct text_piece rest;

    reader->in_section = true;
    reader->in_property = false;
    reader->in_profile = ours && end != NULL;
    reader->found |= reader->in_profile;
    if (end == NULL)
        return ours ? malformed_line(reader, no_end, error) : skip_line(reader, no_end);
    rest = trimmed(end + 1, line.len - len - 1);
    if (rest.len > 0 && rest.at[0] != '#' && rest.at[0] != ';')
        warn_once("%s:%d: what stands behind the ] of a section does not count", reader->path, reader->line);
    return true;
}

/* A comment behind a value has white space in front of it. */
static struct text_piece without_comment(struct text_piece value)
{
    for (size_t i = 1; i < value.len; i++)
        if ((value.at[i] == '#' || value.at[i] == ';') && text_is_one_of(value.at[i - 1], TEXT_SPACE))
            return trimmed(value.at, i);
    return value;
}

static void forget_value(char **value)
{
    if (*value != NULL)
        explicit_bzero(*value, strlen(*value));
    free(*value);
    *value = NULL;
}

/* Between name and value: "=", and as in botocore also ":". */
static const char *find_delimiter(struct text_piece line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] == '=' || line.at[i] == ':')
            return line.at + i;
    return NULL;
}

static bool read_property(struct reader *reader, struct text_piece line, struct error *error)
{
    static const char neither[] = "neither \"name = value\" nor \"[section]\" nor a comment";
    const char *equals = find_delimiter(line);
    struct text_piece name, value;

    if (!reader->in_section)
        return skip_line(reader, "a setting before the first section");
    if (equals == NULL || equals == line.at)
        return reader->in_profile ? malformed_line(reader, neither, error) : skip_line(reader, neither);
    name = trimmed(line.at, (size_t)(equals - line.at));
    value = without_comment(trimmed(equals + 1, line.len - (size_t)(equals + 1 - line.at)));
    for (int i = 0; i < CREDS_FIELD_COUNT && reader->in_profile; i++) {
        if (name.len != strlen(names[i]) || strncasecmp(name.at, names[i], name.len) != 0)
            continue;
        forget_value(&reader->values[i]);
        reader->values[i] = strndup(value.at, value.len);
        if (reader->values[i] == NULL)
            return error_set(error, ERROR_LOCAL, "out of memory");
    }
    return true;
}

static bool read_line(struct reader *reader, struct text_piece line, struct error *error)
{
    struct text_piece text = trimmed(line.at, line.len);
    size_t indent = (size_t)(text.at - line.at);

    if (text.len == 0 || text.at[0] == '#' || text.at[0] == ';')
        return true;
    if (reader->in_property && indent > reader->indent)
        return true; /* part of a block */
    if (text.at[0] == '[')
        return read_section(reader, text, error);
    reader->in_property = true;
    reader->indent = indent;
    return read_property(reader, text, error);
}

/* Adds what was read to what is known. Id, secret and token come from one file. */
static void merge_profile(struct reader *reader)
{
    struct creds_profile *profile = reader->profile;
    bool has_keys = false;

    for (int i = CREDS_ACCESS_KEY_ID; i <= CREDS_SESSION_TOKEN; i++)
        has_keys |= profile->values[i] != NULL;
    if (reader->found && !has_keys)
        snprintf(profile->path, sizeof profile->path, "%s", reader->path);
    for (int i = 0; i < CREDS_FIELD_COUNT; i++) {
        if (profile->values[i] == NULL && (i > CREDS_SESSION_TOKEN || !has_keys)) {
            profile->values[i] = reader->values[i];
            reader->values[i] = NULL;
        }
        forget_value(&reader->values[i]);
    }
}

bool creds_profile_parse(struct creds_profile *profile, bool config, const char *path, const char *text,
                         size_t len, bool *found, struct error *error)
{
    struct reader reader = {.profile = profile, .config = config, .path = path};
    const char *end = text + len, *newline;
    bool good = true;

    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    for (; text < end && good; text = newline + 1) {
        newline = memchr(text, '\n', (size_t)(end - text));
        if (newline == NULL)
            newline = end;
        reader.line++;
        good = memchr(text, '\0', (size_t)(newline - text)) != NULL
                   ? malformed_line(&reader, "a NUL byte; is this a text file in UTF-8?", error)
                   : read_line(&reader, (struct text_piece){text, (size_t)(newline - text)}, error);
    }
    merge_profile(&reader);
    *found |= reader.found;
    return good;
}

/* ---- both files ---- */

/* What the variable says, or below the home folder; "" if there is none. */
static void find_file(const char *variable, const char *name, char out[512])
{
    const char *path = env_text(variable);
    const char *home = env_text("HOME");

    out[0] = '\0';
    if (*path != '\0' && !text_begins(path, "~/"))
        snprintf(out, 512, "%s", path);
    else if (*home != '\0')
        snprintf(out, 512, "%s/%s", home, *path != '\0' ? path + 2 : name);
}

/* A file that is not there, or in a folder that is closed to us, says nothing. */
static bool load_file(struct creds_profile *profile, bool config, bool *found, struct error *error)
{
    char path[512];
    struct stat status;
    char *text;
    size_t len;
    bool good;

    find_file(config ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE",
              config ? ".aws/config" : ".aws/credentials", path);
    if (path[0] == '\0' || stat(path, &status) != 0)
        return true;
    text = file_read(path, FILE_MAX, &len, error);
    if (text == NULL) {
        error->kind = error->kind == ERROR_LOCAL && error->sys == 0 ? ERROR_LOCAL : ERROR_CONFIG;
        return false;
    }
    good = creds_profile_parse(profile, config, path, text, len, found, error);
    file_free(text, len);
    if (profile->values[CREDS_SECRET_ACCESS_KEY] != NULL && strcmp(profile->path, path) == 0)
        creds_warn_exposed(path);
    return good;
}

/* Fills it from both files. */
static enum creds_found load_files(struct creds_profile *profile, const char *name, struct error *error)
{
    bool found = false;

    if (!creds_copy(profile->name, sizeof profile->name, name))
        return error_set(error, ERROR_CONFIG, "\"%.100s...\" is too long for the name of a profile", name),
               CREDS_WRONG;
    if (!load_file(profile, false, &found, error) || !load_file(profile, true, &found, error))
        return CREDS_WRONG;
    return found ? CREDS_GIVES : CREDS_SILENT;
}

enum creds_found creds_profile_load(const char *name, struct creds_profile **out, struct error *error)
{
    enum creds_found found;

    *out = calloc(1, sizeof **out);
    if (*out == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory"), CREDS_WRONG;
    found = load_files(*out, name, error);
    if (found != CREDS_GIVES) {
        creds_profile_free(*out);
        *out = NULL;
    }
    return found;
}

void creds_profile_free(struct creds_profile *profile)
{
    if (profile == NULL)
        return;
    for (int i = 0; i < CREDS_FIELD_COUNT; i++)
        forget_value(&profile->values[i]);
    free(profile);
}

const char *creds_profile_get(const struct creds_profile *profile, enum creds_field field)
{
    return profile->values[field] != NULL ? profile->values[field] : "";
}

/* The variables of each platform are those of its vendor's page in docs/PLATFORMS.md. */
#include "detect.h"

#include "env.h"
#include "hash.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A variable, and the value that it must have; NULL: any but the empty one. */
struct condition {
    const char *variable;
    const char *value;
};

struct platform {
    const char *name;
    struct condition seen_by[2]; /* either */
    const char *id_variables[2]; /* the first that is set */
    bool production;             /* being seen means production */
    struct condition preview;    /* makes it development */
    const char *hint;            /* how to get an id when there is none */
};

/* In this order: platforms that run on Kubernetes show its variables too. */
static const struct platform platforms[] = {
    {.name = "Replit",
     .seen_by = {{"REPL_DEPLOYMENT", "true"}, {"REPLIT_DEPLOYMENT", "1"}},
     .id_variables = {"REPLIT_DEPLOYMENT_ID"},
     .production = true,
     .hint = "set STORSYNC_DEPLOYMENT_ID to what the build command wrote into a file (docs/REPLIT.md)"},
    {.name = "Cloud Run",
     .seen_by = {{"K_SERVICE", NULL}, {"CLOUD_RUN_JOB", NULL}},
     .id_variables = {"K_REVISION", "CLOUD_RUN_EXECUTION"}},
    {.name = "Fly", .seen_by = {{"FLY_APP_NAME", NULL}}, .id_variables = {"FLY_IMAGE_REF"}},
    {.name = "Railway",
     .seen_by = {{"RAILWAY_ENVIRONMENT_NAME", NULL}},
     .id_variables = {"RAILWAY_DEPLOYMENT_ID"}},
    {.name = "Render",
     .seen_by = {{"RENDER", NULL}},
     .id_variables = {"RENDER_GIT_COMMIT"},
     .preview = {"IS_PULL_REQUEST", "true"}},
    {.name = "Heroku",
     .seen_by = {{"DYNO", NULL}},
     .id_variables = {"HEROKU_RELEASE_VERSION"},
     .hint = "switch on the app's dyno metadata (heroku labs:enable runtime-dyno-metadata)"},
    {.name = "Azure Container Apps",
     .seen_by = {{"CONTAINER_APP_NAME", NULL}},
     .id_variables = {"CONTAINER_APP_REVISION"}},
    {.name = "App Engine", .seen_by = {{"GAE_ENV", NULL}}, .id_variables = {"GAE_DEPLOYMENT_ID"}},
    {.name = "Vercel",
     .seen_by = {{"VERCEL", NULL}},
     .id_variables = {"VERCEL_DEPLOYMENT_ID"},
     .preview = {"VERCEL_ENV", "preview"}},
    {.name = "ECS",
     .seen_by = {{"ECS_CONTAINER_METADATA_URI_V4", NULL}},
     .hint = "set STORSYNC_DEPLOYMENT_ID to the image's tag in the task definition"},
    {.name = "Kubernetes",
     .seen_by = {{"KUBERNETES_SERVICE_HOST", NULL}},
     .hint = "set STORSYNC_DEPLOYMENT_ID from the label pod-template-hash through the downward API"},
};

static const char *const environment_variables[] = {
    "APP_ENV",    "RAILS_ENV", "RACK_ENV", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT",
    "DJANGO_ENV", "FLASK_ENV", "NODE_ENV",
};

/* Tools that build or start images anywhere: a commit or version, when no platform names its deployment. */
static const char *const generic_id_variables[] = {
    "KAMAL_VERSION", "SOURCE_COMMIT", "GITHUB_SHA", "GIT_COMMIT", "SOURCE_VERSION", "CI_COMMIT_SHA",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* An empty variable is how many platforms say "not set". */
static const char *filled_variable(const char *const *environ_, const char *name)
{
    const char *value = env_find(environ_, name);

    return value != NULL && *value != '\0' ? value : NULL;
}

static bool condition_holds(const char *const *environ_, const struct condition *condition)
{
    const char *value = condition->variable != NULL ? filled_variable(environ_, condition->variable) : NULL;

    return value != NULL && (condition->value == NULL || strcasecmp(value, condition->value) == 0);
}

static const struct condition *find_condition(const char *const *environ_, const struct platform *platform)
{
    for (size_t i = 0; i < COUNT(platform->seen_by); i++) {
        if (condition_holds(environ_, &platform->seen_by[i]))
            return &platform->seen_by[i];
    }
    return NULL;
}

static const struct platform *find_platform(const char *const *environ_)
{
    for (size_t i = 0; i < COUNT(platforms); i++) {
        if (find_condition(environ_, &platforms[i]) != NULL)
            return &platforms[i];
    }
    return NULL;
}

static bool is_one_of(const char *value, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcasecmp(value, *words) == 0)
            return true;
    }
    return false;
}

static bool is_production(const char *value)
{
    static const char *const words[] = {"production", "prod", NULL};

    return is_one_of(value, words);
}

/* Names that are in use for what is not production, so that they need no warning. */
static bool is_other_environment(const char *value)
{
    static const char *const words[] = {"development", "dev",   "local", "test",    "testing", "ci",
                                        "staging",     "stage", "qa",    "preview", NULL};

    return is_one_of(value, words);
}

static void add_warning(struct detection *out, const char *text)
{
    size_t at = strlen(out->warning);

    snprintf(out->warning + at, sizeof out->warning - at, "%s%s", at > 0 ? "; " : "", text);
}

static void decide_environment(struct detection *out, const char *name, const char *value)
{
    char text[192];

    out->production = is_production(value);
    snprintf(out->environment_source, sizeof out->environment_source, "%s=%s", name, value);
    if (!out->production && !is_other_environment(value)) {
        snprintf(text, sizeof text, "%s=%.40s is not a known environment and counts as development", name,
                 value);
        add_warning(out, text);
    }
}

/* What a person knows the place by: "environment STORSYNC_ENV" (see settings_origin) is a variable's name. */
static const char *origin_name(const struct settings *settings, const void *field)
{
    static const char word[] = "environment ";
    const char *origin = settings_origin(settings, field);

    return text_begins(origin, word) ? origin + strlen(word) : origin;
}

static void detect_environment(const struct settings *settings, const char *const *environ_,
                               const struct platform *platform, struct detection *out)
{
    const struct condition *decisive = NULL;

    if (settings->environment[0] != '\0') {
        const char *origin = origin_name(settings, &settings->environment);
        char name[sizeof out->environment_source];
        /* "storsync.ini:7" says where, not yet what. */
        snprintf(name, sizeof name, "%s%s", origin, strchr(origin, ':') != NULL ? " environment" : "");
        decide_environment(out, name, settings->environment);
        return;
    }
    if (platform != NULL && platform->production)
        decisive = find_condition(environ_, platform);
    else if (platform != NULL && condition_holds(environ_, &platform->preview))
        decisive = &platform->preview;
    if (decisive != NULL) {
        out->production = platform->production;
        snprintf(out->environment_source, sizeof out->environment_source, "%s=%s", decisive->variable,
                 filled_variable(environ_, decisive->variable));
        return;
    }
    for (size_t i = 0; i < COUNT(environment_variables); i++) {
        const char *value = filled_variable(environ_, environment_variables[i]);
        if (value != NULL) {
            decide_environment(out, environment_variables[i], value);
            return;
        }
    }
    snprintf(out->environment_source, sizeof out->environment_source, "default");
}

/* False if nothing remains of the value. */
static bool take_id(struct detection *out, const char *source, const char *value)
{
    char text[192];

    struct text_piece id = text_trim(value, strlen(value), " \t\r\n");
    if (id.len == 0)
        return false;

    bool usable = id.len <= DETECT_ID_MAX;
    for (size_t i = 0; i < id.len && usable; i++)
        usable = (unsigned char)id.at[i] >= 0x20 && id.at[i] != 0x7F;
    snprintf(out->deployment_source, sizeof out->deployment_source, "%s", source);
    if (usable) {
        memcpy(out->deployment_id, id.at, id.len);
        out->deployment_id[id.len] = '\0';
        return true;
    }
    char hash[HASH_SIZE];
    hash_sha256(id.at, id.len, hash);
    snprintf(out->deployment_id, sizeof out->deployment_id, "sha256-%s", hash);
    snprintf(text, sizeof text,
             "the deployment id in %.64s is too long or has control characters: its hash is used", source);
    add_warning(out, text);
    return true;
}

static bool take_first_id(struct detection *out, const char *const *environ_, const char *const *names,
                          size_t count)
{
    for (size_t i = 0; i < count && names[i] != NULL; i++) {
        const char *value = filled_variable(environ_, names[i]);
        if (value != NULL && take_id(out, names[i], value))
            return true;
    }
    return false;
}

static void detect_deployment(const struct settings *settings, const char *const *environ_,
                              const struct platform *platform, struct detection *out)
{
    if (take_id(out, origin_name(settings, &settings->deployment_id), settings->deployment_id))
        return;
    if (platform != NULL &&
        take_first_id(out, environ_, platform->id_variables, COUNT(platform->id_variables)))
        return;
    if (take_first_id(out, environ_, generic_id_variables, COUNT(generic_id_variables)))
        return;
    if (platform != NULL && platform->hint != NULL)
        out->hint = platform->hint;
}

void detect(const struct settings *settings, const char *const *environ_, struct detection *out)
{
    const struct platform *platform = find_platform(environ_);

    *out = (struct detection){.platform = platform != NULL ? platform->name : "", .hint = ""};
    detect_environment(settings, environ_, platform, out);
    detect_deployment(settings, environ_, platform, out);
}

/* Which source: "Standardized credential providers" and "Assume role credential provider", AWS SDKs and Tools
 * Reference Guide. */
#include "creds_internal.h"
#include "env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void creds_no_source(struct error *error, const char *why)
{
    char reason[160];

    snprintf(reason, sizeof reason, "%s", why);
    error_set(
        error, ERROR_CREDENTIALS,
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where the sides differ STORSYNC_SOURCE_ACCESS_KEY_ID and STORSYNC_SOURCE_SECRET_ACCESS_KEY, and the same with DESTINATION. There is no role with a token, no profile, no container's endpoint either, and as to EC2's metadata: %s",
        reason);
}

/* ---- the side's own ---- */

/* Two settings that only make sense together. True if both are there; an error if only one is. */
static bool pair(const char *one, const char *one_name, const char *other, const char *other_name,
                 struct error *error)
{
    bool first = *one != '\0', second = *other != '\0';

    if (first != second)
        error_set(error, ERROR_CONFIG, "%s is set, but %s is not: set both", first ? one_name : other_name,
                  first ? other_name : one_name);
    return first && second;
}

static bool choose_keys(struct creds *creds, struct error *error)
{
    const struct side *side = creds->side;

    if (!pair(side->access_key_id, "access_key_id", side->secret_access_key, "secret_access_key", error)) {
        if (error->kind == ERROR_NONE && *side->session_token != '\0')
            error_set(error, ERROR_CONFIG, "session_token is set, but access_key_id is not: set both");
        return false;
    }
    creds->base = (struct creds_key){side->access_key_id, side->secret_access_key, side->session_token, 1};
    snprintf(creds->source, sizeof creds->source, "access_key_id and secret_access_key");
    return true;
}

static bool add_step(struct creds *creds, const struct creds_step_ops *ops, const struct creds_role *role,
                     struct error *error)
{
    if (creds->step_count == CREDS_STEPS_MAX)
        return error_set(error, ERROR_CONFIG, "%s: the chain of roles is too long", creds->source);
    creds->steps[creds->step_count++] = (struct creds_step){ops, *role};
    return true;
}

static bool choose_web_identity(struct creds *creds, struct error *error)
{
    const struct side *side = creds->side;
    struct creds_role role = {side->role_arn, side->web_identity_token_file, side->role_session_name, "", ""};

    if (!pair(side->role_arn, "role_arn", side->web_identity_token_file, "web_identity_token_file", error))
        return false;
    snprintf(creds->source, sizeof creds->source, "role %.180s with the token in %.180s", side->role_arn,
             side->web_identity_token_file);
    return add_step(creds, &creds_web_identity, &role, error) && creds_sts_setup(creds, error);
}

/* ---- metadata ---- */

static const struct creds_role no_role = {"", "", "", "", ""};

static bool choose_container(struct creds *creds, struct error *error)
{
    if (!creds_container_setup(creds, error))
        return false;
    snprintf(creds->source, sizeof creds->source, "the container's endpoint for credentials");
    return add_step(creds, &creds_container, &no_role, error);
}

static bool choose_instance(struct creds *creds, struct error *error)
{
    if (!creds_instance_setup(creds, error))
        return false;
    snprintf(creds->source, sizeof creds->source, "EC2 instance metadata");
    creds->last_resort = true;
    for (size_t i = 0; i < sizeof creds_instance / sizeof creds_instance[0]; i++)
        if (!add_step(creds, &creds_instance[i], &no_role, error))
            return false;
    return true;
}

/* ---- shared files ---- */

/* Each of these is true when the profile gives credentials, and false with or without an error otherwise. */
static bool use_profile(struct creds *creds, const char *name, struct error *error);

static bool use_keys(struct creds *creds, const struct creds_profile *profile, struct error *error)
{
    const char *id = creds_profile_get(profile, CREDS_ACCESS_KEY_ID);
    const char *secret = creds_profile_get(profile, CREDS_SECRET_ACCESS_KEY);

    if (!pair(id, "aws_access_key_id", secret, "aws_secret_access_key", error)) {
        if (error->kind != ERROR_NONE)
            error_prefix(error, "profile \"%s\" of %s: ", profile->name, profile->path);
        return false;
    }
    creds->base = (struct creds_key){id, secret, creds_profile_get(profile, CREDS_SESSION_TOKEN), 1};
    return true;
}

/* The credentials that a role is assumed with come from somewhere else than a profile. */
static bool use_named_source(struct creds *creds, const struct creds_profile *profile, struct error *error)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"};
    const char *source = creds_profile_get(profile, CREDS_CREDENTIAL_SOURCE);
    const char *values[3];
    bool found = false;

    if (strcmp(source, "Environment") == 0) {
        for (int i = 0; i < 3; i++)
            values[i] = env_text(names[i]);
        found = pair(values[0], names[0], values[1], names[1], error);
        creds->base = (struct creds_key){values[0], values[1], values[2], 1};
    } else if (strcmp(source, "EcsContainer") == 0) {
        found = choose_container(creds, error);
    } else if (strcmp(source, "Ec2InstanceMetadata") == 0) {
        found = choose_instance(creds, error);
        creds->last_resort = false;
    }
    return found || error->kind != ERROR_NONE ||
           error_set(error, ERROR_CONFIG, "profile \"%s\" of %s: credential_source is %s, which has none",
                     profile->name, profile->path, source);
}

static bool is_in_use(const struct creds *creds, const char *name)
{
    for (int i = 0; i < creds->profile_count; i++)
        if (strcmp(creds->profiles[i]->name, name) == 0)
            return true;
    return false;
}

/* What the role of this profile is assumed with. */
static bool use_source(struct creds *creds, const struct creds_profile *profile, struct error *error)
{
    const char *source = creds_profile_get(profile, CREDS_SOURCE_PROFILE);

    if (*creds_profile_get(profile, CREDS_CREDENTIAL_SOURCE) != '\0')
        return use_named_source(creds, profile, error) && error->kind == ERROR_NONE;
    if (*source == '\0')
        return error_set(
            error, ERROR_CONFIG,
            "profile \"%s\" of %s: role_arn needs source_profile, credential_source or web_identity_token_file",
            profile->name, profile->path);
    if (strcmp(source, profile->name) == 0 ? use_keys(creds, profile, error)
                                           : !is_in_use(creds, source) && use_profile(creds, source, error))
        return true;
    return error->kind == ERROR_NONE &&
           error_set(error, ERROR_CONFIG, "profile \"%s\" of %s: source_profile \"%.100s\" %s", profile->name,
                     profile->path, source, is_in_use(creds, source) ? "has no keys" : "is not there");
}

static bool use_role(struct creds *creds, const struct creds_profile *profile, struct error *error)
{
    struct creds_role role = {
        creds_profile_get(profile, CREDS_ROLE_ARN),     creds_profile_get(profile, CREDS_TOKEN_FILE),
        creds_profile_get(profile, CREDS_SESSION_NAME), creds_profile_get(profile, CREDS_EXTERNAL_ID),
        creds_profile_get(profile, CREDS_DURATION),
    };
    bool web = *role.token_file != '\0';

    if (*creds_profile_get(profile, CREDS_MFA_SERIAL) != '\0')
        return error_set(error, ERROR_CONFIG,
                         "profile \"%s\" of %s: mfa_serial needs somebody to type a code", profile->name,
                         profile->path);
    if (web)
        role.external_id = ""; /* not a parameter of that request */
    return (web || use_source(creds, profile, error)) &&
           add_step(creds, web ? &creds_web_identity : &creds_assume_role, &role, error);
}

static bool use_profile(struct creds *creds, const char *name, struct error *error)
{
    struct creds_profile *profile;
    const char *unsupported = NULL;

    if (creds->profile_count == CREDS_STEPS_MAX)
        return error_set(error, ERROR_CONFIG, "profile \"%s\": the chain of profiles is too long", name);
    profile = creds_profile_load(name, error);
    if (profile == NULL)
        return false;
    creds->profiles[creds->profile_count++] = profile;
    if (*creds_profile_get(profile, CREDS_ROLE_ARN) != '\0')
        return use_role(creds, profile, error);
    if (use_keys(creds, profile, error) || error->kind != ERROR_NONE)
        return error->kind == ERROR_NONE;
    if (*creds_profile_get(profile, CREDS_PROCESS) != '\0')
        unsupported = "credential_process";
    else if (*creds_profile_get(profile, CREDS_SSO_SESSION) != '\0' ||
             *creds_profile_get(profile, CREDS_SSO_START_URL) != '\0')
        unsupported = "SSO";
    if (unsupported != NULL)
        return error_set(
            error, ERROR_CONFIG,
            "profile \"%s\" of %s: %s is not supported: put keys or a role into it, or choose another profile",
            name, profile->path, unsupported);
    return false;
}

static bool choose_profile(struct creds *creds, struct error *error)
{
    const char *name = *creds->side->profile != '\0' ? creds->side->profile : "default";
    const struct creds_profile *profile;
    bool gives = use_profile(creds, name, error);

    if (error->kind != ERROR_NONE)
        return false;
    if (creds->profile_count == 0) {
        if (*creds->side->profile != '\0')
            error_set(
                error, ERROR_CONFIG,
                "profile \"%.100s\" is in neither of the shared AWS files (~/.aws/credentials and ~/.aws/config, or what AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE say)",
                name);
        return false;
    }
    profile = creds->profiles[0];
    creds->variant.fips = strcasecmp(creds_profile_get(profile, CREDS_FIPS), "true") == 0;
    creds->variant.dualstack = strcasecmp(creds_profile_get(profile, CREDS_DUALSTACK), "true") == 0;
    snprintf(creds->region, sizeof creds->region, "%s", creds_profile_get(profile, CREDS_REGION));
    snprintf(creds->endpoint, sizeof creds->endpoint, "%s", creds_profile_get(profile, CREDS_ENDPOINT));
    if (!gives)
        return false;
    snprintf(creds->source, sizeof creds->source, "profile \"%s\" of %s", profile->name, profile->path);
    return creds->step_count == 0 || creds_sts_setup(creds, error);
}

bool creds_choose(struct creds *creds, struct error *error)
{
    static bool (*const sources[])(struct creds *, struct error *) = {
        choose_keys, choose_web_identity, choose_profile, choose_container, choose_instance,
    };

    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        if (sources[i](creds, error) || error->kind != ERROR_NONE)
            return error->kind == ERROR_NONE;
    creds_no_source(error, "AWS_EC2_METADATA_DISABLED is set");
    return false;
}

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
        "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where the sides differ STORSYNC_SOURCE_ACCESS_KEY_ID and STORSYNC_SOURCE_SECRET_ACCESS_KEY, and the same with DESTINATION. There is no role, profile or container's endpoint either; EC2's metadata: %s",
        reason);
}

/* ---- the side's own ---- */

/* Two settings that only make sense together. */
static enum creds_found find_pair(const char *one, const char *one_name, const char *other,
                                  const char *other_name, struct error *error)
{
    bool first = *one != '\0', second = *other != '\0';

    if (first == second)
        return first ? CREDS_GIVES : CREDS_SILENT;
    error_set(error, ERROR_CONFIG, "%s is set, but %s is not: set both", first ? one_name : other_name,
              first ? other_name : one_name);
    return CREDS_WRONG;
}

static enum creds_found choose_keys(struct creds *creds, struct error *error)
{
    const struct side *side = creds->side;
    enum creds_found found =
        find_pair(side->access_key_id, "access_key_id", side->secret_access_key, "secret_access_key", error);

    if (found == CREDS_SILENT && *side->session_token != '\0')
        return error_set(error, ERROR_CONFIG, "session_token is set, but access_key_id is not: set both"),
               CREDS_WRONG;
    if (found != CREDS_GIVES)
        return found;
    creds->base = (struct creds_key){side->access_key_id, side->secret_access_key, side->session_token, 1};
    snprintf(creds->source, sizeof creds->source, "access_key_id and secret_access_key");
    return CREDS_GIVES;
}

static enum creds_found add_step(struct creds *creds, const struct creds_step_ops *ops,
                                 const struct creds_role *role, struct error *error)
{
    if (creds->step_count == CREDS_STEPS_MAX)
        return error_set(error, ERROR_CONFIG, "%s: the chain of roles is too long", creds->source),
               CREDS_WRONG;
    creds->steps[creds->step_count++] = (struct creds_step){ops, *role};
    return CREDS_GIVES;
}

static enum creds_found choose_web_identity(struct creds *creds, struct error *error)
{
    const struct side *side = creds->side;
    struct creds_role role = {side->role_arn, side->web_identity_token_file, side->role_session_name, "", ""};
    enum creds_found found = find_pair(side->role_arn, "role_arn", side->web_identity_token_file,
                                       "web_identity_token_file", error);

    if (found != CREDS_GIVES)
        return found;
    snprintf(creds->source, sizeof creds->source, "role %.180s with the token in %.180s", side->role_arn,
             side->web_identity_token_file);
    if (!creds_sts_setup(creds, error))
        return CREDS_WRONG;
    return add_step(creds, &creds_web_identity, &role, error);
}

/* ---- metadata ---- */

static const struct creds_role no_role = {"", "", "", "", ""};

static enum creds_found choose_container(struct creds *creds, struct error *error)
{
    enum creds_found found = creds_container_setup(creds, error);

    if (found != CREDS_GIVES)
        return found;
    snprintf(creds->source, sizeof creds->source, "the container's endpoint for credentials");
    return add_step(creds, &creds_container, &no_role, error);
}

static enum creds_found choose_instance(struct creds *creds, struct error *error)
{
    enum creds_found found = creds_instance_setup(creds, error);

    if (found != CREDS_GIVES)
        return found;
    snprintf(creds->source, sizeof creds->source, "EC2 instance metadata");
    creds->no_source = creds_no_source;
    for (size_t i = 0; i < sizeof creds_instance / sizeof creds_instance[0] && found == CREDS_GIVES; i++)
        found = add_step(creds, &creds_instance[i], &no_role, error);
    return found;
}

/* ---- shared files ---- */

static enum creds_found use_profile(struct creds *creds, const char *name, struct error *error);

static enum creds_found use_keys(struct creds *creds, const struct creds_profile *profile,
                                 struct error *error)
{
    const char *id = creds_profile_get(profile, CREDS_ACCESS_KEY_ID);
    const char *secret = creds_profile_get(profile, CREDS_SECRET_ACCESS_KEY);
    enum creds_found found = find_pair(id, "aws_access_key_id", secret, "aws_secret_access_key", error);

    if (found == CREDS_WRONG)
        error_prefix(error, "profile \"%s\" of %s: ", profile->name, profile->path);
    if (found == CREDS_GIVES)
        creds->base = (struct creds_key){id, secret, creds_profile_get(profile, CREDS_SESSION_TOKEN), 1};
    return found;
}

static enum creds_found use_environment(struct creds *creds, struct error *error)
{
    static const char id[] = "AWS_ACCESS_KEY_ID", secret[] = "AWS_SECRET_ACCESS_KEY";

    creds->base = (struct creds_key){env_text(id), env_text(secret), env_text("AWS_SESSION_TOKEN"), 1};
    return find_pair(creds->base.access_key_id, id, creds->base.secret_access_key, secret, error);
}

/* The credentials that a role is assumed with come from somewhere else than a profile. */
static enum creds_found use_named_source(struct creds *creds, const struct creds_profile *profile,
                                         struct error *error)
{
    const char *source = creds_profile_get(profile, CREDS_CREDENTIAL_SOURCE);
    enum creds_found found = CREDS_SILENT;

    if (strcmp(source, "Environment") == 0) {
        found = use_environment(creds, error);
    } else if (strcmp(source, "EcsContainer") == 0) {
        found = choose_container(creds, error);
    } else if (strcmp(source, "Ec2InstanceMetadata") == 0) {
        found = choose_instance(creds, error);
        creds->no_source = NULL;
    }
    if (found != CREDS_SILENT)
        return found;
    error_set(error, ERROR_CONFIG, "profile \"%s\" of %s: credential_source is %s, which has none",
              profile->name, profile->path, source);
    return CREDS_WRONG;
}

static bool is_in_use(const struct creds *creds, const char *name)
{
    for (int i = 0; i < creds->profile_count; i++)
        if (strcmp(creds->profiles[i]->name, name) == 0)
            return true;
    return false;
}

static enum creds_found use_source_profile(struct creds *creds, const struct creds_profile *profile,
                                           const char *source, struct error *error)
{
    if (strcmp(source, profile->name) == 0)
        return use_keys(creds, profile, error);
    return is_in_use(creds, source) ? CREDS_SILENT : use_profile(creds, source, error);
}

/* What the role of this profile is assumed with. */
static enum creds_found use_source(struct creds *creds, const struct creds_profile *profile,
                                   struct error *error)
{
    const char *source = creds_profile_get(profile, CREDS_SOURCE_PROFILE);
    enum creds_found found;

    if (*creds_profile_get(profile, CREDS_CREDENTIAL_SOURCE) != '\0')
        return use_named_source(creds, profile, error);
    if (*source == '\0') {
        error_set(
            error, ERROR_CONFIG,
            "profile \"%s\" of %s: role_arn needs source_profile, credential_source or web_identity_token_file",
            profile->name, profile->path);
        return CREDS_WRONG;
    }
    found = use_source_profile(creds, profile, source, error);
    if (found != CREDS_SILENT)
        return found;
    error_set(error, ERROR_CONFIG, "profile \"%s\" of %s: source_profile \"%.100s\" %s", profile->name,
              profile->path, source, is_in_use(creds, source) ? "has no keys" : "is not there");
    return CREDS_WRONG;
}

static enum creds_found use_role(struct creds *creds, const struct creds_profile *profile,
                                 struct error *error)
{
    struct creds_role role = {
        creds_profile_get(profile, CREDS_ROLE_ARN),     creds_profile_get(profile, CREDS_TOKEN_FILE),
        creds_profile_get(profile, CREDS_SESSION_NAME), creds_profile_get(profile, CREDS_EXTERNAL_ID),
        creds_profile_get(profile, CREDS_DURATION),
    };
    bool web = *role.token_file != '\0';
    enum creds_found found;

    if (*creds_profile_get(profile, CREDS_MFA_SERIAL) != '\0') {
        error_set(error, ERROR_CONFIG, "profile \"%s\" of %s: mfa_serial needs somebody to type a code",
                  profile->name, profile->path);
        return CREDS_WRONG;
    }
    if (web)
        role.external_id = ""; /* not a parameter of that request */
    found = web ? CREDS_GIVES : use_source(creds, profile, error);
    if (found != CREDS_GIVES)
        return found;
    return add_step(creds, web ? &creds_web_identity : &creds_assume_role, &role, error);
}

/* How else the profile gives credentials; NULL if in no way. */
static const char *unsupported_way(const struct creds_profile *profile)
{
    if (*creds_profile_get(profile, CREDS_PROCESS) != '\0')
        return "credential_process";
    if (*creds_profile_get(profile, CREDS_SSO_SESSION) != '\0' ||
        *creds_profile_get(profile, CREDS_SSO_START_URL) != '\0')
        return "SSO";
    return NULL;
}

static enum creds_found use_profile(struct creds *creds, const char *name, struct error *error)
{
    struct creds_profile *profile;
    enum creds_found found;

    if (creds->profile_count == CREDS_STEPS_MAX)
        return error_set(error, ERROR_CONFIG, "profile \"%s\": the chain of profiles is too long", name),
               CREDS_WRONG;
    found = creds_profile_load(name, &profile, error);
    if (found != CREDS_GIVES)
        return found;
    creds->profiles[creds->profile_count++] = profile;
    if (*creds_profile_get(profile, CREDS_ROLE_ARN) != '\0')
        return use_role(creds, profile, error);
    found = use_keys(creds, profile, error);
    if (found != CREDS_SILENT || unsupported_way(profile) == NULL)
        return found;
    error_set(
        error, ERROR_CONFIG,
        "profile \"%s\" of %s: %s is not supported: put keys or a role into it, or choose another profile",
        name, profile->path, unsupported_way(profile));
    return CREDS_WRONG;
}

/* What a profile says besides: true of the side, whoever gives the credentials. */
static void take_profile_settings(struct creds *creds, const struct creds_profile *profile)
{
    creds->variant.fips = strcasecmp(creds_profile_get(profile, CREDS_FIPS), "true") == 0;
    creds->variant.dualstack = strcasecmp(creds_profile_get(profile, CREDS_DUALSTACK), "true") == 0;
    snprintf(creds->region, sizeof creds->region, "%s", creds_profile_get(profile, CREDS_REGION));
    snprintf(creds->endpoint, sizeof creds->endpoint, "%s", creds_profile_get(profile, CREDS_ENDPOINT));
}

static enum creds_found choose_profile(struct creds *creds, struct error *error)
{
    bool asked = *creds->side->profile != '\0';
    const char *name = asked ? creds->side->profile : "default";
    enum creds_found found = use_profile(creds, name, error);

    if (found == CREDS_WRONG)
        return found;
    if (creds->profile_count == 0 && asked) {
        error_set(
            error, ERROR_CONFIG,
            "profile \"%.100s\" is in neither of the shared AWS files (~/.aws/credentials and ~/.aws/config, or what AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE say)",
            name);
        return CREDS_WRONG;
    }
    if (creds->profile_count > 0)
        take_profile_settings(creds, creds->profiles[0]);
    if (found != CREDS_GIVES)
        return found;
    snprintf(creds->source, sizeof creds->source, "profile \"%s\" of %s", creds->profiles[0]->name,
             creds->profiles[0]->path);
    return creds->step_count == 0 || creds_sts_setup(creds, error) ? CREDS_GIVES : CREDS_WRONG;
}

bool creds_choose(struct creds *creds, struct error *error)
{
    static enum creds_found (*const sources[])(struct creds *, struct error *) = {
        choose_keys, choose_web_identity, choose_profile, choose_container, choose_instance,
    };
    enum creds_found found = CREDS_SILENT;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && found == CREDS_SILENT; i++)
        found = sources[i](creds, error);
    if (found == CREDS_SILENT)
        creds_no_source(error, "AWS_EC2_METADATA_DISABLED is set");
    return found == CREDS_GIVES;
}

/*
 * settings - one table declares every setting; everything else is derived from it.
 *
 * A setting `name` is `name = value` in the INI file, STORSYNC_NAME in the environment and --name (dashes for
 * underscores) on the command line. A setting of a side stands in [source] or [destination] and has that word
 * in front elsewhere: STORSYNC_SOURCE_BUCKET, --source-bucket. Precedence: command line > environment > INI
 * file > AWS_ variables > default. Some settings have further environment names (DEV_STORAGE_BUCKET), which count
 * after the setting's own. A secret can also be in a file that STORSYNC_..._FILE names, and has no flag. A variable
 * that is empty is not set.
 *
 * The AWS_ variables are for both sides, so whatever a side has of its own, from any source, comes first. Profile,
 * key, secret, token and role are one unit: a side that has one of them takes none of AWS_PROFILE, AWS_ROLE_ARN, ...
 *
 * A side whose bucket nobody has set has the app's own, if there is one as at Replit: the first in
 * PUBLIC_OBJECT_SEARCH_PATHS that is called like Replit's, else DEFAULT_OBJECT_STORAGE_BUCKET_ID. Only then the default.
 *
 * A value that cannot be used is replaced by the default with a problem noted that names the source, the value
 * and the default; so is an unknown INI key or STORSYNC_ variable, with the nearest known name. Problems are
 * warnings in a normal run and errors under --check-config. Secrets never appear in a problem or in a printed
 * setting. What is fine but likely a mistake is a note; a bucket or the paths that nobody has set are an assumption.
 *
 * INVARIANT: a value that cannot be understood never does more than one that was meant. Where the default could, the
 * careful value is used instead: dry_run becomes true, on_failure stop, allow_http false, environment development, strict true, content 100%.
 *
 * Grammar: durations are whole numbers with ms, s, m, h or d, the larger ones first ("1h30m"; a bare number is
 * seconds), sizes a whole number with KiB, MiB or GiB, which may be written K, KB and so on (a bare number is bytes), flags
 * are true, yes, on, t, y or 1, and false, no, off, f, n or 0, and shares whole percents ("10%"; the % may be left out) or
 * one of the words of a flag. Surrounding white space does not count, nor does the case
 * of words and of a size's unit.
 */
#ifndef STORSYNC_SETTINGS_H
#define STORSYNC_SETTINGS_H

#include "buf.h"
#include "error.h"
#include "filter.h"
#include "nearest.h"

#include <stdbool.h>
#include <stdint.h>

enum compare { COMPARE_SIZE, COMPARE_NEWER, COMPARE_ETAG };
enum conflict { CONFLICT_OVERWRITE, CONFLICT_KEEP, CONFLICT_FAIL };
enum tags { TAGS_AUTO, TAGS_REQUIRE, TAGS_IGNORE };
enum acl {
    ACL_BUCKET, /* none is sent */
    ACL_COPY,
    ACL_PRIVATE, /* this one and all after it: the services' "canned" or "predefined" ones */
    ACL_PUBLIC_READ,
    ACL_AUTHENTICATED_READ,
    ACL_OWNER_READ,
    ACL_OWNER_FULL_CONTROL,
};
enum plan_format { PLAN_FORMAT_JSON, PLAN_FORMAT_JSON_ALL, PLAN_FORMAT_S3_BATCH, PLAN_FORMAT_STS };
enum on_failure { ON_FAILURE_START, ON_FAILURE_STOP };
enum path_style { PATH_STYLE_AUTO, PATH_STYLE_YES, PATH_STYLE_NO };
enum endpoint_switch { SWITCH_AUTO, SWITCH_YES, SWITCH_NO }; /* auto: what the profile says, else no */
enum request_payer { PAYER_OWNER, PAYER_REQUESTER };

/* One side of the sync. Strings are owned by the settings; "" means not set. */
struct side {
    const char *role;                /* "source" or "destination" */
    const struct settings *settings; /* whose side it is */
    const char *bucket;
    const char *endpoint;
    const char *region;
    const char *profile;
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    const char *role_arn;
    const char *web_identity_token_file;
    const char *role_session_name;
    const char *sts_endpoint;
    const char *ca_file;
    const char *user_project;
    int64_t path_style;                                /* enum path_style */
    int64_t use_fips_endpoint, use_dualstack_endpoint; /* enum endpoint_switch */
    int64_t request_payer;                             /* enum request_payer */
    int64_t allow_http;                                /* credentials may go over plain http to any host */
};

struct settings {
    struct side source;
    struct side destination;
    const char *public_object_search_paths; /* comma-separated /bucket/prefix */
    const char *private_object_dir;         /* /bucket/prefix */
    const char *exclude, *include, *filter_file;
    const char *environment; /* "", "production" or "development" */
    const char *deployment_id;

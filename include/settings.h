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
 * careful value is used instead: dry_run becomes true, on_failure stop, allow_http false, environment development, strict true, content 100%, delete off, max_delete 0.
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
#include "shard.h"

#include <stdbool.h>
#include <stdint.h>

enum compare { COMPARE_SIZE, COMPARE_NEWER, COMPARE_ETAG };
enum conflict { CONFLICT_OVERWRITE, CONFLICT_KEEP, CONFLICT_FAIL };
enum keep_previous { KEEP_OFF, KEEP_COPIES, KEEP_VERSIONS };
enum deletion { DELETE_OFF, DELETE_EXTRA };
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
enum notify_on { NOTIFY_ON_FAILURE, NOTIFY_ON_CHANGE, NOTIFY_ON_ALWAYS };
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
    const char *job;         /* "": see job.h */
    const char *shard;       /* as it was given; what it means: */
    struct shard share;      /* of the keys, that a deploy is about; both numbers are known */
    const char *status_file; /* "": the defaults of status.h, in turn */
    const char *notify_url, *notify_secret,
        *notify_ca_file;                           /* see notify.h; a url that cannot be used is "" */
    const char *notify_mail_to, *notify_mail_from; /* likewise; addresses are ASCII */
    const char *smtp_url, *smtp_user, *smtp_password;
    int64_t notify_on;      /* enum notify_on */
    int64_t notify_timeout; /* ms */
    int64_t notify_plain;
    const char *metrics_file;                                /* "": none */
    const char *config;                                      /* the INI file; "" if there is none */
    const char *drop_env;                                    /* names, comma-separated */
    const char *plan;                                        /* a dry run's; "-": standard output */
    const char *schedule, *validate_schedule;                /* cron.h; "": none */
    int64_t schedule_jitter;                                 /* ms */
    const char *admin_listen;                                /* address.h */
    const char *admin_token;                                 /* a secret; "": nothing may be changed */
    const char *admin_hosts;                                 /* names, comma-separated */
    int64_t min_interval, timeout, wait, lease_ttl;          /* ms */
    int64_t connect_timeout, stall_timeout, request_timeout; /* ms */
    int64_t concurrency, retries;
    int64_t max_requests, max_bytes; /* a second; 0: no limit */
    int64_t max_failures;            /* in a row, for one reason; 0: however many there are */
    int64_t part_size;               /* bytes */
    int64_t compare;                 /* enum compare */
    int64_t conflict;                /* enum conflict */
    int64_t keep_previous;           /* enum keep_previous */
    int64_t runs_kept;
    int64_t deletion;   /* enum deletion */
    int64_t max_delete; /* objects; below 0: percent of those of the destination */
    int64_t tags;       /* enum tags */
    int64_t acl;        /* enum acl */
    int64_t on_failure; /* enum on_failure */
    int64_t dry_run;
    int64_t plan_format;  /* enum plan_format */
    int64_t strict;       /* a validation fails for extra objects as well */
    int64_t content;      /* percent: how many of the objects that no hash compares it reads */
    int64_t content_seed; /* which ones; 0: any */
    int64_t log_format;   /* enum log_format */
    int64_t log_level;    /* enum log_level */

    struct settings_state *state; /* origins, problems, the memory of the strings */
};

/* How settings_load is told about the outside. */
struct settings_input {
    const char *const *environ_;       /* NAME=value, NULL at the end */
    const struct settings_flag *flags; /* from the command line, in order */
    int flag_count;
    const char *config; /* --config, or NULL */
    char **parts;       /* --sync PATH...; NULL: none */
    int part_count;
    bool no_files; /* as if there were no INI file and no file with a secret: for who must not wait for one */
};
struct settings_flag {
    const char *name;  /* without the dashes, as typed: "source-bucket" */
    const char *value; /* NULL is "true" */
};

#define SETTINGS_LEASE_TTL_LEAST 3000 /* ms; a shorter lease_ttl counts as this, with a note */

#define SETTINGS_BYTES_LEAST 65536 /* a second; likewise of max_bytes */

/* How the names of buckets begin that Replit gives. */
#define SETTINGS_REPLIT_BUCKET "replit-objstore-"

/* The longest `job`. */
#define SETTINGS_SEGMENT_MAX 64

#define SETTINGS_MAIL_MAX 16          /* addresses of notify_mail_to ... */
#define SETTINGS_MAIL_ADDRESS_MAX 254 /* bytes of one: RFC 5321, 4.5.3.1.3 */

#define SETTINGS_NAME_SIZE 64 /* of a variable or a flag, with its NUL */

/* Does `--name` exist, and does it need a value? Flags (booleans) may stand without one. */
bool settings_flag_known(const char *name, bool *needs_value);

/* Is it what the flag of a secret would be called? Then `variable` is the environment variable to use. */
bool settings_flag_secret(const char *name, char variable[SETTINGS_NAME_SIZE]);

/* Offers every flag, with its dashes. */
void settings_flag_nearest(struct nearest *nearest);

/*
 * Fills `settings` from defaults, INI file, environment and flags. The INI file is --config, else STORSYNC_CONFIG,
 * else SETTINGS_CONFIG_DEFAULT if that exists; at most 256 KiB. False with ERROR_CONFIG when it cannot be read or is
 * malformed (the error names file and line): the settings then hold what the other sources give, so that the
 * failure policy is known. Memory that runs out is ERROR_LOCAL. In every case settings_free is due.
 */
#define SETTINGS_CONFIG_DEFAULT "/etc/storsync/storsync.ini"
bool settings_load(struct settings *settings, const struct settings_input *input, struct error *error);

/* What flags and environment alone say of the few settings on which the start of the application depends. No file is
 * opened and no memory allocated; drop_env is a part of what was given. */
struct settings_peeked {
    bool start; /* on_failure=start, or nothing was said */
    bool on_failure_set, timeout_set;
    int64_t timeout; /* ms */
    const char *drop_env;
};
void settings_peek(const struct settings_input *input, struct settings_peeked *out);
void settings_free(struct settings *settings); /* wipes the secrets */

/* The problems found, in order; NULL past the last. At most 64 are kept. */
const char *settings_problem(const struct settings *settings, int index);

/* In the same way, what to warn about when a sync or a validation is going to happen, such as a wait that is longer than the
 * timeout ... */
const char *settings_note(const struct settings *settings, int index);

/* ... and what is only to be mentioned: the documented defaults that are used because nobody has set the buckets or the
 * paths. */
const char *settings_assumption(const struct settings *settings, int index);

/* In the same way, why none may begin: see settings_usable. */
const char *settings_refusal(const struct settings *settings, int index);

/* May a sync or a validation begin? False with ERROR_CONFIG if what it would touch is not what was asked for: one bucket is
 * set and the other is not, a path names no prefix, or one of them cannot be understood at all. */
bool settings_usable(const struct settings *settings, struct error *error);

/* Where the value of `field` (its address inside *settings) came from: "default", "environment
 * PROD_STORAGE_BUCKET", "/etc/storsync/storsync.ini:7", "--source-bucket". */
const char *settings_origin(const struct settings *settings, const void *field);
bool settings_is_default(const struct settings *settings, const void *field);

/* The same for an error's text, without many words: the variable, the flag or file and line; of a value that nobody has set, the
 * variable that would set it. `field` is in *side. "" if that is nobody's side. */
#define SETTINGS_PLACE_SIZE 200
const char *settings_place(const struct side *side, const void *field, char out[SETTINGS_PLACE_SIZE]);

/* Key prefixes to sync, from the two path settings: the bucket (a first segment, or a side's bucket as it is set) is
 * dropped, the rest ends with '/' ("" is the whole bucket, from "/bucket/" and a star). Quotes around a path and brackets
 * around the list do not count, nor do s3:// and gs:// before a path. Neither set: public/ and private/. Duplicates, and prefixes
 * inside another one, are left out. At most SETTINGS_PATHS_MAX. Only of use if settings_usable. */
#define SETTINGS_PATHS_MAX 64
int settings_path_count(const struct settings *settings);
const char *settings_path(const struct settings *settings, int index);

/* What this run is about: the paths, or the parts of them that settings_input.parts names, each in the same form. */
int settings_part_count(const struct settings *settings);
const char *settings_part(const struct settings *settings, int index);

/* Which keys of the paths count, by the rules of `exclude`, `include` and `filter_file`; NULL: all. Those of the command line
 * come first, then the environment's (in which exclusions come before inclusions), the INI file's, the filter file's. Each
 * setting has patterns (filter.h), with commas between them outside of braces and brackets. Where something is included by
 * `include`, the rest is left out. A line of the filter file is "- PATTERN", "+ PATTERN", "!" (forget the file's lines before
 * this one), a comment with # or ;, or blank; it has at most SETTINGS_FILTER_FILE_MAX bytes. A rule that cannot be used, and a file that cannot
 * be read, are refusals. */
#define SETTINGS_FILTER_FILE_MAX ((size_t)256 * 1024)
struct filter *settings_filter(const struct settings *settings);

/* --print-config: every setting, its value (secrets as "****"), where it came from. */
struct settings_remark { /* what follows from the settings of each side, to be shown behind them */
    const char *name;    /* "credentials" */
    const char *source, *destination; /* without the latter: what follows from all of them */
};
bool settings_print(const struct settings *settings, const struct settings_remark *remarks, int count,
                    struct buf *out);
bool settings_print_json(const struct settings *settings, const struct settings_remark *remarks, int count,
                         struct buf *out);

/* The settings part of --help: the common ones, or `all`, by group. No line has more than 80 columns. */
bool settings_help(bool all, struct buf *out);

#endif

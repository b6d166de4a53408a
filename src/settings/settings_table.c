#include "settings_internal.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define SECOND ((int64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define MIB ((int64_t)1024 * 1024)
#define GIB (1024 * MIB)

#define OF_RUN(member) offsetof(struct settings, member)
#define OF_SIDE(member) offsetof(struct side, member)

static const struct setting run_table[] = {
    {.name = "environment",
     .heading = "What is synced",
     .common = true,
     .type = SETTING_ENVIRONMENT,
     .offset = OF_RUN(environment),
     .fallback = "",
     .careful = "development",
     .variables = "STORSYNC_ENV",
     .choices = "production|development",
     .also = "prod|dev",
     .word = "NAME",
     .help = "production or development; found out if not set"},
    {.name = "deployment_id",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_RUN(deployment_id),
     .fallback = "",
     .word = "ID",
     .help = "what tells one deployment from the next; the platform's own if not set"},
    {.name = "job",
     .type = SETTING_SEGMENT,
     .offset = OF_RUN(job),
     .fallback = "",
     .word = "NAME",
     .help =
         "what this sync is called in the production bucket; follows from source, paths and filters if not set"},
    {.name = "shard",
     .type = SETTING_SHARD,
     .offset = OF_RUN(shard),
     .careful = "",
     .fallback = "",
     .word = "SHARD",
     .help =
         "I/N: of N processes that share the objects of a deployment this is number I, from 0; /N takes that from JOB_COMPLETION_INDEX"},
    {.name = "public_object_search_paths",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_RUN(public_object_search_paths),
     .names = true,
     .careful = "",
     .fallback = "",
     .variables = "PUBLIC_OBJECT_SEARCH_PATHS",
     .word = "PATHS",
     .help =
         "what to sync: /bucket/prefix, comma-separated, or /bucket/* for all; the bucket's name does not count"},
    {.name = "private_object_dir",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_RUN(private_object_dir),
     .careful = "",
     .fallback = "",
     .variables = "PRIVATE_OBJECT_DIR",
     .word = "PATH",
     .help = "what to sync besides: one /bucket/prefix; public/ and private/ if neither is set"},
    {.name = "exclude",
     .type = SETTING_TEXT,
     .offset = OF_RUN(exclude),
     .rules = true,
     .careful = "",
     .fallback = "",
     .word = "PATTERNS",
     .help = "what not to sync of that: patterns of keys, comma-separated, such as *.tmp,/public/cache/"},
    {.name = "include",
     .type = SETTING_TEXT,
     .offset = OF_RUN(include),
     .rules = true,
     .careful = "",
     .fallback = "",
     .word = "PATTERNS",
     .help = "what to sync of that, and nothing else; the first pattern that matches decides"},
    {.name = "filter_file",
     .type = SETTING_TEXT,
     .offset = OF_RUN(filter_file),
     .careful = "",
     .fallback = "",
     .word = "FILE",
     .help = "file with more of both, which come after these: a line each, \"- *.tmp\" or \"+ *.css\""},
    {.name = "min_interval",
     .heading = "When, and for how long",
     .type = SETTING_DURATION,
     .offset = OF_RUN(min_interval),
     .fallback = "1h",
     .max = 8760 * HOUR,
     .help = "least time between two automatic syncs"},
    {.name = "schedule",
     .type = SETTING_SCHEDULE,
     .offset = OF_RUN(schedule),
     .fallback = "",
     .word = "SCHEDULE",
     .help = "with --serve, when to sync: five fields as in crontab, or @hourly, @daily and the like"},
    {.name = "validate_schedule",
     .type = SETTING_SCHEDULE,
     .offset = OF_RUN(validate_schedule),
     .fallback = "",
     .word = "SCHEDULE",
     .help = "with --serve, when to validate"},
    {.name = "schedule_jitter",
     .type = SETTING_DURATION,
     .offset = OF_RUN(schedule_jitter),
     .fallback = "0",
     .max = 24 * HOUR,
     .help = "each replica is later than the schedule says by its own part of this"},
    {.name = "max_failures",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(max_failures),
     .fallback = "1000",
     .max = 1000000000,
     .help = "objects in a row that may fail for one reason before the run gives up; 0 is no limit"},
    {.name = "on_failure",
     .common = true,
     .type = SETTING_CHOICE,
     .offset = OF_RUN(on_failure),
     .fallback = "start",
     .careful = "stop",
     .choices = "start|stop",
     .help = "after a failed sync, start the application nevertheless, or stop with the exit code"},
    {.name = "timeout",
     .common = true,
     .type = SETTING_DURATION,
     .offset = OF_RUN(timeout),
     .fallback = "5m",
     .max = 24 * HOUR,
     .help = "most time that the application may be kept waiting; 0 is no limit"},
    {.name = "wait",
     .type = SETTING_DURATION,
     .offset = OF_RUN(wait),
     .fallback = "2m",
     .max = 24 * HOUR,
     .help = "most time to wait while another replica syncs"},
    {.name = "lease_ttl",
     .type = SETTING_DURATION,
     .offset = OF_RUN(lease_ttl),
     .fallback = "30s",
     .min = 1 * SECOND,
     .max = 1 * HOUR,
     .help =
         "how long a replica that syncs may be silent before another takes over; 3s is the least that counts"},
    {.name = "compare",
     .heading = "How it is copied",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(compare),
     .fallback = "newer",
     .choices = "size|newer|etag",
     .help = "which difference counts: size; newer adds a later time at the source; etag adds the ETag"},
    {.name = "conflict",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(conflict),
     .fallback = "overwrite",
     .careful = "keep",
     .choices = "overwrite|keep|fail",
     .help =
         "what was changed in production since it was synced, and would be copied over: overwrite, keep it, or let it fail"},
    {.name = "keep_previous",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(keep_previous),
     .fallback = "off",
     .careful = "copies",
     .choices = "off|copies|versions",
     .help =
         "so that --rollback can undo a sync: copies keeps what it overwrites, in the production bucket; versions relies on those that the bucket keeps itself"},
    {.name = "runs_kept",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(runs_kept),
     .fallback = "3",
     .min = 1,
     .max = 500,
     .help = "so many of the newest syncs that changed something can be rolled back (keep_previous)"},
    {.name = "delete",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(deletion),
     .fallback = "off",
     .careful = "off",
     .choices = "off|extra",
     .help =
         "what production has and the source has not: leave it (off), or remove it after a clean sync (extra)"},
    {.name = "max_delete",
     .type = SETTING_LIMIT,
     .offset = OF_RUN(max_delete),
     .fallback = "10%",
     .careful = "0",
     .min = -100,
     .max = 1000000000000,
     .help =
         "most that delete may remove in a run, objects or a share of production's (10%); if it is more, nothing is"},
    {.name = "tags",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(tags),
     .fallback = "auto",
     .choices = "auto|require|ignore",
     .help =
         "objects' tags: auto leaves them out, with a warning, where the destination has none; require fails there; ignore never copies them"},
    {.name = "acl",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(acl),
     .fallback = "bucket",
     .choices =
         "bucket|copy|private|public-read|authenticated-read|bucket-owner-read|bucket-owner-full-control",
     .word = "ACL",
     .help =
         "objects' ACLs: bucket sends none, so the production bucket's default holds; copy gives the grants that the source has; private, public-read, authenticated-read, bucket-owner-read, bucket-owner-full-control are S3's"},
    {.name = "concurrency",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(concurrency),
     .fallback = "auto",
     .also = "auto",
     .min = 1,
     .max = 64,
     .help = "transfers at once; auto begins with 16 and follows what the service bears"},
    {.name = "part_size",
     .type = SETTING_SIZE,
     .offset = OF_RUN(part_size),
     .fallback = "32MiB",
     .min = 5 * MIB,
     .max = 5 * GIB,
     .help = "size of the parts in which large objects are copied"},
    {.name = "dry_run",
     .common = true,
     .type = SETTING_FLAG,
     .offset = OF_RUN(dry_run),
     .fallback = "false",
     .careful = "true",
     .max = 1,
     .help = "decide and log as always, but write nothing"},
    {.name = "plan",
     .type = SETTING_TEXT,
     .offset = OF_RUN(plan),
     .fallback = "",
     .word = "FILE",
     .help = "where a dry run writes what it would do to each object; - is standard output"},
    {.name = "plan_format",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(plan_format),
     .fallback = "json",
     .choices = "json|json-all|s3-batch|sts",
     .help =
         "json is what would change, json-all all objects; s3-batch and sts are manifests for S3 Batch Operations and Google's Storage Transfer Service"},
    {.name = "strict",
     .heading = "How it is validated",
     .type = SETTING_FLAG,
     .offset = OF_RUN(strict),
     .fallback = "false",
     .careful = "true",
     .max = 1,
     .help = "with --validate: extra objects count as differences"},
    {.name = "content",
     .type = SETTING_SHARE,
     .offset = OF_RUN(content),
     .fallback = "0",
     .careful = "100%",
     .max = 100,
     .word = "[=N%]",
     .help = "with --validate: read what no hash compares, all of it or a share"},
    {.name = "content_seed",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(content_seed),
     .fallback = "0",
     .max = UINT32_MAX,
     .help = "which share: the same number is the same one; 0 is another each time"},
    {.name = "retries",
     .heading = "Requests",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(retries),
     .fallback = "5",
     .max = 20,
     .help = "how often a failed request is tried again"},
    {.name = "max_requests",
     .type = SETTING_NUMBER,
     .offset = OF_RUN(max_requests),
     .careful = "",
     .fallback = "0",
     .max = 1000000,
     .help = "most requests a second, those that are tried again included; 0 is no limit"},
    {.name = "max_bytes",
     .type = SETTING_SIZE,
     .offset = OF_RUN(max_bytes),
     .careful = "",
     .fallback = "0",
     .max = 1024 * GIB,
     .help =
         "most bytes a second over the network, both directions together; 0 is no limit, and 64KiB the least that counts"},
    {.name = "connect_timeout",
     .type = SETTING_DURATION,
     .offset = OF_RUN(connect_timeout),
     .fallback = "10s",
     .min = SECOND / 10,
     .max = 5 * MINUTE,
     .help = "most time for name lookup, TCP and TLS together"},
    {.name = "stall_timeout",
     .type = SETTING_DURATION,
     .offset = OF_RUN(stall_timeout),
     .fallback = "30s",
     .min = SECOND / 10,
     .max = 1 * HOUR,
     .help = "a request that makes no progress for this long is broken off"},
    {.name = "request_timeout",
     .type = SETTING_DURATION,
     .offset = OF_RUN(request_timeout),
     .fallback = "10m",
     .min = 0,
     .max = 24 * HOUR,
     .help = "most time for one attempt at one request; 0 is no limit"},
    {.name = "notify_url",
     .heading = "Whom to tell how it went",
     .type = SETTING_SECRET,
     .offset = OF_RUN(notify_url),
     .fallback = "",
     .help =
         "webhook that is told how a run ended: an https URL, which takes JSON that Slack understands as well"},
    {.name = "notify_secret",
     .type = SETTING_SECRET,
     .offset = OF_RUN(notify_secret),
     .fallback = "",
     .help = "key of the signature by which the receiver knows that it comes from here"},
    {.name = "notify_on",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(notify_on),
     .fallback = "failure",
     .choices = "failure|change|always",
     .help =
         "which runs are told of: those that failed, those that ended otherwise than the one before, or all"},
    {.name = "notify_timeout",
     .type = SETTING_DURATION,
     .offset = OF_RUN(notify_timeout),
     .fallback = "10s",
     .min = SECOND,
     .max = 5 * MINUTE,
     .help = "most time that telling may take, all attempts together"},
    {.name = "notify_ca_file",
     .type = SETTING_TEXT,
     .offset = OF_RUN(notify_ca_file),
     .fallback = "",
     .word = "FILE",
     .help = "PEM file with the certificate authorities to trust there; as for the buckets if not set"},
    {.name = "notify_plain",
     .type = SETTING_FLAG,
     .offset = OF_RUN(notify_plain),
     .fallback = "false",
     .careful = "false",
     .max = 1,
     .help = "other machines may be told without TLS: by http, or by smtp without STARTTLS"},
    {.name = "notify_mail_to",
     .type = SETTING_ADDRESSES,
     .offset = OF_RUN(notify_mail_to),
     .fallback = "",
     .max = SETTINGS_MAIL_MAX,
     .word = "ADDRESSES",
     .help = "who gets a mail about it: addresses, comma-separated"},
    {.name = "notify_mail_from",
     .type = SETTING_ADDRESSES,
     .offset = OF_RUN(notify_mail_from),
     .fallback = "",
     .max = 1,
     .word = "ADDRESS",
     .help = "whom that mail is from"},
    {.name = "smtp_url",
     .type = SETTING_URL,
     .offset = OF_RUN(smtp_url),
     .fallback = "",
     .word = "URL",
     .help = "the server that takes the mail: smtp://host:587 with STARTTLS, or smtps://host"},
    {.name = "smtp_user",
     .type = SETTING_TEXT,
     .offset = OF_RUN(smtp_user),
     .fallback = "",
     .word = "NAME",
     .help = "user there"},
    {.name = "smtp_password",
     .type = SETTING_SECRET,
     .offset = OF_RUN(smtp_password),
     .fallback = "",
     .help = "that user's password"},
    {.name = "admin_listen",
     .heading = "The admin endpoint of --serve",
     .type = SETTING_ADDRESS,
     .offset = OF_RUN(admin_listen),
     .fallback = "127.0.0.1:9187",
     .careful = "off",
     .word = "ADDRESS",
     .help = "where it listens: HOST:PORT, :PORT for every address of the machine, unix:/PATH, or off"},
    {.name = "admin_token",
     .type = SETTING_SECRET,
     .offset = OF_RUN(admin_token),
     .fallback = "",
     .word = "TOKEN",
     .help = "who knows it may start and end syncs there; nobody may if it is not set"},
    {.name = "admin_hosts",
     .type = SETTING_TEXT,
     .offset = OF_RUN(admin_hosts),
     .names = true,
     .fallback = "",
     .word = "NAMES",
     .help =
         "names besides localhost by which it may be called, comma-separated, such as a Kubernetes service's"},
    {.name = "drop_env",
     .heading = "What the application and you get to know",
     .type = SETTING_TEXT,
     .offset = OF_RUN(drop_env),
     .names = true,
     .fallback = "",
     .word = "NAMES",
     .help =
         "variables that the application does not get: names, comma-separated; AWS_* is all that begin so"},
    {.name = "status_file",
     .type = SETTING_TEXT,
     .offset = OF_RUN(status_file),
     .fallback = "",
     .word = "FILE",
     .help = "where the status goes; /run/storsync/status.json or /tmp/storsync-status.json if not set"},
    {.name = "metrics_file",
     .type = SETTING_TEXT,
     .offset = OF_RUN(metrics_file),
     .fallback = "",
     .word = "FILE",
     .help = "where the figures of the last run go, for Prometheus' node_exporter; nowhere if not set"},
    {.name = "log_format",
     .type = SETTING_CHOICE,
     .offset = OF_RUN(log_format),
     .fallback = "text",
     .choices = "text|json",
     .help = "lines for a person, or one JSON object a line"},
    {.name = "log_level",
     .common = true,
     .type = SETTING_CHOICE,
     .offset = OF_RUN(log_level),
     .fallback = "info",
     .choices = "error|warn|info|debug",
     .also = "err|warning",
     .help = "how much to log"},
    {.name = "config",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_RUN(config),
     .fallback = SETTINGS_CONFIG_DEFAULT,
     .not_in_file = true,
     .word = "FILE",
     .help = "the INI file with settings; the default one need not exist"},
    {.name = NULL},
};

static const struct setting side_table[] = {
    {.name = "bucket",
     .heading = "The bucket",
     .common = true,
     .type = SETTING_URL,
     .offset = OF_SIDE(bucket),
     .careful = "",
     .fallback = "dedw3n-dev-storage",
     .fallback_of_destination = "dedw3n-production-storage",
     .variables = "DEV_STORAGE_BUCKET",
     .variables_of_destination = "PROD_STORAGE_BUCKET",
     .shared = "DEFAULT_OBJECT_STORAGE_BUCKET_ID",
     .word = "BUCKET",
     .help = "the bucket: its name, s3://name, gs://name or file:///directory"},
    {.name = "endpoint",
     .common = true,
     .type = SETTING_URL,
     .offset = OF_SIDE(endpoint),
     .fallback = "",
     .shared = "AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL",
     .word = "URL",
     .help = "where the S3 service is; AWS if not set"},
    {.name = "region",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_SIDE(region),
     .fallback = "",
     .shared = "AWS_REGION AWS_DEFAULT_REGION",
     .word = "REGION",
     .help = "region of the bucket; us-east-1 if not set"},
    {.name = "path_style",
     .type = SETTING_CHOICE,
     .offset = OF_SIDE(path_style),
     .fallback = "auto",
     .choices = "auto|yes|no",
     .help = "where a request names the bucket: in its path if yes, in its host name if no"},
    {.name = "use_fips_endpoint",
     .type = SETTING_CHOICE,
     .offset = OF_SIDE(use_fips_endpoint),
     .fallback = "auto",
     .careful = "yes",
     .shared = "AWS_USE_FIPS_ENDPOINT",
     .choices = "auto|yes|no",
     .help = "ask AWS at its endpoints with validated cryptography; as the profile says if auto"},
    {.name = "use_dualstack_endpoint",
     .type = SETTING_CHOICE,
     .offset = OF_SIDE(use_dualstack_endpoint),
     .fallback = "auto",
     .shared = "AWS_USE_DUALSTACK_ENDPOINT",
     .choices = "auto|yes|no",
     .help = "ask AWS at its endpoints that have IPv6 as well; as the profile says if auto"},
    {.name = "request_payer",
     .type = SETTING_CHOICE,
     .offset = OF_SIDE(request_payer),
     .fallback = "owner",
     .choices = "owner|requester",
     .help = "who pays for requests to the bucket and what is read; some buckets have to be told: requester"},
    {.name = "user_project",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(user_project),
     .fallback = "",
     .word = "PROJECT",
     .help = "which project pays for requests to a gs:// bucket; some have to be told"},
    {.name = "allow_http",
     .type = SETTING_FLAG,
     .offset = OF_SIDE(allow_http),
     .fallback = "false",
     .careful = "false",
     .max = 1,
     .help = "credentials and data may go over plain http, to other machines as well"},
    {.name = "ca_file",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(ca_file),
     .fallback = "",
     .shared = "AWS_CA_BUNDLE",
     .word = "FILE",
     .help =
         "PEM file with the certificate authorities to trust; if not set, SSL_CERT_FILE, the system's, our own"},
    {.name = "profile",
     .heading = "The credentials",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(profile),
     .fallback = "",
     .shared = "AWS_PROFILE",
     .credential = true,
     .word = "NAME",
     .help = "profile in the shared AWS files"},
    {.name = "access_key_id",
     .common = true,
     .type = SETTING_TEXT,
     .offset = OF_SIDE(access_key_id),
     .fallback = "",
     .shared = "AWS_ACCESS_KEY_ID",
     .credential = true,
     .word = "ID",
     .help = "access key"},
    {.name = "secret_access_key",
     .common = true,
     .type = SETTING_SECRET,
     .offset = OF_SIDE(secret_access_key),
     .fallback = "",
     .shared = "AWS_SECRET_ACCESS_KEY",
     .credential = true,
     .help = "the secret that belongs to the access key"},
    {.name = "session_token",
     .type = SETTING_SECRET,
     .offset = OF_SIDE(session_token),
     .fallback = "",
     .shared = "AWS_SESSION_TOKEN",
     .credential = true,
     .help = "session token of a temporary access key"},
    {.name = "role_arn",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(role_arn),
     .fallback = "",
     .shared = "AWS_ROLE_ARN",
     .credential = true,
     .word = "ARN",
     .help = "role to assume with a web identity token"},
    {.name = "web_identity_token_file",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(web_identity_token_file),
     .fallback = "",
     .shared = "AWS_WEB_IDENTITY_TOKEN_FILE",
     .credential = true,
     .word = "FILE",
     .help = "file with that token; it is read again whenever credentials are renewed"},
    {.name = "role_session_name",
     .type = SETTING_TEXT,
     .offset = OF_SIDE(role_session_name),
     .fallback = "",
     .shared = "AWS_ROLE_SESSION_NAME",
     .credential = true,
     .word = "NAME",
     .help = "what the role's session is called; made up if not set"},
    {.name = "sts_endpoint",
     .type = SETTING_URL,
     .offset = OF_SIDE(sts_endpoint),
     .fallback = "",
     .shared = "AWS_ENDPOINT_URL_STS AWS_ENDPOINT_URL",
     .word = "URL",
     .help = "where roles are assumed; AWS if not set"},
    {.name = NULL},
};

/* "Authentication", Cloudflare R2 documentation. */
static const struct settings_vendor vendor_table[] = {
    {".r2.cloudflarestorage.com", "access_key_id", "R2_ACCESS_KEY_ID"},
    {".r2.cloudflarestorage.com", "secret_access_key", "R2_SECRET_ACCESS_KEY"},
    {.name = NULL},
};

#define RUN_COUNT ((int)(sizeof run_table / sizeof run_table[0]) - 1)
#define SIDE_COUNT ((int)(sizeof side_table / sizeof side_table[0]) - 1)

_Static_assert(RUN_COUNT + 2 * SIDE_COUNT == SETTINGS_SLOTS, "SETTINGS_SLOTS counts the table");

const struct setting *settings_of_run(void)
{
    return run_table;
}

const struct setting *settings_of_side(void)
{
    return side_table;
}

const struct settings_vendor *settings_of_vendors(void)
{
    return vendor_table;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

struct slot settings_slot(int index)
{
    const struct setting *setting;
    bool destination = index >= RUN_COUNT + SIDE_COUNT;
    struct slot slot;

    if (index < RUN_COUNT) {
        setting = &run_table[index];
        slot = (struct slot){.section = "", .offset = setting->offset};
    } else {
        setting = &side_table[(index - RUN_COUNT) % SIDE_COUNT];
        slot.section = destination ? "destination" : "source";
        slot.offset = setting->offset + (destination ? OF_RUN(destination) : OF_RUN(source));
    }
    slot.setting = setting;
    slot.fallback = setting->fallback;
    slot.variables = or_empty(setting->variables);
    if (destination && setting->fallback_of_destination != NULL)
        slot.fallback = setting->fallback_of_destination;
    if (destination && setting->variables_of_destination != NULL)
        slot.variables = setting->variables_of_destination;
    return slot;
}

void settings_variable(const struct slot *slot, char out[SETTINGS_NAME_SIZE])
{
    snprintf(out, SETTINGS_NAME_SIZE, SETTINGS_PREFIX "%s%s%s", slot->section,
             *slot->section != '\0' ? "_" : "", slot->setting->name);
    for (char *c = out; *c != '\0'; c++)
        *c = text_upper(*c);
}

void settings_flag(const struct slot *slot, char out[SETTINGS_NAME_SIZE])
{
    snprintf(out, SETTINGS_NAME_SIZE, "%s%s%s", slot->section, *slot->section != '\0' ? "-" : "",
             slot->setting->name);
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
}

int settings_find(const char *section, const char *name)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        if (strcmp(slot.section, section) == 0 && strcmp(slot.setting->name, name) == 0)
            return i;
    }
    return -1;
}

int settings_find_flag(const char *flag)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        char name[SETTINGS_NAME_SIZE];

        settings_flag(&slot, name);
        if (strcmp(name, flag) == 0)
            return i;
    }
    return -1;
}

const char *settings_next_word(const char *words, char out[SETTINGS_NAME_SIZE])
{
    size_t len;

    if (words == NULL || *words == '\0')
        return NULL;
    len = strcspn(words, " ");
    snprintf(out, SETTINGS_NAME_SIZE, "%.*s", (int)len, words);
    return words[len] == ' ' ? words + len + 1 : words + len;
}

/*
 * creds_internal - what the files of creds share; nobody else includes this.
 *
 *     creds.c            the life of a key: fetched, handed out, renewed, wiped
 *     creds_choose.c     which source, and the steps that follow from it
 *     creds_request.c    one request: its hooks, and what is common to all answers
 *     creds_sts.c        the two steps that ask STS
 *     creds_metadata.c   the steps that ask a container's endpoint, or EC2's metadata service
 *     creds_profile.c    a profile in the shared files
 *     gcp*.c             Google's: see gcp_internal.h
 *
 * A renewal is a short series of steps, each of them one request; what the last one brings is the new key. A chain of
 * roles is several steps, of which each signs with the key that the one before has brought. All steps use the same
 * request, one after the other: creds_get, which everybody calls who waits, takes the next one.
 */
#ifndef STORSYNC_CREDS_INTERNAL_H
#define STORSYNC_CREDS_INTERNAL_H

#include "creds.h"
#include "http.h"
#include "uri.h"
#include "xml.h"

#include <stddef.h>

#define CREDS_STEPS_MAX 8
#define CREDS_ANSWER_MAX ((size_t)64 * 1024) /* of a service; it has two or three KiB */
#define CREDS_TOKEN_MAX ((size_t)20 * 1024)  /* of a token file: what STS takes */
#define CREDS_FORM_MAX (4 * CREDS_TOKEN_MAX) /* with a token and an ARN, percent-encoded */

/* One key with its secret, or a bearer token, which is a session_token alone. Wiped by its owner. */
struct creds_set {
    char access_key_id[256];
    char secret_access_key[512];
    char session_token[XML_TEXT_MAX + 1];
    int64_t expires; /* by the service's wall clock; CLOCK_UNKNOWN: never */
};

/* What a profile says, from both files. */
enum creds_field {
    CREDS_ACCESS_KEY_ID,
    CREDS_SECRET_ACCESS_KEY,
    CREDS_SESSION_TOKEN,
    CREDS_ROLE_ARN,
    CREDS_SOURCE_PROFILE,
    CREDS_CREDENTIAL_SOURCE,
    CREDS_TOKEN_FILE,
    CREDS_SESSION_NAME,
    CREDS_EXTERNAL_ID,
    CREDS_DURATION,
    CREDS_MFA_SERIAL,
    CREDS_REGION,
    CREDS_ENDPOINT,
    CREDS_FIPS,
    CREDS_DUALSTACK,
    CREDS_PROCESS,
    CREDS_SSO_SESSION,
    CREDS_SSO_START_URL,
    CREDS_FIELD_COUNT,
};
struct creds_profile {
    char name[128];
    char path[300];                  /* the file that has it; the one with the keys, if both have */
    char *values[CREDS_FIELD_COUNT]; /* NULL: not said */
};

/* A role to assume. Strings are borrowed; "" is not set. */
struct creds_role {
    const char *arn;
    const char *token_file; /* for web identity only */
    const char *session_name;
    const char *external_id;
    const char *duration; /* seconds, in digits */
};

/* What a service says about a key, or about why there is none. "" for what it does not say. */
struct creds_answer {
    char id[256];
    char secret[512];
    char token[XML_TEXT_MAX + 1];
    char expiration[64];
    char code[64];
    char message[200];
};

/* One kind of request. */
struct creds_step_ops {
    const char *method;
    bool direct;        /* to the machine itself: see http.h */
    bool to_sts;        /* to creds->sts */
    int64_t time_limit; /* ms, of an attempt */
    int attempts;       /* at most; 0: what http allows */
    /* Instead of all that follows, and of a request: puts what this machine alone can make into creds->next. Optional. */
    bool (*make)(struct creds *creds, struct error *error);
    /* Fills in URL and headers, and creds->form for a POST. */
    bool (*prepare)(struct creds *creds, struct error *error);
    /* A good answer: takes what is in it. False: another attempt is made only after ERROR_UNREACHABLE. */
    bool (*take)(struct creds *creds, struct error *error);
    /* Another answer: says why, and whether to try again. */
    enum http_verdict (*refused)(struct creds *creds, struct error *error);
};
struct creds_step {
    const struct creds_step_ops *ops;
    struct creds_role role;
};

struct gcp;

struct creds {
    const struct side *side;
    struct http *http;
    struct gcp *gcp; /* for its steps; NULL: no credentials of Google's */

    /* Decided once. */
    char source[480];
    struct creds_profile *profiles[CREDS_STEPS_MAX]; /* own the strings of base and of the roles */
    struct creds_step steps[CREDS_STEPS_MAX];
    struct creds_key base; /* what the first step signs with, or the key that never changes */
    int profile_count;
    int step_count; /* 0: the key never changes, or there is none */
    /* What to say if nobody answers, when nothing was configured and a metadata service may not be there at all; else
     * NULL. */
    void (*no_source)(struct error *error, const char *why);
    int64_t early; /* ms before the end that a key is renewed; of a short life its last quarter */
    int64_t pause; /* ms, at least, between two attempts; after the second twice as long, and so on */
    struct uri sts;
    char sts_region[64];
    char metadata_url[1024];    /* of the container's endpoint, or where EC2's service is */
    struct aws_variant variant; /* the profile's, as the next two */
    char region[64];
    char endpoint[900];

    /* The key that is handed out; times are mono. */
    struct creds_set now;
    unsigned generation; /* 0: none yet */
    int64_t renew_at;
    int64_t expires_at;
    int64_t forced_at; /* when a service said last that a key had expired before its time */

    /* The renewal. */
    bool busy;
    bool answer_too_large;
    int step;
    int failures; /* in a row */
    struct http_request request;
    struct creds_set next; /* what the last step brought */
    struct creds_key signer;
    struct buf form;
    size_t form_secret; /* where in the form begins what nobody may see; 0: nowhere */
    bool by_google;     /* so says a header of the answer */
    char *answer;       /* CREDS_ANSWER_MAX bytes, NULL at rest */
    size_t answer_len;
    int64_t date;         /* of the answer, wall; CLOCK_UNKNOWN if it has none */
    int64_t clock_offset; /* ms to add to clock_wall for the service's time, once that was learnt */
    int64_t not_before;   /* mono; the next renewal, after one that failed */
    struct error error;   /* of the last one */
    char metadata_token[512];
    char role_name[256];
};

/* What a possible source has for a side. */
enum creds_found {
    CREDS_SILENT, /* nothing: it is not configured, and the next source's turn comes */
    CREDS_GIVES,  /* credentials, or the steps to them */
    CREDS_WRONG,  /* what is configured cannot be right; with an error */
};

/* creds.c */
/* Without a source yet. NULL with ERROR_LOCAL. */
struct creds *creds_new(const struct side *side, struct http *http, struct error *error);

/* creds_choose.c */
/* The first source that is configured. False with ERROR_CONFIG if that cannot be right, or ERROR_CREDENTIALS. */
bool creds_choose(struct creds *creds, struct error *error);
void creds_no_source(struct error *error, const char *why); /* "no credentials", and what to do */

/* creds_request.c */
extern const struct http_hooks creds_hooks;
void creds_request_wipe(struct creds *creds); /* everything secret of a renewal but its result */
/* ERROR_CREDENTIALS, or ERROR_UNREACHABLE if another attempt may help: `text`, status, and the service's own words,
 * if there are any. */
enum http_verdict creds_refuse(struct creds *creds, const char *text, const struct creds_answer *answer,
                               struct error *error);
/* Puts what was answered into creds->next. False if it is incomplete, too long, or could not stand in a header. */
bool creds_take(struct creds *creds, const struct creds_answer *answer, struct error *error);
/* What follows in the form is not for the log, should the service repeat it. */
void creds_hide(struct creds *creds);
/* Is this machine's clock the reason for a refusal? Then clock_offset tells the service's; once. */
bool creds_learn_clock(struct creds *creds);
/* Copies a text of an answer. False if there is no room. */
bool creds_copy(char *out, size_t size, const char *text);
/* A token file, without the white space at its end. */
bool creds_read_token(const char *path, struct buf *out, struct error *error);
/* Can it be the value of a header? */
bool creds_is_clean(const char *text);

/* creds_sts.c */
extern const struct creds_step_ops creds_web_identity;
extern const struct creds_step_ops creds_assume_role;
bool creds_sts_setup(struct creds *creds,
                     struct error *error); /* region and endpoint of the profile are known */
bool creds_parse_xml(const char *text, size_t len, struct creds_answer *answer, struct error *error);

/* creds_metadata.c */
extern const struct creds_step_ops creds_container;
extern const struct creds_step_ops creds_instance[3];
extern const struct creds_step_ops creds_instance_region; /* after these; puts it into creds->sts_region */
/* Each puts what the variables say into creds->metadata_url. EC2's service is silent only if it is switched off. */
enum creds_found creds_container_setup(struct creds *creds, struct error *error);
enum creds_found creds_instance_setup(struct creds *creds, struct error *error);
bool creds_parse_json(const char *text, size_t len, struct creds_answer *answer, struct error *error);

/* creds_profile.c */
/* The profile of that name, for creds_profile_free. Silent if no file has it; wrong if a file cannot be read, or a line
 * of that profile cannot be understood. Then *out is NULL. */
enum creds_found creds_profile_load(const char *name, struct creds_profile **out, struct error *error);
void creds_profile_free(struct creds_profile *profile); /* wipes it; NULL is fine */
/* Warns, once, of a file with a secret that anybody can read or change. */
void creds_warn_exposed(const char *path);
const char *creds_profile_get(const struct creds_profile *profile,
                              enum creds_field field); /* "" if not said */
/* One file. `config`: sections are called "profile NAME". Adds what is not said yet; `found` becomes true if the
 * profile is there. */
bool creds_profile_parse(struct creds_profile *profile, bool config, const char *path, const char *text,
                         size_t len, bool *found, struct error *error);

#endif

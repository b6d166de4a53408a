/*
 * gcp_internal - what the files of gcp share; nobody else includes this.
 *
 *     gcp.c            the door
 *     gcp_choose.c     which source, what a file has to have, and the steps that follow from it
 *     gcp_steps.c      the requests for a token
 *     gcp_jwt.c        a token that is signed here
 *     gcp_aws.c        a request to Amazon's STS as a token
 *     gcp_answer.c     what is answered
 *
 * A token lives the life of a key (creds_internal.h): it is the session_token of one that has no more. `signer` is the
 * token that the step before has brought.
 */
#ifndef STORSYNC_GCP_INTERNAL_H
#define STORSYNC_GCP_INTERNAL_H

#include "creds_internal.h"
#include "gcp.h"
#include "json.h"

#define GCP_FILE_MAX ((size_t)64 * 1024)
#define GCP_SIGNATURE_MAX 512 /* bytes: an RSA key of 4,096 bits */
#define GCP_LIFE (INT64_C(3600) * 1000)
#define GCP_SCOPE "https://www.googleapis.com/auth/cloud-platform"

struct gcp {
    struct creds *creds; /* NULL: anonymous */
    char endpoint[600];
    char quota_project[128];
    const char *sidecar;   /* where Replit's is */
    const char *token_url; /* of authorized_user, and of who says none */
    char metadata_host[300];

    /* The file. `objects` has the part of it that a step is about. */
    yyjson_doc *file;
    yyjson_val *objects[CREDS_STEPS_MAX];

    /* What the last gcp_ready found. */
    enum creds_state state;
    unsigned generation; /* of the token in `bearer`; 0: none yet */
    struct buf bearer;
    struct error error;
};

/* gcp_choose.c */
bool gcp_choose(struct gcp *gcp, struct error *error);
void gcp_no_source(struct error *error, const char *why); /* "no credentials", and what to do */
/* The steps of a file that says this, which is kept. */
bool gcp_use_text(struct gcp *gcp, const char *text, size_t len, struct error *error);
/* Wipes and frees a document; NULL is fine. */
void gcp_wipe(yyjson_doc *doc);
/* May a token be sent to that URL, or taken from it? https, or this machine; with `near`, also a metadata service. */
bool gcp_check_url(const char *url, const char *name, bool near, struct error *error);

/* gcp_steps.c */
extern const struct creds_step_ops gcp_sidecar_credential;
extern const struct creds_step_ops gcp_sidecar_token;
extern const struct creds_step_ops gcp_metadata;
extern const struct creds_step_ops gcp_self_signed; /* of a service account; not a request */
extern const struct creds_step_ops gcp_exchange;    /* of a service account */
extern const struct creds_step_ops gcp_refresh;     /* of an authorized_user, also an external one */
extern const struct creds_step_ops gcp_subject;     /* of an external_account, from a URL */
extern const struct creds_step_ops gcp_sts;         /* of an external_account */
extern const struct creds_step_ops gcp_impersonate; /* whatever came before */

/* gcp_answer.c */
bool gcp_parse(const char *text, size_t len, struct creds_answer *answer, struct error *error);
/* The token of creds->answer into creds->next. */
bool gcp_take(struct creds *creds, struct error *error);
/* What an external_account's file or URL has: the token itself, or JSON with it. */
bool gcp_take_subject(yyjson_val *account, const char *text, size_t len, struct buf *out,
                      struct error *error);

/* gcp_aws.c */
/* The subject token that shows who creds->signer is, percent-encoded: GetCallerIdentity, signed for `audience`. */
bool gcp_aws_subject(const struct creds *creds, const char *audience, struct buf *out, struct error *error);

/* gcp_jwt.c */
/* The signature of RFC 7518, 3.3. `pem` is PKCS#8 or PKCS#1. 0 if it is no RSA key of up to 4,096 bits. */
size_t gcp_rs256(const char *pem, const void *data, size_t len, unsigned char out[GCP_SIGNATURE_MAX]);
/* A JWT of the service account, issued at that time (wall); for `audience` if that is not NULL. */
bool gcp_jwt(yyjson_val *account, const char *audience, int64_t wall, struct buf *out, struct error *error);

#endif

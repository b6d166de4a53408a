/*
 * creds - the credentials of one side: found where the platform puts them, and renewed before they run out.
 *
 * The order is that of the AWS SDKs ("Standardized credential providers", AWS SDKs and Tools Reference Guide):
 *
 *     keys            of the side, or AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN; for an endpoint at
 *                     Cloudflare R2 also R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY, which come before the AWS ones
 *     web identity    role_arn and web_identity_token_file, through STS
 *     shared files    the profile: keys, or role_arn with source_profile or web_identity_token_file, through STS
 *     container       AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI: ECS, EKS Pod Identity
 *     instance        the metadata service of EC2, version 2 only
 *
 * The first source that is configured is the only one: if it does not work, that is an error which names it, never a
 * reason to go on as somebody else. credential_process and SSO are not supported, and said so when a profile has them.
 *
 * Nothing is asked before the first creds_get. Requests go through the same http as everything else; creds_get never
 * waits. A secret is wiped when it is replaced and in creds_close.
 */
#ifndef STORSYNC_CREDS_H
#define STORSYNC_CREDS_H

#include "aws.h"
#include "error.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

struct creds;
struct http;

enum creds_state {
    CREDS_READY,
    CREDS_PENDING, /* a request for them is under way: ask again when it has ended (see `ready` in http.h) */
    CREDS_FAILED,
};

/* Valid until the next creds_get, and until http_step. */
struct creds_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* "" if there is none */
    unsigned generation;       /* another number: another key. Never 0. */
};

/*
 * Decides upon the source, which may read the shared files, but asks no service. `side` and `http` are borrowed, and
 * must outlive it. NULL with ERROR_CONFIG for a source that is configured but cannot be right (a profile that is
 * not there, a token file without a role), with ERROR_CREDENTIALS when there is none at all, or ERROR_LOCAL.
 */
struct creds *creds_open(const struct side *side, struct http *http, struct error *error);
void creds_close(struct creds *creds); /* cancels what is under way; NULL is fine */

/* The key to sign with, now. One that runs out soon is renewed meanwhile; one that has run out is not given out.
 * CREDS_FAILED: *error (ERROR_CREDENTIALS, or what the network said) names the source. */
enum creds_state creds_get(struct creds *creds, struct creds_key *key, struct error *error);

/* The service says that the key of this generation has expired. True if there is or will be another one, so that one
 * more attempt makes sense; false for keys that cannot be renewed. Before its time is over, a key is renewed for that
 * only with `renew`. */
bool creds_expired(struct creds *creds, unsigned generation, bool renew);

/* Is the time of this key over, or nearly so, or is there another one already? Then a refusal without a reason may be
 * for that: a HEAD's answer cannot say so, Ceph RGW says AccessDenied, and the service's clock is another than ours.
 * Never true for keys that cannot be renewed. */
bool creds_outlived(const struct creds *creds, unsigned generation);

/* For people: "keys of the environment", "profile \"x\" of /root/.aws/credentials", "EC2 instance metadata". */
const char *creds_source(const struct creds *creds);

/* Does this text, which a service sent, repeat a part of the secret or of the session token that it is asked with? Then it is
 * for nobody's eyes. */
bool creds_quoted(const struct creds *creds, const char *text);

/* Are both the keys of one account, as far as can be told without asking: the same key, or keys that come from the same
 * place? */
bool creds_same(const struct creds *a, const struct creds *b);

/* Which of Amazon's endpoints are to be asked: the side's own settings, else what the profile says, if it was consulted. */
struct aws_variant creds_variant(const struct creds *creds);

/* What the profile says, if it was consulted: "" if it says nothing. A side's own settings come first. */
const char *creds_region(const struct creds *creds);
const char *creds_endpoint(const struct creds *creds);

#endif

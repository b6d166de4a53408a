/* "Standardized credential providers", "Refreshing credentials", AWS SDKs and Tools Reference Guide. */
#include "creds_internal.h"

#include "clock.h"
#include "log.h"
#include "random.h"

#include <stdlib.h>
#include <string.h>

#define RENEW_EARLY (INT64_C(5) * 60 * 1000)
#define RENEW_SOONEST 1000 /* after the last one, however short a key's life is */
#define LIFE_MAX (INT64_C(366) * 24 * 3600 * 1000)
#define BACKOFF_BASE 1000 /* between renewals that failed, when http had given up on each */
#define BACKOFF_CAP 60000
#define FORCED_INTERVAL 5000 /* a new key that is refused like the old one does not call for another */

/* ---- a renewal ---- */

static struct creds_key key_of(const struct creds_set *set, unsigned generation)
{
    return (struct creds_key){set->access_key_id, set->secret_access_key, set->session_token, generation};
}

/* Nothing of a renewal stays but creds->now. */
static void leave_renewal(struct creds *creds)
{
    creds->busy = false;
    creds_request_wipe(creds);
    free(creds->answer);
    creds->answer = NULL;
    buf_free(&creds->form);
    explicit_bzero(&creds->next, sizeof creds->next);
    explicit_bzero(creds->metadata_token, sizeof creds->metadata_token);
    creds->signer = creds->base;
}

static void fail_renewal(struct creds *creds, const struct error *why)
{
    int64_t now = clock_mono();
    int64_t wait = BACKOFF_BASE;
    bool still_good = creds->generation != 0 && now < creds->expires_at;

    creds->error = *why;
    if (creds->no_source != NULL && creds->generation == 0 && creds->request.status == 0)
        creds->no_source(&creds->error, why->text);
    else
        error_prefix(&creds->error, "%s: ", creds->source);
    leave_renewal(creds);
    for (int i = 0; i < creds->failures && wait < BACKOFF_CAP; i++)
        wait *= 2;
    creds->failures++;
    creds->not_before = now + (wait < BACKOFF_CAP ? wait : BACKOFF_CAP);
    if (!still_good)
        return;
    /* When the old key ends, the next failure is somebody's error: one more attempt before that. */
    if (creds->not_before > creds->expires_at)
        creds->not_before = creds->expires_at;
    log_warn("credentials not renewed, and those in use end in %lld s: %s",
             (long long)(creds->expires_at - now) / 1000, creds->error.text);
}

/* How long the new key lives, in milliseconds, by the clock of whoever said so. */
static int64_t life_of(const struct creds *creds)
{
    /* A Date leaves out the fraction of its second. */
    int64_t now = creds->date != CLOCK_UNKNOWN ? creds->date + 999 : clock_wall();
    int64_t life = creds->next.expires == CLOCK_UNKNOWN ? LIFE_MAX : creds->next.expires - now;

    return life < LIFE_MAX ? life : LIFE_MAX;
}

/* The series is complete. */
static void install_key(struct creds *creds)
{
    int64_t life = life_of(creds), early = life / 4 < creds->early ? life / 4 : creds->early;
    int64_t now = clock_mono();
    struct error error;

    if (life <= 0) {
        error_set(&error, ERROR_CREDENTIALS,
                  "the credentials that came have expired already: check the clocks of service and machine");
        fail_renewal(creds, &error);
        return;
    }
    memcpy(&creds->now, &creds->next, sizeof creds->now);
    creds->generation++;
    creds->failures = 0;
    creds->expires_at = now + life;
    /* Replicas that started together need not come back together. */
    creds->renew_at = creds->expires_at - early - (int64_t)(random_number() % (uint64_t)(early / 4 + 1));
    if (creds->renew_at < now + RENEW_SOONEST)
        creds->renew_at = now + RENEW_SOONEST;
    if (creds->now.access_key_id[0] != '\0')
        log_debug("credentials: %s, access key %s, for %lld s", creds->source, creds->now.access_key_id,
                  (long long)life / 1000);
    else
        log_debug("credentials: %s, a token, for %lld s", creds->source, (long long)life / 1000);
    leave_renewal(creds);
}

static void begin_step(struct creds *creds)
{
    const struct creds_step_ops *ops = creds->steps[creds->step].ops;
    struct http_request *request = &creds->request;

    if (ops->make != NULL) {
        creds->date = CLOCK_UNKNOWN;
        error_clear(&request->error);
        ops->make(creds, &request->error);
        request->done = true;
        return;
    }
    request->method = ops->method;
    /* What would be readable on the way goes no way that is longer than it must be. */
    request->direct = ops->direct || (ops->to_sts && strcmp(creds->sts.scheme, "https") != 0);
    request->time_limit = ops->time_limit;
    request->urgent = true; /* all others wait for it */
    http_submit(creds->http, request);
}

/* Takes the next step of the renewal, if the last one is over. */
static void advance_renewal(struct creds *creds)
{
    struct error error;

    while (creds->busy && creds->request.done) {
        if (creds->request.error.kind != ERROR_NONE) {
            error = creds->request.error;
            fail_renewal(creds, &error);
        } else if (creds->step + 1 == creds->step_count) {
            install_key(creds);
        } else {
            creds->signer = key_of(&creds->next, 1);
            creds->step++;
            begin_step(creds);
        }
    }
}

static void start_renewal(struct creds *creds)
{
    struct error error;

    creds->busy = true;
    creds->step = 0;
    creds->signer = creds->base;
    creds->answer = malloc(CREDS_ANSWER_MAX);
    if (creds->answer == NULL) {
        error_set(&error, ERROR_LOCAL, "out of memory");
        fail_renewal(creds, &error);
        return;
    }
    begin_step(creds);
    advance_renewal(creds);
}

/* ---- the interface ---- */

static bool has_good_key(const struct creds *creds, int64_t now)
{
    return creds->generation != 0 && now < creds->expires_at;
}

enum creds_state creds_get(struct creds *creds, struct creds_key *key, struct error *error)
{
    int64_t now;

    if (creds->step_count == 0) {
        *key = creds->base;
        *error = creds->error;
        return key->generation != 0 ? CREDS_READY : CREDS_FAILED;
    }
    advance_renewal(creds);
    now = clock_mono();
    if (!creds->busy && now >= creds->not_before && (!has_good_key(creds, now) || now >= creds->renew_at))
        start_renewal(creds);
    /* What this machine makes itself is there at once. */
    if (has_good_key(creds, now)) {
        *key = key_of(&creds->now, creds->generation);
        return CREDS_READY;
    }
    if (creds->busy)
        return CREDS_PENDING;
    *error = creds->error;
    return CREDS_FAILED;
}

bool creds_outlived(const struct creds *creds, unsigned generation)
{
    return creds->step_count != 0 && (generation != creds->generation || clock_mono() >= creds->renew_at);
}

bool creds_expired(struct creds *creds, unsigned generation, bool renew)
{
    int64_t now = clock_mono();

    if (creds->step_count == 0)
        return false;
    advance_renewal(creds);
    if (generation != creds->generation || now >= creds->expires_at)
        return true;
    if (!renew || (creds->forced_at != 0 && now - creds->forced_at < FORCED_INTERVAL))
        return false;
    creds->forced_at = now;
    creds->expires_at = now;
    creds->not_before = now;
    return true;
}

bool creds_same(const struct creds *a, const struct creds *b)
{
    if (a->step_count == 0 && b->step_count == 0)
        return a->base.generation == b->base.generation &&
               (a->base.generation == 0 || strcmp(a->base.access_key_id, b->base.access_key_id) == 0);
    return a->step_count != 0 && b->step_count != 0 && strcmp(a->source, b->source) == 0;
}

const char *creds_source(const struct creds *creds)
{
    return creds->source;
}

struct aws_variant creds_variant(const struct creds *creds)
{
    const struct side *side = creds->side;
    struct aws_variant variant = creds->variant;

    if (side->use_fips_endpoint != SWITCH_AUTO)
        variant.fips = side->use_fips_endpoint == SWITCH_YES;
    if (side->use_dualstack_endpoint != SWITCH_AUTO)
        variant.dualstack = side->use_dualstack_endpoint == SWITCH_YES;
    return variant;
}

const char *creds_region(const struct creds *creds)
{
    return creds->region;
}

const char *creds_endpoint(const struct creds *creds)
{
    return creds->endpoint;
}

struct creds *creds_new(const struct side *side, struct http *http, struct error *error)
{
    struct creds *creds = calloc(1, sizeof *creds);

    error_clear(error);
    if (creds == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    creds->side = side;
    creds->http = http;
    creds->early = RENEW_EARLY;
    http_request_init(&creds->request);
    buf_init_secret(&creds->form, CREDS_FORM_MAX);
    creds->request.hooks = &creds_hooks;
    creds->request.ctx = creds;
    creds->request.ca_file = *side->ca_file != '\0' ? side->ca_file : NULL;
    return creds;
}

struct creds *creds_open(const struct side *side, struct http *http, struct error *error)
{
    struct creds *creds = creds_new(side, http, error);

    if (creds != NULL && !creds_choose(creds, error)) {
        creds_close(creds);
        return NULL;
    }
    return creds;
}

void creds_close(struct creds *creds)
{
    if (creds == NULL)
        return;
    http_request_free(&creds->request);
    leave_renewal(creds);
    for (int i = 0; i < creds->profile_count; i++)
        creds_profile_free(creds->profiles[i]);
    explicit_bzero(creds, sizeof *creds);
    free(creds);
}

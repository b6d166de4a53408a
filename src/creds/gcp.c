/* "How Application Default Credentials works", Google Cloud documentation. Tokens are renewed as early as Google's Python
 * library does it, but not for each request when they live shorter than that. */
#include "gcp_internal.h"

#include "env.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RENEW_EARLY (INT64_C(225) * 1000)
#define ENDPOINT "https://storage.googleapis.com"
#define SIDECAR "http://127.0.0.1:1106"
#define TOKEN_URL "https://oauth2.googleapis.com/token"

/* Google's own libraries disagree on whether it is a URL or host and port. */
static bool set_endpoint(struct gcp *gcp, bool *anonymous, struct error *error)
{
    const char *emulator = env_text("STORAGE_EMULATOR_HOST");
    const char *url = *emulator != '\0' ? emulator : ENDPOINT;
    int len = snprintf(gcp->endpoint, sizeof gcp->endpoint, "%s%s",
                       strstr(url, "://") != NULL ? "" : "http://", url);

    *anonymous = *emulator != '\0';
    return (size_t)len < sizeof gcp->endpoint ||
           error_set(error, ERROR_CONFIG, "STORAGE_EMULATOR_HOST is too long");
}

static bool open_creds(struct gcp *gcp, const struct side *side, struct http *http, struct error *error)
{
    gcp->creds = creds_new(side, http, error);
    if (gcp->creds == NULL)
        return false;
    gcp->creds->gcp = gcp;
    gcp->creds->early = RENEW_EARLY;
    return gcp_choose(gcp, error);
}

struct gcp *gcp_open(const struct side *side, struct http *http, struct error *error)
{
    struct gcp *gcp = calloc(1, sizeof *gcp);
    bool anonymous;

    error_clear(error);
    if (gcp == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    buf_init_secret(&gcp->bearer, sizeof "Bearer " + XML_TEXT_MAX);
    gcp->sidecar = SIDECAR;
    gcp->token_url = TOKEN_URL;
    if (!set_endpoint(gcp, &anonymous, error) || (!anonymous && !open_creds(gcp, side, http, error))) {
        gcp_close(gcp);
        return NULL;
    }
    return gcp;
}

void gcp_close(struct gcp *gcp)
{
    if (gcp == NULL)
        return;
    creds_close(gcp->creds);
    gcp_wipe(gcp->file);
    buf_free(&gcp->bearer);
    free(gcp);
}

const char *gcp_endpoint(const struct gcp *gcp)
{
    return gcp->endpoint;
}

bool gcp_anonymous(const struct gcp *gcp)
{
    return gcp->creds == NULL;
}

bool gcp_ready(struct gcp *gcp)
{
    struct creds_key key;

    if (gcp_anonymous(gcp))
        return true;
    gcp->state = creds_get(gcp->creds, &key, &gcp->error);
    if (gcp->state == CREDS_READY && key.generation != gcp->generation) {
        gcp->generation = key.generation;
        buf_clear(&gcp->bearer);
        buf_printf(&gcp->bearer, "Bearer %s", key.session_token);
    }
    return gcp->state != CREDS_PENDING;
}

const char *gcp_bearer(struct gcp *gcp, unsigned *generation, struct error *error)
{
    *generation = gcp->generation;
    if (gcp_anonymous(gcp))
        return "";
    if (gcp->state == CREDS_READY && !gcp->bearer.failed)
        return buf_str(&gcp->bearer);
    *error = gcp->error;
    if (gcp->state == CREDS_READY)
        error_set(error, ERROR_LOCAL, "out of memory");
    return NULL;
}

/* Google's services take a token that is signed by the account itself; should one not, there is the other way. */
static void exchange_from_now_on(struct gcp *gcp)
{
    struct creds_step *last = &gcp->creds->steps[gcp->creds->step_count - 1];

    if (last->ops == &gcp_self_signed)
        last->ops = &gcp_exchange;
}

bool gcp_expired(struct gcp *gcp, unsigned generation)
{
    if (gcp_anonymous(gcp) || !creds_expired(gcp->creds, generation, true))
        return false;
    if (generation == gcp->generation)
        exchange_from_now_on(gcp);
    return true;
}

const char *gcp_quota_project(const struct gcp *gcp)
{
    return gcp->quota_project;
}

const char *gcp_place(const struct gcp *gcp)
{
    static const char file[] = "GOOGLE_APPLICATION_CREDENTIALS";
    const char *path = env_find((const char *const *)environ, file);

    if (gcp_anonymous(gcp))
        return "STORAGE_EMULATOR_HOST";
    return path != NULL && *path != '\0' ? file : gcp_source(gcp);
}

const char *gcp_source(const struct gcp *gcp)
{
    return gcp_anonymous(gcp) ? "" : creds_source(gcp->creds);
}

bool gcp_of_replit(const struct gcp *gcp)
{
    return !gcp_anonymous(gcp) && gcp->creds->steps[0].ops == &gcp_sidecar_credential;
}

bool gcp_quoted(const struct gcp *gcp, const char *text)
{
    return !gcp_anonymous(gcp) && creds_quoted(gcp->creds, text);
}

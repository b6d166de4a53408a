/*
 * gcp - the credentials of a side in Google Cloud Storage: bearer tokens, found where the platform puts them, and
 * renewed before they run out.
 *
 * The order is that of Google's libraries ("How Application Default Credentials works"), with Replit's sidecar in it:
 *
 *     a file        GOOGLE_APPLICATION_CREDENTIALS
 *     gcloud        application_default_credentials.json in CLOUDSDK_CONFIG or ~/.config/gcloud
 *     Replit        the sidecar on this machine, if this is Replit
 *     metadata      the metadata server of Compute Engine, GKE and Cloud Run, unless NO_GCE_CHECK=true
 *
 * The first source that is configured is the only one: if it does not work, that is an error which names it. With
 * STORAGE_EMULATOR_HOST none is used.
 *
 * Nothing is asked before the first gcp_ready. Requests go through the same http as everything else. Secrets are wiped
 * when they are replaced and in gcp_close.
 */
#ifndef STORSYNC_GCP_H
#define STORSYNC_GCP_H

#include "error.h"
#include "settings.h"

#include <stdbool.h>

struct gcp;
struct http;

/* Decides upon the source, which may read a file, but asks no service. `side` and `http` are borrowed, and must outlive
 * it. NULL with ERROR_CONFIG for a source that is configured but cannot be right, with ERROR_CREDENTIALS when there is
 * none at all, or ERROR_LOCAL. */
struct gcp *gcp_open(const struct side *side, struct http *http, struct error *error);
void gcp_close(struct gcp *gcp); /* cancels what is under way; NULL is fine */

/* Is this Replit, by its variables? REPL_ID alone is no sign: apps that have moved away keep it for Replit's login. */
bool gcp_at_replit(void);

/* The URL of the service: https://storage.googleapis.com, or what STORAGE_EMULATOR_HOST says, which nobody has checked. */
const char *gcp_endpoint(const struct gcp *gcp);

/* Are requests sent without credentials? */
bool gcp_anonymous(const struct gcp *gcp);

/* May an attempt begin? False: a token is under way, ask again when another request has ended (see `ready` in http.h). */
bool gcp_ready(struct gcp *gcp);

/* What the last gcp_ready found, which must have been true: the value of an Authorization header, "" if none is to be
 * sent, valid until the next gcp_ready; or NULL with *error, which names the source. */
const char *gcp_bearer(struct gcp *gcp, unsigned *generation, struct error *error);

/* The service does not take the token of this generation (401). True if there is or will be another one, so that one
 * more attempt makes sense. A service account that signed its token itself has its next ones from Google. */
bool gcp_expired(struct gcp *gcp, unsigned generation);

/* For x-goog-user-project: GOOGLE_CLOUD_QUOTA_PROJECT, else what the file says, else "". */
const char *gcp_quota_project(const struct gcp *gcp);

/* For people: "GOOGLE_APPLICATION_CREDENTIALS: /secrets/key.json (service_account)", "Replit's sidecar", "Google's metadata server", "" if anonymous. */
const char *gcp_source(const struct gcp *gcp);

/* The same, but the variable that names a file, or STORAGE_EMULATOR_HOST: where to change them. */
const char *gcp_place(const struct gcp *gcp);

/* Are they Replit's? There a bucket has to be attached to the app. */
bool gcp_of_replit(const struct gcp *gcp);

/* Does this text, which a service sent, repeat a part of the token? Then it is for nobody's eyes. */
bool gcp_quoted(const struct gcp *gcp, const char *text);

#endif

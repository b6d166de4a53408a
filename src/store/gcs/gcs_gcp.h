/*
 * gcs_gcp - what a bucket is read and written with. So far only STORAGE_EMULATOR_HOST, which is sent no credentials.
 */
#ifndef STORSYNC_GCS_GCP_H
#define STORSYNC_GCS_GCP_H

#include "error.h"
#include "http.h"
#include "settings.h"

#include <stdbool.h>

struct gcp;

/* ERROR_CONFIG without STORAGE_EMULATOR_HOST. */
struct gcp *gcp_open(const struct side *side, struct http *http, struct error *error);
void gcp_close(struct gcp *gcp);
const char *gcp_endpoint(const struct gcp *gcp);
bool gcp_ready(struct gcp *gcp);
/* The value of Authorization; "": nothing is sent. NULL, with *error: there is none to be had. */
const char *gcp_bearer(struct gcp *gcp, unsigned *generation, struct error *error);
/* The service does not take the bearer of that generation. True: another attempt may have a better one. */
bool gcp_expired(struct gcp *gcp, unsigned generation);
const char *gcp_quota_project(const struct gcp *gcp);
bool gcp_quoted(const struct gcp *gcp, const char *text);

#endif

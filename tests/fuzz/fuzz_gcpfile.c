/*
 * fuzz_gcpfile - a key file: any text either gives steps, whose first one can be prepared, or an error.
 */
#include "gcp_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct side side = {.ca_file = "",
                                     .access_key_id = "AKIA",
                                     .secret_access_key = "secret",
                                     .session_token = "session",
                                     .region = "eu-west-1",
                                     .sts_endpoint = ""};
    struct gcp *gcp = calloc(1, sizeof *gcp);
    struct error error = {0};

    if (gcp == NULL)
        return 0;
    gcp->token_url = "https://oauth2.googleapis.com/token";
    gcp->creds = creds_new(&side, NULL, &error);
    if (gcp->creds != NULL) {
        gcp->creds->gcp = gcp;
        if (!gcp_use_text(gcp, (const char *)data, size, &error) && error.kind == ERROR_NONE)
            abort();
        gcp->creds->signer = gcp->creds->base;
        if (error.kind == ERROR_NONE && gcp->creds->steps[0].ops->prepare != NULL)
            gcp->creds->steps[0].ops->prepare(gcp->creds, &error);
    }
    gcp_close(gcp);
    return 0;
}

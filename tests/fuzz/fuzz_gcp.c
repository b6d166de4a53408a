/*
 * fuzz_gcp - what a service answers that is asked for a token. The first byte chooses the status, and which service.
 */
#include "gcp_internal.h"

#include "fuzz_creds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct creds_step_ops *const steps[] = {
        &gcp_sidecar_credential,
        &gcp_sidecar_token,
        &gcp_metadata,
        &gcp_exchange,
        &gcp_refresh,
        &gcp_subject,
        &gcp_sts,
        &gcp_impersonate,
    };
    static struct gcp gcp;

    if (size > 0)
        fuzz_answer_of(steps[data[0] / 8 % 8], &gcp, data, size);
    return 0;
}

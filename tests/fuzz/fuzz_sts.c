/*
 * fuzz_sts - what an STS service, or whoever is in its place, answers. The first byte chooses the status.
 */
#include "fuzz_creds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_answer(&creds_assume_role, data, size);
    return 0;
}

/*
 * fuzz_metadata - what a metadata service answers. The first byte chooses the status, and whether it is the container's
 * or which of the three of EC2's.
 */
#include "fuzz_creds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct creds_step_ops *steps[] = {&creds_container, &creds_instance[0], &creds_instance[1],
                                            &creds_instance[2]};

    if (size > 0)
        fuzz_answer(steps[data[0] / 8 % 4], data, size);
    return 0;
}

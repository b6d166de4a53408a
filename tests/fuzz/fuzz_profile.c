/*
 * fuzz_profile - the shared AWS files, any bytes. The first byte says which of the two; the profile is "x".
 */
#include "creds_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct creds_profile *profile;
    struct error error = {0};
    bool found = false;

    if (size == 0)
        return 0;
    profile = calloc(1, sizeof *profile);
    if (profile == NULL)
        abort();
    snprintf(profile->name, sizeof profile->name, "x");
    if (!creds_profile_parse(profile, data[0] % 2 != 0, "file", (const char *)data + 1, size - 1, &found,
                             &error) &&
        (error.kind != ERROR_CONFIG || strncmp(error.text, "file:", 5) != 0))
        abort();
    for (int i = 0; i < CREDS_FIELD_COUNT; i++) {
        const char *value = creds_profile_get(profile, (enum creds_field)i);

        if (strchr(value, '\n') != NULL || (*value != '\0' && !found))
            abort();
    }
    creds_profile_free(profile);
    return 0;
}

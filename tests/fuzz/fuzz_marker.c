/* The input as last-sync.json, and as a deployment id whose key has to be one segment under the prefix. */
#include "marker.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1764000000000)
#define HOUR INT64_C(3600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_judgement(const char *json, size_t len)
{
    struct marker_finding found;

    if (marker_judge("last-sync.json", json, len, "v42", HOUR, NOW, &found) == MARKER_TOO_SOON) {
        if (found.due_at <= NOW || found.due_at - NOW > HOUR + MARKER_SKEW)
            abort();
    } else if ((found.verdict != MARKER_DUE && found.verdict != MARKER_ALREADY_SYNCED) ||
               found.due_at != CLOCK_UNKNOWN) {
        abort();
    }
}

static void check_key(const char *id)
{
    static const char prefix[] = OBJECT_STATE_PREFIX "shop/deployments/";
    static const struct job job = {.prefix = OBJECT_STATE_PREFIX "shop/"};
    char key[MARKER_KEY_MAX];

    if (!marker_key(&job, id, key))
        return;
    if (strncmp(key, prefix, sizeof prefix - 1) != 0 || strchr(key + sizeof prefix - 1, '/') != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_judgement(text, size);
    check_key(text);
    free(text);
    return 0;
}

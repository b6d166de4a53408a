/* Anything as a schedule and a zone: the next time is later, in bounded time, and one that the schedule means. */
#include "cron.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Four bytes of time, a schedule, a newline, a zone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {.kind = ERROR_NONE};
    char text[600] = "";
    uint32_t seconds;
    struct cron cron;
    struct zone zone = {.standard = 0};
    int64_t from, next;
    char *rule;

    if (size < sizeof seconds || size - sizeof seconds >= sizeof text)
        return 0;
    memcpy(&seconds, data, sizeof seconds);
    memcpy(text, data + sizeof seconds, size - sizeof seconds);
    rule = strchr(text, '\n');
    if (rule != NULL)
        *rule++ = '\0';
    if (rule != NULL && !zone_parse(rule, &zone))
        return 0;
    if (!cron_parse(text, &cron, &error)) {
        if (error.kind != ERROR_CONFIG)
            abort();
        return 0;
    }
    from = (int64_t)seconds * 1000;
    next = cron_next(&cron, &zone, from);
    if (next <= from || next % 1000 != 0 || next > from + INT64_C(10) * 366 * 86400 * 1000)
        abort();
    /* In UTC nothing is between the two. */
    if (rule == NULL && next - from > 60000 && cron_next(&cron, &zone, next - 60000) != next)
        abort();
    return 0;
}

#include "shard.h"

#include "text.h"

#include <stddef.h>

/* The digits at `text`, as far as they are a number up to SHARD_COUNT_MAX. NULL: they are none. */
static const char *take_count(const char *text, int *number)
{
    const char *c = text;

    for (*number = 0; text_is_digit(*c) && *number <= SHARD_COUNT_MAX; c++)
        *number = *number * 10 + (*c - '0');
    return c == text || *number > SHARD_COUNT_MAX ? NULL : c;
}

bool shard_parse(const char *text, struct shard *out)
{
    struct shard shard = {.index = SHARD_UNKNOWN};

    if (*text != '/')
        text = take_count(text, &shard.index);
    if (text == NULL || *text != '/')
        return false;
    text = take_count(text + 1, &shard.count);
    if (text == NULL || *text != '\0' || shard.index >= shard.count || shard.count == 0)
        return false;
    *out = shard;
    return true;
}

bool shard_parse_index(const char *text, int count, int *index)
{
    int number;
    const char *end = take_count(text, &number);

    if (end == NULL || *end != '\0' || number >= count)
        return false;
    *index = number;
    return true;
}

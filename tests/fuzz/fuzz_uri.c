/* Encoding and decoding are inverse, and a URL that is taken apart and put together again is the same URL. */
#include "uri.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_decode(const char *input, struct buf *scratch)
{
    char *text = malloc(strlen(input) + 1);

    require(text != NULL);
    memcpy(text, input, strlen(input) + 1);
    uri_decode(text, true);
    require(strlen(text) <= strlen(input));
    buf_clear(scratch);
    require(uri_encode(scratch, input, ""));
    free(text);

    text = malloc(scratch->len + 1);
    require(text != NULL);
    memcpy(text, buf_str(scratch), scratch->len + 1);
    require(uri_decode(text, true) && strcmp(text, input) == 0);
    free(text);
}

static void check_parse(const char *input, struct buf *scratch)
{
    struct error error = {.kind = ERROR_NONE};
    struct uri first, second;

    if (!uri_parse(input, "endpoint", &first, &error)) {
        require(error.kind == ERROR_CONFIG);
        return;
    }
    buf_clear(scratch);
    buf_printf(scratch, "%s://", first.scheme);
    uri_authority(&first, scratch);
    require(buf_puts(scratch, first.path));
    require(uri_parse(buf_str(scratch), "endpoint", &second, &error));
    require(strcmp(first.scheme, second.scheme) == 0 && strcmp(first.host, second.host) == 0);
    require(strcmp(first.path, second.path) == 0);
    require(second.port == first.port || second.port == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf scratch;
    char *input = malloc(size + 1);

    if (input == NULL)
        return 0;
    if (size > 0)
        memcpy(input, data, size);
    input[size] = '\0';
    buf_init(&scratch, 3 * size + 1024);
    check_decode(input, &scratch);
    check_parse(input, &scratch);
    buf_free(&scratch);
    free(input);
    return 0;
}

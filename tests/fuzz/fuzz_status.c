/* A status file of any content: judged and shown, always with a line to say, and with nothing in it that a
 * terminal would obey. */
#include "json.h"
#include "report.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf json;
    struct buf why;
    struct buf text;
    struct error error;

    buf_init(&json, JSON_MAX);
    buf_init(&why, JSON_MAX);
    buf_init(&text, 8 * JSON_MAX);
    if (buf_append(&json, data, size)) {
        status_health(&json, &why);
        if (why.len == 0 || memchr(why.data, '\n', why.len) != NULL)
            abort();
        report_text(buf_str(&json), json.len, &text, &error);
        if (memchr(buf_str(&text), '\x1b', text.len) != NULL)
            abort();
    }
    buf_free(&json);
    buf_free(&why);
    buf_free(&text);
    return 0;
}

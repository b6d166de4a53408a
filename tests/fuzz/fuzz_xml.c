/* No ceiling is ever passed, and a document pushed in two or in many pieces gives what it gives in one. */
#include "xml.h"

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

/* FNV-1a over all that is reported. */
static void digest(uint64_t *hash, const char *text)
{
    do
        *hash = (*hash ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
    while (*text++ != '\0');
}

static bool on_end(void *ctx, const char *path, const char *text, struct error *error)
{
    (void)error;
    require(strlen(path) <= XML_PATH_MAX && strlen(text) <= XML_TEXT_MAX);
    digest(ctx, path);
    digest(ctx, text);
    return true;
}

static bool parse(struct xml *xml, const char *data, size_t size, size_t piece)
{
    struct error error = {.kind = ERROR_NONE};
    bool ok = true;

    for (size_t at = 0; ok && at < size; at += piece)
        ok = xml_push(xml, data + at, piece < size - at ? piece : size - at, &error);
    ok = ok && xml_finish(xml, &error);
    require(ok == (error.kind == ERROR_NONE));
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const size_t pieces[] = {size / 2 + 1, 1};
    uint64_t hash = 0, whole;
    struct xml *xml = xml_new(on_end, &hash);
    bool ok;

    if (xml == NULL)
        return 0;
    ok = parse(xml, (const char *)data, size, size + 1);
    whole = hash;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        hash = 0;
        xml_reset(xml, &hash);
        require(parse(xml, (const char *)data, size, pieces[i]) == ok && hash == whole);
    }
    xml_free(xml);
    return 0;
}

/*
 * What xml makes of documents, for tests/fuzz/expat to compare. Each comes on standard input behind its length, four
 * bytes, the highest first. The answer is one byte, 1 if the document is well-formed, and its paths and texts, each with
 * a NUL, behind their length.
 */
#include "buf.h"
#include "xml.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DOCUMENT_MAX ((size_t)1 << 16)
#define LEAVES_MAX ((size_t)1 << 22)

static bool on_end(void *ctx, const char *path, const char *text, struct error *error)
{
    (void)error;
    return buf_append(ctx, path, strlen(path) + 1) && buf_append(ctx, text, strlen(text) + 1);
}

static bool read_document(char *out, size_t *len)
{
    unsigned char size[4];

    if (fread(size, sizeof size, 1, stdin) != 1)
        return false;
    *len = (size_t)size[0] << 24 | (size_t)size[1] << 16 | (size_t)size[2] << 8 | size[3];
    return *len <= DOCUMENT_MAX && fread(out, 1, *len, stdin) == *len;
}

static bool answer(bool good, const struct buf *leaves)
{
    const unsigned char head[5] = {good, (unsigned char)(leaves->len >> 24),
                                   (unsigned char)(leaves->len >> 16), (unsigned char)(leaves->len >> 8),
                                   (unsigned char)leaves->len};

    return fwrite(head, sizeof head, 1, stdout) == 1 &&
           fwrite(buf_str(leaves), 1, leaves->len, stdout) == leaves->len && fflush(stdout) == 0;
}

int main(void)
{
    static char document[DOCUMENT_MAX];
    struct buf leaves;
    struct xml *xml;
    size_t len;
    bool told = true;

    buf_init(&leaves, LEAVES_MAX);
    xml = xml_new(on_end, &leaves);
    while (xml != NULL && told && read_document(document, &len)) {
        struct error error;
        bool good = xml_push(xml, document, len, &error) && xml_finish(xml, &error);

        told = answer(good, &leaves);
        buf_clear(&leaves);
        xml_reset(xml, &leaves);
    }
    xml_free(xml);
    buf_free(&leaves);
    return told && xml != NULL ? 0 : 1;
}

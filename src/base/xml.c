/* The answers are those of the Amazon S3 API Reference: UTF-8, no DTD, one default namespace, few levels. */
#include "xml.h"

#include "text.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

/* How much expat is given at once, and the largest block that it may allocate. Expat keeps an unfinished tag
 * or comment in one block, and the names that it has seen in tables of one block each: this bounds both. */
#define SLICE 4096
#define BLOCK_MAX ((size_t)16 * 1024)

/* Whatever the document declares. */
#define ENCODING "UTF-8"

struct xml {
    XML_Parser parser;
    xml_on_end *on_end;
    void *ctx;
    bool begun;  /* a byte that is not white space has come */
    bool failed; /* `failure` says why; nothing is reported any more */
    struct error failure;
    int depth;
    size_t parent_len[XML_DEPTH_MAX]; /* of each open element: how long its parent's path is */
    size_t path_len;
    size_t text_len;
    bool leaf; /* the innermost open element has had no child yet, so `text` is its own */
    char path[XML_PATH_MAX + 1];
    char text[XML_TEXT_MAX + 1];
};

static void *bounded_malloc(size_t size)
{
    return size <= BLOCK_MAX ? malloc(size) : NULL;
}

static void *bounded_realloc(void *block, size_t size)
{
    return size <= BLOCK_MAX ? realloc(block, size) : NULL;
}

static void xml_stop(struct xml *xml)
{
    xml->failed = true;
    XML_StopParser(xml->parser, XML_FALSE);
}

static void xml_refuse(struct xml *xml, const char *what)
{
    error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: %s", what);
    xml_stop(xml);
}

/* Expat remembers names, so their lengths count for its memory. */
static bool has_long_name(const XML_Char *name, const XML_Char *const *attributes)
{
    if (strlen(name) > XML_PATH_MAX)
        return true;
    for (; *attributes != NULL; attributes += 2)
        if (strlen(*attributes) > XML_PATH_MAX)
            return true;
    return false;
}

static void XMLCALL xml_on_start_tag(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct xml *xml = ctx;
    const char *colon = strrchr(name, ':');
    const char *local = colon != NULL ? colon + 1 : name;
    size_t slash = xml->depth > 0 ? 1 : 0;
    size_t len = strlen(local);

    if (xml->failed)
        return;
    if (xml->depth == XML_DEPTH_MAX) {
        xml_refuse(xml, "too many levels");
        return;
    }
    if (has_long_name(name, attributes) || slash + len > XML_PATH_MAX - xml->path_len) {
        xml_refuse(xml, "too long a name");
        return;
    }
    xml->parent_len[xml->depth++] = xml->path_len;
    if (slash != 0)
        xml->path[xml->path_len++] = '/';
    memcpy(xml->path + xml->path_len, local, len + 1);
    xml->path_len += len;
    xml->text_len = 0;
    xml->leaf = true;
}

static void XMLCALL xml_on_text(void *ctx, const XML_Char *data, int len)
{
    struct xml *xml = ctx;

    if (xml->failed || !xml->leaf)
        return;
    if ((size_t)len > XML_TEXT_MAX - xml->text_len) {
        xml_refuse(xml, "too long a text");
        return;
    }
    memcpy(xml->text + xml->text_len, data, (size_t)len);
    xml->text_len += (size_t)len;
}

static void XMLCALL xml_on_end_tag(void *ctx, const XML_Char *name)
{
    struct xml *xml = ctx;

    (void)name;
    if (xml->failed)
        return;
    xml->text[xml->leaf ? xml->text_len : 0] = '\0';
    if (!xml->on_end(xml->ctx, xml->path, xml->text, &xml->failure)) {
        if (xml->failure.kind == ERROR_NONE)
            error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: unexpected %s", xml->path);
        xml_stop(xml);
        return;
    }
    xml->path_len = xml->parent_len[--xml->depth];
    xml->path[xml->path_len] = '\0';
    xml->leaf = false;
}

/* What a new parser needs, and again one that was reset. */
static void xml_prepare(struct xml *xml)
{
    XML_SetUserData(xml->parser, xml);
    XML_SetElementHandler(xml->parser, xml_on_start_tag, xml_on_end_tag);
    XML_SetCharacterDataHandler(xml->parser, xml_on_text);
    error_clear(&xml->failure);
    xml->begun = false;
    xml->failed = false;
    xml->depth = 0;
    xml->path_len = 0;
    xml->text_len = 0;
    xml->leaf = false;
}

struct xml *xml_new(xml_on_end *on_end, void *ctx)
{
    static const XML_Memory_Handling_Suite memory = {bounded_malloc, bounded_realloc, free};
    struct xml *xml = malloc(sizeof *xml);

    if (xml == NULL)
        return NULL;
    xml->on_end = on_end;
    xml->ctx = ctx;
    xml->parser = XML_ParserCreate_MM(ENCODING, &memory, NULL);
    if (xml->parser == NULL) {
        free(xml);
        return NULL;
    }
    xml_prepare(xml);
    return xml;
}

void xml_reset(struct xml *xml, void *ctx)
{
    xml->ctx = ctx;
    XML_ParserReset(xml->parser, ENCODING);
    xml_prepare(xml);
}

static void xml_parse(struct xml *xml, const char *data, int len, bool last)
{
    enum XML_Error code;

    if (XML_Parse(xml->parser, data, len, last) == XML_STATUS_OK || xml->failed)
        return;
    xml->failed = true;
    code = XML_GetErrorCode(xml->parser);
    if (code == XML_ERROR_FEATURE_REQUIRES_XML_DTD)
        error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: a document type declaration");
    else if (code == XML_ERROR_NO_MEMORY)
        error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: too large a tag, or too many names");
    else
        error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: %s at byte %lld", XML_ErrorString(code),
                  (long long)XML_GetCurrentByteIndex(xml->parser));
}

static bool xml_result(const struct xml *xml, struct error *error)
{
    if (xml->failed)
        *error = xml->failure;
    return !xml->failed;
}

/* Looks at what comes before the parser does; returns how much of it to leave out. */
static size_t xml_begin(struct xml *xml, const char *data, size_t len)
{
    size_t skip = 0;

    /* Not allowed in front of a declaration, but some servers keep a slow request alive with it. */
    while (skip < len && text_is_one_of(data[skip], " \t\r\n"))
        skip++;
    if (skip == len)
        return skip;
    xml->begun = true;
    /* UTF-16 would begin like this. Expat has no such thing here (deps/patches/expat), and would say less. */
    if (data[skip] == '\xFE' || data[skip] == '\xFF')
        xml_refuse(xml, "an encoding other than UTF-8");
    return skip;
}

bool xml_push(struct xml *xml, const char *data, size_t len, struct error *error)
{
    size_t used = xml->begun ? 0 : xml_begin(xml, data, len);

    while (used < len && !xml->failed) {
        size_t slice = strnlen(data + used, len - used < SLICE ? len - used : SLICE);

        if (slice > 0)
            xml_parse(xml, data + used, (int)slice, false);
        else
            xml_refuse(xml, "a NUL byte");
        used += slice;
    }
    return xml_result(xml, error);
}

bool xml_finish(struct xml *xml, struct error *error)
{
    if (!xml->failed)
        xml_parse(xml, "", 0, true);
    return xml_result(xml, error);
}

void xml_free(struct xml *xml)
{
    if (xml == NULL)
        return;
    XML_ParserFree(xml->parser);
    explicit_bzero(xml->text, sizeof xml->text); /* it may have been a secret */
    free(xml);
}

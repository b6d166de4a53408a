/*
 * The answers are those of the Amazon S3 API Reference: UTF-8, no DTD, one default namespace, few levels. What is
 * well-formed is told by Extensible Markup Language (XML) 1.0, fifth edition; the numbers in brackets are its
 * productions. A step of a machine takes a byte, or all that come where each would be the same step, so that a document may
 * be cut anywhere; what is plain and there as a whole is taken before it comes to that. Nothing of a document is kept but the
 * names of the elements that are open, those of the attributes of one tag, and the text of one leaf.
 */
#include "xml.h"

#include "utf8.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* All open elements' names, prefixes included, and those of the attributes of one tag. */
#define NAMES_MAX 1024

/* The longest reference is &#1114111;, but zeros may be in front of the digits. */
#define REFERENCE_MAX 15

/* Where the next byte is. */
enum place {
    BEGINNING,        /* nothing but white space has come, or a part of a byte order mark */
    CONTENT,          /* text, or white space outside of the root element */
    MARKUP,           /* behind < */
    START_NAME,       /* in an element's name */
    TAG,              /* behind a name or a value in a start tag */
    ATTRIBUTE_NAME,   /* in one */
    ATTRIBUTE_EQUAL,  /* behind it, in front of = */
    ATTRIBUTE_QUOTE,  /* behind = */
    ATTRIBUTE_VALUE,  /* in quotes */
    EMPTY_TAG,        /* behind / in a start tag */
    END_NAME,         /* behind </ */
    END_TAG,          /* behind that name */
    DECLARATION,      /* behind <! */
    COMMENT_BEGIN,    /* behind <!- */
    COMMENT,          /* behind <!-- */
    CDATA_BEGIN,      /* behind <![ */
    CDATA,            /* behind <![CDATA[ */
    INSTRUCTION_NAME, /* behind <? */
    INSTRUCTION,      /* behind that name */
    REFERENCE         /* behind & */
};

struct xml {
    xml_on_end *on_end;
    void *ctx;
    bool failed; /* `failure` says why; nothing is reported any more */
    struct error failure;
    unsigned long long before; /* bytes of the document that were pushed before these */
    enum place place;
    enum place around; /* a reference: CONTENT or ATTRIBUTE_VALUE */
    bool early;        /* what comes may be the XML declaration: nothing else has come */
    bool closed;       /* the root element has ended */
    bool spaced;       /* TAG: white space has come, so that an attribute may follow */
    bool leaf;         /* the innermost open element has had no child yet, so `text` is its own */
    bool carriage;     /* the last character of the text was a carriage return, which a newline belongs to */
    char quote;        /* ATTRIBUTE_VALUE: what ends it */
    size_t run;        /* how many ] or - or ? came last, or how much of a word has */
    size_t cut_len;
    char cut[4]; /* the beginning of a character */
    char reference[REFERENCE_MAX + 1];
    int depth;
    size_t parent_len[XML_DEPTH_MAX]; /* of each open element: how long its parent's path is */
    size_t name_at[XML_DEPTH_MAX];    /* and where in `names` its own begins */
    size_t attributes_at;             /* where in `names` those of this tag begin */
    size_t last_at;                   /* where the last one begins */
    size_t local_at;                  /* and where it does behind its prefix */
    size_t names_len;
    size_t path_len;
    size_t text_len;
    char names[NAMES_MAX]; /* each with a NUL */
    char path[XML_PATH_MAX + 1];
    char text[XML_TEXT_MAX + 1];
};

static void xml_refuse(struct xml *xml, const char *what)
{
    error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: %s", what);
    xml->failed = true;
}

/* Char [2] */
static bool is_char(uint32_t code)
{
    return code >= 0x20 ? code != 0xFFFE && code != 0xFFFF : code == '\t' || code == '\n' || code == '\r';
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* What a character of ASCII may be, a digit each: the sum of these. A colon in a name is looked at on its own. */
enum kind { PLAIN = 1, IN_NAME = 2, BEGINS_NAME = 4 };
static const char kinds[256] = "00000000000000000000000000000000"
                               "11111101111113313333333333510101"
                               "17777777777777777777777777711017"
                               "17777777777777777777777777711110";

static bool is_kind(char c, int kind)
{
    return (kinds[(unsigned char)c] & kind) != 0;
}

/* How many bytes at the beginning are of that kind. */
static size_t span(const char *data, size_t len, int kind)
{
    size_t i = 0;

    while (i < len && is_kind(data[i], kind))
        i++;
    return i;
}

/* NameStartChar [4], NameChar [4a]: beyond ASCII all counts as a letter, since no name there means anything to us. */
static bool begins_name(char c)
{
    return (c & '\x80') != 0 || is_kind(c, BEGINS_NAME);
}

static bool is_in_name(char c)
{
    return (c & '\x80') != 0 || is_kind(c, IN_NAME | BEGINS_NAME);
}

/* --- names and text --- */

static void begin_name(struct xml *xml)
{
    xml->last_at = xml->local_at = xml->names_len;
}

/* Takes of a name what `data` begins with, a byte at least. Returns how much that is. */
static size_t name_add(struct xml *xml, const char *data, size_t len)
{
    size_t name = XML_PATH_MAX - (xml->names_len - xml->last_at), all = NAMES_MAX - 1 - xml->names_len;
    size_t run;

    if (name == 0 || all == 0) {
        xml_refuse(xml, name == 0 ? "too long a name" : "too many names in one place");
        return 1;
    }
    len = len < name ? len : name;
    len = len < all ? len : all;
    run = 1 + (is_kind(*data, IN_NAME) ? span(data + 1, len - 1, IN_NAME) : 0);
    memcpy(xml->names + xml->names_len, data, run);
    if (*data == ':')
        xml->local_at = xml->names_len + 1;
    xml->names_len += run;
    return run;
}

static void end_name(struct xml *xml)
{
    xml->names[xml->names_len] = '\0';
    if (xml->names_len < NAMES_MAX - 1)
        xml->names_len++;
    else
        xml_refuse(xml, "too many names in one place");
}

static void text_add(struct xml *xml, const char *data, size_t len)
{
    if (!xml->leaf)
        return;
    if (len > XML_TEXT_MAX - xml->text_len) {
        xml_refuse(xml, "too long a text");
        return;
    }
    memcpy(xml->text + xml->text_len, data, len);
    xml->text_len += len;
}

/* A byte as it stands in the document. Each kind of line end is a newline (2.11). */
static void text_add_byte(struct xml *xml, char c)
{
    bool second = c == '\n' && xml->carriage;

    xml->carriage = c == '\r';
    if (!second)
        text_add(xml, xml->carriage ? "\n" : &c, 1);
}

static void text_add_code(struct xml *xml, uint32_t code)
{
    char bytes[4];
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(len == 1 ? code : (0xF00u >> len & 0xF0u) | code);
    text_add(xml, bytes, len);
}

/* --- elements --- */

static void element_begin(struct xml *xml)
{
    size_t slash = xml->depth > 0 ? 1 : 0;
    size_t len = xml->names_len - xml->local_at;

    end_name(xml);
    if (slash + len > XML_PATH_MAX - xml->path_len) {
        xml_refuse(xml, "too long a name");
        return;
    }
    xml->name_at[xml->depth] = xml->last_at;
    xml->parent_len[xml->depth++] = xml->path_len;
    if (slash != 0)
        xml->path[xml->path_len++] = '/';
    memcpy(xml->path + xml->path_len, xml->names + xml->local_at, len + 1);
    xml->path_len += len;
    xml->text_len = 0;
    xml->leaf = true;
    xml->attributes_at = xml->names_len;
    xml->spaced = false;
    xml->place = TAG;
}

static void element_end(struct xml *xml)
{
    xml->run = 0;
    xml->place = CONTENT;
    xml->text[xml->leaf ? xml->text_len : 0] = '\0';
    if (!xml->on_end(xml->ctx, xml->path, xml->text, &xml->failure)) {
        xml->failed = true;
        if (xml->failure.kind == ERROR_NONE)
            error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: unexpected %s", xml->path);
        return;
    }
    xml->names_len = xml->name_at[--xml->depth];
    xml->path_len = xml->parent_len[xml->depth];
    xml->path[xml->path_len] = '\0';
    xml->leaf = false;
    xml->closed = xml->depth == 0;
}

/* --- a step in each place; false: this byte may not be here --- */

static bool step_content(struct xml *xml, char c)
{
    if (c == '<') {
        xml->carriage = false;
        xml->place = MARKUP;
        return true;
    }
    if (xml->depth == 0) {
        if (!is_space(c) && xml->closed)
            xml_refuse(xml, "junk after document element");
        return is_space(c);
    }
    if (c == '&') {
        xml->carriage = false;
        xml->around = CONTENT;
        xml->run = 0;
        xml->place = REFERENCE;
        return true;
    }
    if (c == '>' && xml->run == 2)
        return false; /* CharData [14] */
    xml->run = c != ']' ? 0 : xml->run < 2 ? xml->run + 1 : 2;
    text_add_byte(xml, c);
    return true;
}

/* Some servers keep a slow request alive with white space in front of a declaration, where it is not allowed. */
static bool step_beginning(struct xml *xml, char c)
{
    static const char mark[] = "\xEF\xBB\xBF";

    if (c == mark[xml->run]) {
        if (mark[++xml->run] == '\0')
            xml->place = CONTENT;
        return true;
    }
    if (xml->run > 0)
        return false;
    if (is_space(c))
        return true;
    xml->place = CONTENT;
    return step_content(xml, c);
}

static size_t step_markup(struct xml *xml, const char *data, size_t len)
{
    char c = *data;

    xml->run = 0;
    if (c == '?') {
        xml->place = INSTRUCTION_NAME;
        return 1;
    }
    xml->early = false;
    if (c == '!') {
        xml->place = DECLARATION;
        return 1;
    }
    if (c == '/') {
        xml->place = END_NAME;
        return xml->depth > 0;
    }
    if (xml->closed)
        xml_refuse(xml, "junk after document element");
    else if (xml->depth == XML_DEPTH_MAX)
        xml_refuse(xml, "too many levels");
    if (!begins_name(c))
        return 0;
    begin_name(xml);
    xml->place = START_NAME;
    return name_add(xml, data, len);
}

static bool step_tag(struct xml *xml, char c)
{
    if (c == '>') {
        xml->names_len = xml->attributes_at;
        xml->run = 0;
        xml->place = CONTENT;
    } else if (c == '/') {
        xml->place = EMPTY_TAG;
    } else if (is_space(c)) {
        xml->spaced = true;
    } else {
        begin_name(xml);
        name_add(xml, &c, 1);
        xml->place = ATTRIBUTE_NAME;
        return xml->spaced && begins_name(c);
    }
    return true;
}

static void attribute_named(struct xml *xml)
{
    const char *last = xml->names + xml->last_at;

    end_name(xml);
    for (const char *name = xml->names + xml->attributes_at; name != last; name += strlen(name) + 1)
        if (strcmp(name, last) == 0)
            xml_refuse(xml, "duplicate attribute");
}

static bool step_attribute(struct xml *xml, char c)
{
    if (xml->place == ATTRIBUTE_NAME) {
        if (is_in_name(c)) {
            name_add(xml, &c, 1);
            return true;
        }
        attribute_named(xml);
        xml->place = ATTRIBUTE_EQUAL;
    }
    if (is_space(c))
        return true;
    if (xml->place == ATTRIBUTE_EQUAL) {
        xml->place = ATTRIBUTE_QUOTE;
        return c == '=';
    }
    xml->quote = c;
    xml->place = ATTRIBUTE_VALUE;
    return c == '"' || c == '\'';
}

static bool step_value(struct xml *xml, char c)
{
    if (c == xml->quote) {
        xml->spaced = false;
        xml->place = TAG;
    } else if (c == '&') {
        xml->around = ATTRIBUTE_VALUE;
        xml->run = 0;
        xml->place = REFERENCE;
    }
    return c != '<';
}

static size_t step_end_tag(struct xml *xml, const char *data, size_t len)
{
    if (xml->place == END_NAME) {
        const char *name = xml->names + xml->name_at[xml->depth - 1] + xml->run;
        size_t run = 0;

        if (*name != '\0' && *name == *data) {
            do
                run++;
            while (run < len && data[run] == name[run] && is_kind(data[run], IN_NAME));
            xml->run += run;
            return run;
        }
        if (*name != '\0' || is_in_name(*data))
            xml_refuse(xml, "mismatched tag");
        xml->place = END_TAG;
    }
    if (*data == '>' && !xml->failed) {
        element_end(xml);
        return 1;
    }
    return is_space(*data);
}

static bool step_declaration(struct xml *xml, char c)
{
    if (c == 'D')
        xml_refuse(xml, "a document type declaration");
    xml->place = c == '-' ? COMMENT_BEGIN : CDATA_BEGIN;
    return c == '-' || (c == '[' && xml->depth > 0);
}

static bool step_comment(struct xml *xml, char c)
{
    if (xml->place == COMMENT_BEGIN) {
        xml->place = COMMENT;
        return c == '-';
    }
    if (xml->run == 2) { /* Comment [15]: nothing but the end may follow */
        xml->run = 0;
        xml->place = CONTENT;
        return c == '>';
    }
    xml->run = c == '-' ? xml->run + 1 : 0;
    return true;
}

static bool step_cdata(struct xml *xml, char c)
{
    static const char begin[] = "CDATA[";

    if (xml->place == CDATA_BEGIN) {
        bool good = c == begin[xml->run++];

        if (xml->run == sizeof begin - 1) {
            xml->run = 0;
            xml->place = CDATA;
        }
        return good;
    }
    if (c == ']' && xml->run < 2) {
        xml->run++;
        return true;
    }
    if (c == '>' && xml->run == 2) {
        xml->run = 0;
        xml->carriage = false;
        xml->place = CONTENT;
        return true;
    }
    if (c == ']') { /* the first of three is text */
        text_add_byte(xml, c);
        return true;
    }
    for (; xml->run > 0; xml->run--)
        text_add_byte(xml, ']');
    text_add_byte(xml, c);
    return true;
}

/* PI [16]. Only the first may be called xml: it is the declaration [23], of which nothing counts. */
static bool step_instruction(struct xml *xml, char c)
{
    if (xml->place == INSTRUCTION_NAME) {
        if (xml->run == 0 ? begins_name(c) : is_in_name(c)) {
            if (xml->run < sizeof xml->reference - 1)
                xml->reference[xml->run++] = c;
            return true;
        }
        xml->reference[xml->run] = '\0';
        if (xml->run == 0 || (!is_space(c) && c != '?') ||
            (strcasecmp(xml->reference, "xml") == 0 && !xml->early))
            return false;
        xml->early = false;
        xml->run = c == '?' ? 2 : 0;
        xml->place = INSTRUCTION;
        return true;
    }
    if (c == '>' && xml->run > 0) {
        xml->run = 0;
        xml->place = CONTENT;
        return true;
    }
    if (xml->run == 2) /* behind the name itself nothing but the end may follow */
        return false;
    xml->run = c == '?' ? 1 : 0;
    return true;
}

/* CharRef [66]; 0: none. */
static uint32_t referred_number(const char *digits)
{
    bool hex = *digits == 'x';
    unsigned long code;

    digits += hex ? 1 : 0;
    if (digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
        return 0;
    code = strtoul(digits, NULL, hex ? 16 : 10);
    return code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF) && is_char((uint32_t)code) ? (uint32_t)code
                                                                                           : 0;
}

static uint32_t referred(struct xml *xml)
{
    static const struct {
        char name[5];
        char c;
    } entities[] = {{"quot", '"'}, {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"apos", '\''}};

    if (xml->reference[0] == '#') {
        uint32_t code = referred_number(xml->reference + 1);

        if (code == 0)
            xml_refuse(xml, "reference to invalid character number");
        return code;
    }
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++)
        if (strcmp(xml->reference, entities[i].name) == 0)
            return (uint32_t)entities[i].c;
    xml_refuse(xml, "undefined entity");
    return 0;
}

static size_t step_reference(struct xml *xml, const char *data, size_t len)
{
    size_t room = REFERENCE_MAX - xml->run;
    uint32_t code;

    if (*data != ';') {
        bool good = room > 0 && (is_in_name(*data) || (*data == '#' && xml->run == 0));
        size_t run = good ? 1 : 0;

        if (good && is_kind(*data, IN_NAME))
            run += span(data + 1, (len < room ? len : room) - 1, IN_NAME);
        memcpy(xml->reference + xml->run, data, run);
        xml->run += run;
        return run;
    }
    xml->reference[xml->run] = '\0';
    code = referred(xml);
    if (!xml->failed && xml->around == CONTENT)
        text_add_code(xml, code);
    xml->run = 0;
    xml->place = xml->around;
    return 1;
}

/* Can this byte be there, in a document in UTF-8? */
static bool fits(struct xml *xml, char c)
{
    unsigned char first;
    uint32_t code = (unsigned char)c;

    if (code < 0x80)
        return xml->cut_len == 0 && (code >= ' ' || is_space(c));
    xml->cut[xml->cut_len++] = c;
    first = (unsigned char)xml->cut[0];
    if (xml->cut_len < (first < 0xE0 ? 2u : first < 0xF0 ? 3u : 4u))
        return first >= 0xC2;
    if (utf8_decode(xml->cut, xml->cut_len, &code) != xml->cut_len)
        return false;
    xml->cut_len = 0;
    return is_char(code);
}

static size_t step_text(struct xml *xml, const char *data, size_t len)
{
    size_t run = xml->depth > 0 ? span(data, len, PLAIN) : 0;

    if (run == 0)
        return step_content(xml, *data);
    text_add(xml, data, run);
    xml->run = 0;
    xml->carriage = false;
    return run;
}

/* How many bytes have been taken, more than one only where all of them are ASCII; 0: the first may not be there. */
static size_t step(struct xml *xml, const char *data, size_t len)
{
    char c = *data;

    switch (xml->place) {
    case BEGINNING:
        return step_beginning(xml, c);
    case CONTENT:
        return step_text(xml, data, len);
    case MARKUP:
        return step_markup(xml, data, len);
    case START_NAME:
        if (is_in_name(c))
            return name_add(xml, data, len);
        element_begin(xml);
        return xml->failed || step_tag(xml, c);
    case TAG:
        return step_tag(xml, c);
    case ATTRIBUTE_NAME:
    case ATTRIBUTE_EQUAL:
    case ATTRIBUTE_QUOTE:
        return step_attribute(xml, c);
    case ATTRIBUTE_VALUE:
        return step_value(xml, c);
    case EMPTY_TAG:
        if (c == '>')
            element_end(xml);
        return c == '>';
    case END_NAME:
    case END_TAG:
        return step_end_tag(xml, data, len);
    case DECLARATION:
        return step_declaration(xml, c);
    case COMMENT_BEGIN:
    case COMMENT:
        return step_comment(xml, c);
    case CDATA_BEGIN:
    case CDATA:
        return step_cdata(xml, c);
    case INSTRUCTION_NAME:
    case INSTRUCTION:
        return step_instruction(xml, c);
    case REFERENCE:
        return step_reference(xml, data, len);
    }
    return 0;
}

/* --- what most of a document is, each part of it in one step if all of it is there; 0: it is for the machine --- */

/* A start tag without attributes and prefix. */
static size_t plain_start(struct xml *xml, const char *data, size_t len)
{
    size_t run = span(data + 1, len - 1, IN_NAME);

    if (run + 2 > len || data[run + 1] != '>' || !is_kind(data[1], BEGINS_NAME) ||
        xml->depth == XML_DEPTH_MAX || run >= NAMES_MAX - 1 - xml->names_len)
        return 0;
    begin_name(xml);
    memcpy(xml->names + xml->names_len, data + 1, run);
    xml->names_len += run;
    element_begin(xml);
    xml->place = CONTENT;
    return run + 2;
}

static size_t plain_end(struct xml *xml, const char *data, size_t len)
{
    size_t at = xml->name_at[xml->depth - 1], run = xml->names_len - 1 - at;

    if (run + 3 > len || data[run + 2] != '>' || memcmp(data + 2, xml->names + at, run) != 0)
        return 0;
    element_end(xml);
    return run + 3;
}

static size_t plain_text(struct xml *xml, const char *data, size_t len)
{
    size_t run = span(data, len, PLAIN);

    text_add(xml, data, run);
    return run;
}

static size_t plain_reference(struct xml *xml, const char *data, size_t len)
{
    size_t hash = data[1] == '#' ? 1 : 0;
    size_t run = hash + span(data + 1 + hash, len - 1 - hash, IN_NAME);
    uint32_t code;

    if (run > REFERENCE_MAX || run + 2 > len || data[run + 1] != ';')
        return 0;
    memcpy(xml->reference, data + 1, run);
    xml->reference[run] = '\0';
    code = referred(xml);
    if (!xml->failed)
        text_add_code(xml, code);
    return run + 2;
}

static size_t plain_part(struct xml *xml, const char *data, size_t len)
{
    if (*data == '<')
        return data[1] == '/' ? plain_end(xml, data, len) : plain_start(xml, data, len);
    return *data == '&' ? plain_reference(xml, data, len) : plain_text(xml, data, len);
}

/* As far as it goes. */
static size_t plain_content(struct xml *xml, const char *data, size_t len)
{
    size_t used = 0;

    while (len - used > 1 && xml->depth > 0 && !xml->failed) {
        size_t run = plain_part(xml, data + used, len - used);

        if (run == 0)
            break;
        used += run;
    }
    if (used > 0) {
        xml->run = 0;
        xml->carriage = false;
    }
    return used;
}

static bool xml_result(const struct xml *xml, struct error *error)
{
    if (xml->failed)
        *error = xml->failure;
    return !xml->failed;
}

bool xml_push(struct xml *xml, const char *data, size_t len, struct error *error)
{
    size_t used = 0;

    while (used < len && !xml->failed) {
        char c = data[used];
        size_t taken =
            xml->place == CONTENT && xml->cut_len == 0 ? plain_content(xml, data + used, len - used) : 0;

        if (taken > 0) {
            used += taken;
            continue;
        }
        if (xml->place == BEGINNING && (c == '\xFE' || c == '\xFF')) { /* UTF-16 begins like this */
            xml_refuse(xml, "an encoding other than UTF-8");
            break;
        }
        taken = fits(xml, c) ? step(xml, data + used, len - used) : 0;
        if (taken == 0 && !xml->failed) {
            error_set(&xml->failure, ERROR_PROTOCOL, "unusable XML: not well-formed at byte %llu",
                      xml->before + used);
            xml->failed = true;
        }
        used += taken;
    }
    xml->before += used;
    return xml_result(xml, error);
}

bool xml_finish(struct xml *xml, struct error *error)
{
    bool good;

    if (!xml->failed && (!xml->closed || xml->place != CONTENT))
        xml_refuse(xml, "it ends too early");
    good = xml_result(xml, error);
    if (good)
        xml_refuse(xml, "more after its end");
    return good;
}

void xml_reset(struct xml *xml, void *ctx)
{
    xml->ctx = ctx;
    error_clear(&xml->failure);
    xml->failed = false;
    xml->before = 0;
    xml->place = BEGINNING;
    xml->early = true;
    xml->closed = false;
    xml->leaf = false;
    xml->carriage = false;
    xml->run = 0;
    xml->cut_len = 0;
    xml->depth = 0;
    xml->names_len = 0;
    xml->path_len = 0;
    xml->text_len = 0;
}

struct xml *xml_new(xml_on_end *on_end, void *ctx)
{
    struct xml *xml = malloc(sizeof *xml);

    if (xml == NULL)
        return NULL;
    xml->on_end = on_end;
    xml_reset(xml, ctx);
    return xml;
}

void xml_free(struct xml *xml)
{
    if (xml == NULL)
        return;
    explicit_bzero(xml->text, sizeof xml->text); /* it may have been a secret */
    free(xml);
}

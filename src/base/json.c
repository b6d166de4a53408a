#include "json.h"

#include "clock.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* yyjson parses without recursion and so without a limit of its own; whoever walks the result needs one. */
static bool is_too_deep(const char *text, size_t len)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH)
                return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

yyjson_doc *json_parse(const char *text, size_t len, struct error *error)
{
    yyjson_read_err problem;

    if (len > JSON_MAX) {
        error_set(error, ERROR_PROTOCOL, "not read as JSON: %zu bytes, more than %zu", len, JSON_MAX);
        return NULL;
    }
    if (is_too_deep(text, len)) {
        error_set(error, ERROR_PROTOCOL, "not read as JSON: more than %d levels deep", JSON_DEPTH);
        return NULL;
    }
    /* The parameter is char * for the sake of YYJSON_READ_INSITU, which is not used. */
    yyjson_doc *doc = yyjson_read_opts((char *)text, len, YYJSON_READ_NOFLAG, NULL, &problem);
    if (doc == NULL) {
        if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
            error_set(error, ERROR_LOCAL, "no memory to read JSON");
        else
            error_set(error, ERROR_PROTOCOL, "not JSON: %s at byte %zu", problem.msg, problem.pos);
    }
    return doc;
}

const char *json_text(yyjson_val *object, const char *name, const char *otherwise)
{
    const char *text = yyjson_get_str(yyjson_obj_get(object, name));

    return text != NULL ? text : otherwise;
}

int64_t json_number(yyjson_val *object, const char *name, int64_t otherwise)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (yyjson_is_sint(value))
        return yyjson_get_sint(value);
    if (yyjson_is_uint(value) && yyjson_get_uint(value) <= INT64_MAX)
        return (int64_t)yyjson_get_uint(value);
    return otherwise;
}

bool json_flag(yyjson_val *object, const char *name, bool otherwise)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    return yyjson_is_bool(value) ? yyjson_get_bool(value) : otherwise;
}

yyjson_mut_val *json_make_text(yyjson_mut_doc *doc, const char *text)
{
    static const char replacement[] = "\xEF\xBF\xBD";

    if (text == NULL)
        return yyjson_mut_null(doc);
    size_t len = strlen(text);
    size_t valid = utf8_prefix(text, len);
    if (valid == len)
        return yyjson_mut_strncpy(doc, text, len);

    struct buf clean;
    buf_init(&clean, len * 3);
    while (valid < len) {
        buf_append(&clean, text, valid);
        buf_puts(&clean, replacement);
        text += valid + 1;
        len -= valid + 1;
        valid = utf8_prefix(text, len);
    }
    buf_append(&clean, text, len);
    yyjson_mut_val *value = clean.failed ? NULL : yyjson_mut_strncpy(doc, clean.data, clean.len);
    buf_free(&clean);
    return value;
}

bool json_add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, const char *text)
{
    return yyjson_mut_obj_add(object, yyjson_mut_str(doc, name), json_make_text(doc, text));
}

bool json_text_is(yyjson_val *object, const char *name, const char *text)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    const char *made = yyjson_mut_get_str(json_make_text(doc, text));
    bool same = made != NULL && strcmp(json_text(object, name, ""), made) == 0;

    yyjson_mut_doc_free(doc);
    return same;
}

bool json_add_time(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t wall)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall != CLOCK_UNKNOWN)
        clock_format_rfc3339(wall, text);
    return json_add_text(doc, object, name, wall != CLOCK_UNKNOWN ? text : NULL);
}

bool json_put_text(struct buf *out, const char *text)
{
    size_t len = strlen(text), valid = utf8_prefix(text, len);

    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (i == valid) {
            buf_puts(out, "\\ufffd");
            valid += 1 + utf8_prefix(text + i + 1, len - i - 1);
        } else if (c < 0x20) {
            buf_printf(out, "\\u%04x", c);
        } else {
            if (c == '"' || c == '\\')
                buf_putc(out, '\\');
            buf_putc(out, (char)c);
        }
    }
    return buf_putc(out, '"');
}

bool json_write(const yyjson_mut_doc *doc, bool pretty, struct buf *out)
{
    size_t len;
    char *text = yyjson_mut_write_opts(doc, pretty ? YYJSON_WRITE_PRETTY_TWO_SPACES : YYJSON_WRITE_NOFLAG,
                                       NULL, &len, NULL);

    if (text == NULL)
        return false;
    bool ok = buf_append(out, text, len);
    free(text);
    return ok;
}

/* RFC 8259, as far as it is about objects, arrays and where a value ends. */
#include "json_split.h"

#include "text.h"

#include <string.h>

enum state {
    AT_START,         /* before the object */
    AT_FIRST_NAME,    /* behind its brace: a name, or its end */
    AT_NAME,          /* behind a comma */
    IN_NAME,          /* in the quotes of one */
    AT_COLON,         /* behind it */
    AT_VALUE,         /* behind the colon */
    AT_FIRST_ELEMENT, /* behind an array's bracket: an element, or its end */
    AT_ELEMENT,       /* behind a comma in it */
    IN_PIECE,         /* a value or an element has begun */
    BEHIND_PIECE,     /* and ended */
    BEHIND_ARRAY,     /* as a value has */
    AT_END,           /* of the object */
};

void json_split_init(struct json_split *split, size_t piece_max, json_split_on_piece *on_piece, void *ctx)
{
    *split = (struct json_split){.on_piece = on_piece, .ctx = ctx, .state = AT_START};
    buf_init(&split->piece, piece_max);
}

void json_split_free(struct json_split *split)
{
    buf_free(&split->piece);
}

void json_split_reset(struct json_split *split)
{
    split->state = AT_START;
    split->in_array = false;
    buf_clear(&split->piece);
}

static bool json_split_wrong(struct error *error)
{
    return error_set(error, ERROR_PROTOCOL, "not JSON as it should be");
}

static bool json_split_hand_out(struct json_split *split, struct error *error)
{
    yyjson_doc *doc = json_parse(buf_str(&split->piece), split->piece.len, error);
    bool ok = doc != NULL && split->on_piece(split->ctx, split->name, yyjson_doc_get_root(doc), error);

    yyjson_doc_free(doc);
    buf_clear(&split->piece);
    split->state = BEHIND_PIECE;
    return ok;
}

/* A value or an element begins with `c`. */
static void json_split_begin_piece(struct json_split *split, char c)
{
    split->state = IN_PIECE;
    split->depth = text_is_one_of(c, "[{") ? 1 : 0;
    split->in_string = c == '"';
    split->escaped = false;
}

/* Looks at a byte of a piece behind its first one. True: it was the last of a string, an object or an array. */
static bool json_split_follow(struct json_split *split, char c)
{
    if (split->escaped) {
        split->escaped = false;
    } else if (split->in_string) {
        split->escaped = c == '\\';
        split->in_string = c != '"';
        return c == '"' && split->depth == 0;
    } else if (c == '"') {
        split->in_string = true;
    } else if (text_is_one_of(c, "[{")) {
        split->depth++;
    } else if (text_is_one_of(c, "]}")) {
        return --split->depth == 0;
    }
    return false;
}

static bool json_split_keep(struct json_split *split, char c, struct error *error)
{
    return buf_putc(&split->piece, c) ||
           error_set(error, ERROR_PROTOCOL, "a part of the JSON has more than %zu bytes, or memory ran out",
                     split->piece.max);
}

/* Between two names or values: takes one byte that is no white space. */
static bool json_split_between(struct json_split *split, char c, struct error *error)
{
    bool in_object = split->state == BEHIND_ARRAY || (split->state == BEHIND_PIECE && !split->in_array);

    if (split->state == AT_START && c == '{') {
        split->state = AT_FIRST_NAME;
    } else if ((split->state == AT_FIRST_NAME || split->state == AT_NAME) && c == '"') {
        split->state = IN_NAME;
        split->escaped = false;
        split->name[0] = '\0';
    } else if ((split->state == AT_FIRST_NAME || in_object) && c == '}') {
        split->state = AT_END;
    } else if (in_object && c == ',') {
        split->state = AT_NAME;
    } else if (split->state == AT_COLON && c == ':') {
        split->state = AT_VALUE;
    } else if (split->state == AT_VALUE && c == '[') {
        split->state = AT_FIRST_ELEMENT;
        split->in_array = true;
    } else if (split->in_array && c == ']' &&
               (split->state == AT_FIRST_ELEMENT || split->state == BEHIND_PIECE)) {
        split->state = BEHIND_ARRAY;
        split->in_array = false;
    } else if (split->state == BEHIND_PIECE && split->in_array && c == ',') {
        split->state = AT_ELEMENT;
    } else if ((split->state == AT_VALUE || split->state == AT_FIRST_ELEMENT || split->state == AT_ELEMENT) &&
               !text_is_one_of(c, ",:]}")) {
        json_split_begin_piece(split, c);
        return json_split_keep(split, c, error);
    } else {
        return json_split_wrong(error);
    }
    return true;
}

static void json_split_in_name(struct json_split *split, char c)
{
    size_t len = strlen(split->name);

    if (c == '"' && !split->escaped) {
        split->state = AT_COLON;
        return;
    }
    split->escaped = c == '\\' && !split->escaped;
    if (len + 1 < sizeof split->name) {
        split->name[len] = c;
        split->name[len + 1] = '\0';
    }
}

/* Numbers and words end where something else begins. */
static bool json_split_is_over(const struct json_split *split, char c)
{
    return split->depth == 0 && !split->in_string && text_is_one_of(c, ",]} \t\r\n");
}

static bool json_split_in_piece(struct json_split *split, char c, struct error *error)
{
    if (json_split_is_over(split, c)) {
        if (!json_split_hand_out(split, error))
            return false;
        return text_is_one_of(c, " \t\r\n") || json_split_between(split, c, error);
    }
    if (!json_split_keep(split, c, error))
        return false;
    return !json_split_follow(split, c) || json_split_hand_out(split, error);
}

bool json_split_push(struct json_split *split, const char *data, size_t len, struct error *error)
{
    for (size_t i = 0; i < len; i++) {
        char c = data[i];

        if (split->state == IN_NAME)
            json_split_in_name(split, c);
        else if (split->state == IN_PIECE
                     ? !json_split_in_piece(split, c, error)
                     : !text_is_one_of(c, " \t\r\n") && !json_split_between(split, c, error))
            return false;
    }
    return true;
}

bool json_split_finish(const struct json_split *split, struct error *error)
{
    return split->state == AT_END || error_set(error, ERROR_PROTOCOL, "the JSON is not complete");
}

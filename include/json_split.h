/*
 * json_split - one large JSON object, piece by piece as it comes: a listing has a thousand entries, and nobody needs
 * more than one of them at a time.
 *
 * A piece is the value of a member of the object or, where that is an array, each of its elements. It is parsed when
 * it is complete (json.h), handed out, and forgotten. What is between the pieces is checked here.
 */
#ifndef STORSYNC_JSON_SPLIT_H
#define STORSYNC_JSON_SPLIT_H

#include "buf.h"
#include "error.h"
#include "json.h"

#include <stdbool.h>
#include <stddef.h>

#define JSON_SPLIT_NAME_SIZE 64 /* of a member; longer names are cut */

/* A piece, valid until the return. False, with the error set, ends it. */
typedef bool json_split_on_piece(void *ctx, const char *name, yyjson_val *piece, struct error *error);

struct json_split {
    json_split_on_piece *on_piece;
    void *ctx;
    int state;
    bool in_array;
    char name[JSON_SPLIT_NAME_SIZE];
    struct buf piece;        /* so far */
    int depth;               /* of it */
    bool in_string, escaped; /* where it is */
};

void json_split_init(struct json_split *split, size_t piece_max, json_split_on_piece *on_piece, void *ctx);
void json_split_free(struct json_split *split);
void json_split_reset(struct json_split *split); /* for another document */

/* ERROR_PROTOCOL: it is not JSON, no object, or a piece is too large. */
bool json_split_push(struct json_split *split, const char *data, size_t len, struct error *error);
/* ERROR_PROTOCOL: it is not complete. */
bool json_split_finish(const struct json_split *split, struct error *error);

#endif

/*
 * json - the little that the program needs around yyjson: documents with a ceiling, lookups that cannot fail
 * halfway, and strings that may hold any bytes.
 *
 * Reading: a document is at most JSON_MAX bytes and JSON_DEPTH levels; json_parse returns a yyjson_doc which
 * the caller frees with yyjson_doc_free.
 */
#ifndef STORSYNC_JSON_H
#define STORSYNC_JSON_H

#include "buf.h"
#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

#define JSON_MAX ((size_t)1024 * 1024)
#define JSON_DEPTH 32

/* NULL, with ERROR_PROTOCOL saying where, when `text` is not one JSON document (RFC 8259); with ERROR_LOCAL
 * when there is no memory. */
yyjson_doc *json_parse(const char *text, size_t len, struct error *error);

/* Members of an object. A member that is absent or of another type gives `otherwise`; so does everything when
 * `object` is NULL or not an object. A text ends at its first U+0000; a number must be a whole one. */
const char *json_text(yyjson_val *object, const char *name, const char *otherwise);
int64_t json_number(yyjson_val *object, const char *name, int64_t otherwise);
bool json_flag(yyjson_val *object, const char *name, bool otherwise);

/* Adds a string member copied into the document; bytes that are not UTF-8 become U+FFFD. NULL adds null.
 * `name` is borrowed until the document is freed. False: no memory. */
bool json_add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, const char *text);
/* Is that member what json_add_text makes of `text`? */
bool json_text_is(yyjson_val *object, const char *name, const char *text);
/* json_add_text for a time (clock.h), which is null if it is not known. */
bool json_add_time(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t wall);
yyjson_mut_val *json_make_text(yyjson_mut_doc *doc, const char *text);

/* Appends a text as JSON has it, with its quotes; bytes that are not UTF-8 become U+FFFD. Needs no memory but the buffer's. */
bool json_put_text(struct buf *out, const char *text);

/* Appends the document to `out`: on one line, or indented for a person. No newline at the end. False: no
 * memory or no room. */
bool json_write(const yyjson_mut_doc *doc, bool pretty, struct buf *out);

#endif

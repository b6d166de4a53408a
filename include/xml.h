/*
 * xml - a push parser that reports leaves, with ceilings.
 *
 * S3's answers are shallow, and everything of interest is the text of a leaf. For each element that ends,
 * `on_end` is called with its path of local names from the root, joined by '/', and the text it held (trimmed
 * of nothing; "" when it had child elements). Example: "ListBucketResult/Contents/Key", "public/a.png". The
 * path is how a caller knows that a group is complete: "ListBucketResult/Contents" ends after its leaves.
 * White space in front of the document is skipped. The encoding is UTF-8, whatever the document says.
 *
 * Ceilings: XML_DEPTH_MAX levels, XML_PATH_MAX bytes of path and of a name, XML_TEXT_MAX bytes of text, 1 KiB for the names
 * of the open elements and of a tag's attributes, and no DTD (S3 sends none, and without one there are no entity
 * attacks). Passing one is ERROR_PROTOCOL, and so is whatever is not well-formed; but what an XML declaration says, and
 * which characters beyond ASCII a name has, is not looked at. The length of a document, of a comment or of an attribute's
 * value has no ceiling: none of it is kept.
 *
 * After a failure every call fails with the same error, and nothing is reported, until xml_reset.
 */
#ifndef STORSYNC_XML_H
#define STORSYNC_XML_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH_MAX 16
#define XML_PATH_MAX 256
#define XML_TEXT_MAX 8192 /* a 1,024-byte key, URL-encoded, is 3,072 */

struct xml;

/* `path` and `text` are valid during the call, which must not use the parser. Returns false to stop; xml_push
 * then fails with ERROR_PROTOCOL unless the callback put a better error. */
typedef bool xml_on_end(void *ctx, const char *path, const char *text, struct error *error);

struct xml *xml_new(xml_on_end *on_end, void *ctx); /* NULL: no memory */
void xml_reset(struct xml *xml, void *ctx);         /* ready for another document, perhaps of somebody else */
bool xml_push(struct xml *xml, const char *data, size_t len, struct error *error);
bool xml_finish(struct xml *xml, struct error *error); /* false if the document is not complete */
void xml_free(struct xml *xml);                        /* NULL is allowed */

#endif

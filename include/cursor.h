/*
 * cursor - the listing of a bucket, one entry after the other.
 *
 * A cursor walks the keys of a range in byte order, page after page, the next one being fetched while the
 * current one is used. Keys under OBJECT_STATE_PREFIX are left out, unless the range's prefix lies there itself. The listing
 * ends at the first key that is not before range.until, and nothing beyond it is asked for. What range.filter does not take is
 * left out. Where a page ends in a folder of which that takes nothing, the listing goes on behind the folder: so at most one
 * page of such a folder is asked for, and no request more than without the filter.
 *
 * Its two pages together have CURSOR_ROOM bytes for entries, or what cursor_share gives, whatever the service sends. Where one takes
 * more than half of that, the next is asked for only when it is used up, and takes over its memory. A page that would take more
 * than there is room for is asked for again, with fewer keys; so are those behind it. From a service that sends more keys than it
 * is asked for no more are taken than fit, and the listing goes on behind the last of them.
 *
 * INVARIANT: keys strictly increase. One that does not ends the cursor with ERROR_PROTOCOL before it is
 * handed out: a merge-join of unordered listings would copy or report nonsense. The same entry once more is passed over.
 * That it was, and that a time is not told, is warned about once for each store.
 */
#ifndef STORSYNC_CURSOR_H
#define STORSYNC_CURSOR_H

#include "error.h"
#include "object.h"
#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CURSOR_ROOM ((size_t)512 * 1024)

struct cursor;
enum cursor_state { CURSOR_WAIT, CURSOR_ENTRY, CURSOR_END, CURSOR_FAILED };

struct cursor *cursor_open(struct store *store, const struct store_range *range, struct error *error);
void cursor_close(struct cursor *cursor);
enum cursor_state cursor_peek(struct cursor *cursor, const struct object_entry **entry);
/* The same, but CURSOR_WAIT: waits as store_wait does, and ends with CURSOR_FAILED and *error if that or the listing fails. */
enum cursor_state cursor_wait(struct cursor *cursor, const struct object_entry **entry, struct error *error);
void cursor_next(struct cursor *cursor); /* past the entry that peek showed, whose key is then gone */
bool cursor_step(struct cursor *cursor); /* local progress; true if anything moved */
const struct error *cursor_error(const struct cursor *cursor);
/* Why the entry that peek showed is `unreadable`. */
void cursor_explain(const struct cursor *cursor, struct error *error);

/* ---- several listings of one bucket, each with a range of its own (join.h) ---- */

/* What the page that came last says of those behind it: CURSOR_WAIT while none has come; CURSOR_END: there are none;
 * CURSOR_FAILED also if the listing did not begin behind range.after, which it was to. */
enum cursor_state cursor_outlook(const struct cursor *cursor);
/* The last key that is known, of the page that came last. Borrowed until anything is done with the cursor. */
const char *cursor_reach(const struct cursor *cursor);
uint64_t cursor_pages(const struct cursor *cursor); /* that have come */

/* From now on the listing ends with that key, which must not be before cursor_reach. What is asked for stays the same. */
void cursor_limit(struct cursor *cursor, const char *last);

/* From now on a page is asked for only when the one before it is used up, and takes over its memory. Returns how much the
 * largest page that has come would take, in bytes, if there were room enough for all of it. */
size_t cursor_spare(struct cursor *cursor);

/* How many bytes the entries that are there take: the least that may be given. */
size_t cursor_bytes(const struct cursor *cursor);
/* From now on its pages have so many bytes. */
void cursor_share(struct cursor *cursor, size_t room);

#endif

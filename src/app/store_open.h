/*
 * store_open - which kind of store a bucket's name means: the one place that knows all implementations.
 */
#ifndef STORSYNC_STORE_OPEN_H
#define STORSYNC_STORE_OPEN_H

#include "buf.h"
#include "error.h"
#include "loop.h"
#include "settings.h"
#include "store.h"

#include <stdbool.h>

/* `side` and `loop` are borrowed and must outlive the store. Fails with ERROR_CONFIG for what can be seen without asking the
 * service; asks it nothing. */
struct store *store_open(const struct side *side, struct loop *loop, struct error *error);
bool store_needs_network(const struct side *side);
bool store_is_s3(const struct side *side); /* of which a region has to be known */

/* For people: where a side's credentials would come from, or why that cannot be right; asks nobody. */
void store_describe_credentials(const struct side *side, struct buf *out);

#endif

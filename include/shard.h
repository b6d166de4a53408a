/*
 * shard - which share of the keys is this run's, where several processes sync one bucket together. Pure.
 *
 * Every key belongs to one shard, which follows from the key and from how many shards there are. INVARIANT: it is the same one in
 * every version of this program, as shards of one deployment may be of several.
 */
#ifndef STORSYNC_SHARD_H
#define STORSYNC_SHARD_H

#include <stdbool.h>

#define SHARD_COUNT_MAX 1000
#define SHARD_UNKNOWN (-1)

struct shard {
    int index; /* from 0; SHARD_UNKNOWN: the text does not tell */
    int count; /* 0: there are no shards, every key is this run's */
};

/* "2/8", or "/8". False, and *out is left alone: it is neither, or there is no such shard. */
bool shard_parse(const char *text, struct shard *out);

/* "2" of so many. False: it is no number, or there is no such shard. */
bool shard_parse_index(const char *text, int count, int *index);

bool shard_has(const struct shard *shard, const char *key);

#endif

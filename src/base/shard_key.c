#include "shard.h"

#include "hash.h"

#include <stdint.h>

/* The shards are equal spans of what the hash may be. */
bool shard_has(const struct shard *shard, const char *key)
{
    return shard->count == 0 ||
           (int)((uint64_t)hash_spread(key, 0) * (uint64_t)shard->count >> 32) == shard->index;
}

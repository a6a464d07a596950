/*
 * Settings of the store: up to where small values stay packed. The names are those of the configuration's directives.
 *
 * Owned by the server, which may change them at any time; a value is converted when it is next edited past a limit.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct store_settings {
    int64_t hash_max_listpack_entries, hash_max_listpack_value;
    int64_t list_max_listpack_size; /* positive: elements; -1 to -5: 4, 8, 16, 32, 64 KB a node */
    int64_t list_compress_depth;
    int64_t set_max_intset_entries;
    int64_t set_max_listpack_entries, set_max_listpack_value;
    int64_t zset_max_listpack_entries, zset_max_listpack_value;
    int64_t hll_sparse_max_bytes;
    int64_t stream_node_max_bytes, stream_node_max_entries;
};

/* Redis's defaults. */
extern const struct store_settings store_settings_default;

/*
 * What the sources of the table share: how buckets are numbered.
 */
#pragma once

#include "ds/table.h"

static inline struct table_bucket *table_bucket_at(const struct table *table, size_t index)
{
    return &table->segments[index / TABLE_SEGMENT_BUCKETS][index % TABLE_SEGMENT_BUCKETS];
}

/* Items that `buckets` hold before the next insert splits one: 5.5 each. */
static inline size_t table_grow_limit(size_t buckets)
{
    return buckets * 11 / 2;
}

/* Items below which two of `buckets` are merged: 2.2 each, so far from the other limit that nothing can swing between
 * them. */
static inline size_t table_shrink_limit(size_t buckets)
{
    return buckets > 1 ? buckets * 11 / 5 : 0;
}

/*
 * Buckets that the last segment has room for while `buckets` are in use. The whole table grows by a quarter of a power
 * of two at a time, until that is a segment; so what is in reserve stays small, and every size is one of the
 * allocator's classes.
 */
static inline size_t table_last_room(size_t buckets)
{
    size_t step = TABLE_SEGMENT_BUCKETS;
    if (buckets <= 4 * TABLE_SEGMENT_BUCKETS)
        step = buckets > 8 ? (size_t)1 << (61 - __builtin_clzll(buckets - 1)) : 1;
    size_t room = (buckets + step - 1) / step * step;
    return (room - 1) % TABLE_SEGMENT_BUCKETS + 1;
}

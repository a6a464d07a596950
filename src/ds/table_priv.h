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

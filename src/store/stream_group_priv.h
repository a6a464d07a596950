/*
 * What the stream's other files want of its groups.
 */
#pragma once

#include "ds/btree.h"
#include "store/stream_group.h"

extern const struct btree_type stream_groups_type, stream_pending_type;

/* Bytes of all groups and what they own. O(consumers). */
size_t stream_groups_memory(const struct stream *stream);

/* Frees about `items` parts; true while more are left. */
bool stream_groups_drain(struct stream *stream, size_t *items);

/* Copies all groups of one stream into another, which has none. */
void stream_groups_copy(struct stream *to, const struct stream *from);

/* What is wrong with the groups, or NULL. */
const char *stream_groups_check(const struct stream *stream);

void stream_pending_free(struct stream_pending *pending);

/*
 * What the tests of streams share: entries from text, and a stream under the key "s".
 */
#pragma once

#include "ds/listpack.h"
#include "fixture.h"
#include "store/settings.h"
#include "store/stream.h"
#include "store/stream_block.h"
#include "store/stream_group.h"
#include "store/stream_trim.h"

#define ID(ms_, seq_) ((struct stream_id){ (ms_), (seq_) })

static inline struct stream_edit edit_of(struct fixture *fixture, const char *key)
{
    struct entry *entry = keyspace_write(fixture->keyspace, fixture->db, key_of(key), NOW);
    return (struct stream_edit){ fixture->keyspace, fixture->db, key_of(key), entry, NOW, false };
}

static inline struct stream *stream_at(struct fixture *fixture, const char *key)
{
    return stream_of(peek(fixture, key));
}

/* Appends an entry of two fields. */
static inline void add2(struct fixture *fixture, struct stream_id id, const char *field, const char *value,
    const char *field2, const char *value2)
{
    struct bytes texts[4] = { bytes_from_cstr(field), bytes_from_cstr(value), bytes_from_cstr(field2),
        bytes_from_cstr(value2) };
    struct stream_edit edit = edit_of(fixture, "s");
    REQUIRE(stream_add(&edit, id, texts, 4) == STREAM_ADDED);
}

/* Appends `count` entries, IDs first-1, first+1-1, ... */
static inline void add_many(struct fixture *fixture, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char value[24], other[24];
        snprintf(value, sizeof value, "%zu", i);
        snprintf(other, sizeof other, "text %zu", i);
        add2(fixture, ID(first + i, 1), "temp", value, "name", other);
    }
}

static inline bool delete_id(struct fixture *fixture, struct stream_id id)
{
    struct stream_edit edit = edit_of(fixture, "s");
    return stream_delete(&edit, id);
}

/* Trims to the end, a block at a time. */
static inline uint64_t trim(struct fixture *fixture, struct stream_trim how)
{
    do {
        struct stream_edit edit = edit_of(fixture, "s");
        stream_trim_step(&edit, &how, 1);
    } while (how.unfinished);
    return how.removed;
}

/*
 * Moving the insides of one value out of sparse slabs of the allocator, a slice at a time; see store/defrag.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry;
struct json_compact;
struct mem_moves;

/*
 * How far it has come: all zero at the beginning. It names no memory, so the value may change between two slices; then
 * parts of it may be passed over.
 */
struct compact_place {
    uint32_t stage;
    uint64_t at;               /* within the stage: a cursor, a rank or a number */
    uint64_t group, owner;     /* of a stream: number of the group, and of the consumer in it */
    bool has_tasks;            /* there are tasks, which know streams by where they are */
    struct json_compact *json; /* owned: of a document; NULL before it begins, and when it is through */
};

/* Forgets the place. */
void compact_place_fini(struct compact_place *place);

/*
 * Moves about `items` parts of the value; true while there is more to look at. Nobody may keep a pointer into the value
 * meanwhile.
 */
bool compact_value(struct entry *entry, struct compact_place *place, size_t items, struct mem_moves *moves);

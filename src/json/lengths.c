/*
 * A table of places that are found by address, with no chains: a document more costs another its place, and that one is
 * printed once without its length.
 *
 * What stands here outlives its node. An address that comes again belongs to a new node, whose bit is not set before
 * its own length replaces what stands here. A bit whose length was pushed out finds another address in its place, or
 * another length of its own, noted later.
 */
#include "json/lengths.h"

#include "base/mem.h"
#include "node_priv.h"

enum { PLACES = 256 };

struct length {
    uint64_t bits; /* the value; 0 in an empty place */
    size_t len;
};

struct json_lengths {
    struct length places[PLACES];
};

struct json_lengths *json_lengths_create(void)
{
    return mem_zalloc(sizeof(struct json_lengths));
}

void json_lengths_destroy(struct json_lengths *lengths)
{
    mem_free(lengths);
}

static size_t place_of(struct json_value value)
{
    return value.bits * UINT64_C(0x9e3779b97f4a7c15) >> 56;
}

_Static_assert(PLACES == 1 << 8, "a place for every number of eight bits");

void json_lengths_forget(struct json_value value)
{
    if (json_is_container(value))
        node_of(value)->is_measured = 0;
}

void json_lengths_note(struct json_lengths *lengths, struct json_value value, size_t len)
{
    if (!json_is_container(value))
        return;
    lengths->places[place_of(value)] = (struct length){ value.bits, len };
    node_of(value)->is_measured = 1;
}

size_t json_lengths_find(const struct json_lengths *lengths, struct json_value value)
{
    if (!json_is_container(value) || !node_of(value)->is_measured)
        return 0;
    const struct length *length = &lengths->places[place_of(value)];
    return length->bits == value.bits ? length->len : 0;
}

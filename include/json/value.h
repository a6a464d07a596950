/*
 * Value: what a document consists of, and how to look at it.
 *
 * A value is a slot of 8 bytes whose low four bits say what it is. Null, booleans, integers of 60 bits, nearly all
 * doubles and strings of up to 7 bytes are in the slot itself; the rest is behind a pointer to something counted.
 *
 *   1        null, false, true, 0.0, -0.0             the bits above say which
 *   2        integer of 60 bits                       in the bits above
 *   3 4 b c  double                                   all of it, rotated by 4: exponents from 2^-255 to 2^256
 *   5        string of at most 7 bytes                length in bits 4 to 7, then the bytes
 *   6 7      longer string; other number              16-aligned pointer
 *   8 9      array, object that fits in one node      16-aligned pointer
 *   a d      large array, large object: trees         16-aligned pointer
 *   e f      inner parts of trees; never seen outside
 *
 * Nodes are at most 4 KB. Everything behind a pointer counts its references and is changed only while there is one, so
 * a value can be shared at the price of one reference, between documents and with readers on other threads (doc.h); a
 * copy is never made. Small values have no identity: what matters to a reader is the slot's address.
 *
 * Everything here only reads, takes O(1) (looking into a large array O(log n) with a base of hundreds) and may run on
 * any thread that holds a reference to the root or knows that nobody changes it. Pointers to slots and bytes hold until
 * the document is next changed, or while a version that they belong to is pinned.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "json/key.h"

enum json_kind {
    JSON_NONE, /* no value: an empty document */
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,  /* fits int64_t */
    JSON_UINT, /* an integer above INT64_MAX that fits uint64_t */
    JSON_DOUBLE,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

enum { JSON_MAX_DEPTH = 127, JSON_SHORT_STRING = 7, JSON_NODE_BYTES = 4096 };

struct json_value {
    uint64_t bits;
};

#define JSON_VALUE_NONE ((struct json_value){ 0 })
#define JSON_VALUE_NULL ((struct json_value){ 0x01 })
#define JSON_VALUE_FALSE ((struct json_value){ 0x11 })
#define JSON_VALUE_TRUE ((struct json_value){ 0x21 })

enum json_tag {
    JSON_TAG_LITERAL = 1,
    JSON_TAG_INT = 2,
    JSON_TAG_SHORT = 5,
    JSON_TAG_STRING = 6,
    JSON_TAG_BOX = 7,
    JSON_TAG_ARRAY = 8,
    JSON_TAG_OBJECT = 9,
    JSON_TAG_ARRAY_TREE = 10,
    JSON_TAG_OBJECT_TREE = 13,
};

/* One node of a container; a leaf of an object has its keys, uint32_t keys[cap], behind the slots. */
struct json_node {
    _Atomic uint32_t refs;
    uint16_t count;           /* slots in use */
    uint16_t cap : 15;        /* slots there are */
    uint16_t is_measured : 1; /* the length of its text may be known (json/lengths.h) */
    struct json_value slots[];
};

static inline unsigned json_tag(struct json_value value)
{
    return value.bits & 15;
}

static inline void *json_pointer(struct json_value value)
{
    return (void *)(uintptr_t)(value.bits & ~(uint64_t)15);
}

extern const uint8_t json_kind_of_tag[16];

static inline enum json_kind json_kind(struct json_value value)
{
    if (json_tag(value) <= JSON_TAG_LITERAL)
        return value.bits > 0x21 ? JSON_DOUBLE : value.bits > 1 ? JSON_BOOL : value.bits == 1 ? JSON_NULL : JSON_NONE;
    if (json_tag(value) == JSON_TAG_BOX)
        return *((const uint32_t *)json_pointer(value) + 1);
    return json_kind_of_tag[json_tag(value)];
}

static inline bool json_is_container(struct json_value value)
{
    return json_kind_of_tag[json_tag(value)] >= JSON_ARRAY;
}

static inline bool json_is_integer(struct json_value value)
{
    enum json_kind kind = json_kind(value);
    return kind == JSON_INT || kind == JSON_UINT;
}

static inline bool json_is_number(struct json_value value)
{
    enum json_kind kind = json_kind(value);
    return kind >= JSON_INT && kind <= JSON_DOUBLE;
}

/* Of a JSON_BOOL. */
static inline bool json_bool(struct json_value value)
{
    return value.bits == 0x21;
}

/* Of a JSON_INT, a JSON_UINT, a JSON_DOUBLE. */
int64_t json_int(struct json_value value);
uint64_t json_uint(struct json_value value);
double json_double(struct json_value value);

/* Any number as a double; an integer that has no double of its own is rounded to the nearest. */
double json_number(struct json_value value);

/*
 * Order of two numbers by their exact values, integers and doubles alike: negative, zero, positive. 3 equals 3.0,
 * 9007199254740993 is above 9007199254740992.0.
 */
int json_number_compare(struct json_value a, struct json_value b);

/* The bytes of a JSON_STRING, valid UTF-8. They may be in the slot itself: that is why it is passed by address. */
struct bytes json_string(const struct json_value *value);

/* Elements of an array; element `at`, which must be below that. */
uint32_t json_array_len(struct json_value array);
const struct json_value *json_array_at(struct json_value array, uint32_t at);

/* Members of an object; the value of a key, or NULL. O(1), by an index from a few hundred members on. */
uint32_t json_object_len(struct json_value object);
const struct json_value *json_object_get(struct json_value object, json_key key);

/* The same by the key's text; one look-up more. */
const struct json_value *json_object_find(struct json_value object, struct bytes key);

/* Member `at` in the order of insertion: its value, and *key set. */
const struct json_value *json_object_at(struct json_value object, uint32_t at, json_key *key);

/* Elements or members of a container. */
static inline uint32_t json_len(struct json_value container)
{
    return json_kind_of_tag[json_tag(container)] == JSON_ARRAY ? json_array_len(container) : json_object_len(container);
}

/*
 * Walks the elements of a container in order:
 *     for (json_iter_init(&iter, container); json_iter_next(&iter); ) use(iter.value, iter.key);
 * It may be kept across pauses while the container does not change or is pinned. Amortised O(1) a step.
 */
struct json_iter {
    const struct json_value *value; /* borrowed: the present element */
    json_key key;                   /* its key, in an object; of an array 0 */
    uint32_t at;                    /* its position, from 0 */
    const struct json_value *slot;  /* borrowed: the next slot in its leaf */
    const struct json_value *end;   /* borrowed: the end of that leaf */
    const json_key *keys;           /* borrowed: the next key, NULL in an array */
    uint32_t len;                   /* elements in all */
    struct json_value container;    /* borrowed */
};

/* Begins before the element `from` (at most the length). */
void json_iter_init_at(struct json_iter *iter, struct json_value container, uint32_t from);

/* Goes to the next leaf of a tree; false at the end. */
bool json_iter_next_leaf(struct json_iter *iter);

static inline void json_iter_init(struct json_iter *iter, struct json_value container)
{
    json_iter_init_at(iter, container, 0);
}

static inline bool json_iter_next(struct json_iter *iter)
{
    if (iter->slot == iter->end && !json_iter_next_leaf(iter))
        return false;
    iter->value = iter->slot++;
    iter->at++;
    if (iter->keys != NULL)
        iter->key = *iter->keys++;
    return true;
}

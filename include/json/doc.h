/*
 * Document: a root, its versions, and getting rid of what is no longer wanted.
 *
 * A document is nothing but its root slot: put it where you like, all zero is the empty one (JSON_NONE). Values are
 * made with one reference that the caller owns, and stored by handing that reference over ("takes").
 *
 * Versions. json_value_ref of the root pins the version that it is: O(1). From then on edits of the document copy the
 * nodes on the way to what they change (at most 4 KB a level) and the reader goes on seeing the old ones, on whatever
 * thread. json_value_release gives the version back, on whatever thread. So there is no difference between pinning a
 * version, copying a document and sharing a value.
 *
 * Trash. Nothing large is ever freed at once: releasing the last reference to a container only links it into a trash,
 * which json_trash_drain takes down a few nodes at a time. A trash is one pointer and belongs to one thread at a time.
 */
#pragma once

#include <stddef.h>

#include "json/value.h"

struct json_doc {
    struct json_value root; /* owned */
};

struct json_trash {
    struct json_value head; /* owned: the first dead node; they are linked through their slots */
};

/* One more reference; returns its argument. O(1), any thread. */
struct json_value json_value_ref(struct json_value value);

/* Gives a reference back. What died goes to the trash if it is a container, else is freed. O(depth), any thread. */
void json_value_release(struct json_value value, struct json_trash *trash);

/* The same and waits until all is freed: for tests and small values. O(n). */
void json_value_destroy(struct json_value value);

/* Takes down up to `budget` slots; true when nothing is left. Any thread. */
bool json_trash_drain(struct json_trash *trash, size_t budget);

static inline bool json_trash_is_empty(const struct json_trash *trash)
{
    return trash->head.bits == 0;
}

/* Moves everything that `from` holds to `to`. O(1) if `to` is empty, otherwise in the number of dead roots in it. */
void json_trash_move(struct json_trash *to, struct json_trash *from);

/* Values, each owned by the caller. Numbers and short strings need no memory; only these two can fail. */
struct json_value json_make_int(int64_t value);
struct json_value json_make_uint(uint64_t value); /* JSON_INT if it fits */
struct json_value json_make_double(double value); /* finite */
struct json_value json_make_bool(bool value);
struct json_value json_make_array(void);
struct json_value json_make_object(void);
bool json_try_make_string(struct bytes text, struct json_value *value); /* false: memory is out, or 4 GB and more */

/*
 * Equality as JSON has it: objects without regard to order, and strict about numbers if asked to (3 is not 3.0), else
 * by value. O(n); what is shared is not looked into. Breathes, in a fiber.
 */
bool json_equal(const struct json_value *a, const struct json_value *b, bool strict);

/* Containers that are nested in it, itself included: a scalar has 0. Stops looking at `enough`. O(n). */
unsigned json_depth(struct json_value value, unsigned enough);

/*
 * Bytes that a value takes, as the allocator rounds them: its own slot, and all that is behind it; what is shared
 * counts fully, keys do not count. In steps: begin, then until done, each of about `budget` slots.
 */
struct json_measure {
    struct json_iter stack[JSON_MAX_DEPTH + 1];
    unsigned depth;
    size_t bytes; /* the result */
};
void json_measure_begin(struct json_measure *measure, const struct json_value *value);
bool json_measure_step(struct json_measure *measure, size_t budget); /* true when done */

/* The same at once. O(n). */
size_t json_value_bytes(const struct json_value *value);

/* The same in less than a tenth of a millisecond: small values are measured, of others some 500 parts, from all over
 * them, and the rest is taken for like these. */
size_t json_value_bytes_about(const struct json_value *value);

/*
 * A list that is made of what may lie in the list that it replaces, element by element, and stored when it is whole.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"
#include "ds/quicklist.h"
#include "store/keyspace.h"

struct store_settings;

struct list_make {
    struct quicklist_limits limits;
    size_t depth;
    unsigned char *pack;    /* owned; NULL once it is ... */
    struct quicklist *list; /* owned */
    size_t count;
};

/* Begins with no elements; list_make_abandon or keyspace_set_list_take ends it. */
void list_make_begin(struct list_make *make, const struct store_settings *settings);
void list_make_abandon(struct list_make *make);

/* Adds an element at the tail, sharing `blob` (NULL, or what holds the text). False when memory is out. */
bool list_make_add(struct list_make *make, struct bytes text, struct blob *blob);

/*
 * Adds all elements of a valid listpack at the tail, and takes it over. False, with nothing changed, if it is empty or
 * exceeds the limits of a node.
 */
bool list_make_add_pack_take(struct list_make *make, unsigned char *pack);

/* Stores the list, which is not empty, under the key, replacing whatever is there, expiry too. */
void keyspace_set_list_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct list_make *make, int64_t now_ms);

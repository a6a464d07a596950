/*
 * Lists that are made element by element, and stored under a key when they are whole: for results whose elements may
 * come from the very list that they replace.
 *
 * A list is a listpack until it exceeds the limits, like one that is pushed to. O(1) amortised an element.
 */
#include "store/list_make.h"

#include <string.h>

#include "base/assert.h"
#include "ds/listpack.h"
#include "store/list.h"
#include "store/settings.h"
#include "store/value.h"

void list_make_begin(struct list_make *make, const struct store_settings *settings)
{
    *make = (struct list_make){ .limits = quicklist_limits(settings->list_max_listpack_size) };
    make->depth = (size_t)settings->list_compress_depth;
    make->pack = listpack_create(0);
}

void list_make_abandon(struct list_make *make)
{
    listpack_destroy(make->pack);
    quicklist_destroy(make->list);
    *make = (struct list_make){ 0 };
}

/* Goes over to a quicklist, which what is packed begins. */
static void unpack(struct list_make *make)
{
    if (make->count) {
        make->list = quicklist_from_listpack(make->pack, make->depth);
    } else {
        listpack_destroy(make->pack);
        make->list = quicklist_create(make->depth);
    }
    make->pack = NULL;
}

bool list_make_add(struct list_make *make, struct bytes text, struct blob *blob)
{
    struct quicklist_item item = { .text = text };
    bool large = quicklist_is_large(&make->limits, text.len);
    if (large && blob) {
        item.blob = blob_ref(blob);
    } else if (large) {
        item.blob = blob_try_create(text.len);
        if (!item.blob)
            return false;
        memcpy(item.blob->data, text.ptr, text.len);
        item.blob->len = text.len;
    }
    if (make->pack && !quicklist_limits_allow(&make->limits, listpack_bytes(make->pack) + text.len, make->count + 1))
        unpack(make);
    if (make->pack) {
        uint32_t at = listpack_append(&make->pack, text);
        ASSERT(at);
    } else {
        quicklist_push(make->list, QUICKLIST_TAIL, item, &make->limits);
    }
    make->count++;
    return true;
}

bool list_make_add_pack_take(struct list_make *make, unsigned char *pack)
{
    size_t count = listpack_count(pack);
    if (count == 0 || !quicklist_limits_allow(&make->limits, listpack_bytes(pack), count))
        return false;
    if (make->count == 0 && make->pack) {
        listpack_destroy(make->pack);
        make->pack = pack;
    } else {
        if (make->pack)
            unpack(make);
        quicklist_push_listpack(make->list, pack);
    }
    make->count += count;
    return true;
}

void keyspace_set_list_take(
    struct keyspace *keyspace, struct db *db, struct key key, struct list_make *make, int64_t now_ms)
{
    ASSERT(make->count);
    unsigned encoding = make->pack ? LIST_LISTPACK : LIST_QUICKLIST;
    void *value = make->pack ? (void *)make->pack : (void *)make->list;
    keyspace_set_value(keyspace, db, key, ENTRY_LIST, encoding, value, EXPIRY_NONE, now_ms);
    *make = (struct list_make){ 0 };
}

/*
 * Lists: when they are a listpack, when a quicklist, and everything that knows of the difference.
 *
 * A change first makes what it may be refused (blobs for large elements), then says so to the keyspace, then converts
 * the list if it is about to exceed the limits, then edits it. After elements went, a quicklist that has shrunk to half
 * a node becomes a listpack again; the halves keep a list at the border from being converted to and fro.
 *
 * Reaching an index costs O(nodes / 62) in a quicklist and O(bytes) in a listpack, which is at most 64 KB. What a long
 * cut leaves behind, like a list that is removed whole, is freed in slices.
 */
#include "store/list.h"

#include "base/assert.h"
#include "base/mem.h"
#include "ds/listpack.h"
#include "keyspace_priv.h"
#include "store/reclaim.h"
#include "store/settings.h"
#include "store/value.h"
#include "value_priv.h"

/* --- As a value type --- */

static const char *list_encoding_name(const struct entry *entry)
{
    return entry->encoding == LIST_LISTPACK ? "listpack" : "quicklist";
}

static size_t list_memory(const struct entry *entry)
{
    void *value = entry_pointer(entry);
    return entry->encoding == LIST_LISTPACK ? listpack_memory(value) : quicklist_memory(value);
}

static void list_destroy(struct entry *entry)
{
    void *value = entry_pointer(entry);
    if (entry->encoding == LIST_LISTPACK)
        listpack_destroy(value);
    else
        quicklist_destroy(value);
}

static void list_copy(struct entry *entry)
{
    void *value = entry_pointer(entry);
    if (entry->encoding == LIST_LISTPACK) {
        value = listpack_copy(value);
        ASSERT(value);
    } else {
        value = quicklist_copy(value);
    }
    entry_set_pointer(entry, entry->encoding, value);
}

static size_t list_weight(const struct entry *entry)
{
    return entry->encoding == LIST_LISTPACK ? 1 : quicklist_node_count(entry_pointer(entry));
}

static bool list_drain(struct entry *entry, size_t items)
{
    if (entry->encoding == LIST_QUICKLIST && quicklist_drain(entry_pointer(entry), items))
        return true;
    list_destroy(entry);
    return false;
}

static const char *list_check(const struct entry *entry)
{
    void *value = entry_pointer(entry);
    if (list_len(entry) == 0)
        return "a list is empty";
    if (entry->encoding == LIST_QUICKLIST)
        return quicklist_check(value);
    if (entry->encoding != LIST_LISTPACK)
        return "a list of unknown encoding";
    return listpack_validate(value, listpack_bytes(value), NULL, NULL) ? NULL : "the listpack of a list is broken";
}

const struct value_type list_value_type = {
    .encoding_name = list_encoding_name,
    .memory = list_memory,
    .destroy = list_destroy,
    .copy = list_copy,
    .weight = list_weight,
    .drain = list_drain,
    .check = list_check,
};

/* --- Reading --- */

size_t list_len(const struct entry *entry)
{
    if (!entry)
        return 0;
    DASSERT(entry->type == ENTRY_LIST);
    void *value = entry_pointer(entry);
    return entry->encoding == LIST_LISTPACK ? listpack_count(value) : quicklist_count(value);
}

struct list_nodes list_nodes(const struct entry *entry)
{
    if (entry->type != ENTRY_LIST || entry->encoding != LIST_QUICKLIST)
        return (struct list_nodes){ 0 };
    const struct quicklist *list = entry_pointer(entry);
    return (struct list_nodes){ quicklist_node_count(list), quicklist_bytes(list), quicklist_depth(list) };
}

size_t list_effort(const struct entry *entry, size_t index, size_t count, size_t most)
{
    if (!entry || entry->encoding != LIST_QUICKLIST)
        return count;
    return quicklist_effort(entry_pointer(entry), index, count, most);
}

/* False if there is no such element. */
static bool find_place(const struct entry *entry, size_t index, struct quicklist_place *place)
{
    if (entry->encoding == LIST_QUICKLIST)
        return quicklist_seek(entry_pointer(entry), index, place);
    *place = (struct quicklist_place){ .pack = entry_pointer(entry) };
    if (index > LISTPACK_MAX_BYTES) /* would count from the end */
        return false;
    place->at = index == 0 ? listpack_first(place->pack) : listpack_seek(place->pack, (int64_t)index);
    return place->at != 0;
}

void list_walk_begin(struct list_walk *walk, const struct entry *entry, size_t index, size_t count)
{
    walk->place.unpacked = NULL;
    walk->left = count && find_place(entry, index, &walk->place) ? count : 0;
}

void list_get(const struct entry *entry, enum list_end end, struct list_element *element)
{
    struct quicklist_place place;
    bool found = find_place(entry, end == LIST_HEAD ? 0 : list_len(entry) - 1, &place);
    ASSERT(found && !place.unpacked);
    *element = (struct list_element){ quicklist_get(&place), place.blob };
}

/* --- Encodings --- */

static struct quicklist_limits limits_of(const struct list_edit *list)
{
    return quicklist_limits(list->keyspace->settings->list_max_listpack_size);
}

/* Makes a quicklist of a listpack that cannot take `count` more elements of `bytes` bytes in all. */
static void convert_to_grow(struct list_edit *list, const struct quicklist_limits *limits, size_t bytes, size_t count)
{
    if (list->entry->encoding != LIST_LISTPACK)
        return;
    unsigned char *pack = entry_pointer(list->entry);
    if (quicklist_limits_allow(limits, listpack_bytes(pack) + bytes, listpack_count(pack) + count))
        return;
    size_t depth = (size_t)list->keyspace->settings->list_compress_depth;
    if (listpack_is_empty(pack)) {
        listpack_destroy(pack);
        entry_set_pointer(list->entry, LIST_QUICKLIST, quicklist_create(depth));
    } else {
        entry_set_pointer(list->entry, LIST_QUICKLIST, quicklist_from_listpack(pack, depth));
    }
}

static void convert_if_small(struct list_edit *list, const struct quicklist_limits *limits)
{
    if (list->entry->encoding != LIST_QUICKLIST)
        return;
    unsigned char *pack = quicklist_into_listpack(entry_pointer(list->entry), limits);
    if (pack)
        entry_set_pointer(list->entry, LIST_LISTPACK, pack);
}

/* --- Blobs for large elements --- */

static void unref_all(struct blob *const *blobs, size_t count)
{
    for (size_t i = 0; blobs && i < count; i++)
        blob_unref(blobs[i]);
}

/*
 * Turns the blobs that were given into those that are needed: one for each large text, and no other. `items` has room
 * for all. False when memory is out; then no reference is left.
 */
static bool make_items(struct quicklist_item *items, const struct bytes *texts, struct blob *const *blobs, size_t count,
    const struct quicklist_limits *limits)
{
    for (size_t i = 0; i < count; i++) {
        struct blob *given = blobs ? blobs[i] : NULL;
        items[i] = (struct quicklist_item){ texts[i], NULL };
        if (!quicklist_is_large(limits, texts[i].len))
            continue;
        struct blob *blob = given ? blob_ref(given) : blob_try_create(texts[i].len);
        if (!blob) {
            while (i > 0)
                blob_unref(items[--i].blob);
            unref_all(blobs, count);
            return false;
        }
        if (!given) {
            memcpy(blob->data, texts[i].ptr, texts[i].len);
            blob->len = texts[i].len;
        }
        items[i].blob = blob;
    }
    return true;
}

/* --- Changing --- */

/* Says that the list will change, and creates it if it is missing, as a listpack with room for `bytes` bytes. */
static void open_list(struct list_edit *list, size_t bytes)
{
    if (list->entry) {
        keyspace_edit(list->keyspace, list->db, list->key, list->entry);
        return;
    }
    struct entry_shape shape = { ENTRY_LIST, LIST_LISTPACK, sizeof(void *), EXPIRY_NONE };
    list->entry = entry_create(key_bytes(list->key), shape);
    entry_set_pointer(list->entry, LIST_LISTPACK, listpack_create(bytes));
    keyspace_insert(list->keyspace, list->db, &list->key, list->entry);
}

static void push_to_listpack(struct entry *entry, enum list_end end, const struct bytes *texts, size_t count)
{
    unsigned char *pack = entry_pointer(entry);
    for (size_t i = 0; i < count; i++) {
        uint32_t at = end == LIST_HEAD ? listpack_prepend(&pack, texts[i]) : listpack_append(&pack, texts[i]);
        ASSERT(at);
    }
    entry_set_pointer(entry, LIST_LISTPACK, pack);
}

/* The list is open, and nothing is large that has no blob. */
static void push_items(struct list_edit *list, enum list_end end, const struct quicklist_item *items, size_t count,
    const struct quicklist_limits *limits)
{
    for (size_t i = 0; i < count; i++)
        quicklist_push(entry_pointer(list->entry), (enum quicklist_end)end, items[i], limits);
}

/* Where nothing is large, and no blob was given. */
static inline void push_texts(struct quicklist *quicklist, enum list_end end, const struct bytes *texts, size_t count,
    const struct quicklist_limits *limits)
{
    for (size_t i = 0; i < count; i++)
        quicklist_push(quicklist, (enum quicklist_end)end, (struct quicklist_item){ .text = texts[i] }, limits);
}

/* Where some elements are large, or blobs were given. */
static __attribute__((noinline)) bool push_large(struct list_edit *list, enum list_end end, const struct bytes *texts,
    struct blob *const *blobs, size_t count, const struct quicklist_limits *limits)
{
    struct quicklist_item *items = mem_try_alloc(count * sizeof *items);
    if (!items || !make_items(items, texts, blobs, count, limits)) {
        if (!items)
            unref_all(blobs, count);
        mem_free(items);
        return false;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i].len;
    open_list(list, 0);
    convert_to_grow(list, limits, bytes, count);
    if (list->entry->encoding == LIST_LISTPACK)
        push_to_listpack(list->entry, end, texts, count);
    else
        push_items(list, end, items, count, limits);
    unref_all(blobs, count);
    mem_free(items);
    return true;
}

bool list_push(
    struct list_edit *list, enum list_end end, const struct bytes *texts, struct blob *const *blobs, size_t count)
{
    struct quicklist_limits limits = limits_of(list);
    size_t bytes = 0, longest = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += texts[i].len;
        longest = texts[i].len > longest ? texts[i].len : longest;
    }
    if (blobs || quicklist_is_large(&limits, longest))
        return push_large(list, end, texts, blobs, count, &limits);
    if (list->entry && list->entry->encoding == LIST_QUICKLIST) {
        keyspace_edit(list->keyspace, list->db, list->key, list->entry);
        push_texts(entry_pointer(list->entry), end, texts, count, &limits);
        return true;
    }
    /* Head and backlen of a short text are a byte each. */
    open_list(list, LISTPACK_HEADER + 1 + (bytes <= limits.bytes ? bytes + 2 * count : 0));
    convert_to_grow(list, &limits, bytes, count);
    if (list->entry->encoding == LIST_LISTPACK)
        push_to_listpack(list->entry, end, texts, count);
    else
        push_texts(entry_pointer(list->entry), end, texts, count, &limits);
    return true;
}

bool list_set(struct list_edit *list, size_t index, struct bytes text, struct blob *blob)
{
    struct quicklist_limits limits = limits_of(list);
    struct quicklist_item item;
    if (!make_items(&item, &text, &blob, 1, &limits))
        return false;
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    convert_to_grow(list, &limits, text.len, 1);
    if (list->entry->encoding == LIST_LISTPACK) {
        unsigned char *pack = entry_pointer(list->entry);
        bool done = listpack_replace(&pack, listpack_seek(pack, (int64_t)index), text);
        ASSERT(done);
        entry_set_pointer(list->entry, LIST_LISTPACK, pack);
    } else {
        quicklist_replace(entry_pointer(list->entry), index, item, &limits);
        convert_if_small(list, &limits);
    }
    blob_unref(blob);
    return true;
}

/* The index of the first element that reads as `text`; SIZE_MAX if there is none. */
static size_t find_index(const struct entry *entry, struct bytes text)
{
    void *value = entry_pointer(entry);
    return entry->encoding == LIST_LISTPACK ? quicklist_find_in_listpack(value, text) : quicklist_find(value, text);
}

bool list_insert(
    struct list_edit *list, struct bytes pivot, bool after, struct bytes text, struct blob *blob, bool *found)
{
    struct quicklist_limits limits = limits_of(list);
    struct quicklist_item item;
    size_t index = find_index(list->entry, pivot);
    *found = index != SIZE_MAX;
    if (!*found) {
        convert_to_grow(list, &limits, text.len, 1); /* as Redis does, which does not know yet */
        blob_unref(blob);
        return false;
    }
    if (!make_items(&item, &text, &blob, 1, &limits))
        return false;
    index += after;
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    convert_to_grow(list, &limits, text.len, 1);
    if (list->entry->encoding == LIST_LISTPACK) {
        unsigned char *pack = entry_pointer(list->entry);
        uint32_t at = index == listpack_count(pack) ? listpack_end(pack) : listpack_seek(pack, (int64_t)index);
        at = listpack_insert(&pack, at, text);
        ASSERT(at);
        entry_set_pointer(list->entry, LIST_LISTPACK, pack);
    } else {
        quicklist_insert(entry_pointer(list->entry), index, item, &limits);
    }
    blob_unref(blob);
    return true;
}

/* A cut that left much behind: freed in slices, like an entry that was removed. */
static void free_later(struct keyspace *keyspace, struct quicklist *rest)
{
    if (!rest)
        return;
    struct entry_shape shape = { ENTRY_LIST, LIST_QUICKLIST, sizeof rest, EXPIRY_NONE };
    struct entry *entry = entry_create(BYTES(""), shape);
    entry_set_pointer(entry, LIST_QUICKLIST, rest);
    reclaim_entry_take(keyspace->reclaim, entry);
}

/* The list is open; it may become empty. */
static void cut(struct list_edit *list, size_t index, size_t count, const struct quicklist_limits *limits)
{
    if (list->entry->encoding == LIST_QUICKLIST) {
        free_later(list->keyspace, quicklist_delete(entry_pointer(list->entry), index, count, limits));
        return;
    }
    unsigned char *pack = entry_pointer(list->entry);
    uint32_t at = index == 0 ? (uint32_t)LISTPACK_HEADER : listpack_seek(pack, (int64_t)index);
    listpack_delete_range(&pack, at, count);
    entry_set_pointer(list->entry, LIST_LISTPACK, pack);
}

void list_delete(struct list_edit *list, size_t index, size_t count)
{
    struct quicklist_limits limits = limits_of(list);
    if (count == list_len(list->entry)) {
        keyspace_remove(list->keyspace, list->db, list->key);
        list->entry = NULL;
        return;
    }
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    cut(list, index, count, &limits);
    convert_if_small(list, &limits);
}

bool list_finds_soon(const struct entry *entry, enum list_end from, struct bytes text, size_t count, size_t most)
{
    if (!entry || entry->encoding == LIST_LISTPACK)
        return true;
    return quicklist_finds_soon(entry_pointer(entry), (enum quicklist_end)from, text, count, most);
}

/* From a list of some nodes; the list is not open yet. */
static size_t remove_from_long(
    struct list_edit *list, enum list_end from, struct bytes text, size_t max, const struct quicklist_limits *limits)
{
    struct quicklist *value = entry_pointer(list->entry);
    struct quicklist_removal removal;
    quicklist_removal_find(value, (enum quicklist_end)from, text, max, limits, &removal);
    if (!removal.count)
        return 0;
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    free_later(list->keyspace, quicklist_removal_carry_out(value, &removal, text, limits));
    return removal.count;
}

static size_t remove_from_pack(struct list_edit *list, enum list_end from, struct bytes text, size_t max)
{
    unsigned char *pack = entry_pointer(list->entry);
    if (quicklist_find_in_listpack(pack, text) == SIZE_MAX)
        return 0;
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    size_t removed = quicklist_remove_in_listpack(&pack, (enum quicklist_end)from, text, max);
    entry_set_pointer(list->entry, LIST_LISTPACK, pack);
    return removed;
}

size_t list_remove(struct list_edit *list, enum list_end from, struct bytes text, size_t max)
{
    struct quicklist_limits limits = limits_of(list);
    bool packed = list->entry->encoding == LIST_LISTPACK;
    if (max == 0)
        return 0;
    size_t removed =
        packed ? remove_from_pack(list, from, text, max) : remove_from_long(list, from, text, max, &limits);
    if (list_len(list->entry) == 0) {
        keyspace_remove(list->keyspace, list->db, list->key);
        list->entry = NULL;
    } else if (removed) {
        convert_if_small(list, &limits);
    }
    return removed;
}

/* From one end of a list to the other, or to the same. */
static bool rotate(struct list_edit *list, enum list_end from_end, enum list_end to_end, struct quicklist_item item,
    const struct quicklist_limits *limits)
{
    size_t len = list_len(list->entry);
    keyspace_edit(list->keyspace, list->db, list->key, list->entry);
    if (len == 1) {
        blob_unref(item.blob);
        return true;
    }
    cut(list, from_end == LIST_HEAD ? 0 : len - 1, 1, limits);
    convert_to_grow(list, limits, item.text.len, 1);
    if (list->entry->encoding == LIST_LISTPACK)
        push_to_listpack(list->entry, to_end, &item.text, 1);
    else
        push_items(list, to_end, &item, 1, limits);
    convert_if_small(list, limits);
    return true;
}

bool list_move(struct list_edit *from, enum list_end from_end, struct list_edit *to, enum list_end to_end,
    struct bytes text, struct blob *blob)
{
    if (from->entry == to->entry) {
        struct quicklist_limits limits = limits_of(from);
        struct quicklist_item item;
        if (!make_items(&item, &text, &blob, 1, &limits))
            return false;
        rotate(from, from_end, to_end, item, &limits);
        blob_unref(blob);
        return true;
    }
    if (!list_push(to, to_end, &text, blob ? &blob : NULL, 1))
        return false;
    list_delete(from, from_end == LIST_HEAD ? 0 : list_len(from->entry) - 1, 1);
    return true;
}

/*
 * Reading lists. Nodes that are listpacks within the settings' limits become nodes as they are.
 */
#include "base/blob.h"
#include "rdb_pack_priv.h"
#include "rdb_priv.h"
#include "store/list.h"
#include "store/list_make.h"

struct list_input {
    struct rdb_reader *reader;
    struct list_make make;
};

static bool add_element(void *context, struct bytes text)
{
    struct list_input *input = context;
    return list_make_add(&input->make, text, NULL) || rdb_fail(input->reader, "Out of memory for a list's element");
}

static bool get_elements(struct rdb_reader *reader, struct list_input *input)
{
    uint64_t count;
    struct bytes text;
    if (!rdb_get_count(reader, 1, &count))
        return false;
    while (count--)
        if (!rdb_get_string(reader, 0, &text) || !add_element(input, text))
            return false;
    return true;
}

static bool get_ziplist(struct rdb_reader *reader, struct list_input *input)
{
    struct bytes text;
    return rdb_get_string(reader, 0, &text) &&
           (rdb_ziplist_each(text, add_element, input) || rdb_fail(reader, "List ziplist integrity check failed"));
}

/* A node that is one element. */
static bool get_plain(struct rdb_reader *reader, struct list_input *input)
{
    struct bytes text;
    struct blob *blob;
    if (!rdb_get_text(reader, input->make.limits.bytes, &text, &blob))
        return false;
    bool good = text.len ? list_make_add(&input->make, text, blob) || rdb_fail(reader, "Out of memory for an element")
                         : rdb_fail(reader, "A node of a list is one element and empty");
    blob_unref(blob);
    return good;
}

static bool get_node(struct rdb_reader *reader, struct list_input *input)
{
    uint64_t container;
    unsigned char *pack;
    if (!rdb_get_len(reader, &container))
        return false;
    if (container == RDB_NODE_PLAIN)
        return get_plain(reader, input);
    if (container != RDB_NODE_PACKED)
        return rdb_fail(reader, "Unknown container %llu of a list's node", (unsigned long long)container);
    if (!rdb_get_pack(reader, "list", &pack))
        return false;
    if (list_make_add_pack_take(&input->make, pack))
        return true;
    bool good = rdb_listpack_each(pack, add_element, input);
    listpack_destroy(pack);
    return good;
}

static bool get_nodes(struct rdb_reader *reader, struct list_input *input, enum rdb_type type)
{
    uint64_t count;
    if (!rdb_get_count(reader, 1, &count))
        return false;
    while (count--)
        if (!(type == RDB_LIST_QUICKLIST ? get_ziplist(reader, input) : get_node(reader, input)))
            return false;
    return true;
}

bool rdb_get_list(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    struct list_input input = { .reader = reader };
    list_make_begin(&input.make, place->keyspace->settings);
    bool good = type == RDB_LIST           ? get_elements(reader, &input)
                : type == RDB_LIST_ZIPLIST ? get_ziplist(reader, &input)
                                           : get_nodes(reader, &input, type);
    *entry = NULL;
    if (!good || input.make.count == 0) {
        list_make_abandon(&input.make);
        return good;
    }
    keyspace_set_list_take(place->keyspace, place->db, place->key, &input.make, RDB_BEFORE_ALL);
    *entry = rdb_expire(place, keyspace_glance(place->db, place->key));
    return true;
}

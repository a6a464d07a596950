/*
 * Reading values: strings and sets, and the way to the other types' files.
 *
 * What is packed in a form that the store has is taken over byte by byte once it was validated: well-formed, no member
 * twice, within the settings' limits. Everything else is added element by element, as a client would.
 */
#include "base/blob.h"
#include "ds/intset.h"
#include "rdb_pack_priv.h"
#include "rdb_priv.h"
#include "store/set.h"
#include "store/settings.h"
#include "store/string.h"
#include "store/value.h"

/* --- Strings --- */

static bool get_string(struct rdb_reader *reader, const struct rdb_place *place, struct entry **entry)
{
    struct bytes text;
    struct blob *blob;
    if (!rdb_get_text(reader, ENTRY_EMBED_MAX, &text, &blob))
        return false;
    if (blob)
        *entry = keyspace_set_string_take(place->keyspace, place->db, place->key, blob, place->at_ms, RDB_BEFORE_ALL);
    else
        *entry = keyspace_set_string(place->keyspace, place->db, place->key, text, place->at_ms, RDB_BEFORE_ALL);
    return true;
}

/* --- Sets --- */

struct set_input {
    struct rdb_reader *reader;
    const struct store_settings *settings;
    struct set set; /* owned */
};

static bool judge(struct set_input *input, enum set_added added)
{
    if (added == SET_ADDED)
        return true;
    return rdb_fail(
        input->reader, added == SET_PRESENT ? "A set has the same member twice" : "Out of memory for a set's member");
}

static bool add_member(void *context, struct bytes text)
{
    struct set_input *input = context;
    return judge(input, set_add(&input->set, input->settings, set_member_from_bytes(text)));
}

/*
 * Adds what lies in the window as simple strings, at most `max`: their places are asked for before any is used. *count
 * is how many, 0 if the next one is not of that kind.
 */
static bool add_batch(struct set_input *input, uint64_t max, uint64_t *count)
{
    struct source *source = input->reader->source;
    struct bytes members[RDB_AHEAD];
    char digits[RDB_AHEAD][NUM_I64_MAX_LEN];
    uint64_t hashes[RDB_AHEAD];
    const unsigned char *at = source->at, *ends[RDB_AHEAD];
    unsigned n = 0;
    for (; n < RDB_AHEAD && n < max && rdb_look_at_text(&at, source->end, digits[n], &members[n]); n++) {
        hashes[n] = set_make_ahead(&input->set, members[n]);
        ends[n] = at;
    }
    *count = n;
    for (unsigned i = 0; i < n; i++) {
        source->at = ends[i];
        if (!judge(input, set_make_add(&input->set, members[i], hashes[i])))
            return false;
    }
    return true;
}

static bool get_large(struct rdb_reader *reader, struct set_input *input, uint64_t count)
{
    struct bytes text;
    set_make_reserve(&input->set, (size_t)count);
    for (uint64_t done; count; count -= done) {
        if (!add_batch(input, count, &done))
            return false;
        if (done)
            continue;
        if (!rdb_get_string(reader, 0, &text) || !add_member(input, text))
            return false;
        done = 1;
    }
    set_make_end(&input->set);
    return true;
}

/* True if so many members will be a table, as the first one shows where that depends on what they are. */
static bool will_be_table(const struct rdb_reader *reader, const struct set_input *input, uint64_t count)
{
    char digits[NUM_I64_MAX_LEN];
    struct bytes text;
    int64_t number;
    const unsigned char *at = reader->source->at;
    if (count <= (uint64_t)input->settings->set_max_listpack_entries)
        return false;
    return count > (uint64_t)input->settings->set_max_intset_entries ||
           (rdb_look_at_text(&at, reader->source->end, digits, &text) && !num_parse_i64(text, &number));
}

/* More than a few that may become a listpack, which is not searched for each. */
static bool get_some(struct rdb_reader *reader, struct set_input *input, uint64_t count)
{
    struct rdb_seen seen;
    struct bytes text;
    bool good = rdb_seen_init(&seen, (size_t)count) || rdb_fail(reader, "Out of memory");
    for (; good && count; count--)
        good =
            rdb_get_string(reader, 0, &text) &&
            judge(input, rdb_seen_add(&seen, text) ? set_make_append(&input->set, input->settings, text) : SET_PRESENT);
    rdb_seen_fini(&seen);
    return good;
}

static bool get_members(struct rdb_reader *reader, struct set_input *input)
{
    enum { FEW = 8 };
    uint64_t count;
    struct bytes text;
    if (!rdb_get_count(reader, 1, &count))
        return false;
    if (will_be_table(reader, input, count))
        return get_large(reader, input, count);
    if (count > FEW && count <= (uint64_t)input->settings->set_max_listpack_entries)
        return get_some(reader, input, count);
    while (count--)
        if (!rdb_get_string(reader, 0, &text) || !add_member(input, text))
            return false;
    return true;
}

static bool get_intset(struct rdb_reader *reader, struct set_input *input)
{
    size_t len;
    unsigned char *intset;
    if (!rdb_get_heap(reader, 0, &intset, &len))
        return false;
    bool good = intset_validate(intset, len) || rdb_fail(reader, "Intset integrity check failed");
    if (good && intset_count(intset) <= (uint64_t)input->settings->set_max_intset_entries) {
        set_destroy(input->set);
        input->set = (struct set){ SET_INTSET, intset };
        return true;
    }
    for (uint32_t i = 0; good && i < intset_count(intset); i++) {
        char digits[NUM_I64_MAX_LEN];
        good = add_member(input, bytes_make(digits, num_format_i64(digits, intset_get(intset, i))));
    }
    intset_destroy(intset);
    return good;
}

static bool get_packed_set(struct rdb_reader *reader, struct set_input *input)
{
    unsigned char *pack;
    if (!rdb_get_unique_pack(reader, "set", 1, &pack))
        return false;
    if (!pack)
        return true;
    if (listpack_count(pack) <= (uint64_t)input->settings->set_max_listpack_entries) {
        set_destroy(input->set);
        input->set = (struct set){ SET_LISTPACK, pack };
        return true;
    }
    bool good = rdb_listpack_each(pack, add_member, input);
    listpack_destroy(pack);
    return good;
}

static bool get_set(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    struct set_input input = { reader, place->keyspace->settings, set_create() };
    bool good = type == RDB_SET          ? get_members(reader, &input)
                : type == RDB_SET_INTSET ? get_intset(reader, &input)
                                         : get_packed_set(reader, &input);
    if (!good || set_count(input.set) == 0) {
        set_destroy(input.set);
        *entry = NULL;
        return good;
    }
    *entry = keyspace_set_value(place->keyspace, place->db, place->key, ENTRY_SET, input.set.encoding, input.set.value,
        place->at_ms, RDB_BEFORE_ALL);
    return true;
}

/* --- All --- */

/* A module's value: a document, or nothing that is known here. */
static bool get_module(struct rdb_reader *reader, const struct rdb_place *place, struct entry **entry)
{
    uint64_t id;
    char name[10];
    if (!rdb_get_len(reader, &id))
        return false;
    unsigned version = rdb_module_name(id, name);
    if (id - version == RDB_JSON_ID)
        return rdb_get_json(reader, version, place, entry);
    return rdb_fail(reader, "The value of a module's type '%s' (encoding %u), which is not known here", name, version);
}

bool rdb_get_value(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    switch (type) {
    case RDB_STRING:
        return get_string(reader, place, entry);
    case RDB_LIST:
    case RDB_LIST_ZIPLIST:
    case RDB_LIST_QUICKLIST:
    case RDB_LIST_QUICKLIST_2:
        return rdb_get_list(reader, type, place, entry);
    case RDB_SET:
    case RDB_SET_INTSET:
    case RDB_SET_LISTPACK:
        return get_set(reader, type, place, entry);
    case RDB_ZSET:
    case RDB_ZSET_2:
    case RDB_ZSET_ZIPLIST:
    case RDB_ZSET_LISTPACK:
        return rdb_get_zset(reader, type, place, entry);
    case RDB_HASH:
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
    case RDB_HASH_LISTPACK:
    case RDB_HASH_METADATA_PRE_GA:
    case RDB_HASH_LISTPACK_EX_PRE_GA:
    case RDB_HASH_METADATA:
    case RDB_HASH_LISTPACK_EX:
        return rdb_get_hash(reader, type, place, entry);
    case RDB_STREAM_LISTPACKS:
    case RDB_STREAM_LISTPACKS_2:
    case RDB_STREAM_LISTPACKS_3:
        return rdb_get_stream(reader, type, place, entry);
    case RDB_MODULE_2:
        return get_module(reader, place, entry);
    default:
        return rdb_fail(reader, "Unknown type of value: %d", (int)type);
    }
}

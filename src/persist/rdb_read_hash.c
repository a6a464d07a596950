/*
 * Reading hashes: eight types of value, which differ in how they are packed and in what they say of expiry.
 *
 *   HASH                   pairs
 *   HASH_METADATA          earliest expiry : u64 | per field: expiry - earliest + 1, or 0 for none; name, value
 *   ..._PRE_GA             per field: expiry itself, or 0; name, value
 *   HASH_LISTPACK_EX       earliest expiry : u64 | listpack of name, value, expiry (0: none)
 *   ..._PRE_GA             the listpack only
 */
#include "base/blob.h"
#include "rdb_pack_priv.h"
#include "rdb_priv.h"
#include "store/hash.h"
#include "store/hash_expiry.h"
#include "store/settings.h"

struct hash_input {
    struct rdb_reader *reader;
    struct hash_writer writer;
    struct bytes parts[3]; /* of a field that comes in parts */
    char digits[2][NUM_I64_MAX_LEN];
    unsigned part, stride;
};

static const char same_field[] = "Hash integrity check failed: the same field twice",
                  no_memory[] = "Out of memory for a hash's field";

/* Adds a field; `at_ms` 0 is none. */
static bool add_field(struct hash_input *input, struct bytes name, struct bytes value, uint64_t at_ms)
{
    struct hash_writer *writer = &input->writer;
    struct hash_place place;
    if (at_ms > HASH_EXPIRY_MAX)
        return rdb_fail(input->reader, "A field's expiry is out of range");
    if (hash_find(writer, name, &place))
        return rdb_fail(input->reader, "%s", same_field);
    bool good = hash_put(writer, &place, name, value, HASH_EXPIRY_DROP);
    if (good && at_ms)
        good = hash_find(writer, name, &place) && hash_set_expiry(writer, &place, (int64_t)at_ms);
    return good || rdb_fail(input->reader, "%s", no_memory);
}

/* An element of what is packed: a field's name, value, and expiry if `stride` is 3. */
static bool add_part(void *context, struct bytes text)
{
    struct hash_input *input = context;
    unsigned part = input->part;
    input->parts[part] = text;
    /* The text of an integer stands where the next one will. */
    if (part < 2 && text.len <= NUM_I64_MAX_LEN) {
        if (text.len)
            memcpy(input->digits[part], text.ptr, text.len);
        input->parts[part].ptr = input->digits[part];
    }
    input->part = part + 1 == input->stride ? 0 : part + 1;
    if (input->part)
        return true;
    uint64_t at_ms = 0;
    if (part == 2 && !num_parse_u64(text, &at_ms))
        return rdb_fail(input->reader, "A field's expiry is no number");
    return add_field(input, input->parts[0], input->parts[1], at_ms);
}

/*
 * Adds what lies in the window as simple strings, at most `max` fields: their places are asked for before any is used.
 * *count is how many, 0 if the next one is not of that kind.
 */
static bool add_batch(struct hash_input *input, uint64_t max, uint64_t *count)
{
    struct source *source = input->reader->source;
    struct bytes names[RDB_AHEAD], values[RDB_AHEAD];
    char digits[2 * RDB_AHEAD][NUM_I64_MAX_LEN];
    uint64_t hashes[RDB_AHEAD];
    const unsigned char *at = source->at, *end = source->end, *ends[RDB_AHEAD];
    unsigned n = 0;
    for (; n < RDB_AHEAD && n < max && rdb_look_at_text(&at, end, digits[2 * n], &names[n]) &&
           rdb_look_at_text(&at, end, digits[2 * n + 1], &values[n]);
         n++) {
        hashes[n] = hash_make_ahead(&input->writer, names[n]);
        ends[n] = at;
    }
    *count = n;
    for (unsigned i = 0; i < n; i++) {
        bool present;
        source->at = ends[i];
        if (!hash_make_add(&input->writer, hashes[i], names[i], values[i], &present))
            return rdb_fail(input->reader, "%s", present ? same_field : no_memory);
    }
    return true;
}

static bool get_pairs(struct rdb_reader *reader, struct hash_input *input, enum rdb_type type)
{
    uint64_t first_ms = 0, count, expiry = 0;
    struct bytes name, value;
    bool with_expiry = type != RDB_HASH;
    if (type == RDB_HASH_METADATA && !rdb_get_u64(reader, &first_ms))
        return false;
    if (!rdb_get_count(reader, with_expiry ? 3 : 2, &count))
        return false;
    bool large = count > (uint64_t)input->writer.keyspace->settings->hash_max_listpack_entries;
    if (large)
        hash_make_reserve(&input->writer, (size_t)count);
    for (uint64_t done; count; count -= done) {
        done = 0;
        if (large && !with_expiry && !add_batch(input, count, &done))
            return false;
        if (done)
            continue;
        done = 1;
        if ((with_expiry && !rdb_get_len(reader, &expiry)) || !rdb_get_string(reader, 0, &name) ||
            !rdb_get_string(reader, 1, &value))
            return false;
        if (type == RDB_HASH_METADATA && expiry) {
            if (first_ms > HASH_EXPIRY_MAX || expiry > HASH_EXPIRY_MAX)
                return rdb_fail(reader, "A field's expiry is out of range");
            expiry += first_ms - 1;
        }
        if (!add_field(input, name, value, expiry))
            return false;
    }
    return true;
}

static bool get_zipped(struct rdb_reader *reader, struct hash_input *input, enum rdb_type type)
{
    struct bytes text;
    if (!rdb_get_string(reader, 0, &text))
        return false;
    input->stride = 2;
    bool good =
        type == RDB_HASH_ZIPMAP ? rdb_zipmap_each(text, add_part, input) : rdb_ziplist_each(text, add_part, input);
    return (good && input->part == 0) ||
           rdb_fail(reader, "%s integrity check failed", type == RDB_HASH_ZIPMAP ? "Zipmap" : "Hash ziplist");
}

/* True if all expiries are numbers that can be one, and the fields in their order, those without one last. */
static bool is_in_order(const unsigned char *pack)
{
    struct listpack_value value;
    uint64_t last = 0;
    for (uint32_t at = LISTPACK_HEADER; pack[at] != LISTPACK_END;) {
        at = listpack_after(pack, listpack_after(pack, at));
        value = listpack_get(pack, at);
        at = listpack_after(pack, at);
        if (value.text || value.number < 0 || value.number > HASH_EXPIRY_MAX)
            return false;
        uint64_t at_ms = value.number ? (uint64_t)value.number : UINT64_MAX;
        if (at_ms < last)
            return false;
        last = at_ms;
    }
    return true;
}

static bool get_packed(struct rdb_reader *reader, struct hash_input *input, enum rdb_type type)
{
    uint64_t first_ms;
    unsigned char *pack;
    bool with_expiry = type != RDB_HASH_LISTPACK;
    input->stride = with_expiry ? 3 : 2;
    if ((type == RDB_HASH_LISTPACK_EX && !rdb_get_u64(reader, &first_ms)) ||
        !rdb_get_unique_pack(reader, "hash", input->stride, &pack))
        return false;
    if (!pack)
        return true;
    const struct store_settings *settings = input->writer.keyspace->settings;
    if (with_expiry && !is_in_order(pack)) {
        listpack_destroy(pack);
        return rdb_fail(reader, "Hash listpack integrity check failed: expiries out of range or order");
    }
    if (listpack_count(pack) / input->stride <= (uint64_t)settings->hash_max_listpack_entries) {
        input->writer.value = pack;
        input->writer.encoding = with_expiry ? HASH_LISTPACK_EX : HASH_LISTPACK;
        input->writer.edited = true;
        return true;
    }
    bool good = rdb_listpack_each(pack, add_part, input);
    listpack_destroy(pack);
    return good;
}

bool rdb_get_hash(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    struct hash_input input = { .reader = reader };
    hash_begin(&input.writer, place->keyspace, place->db, place->key, NULL, RDB_BEFORE_ALL);
    bool good;
    switch (type) {
    case RDB_HASH_ZIPMAP:
    case RDB_HASH_ZIPLIST:
        good = get_zipped(reader, &input, type);
        break;
    case RDB_HASH_LISTPACK:
    case RDB_HASH_LISTPACK_EX:
    case RDB_HASH_LISTPACK_EX_PRE_GA:
        good = get_packed(reader, &input, type);
        break;
    default:
        good = get_pairs(reader, &input, type);
    }
    hash_end(&input.writer);
    *entry = keyspace_glance(place->db, place->key);
    if (*entry && !good)
        keyspace_remove(place->keyspace, place->db, place->key);
    else if (*entry)
        *entry = rdb_expire(place, *entry);
    return good;
}

/*
 * Reading sorted sets. A packed one is taken over as it is if its members are in order, each once, and all scores are
 * numbers; otherwise, and from all other types, the set is made member by member and then put into order, unless its
 * members came in the order in which sets are written, the last first.
 */
#include <endian.h>
#include <math.h>

#include "base/mem.h"
#include "rdb_pack_priv.h"
#include "rdb_priv.h"
#include "store/settings.h"
#include "store/value.h"
#include "store/zset.h"

struct zset_input {
    struct rdb_reader *reader;
    struct zset *zset; /* owned */
    bool has_member;
    double **scores; /* owned: of the members, as they come; NULL if their order is not looked at */
    size_t count;
    struct buf member;
};

static bool add_member(struct zset_input *input, struct bytes member, double score)
{
    bool is_new;
    if (isnan(score))
        return rdb_fail(input->reader, "A score is not a number");
    double *place = zset_make_member(input->zset, member, &is_new);
    if (!place)
        return rdb_fail(input->reader, "Out of memory for a sorted set's member");
    if (!is_new)
        return rdb_fail(input->reader, "A sorted set has the same member twice");
    *place = score;
    if (input->scores)
        input->scores[input->count++] = place;
    return true;
}

/* Members and scores in turn. */
static bool add_part(void *context, struct bytes text)
{
    struct zset_input *input = context;
    double score;
    input->has_member = !input->has_member;
    if (input->has_member) {
        buf_clear(&input->member);
        buf_append(&input->member, text);
        return true;
    }
    if (!num_parse_double(text, &score))
        return rdb_fail(input->reader, "A score is not a number");
    return add_member(input, buf_bytes(&input->member), score);
}

/* A score as text, one byte of length in front; 253 to 255 stand for what is no number or infinite. */
static bool get_text_score(struct rdb_reader *reader, double *score)
{
    uint8_t len;
    if (!rdb_get_byte(reader, &len))
        return false;
    if (len >= 253) {
        *score = len == 253 ? (double)NAN : len == 254 ? (double)INFINITY : (double)-INFINITY;
        return true;
    }
    const unsigned char *text = source_take(reader->source, len);
    if (!text)
        return rdb_fail_end(reader);
    return num_parse_double(bytes_make(text, len), score) || rdb_fail(reader, "A score is not a number");
}

static bool get_binary_score(struct rdb_reader *reader, double *score)
{
    uint64_t bits;
    if (!rdb_get_u64(reader, &bits))
        return false;
    memcpy(score, &bits, sizeof bits);
    return true;
}

/*
 * Adds what lies in the window as simple strings with scores in binary, at most `max`: their places are asked for
 * before any is used. *count is how many, 0 if the next one is not of that kind.
 */
static bool add_batch(struct zset_input *input, uint64_t max, uint64_t *count)
{
    enum { BATCH = 32 };
    struct source *source = input->reader->source;
    struct bytes members[BATCH];
    double scores[BATCH];
    const unsigned char *at = source->at, *ends[BATCH];
    unsigned n = 0;
    for (; n < BATCH && n < max; n++) {
        const unsigned char *from = at;
        if (!rdb_look_at_string(&from, source->end, &members[n]) || (size_t)(source->end - from) < sizeof *scores)
            break;
        uint64_t bits;
        memcpy(&bits, from, sizeof bits);
        bits = le64toh(bits);
        memcpy(&scores[n], &bits, sizeof bits);
        ends[n] = at = from + sizeof bits;
        zset_make_prefetch(input->zset, members[n]);
    }
    *count = n;
    for (unsigned i = 0; i < n; i++) {
        source->at = ends[i];
        if (!add_member(input, members[i], scores[i]))
            return false;
    }
    return true;
}

static bool get_members(struct rdb_reader *reader, struct zset_input *input, enum rdb_type type)
{
    uint64_t count;
    struct bytes member;
    double score;
    if (!rdb_get_count(reader, type == RDB_ZSET ? 2 : 1 + sizeof score, &count))
        return false;
    zset_make_reserve(input->zset, (size_t)count);
    input->scores = mem_try_alloc((size_t)(count ? count : 1) * sizeof *input->scores);
    for (uint64_t done; count; count -= done) {
        done = 0;
        if (type == RDB_ZSET_2 && !add_batch(input, count, &done))
            return false;
        if (done)
            continue;
        if (!rdb_get_string(reader, 0, &member) ||
            !(type == RDB_ZSET ? get_text_score(reader, &score) : get_binary_score(reader, &score)) ||
            !add_member(input, member, score))
            return false;
        done = 1;
    }
    return true;
}

static bool get_ziplist(struct rdb_reader *reader, struct zset_input *input)
{
    struct bytes text;
    if (!rdb_get_string(reader, 0, &text))
        return false;
    return (rdb_ziplist_each(text, add_part, input) && !input->has_member) ||
           rdb_fail(reader, "Zset ziplist integrity check failed");
}

/* True if all scores are numbers, and members in the order of score and then text, all of them different. */
bool rdb_zset_is_in_order(const unsigned char *pack)
{
    char digits[2][NUM_I64_MAX_LEN];
    struct bytes last = { 0 };
    double last_score = 0;
    unsigned i = 0;
    for (uint32_t at = LISTPACK_HEADER; pack[at] != LISTPACK_END; i++) {
        struct bytes member = listpack_get_bytes(pack, at, digits[i & 1]);
        at = listpack_after(pack, at);
        struct listpack_value value = listpack_get(pack, at);
        at = listpack_after(pack, at);
        double score = (double)value.number;
        if (value.text && !num_parse_double(bytes_make(value.text, value.len), &score))
            return false;
        if (i && (score < last_score || (!(score > last_score) && bytes_compare(last, member) >= 0)))
            return false;
        last = member;
        last_score = score;
    }
    return true;
}

static bool get_packed(
    struct rdb_reader *reader, struct zset_input *input, const struct rdb_place *place, struct entry **entry)
{
    unsigned char *pack;
    if (!rdb_get_unique_pack(reader, "sorted set", 2, &pack))
        return false;
    if (!pack)
        return true;
    const struct store_settings *settings = place->keyspace->settings;
    if (listpack_count(pack) / 2 <= (uint64_t)settings->zset_max_listpack_entries && rdb_zset_is_in_order(pack)) {
        *entry = keyspace_set_value(
            place->keyspace, place->db, place->key, ENTRY_ZSET, ZSET_PACKED, pack, place->at_ms, RDB_BEFORE_ALL);
        return true;
    }
    bool good = rdb_listpack_each(pack, add_part, input);
    listpack_destroy(pack);
    return good;
}

bool rdb_get_zset(struct rdb_reader *reader, enum rdb_type type, const struct rdb_place *place, struct entry **entry)
{
    struct zset_input input = { .reader = reader, .zset = zset_create() };
    *entry = NULL;
    bool good = type == RDB_ZSET_LISTPACK  ? get_packed(reader, &input, place, entry)
                : type == RDB_ZSET_ZIPLIST ? get_ziplist(reader, &input)
                                           : get_members(reader, &input, type);
    bool made = good && !*entry && zset_made_count(input.zset) > 0;
    bool ordered = made && input.scores && zset_make_order_as(input.zset, input.scores, input.count);
    if (made && !ordered && !zset_make_order(input.zset)) {
        made = false;
        good = rdb_fail(reader, "Out of memory for a sorted set");
    }
    if (made) {
        keyspace_set_zset_take(place->keyspace, place->db, place->key, input.zset, RDB_BEFORE_ALL);
        *entry = rdb_expire(place, keyspace_glance(place->db, place->key));
    } else {
        zset_destroy(input.zset);
    }
    mem_free(input.scores);
    buf_fini(&input.member);
    return good;
}

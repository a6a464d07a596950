/*
 * Sorted sets: how they are kept, found in and changed.
 *
 *   ZSET_PACKED   a listpack of member, score, member, score, ... in order, for up to zset-max-listpack-entries members
 *                 of up to zset-max-listpack-value bytes; whole scores are integers in it
 *   ZSET_TREE     struct zset: a counted B+tree (ds/btree.h) for the order and the ranks, a table (ds/table.h) to find
 *                 members, over the same allocations: 57 bytes for a member of 16
 *
 * A packed set becomes a tree when a member is added that is too long, or one too many; nothing makes it packed again,
 * but storing a whole new value. A packed zero has no sign, one in a tree has, as redis-server has it.
 *
 * Costs: O(log n) for what goes by rank or score, O(1) for a score. Large sets are taken down in slices, which read
 * none of the members; long spans are cut out of the order at once, and out of the table in slices (zset_cut.c).
 */
#include "store/zset.h"

#include <math.h>

#include "base/assert.h"
#include "base/fiber.h"
#include "store/settings.h"
#include "store/value.h"
#include "value_priv.h"
#include "zset_priv.h"

enum {
    PACK_FIRST = 64, /* bytes that a new listpack has room for */
    CUT_MIN = 256,   /* members of a span that are rather cut out of the order than taken out one by one */
};

/* --- Members --- */

static uint64_t member_hash(const void *item)
{
    struct bytes text = zset_member_text(item);
    return hash_bytes(text.ptr, text.len);
}

static bool member_is(const void *item, const void *sought)
{
    const struct bytes *text = sought;
    return bytes_equal(zset_member_text(item), *text);
}

static uint64_t member_prefix(const void *item)
{
    const struct zset_member *member = item;
    return btree_prefix_double(member->score);
}

static int member_compare(const void *item, const void *other)
{
    const struct zset_member *a = item, *b = other;
    if (a->score != b->score)
        return a->score < b->score ? -1 : 1;
    return zset_compare_text(zset_member_text(a), zset_member_text(b));
}

static const struct table_type members_type = { .hash = member_hash };
static const struct btree_type order_type = { .prefix = member_prefix, .compare = member_compare };

static inline size_t member_good_size(size_t size)
{
#ifdef LARDER_JEMALLOC
    if (size <= 128)
        return (size + 15) / 16 * 16;
#endif
    return mem_good_size(size);
}

struct zset_member *zset_member_create(struct zset *zset, struct bytes text, double score)
{
    size_t size = zset_member_size(text.len);
    struct zset_member *member = mem_try_alloc(size);
    if (!member)
        return NULL;
    member->score = score;
    char *at = member->text;
    member->len = text.len < ZSET_MEMBER_WIDE ? (uint8_t)text.len : ZSET_MEMBER_WIDE;
    if (member->len == ZSET_MEMBER_WIDE) {
        uint64_t len = text.len;
        memcpy(at, &len, sizeof len);
        at += sizeof len;
    }
    if (text.len)
        memcpy(at, text.ptr, text.len);
    zset->member_bytes += member_good_size(size);
    return member;
}

void zset_member_destroy(struct zset *zset, struct zset_member *member)
{
    size_t size = zset_member_size(zset_member_text(member).len);
    zset->member_bytes -= member_good_size(size);
    mem_free_sized(member, size);
}

uint64_t *zset_find_slot(const struct zset *zset, struct bytes text, uint64_t hash)
{
    return table_find(&zset->members, hash, member_is, &text);
}

struct zset *zset_create(void)
{
    struct zset *zset = mem_alloc(sizeof *zset);
    btree_init(&zset->order, &order_type);
    table_init(&zset->members, &members_type);
    zset->member_bytes = 0;
    zset->cuts = NULL;
    return zset;
}

/*
 * Frees about `items` members, unread; true while more are left. Those that the tree gives up are freed, for it may
 * read those that it still has; the table reads none. A set without an order has them in the table only.
 */
static bool drain(struct zset *zset, size_t items)
{
    void *batch[ZSET_BATCH];
    while (items && table_count(&zset->members)) {
        size_t max = items < ZSET_BATCH ? items : ZSET_BATCH, n = btree_drain(&zset->order, batch, max);
        if (n == 0)
            n = zset_cuts_drain(zset, batch, max);
        for (size_t i = 0; i < n; i++) {
            table_drain(&zset->members);
            mem_free(batch[i]);
        }
        if (n == 0) {
            mem_free(table_drain(&zset->members));
            n = 1;
        }
        items -= n;
    }
    if (table_count(&zset->members))
        return true;
    zset_cuts_destroy(zset);
    btree_fini(&zset->order);
    table_fini(&zset->members);
    mem_free_sized(zset, sizeof *zset);
    return false;
}

enum { DRAINED_AT_ONCE = 64, DRAIN_COST = 200 }; /* the latter for fiber_breathe */

void zset_destroy(struct zset *zset)
{
    while (zset && drain(zset, DRAINED_AT_ONCE))
        fiber_breathe(DRAIN_COST);
}

/* --- As a value type --- */

static const char *value_encoding_name(const struct entry *entry)
{
    return entry->encoding == ZSET_PACKED ? "listpack" : "skiplist";
}

static size_t value_memory(const struct entry *entry)
{
    if (entry->encoding == ZSET_PACKED)
        return listpack_memory(entry_pointer(entry));
    const struct zset *zset = zset_of(entry);
    return mem_good_size(sizeof *zset) + btree_overhead_bytes(&zset->order) + table_overhead_bytes(&zset->members) +
           zset->member_bytes;
}

static void value_free(struct entry *entry)
{
    if (entry->encoding == ZSET_PACKED)
        listpack_destroy(entry_pointer(entry));
    else
        drain(zset_of(entry), SIZE_MAX);
}

enum { COPY_COST = 20 };

static struct zset *copy(const struct zset *from)
{
    struct zset *to = zset_create();
    struct btree_iter iter = btree_seek_rank(&from->order, 0);
    for (const struct zset_member *member = btree_iter_item(&iter); member; member = btree_iter_next(&iter)) {
        fiber_breathe(COPY_COST);
        struct bytes text = zset_member_text(member);
        size_t size = zset_member_size(text.len);
        struct zset_member *own = mem_dup(member, size);
        to->member_bytes += member_good_size(size);
        table_insert(&to->members, hash_bytes(text.ptr, text.len), own);
        btree_append(&to->order, own);
    }
    return to;
}

static void value_duplicate(struct entry *entry)
{
    if (entry->encoding == ZSET_TREE) {
        entry_set_pointer(entry, ZSET_TREE, copy(zset_of(entry)));
        return;
    }
    const unsigned char *pack = entry_pointer(entry);
    entry_set_pointer(entry, ZSET_PACKED, mem_dup(pack, listpack_bytes(pack)));
}

static size_t value_weight_of(const struct entry *entry)
{
    return entry->encoding == ZSET_PACKED ? 1 : table_count(&zset_of(entry)->members);
}

static bool value_drain(struct entry *entry, size_t items)
{
    if (entry->encoding == ZSET_TREE)
        return drain(zset_of(entry), items);
    listpack_destroy(entry_pointer(entry));
    return false;
}

static void note_complaint(void *context, const char *what)
{
    const char **first = context;
    if (!*first)
        *first = what;
}

const char *zset_members_check(const struct zset *zset, const struct btree *tree, size_t *bytes)
{
    struct btree_iter iter = btree_seek_rank(tree, 0);
    for (const struct zset_member *member = btree_iter_item(&iter); member; member = btree_iter_next(&iter)) {
        struct bytes text = zset_member_text(member);
        const uint64_t *slot = zset_find_slot(zset, text, hash_bytes(text.ptr, text.len));
        *bytes += member_good_size(zset_member_size(text.len));
        if (!slot || table_slot_item(slot) != member)
            return "a sorted set's table lacks a member of the tree";
    }
    return NULL;
}

static const char *check_tree(const struct zset *zset)
{
    const char *wrong = NULL;
    size_t bytes = 0, count = btree_count(&zset->order);
    btree_check(&zset->order, note_complaint, &wrong);
    table_check(&zset->members, note_complaint, &wrong);
    if (!wrong)
        wrong = zset_cuts_check(zset, &count, &bytes);
    if (!wrong && count != table_count(&zset->members))
        wrong = "a sorted set's tree and table differ in number";
    if (!wrong)
        wrong = zset_members_check(zset, &zset->order, &bytes);
    if (!wrong && bytes != zset->member_bytes)
        wrong = "a sorted set's members do not add up to its bytes";
    return wrong;
}

static const char *check_packed(const struct entry *entry)
{
    const unsigned char *pack = entry_pointer(entry);
    if (!listpack_validate(pack, listpack_bytes(pack), NULL, NULL) || listpack_count(pack) % 2)
        return "a packed sorted set is broken";
    struct zset_iter iter;
    double before = -INFINITY;
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter)) {
        if (!(iter.score >= before))
            return "a packed sorted set is out of order";
        before = iter.score;
    }
    return NULL;
}

static const char *value_check(const struct entry *entry)
{
    if (zset_count(entry) == 0)
        return "a sorted set is empty";
    return entry->encoding == ZSET_PACKED ? check_packed(entry) : check_tree(zset_of(entry));
}

const struct value_type zset_value_type = {
    .encoding_name = value_encoding_name,
    .memory = value_memory,
    .destroy = value_free,
    .copy = value_duplicate,
    .weight = value_weight_of,
    .drain = value_drain,
    .check = value_check,
};

/* --- Packed --- */

double zset_packed_text_score(struct listpack_value value)
{
    double score = 0;
    bool number = num_parse_double(bytes_make(value.text, value.len), &score);
    ASSERT(number);
    return score;
}

bool zset_pack_insert(unsigned char **pack, uint32_t at, struct bytes member, double score)
{
    char digits[NUM_DOUBLE_MAX_LEN];
    struct bytes texts[2] = { member, { digits, num_format_double(digits, score + 0.0) } };
    return listpack_insert_batch(pack, at, texts, 2) != 0;
}

/* Where a member of that score belongs. */
static uint32_t packed_place(const unsigned char *pack, struct bytes member, double score)
{
    char digits[NUM_I64_MAX_LEN];
    for (uint32_t at = listpack_first(pack); at;) {
        uint32_t score_at = listpack_after(pack, at);
        double there = zset_packed_score(pack, score_at);
        if (there > score || (there == score && zset_compare_text(listpack_get_bytes(pack, at, digits), member) > 0))
            return at;
        at = listpack_next(pack, score_at);
    }
    return listpack_end(pack);
}

static void convert(struct entry *entry)
{
    unsigned char *pack = entry_pointer(entry);
    struct zset *zset = zset_create();
    struct zset_iter iter;
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter)) {
        struct zset_member *member = zset_member_create(zset, iter.member, iter.score);
        ASSERT(member);
        table_insert(&zset->members, hash_bytes(iter.member.ptr, iter.member.len), member);
        btree_append(&zset->order, member);
    }
    listpack_destroy(pack);
    entry_set_pointer(entry, ZSET_TREE, zset);
}

/* --- Finding --- */

/* A member that was found. */
struct found {
    uint64_t hash; /* of its text; set whether it is there or not, but in packed sets never */
    struct zset_member *member;
    uint32_t at; /* in a packed set, else 0 */
    double score;
};

static bool find(const struct entry *entry, struct bytes text, struct found *found)
{
    if (entry->encoding == ZSET_PACKED) {
        const unsigned char *pack = entry_pointer(entry);
        found->at = listpack_find(pack, listpack_first(pack), text, 1);
        if (!found->at)
            return false;
        found->score = zset_packed_score(pack, listpack_next(pack, found->at));
        return true;
    }
    const struct zset *zset = zset_of(entry);
    found->at = 0;
    found->hash = hash_bytes(text.ptr, text.len);
    const uint64_t *slot = zset_find_slot(zset, text, found->hash);
    if (!slot || zset_has_lost(zset, table_slot_item(slot)))
        return false;
    found->member = table_slot_item(slot);
    found->score = found->member->score;
    return true;
}

size_t zset_count(const struct entry *entry)
{
    if (!entry)
        return 0;
    if (entry->encoding == ZSET_PACKED)
        return listpack_count(entry_pointer(entry)) / 2;
    return btree_count(&zset_of(entry)->order);
}

bool zset_score(const struct entry *entry, struct bytes member, double *score)
{
    struct found found;
    if (!entry || !find(entry, member, &found))
        return false;
    *score = found.score;
    return true;
}

bool zset_rank(const struct entry *entry, struct bytes member, bool reverse, size_t *rank, double *score)
{
    struct found found;
    if (!entry || !find(entry, member, &found))
        return false;
    size_t below = 0;
    if (found.at) {
        const unsigned char *pack = entry_pointer(entry);
        for (uint32_t at = listpack_first(pack); at != found.at; at = listpack_after(pack, at))
            below++;
        below /= 2;
    } else {
        bool there = btree_rank(&zset_of(entry)->order, found.member, &below);
        ASSERT(there);
    }
    *rank = reverse ? zset_count(entry) - 1 - below : below;
    *score = found.score;
    return true;
}

/* --- Changing --- */

static void begin(struct zset_edit *edit)
{
    if (edit->begun)
        return;
    keyspace_edit(edit->keyspace, edit->db, edit->key, edit->entry);
    edit->begun = true;
}

static bool fits_packed(const struct keyspace *keyspace, size_t count, size_t longest)
{
    const struct store_settings *settings = keyspace->settings;
    return (int64_t)count <= settings->zset_max_listpack_entries &&
           (int64_t)longest <= settings->zset_max_listpack_value;
}

static enum zset_added tree_insert(struct zset *zset, struct bytes text, uint64_t hash, double score)
{
    struct zset_member *member = zset_member_create(zset, text, score);
    if (!member)
        return ZSET_NO_MEMORY;
    if (__builtin_expect(zset->cuts != NULL, 0))
        zset_bury(zset, text, hash);
    table_insert(&zset->members, hash, member);
    const void *equal = btree_insert(&zset->order, member);
    ASSERT(!equal);
    return ZSET_ADDED;
}

/* Makes the key, with its first member. */
static enum zset_added create(struct zset_edit *edit, struct bytes text, double score)
{
    unsigned encoding = ZSET_PACKED;
    void *value = NULL;
    if (fits_packed(edit->keyspace, 1, text.len)) {
        unsigned char *pack = listpack_create(PACK_FIRST);
        if (zset_pack_insert(&pack, listpack_end(pack), text, score))
            value = pack;
        else
            listpack_destroy(pack);
    } else {
        struct zset *zset = zset_create();
        encoding = ZSET_TREE;
        if (tree_insert(zset, text, hash_bytes(text.ptr, text.len), score) == ZSET_ADDED)
            value = zset;
        else
            zset_destroy(zset);
    }
    if (!value)
        return ZSET_NO_MEMORY;
    edit->entry =
        keyspace_set_value(edit->keyspace, edit->db, edit->key, ENTRY_ZSET, encoding, value, EXPIRY_NONE, edit->now_ms);
    edit->begun = true;
    return ZSET_ADDED;
}

static enum zset_added insert(struct zset_edit *edit, struct bytes text, uint64_t hash, double score)
{
    if (!edit->entry)
        return create(edit, text, score);
    struct entry *entry = edit->entry;
    begin(edit);
    if (entry->encoding == ZSET_PACKED) {
        unsigned char *pack = entry_pointer(entry);
        if (fits_packed(edit->keyspace, zset_count(entry) + 1, text.len) &&
            zset_pack_insert(&pack, packed_place(pack, text, score), text, score)) {
            entry_set_pointer(entry, ZSET_PACKED, pack);
            return ZSET_ADDED;
        }
        convert(entry);
        hash = hash_bytes(text.ptr, text.len);
    }
    return tree_insert(zset_of(entry), text, hash, score);
}

/* Gives a member that was found another score. */
static void move(struct zset_edit *edit, const struct found *found, struct bytes text, double score)
{
    begin(edit);
    struct entry *entry = edit->entry;
    if (entry->encoding == ZSET_PACKED) {
        unsigned char *pack = entry_pointer(entry);
        listpack_delete_range(&pack, found->at, 2);
        bool done = zset_pack_insert(&pack, packed_place(pack, text, score), text, score);
        entry_set_pointer(entry, ZSET_PACKED, pack);
        if (!done) { /* the member is out already, and must not be lost */
            convert(entry);
            enum zset_added added = tree_insert(zset_of(entry), text, hash_bytes(text.ptr, text.len), score);
            ASSERT(added == ZSET_ADDED);
        }
        return;
    }
    struct zset *zset = zset_of(entry);
    bool there = btree_remove(&zset->order, found->member);
    ASSERT(there);
    found->member->score = score;
    const void *equal = btree_insert(&zset->order, found->member);
    ASSERT(!equal);
}

enum zset_added zset_add(struct zset_edit *edit, struct bytes member, double score, unsigned how, double *result)
{
    struct found found = { 0 };
    bool present = edit->entry && find(edit->entry, member, &found);
    if (how & (present ? ZSET_NX : ZSET_XX))
        return ZSET_LEFT;
    if (!present) {
        enum zset_added added = insert(edit, member, found.hash, score);
        if (added == ZSET_ADDED)
            *result = score;
        return added;
    }
    if (how & ZSET_INCR)
        score += found.score;
    if (isnan(score))
        return ZSET_NOT_A_NUMBER;
    if ((how & ZSET_LT && score >= found.score) || (how & ZSET_GT && score <= found.score))
        return ZSET_LEFT;
    *result = score;
    if (score == found.score)
        return ZSET_SAME;
    move(edit, &found, member, score);
    return ZSET_UPDATED;
}

bool zset_remove(struct zset_edit *edit, struct bytes member)
{
    struct found found = { 0 };
    struct entry *entry = edit->entry;
    if (!entry || !find(entry, member, &found))
        return false;
    begin(edit);
    if (entry->encoding == ZSET_PACKED) {
        unsigned char *pack = entry_pointer(entry);
        listpack_delete_range(&pack, found.at, 2);
        entry_set_pointer(entry, ZSET_PACKED, pack);
        return true;
    }
    struct zset *zset = zset_of(entry);
    bool there = btree_remove(&zset->order, found.member);
    ASSERT(there);
    table_remove(&zset->members, found.hash, zset_find_slot(zset, member, found.hash));
    zset_member_destroy(zset, found.member);
    return true;
}

static bool is_this(const void *item, const void *sought)
{
    return item == sought;
}

void zset_members_remove(struct zset *zset, void *const *members, size_t n)
{
    uint64_t hashes[ZSET_BATCH];
    ASSERT(n <= ZSET_BATCH);
    for (size_t i = 0; i < n && n > 1; i++)
        __builtin_prefetch(members[i]);
    for (size_t i = 0; i < n; i++) {
        hashes[i] = member_hash(members[i]);
        table_prefetch_bucket(&zset->members, hashes[i]);
    }
    for (size_t i = 0; i < n; i++) {
        table_remove(&zset->members, hashes[i], table_find(&zset->members, hashes[i], is_this, members[i]));
        zset_member_destroy(zset, members[i]);
    }
}

static void tree_remove_span(struct zset *zset, struct zset_span span)
{
    void *batch[ZSET_BATCH];
    while (span.count) {
        size_t n =
            btree_remove_range(&zset->order, span.first, span.count < ZSET_BATCH ? span.count : ZSET_BATCH, batch);
        ASSERT(n);
        span.count -= n;
        zset_members_remove(zset, batch, n);
    }
}

/* True if the span is cut out of the order. */
static bool is_worth_cutting(const struct entry *entry, struct zset_span span)
{
    return entry && entry->encoding == ZSET_TREE && span.count >= CUT_MIN && span.count < zset_count(entry);
}

size_t zset_removal_work(const struct entry *entry, struct zset_span span)
{
    return is_worth_cutting(entry, span) ? zset_cut_work(zset_of(entry)) : 0;
}

void zset_remove_span(struct zset_edit *edit, struct zset_span span)
{
    struct entry *entry = edit->entry;
    if (!entry || !span.count)
        return;
    if (is_worth_cutting(entry, span)) {
        zset_cut_prepare(zset_of(entry));
        begin(edit);
        zset_cut(zset_of(entry), edit->keyspace->reclaim, span);
        return;
    }
    begin(edit);
    if (span.count == zset_count(entry)) {
        keyspace_remove(edit->keyspace, edit->db, edit->key);
        edit->entry = NULL;
    } else if (entry->encoding == ZSET_PACKED) {
        unsigned char *pack = entry_pointer(entry);
        listpack_delete_range(&pack, listpack_seek(pack, 2 * (int64_t)span.first), 2 * span.count);
        entry_set_pointer(entry, ZSET_PACKED, pack);
    } else {
        tree_remove_span(zset_of(entry), span);
    }
}

void zset_edit_end(struct zset_edit *edit)
{
    if (!edit->entry || !edit->begun || zset_count(edit->entry))
        return;
    keyspace_remove(edit->keyspace, edit->db, edit->key);
    edit->entry = NULL;
}

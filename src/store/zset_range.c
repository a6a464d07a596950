/*
 * Sorted sets: spans of ranks, walking along the order, and scanning in none.
 *
 * A span begins at the number of members below its lower bound, and ends at the number below its upper one, so that a
 * range is two descents, whatever it holds. In a packed set the same numbers are counted.
 */
#include "store/zset.h"

#include "base/fiber.h"
#include "base/range.h"
#include "zset_priv.h"

/* --- Walking --- */

static void show_packed(struct zset_iter *iter)
{
    iter->member = listpack_get_bytes(iter->pack, iter->at, iter->digits);
    iter->score = zset_packed_score(iter->pack, listpack_after(iter->pack, iter->at));
}

enum { ITER_COST = 3 }; /* for fiber_breathe */

static bool show_member(struct zset_iter *iter, const struct zset_member *member)
{
    if (!member)
        return false;
    iter->member = zset_member_text(member);
    iter->score = member->score;
    return true;
}

bool zset_iter_begin(struct zset_iter *iter, const struct entry *entry, size_t rank, bool reverse)
{
    if (!entry)
        return false;
    if (entry->encoding == ZSET_TREE)
        return zset_made_iter_begin(iter, zset_of(entry), rank, reverse);
    iter->reverse = reverse;
    iter->pack = entry_pointer(entry);
    iter->at = listpack_seek(iter->pack, 2 * (int64_t)rank);
    if (!iter->at)
        return false;
    show_packed(iter);
    return true;
}

bool zset_made_iter_begin(struct zset_iter *iter, const struct zset *zset, size_t rank, bool reverse)
{
    iter->reverse = reverse;
    iter->pack = NULL;
    iter->place = btree_seek_rank(&zset->order, rank);
    return show_member(iter, btree_iter_item(&iter->place));
}

bool zset_iter_next(struct zset_iter *iter)
{
    fiber_breathe(ITER_COST);
    if (!iter->pack)
        return show_member(iter, iter->reverse ? btree_iter_prev(&iter->place) : btree_iter_next(&iter->place));
    uint32_t at = iter->reverse ? listpack_prev(iter->pack, iter->at)
                                : listpack_next(iter->pack, listpack_after(iter->pack, iter->at));
    if (at && iter->reverse)
        at = listpack_prev(iter->pack, at);
    if (!at)
        return false;
    iter->at = at;
    show_packed(iter);
    return true;
}

/* --- Spans --- */

struct zset_span zset_span_ranks(const struct entry *entry, int64_t start, int64_t end)
{
    size_t first, count = range_clip(start, end, zset_count(entry), &first);
    return count ? (struct zset_span){ first, count } : (struct zset_span){ 0 };
}

/* Where a range begins, or ends: everything that lies below the cut is on its one side. */
struct cut {
    double score;
    struct bytes text;
    bool with_equal; /* what equals the bound lies below the cut */
};

typedef bool (*below_fn)(const struct cut *cut, struct bytes member, double score);

static bool score_is_below(const struct cut *cut, struct bytes member, double score)
{
    (void)member;
    return score < cut->score || (cut->with_equal && score == cut->score);
}

static bool text_is_below(const struct cut *cut, struct bytes member, double score)
{
    (void)score;
    int order = zset_compare_text(member, cut->text);
    return order < 0 || (cut->with_equal && order == 0);
}

static int compare_score(const void *key, const void *item)
{
    const struct zset_member *member = item;
    return score_is_below(key, BYTES(""), member->score) ? 1 : -1;
}

static int compare_text(const void *key, const void *item)
{
    return text_is_below(key, zset_member_text(item), 0) ? 1 : -1;
}

/* The first rank from `from` on whose member does not lie below the cut. */
static size_t packed_rank(const struct entry *entry, size_t from, const struct cut *cut, below_fn is_below)
{
    struct zset_iter iter;
    for (bool more = zset_iter_begin(&iter, entry, from, false); more; more = zset_iter_next(&iter), from++)
        if (!is_below(cut, iter.member, iter.score))
            break;
    return from;
}

static struct zset_span between(size_t first, size_t end)
{
    return end > first ? (struct zset_span){ first, end - first } : (struct zset_span){ 0 };
}

struct zset_span zset_span_scores(const struct entry *entry, const struct zset_scores *range)
{
    struct cut from = { .score = range->min, .with_equal = range->min_open };
    struct cut to = { .score = range->max, .with_equal = !range->max_open };
    if (!entry || range->min > range->max)
        return (struct zset_span){ 0 };
    if (entry->encoding == ZSET_PACKED) {
        size_t first = packed_rank(entry, 0, &from, score_is_below);
        return between(first, packed_rank(entry, first, &to, score_is_below));
    }
    const struct btree *order = &zset_of(entry)->order;
    struct btree_key from_key = { btree_prefix_double(range->min), &from, compare_score };
    struct btree_key to_key = { btree_prefix_double(range->max), &to, compare_score };
    return between(btree_rank_key(order, &from_key), btree_rank_key(order, &to_key));
}

/* True if no text can lie in the range. */
static bool is_crossed(const struct zset_texts *range)
{
    const struct zset_text_bound *min = &range->min, *max = &range->max;
    if (min->beyond || max->beyond)
        return min->beyond > max->beyond || (min->beyond == max->beyond);
    int order = zset_compare_text(min->text, max->text);
    return order > 0 || (order == 0 && (min->open || max->open));
}

/* The rank at which a bound of texts cuts, from `from` on. */
static size_t text_rank(const struct entry *entry, size_t from, const struct zset_text_bound *bound, bool with_equal)
{
    if (bound->beyond)
        return bound->beyond < 0 ? 0 : zset_count(entry);
    struct cut cut = { .text = bound->text, .with_equal = with_equal };
    if (entry->encoding == ZSET_PACKED)
        return packed_rank(entry, from, &cut, text_is_below);
    const struct btree *order = &zset_of(entry)->order;
    const struct zset_member *any = btree_at(order, 0);
    struct btree_key key = { btree_prefix_double(any->score), &cut, compare_text };
    return btree_rank_key(order, &key);
}

struct zset_span zset_span_texts(const struct entry *entry, const struct zset_texts *range)
{
    if (!entry || is_crossed(range))
        return (struct zset_span){ 0 };
    size_t first = text_rank(entry, 0, &range->min, range->min.open);
    return between(first, text_rank(entry, first, &range->max, !range->max.open));
}

/* --- Scanning --- */

struct scan {
    const struct zset *zset;
    zset_visit_fn visit;
    void *context;
};

static void visit_slot(void *context, uint64_t *slot)
{
    const struct scan *scan = context;
    const struct zset_member *member = table_slot_item(slot);
    if (zset_has_lost(scan->zset, member))
        return;
    scan->visit(scan->context, zset_member_text(member), member->score);
}

uint64_t zset_scan(const struct entry *entry, uint64_t cursor, zset_visit_fn visit, void *context)
{
    if (entry->encoding == ZSET_TREE) {
        struct scan scan = { zset_of(entry), visit, context };
        return table_scan_once(&zset_of(entry)->members, cursor, visit_slot, &scan);
    }
    struct zset_iter iter;
    for (bool more = zset_iter_begin(&iter, entry, 0, false); more; more = zset_iter_next(&iter))
        visit(context, iter.member, iter.score);
    return 0;
}

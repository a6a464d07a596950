/*
 * Who points at what: a bucket at the next one of its chain; a node of a tree at its children, and a leaf at its
 * neighbours; a block of a quicklist at its neighbours, and the list at both ends. So each can be moved when those are
 * known, and a walk always knows them.
 */
#include "ds/compact.h"

#include "base/mem.h"
#include "btree_priv.h"
#include "quicklist_priv.h"
#include "table_priv.h"

/* --- Table --- */

void table_compact_frame(struct table *table, struct mem_moves *moves)
{
    if (!table->segments)
        return;
    struct table_bucket **last = &table->segments[(table->buckets - 1) / TABLE_SEGMENT_BUCKETS];
    *last = mem_move(*last, moves);
    table->segments = mem_move(table->segments, moves);
}

uint64_t table_compact(
    struct table *table, uint64_t cursor, table_visit_fn visit, void *context, struct mem_moves *moves)
{
    if (table_count(table) == 0)
        return 0;
    for (struct table_bucket *bucket = table_bucket_of(table, cursor); bucket->next; bucket = bucket->next)
        bucket->next = mem_move(bucket->next, moves);
    return table_scan(table, cursor, visit, context);
}

/* --- Btree --- */

/* The node of the path at `level` is now at `moved`: tells who points to it. */
static void relink(struct btree *tree, struct btree_path *path, size_t level, void *moved)
{
    path->step[level].node = moved;
    if (level == tree->height) {
        tree->root = moved;
    } else {
        struct btree_inner *parent = path->step[level + 1].node;
        parent->entry[path->step[level + 1].index].child = moved;
    }
    struct btree_leaf *leaf = moved;
    if (level == 0 && leaf->prev)
        leaf->prev->next = leaf;
    if (level == 0 && leaf->next)
        leaf->next->prev = leaf;
}

/* True if the leaf of the path is the first one below its node at `level`. */
static bool is_leftmost(const struct btree_path *path, size_t level)
{
    for (; level > 0; level--)
        if (path->step[level].index != 0)
            return false;
    return true;
}

size_t btree_compact(struct btree *tree, size_t rank, size_t leaves, struct mem_moves *moves)
{
    for (; leaves && rank < tree->count; leaves--) {
        struct btree_path path;
        btree_descend_rank(tree, rank, &path);
        for (size_t level = tree->height + 1; level-- > 0;) {
            if (!is_leftmost(&path, level))
                continue;
            void *moved = mem_move(path.step[level].node, moves);
            if (moved != path.step[level].node)
                relink(tree, &path, level, moved);
        }
        const struct btree_leaf *leaf = path.step[0].node;
        rank += leaf->count - path.step[0].index;
    }
    return rank;
}

/* --- Quicklist --- */

static struct quicklist_block *move_block(
    struct quicklist *list, struct quicklist_block *block, struct mem_moves *moves)
{
    block = mem_move(block, moves);
    *(block->prev ? &block->prev->next : &list->head) = block;
    *(block->next ? &block->next->prev : &list->tail) = block;
    return block;
}

static void move_node(struct quicklist_node *node, struct mem_moves *moves)
{
    if (node->compressed)
        node->lzf = mem_move(node->lzf, moves);
    else if (!node->plain)
        node->pack = mem_move(node->pack, moves);
    else if (!blob_is_shared(node->blob))
        node->blob = mem_move(node->blob, moves);
}

size_t quicklist_compact(struct quicklist *list, size_t at, size_t nodes, struct mem_moves *moves)
{
    size_t skip = at;
    struct quicklist_block *block = list->head;
    for (; block && skip >= block->used; block = block->next)
        skip -= block->used;
    for (; block && nodes; block = block->next) {
        block = move_block(list, block, moves);
        for (; nodes && skip < block->used; nodes--, skip++, at++)
            move_node(&block->nodes[block->first + skip], moves);
        skip = 0;
    }
    return at;
}

/*
 * Index: from the key of a member of a large object to its sequence number.
 *
 * A trie over the scrambled bits of the key (an odd multiplier scrambles without collisions, so 8 levels of 4 bits
 * always tell two keys apart). Its leaves are buckets of up to 64 pairs in no order, searched from end to end; a full
 * one becomes an inner node of 16. So a change of a pinned object copies about 1 KB, whatever its size.
 *
 *   bucket      refs count cap | (key : 32, sequence : 32)[cap]
 *   inner node  refs 16 INNER  | child or none [16]
 */
#include "tree_priv.h"

enum { BUCKET_MAX = 64, FAN_BITS = 4, FAN = 1 << FAN_BITS, LEVELS = 32 / FAN_BITS };

static inline unsigned fan_of(json_key key, unsigned level)
{
    return key * 0x9e3779b1u >> (32 - FAN_BITS * (level + 1)) & (FAN - 1);
}

size_t index_node_size(const struct json_node *node)
{
    return class_of(sizeof(*node) + (index_is_bucket(node) ? node->cap : FAN) * sizeof(uint64_t));
}

static struct json_node *bucket_create(size_t count)
{
    size_t size = class_of(sizeof(struct json_node) + count * sizeof(uint64_t));
    struct json_node *bucket = mem_alloc(size < 16 ? 16 : size);

    node_begin(bucket, 0, (size - sizeof(*bucket)) / sizeof(uint64_t));
    return bucket;
}

static struct json_node *inner_create(void)
{
    struct json_node *inner = mem_zalloc(class_of(sizeof(struct json_node) + FAN * sizeof(uint64_t)));

    node_begin(inner, FAN, INDEX_INNER);
    return inner;
}

struct json_node *index_clone(const struct json_node *from)
{
    struct json_node *to = index_is_bucket(from) ? bucket_create(from->cap) : inner_create();

    to->count = from->count;
    memcpy(to->slots, from->slots, from->count * sizeof(to->slots[0]));
    if (!index_is_bucket(from)) {
        for (unsigned i = 0; i < FAN; i++)
            json_value_ref(to->slots[i]);
    }
    return to;
}

static unsigned bucket_find(const struct json_node *bucket, json_key key)
{
    unsigned at = 0;

    while (at < bucket->count && bucket->slots[at].bits >> 32 != key)
        at++;
    return at;
}

bool index_get(struct json_value index, json_key key, uint32_t *sequence)
{
    for (unsigned level = 0; index.bits != 0; level++) {
        const struct json_node *node = node_of(index);
        if (index_is_bucket(node)) {
            unsigned at = bucket_find(node, key);
            if (at == node->count)
                return false;
            *sequence = (uint32_t)node->slots[at].bits;
            return true;
        }
        index = node->slots[fan_of(key, level)];
    }
    return false;
}

/* Puts a pair into the bucket of a slot, which may be none yet. Returns the bytes it takes more. */
static size_t bucket_put(struct json_value *slot, struct json_value pair)
{
    struct json_node *bucket = slot->bits == 0 ? NULL : node_of(*slot);
    size_t before = bucket == NULL ? 0 : index_node_size(bucket);

    if (bucket == NULL || bucket->count == bucket->cap) {
        struct json_node *larger = bucket_create(bucket == NULL ? 1 : bucket->cap + bucket->cap / 4u + 1);
        if (bucket != NULL) {
            memcpy(larger->slots, bucket->slots, bucket->count * sizeof(larger->slots[0]));
            larger->count = bucket->count;
            node_free(bucket, TAG_INDEX);
        }
        bucket = larger;
        *slot = value_of(bucket, TAG_INDEX);
    }
    bucket->slots[bucket->count++] = pair;
    return index_node_size(bucket) - before;
}

/* Makes an inner node of a full bucket. Returns the bytes it takes more. */
static size_t bucket_split(struct json_value *slot, unsigned level)
{
    struct json_node *bucket = node_of(*slot), *inner = inner_create();
    size_t before = index_node_size(bucket), bytes = index_node_size(inner);

    for (unsigned i = 0; i < bucket->count; i++) {
        struct json_value pair = bucket->slots[i];
        bytes += bucket_put(&inner->slots[fan_of((json_key)(pair.bits >> 32), level)], pair);
    }
    node_free(bucket, TAG_INDEX);
    *slot = value_of(inner, TAG_INDEX);
    return bytes - before;
}

void index_put(struct json_large *large, json_key key, uint32_t sequence, struct json_trash *trash)
{
    struct json_value *slot = &large->index, pair = { (uint64_t)key << 32 | sequence };

    for (unsigned level = 0; slot->bits != 0; level++) {
        struct json_node *node = node_own(slot, trash);
        if (index_is_bucket(node)) {
            if (node->count < BUCKET_MAX || level == LEVELS)
                break;
            large->index_bytes += bucket_split(slot, level);
            node = node_of(*slot);
        }
        slot = &node->slots[fan_of(key, level)];
    }
    large->index_bytes += bucket_put(slot, pair);
}

void index_remove(struct json_large *large, json_key key, struct json_trash *trash)
{
    struct json_value *slot = &large->index;
    struct json_node *node = node_own(slot, trash);

    for (unsigned level = 0; !index_is_bucket(node); level++) {
        slot = &node->slots[fan_of(key, level)];
        node = node_own(slot, trash);
    }
    node->slots[bucket_find(node, key)] = node->slots[node->count - 1];
    if (--node->count == 0) {
        large->index_bytes -= index_node_size(node);
        node_free(node, TAG_INDEX);
        *slot = JSON_VALUE_NONE;
    }
}

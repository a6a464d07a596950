/*
 * SORT and SORT_RO: the elements of a list, set or sorted set, by themselves or by the values of keys that they name.
 *
 * What is sorted is an array of 24 bytes an element: where it lies in the key's value (borrowed: a look-up of another
 * key removes at most keys that have expired), and what it is compared by: a score, the first bytes of its text, or the
 * text under the key that BY makes of it. Equal ones come in the order of their bytes, so that the reply is determined.
 *
 * Parts of the array that a LIMIT leaves out are not put into order: O(N + M * log(M)) for N elements of which M are
 * asked for. Many elements are sorted aside (engine/aside.h). The reply, or the list stored, is the only other memory.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/families.h"
#include "engine/acl.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "store/hash.h"
#include "store/list.h"
#include "store/list_make.h"
#include "store/set.h"
#include "store/string.h"
#include "store/zset.h"
#include "words_priv.h"

/* What a round of a loop costs, for fiber_breathe. */
enum { OPTION_COST = 5, COMPARE_COST = 1, COLLECT_COST = 3, WEIGH_COST = 10, REPLY_COST = 10 };

enum { OPTIONS_AT_ONCE = 4000 }; /* words; to read more is much to do, too */

enum { NAME_SPARE = 64 }; /* so that the empty name has room, too */

/* --- Elements --- */

struct item {
    const char *text; /* borrowed; NULL: an integer */
    union {
        int64_t number; /* if text is NULL */
        size_t size;    /* length of text, twice; odd if the text is all of a blob */
    };
    union {
        double score;
        uint64_t head;              /* the first bytes of the text that not all have: less if it sorts before */
        const struct bytes *weight; /* NULL: the key is missing */
    };
};

struct spelling {
    char digits[NUM_I64_MAX_LEN + 4];
};

static struct bytes item_bytes(const struct item *item, struct spelling *spelling)
{
    if (item->text)
        return bytes_make(item->text, item->size >> 1);
    return bytes_make(spelling->digits, num_format_i64(spelling->digits, item->number));
}

/* The blob that holds the element, borrowed, or NULL. */
static struct blob *item_blob(const struct item *item)
{
    if (!item->text || !(item->size & 1))
        return NULL;
    return (struct blob *)(void *)(item->text - offsetof(struct blob, data));
}

static struct item item_of_text(const char *text, size_t len)
{
    return (struct item){ .text = text ? text : "", .size = len << 1 };
}

/* --- A command's options --- */

/* "w_*->field": the key is `before`, an element, `after`. */
struct pattern {
    enum { PATTERN_KEY, PATTERN_FIELD, PATTERN_ELEMENT, PATTERN_NOTHING } kind;
    struct bytes before, after, field;
};

struct sort {
    struct call *call;
    const struct entry *entry; /* borrowed; NULL: there is nothing to sort */
    struct pattern by;
    bool by_pattern, unsorted, alpha, descending;
    uint32_t store; /* argument of the destination, or 0 */
    int64_t limit_first, limit_count;
    struct pattern *gets;
    size_t get_count;
    struct list_walk list; /* of a list: what items that were compressed lie in */
    struct item *items;    /* owned */
    size_t count;          /* of items */
    size_t first, end;     /* those that are asked for */
    size_t common;         /* bytes that all texts begin with, as far as that was looked at */
    char *name;            /* owned: room to put a key together */
    size_t name_room;
    bool out_of_memory;
};

static struct pattern parse_pattern(struct bytes text)
{
    if (bytes_equal(text, BYTES("#")))
        return (struct pattern){ .kind = PATTERN_ELEMENT };
    const char *star = text.len ? memchr(text.ptr, '*', text.len) : NULL;
    if (!star)
        return (struct pattern){ .kind = PATTERN_NOTHING };
    size_t at = (size_t)(star - text.ptr);
    struct pattern pattern = { .kind = PATTERN_KEY, .before = { text.ptr, at } };
    pattern.after = bytes_make(star + 1, text.len - at - 1);
    const char *arrow = memmem(pattern.after.ptr, pattern.after.len, "->", 2);
    size_t key_len = arrow ? (size_t)(arrow - pattern.after.ptr) : 0;
    if (arrow && key_len + 2 < pattern.after.len) {
        pattern.kind = PATTERN_FIELD;
        pattern.field = bytes_make(arrow + 2, pattern.after.len - key_len - 2);
        pattern.after.len = key_len;
    }
    return pattern;
}

static void set_by(struct sort *sort, struct bytes text)
{
    sort->by = parse_pattern(text);
    sort->by_pattern = sort->by.kind == PATTERN_KEY || sort->by.kind == PATTERN_FIELD;
    sort->unsorted = !sort->by_pattern;
}

/* Which keys a pattern names nobody knows before, so it takes a user who may read them all. */
static bool may_look_up(struct call *call, const char *option, struct bytes pattern)
{
    bool is_nosort = strcmp(option, "BY") == 0 && !(pattern.len && memchr(pattern.ptr, '*', pattern.len));
    if (is_nosort || acl_reads_all_keys(call))
        return true;
    reply_error_printf(call->reply, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
    return false;
}

/* False: that answered an error. */
static bool parse_options(struct sort *sort, bool may_store)
{
    struct call *call = sort->call;
    sort->limit_count = -1;
    sort->gets = arena_alloc(call->arena, call->argc * sizeof *sort->gets);
    for (uint32_t i = 2; i < call->argc; i++) {
        uint32_t left = call->argc - i - 1;
        fiber_breathe(OPTION_COST);
        if (call_arg_is(call, i, "ASC")) {
            sort->descending = false;
        } else if (call_arg_is(call, i, "DESC")) {
            sort->descending = true;
        } else if (call_arg_is(call, i, "ALPHA")) {
            sort->alpha = true;
        } else if (call_arg_is(call, i, "LIMIT") && left >= 2) {
            if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, &sort->limit_first) ||
                !call_arg_i64(call, i + 2, INT64_MIN, INT64_MAX, NULL, &sort->limit_count))
                return false;
            i += 2;
        } else if (call_arg_is(call, i, "STORE") && left >= 1 && may_store) {
            sort->store = ++i;
        } else if (call_arg_is(call, i, "BY") && left >= 1) {
            if (!may_look_up(call, "BY", call->argv[++i]))
                return false;
            set_by(sort, call->argv[i]);
        } else if (call_arg_is(call, i, "GET") && left >= 1) {
            if (!may_look_up(call, "GET", call->argv[++i]))
                return false;
            sort->gets[sort->get_count++] = parse_pattern(call->argv[i]);
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

/* --- Looking up what a pattern names --- */

struct found {
    struct bytes text;
    struct blob *blob; /* that holds it, borrowed, or NULL */
    struct string_scratch string;
    struct hash_scratch hash;
};

/* The key that the pattern makes of an element; false when memory is out. */
static bool make_name(struct sort *sort, const struct pattern *pattern, struct bytes element, struct bytes *name)
{
    size_t len = pattern->before.len + element.len + pattern->after.len;
    if (!sort->name || len > sort->name_room) {
        size_t room = 2 * len + NAME_SPARE;
        char *name_at = mem_try_realloc(sort->name, room);
        if (!name_at) {
            sort->out_of_memory = true;
            return false;
        }
        sort->name = name_at;
        sort->name_room = room;
    }
    char *at = sort->name;
    if (pattern->before.len)
        memcpy(at, pattern->before.ptr, pattern->before.len);
    at += pattern->before.len;
    if (element.len)
        memcpy(at, element.ptr, element.len);
    at += element.len;
    if (pattern->after.len)
        memcpy(at, pattern->after.ptr, pattern->after.len);
    *name = bytes_make(sort->name, len);
    return true;
}

/* What a pattern stands for, borrowed from the keyspace or from `found`; false if there is nothing. */
static bool look_up(struct sort *sort, const struct pattern *pattern, const struct item *item, struct found *found)
{
    struct spelling spelling;
    struct bytes name;
    struct call *call = sort->call;
    if (pattern->kind == PATTERN_NOTHING || !make_name(sort, pattern, item_bytes(item, &spelling), &name))
        return false;
    struct entry *entry = keyspace_read(call->keyspace, call->db, key_make(name), call->now_ms);
    if (!entry || entry->type != (pattern->kind == PATTERN_FIELD ? ENTRY_HASH : ENTRY_STRING))
        return false;
    found->blob = NULL;
    if (pattern->kind == PATTERN_FIELD)
        return hash_get(entry, pattern->field, call->now_ms, &found->hash, &found->text);
    found->text = string_view(entry, &found->string);
    found->blob = string_blob(entry);
    return true;
}

/* --- Collecting --- */

/* Which of `count` elements are asked for. */
static void limit_to(struct sort *sort, size_t count)
{
    size_t first = sort->limit_first > 0 ? (size_t)sort->limit_first : 0;
    sort->first = first < count ? first : count;
    size_t wanted = sort->limit_count >= 0 ? (size_t)sort->limit_count : count;
    sort->end = wanted < count - sort->first ? sort->first + wanted : count;
}

/* Room for `count` elements; false when memory is out. */
static bool make_room(struct sort *sort, size_t count)
{
    sort->items = mem_try_alloc((count ? count : 1) * sizeof *sort->items);
    sort->out_of_memory = !sort->items;
    return sort->items != NULL;
}

/* Where elements have an order and are not to be sorted, only those asked for are collected. */
static size_t span_to_collect(struct sort *sort, size_t count, size_t *first)
{
    limit_to(sort, count);
    *first = 0;
    if (!sort->unsorted)
        return count;
    *first = sort->first;
    sort->end -= sort->first;
    sort->first = 0;
    return sort->end;
}

static void collect_list(struct sort *sort)
{
    size_t first, len = list_len(sort->entry), count = span_to_collect(sort, len, &first);
    if (!make_room(sort, count))
        return;
    bool backwards = sort->unsorted && sort->descending;
    struct list_walk *walk = &sort->list;
    struct list_element element;
    list_walk_begin(walk, sort->entry, backwards ? len - first - (count != 0) : first, count);
    list_walk_keep(walk);
    while (backwards ? list_next_back(walk, &element) : list_next(walk, &element)) {
        fiber_breathe(COLLECT_COST);
        struct item *item = &sort->items[sort->count++];
        if (element.blob)
            *item = (struct item){ .text = element.blob->data, .size = element.blob->len << 1 | 1 };
        else if (element.value.text)
            *item = item_of_text((const char *)element.value.text, element.value.len);
        else
            *item = (struct item){ .number = element.value.number };
    }
}

static void collect_set(struct sort *sort)
{
    struct set set = set_of(sort->entry);
    limit_to(sort, set_count(set));
    if (!make_room(sort, set_count(set)))
        return;
    struct set_walk walk = set_walk_begin(set);
    for (struct set_batch batch; set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count; i++) {
            struct set_member member = batch.members[i];
            sort->items[sort->count++] =
                member.text ? item_of_text(member.text, member.len) : (struct item){ .number = member.number };
        }
}

static void collect_zset(struct sort *sort)
{
    size_t first, len = zset_count(sort->entry), count = span_to_collect(sort, len, &first);
    if (count == 0 || !make_room(sort, count))
        return;
    bool reverse = sort->unsorted && sort->descending;
    struct zset_iter iter;
    zset_iter_begin(&iter, sort->entry, reverse ? len - 1 - first : first, reverse);
    do {
        struct item item = item_of_text(iter.member.ptr, iter.member.len);
        if (iter.member.ptr == iter.digits) {
            item.text = NULL;
            num_parse_i64(iter.member, &item.number);
        }
        sort->items[sort->count++] = item;
    } while (sort->count < count && zset_iter_next(&iter));
}

static void collect(struct sort *sort)
{
    if (sort->entry->type == ENTRY_LIST)
        collect_list(sort);
    else if (sort->entry->type == ENTRY_SET)
        collect_set(sort);
    else
        collect_zset(sort);
}

/* --- What elements are compared by --- */

/*
 * Reads a number as strtod does, which is what clients of Redis may rely on: white space before it, hexadecimal, and
 * nothing at all, which is 0. False for anything else, NaN, and what is out of range.
 */
static bool parse_score(struct bytes text, double *score)
{
    int64_t number;
    if (num_parse_i64(text, &number)) {
        *score = (double)number;
        return true;
    }
    char few[128], *copy = text.len < sizeof few ? few : mem_try_alloc(text.len + 1), *end;
    if (!copy)
        return false;
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    errno = 0;
    *score = strtod(copy, &end);
    bool is_number = *end == '\0' && errno != ERANGE && !isnan(*score);
    if (copy != few)
        mem_free(copy);
    return is_number;
}

/* How long a beginning all texts have in common. Long ones, which are rare, are not followed to the end. */
static size_t common_len(const struct sort *sort)
{
    enum { ENOUGH = 128 };
    struct spelling spelling, other;
    struct bytes first = item_bytes(&sort->items[0], &spelling);
    size_t len = first.len < ENOUGH ? first.len : ENOUGH;
    for (size_t i = 1; i < sort->count && len; i++) {
        fiber_breathe(COLLECT_COST);
        struct bytes text = item_bytes(&sort->items[i], &other);
        len = len < text.len ? len : text.len;
        while (len && memcmp(first.ptr, text.ptr, len) != 0)
            len--;
    }
    return len;
}

static uint64_t head_of(struct bytes text)
{
    unsigned char head[sizeof(uint64_t)] = { 0 };
    uint64_t value;
    if (text.len)
        memcpy(head, text.ptr, text.len < sizeof head ? text.len : sizeof head);
    memcpy(&value, head, sizeof value);
    return __builtin_bswap64(value);
}

/* A copy for as long as the command runs if it lies in `found`, which does not. */
static const struct bytes *keep_weight(struct sort *sort, const struct found *found)
{
    const char *scratch = (const char *)found, *text = found->text.ptr;
    struct bytes *kept = arena_try_alloc(sort->call->arena, sizeof *kept);
    sort->out_of_memory |= !kept;
    if (!kept)
        return NULL;
    bool borrowed = (uintptr_t)text - (uintptr_t)scratch >= sizeof *found;
    *kept = borrowed ? found->text : arena_copy(sort->call->arena, found->text);
    return kept;
}

/* False if something is no number. */
static bool weigh(struct sort *sort, struct item *item)
{
    struct spelling spelling;
    struct found found;
    fiber_breathe(WEIGH_COST);
    if (sort->by_pattern) {
        bool is_there = look_up(sort, &sort->by, item, &found);
        if (sort->alpha)
            item->weight = is_there ? keep_weight(sort, &found) : NULL;
        else
            item->score = 0;
        return sort->alpha || !is_there || parse_score(found.text, &item->score);
    }
    if (sort->alpha) {
        struct bytes text = item_bytes(item, &spelling);
        item->head = head_of(bytes_make(text.ptr + sort->common, text.len - sort->common));
        return true;
    }
    if (item->text)
        return parse_score(item_bytes(item, &spelling), &item->score);
    item->score = (double)item->number;
    return true;
}

/* --- Sorting --- */

static int compare_texts(const struct item *a, const struct item *b)
{
    struct spelling spelt_a, spelt_b;
    return bytes_compare(item_bytes(a, &spelt_a), item_bytes(b, &spelt_b));
}

static int compare_weights(const struct bytes *a, const struct bytes *b)
{
    if (!a || !b)
        return (a != NULL) - (b != NULL);
    return bytes_compare(*a, *b);
}

static inline int compare(const struct sort *sort, const struct item *a, const struct item *b)
{
    int order;
    fiber_breathe(COMPARE_COST);
    if (!sort->alpha)
        order = (a->score > b->score) - (a->score < b->score);
    else if (sort->by_pattern)
        order = compare_weights(a->weight, b->weight);
    else
        order = (a->head > b->head) - (a->head < b->head);
    if (order == 0)
        order = compare_texts(a, b);
    return sort->descending ? -order : order;
}

static inline void exchange(struct item *a, struct item *b)
{
    struct item kept = *a;
    *a = *b;
    *b = kept;
}

static void insertion_sort(const struct sort *sort, struct item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct item item = items[i];
        size_t at = i;
        for (; at > 0 && compare(sort, &item, &items[at - 1]) < 0; at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

static void sift_down(const struct sort *sort, struct item *items, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && compare(sort, &items[child], &items[child + 1]) < 0)
            child++;
        if (compare(sort, &items[at], &items[child]) >= 0)
            return;
        exchange(&items[at], &items[child]);
    }
}

static void heap_sort(const struct sort *sort, struct item *items, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift_down(sort, items, i, count);
    for (size_t i = count; i-- > 1;) {
        exchange(&items[0], &items[i]);
        sift_down(sort, items, 0, i);
    }
}

/* Divides at least three items: none of those before the place returned, from 1 to count - 1, sorts behind the rest. */
static size_t divide(const struct sort *sort, struct item *items, size_t count)
{
    struct item *middle = &items[count / 2], *last = &items[count - 1];
    if (compare(sort, middle, items) < 0)
        exchange(middle, items);
    if (compare(sort, last, middle) < 0) {
        exchange(last, middle);
        if (compare(sort, middle, items) < 0)
            exchange(middle, items);
    }
    struct item pivot = *middle;
    for (size_t low = 0, high = count - 1;; low++, high--) {
        while (compare(sort, &items[low], &pivot) < 0)
            low++;
        while (compare(sort, &items[high], &pivot) > 0)
            high--;
        if (low >= high)
            return high + 1;
        exchange(&items[low], &items[high]);
    }
}

/* Quicksort, and heap sort where that goes wrong, of the items from `begin` to `end` as far as they are asked for. */
static void sort_items(const struct sort *sort, size_t begin, size_t end, unsigned depth)
{
    enum { FEW = 16 };
    while (end - begin > FEW) {
        if (end <= sort->first || begin >= sort->end)
            return;
        if (depth-- == 0) {
            heap_sort(sort, sort->items + begin, end - begin);
            return;
        }
        size_t border = begin + divide(sort, sort->items + begin, end - begin);
        bool left_is_less = border - begin < end - border;
        if (left_is_less) {
            sort_items(sort, begin, border, depth);
            begin = border;
        } else {
            sort_items(sort, border, end, depth);
            end = border;
        }
    }
    insertion_sort(sort, sort->items + begin, end - begin);
}

/* False: something was no number. */
static bool put_into_order(struct sort *sort)
{
    bool all_numbers = true;
    if (sort->count == 0)
        return true;
    if (sort->alpha && !sort->by_pattern)
        sort->common = common_len(sort);
    for (size_t i = 0; i < sort->count && !sort->out_of_memory; i++)
        all_numbers &= weigh(sort, &sort->items[i]);
    if (!all_numbers || sort->out_of_memory)
        return all_numbers;
    unsigned depth = 2 * (64 - (unsigned)__builtin_clzll(sort->count));
    sort_items(sort, 0, sort->count, depth);
    return true;
}

/* --- Answering --- */

static void reply_text(struct call *call, struct bytes text, struct blob *blob)
{
    if (blob)
        reply_bulk_blob(call->reply, blob, text);
    else
        reply_bulk(call->reply, text);
}

static void reply_items(struct sort *sort)
{
    struct call *call = sort->call;
    struct spelling spelling;
    struct found found;
    reply_array(call->reply, (sort->end - sort->first) * (sort->get_count ? sort->get_count : 1));
    if (sort->first == sort->end)
        return;
    for (const struct item *item = sort->items + sort->first; item < sort->items + sort->end; item++) {
        fiber_breathe(REPLY_COST);
        if (sort->get_count == 0)
            reply_text(call, item_bytes(item, &spelling), item_blob(item));
        for (size_t i = 0; i < sort->get_count; i++) {
            if (sort->gets[i].kind == PATTERN_ELEMENT)
                reply_text(call, item_bytes(item, &spelling), item_blob(item));
            else if (look_up(sort, &sort->gets[i], item, &found))
                reply_text(call, found.text, found.blob);
            else
                reply_null(call->reply);
            fiber_breathe(WEIGH_COST);
        }
    }
}

/* What is missing is stored as empty. False when memory is out. */
static bool make_list_of(struct sort *sort, struct list_make *make, const struct item *item)
{
    struct spelling spelling;
    struct found found;
    fiber_breathe(REPLY_COST);
    if (sort->get_count == 0)
        return list_make_add(make, item_bytes(item, &spelling), item_blob(item));
    for (size_t i = 0; i < sort->get_count; i++) {
        bool done;
        if (sort->gets[i].kind == PATTERN_ELEMENT)
            done = list_make_add(make, item_bytes(item, &spelling), item_blob(item));
        else if (look_up(sort, &sort->gets[i], item, &found))
            done = list_make_add(make, found.text, found.blob);
        else
            done = list_make_add(make, BYTES(""), NULL);
        if (!done || sort->out_of_memory)
            return false;
        fiber_breathe(WEIGH_COST);
    }
    return true;
}

static void store_items(struct sort *sort)
{
    struct call *call = sort->call;
    struct key key = call_key(call, sort->store);
    struct list_make make;
    list_make_begin(&make, call->keyspace->settings);
    for (size_t i = sort->first; i < sort->end && !sort->out_of_memory; i++)
        sort->out_of_memory = !make_list_of(sort, &make, &sort->items[i]);
    size_t count = make.count;
    if (sort->out_of_memory || count == 0)
        list_make_abandon(&make);
    if (sort->out_of_memory)
        return;
    if (count) {
        keyspace_set_list_take(call->keyspace, call->db, key, &make, call->now_ms);
        call_notify(call, NOTIFY_LIST, "sortstore", key_bytes(key));
    } else if (keyspace_peek(call->keyspace, call->db, key, call->now_ms)) {
        call_remove(call, key);
    }
    reply_int(call->reply, (int64_t)count);
}

/* The elements are collected, and in order. */
static void answer(struct sort *sort)
{
    struct call *call = sort->call;
    struct output_mark before = output_mark(call->reply->out);
    if (!sort->out_of_memory && sort->store)
        store_items(sort);
    else if (!sort->out_of_memory)
        reply_items(sort);
    if (sort->out_of_memory) {
        output_rewind(call->reply->out, before);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
}

static size_t count_elements(const struct entry *entry)
{
    if (entry->type == ENTRY_LIST)
        return list_effort(entry, 0, list_len(entry), CALL_AT_ONCE);
    return entry->type == ENTRY_SET ? set_count(set_of(entry)) : zset_count(entry);
}

/*
 * True if the elements, and what is to be got for each, are too many for now. Patterns read keys that the command does
 * not name.
 */
static bool goes_aside(const struct sort *sort)
{
    bool everywhere = sort->by_pattern;
    for (size_t i = 0; i < sort->get_count; i++)
        everywhere |= sort->gets[i].kind == PATTERN_KEY || sort->gets[i].kind == PATTERN_FIELD;
    size_t count = count_elements(sort->entry) * (1 + sort->get_count);
    return everywhere ? call_aside_everywhere(sort->call, count) : call_aside(sort->call, count);
}

static void run(struct call *call, bool may_store)
{
    struct sort sort = { .call = call };
    /* Aside nobody asks any more what the user may: who may not read all keys is refused here, at the first pattern. */
    if (call->argc > OPTIONS_AT_ONCE && acl_reads_all_keys(call) && call_aside_everywhere(call, CALL_AT_ONCE))
        return;
    if (!parse_options(&sort, may_store))
        return;
    sort.entry = call_read(call, 1);
    enum entry_type type = sort.entry ? (enum entry_type)sort.entry->type : ENTRY_LIST;
    if (type != ENTRY_LIST && type != ENTRY_SET && type != ENTRY_ZSET) {
        reply_fail(call->reply, ERROR_WRONG_TYPE);
        return;
    }
    if (sort.entry && goes_aside(&sort))
        return;
    /* A set has no order of its own, and what is stored is not to depend on how it is kept. */
    if (type == ENTRY_SET && sort.unsorted && sort.store) {
        sort.unsorted = false;
        sort.alpha = true;
    }
    if (sort.entry)
        collect(&sort);
    if (sort.out_of_memory || sort.unsorted || put_into_order(&sort))
        answer(&sort);
    else
        reply_error(call->reply, BYTES("ERR One or more scores can't be converted into double"));
    list_walk_end(&sort.list);
    mem_free(sort.items);
    mem_free(sort.name);
}

static void run_sort(struct call *call)
{
    run(call, true);
}

static void run_sort_ro(struct call *call)
{
    run(call, false);
}

/* The key, and the destination: the last one that is named. What stands behind other options is no option. */
static int find_sort_keys(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    uint32_t store = 0;
    for (uint32_t i = 2; i < argc; i++)
        if (bytes_is(argv[i], "LIMIT"))
            i += 2;
        else if (bytes_is(argv[i], "BY") || bytes_is(argv[i], "GET"))
            i++;
        else if (bytes_is(argv[i], "STORE") && i + 1 < argc)
            store = i + 1;
    if (max > 0)
        out[0] = (struct key_position){ 1, KEY_READ_ACCESS };
    if (store && max > 1)
        out[1] = (struct key_position){ store, KEY_OW | KEY_UPDATE };
    return store ? 2 : 1;
}

#define SORT_COMPLEXITY \
    "O(N+M*log(M)) where N is the number of elements and M the number of those replied with; O(N) with BY nosort."
#define SORT_USAGE "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"

const struct command sort_commands[] = {
    { .name = "SORT",
        .run = run_sort,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_MOVABLE_KEYS,
        .categories = CATEGORY_SET | CATEGORY_SORTED_SET | CATEGORY_LIST | CATEGORY_DANGEROUS,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS), KEY_SOMEWHERE(KEY_READ_ACCESS), KEY_SOMEWHERE(KEY_OW | KEY_UPDATE) },
        .find_keys = find_sort_keys,
        .since = "1.0.0",
        .complexity = SORT_COMPLEXITY,
        .usage = SORT_USAGE " [STORE destination]",
        .brief =
            "Sorts a list, set or sorted set, by its elements or by the keys that they name; may store the result." },
    { .name = "SORT_RO",
        .run = run_sort_ro,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_MOVABLE_KEYS,
        .categories = CATEGORY_SET | CATEGORY_SORTED_SET | CATEGORY_LIST | CATEGORY_DANGEROUS,
        .group = GROUP_GENERIC,
        .keys = { KEY_AT(1, KEY_READ_ACCESS), KEY_SOMEWHERE(KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = SORT_COMPLEXITY,
        .usage = SORT_USAGE,
        .brief = "Sorts a list, set or sorted set, by its elements or by the keys that they name." },
    { 0 },
};

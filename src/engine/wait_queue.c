/*
 * Who waits for which key, in what order, and until when.
 *
 * Keys that somebody waits for lie in a table by name and database, and in a list by database for what concerns a
 * whole database. A change of a key is one look-up, and none at all where nobody waits in that database. A key is on
 * the ready list at most once, however often it changes before it is served.
 */
#include "wait_priv.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/keyspace.h"

/* --- Keys --- */

struct wanted_key {
    const struct db *db;
    struct bytes name;
};

/* Names recur in every database. */
static uint64_t spread(uint64_t name_hash, const struct db *db)
{
    return name_hash ^ (uint64_t)db->index * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t key_hash(const void *item)
{
    const struct wait_key *key = item;
    return spread(key->hash, key->db);
}

static bool key_is(const void *item, const void *sought)
{
    const struct wait_key *key = item;
    const struct wanted_key *wanted = sought;
    return key->db == wanted->db && bytes_equal(bytes_make(key->name, key->len), wanted->name);
}

const struct table_type wait_key_table_type = { .hash = key_hash };

static struct wait_key *find_key(const struct waits *waits, const struct db *db, struct bytes name, uint64_t hash)
{
    struct wanted_key wanted = { db, name };
    uint64_t *slot = table_find(&waits->keys, spread(hash, db), key_is, &wanted);
    return slot ? table_slot_item(slot) : NULL;
}

static struct wait_key *add_key(struct waits *waits, struct db *db, struct bytes name, uint64_t hash)
{
    size_t size = sizeof(struct wait_key) + name.len;
    struct wait_key *key = mem_try_alloc(size);
    if (!key)
        return NULL;
    *key = (struct wait_key){ .db = db, .hash = hash, .size = size, .len = name.len };
    if (name.len)
        memcpy(key->name, name.ptr, name.len);
    struct wait_keys *keys = &waits->dbs[db->index];
    key->next = keys->first;
    if (key->next)
        key->next->prev = key;
    keys->first = key;
    keys->count++;
    table_insert(&waits->keys, spread(hash, db), key);
    if (table_count(&waits->keys) == 1)
        waits->keyspace->watched++;
    return key;
}

static void take_off_ready(struct wait_key *key)
{
    struct wait_ready *list = key->ready;
    *(key->prev_ready ? &key->prev_ready->next_ready : &list->first) = key->next_ready;
    *(key->next_ready ? &key->next_ready->prev_ready : &list->last) = key->prev_ready;
    key->ready = NULL;
}

/* Frees the key if nobody waits for it or serves it. */
static void drop_key_if_idle(struct waits *waits, struct wait_key *key)
{
    if (key->lines || key->served)
        return;
    if (key->ready)
        take_off_ready(key);
    struct wait_keys *keys = &waits->dbs[key->db->index];
    *(key->prev ? &key->prev->next : &keys->first) = key->next;
    if (key->next)
        key->next->prev = key->prev;
    keys->count--;
    uint64_t hash = key_hash(key);
    struct wanted_key wanted = { key->db, bytes_make(key->name, key->len) };
    table_remove(&waits->keys, hash, table_find(&waits->keys, hash, key_is, &wanted));
    mem_free_sized(key, key->size);
    if (table_count(&waits->keys) == 0)
        waits->keyspace->watched--;
}

/* --- Lines --- */

static struct wait_line *line_of(
    struct waits *waits, struct wait_key *key, const struct wait_kind *kind, uint64_t number)
{
    struct wait_line *last = NULL;
    for (struct wait_line *line = key->lines; line; last = line, line = line->next)
        if (line->kind == kind && line->number == number)
            return line;
    struct wait_line *line = mem_alloc(sizeof *line);
    *line = (struct wait_line){ .key = key, .kind = kind, .number = number, .prev = last };
    *(last ? &last->next : &key->lines) = line;
    if (kind->gone && key->gone_lines++ == 0)
        waits->gone_keys++;
    return line;
}

void wait_queue_slow(struct waits *waits, struct wait_line *line)
{
    line->slow = true;
    line->prev_slow = waits->last_slow;
    line->next_slow = NULL;
    *(waits->last_slow ? &waits->last_slow->next_slow : &waits->slow) = line;
    waits->last_slow = line;
}

void wait_queue_not_slow(struct waits *waits, struct wait_line *line)
{
    *(line->prev_slow ? &line->prev_slow->next_slow : &waits->slow) = line->next_slow;
    *(line->next_slow ? &line->next_slow->prev_slow : &waits->last_slow) = line->prev_slow;
    line->slow = false;
}

static void drop_line_if_idle(struct waits *waits, struct wait_line *line)
{
    struct wait_key *key = line->key;
    if (line->first || key->served)
        return;
    *(line->prev ? &line->prev->next : &key->lines) = line->next;
    if (line->next)
        line->next->prev = line->prev;
    if (line->slow)
        wait_queue_not_slow(waits, line);
    if (line->kind->gone && --key->gone_lines == 0)
        waits->gone_keys--;
    mem_free_sized(line, sizeof *line);
}

/* --- Entering and leaving --- */

bool wait_queue_enter(struct waits *waits, struct waiter *waiter, struct db *db, uint32_t arg, uint64_t number)
{
    struct bytes name = waiter->argv[arg];
    uint64_t hash = hash_bytes(name.ptr, name.len);
    struct wait_key *key = find_key(waits, db, name, hash);
    if (!key && !(key = add_key(waits, db, name, hash)))
        return false;
    struct wait_line *line = line_of(waits, key, waiter->kind, number);
    if (line->last && line->last->waiter == waiter) /* the key was named twice */
        return true;
    struct wait_place *place = &waiter->places[waiter->place_count++];
    *place = (struct wait_place){ .waiter = waiter, .line = line, .prev = line->last, .arg = arg };
    *(place->prev ? &place->prev->next : &line->first) = place;
    line->last = place;
    return true;
}

static void leave(struct waits *waits, struct wait_place *place)
{
    struct wait_line *line = place->line;
    struct wait_key *key = line->key;
    if (line->cursor == place)
        line->cursor = place->next;
    *(place->prev ? &place->prev->next : &line->first) = place->next;
    *(place->next ? &place->next->prev : &line->last) = place->prev;
    drop_line_if_idle(waits, line);
    drop_key_if_idle(waits, key);
}

size_t wait_queue_leave(struct waits *waits, struct waiter *waiter, size_t most)
{
    size_t count = 0;
    for (; count < most && waiter->place_count; count++)
        leave(waits, &waiter->places[--waiter->place_count]);
    return count;
}

/* --- The ready list --- */

static void make_ready(struct waits *waits, struct wait_key *key)
{
    if (key->ready || key->served)
        return;
    struct wait_ready *list = &waits->ready;
    key->ready = list;
    key->prev_ready = list->last;
    key->next_ready = NULL;
    *(list->last ? &list->last->next_ready : &list->first) = key;
    list->last = key;
}

void wait_queue_touched(struct waits *waits, struct db *db, struct bytes name)
{
    if (waits->dbs[db->index].count == 0)
        return;
    struct wait_key *key = find_key(waits, db, name, hash_bytes(name.ptr, name.len));
    if (key)
        make_ready(waits, key);
}

void wait_queue_replaced(struct waits *waits, struct db *db)
{
    for (struct wait_key *key = waits->dbs[db->index].first; key; key = key->next)
        make_ready(waits, key);
}

struct wait_key *wait_queue_serve(struct waits *waits)
{
    struct wait_key *key = waits->ready.first;
    if (!key)
        return NULL;
    take_off_ready(key);
    key->served = true;
    return key;
}

void wait_queue_served(struct waits *waits, struct wait_key *key)
{
    key->served = false;
    for (struct wait_line *line = key->lines, *next; line; line = next) {
        next = line->next;
        drop_line_if_idle(waits, line);
    }
    drop_key_if_idle(waits, key);
}

void wait_queue_forget_after(struct waits *waits, struct wait_key *last)
{
    for (struct wait_key *key = last ? last->next_ready : waits->ready.first; key; key = key->next_ready)
        key->ready = NULL;
    *(last ? &last->next_ready : &waits->ready.first) = NULL;
    waits->ready.last = last;
}

void wait_queue_move_ready(struct wait_ready *from, struct wait_ready *to)
{
    if (!from->first)
        return;
    for (struct wait_key *key = from->first; key; key = key->next_ready)
        key->ready = to;
    from->first->prev_ready = to->last;
    *(to->last ? &to->last->next_ready : &to->first) = from->first;
    to->last = from->last;
    *from = (struct wait_ready){ NULL, NULL };
}

/* --- Deadlines --- */

static void heap_put(struct waits *waits, size_t index, struct waiter *waiter)
{
    waits->heap[index] = waiter;
    waiter->heap_index = index;
}

static void heap_rise(struct waits *waits, size_t index, struct waiter *waiter)
{
    for (; index > 0; index = (index - 1) / 2) {
        struct waiter *parent = waits->heap[(index - 1) / 2];
        if (parent->deadline_ms <= waiter->deadline_ms)
            break;
        heap_put(waits, index, parent);
    }
    heap_put(waits, index, waiter);
}

static void heap_sink(struct waits *waits, size_t index, struct waiter *waiter)
{
    for (size_t child; (child = 2 * index + 1) < waits->timed; index = child) {
        if (child + 1 < waits->timed && waits->heap[child + 1]->deadline_ms < waits->heap[child]->deadline_ms)
            child++;
        if (waiter->deadline_ms <= waits->heap[child]->deadline_ms)
            break;
        heap_put(waits, index, waits->heap[child]);
    }
    heap_put(waits, index, waiter);
}

void wait_heap_add(struct waits *waits, struct waiter *waiter)
{
    if (waits->timed == waits->heap_size) {
        waits->heap_size = waits->heap_size ? waits->heap_size * 2 : 64;
        waits->heap = mem_realloc(waits->heap, waits->heap_size * sizeof(struct waiter *));
    }
    heap_rise(waits, waits->timed++, waiter);
}

void wait_heap_remove(struct waits *waits, struct waiter *waiter)
{
    size_t index = waiter->heap_index;
    struct waiter *moved = waits->heap[--waits->timed];
    if (moved == waiter)
        return;
    if (index > 0 && waits->heap[(index - 1) / 2]->deadline_ms > moved->deadline_ms)
        heap_rise(waits, index, moved);
    else
        heap_sink(waits, index, moved);
}

/*
 * Two tables: of keys that were read, each with the IDs of its readers in order; and, for every prefix that somebody
 * has, of keys that changed since the last broadcast. Keys that were read are also in a list by age.
 *
 * A flush forgets all keys at once by counting up the epoch. What was read in an earlier one stands at the old end of
 * the list and is taken down bit by bit: by whoever reads keys, and in the background.
 *
 *   engine->trackers --keys--> tracked (name, IDs) ...          session->tracking (flags, redirect, prefixes)
 *                    --prefixes--> prefix (text, sessions, changed keys) ...
 *
 * Sessions are found by ID when they are told something, so that one that leaves has nothing to take out of the first
 * table. While anybody tracks, the keyspace tells of changes (keyspace->watched). Very many readers of one key are told
 * in slices (tracking_notice.c).
 */
#include "engine/tracking.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "ds/table.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "tracking_priv.h"

enum { STEP_KEYS = 32 }; /* taken down by whoever comes along */

/* A key that somebody has read. */
struct tracked {
    struct tracked *older, *newer;
    uint64_t hash;
    uint64_t epoch; /* in which it was read; if the trackers' is another it is forgotten */
    uint64_t *ids;  /* owned: of its readers, ascending */
    uint32_t count, room;
    size_t len;
    char name[];
};

/* A key that has changed since the last broadcast. */
struct changed {
    uint64_t hash;
    uint64_t by; /* ID of the session that did it last; 0: none */
    size_t len;
    char name[];
};

struct prefix {
    struct prefix *next_dirty; /* borrowed */
    uint64_t hash;
    uint64_t *ids; /* owned: of the sessions that have it, ascending */
    size_t count, room;
    struct table changed; /* of struct changed, owned */
    size_t len;
    char text[];
};

/* Where the ID is, or belongs, among those that ascend. */
static size_t place_of(const uint64_t *ids, size_t count, uint64_t id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many prefixes have that length. */
struct prefix_len {
    size_t len, count;
};

struct trackers {
    struct table keys;               /* of struct tracked, owned */
    struct tracked *oldest, *newest; /* the same, by age */
    struct table prefixes;           /* of struct prefix, owned */
    struct prefix_len *lens;         /* owned: of the prefixes, ascending */
    size_t len_count;
    struct prefix *first_dirty, *last_dirty; /* borrowed: prefixes with changed keys */
    size_t clients, items, max_keys;
    size_t forgotten, forgotten_items; /* of the keys, and their items: of earlier epochs */
    uint64_t epoch;
    struct notices notices; /* of keys that changed */
};

struct tracking {
    uint32_t flags; /* enum tracking_flag */
    uint64_t redirect;
    uint64_t heard;                              /* number of the last notice that it knows of */
    struct session *session;                     /* borrowed: whose it is */
    struct tracking *next_source, **prev_source; /* in the list of the session that it redirects to, if that is there */
    struct prefix **prefixes;                    /* owned array, borrowed items */
    size_t prefix_count;
    const struct command_info *caching_in; /* borrowed: the command whose subcommand set TRACKING_CACHING */
};

static uint64_t tracked_hash(const void *item)
{
    return ((const struct tracked *)item)->hash;
}

static bool tracked_matches(const void *item, const void *name)
{
    const struct tracked *key = item;
    return bytes_equal(bytes_make(key->name, key->len), *(const struct bytes *)name);
}

static uint64_t changed_hash(const void *item)
{
    return ((const struct changed *)item)->hash;
}

static bool changed_matches(const void *item, const void *name)
{
    const struct changed *key = item;
    return bytes_equal(bytes_make(key->name, key->len), *(const struct bytes *)name);
}

static const struct table_type tracked_type = { .hash = tracked_hash };
static const struct table_type changed_type = { .hash = changed_hash };

static uint64_t prefix_hash(const void *item)
{
    return ((const struct prefix *)item)->hash;
}

static bool prefix_matches(const void *item, const void *text)
{
    const struct prefix *prefix = item;
    return bytes_equal(bytes_make(prefix->text, prefix->len), *(const struct bytes *)text);
}

static const struct table_type prefix_type = { .hash = prefix_hash };

struct trackers *trackers_create(void)
{
    struct trackers *trackers = mem_zalloc(sizeof *trackers);
    table_init(&trackers->keys, &tracked_type);
    table_init(&trackers->prefixes, &prefix_type);
    return trackers;
}

/* --- Keys that were read --- */

static bool is_forgotten(const struct trackers *trackers, const struct tracked *key)
{
    return key->epoch != trackers->epoch;
}

static size_t remembered(const struct trackers *trackers)
{
    return table_count(&trackers->keys) - trackers->forgotten;
}

static struct tracked *find_any(const struct trackers *trackers, struct bytes name, uint64_t hash)
{
    uint64_t *slot = table_find(&trackers->keys, hash, tracked_matches, &name);
    return slot ? table_slot_item(slot) : NULL;
}

static struct tracked *add(struct trackers *trackers, struct bytes name, uint64_t hash)
{
    struct tracked *key = mem_alloc(sizeof *key + name.len);
    *key = (struct tracked){ .older = trackers->newest, .hash = hash, .epoch = trackers->epoch, .len = name.len };
    if (name.len)
        memcpy(key->name, name.ptr, name.len);
    *(trackers->newest ? &trackers->newest->newer : &trackers->oldest) = key;
    trackers->newest = key;
    table_insert(&trackers->keys, hash, key);
    return key;
}

static void forget(struct trackers *trackers, struct tracked *key)
{
    struct bytes name = bytes_make(key->name, key->len);
    table_remove(&trackers->keys, key->hash, table_find(&trackers->keys, key->hash, tracked_matches, &name));
    *(key->older ? &key->older->newer : &trackers->oldest) = key->newer;
    *(key->newer ? &key->newer->older : &trackers->newest) = key->older;
    trackers->items -= key->count;
    if (is_forgotten(trackers, key)) {
        trackers->forgotten--;
        trackers->forgotten_items -= key->count;
    }
    mem_free(key->ids);
    mem_free(key);
}

/* The key, if it is remembered. */
static struct tracked *find(struct trackers *trackers, struct bytes name, uint64_t hash)
{
    struct tracked *key = trackers->oldest ? find_any(trackers, name, hash) : NULL;
    if (!key || !is_forgotten(trackers, key))
        return key;
    forget(trackers, key);
    return NULL;
}

/* Notes a reader; O(readers of the key). */
static void add_reader(struct trackers *trackers, struct tracked *key, uint64_t id)
{
    size_t low = place_of(key->ids, key->count, id);
    if (low < key->count && key->ids[low] == id)
        return;
    if (key->count == key->room) {
        key->room = key->room ? 2 * key->room : 2;
        key->ids = mem_realloc(key->ids, key->room * sizeof *key->ids);
    }
    memmove(&key->ids[low + 1], &key->ids[low], (key->count - low) * sizeof *key->ids);
    key->ids[low] = id;
    key->count++;
    trackers->items++;
}

/* --- Messages --- */

static void append_bulk(struct buf *out, struct bytes text)
{
    buf_printf(out, "$%zu\r\n", text.len);
    buf_append(out, text);
    buf_append_cstr(out, "\r\n");
}

/* The messages' receiver is gone: the client is told, if it can be. */
static void send_broken(struct session *session)
{
    session->tracking->flags |= TRACKING_BROKEN;
    if (session->reply.proto != 3)
        return;
    struct buf message = BUF_EMPTY;
    buf_printf(
        &message, ">2\r\n$21\r\ntracking-redir-broken\r\n:%llu\r\n", (unsigned long long)session->tracking->redirect);
    output_append(session_push(session), buf_bytes(&message));
    session->transport->wake(session->connection);
    buf_fini(&message);
}

/* Sends keys, encoded as an array, or word of everything, to whom the session's messages go. */
static void send_keys(struct session *session, struct bytes keys, bool everything)
{
    static const char pushed[] = ">2\r\n$10\r\ninvalidate\r\n";
    static const char published[] = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
    uint64_t redirect = session->tracking->redirect;
    if (session->flags & SESSION_CLOSING)
        return;
    struct session *target = redirect ? session_find(session->engine, redirect) : session;
    if (!target || target->flags & SESSION_CLOSING) {
        send_broken(session);
        return;
    }
    bool resp3 = target->reply.proto == 3;
    if (!resp3 && !(redirect && target->subscriber)) /* it could not tell the message from a reply */
        return;
    struct output *out = session_push(target);
    output_append(out, bytes_from_cstr(resp3 ? pushed : published));
    if (everything)
        keys = resp3 ? BYTES("_\r\n") : BYTES("$-1\r\n");
    output_append(out, keys);
    target->transport->wake(target->connection);
}

void tracking_tell(struct session *reader, enum news news, struct bytes keys, uint64_t by)
{
    const struct tracking *tracking = reader->tracking;
    if (!tracking)
        return;
    bool broadcasts = tracking->flags & TRACKING_BROADCAST;
    if (news != NEWS_EVERYTHING && broadcasts != (news == NEWS_BROADCAST))
        return;
    if (!(tracking->flags & TRACKING_NO_LOOP && reader->id == by))
        send_keys(reader, keys, news == NEWS_EVERYTHING);
}

/* Notes whether somebody still is to be told. */
static void note_telling(struct engine *engine)
{
    engine->is_telling = engine->trackers->notices.first;
    engine->is_strict |= engine->is_telling;
}

/* The key is not what its readers have: they are told, and it is forgotten. `by` changed it; NULL: nobody. */
static void invalidate(struct engine *engine, struct tracked *key, const struct session *by)
{
    struct trackers *trackers = engine->trackers;
    struct buf keys = BUF_EMPTY;
    buf_append_cstr(&keys, "*1\r\n");
    append_bulk(&keys, bytes_make(key->name, key->len));
    uint64_t *ids = key->ids;
    uint32_t count = key->count;
    key->ids = NULL;
    forget(trackers, key);
    notices_add(engine, &trackers->notices, NEWS_READ, keys, ids, count, by ? by->id : 0);
    note_telling(engine);
}

bool tracking_hand_out(struct engine *engine, uint64_t budget_ns)
{
    bool more = notices_hand_out(engine, &engine->trackers->notices, budget_ns);
    note_telling(engine);
    return more;
}

void trackers_catch_up(struct session *session)
{
    struct notices *notices = &session->engine->trackers->notices;
    if (session->tracking)
        notices_catch_up(notices, session, &session->tracking->heard);
    for (struct tracking *source = session->sources; source; source = source->next_source)
        notices_catch_up(notices, source->session, &source->heard);
}

bool tracking_step(struct engine *engine, size_t keys)
{
    struct trackers *trackers = engine->trackers;
    while (trackers->forgotten || (trackers->max_keys && remembered(trackers) > trackers->max_keys)) {
        if (keys-- == 0)
            return true;
        if (is_forgotten(trackers, trackers->oldest))
            forget(trackers, trackers->oldest);
        else
            invalidate(engine, trackers->oldest, NULL);
    }
    return false;
}

void tracking_limit(struct engine *engine, size_t max_keys)
{
    engine->trackers->max_keys = max_keys;
    tracking_step(engine, STEP_KEYS);
}

/* --- Prefixes --- */

static struct prefix *prefix_find(const struct trackers *trackers, struct bytes text)
{
    uint64_t *slot = table_find(&trackers->prefixes, hash_bytes(text.ptr, text.len), prefix_matches, &text);
    return slot ? table_slot_item(slot) : NULL;
}

/* One more prefix of that length. */
static void count_len(struct trackers *trackers, size_t len)
{
    size_t at = 0;
    while (at < trackers->len_count && trackers->lens[at].len < len)
        at++;
    if (at == trackers->len_count || trackers->lens[at].len != len) {
        trackers->lens = mem_realloc(trackers->lens, ++trackers->len_count * sizeof *trackers->lens);
        memmove(&trackers->lens[at + 1], &trackers->lens[at], (trackers->len_count - at - 1) * sizeof *trackers->lens);
        trackers->lens[at] = (struct prefix_len){ .len = len };
    }
    trackers->lens[at].count++;
}

/* One less. */
static void discount_len(struct trackers *trackers, size_t len)
{
    size_t at = 0;
    while (trackers->lens[at].len != len)
        at++;
    if (--trackers->lens[at].count == 0)
        memmove(&trackers->lens[at], &trackers->lens[at + 1], (--trackers->len_count - at) * sizeof *trackers->lens);
}

static struct prefix *prefix_open(struct trackers *trackers, struct bytes text)
{
    struct prefix *prefix = prefix_find(trackers, text);
    if (prefix)
        return prefix;
    prefix = mem_alloc(sizeof *prefix + text.len);
    *prefix = (struct prefix){ .hash = hash_bytes(text.ptr, text.len), .len = text.len };
    if (text.len)
        memcpy(prefix->text, text.ptr, text.len);
    table_init(&prefix->changed, &changed_type);
    table_insert(&trackers->prefixes, prefix->hash, prefix);
    count_len(trackers, text.len);
    return prefix;
}

static size_t kept_bytes(const struct prefix *prefix)
{
    return sizeof *prefix + 2 * sizeof prefix + prefix->len;
}

static void clear_changed(struct prefix *prefix)
{
    struct changed *key;
    while ((key = table_drain(&prefix->changed)))
        mem_free(key);
}

/* The session has the prefix no more; with the last one it goes. */
static void prefix_leave(struct trackers *trackers, struct prefix *prefix, struct session *session)
{
    session_drops(session, kept_bytes(prefix));
    size_t at = place_of(prefix->ids, prefix->count, session->id);
    prefix->count--;
    memmove(&prefix->ids[at], &prefix->ids[at + 1], (prefix->count - at) * sizeof *prefix->ids);
    if (prefix->count)
        return;
    struct prefix *before = NULL, *dirty = trackers->first_dirty;
    for (; dirty && dirty != prefix; dirty = dirty->next_dirty)
        before = dirty;
    if (dirty) {
        *(before ? &before->next_dirty : &trackers->first_dirty) = prefix->next_dirty;
        if (!prefix->next_dirty)
            trackers->last_dirty = before;
    }
    struct bytes text = bytes_make(prefix->text, prefix->len);
    table_remove(
        &trackers->prefixes, prefix->hash, table_find(&trackers->prefixes, prefix->hash, prefix_matches, &text));
    discount_len(trackers, prefix->len);
    clear_changed(prefix);
    table_fini(&prefix->changed);
    mem_free(prefix->ids);
    mem_free(prefix);
}

static void prefix_join(struct session *session, struct bytes text)
{
    struct tracking *tracking = session->tracking;
    struct prefix *prefix = prefix_open(session->engine->trackers, text);
    if (prefix->count == prefix->room) {
        prefix->room = prefix->room ? 2 * prefix->room : 2;
        prefix->ids = mem_realloc(prefix->ids, prefix->room * sizeof *prefix->ids);
    }
    size_t at = place_of(prefix->ids, prefix->count, session->id);
    memmove(&prefix->ids[at + 1], &prefix->ids[at], (prefix->count - at) * sizeof *prefix->ids);
    prefix->ids[at] = session->id;
    prefix->count++;
    session_keeps(session, kept_bytes(prefix));
    tracking->prefixes = mem_realloc(tracking->prefixes, (tracking->prefix_count + 1) * sizeof *tracking->prefixes);
    tracking->prefixes[tracking->prefix_count++] = prefix;
}

static void note_changed(struct trackers *trackers, struct prefix *prefix, struct bytes name, uint64_t by)
{
    if (table_count(&prefix->changed) == 0) {
        prefix->next_dirty = NULL;
        *(trackers->last_dirty ? &trackers->last_dirty->next_dirty : &trackers->first_dirty) = prefix;
        trackers->last_dirty = prefix;
    }
    uint64_t hash = hash_bytes(name.ptr, name.len);
    uint64_t *slot = table_find(&prefix->changed, hash, changed_matches, &name);
    struct changed *key = slot ? table_slot_item(slot) : NULL;
    if (!key) {
        key = mem_alloc(sizeof *key + name.len);
        *key = (struct changed){ .hash = hash, .len = name.len };
        if (name.len)
            memcpy(key->name, name.ptr, name.len);
        table_insert(&prefix->changed, hash, key);
    }
    key->by = by;
}

static int compare_changed(const void *a, const void *b)
{
    const struct changed *x = *(struct changed *const *)a, *y = *(struct changed *const *)b;
    return bytes_compare(bytes_make(x->name, x->len), bytes_make(y->name, y->len));
}

/* The keys as an array, without those that `except` changed itself (0: all); returns how many. */
static size_t encode_changed(struct changed **keys, size_t count, uint64_t except, struct buf *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        kept += !except || keys[i]->by != except;
    buf_printf(out, "*%zu\r\n", kept);
    for (size_t i = 0; i < count; i++)
        if (!except || keys[i]->by != except)
            append_bulk(out, bytes_make(keys[i]->name, keys[i]->len));
    return kept;
}

/* Who changed some of the keys and does not want to hear of it: gets the others, apart. */
static void broadcast_to_changers(
    struct engine *engine, const struct prefix *prefix, struct changed **keys, size_t count, uint64_t *ids)
{
    struct buf some = BUF_EMPTY;
    for (size_t i = 0; i < count; i++) {
        size_t at = place_of(prefix->ids, prefix->count, keys[i]->by);
        if (at == prefix->count || ids[at] != keys[i]->by) /* has not the prefix, or was told */
            continue;
        struct session *session = session_find(engine, keys[i]->by);
        if (!session || !(session->tracking->flags & TRACKING_NO_LOOP))
            continue;
        ids[at] |= NOTICE_TOLD;
        buf_clear(&some);
        if (encode_changed(keys, count, session->id, &some))
            send_keys(session, buf_bytes(&some), false);
    }
    buf_fini(&some);
}

static void broadcast(struct engine *engine, struct prefix *prefix)
{
    size_t count = table_count(&prefix->changed), at = 0;
    if (!count)
        return;
    struct changed **keys = mem_alloc(count * sizeof *keys);
    while (at < count && (keys[at] = table_drain(&prefix->changed)))
        at++;
    qsort(keys, count, sizeof *keys, compare_changed);
    struct buf all = BUF_EMPTY;
    encode_changed(keys, count, 0, &all);
    uint64_t *ids = mem_dup(prefix->ids, prefix->count * sizeof *ids);
    broadcast_to_changers(engine, prefix, keys, count, ids);
    notices_add(engine, &engine->trackers->notices, NEWS_BROADCAST, all, ids, prefix->count, 0);
    for (size_t i = 0; i < count; i++)
        mem_free(keys[i]);
    mem_free(keys);
}

static int compare_prefixes(const void *a, const void *b)
{
    const struct prefix *x = *(struct prefix *const *)a, *y = *(struct prefix *const *)b;
    return bytes_compare(bytes_make(x->text, x->len), bytes_make(y->text, y->len));
}

/* In the order of the prefixes, as Redis does it. */
void tracking_broadcast(struct engine *engine)
{
    struct trackers *trackers = engine->trackers;
    size_t count = 0;
    for (const struct prefix *prefix = trackers->first_dirty; prefix; prefix = prefix->next_dirty)
        count++;
    if (!count)
        return;
    struct prefix **dirty = mem_alloc(count * sizeof *dirty);
    size_t at = 0;
    for (struct prefix *prefix = trackers->first_dirty; prefix; prefix = prefix->next_dirty)
        dirty[at++] = prefix;
    trackers->first_dirty = trackers->last_dirty = NULL;
    qsort(dirty, count, sizeof *dirty, compare_prefixes);
    for (size_t i = 0; i < count; i++)
        broadcast(engine, dirty[i]);
    mem_free(dirty);
    note_telling(engine);
}

/* --- Sessions --- */

static void leave_target(struct tracking *tracking)
{
    if (!tracking->prev_source)
        return;
    *tracking->prev_source = tracking->next_source;
    if (tracking->next_source)
        tracking->next_source->prev_source = tracking->prev_source;
    tracking->prev_source = NULL;
}

static void join_target(struct tracking *tracking, uint64_t id)
{
    leave_target(tracking);
    tracking->redirect = id;
    struct session *target = id ? session_find(tracking->session->engine, id) : NULL;
    if (!target)
        return;
    tracking->next_source = target->sources;
    tracking->prev_source = &target->sources;
    if (target->sources)
        target->sources->prev_source = &tracking->next_source;
    target->sources = tracking;
}

void tracking_leave_sources(struct session *session)
{
    while (session->sources)
        leave_target(session->sources);
}

void tracking_begin(
    struct session *session, uint32_t flags, uint64_t redirect, const struct bytes *prefixes, size_t count)
{
    struct trackers *trackers = session->engine->trackers;
    if (!session->tracking) {
        session->tracking = mem_zalloc(sizeof *session->tracking);
        session->tracking->session = session;
        trackers->clients++;
        session->engine->keyspace->watched++;
    }
    session->tracking->flags = flags;
    join_target(session->tracking, redirect);
    if (flags & TRACKING_BROADCAST && count == 0 && session->tracking->prefix_count == 0)
        prefix_join(session, BYTES(""));
    for (size_t i = 0; i < count; i++)
        prefix_join(session, prefixes[i]);
}

void tracking_end(struct session *session)
{
    struct tracking *tracking = session->tracking;
    if (!tracking)
        return;
    struct trackers *trackers = session->engine->trackers;
    for (size_t i = 0; i < tracking->prefix_count; i++)
        prefix_leave(trackers, tracking->prefixes[i], session);
    leave_target(tracking);
    mem_free(tracking->prefixes);
    mem_free(tracking);
    session->tracking = NULL;
    trackers->clients--;
    session->engine->keyspace->watched--;
}

uint32_t tracking_flags(const struct session *session)
{
    return session->tracking->flags;
}

uint64_t tracking_redirect(const struct session *session)
{
    return session->tracking->redirect;
}

size_t tracking_prefixes(const struct session *session)
{
    return session->tracking->prefix_count;
}

struct bytes tracking_prefix(const struct session *session, size_t index)
{
    const struct prefix *prefix = session->tracking->prefixes[index];
    return bytes_make(prefix->text, prefix->len);
}

void tracking_set_caching(struct call *call)
{
    call->session->tracking->flags |= TRACKING_CACHING;
    call->session->tracking->caching_in = call->command->parent;
}

/* --- The engine's news --- */

void tracking_executed(struct call *call)
{
    enum { KEYS_AT_ONCE = 64 };
    struct trackers *trackers = call->engine->trackers;
    uint32_t flags = call->session->tracking->flags;
    bool caching = flags & TRACKING_CACHING;
    if (!(call->command->flags & CMD_READ) || flags & TRACKING_BROADCAST)
        return;
    if ((flags & TRACKING_OPT_IN && !caching) || (flags & TRACKING_OPT_OUT && caching))
        return;
    struct key_position few[KEYS_AT_ONCE], *keys = few;
    int count = command_keys(call->command, call->argv, call->argc, few, KEYS_AT_ONCE);
    if (count > KEYS_AT_ONCE) {
        keys = mem_alloc((size_t)count * sizeof *keys);
        count = command_keys(call->command, call->argv, call->argc, keys, count);
    }
    for (int i = 0; i < count; i++) {
        if (keys[i].flags & KEY_NOT_KEY)
            continue;
        struct bytes name = call->argv[keys[i].index];
        uint64_t hash = hash_bytes(name.ptr, name.len);
        struct tracked *key = find(trackers, name, hash);
        add_reader(trackers, key ? key : add(trackers, name, hash), call->session->id);
    }
    if (keys != few)
        mem_free(keys);
    tracking_step(call->engine, (size_t)(count > 0 ? count : 0) + STEP_KEYS);
}

void tracking_finished(struct session *session, const struct command_info *command)
{
    struct tracking *tracking = session->tracking;
    bool is_kin = command && command->parent && command->parent == tracking->caching_in;
    if (!session->transaction && !is_kin)
        tracking->flags &= ~(uint32_t)TRACKING_CACHING;
}

bool tracking_is_caching(const struct session *session)
{
    return session->tracking && session->tracking->flags & TRACKING_CACHING;
}

void trackers_touched(struct engine *engine, struct bytes name)
{
    struct trackers *trackers = engine->trackers;
    if (!trackers->clients && !trackers->oldest)
        return;
    struct session *by = engine->executing ? engine->current : NULL;
    for (size_t i = 0; i < trackers->len_count && trackers->lens[i].len <= name.len; i++) {
        struct prefix *prefix = prefix_find(trackers, bytes_make(name.ptr, trackers->lens[i].len));
        if (prefix)
            note_changed(trackers, prefix, name, by ? by->id : 0);
    }
    struct tracked *key = find(trackers, name, hash_bytes(name.ptr, name.len));
    if (key)
        invalidate(engine, key, by);
}

/* A transaction or command that empties several databases is told of once. */
void trackers_replaced(struct engine *engine)
{
    struct trackers *trackers = engine->trackers;
    if (!trackers->clients || (engine->executing && engine->told_of_flush))
        return;
    engine->told_of_flush = engine->executing != 0;
    uint64_t *ids = mem_alloc(trackers->clients * sizeof *ids);
    size_t count = 0;
    for (struct session *session = engine->sessions; session; session = session->next)
        if (session->tracking)
            ids[count++] = session->id;
    notices_add(engine, &trackers->notices, NEWS_EVERYTHING, BUF_EMPTY, ids, count, 0);
    note_telling(engine);
    trackers->epoch++;
    trackers->forgotten = table_count(&trackers->keys);
    trackers->forgotten_items = trackers->items;
    for (struct prefix *prefix = trackers->first_dirty; prefix; prefix = prefix->next_dirty)
        clear_changed(prefix);
    trackers->first_dirty = trackers->last_dirty = NULL;
}

void trackers_destroy(struct engine *engine)
{
    struct trackers *trackers = engine->trackers;
    ASSERT(!trackers->clients && !trackers->len_count);
    while (trackers->oldest)
        forget(trackers, trackers->oldest);
    notices_drop(&trackers->notices);
    table_fini(&trackers->keys);
    table_fini(&trackers->prefixes);
    mem_free(trackers->lens);
    mem_free(trackers);
}

void tracking_stats_read(const struct engine *engine, struct tracking_stats *stats)
{
    const struct trackers *trackers = engine->trackers;
    *stats = (struct tracking_stats){
        .clients = trackers->clients,
        .keys = remembered(trackers),
        .items = trackers->items - trackers->forgotten_items,
        .prefixes = table_count(&trackers->prefixes),
    };
}

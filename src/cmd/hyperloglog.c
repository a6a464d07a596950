/*
 * HyperLogLog commands, on top of strings: a key is a string whose bytes are one (ds/hll.h).
 *
 * A dense one is changed where it lies, and only opened for that when a register really rises. A sparse one, which is
 * short, is changed in a copy and stored again; so is one that becomes dense. The bytes are those that redis-server
 * would have after the same commands.
 *
 * Costs: PFADD O(1) an element if dense, O(hll-sparse-max-bytes) if sparse. PFCOUNT of one key answers the cached count
 * while that is good; otherwise, and for each key that is merged, all 16384 registers are read: about 20 us. Very many
 * elements, and many keys, go on in slices. A dense one that is open meanwhile is a blob, which nobody moves and, once
 * it is changed, nobody else reads.
 */
#include <string.h>

#include "base/buf.h"
#include "base/num.h"
#include "cmd/families.h"
#include "ds/hll.h"
#include "engine/call.h"
#include "many_words_priv.h"
#include "store/settings.h"
#include "store/string.h"
#include "words_priv.h"

enum {
    HLL_SPARSE_ROOM = HLL_HEADER + 2 * HLL_REGISTERS, /* no well-formed sparse one is longer */
    HLL_RAISE_BYTES = 3,                              /* that a raise may add */
    MERGES_AT_ONCE = 24,
    ELEMENT_COST = 3,  /* of adding one, for fiber_breathe, ... */
    SPARSE_COST = 30,  /* ... to a sparse one, ... */
    MERGE_COST = 1500, /* ... and of merging a key */
};

static void fail_corrupt(struct call *call)
{
    reply_error(call->reply, BYTES("INVALIDOBJ Corrupted HLL object detected"));
}

/* True if the entry (NULL counts as fitting) holds one; *hll is its bytes. Otherwise answers why not. */
static bool view(struct call *call, const struct entry *entry, struct string_scratch *scratch, struct bytes *hll)
{
    *hll = (struct bytes){ 0 };
    if (!entry)
        return true;
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return false;
    *hll = string_view(entry, scratch);
    if (hll_is_valid(*hll))
        return true;
    reply_error(call->reply, BYTES("WRONGTYPE Key is not a valid HyperLogLog string value."));
    return false;
}

static size_t sparse_max(const struct call *call)
{
    int64_t max = call->keyspace->settings->hll_sparse_max_bytes;
    return max < HLL_SPARSE_ROOM ? (size_t)max : HLL_SPARSE_ROOM;
}

/* A copy to change in the arena, or a new one if `hll` is none; false, answered, when memory is out. */
static bool buffer_open(struct call *call, struct hll_buffer *buffer, struct bytes hll)
{
    size_t room = sparse_max(call) > HLL_DENSE_BYTES ? sparse_max(call) : HLL_DENSE_BYTES;
    buffer->room = (hll.len > room ? hll.len : room) + HLL_RAISE_BYTES;
    buffer->ptr = arena_try_alloc(call->arena, buffer->room);
    if (!buffer->ptr) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    if (!hll.ptr) {
        hll_init(buffer);
        return true;
    }
    memcpy(buffer->ptr, hll.ptr, hll.len);
    buffer->len = hll.len;
    return true;
}

/*
 * Stores what was changed. Opening the string for editing would give a large one room to grow, which it does not need;
 * a small one has to count as raw, as it does in Redis. False, answered, when memory is out.
 */
static bool buffer_store(struct call *call, struct key key, struct entry *entry, struct hll_buffer *buffer)
{
    struct bytes hll = { buffer->ptr, buffer->len };
    if (hll.len > ENTRY_EMBED_MAX) {
        keyspace_set_text(call->keyspace, call->db, key, hll, EXPIRY_KEEP, call->now_ms);
        return true;
    }
    char *at = keyspace_edit_string(call->keyspace, call->db, key, entry, hll.len);
    if (!at) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    memcpy(at, hll.ptr, hll.len);
    return true;
}

/* --- PFADD --- */

/* The first element that raises anything; argc if none does. */
static uint32_t first_raise(const struct call *call, struct bytes hll)
{
    uint32_t i = 2;
    for (; i < call->argc && hll_would_raise(hll, hll_place(call->argv[i])) == HLL_SAME; i++)
        fiber_breathe(ELEMENT_COST);
    return i;
}

static void add_dense(struct call *call, struct key key, struct entry *entry, struct bytes hll)
{
    uint32_t first = first_raise(call, hll);
    if (first == call->argc) {
        reply_int(call->reply, 0);
        return;
    }
    char *open = keyspace_edit_string(call->keyspace, call->db, key, entry, hll.len);
    if (!open) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    uint64_t raised = 0;
    for (uint32_t i = first; i < call->argc; i++) {
        raised += hll_raise_dense(open, hll_place(call->argv[i]));
        fiber_breathe(ELEMENT_COST);
    }
    hll_set_stale(open);
    call->keyspace->stats.dirty += raised - 1;
    call_notify(call, NOTIFY_STRING, "pfadd", call->argv[1]);
    reply_int(call->reply, 1);
}

static void add_sparse(struct call *call, struct key key, struct entry *entry, struct bytes hll)
{
    uint32_t first = entry ? first_raise(call, hll) : 2;
    if (entry && first == call->argc) {
        reply_int(call->reply, 0);
        return;
    }
    struct hll_buffer buffer;
    if (!buffer_open(call, &buffer, hll))
        return;
    size_t max = sparse_max(call);
    uint64_t raised = !entry;
    for (uint32_t i = first; i < call->argc; i++) {
        enum hll_raised result = hll_raise(&buffer, hll_place(call->argv[i]), max);
        if (result == HLL_CORRUPT) {
            fail_corrupt(call);
            return;
        }
        raised += result == HLL_RAISED;
        fiber_breathe(SPARSE_COST);
    }
    if (raised) {
        hll_set_stale(buffer.ptr);
        if (!buffer_store(call, key, entry, &buffer))
            return;
        call->keyspace->stats.dirty += raised - 1;
        call_notify(call, NOTIFY_STRING, "pfadd", call->argv[1]);
    }
    reply_int(call->reply, raised > 0);
}

static void run_pfadd(struct call *call)
{
    if (words_aside(call))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    struct string_scratch scratch;
    struct bytes hll;
    if (!view(call, entry, &scratch, &hll))
        return;
    if (entry && hll_is_dense(hll))
        add_dense(call, key, entry, hll);
    else
        add_sparse(call, key, entry, hll);
}

/* --- PFCOUNT --- */

/* As call_aside, where that many are merged. */
static bool merges_aside(struct call *call)
{
    return call->argc > MERGES_AT_ONCE && call_aside(call, CALL_AT_ONCE);
}

/* Merges the arguments from `first` on, missing keys aside; false if one was refused, which was answered. */
static bool merge_arguments(struct call *call, uint32_t first, uint8_t *registers, bool *any_dense)
{
    for (uint32_t i = first; i < call->argc; i++) {
        const struct entry *entry = call_read(call, i);
        struct string_scratch scratch;
        struct bytes hll;
        if (!view(call, entry, &scratch, &hll))
            return false;
        fiber_breathe(MERGE_COST);
        if (!entry)
            continue;
        *any_dense |= hll_is_dense(hll);
        if (!hll_merge_into(registers, hll)) {
            fail_corrupt(call);
            return false;
        }
    }
    return true;
}

/* A count that was computed is kept in the string: the one change that a command makes that only reads. */
static void count_one(struct call *call)
{
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_read(call->keyspace, call->db, key, call->now_ms);
    struct string_scratch scratch;
    struct bytes hll;
    uint64_t count = 0;
    if (!view(call, entry, &scratch, &hll))
        return;
    if (entry && !hll_cached(hll, &count)) {
        if (!hll_count(hll, &count)) {
            fail_corrupt(call);
            return;
        }
        char *open = keyspace_edit_string(call->keyspace, call->db, key, entry, hll.len);
        if (open) {
            hll_set_cached(open, count);
            call_propagate(call, call->argv, call->argc);
        }
    }
    reply_int(call->reply, (int64_t)count);
}

static void run_pfcount(struct call *call)
{
    if (call->argc == 2) {
        count_one(call);
        return;
    }
    if (merges_aside(call))
        return;
    uint8_t registers[HLL_REGISTERS] = { 0 };
    bool any_dense = false;
    if (merge_arguments(call, 1, registers, &any_dense))
        reply_int(call->reply, (int64_t)hll_count_registers(registers));
}

/* --- PFMERGE --- */

static bool raise_all(struct hll_buffer *buffer, const uint8_t *registers, size_t max)
{
    struct hll_cursor cursor = HLL_CURSOR_FIRST;
    for (uint32_t i = 0; i < HLL_REGISTERS; i++) {
        struct hll_place place = { i, registers[i] };
        if (!place.value)
            continue;
        fiber_breathe(SPARSE_COST);
        if (hll_raise_next(buffer, &cursor, place, max) == HLL_CORRUPT)
            return false;
        if (hll_is_dense((struct bytes){ buffer->ptr, buffer->len })) {
            hll_write_dense(buffer->ptr, registers);
            break;
        }
    }
    return true;
}

/* Bytes of sparse ones among the arguments. This only looks: what is missing is missed once, when it is read. */
static size_t sparse_bytes(struct call *call)
{
    size_t sum = 0;
    for (uint32_t i = 1; i < call->argc; i++) {
        const struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, i), call->now_ms);
        struct string_scratch scratch;
        struct bytes hll = entry && entry->type == ENTRY_STRING ? string_view(entry, &scratch) : (struct bytes){ 0 };
        sum += hll_is_valid(hll) && !hll_is_dense(hll) ? hll.len : 0;
    }
    return sum;
}

/* Raising a register of a sparse one, of which each byte may hold one, is as much work as an item. */
static void run_pfmerge(struct call *call)
{
    if (merges_aside(call) || (!fiber_running && call_aside(call, sparse_bytes(call))))
        return;
    uint8_t registers[HLL_REGISTERS] = { 0 };
    bool any_dense = false;
    if (!merge_arguments(call, 1, registers, &any_dense))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    struct string_scratch scratch;
    struct bytes hll;
    struct hll_buffer buffer;
    if (!view(call, entry, &scratch, &hll) || !buffer_open(call, &buffer, hll))
        return;
    if ((any_dense && !hll_is_dense((struct bytes){ buffer.ptr, buffer.len }) && !hll_make_dense(&buffer)) ||
        !raise_all(&buffer, registers, sparse_max(call))) {
        fail_corrupt(call);
        return;
    }
    hll_set_stale(buffer.ptr);
    if (!buffer_store(call, key, entry, &buffer))
        return;
    call_notify(call, NOTIFY_STRING, "pfadd", call->argv[1]);
    reply_ok(call->reply);
}

/* --- For tests --- */

static void reply_runs(struct call *call, struct bytes hll)
{
    struct buf text = BUF_EMPTY;
    size_t at = HLL_HEADER;
    for (struct hll_run run; hll_read_run(hll, at, &run); at += run.size) {
        const char *space = text.len ? " " : "";
        if (run.value)
            buf_printf(&text, "%sv:%u,%u", space, run.value, run.len);
        else
            buf_printf(&text, "%s%c:%u", space, run.size == 1 ? 'z' : 'Z', run.len);
    }
    reply_bulk(call->reply, buf_bytes(&text));
    buf_fini(&text);
}

static void reply_registers(struct call *call, struct bytes hll)
{
    reply_array(call->reply, HLL_REGISTERS);
    for (uint32_t i = 0; i < HLL_REGISTERS; i++)
        reply_int(call->reply, hll_dense_register(hll, i));
}

static void run_pfdebug(struct call *call)
{
    struct key key = call_key(call, 2);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    struct string_scratch scratch;
    struct bytes hll;
    if (!entry) {
        reply_error(call->reply, BYTES("ERR The specified key does not exist"));
        return;
    }
    if (!view(call, entry, &scratch, &hll))
        return;
    bool dense = hll_is_dense(hll), registers = call_arg_is(call, 1, "GETREG");
    if (call_arg_is(call, 1, "ENCODING")) {
        reply_status(call->reply, dense ? BYTES("dense") : BYTES("sparse"));
    } else if (call_arg_is(call, 1, "DECODE")) {
        if (dense)
            reply_error(call->reply, BYTES("ERR HLL encoding is not sparse"));
        else
            reply_runs(call, hll);
    } else if (registers || call_arg_is(call, 1, "TODENSE")) {
        struct hll_buffer buffer;
        if (!buffer_open(call, &buffer, hll))
            return;
        if (!dense && !hll_make_dense(&buffer)) {
            fail_corrupt(call);
            return;
        }
        if (!dense && !buffer_store(call, key, entry, &buffer))
            return;
        if (registers)
            reply_registers(call, (struct bytes){ buffer.ptr, buffer.len });
        else
            reply_int(call->reply, !dense);
    } else {
        struct bytes word = call->argv[1];
        reply_error_printf(
            call->reply, "ERR Unknown PFDEBUG subcommand '%.*s'", (int)word.len, word.len ? word.ptr : "");
    }
}

/*
 * Counts from 1 to 100,000 elements and tests, at each power of ten, that sparse, dense and plain registers agree and
 * that the estimate is within six standard errors.
 */
static void run_pfselftest(struct call *call)
{
    enum { ELEMENTS = 100000 };
    struct hll_buffer sparse, dense;
    uint8_t registers[HLL_REGISTERS];
    if (!buffer_open(call, &sparse, (struct bytes){ 0 }) || !buffer_open(call, &dense, (struct bytes){ 0 }))
        return;
    bool sound = hll_make_dense(&dense);
    int64_t checkpoint = 1;
    for (int64_t i = 1; i <= ELEMENTS && sound; i++) {
        char text[NUM_I64_MAX_LEN];
        struct hll_place place = hll_place(bytes_make(text, num_format_i64(text, i)));
        sound = hll_raise_dense(dense.ptr, place) ==
                (hll_raise(&sparse, place, store_settings_default.hll_sparse_max_bytes) == HLL_RAISED);
        if (i != checkpoint || !sound)
            continue;
        checkpoint *= 10;
        uint64_t counts[3] = { 0 };
        memset(registers, 0, sizeof registers);
        sound = hll_merge_into(registers, (struct bytes){ dense.ptr, dense.len }) &&
                hll_count((struct bytes){ dense.ptr, dense.len }, &counts[0]) &&
                hll_count((struct bytes){ sparse.ptr, sparse.len }, &counts[1]);
        counts[2] = hll_count_registers(registers);
        double error = (double)counts[0] - (double)i, deviation = 1 + (double)i * 1.04 / 128;
        sound = sound && counts[0] == counts[1] && counts[1] == counts[2] && error * error < 36 * deviation * deviation;
    }
    if (sound)
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR the HyperLogLog does not count as it should"));
}

const struct command hyperloglog_commands[] = {
    { .name = "PFADD",
        .run = run_pfadd,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HYPERLOGLOG,
        .keys = { KEY_AT(1, KEY_RW | KEY_INSERT) },
        .since = "2.8.9",
        .complexity = "O(N) where N is the number of elements given.",
        .usage = "key [element [element ...]]",
        .brief = "Adds elements to a HyperLogLog, which is created if missing." },
    { .name = "PFCOUNT",
        .run = run_pfcount,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_MAY_REPLICATE,
        .group = GROUP_HYPERLOGLOG,
        .keys = { KEY_RANGE(1, -1, 1, KEY_RW | KEY_ACCESS) },
        .since = "2.8.9",
        .complexity =
            "O(1) for one key whose count is known; else O(N), with a large factor, where N is the number of keys.",
        .usage = "key [key ...]",
        .brief = "Estimates how many different elements were added to one or more HyperLogLogs together." },
    { .name = "PFMERGE",
        .run = run_pfmerge,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_HYPERLOGLOG,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_INSERT), KEY_RANGE(2, -1, 1, KEY_READ_ACCESS) },
        .since = "2.8.9",
        .complexity = "O(N), with a large factor, where N is the number of keys.",
        .usage = "destkey [sourcekey [sourcekey ...]]",
        .brief = "Adds what was added to some HyperLogLogs to another one." },
    { .name = "PFDEBUG",
        .run = run_pfdebug,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_ADMIN,
        .group = GROUP_HYPERLOGLOG,
        .keys = { KEY_AT(2, KEY_RW | KEY_ACCESS) },
        .since = "2.8.9",
        .complexity = "O(N) where N is the number of registers.",
        .usage = "subcommand key",
        .brief = "Shows a HyperLogLog from inside, for tests." },
    { .name = "PFSELFTEST",
        .run = run_pfselftest,
        .argc = EXACTLY(1),
        .flags = CMD_ADMIN,
        .group = GROUP_HYPERLOGLOG,
        .since = "2.8.9",
        .complexity = "O(1); some milliseconds.",
        .usage = "",
        .brief = "Tests the counting of elements." },
    { 0 },
};

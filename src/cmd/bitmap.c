/*
 * Bitmaps: strings as arrays of bits, bit 0 being the highest bit of the first byte.
 *
 * BITCOUNT and BITPOS over more than a megabyte go on as tasks, in slices of some 20 us. What they read are blobs that
 * they hold references to, and which therefore do not change under them: the count or position is that of the moment at
 * which the command came. BITOP of as much, or of very many keys, goes aside (engine/aside.h): its keys stay as they
 * are until the result is stored.
 */
#include "bitmap_priv.h"

#include <string.h>

#include "base/fiber.h"
#include "base/mem.h"
#include "bits_priv.h"
#include "cmd/families.h"
#include "engine/aside.h"
#include "engine/task.h"

enum {
    BITS_AT_ONCE = 1024 * 1024, /* bytes read up to which no task is made */
    COUNT_SLICE = 256 * 1024,   /* bytes */
    OPERAND_COST = 10,          /* for fiber_breathe */
};

/* --- Single bits --- */

bool bitmap_arg_offset(struct call *call, uint32_t index, uint32_t field_bits, uint64_t *offset)
{
    struct bytes text = call->argv[index];
    int64_t value = -1;
    uint64_t unit = 1;
    if (field_bits > 0 && text.len > 0 && text.ptr[0] == '#') {
        unit = field_bits;
        text = bytes_make(text.ptr + 1, text.len - 1);
    }
    if (num_parse_i64(text, &value)) /* what a large '#' overflows to is taken as it is, like everywhere */
        value = (int64_t)((uint64_t)value * unit);
    if (value >= 0 && (uint64_t)value >> 3 < call->engine->settings->bulk_max) {
        *offset = (uint64_t)value;
        return true;
    }
    reply_error(call->reply, BYTES("ERR bit offset is not an integer or out of range"));
    return false;
}

static inline unsigned bit_of_byte(uint64_t offset)
{
    return 0x80u >> (offset & 7);
}

static bool bit_at(struct bytes text, uint64_t offset)
{
    return offset >> 3 < text.len && (unsigned char)text.ptr[offset >> 3] & bit_of_byte(offset);
}

static void run_setbit(struct call *call)
{
    uint64_t offset;
    int64_t bit;
    if (!bitmap_arg_offset(call, 2, 0, &offset) ||
        !call_arg_i64(call, 3, 0, 1, "ERR bit is not an integer or out of range", &bit))
        return;
    struct key key = call_key(call, 1);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes text = entry ? string_view(entry, &scratch) : BYTES("");
    bool old = bit_at(text, offset);
    size_t byte = (size_t)(offset >> 3);
    bool changes = byte >= text.len || old != bit;
    if (changes || !bitmap_is_raw(entry)) {
        char *at = string_open(call, key, entry, byte < text.len ? text.len : byte + 1, 1);
        if (!at)
            return;
        at[byte] = (char)(bit ? (unsigned char)at[byte] | bit_of_byte(offset)
                              : (unsigned char)at[byte] & ~bit_of_byte(offset));
    }
    if (changes)
        call_notify(call, NOTIFY_STRING, "setbit", call->argv[1]);
    reply_int(call->reply, old);
}

static void run_getbit(struct call *call)
{
    uint64_t offset;
    if (!bitmap_arg_offset(call, 2, 0, &offset))
        return;
    const struct entry *entry = call_read(call, 1);
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    reply_int(call->reply, entry && bit_at(string_view(entry, &scratch), offset));
}

/* --- Counting and finding --- */

/* A count or a search over the bits `at` to before `end`. */
struct scan {
    struct task task;
    struct blob *blob; /* owned reference */
    uint64_t at, end;
    uint64_t sum;      /* count: so far */
    int64_t otherwise; /* search: the answer if there is no such bit */
    bool is_search, bit;
};

static bool step_scan(struct task *task, struct call *call)
{
    struct scan *scan = (struct scan *)task;
    const char *text = scan->blob->data;
    uint64_t next = scan->end - scan->at < 8 * COUNT_SLICE ? scan->end : scan->at + 8 * COUNT_SLICE;
    if (scan->is_search) {
        int64_t found = bits_find(text, scan->bit, scan->at, next);
        if (found >= 0 || next == scan->end) {
            reply_int(call->reply, found >= 0 ? found : scan->otherwise);
            return true;
        }
    } else {
        scan->sum += bits_count(text, scan->at, next);
        if (next == scan->end) {
            reply_int(call->reply, (int64_t)scan->sum);
            return true;
        }
    }
    scan->at = next;
    return false;
}

static void destroy_scan(struct task *task)
{
    struct scan *scan = (struct scan *)task;
    blob_unref(scan->blob);
    mem_free(scan);
}

/* Answers what `scan` asks for about the entry's string, `text`. */
static void run_scan(struct call *call, const struct entry *entry, struct bytes text, const struct scan *scan)
{
    static const struct task_type type = { step_scan, destroy_scan };
    if (scan->end - scan->at > 8 * (uint64_t)BITS_AT_ONCE) {
        struct scan *own = mem_dup(scan, sizeof *scan);
        own->task.type = &type;
        own->blob = blob_ref(string_blob(entry));
        call_defer(call, &own->task);
    } else if (scan->is_search) {
        int64_t found = bits_find(text.ptr, scan->bit, scan->at, scan->end);
        reply_int(call->reply, found >= 0 ? found : scan->otherwise);
    } else {
        reply_int(call->reply, (int64_t)bits_count(text.ptr, scan->at, scan->end));
    }
}

/* Reads the unit of a range, BIT or BYTE; *unit is its size in bits. */
static bool read_unit(struct call *call, uint32_t index, uint64_t *unit)
{
    if (call_arg_is(call, index, "BIT"))
        *unit = 1;
    else if (call_arg_is(call, index, "BYTE"))
        *unit = 8;
    else {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

/*
 * The bits that a range of units covers, in a string of `len` bytes: negative ones count from its end, both ends are
 * included. False if there are none.
 */
static bool resolve_range(int64_t start, int64_t end, uint64_t unit, size_t len, struct scan *scan)
{
    int64_t total = (int64_t)(len * 8 / unit);
    if (start < 0)
        start = start < -total ? 0 : start + total;
    if (end < 0)
        end = end < -total ? 0 : end + total;
    if (end >= total)
        end = total - 1;
    if (start > end)
        return false;
    scan->at = (uint64_t)start * unit;
    scan->end = ((uint64_t)end + 1) * unit;
    return true;
}

static void run_bitcount(struct call *call)
{
    int64_t start = 0, end = -1;
    uint64_t unit = 8;
    if (call->argc == 3 || call->argc > 5) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if ((call->argc > 3 && (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &start) ||
                               !call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, &end))) ||
        (call->argc > 4 && !read_unit(call, 4, &unit)))
        return;
    const struct entry *entry = call_read(call, 1);
    if (entry && !call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes text = entry ? string_view(entry, &scratch) : BYTES("");
    struct scan scan = { 0 };
    bool backwards = start < 0 && end < 0 && start > end; /* even where both lie before the string */
    if (entry && !backwards && resolve_range(start, end, unit, text.len, &scan))
        run_scan(call, entry, text, &scan);
    else
        reply_int(call->reply, 0);
}

static void run_bitpos(struct call *call)
{
    int64_t bit, start = 0, end = -1;
    uint64_t unit = 8;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &bit))
        return;
    if (bit != 0 && bit != 1) {
        reply_error(call->reply, BYTES("ERR The bit argument must be 1 or 0."));
        return;
    }
    if (call->argc > 6) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return;
    }
    if ((call->argc > 3 && !call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, &start)) ||
        (call->argc > 5 && !read_unit(call, 5, &unit)) ||
        (call->argc > 4 && !call_arg_i64(call, 4, INT64_MIN, INT64_MAX, NULL, &end)))
        return;
    const struct entry *entry = call_read(call, 1);
    if (!entry) {
        reply_int(call->reply, bit ? -1 : 0);
        return;
    }
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes text = string_view(entry, &scratch);
    struct scan scan = { .is_search = true, .bit = bit, .otherwise = -1 };
    if (!resolve_range(start, end, unit, text.len, &scan)) {
        reply_int(call->reply, -1);
        return;
    }
    if (!bit && call->argc <= 4) /* without an end, zeros are thought to follow the string */
        scan.otherwise = (int64_t)(8 * text.len);
    run_scan(call, entry, text, &scan);
}

/* --- Combining --- */

struct bitop {
    enum bits_op op;
    size_t count;
    struct bytes *texts; /* of so many operands, empty for what is missing */
    struct key dest;
    struct blob *result; /* owned */
};

static const struct bitop_name {
    const char *word;
    enum bits_op op;
    size_t min, max; /* operands; max 0: no limit */
} bitop_names[] = {
    { "AND", BITS_AND, 1, 0 },
    { "OR", BITS_OR, 1, 0 },
    { "XOR", BITS_XOR, 1, 0 },
    { "NOT", BITS_NOT, 1, 1 },
    { "DIFF", BITS_DIFF, 2, 0 },
    { "DIFF1", BITS_DIFF1, 2, 0 },
    { "ANDOR", BITS_ANDOR, 2, 0 },
    { "ONE", BITS_ONE, 1, 0 },
};

/* The operation, if the number of operands suits it; otherwise NULL after an error reply. */
static const struct bitop_name *read_operation(struct call *call)
{
    size_t operands = call->argc - 3;
    for (size_t i = 0; i < sizeof bitop_names / sizeof *bitop_names; i++) {
        const struct bitop_name *name = &bitop_names[i];
        if (!call_arg_is(call, 1, name->word))
            continue;
        if (name->max && operands > name->max)
            reply_error_printf(call->reply, "ERR BITOP %s must be called with a single source key.", name->word);
        else if (operands < name->min)
            reply_error_printf(call->reply, "ERR BITOP %s must be called with at least two source keys.", name->word);
        else
            return name;
        return NULL;
    }
    reply_fail(call->reply, ERROR_SYNTAX);
    return NULL;
}

/* What Redis 7 does not know is told of as the result. */
static void propagate_bitop(struct call *call, const struct bitop *bitop)
{
    if (bitop->op <= BITS_NOT || !call_is_propagated(call))
        return;
    struct string_scratch scratch;
    const struct entry *entry = keyspace_peek(call->keyspace, call->db, bitop->dest, call->now_ms);
    call_propagate_words(call, "SET", key_bytes(bitop->dest), string_view(entry, &scratch));
}

/* The result stays raw to OBJECT ENCODING, whatever it spells, and does not expire. */
static void store_small(struct call *call, const struct bitop *bitop)
{
    struct key dest = bitop->dest;
    struct bytes result = blob_bytes(bitop->result);
    struct entry *entry = keyspace_write(call->keyspace, call->db, dest, call->now_ms);
    bool replaces = entry;
    if (entry && (entry->type != ENTRY_STRING || entry_expiry(entry) != EXPIRY_NONE)) {
        keyspace_remove(call->keyspace, call->db, dest);
        entry = NULL;
    }
    if (replaces) /* no new key to those who are told of events */
        call->keyspace->tells_arrivals = false;
    char *at = string_open(call, dest, entry, result.len, result.len);
    engine_refresh_notifications(call->engine);
    if (!at)
        return;
    memcpy(at, result.ptr, result.len);
    call_notify(call, NOTIFY_STRING, "set", key_bytes(dest));
    propagate_bitop(call, bitop);
    reply_int(call->reply, (int64_t)result.len);
}

static void store_result(struct call *call, struct bitop *bitop)
{
    size_t len = bitop->result->len;
    if (len == 0) {
        if (keyspace_write(call->keyspace, call->db, bitop->dest, call->now_ms)) {
            call_remove(call, bitop->dest);
            call_propagate_words(call, "DEL", key_bytes(bitop->dest));
        }
        reply_int(call->reply, 0);
    } else if (len <= ENTRY_EMBED_MAX) {
        store_small(call, bitop);
    } else {
        struct blob *result = bitop->result;
        bitop->result = NULL;
        keyspace_set_string_take(call->keyspace, call->db, bitop->dest, result, EXPIRY_NONE, call->now_ms);
        call_notify(call, NOTIFY_STRING, "set", key_bytes(bitop->dest));
        propagate_bitop(call, bitop);
        reply_int(call->reply, (int64_t)len);
    }
}

/* True if the operands together are so much that BITOP has gone aside. */
static bool put_aside(struct call *call)
{
    if (fiber_running)
        return false;
    if (call_aside(call, call->argc))
        return true;
    size_t sum = 0;
    for (uint32_t i = 3; i < call->argc; i++) {
        const struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, i), call->now_ms);
        struct blob *blob = entry && entry->type == ENTRY_STRING ? string_blob(entry) : NULL;
        sum += blob ? blob->len : 0;
    }
    return sum > BITS_AT_ONCE && call_aside(call, CALL_AT_ONCE);
}

/* Finds the operands; false if one is no string, or memory is out, which was answered. *longest is their length. */
static bool read_operands(struct call *call, struct bitop *bitop, size_t *longest)
{
    bitop->texts = arena_try_alloc(call->arena, bitop->count * sizeof *bitop->texts);
    struct string_scratch *scratch = arena_try_alloc(call->arena, bitop->count * sizeof *scratch);
    if (!bitop->texts || !scratch) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    *longest = 0;
    for (uint32_t i = 0; i < bitop->count; i++) {
        const struct entry *entry = call_read(call, 3 + i);
        if (!call_expect_type(call, entry, ENTRY_STRING))
            return false;
        bitop->texts[i] = entry ? string_view(entry, &scratch[i]) : BYTES("");
        if (bitop->texts[i].len > *longest)
            *longest = bitop->texts[i].len;
        fiber_breathe(OPERAND_COST);
    }
    return true;
}

static void run_bitop(struct call *call)
{
    const struct bitop_name *name = read_operation(call);
    struct bitop bitop = { .count = call->argc - 3, .dest = call_key(call, 2) };
    size_t len;
    if (!name || put_aside(call) || !read_operands(call, &bitop, &len))
        return;
    bitop.op = name->op;
    bitop.result = blob_try_create(len);
    if (!bitop.result) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    bitop.result->len = len;
    bits_combine(bitop.op, bitop.texts, bitop.count, bitop.result->data, 0, len);
    store_result(call, &bitop);
    blob_unref(bitop.result);
}

static const char *const unit_history[] = { "7.0.0", "Options BYTE and BIT.", NULL };
static const char *const bitop_history[] = { "8.2.0", "Operations DIFF, DIFF1, ANDOR and ONE.", NULL };

const struct command bitmap_commands[] = {
    { .name = "SETBIT",
        .run = run_setbit,
        .argc = EXACTLY(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "2.2.0",
        .complexity = "O(1), and the gap, if the offset lies behind the end.",
        .usage = "key offset value",
        .brief = "Sets or clears a bit of a string and replies with what it was." },
    { .name = "GETBIT",
        .run = run_getbit,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.2.0",
        .complexity = "O(1)",
        .usage = "key offset",
        .brief = "Replies with a bit of a string." },
    { .name = "BITCOUNT",
        .run = run_bitcount,
        .argc = AT_LEAST(2),
        .flags = CMD_READ,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.6.0",
        .complexity = "O(N)",
        .usage = "key [start end [BYTE | BIT]]",
        .brief = "Counts the ones among the bits of a string, or of a part of it.",
        .history = unit_history },
    { .name = "BITPOS",
        .run = run_bitpos,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "2.8.7",
        .complexity = "O(N)",
        .usage = "key bit [start [end [BYTE | BIT]]]",
        .brief = "Finds the first one, or the first zero, among the bits of a string, or of a part of it.",
        .history = unit_history },
    { .name = "BITOP",
        .run = run_bitop,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(2, KEY_OW | KEY_UPDATE), KEY_RANGE(3, -1, 1, KEY_READ_ACCESS) },
        .since = "2.6.0",
        .complexity = "O(N)",
        .usage = "<AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE> destkey key [key ...]",
        .brief = "Combines the bits of strings and stores the result.",
        .history = bitop_history },
    { 0 },
};

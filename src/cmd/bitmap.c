/*
 * Bitmaps: strings as arrays of bits, bit 0 being the highest bit of the first byte.
 *
 * BITCOUNT, BITPOS and BITOP over more than a megabyte go on as tasks, in slices of some 20 us. What they read are
 * blobs that they hold references to, and which therefore do not change under them: the count or position is that of
 * the moment at which the command came. BITOP must also store its result as of one moment. When it has finished it
 * makes sure that all sources are still what it read; if one is not, it begins again, and after a few times does all at
 * once. The cost of that, 0.1 ms a megabyte, is the bound of what others may wait.
 */
#include "bitmap_priv.h"

#include <string.h>

#include "base/mem.h"
#include "bits_priv.h"
#include "cmd/families.h"
#include "engine/task.h"

enum {
    BITS_AT_ONCE = 1024 * 1024, /* bytes read up to which no task is made */
    COUNT_SLICE = 256 * 1024,   /* bytes */
    COMBINE_SLICE = 128 * 1024, /* bytes read */
    COMBINE_RESTARTS = 3,
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

/* One key that BITOP reads. */
struct operand {
    struct bytes key;  /* borrowed from argv, or owned by a task */
    struct blob *blob; /* a task's reference to the content; NULL for a missing key */
};

struct bitop {
    struct task task;
    enum bits_op op;
    size_t count;
    struct operand *operands; /* `count`; a task's own */
    struct bytes *texts;      /* their contents, empty for what is missing; a task's own */
    struct bytes dest;        /* like the operands' keys */
    size_t len;               /* of the result */
    size_t bytes_read;
    size_t at;           /* bytes of the result that are ready */
    struct blob *result; /* owned */
    int restarts;
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

/*
 * A task has no words of its own, and is told of as the command that it was. What Redis 7 does not know is told of as
 * the result.
 */
static void propagate_bitop(struct call *call, const struct bitop *bitop)
{
    if (!call_is_propagated(call))
        return;
    if (bitop->op > BITS_NOT) {
        struct string_scratch scratch;
        const struct entry *entry = keyspace_peek(call->keyspace, call->db, key_make(bitop->dest), call->now_ms);
        call_propagate_words(call, "SET", bitop->dest, string_view(entry, &scratch));
        return;
    }
    static const char *const words[] = { [BITS_AND] = "AND", [BITS_OR] = "OR", [BITS_XOR] = "XOR", [BITS_NOT] = "NOT" };
    struct bytes *argv = arena_alloc(call->arena, (3 + bitop->count) * sizeof *argv);
    argv[0] = BYTES("BITOP");
    argv[1] = bytes_from_cstr(words[bitop->op]);
    argv[2] = bitop->dest;
    for (size_t i = 0; i < bitop->count; i++)
        argv[3 + i] = bitop->operands[i].key;
    call_propagate(call, argv, 3 + (uint32_t)bitop->count);
}

/* The result stays raw to OBJECT ENCODING, whatever it spells, and does not expire. */
static void store_small(struct call *call, struct key dest, const struct bitop *bitop)
{
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
    struct key dest = key_make(bitop->dest);
    if (bitop->len == 0) {
        if (keyspace_write(call->keyspace, call->db, dest, call->now_ms)) {
            call_remove(call, dest);
            call_propagate_words(call, "DEL", bitop->dest);
        }
        reply_int(call->reply, 0);
    } else if (bitop->len <= ENTRY_EMBED_MAX) {
        store_small(call, dest, bitop);
    } else {
        struct blob *result = bitop->result;
        bitop->result = NULL;
        keyspace_set_string_take(call->keyspace, call->db, dest, result, EXPIRY_NONE, call->now_ms);
        call_notify(call, NOTIFY_STRING, "set", bitop->dest);
        propagate_bitop(call, bitop);
        reply_int(call->reply, (int64_t)bitop->len);
    }
}

/* Makes room for a result of the length that the texts ask for; false after an error reply. */
static bool bitop_begin(struct call *call, struct bitop *bitop)
{
    bitop->len = bitop->bytes_read = bitop->at = 0;
    for (size_t i = 0; i < bitop->count; i++) {
        bitop->bytes_read += bitop->texts[i].len;
        if (bitop->texts[i].len > bitop->len)
            bitop->len = bitop->texts[i].len;
    }
    if (!bitop->result || bitop->result->cap < bitop->len) {
        blob_unref(bitop->result);
        bitop->result = blob_try_create(bitop->len);
    }
    if (!bitop->result) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    bitop->result->len = bitop->len;
    return true;
}

/* The string at an operand's key, NULL if there is none. A wrong type was refused, or counts as a change. */
static const struct entry *find_operand(struct call *call, const struct operand *operand)
{
    return keyspace_peek(call->keyspace, call->db, key_make(operand->key), call->now_ms);
}

static bool is_unchanged(struct call *call, const struct operand *operand)
{
    const struct entry *entry = find_operand(call, operand);
    if (!entry || !operand->blob)
        return !entry && !operand->blob;
    if (entry->type != ENTRY_STRING)
        return false;
    struct string_scratch scratch;
    struct blob *blob = string_blob(entry);
    return blob ? blob == operand->blob : bytes_equal(string_view(entry, &scratch), blob_bytes(operand->blob));
}

/* Takes a reference to what is at the operand's key now, or a copy if it is small; false after an error reply. */
static bool pin_operand(struct call *call, struct bitop *bitop, size_t index)
{
    struct operand *operand = &bitop->operands[index];
    const struct entry *entry = find_operand(call, operand);
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return false;
    blob_unref(operand->blob);
    operand->blob = NULL;
    bitop->texts[index] = BYTES("");
    if (entry) {
        struct string_scratch scratch;
        struct blob *blob = string_blob(entry);
        operand->blob = blob ? blob_ref(blob) : blob_from_bytes(string_view(entry, &scratch));
        bitop->texts[index] = blob_bytes(operand->blob);
    }
    return true;
}

static bool pin_operands(struct call *call, struct bitop *bitop)
{
    for (size_t i = 0; i < bitop->count; i++)
        if (!pin_operand(call, bitop, i))
            return false;
    return bitop_begin(call, bitop);
}

static bool operands_are_unchanged(struct call *call, const struct bitop *bitop)
{
    for (size_t i = 0; i < bitop->count; i++)
        if (!is_unchanged(call, &bitop->operands[i]))
            return false;
    return true;
}

static bool step_bitop(struct task *task, struct call *call)
{
    struct bitop *bitop = (struct bitop *)task;
    if (bitop->at < bitop->len) {
        size_t slice = COMBINE_SLICE / bitop->count;
        size_t left = bitop->len - bitop->at;
        if (slice < 4096)
            slice = 4096;
        if (slice > left || bitop->restarts == COMBINE_RESTARTS)
            slice = left;
        bits_combine(bitop->op, bitop->texts, bitop->count, bitop->result->data, bitop->at, bitop->at + slice);
        bitop->at += slice;
        if (bitop->at < bitop->len)
            return false;
    }
    if (!operands_are_unchanged(call, bitop)) {
        bitop->restarts++;
        if (!pin_operands(call, bitop))
            return true;
        if (bitop->restarts < COMBINE_RESTARTS)
            return false;
        bits_combine(bitop->op, bitop->texts, bitop->count, bitop->result->data, 0, bitop->len);
    }
    store_result(call, bitop);
    return true;
}

static void destroy_bitop(struct task *task)
{
    struct bitop *bitop = (struct bitop *)task;
    for (size_t i = 0; i < bitop->count; i++) {
        blob_unref(bitop->operands[i].blob);
        mem_free((char *)bitop->operands[i].key.ptr);
    }
    mem_free((char *)bitop->dest.ptr);
    mem_free(bitop->operands);
    mem_free(bitop->texts);
    blob_unref(bitop->result);
    mem_free(bitop);
}

/* Goes on as a task, with copies of everything borrowed. */
static void bitop_defer(struct call *call, const struct bitop *begun)
{
    static const struct task_type type = { step_bitop, destroy_bitop };
    struct bitop *bitop = mem_dup(begun, sizeof *begun);
    bitop->task.type = &type;
    bitop->result = NULL;
    bitop->dest.ptr = bytes_dup_cstr(begun->dest);
    bitop->operands = mem_zalloc(bitop->count * sizeof *bitop->operands);
    bitop->texts = mem_zalloc(bitop->count * sizeof *bitop->texts);
    for (size_t i = 0; i < bitop->count; i++) {
        struct bytes key = begun->operands[i].key;
        bitop->operands[i].key = bytes_make(bytes_dup_cstr(key), key.len);
    }
    if (pin_operands(call, bitop))
        call_defer(call, &bitop->task);
    else
        destroy_bitop(&bitop->task);
}

static void run_bitop(struct call *call)
{
    const struct bitop_name *name = read_operation(call);
    if (!name)
        return;
    for (uint32_t i = 3; i < call->argc; i++)
        if (!call_expect_type(call, call_read(call, i), ENTRY_STRING))
            return;
    struct bitop bitop = { .op = name->op, .count = call->argc - 3, .dest = call->argv[2] };
    bitop.operands = arena_try_alloc(call->arena, bitop.count * sizeof *bitop.operands);
    bitop.texts = arena_try_alloc(call->arena, bitop.count * sizeof *bitop.texts);
    struct string_scratch *scratch = arena_try_alloc(call->arena, bitop.count * sizeof *scratch);
    if (!bitop.operands || !bitop.texts || !scratch) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    size_t bytes_read = 0;
    for (size_t i = 0; i < bitop.count; i++) {
        bitop.operands[i] = (struct operand){ .key = call->argv[i + 3] };
        const struct entry *entry = find_operand(call, &bitop.operands[i]);
        bitop.texts[i] = entry ? string_view(entry, &scratch[i]) : BYTES("");
        bytes_read += bitop.texts[i].len;
    }
    if (bytes_read > BITS_AT_ONCE) {
        bitop_defer(call, &bitop);
    } else if (bitop_begin(call, &bitop)) {
        bits_combine(bitop.op, bitop.texts, bitop.count, bitop.result->data, 0, bitop.len);
        store_result(call, &bitop);
    }
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

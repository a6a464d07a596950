/*
 * Bitfields: integers of any width at any bit of a string, the highest bit first.
 *
 *   bit    0 1 2 3 4 5 6 7 8 9 ...          u5 at offset 3 is the bits 3 to 7, u5 at #1 the bits 5 to 9
 *
 * All subcommands are read before the first is executed, so that a mistake leaves the string as it was. Results are
 * collected and answered at the end. The string is opened for editing at the first change, or at once if it must grow:
 * a command that changes nothing touches nothing. Very many subcommands are executed aside (engine/aside.h): nobody
 * sees the string between the first change and the last.
 */

#include "base/fiber.h"
#include "bitmap_priv.h"
#include "cmd/families.h"
#include "engine/aside.h"

enum { FIELD_COST = 5 }; /* for fiber_breathe */

enum field_op { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum field_overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

/* One subcommand, and then its result. */
struct field {
    enum field_op op;
    enum field_overflow overflow;
    bool is_signed;
    uint8_t bits;
    bool failed; /* the answer is null */
    uint64_t offset;
    int64_t value; /* operand; later the answer */
};

struct field_list {
    struct field *fields;
    uint32_t count;
    bool writes;
    uint64_t end; /* of the bits that are written */
};

/* The string under way. */
struct field_text {
    struct key key;
    struct entry *entry;
    const char *ptr; /* borrowed: the entry's, or scratch */
    size_t len;
    char *open;         /* the same once it may be changed; NULL before */
    bool grew, changed; /* beyond its old end; at all, to those who are told of events */
};

/* --- Reading the command --- */

static bool read_type(struct call *call, uint32_t index, struct field *field)
{
    struct bytes text = call->argv[index];
    int64_t bits;
    if (text.len > 1 && (text.ptr[0] == 'i' || text.ptr[0] == 'u')) {
        field->is_signed = text.ptr[0] == 'i';
        if (num_parse_i64(bytes_make(text.ptr + 1, text.len - 1), &bits) && bits >= 1 &&
            bits <= (field->is_signed ? 64 : 63)) {
            field->bits = (uint8_t)bits;
            return true;
        }
    }
    reply_error(
        call->reply, BYTES("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported "
                           "but i64 is."));
    return false;
}

static bool read_overflow(struct call *call, uint32_t index, enum field_overflow *overflow)
{
    if (call_arg_is(call, index, "WRAP")) {
        *overflow = OVERFLOW_WRAP;
    } else if (call_arg_is(call, index, "SAT")) {
        *overflow = OVERFLOW_SAT;
    } else if (call_arg_is(call, index, "FAIL")) {
        *overflow = OVERFLOW_FAIL;
    } else {
        reply_error(call->reply, BYTES("ERR Invalid OVERFLOW type specified"));
        return false;
    }
    return true;
}

/* What a subcommand's word asks for: the operation, and how many arguments follow; 0 if there is no such word. */
static uint32_t read_op(struct bytes word, enum field_op *op)
{
    if (bytes_is(word, "GET")) {
        *op = FIELD_GET;
        return 2;
    }
    *op = bytes_is(word, "SET") ? FIELD_SET : FIELD_INCRBY;
    return *op == FIELD_SET || bytes_is(word, "INCRBY") ? 3 : 0;
}

static bool read_fields(struct call *call, struct field_list *list)
{
    enum field_overflow overflow = OVERFLOW_WRAP;
    *list = (struct field_list){ 0 };
    list->fields = arena_try_alloc(call->arena, (call->argc / 3 + 1) * sizeof *list->fields);
    if (!list->fields) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    uint32_t used;
    for (uint32_t i = 2; i < call->argc; i += 1 + used) {
        uint32_t left = call->argc - i - 1;
        fiber_breathe(FIELD_COST);
        struct field field = { .overflow = overflow };
        used = 1;
        if (left >= 1 && call_arg_is(call, i, "OVERFLOW")) {
            if (!read_overflow(call, i + 1, &overflow))
                return false;
            continue;
        }
        used = read_op(call->argv[i], &field.op);
        if (used == 0 || used > left) {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
        if (!read_type(call, i + 1, &field) || !bitmap_arg_offset(call, i + 2, field.bits, &field.offset))
            return false;
        if (field.op != FIELD_GET) {
            if (!call_arg_i64(call, i + 3, INT64_MIN, INT64_MAX, NULL, &field.value))
                return false;
            list->writes = true;
            if (field.offset + field.bits > list->end)
                list->end = field.offset + field.bits;
        }
        list->fields[list->count++] = field;
    }
    return true;
}

/* --- Bits --- */

/* How many of the bits from `offset` on, at most `left`, lie in its byte. */
static inline unsigned bits_in_byte(uint64_t offset, unsigned left)
{
    unsigned room = 8 - (unsigned)(offset & 7);
    return room < left ? room : left;
}

static uint64_t get_bits(const struct field_text *text, uint64_t offset, unsigned bits)
{
    uint64_t value = 0;
    for (unsigned count; bits > 0; offset += count, bits -= count) {
        count = bits_in_byte(offset, bits);
        size_t at = (size_t)(offset >> 3);
        unsigned byte = at < text->len ? (unsigned char)text->ptr[at] : 0;
        unsigned below = 8 - (unsigned)(offset & 7) - count;
        value = value << count | (byte >> below & ((1u << count) - 1));
    }
    return value;
}

static void set_bits(char *open, uint64_t offset, unsigned bits, uint64_t value)
{
    for (unsigned count; bits > 0; offset += count, bits -= count) {
        count = bits_in_byte(offset, bits);
        unsigned below = 8 - (unsigned)(offset & 7) - count;
        unsigned mask = ((1u << count) - 1) << below;
        unsigned part = (unsigned)(value >> (bits - count)) << below & mask;
        char *byte = &open[offset >> 3];
        *byte = (char)(((unsigned char)*byte & ~mask) | part);
    }
}

static uint64_t low_bits(uint64_t value, unsigned bits)
{
    return bits == 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

/* The number that a field's bits are. */
static int64_t field_number(const struct field *field, uint64_t raw)
{
    unsigned above = 64 - field->bits;
    return field->is_signed ? (int64_t)(raw << above) >> above : (int64_t)raw;
}

/* --- Arithmetic --- */

/*
 * What is to be stored for old + increment (SET: 0 + value) by the field's rule for what does not fit; false if it is
 * not to be stored. A number that is SET and lies so far below the field that 64 bits do not hold its distance from the
 * field's largest number (any negative one, for unsigned fields) counts as too large: saturation has always made it so.
 */
static bool add(const struct field *field, int64_t old, uint64_t *raw)
{
    int64_t max = (int64_t)((UINT64_C(1) << (field->bits - field->is_signed)) - 1);
    int64_t min = field->is_signed ? -max - 1 : 0;
    int64_t sum, distance;
    bool wrapped = __builtin_add_overflow(old, field->value, &sum);
    bool is_over = wrapped ? field->value > 0 : sum > max;
    bool is_under = wrapped ? field->value < 0 : sum < min;
    if (field->op == FIELD_SET && is_under && (!field->is_signed || __builtin_sub_overflow(max, sum, &distance))) {
        is_over = true;
        is_under = false;
    }
    if (!(is_over || is_under) || field->overflow == OVERFLOW_WRAP) {
        *raw = low_bits((uint64_t)sum, field->bits);
        return true;
    }
    *raw = low_bits((uint64_t)(is_over ? max : min), field->bits);
    return field->overflow == OVERFLOW_SAT;
}

/* Opens the string for editing, unless that is done already; false after an error reply. */
static bool open_text(struct call *call, struct field_text *text, size_t len)
{
    if (text->open)
        return true;
    text->open = string_open(call, text->key, text->entry, len, sizeof(uint64_t));
    text->ptr = text->open;
    text->len = len;
    return text->open;
}

/* Executes one subcommand; its result is in the field. False after an error reply. */
static bool run_field(struct call *call, struct field_text *text, struct field *field)
{
    uint64_t raw = get_bits(text, field->offset, field->bits), stored;
    int64_t old = field_number(field, raw);
    if (field->op != FIELD_GET) {
        if (!add(field, field->op == FIELD_SET ? 0 : old, &stored)) {
            field->failed = true;
            return true;
        }
        text->changed |= text->grew || stored != raw;
        if (stored != raw) {
            if (!open_text(call, text, text->len))
                return false;
            set_bits(text->open, field->offset, field->bits, stored);
        }
        if (field->op == FIELD_INCRBY)
            old = field_number(field, stored);
    }
    field->value = old;
    return true;
}

/* --- The commands --- */

static void execute(struct call *call, bool read_only)
{
    struct field_list list;
    if (call_aside(call, call->argc / 3) || !read_fields(call, &list))
        return;
    if (list.writes && read_only) {
        reply_error(call->reply, BYTES("ERR BITFIELD_RO only supports the GET subcommand"));
        return;
    }
    struct field_text text = { .key = call_key(call, 1) };
    text.entry = (list.writes ? keyspace_write : keyspace_read)(call->keyspace, call->db, text.key, call->now_ms);
    if (!call_expect_type(call, text.entry, ENTRY_STRING))
        return;
    struct string_scratch scratch;
    struct bytes content = text.entry ? string_view(text.entry, &scratch) : BYTES("");
    text.ptr = content.ptr;
    text.len = content.len;
    size_t needed = (size_t)((list.end + 7) / 8);
    bool grows = text.grew = needed > text.len;
    if (list.writes && (grows || !bitmap_is_raw(text.entry)) && !open_text(call, &text, grows ? needed : text.len))
        return;
    for (uint32_t i = 0; i < list.count; i++) {
        if (!run_field(call, &text, &list.fields[i]))
            return;
        fiber_breathe(FIELD_COST);
    }
    if (text.changed)
        call_notify(call, NOTIFY_STRING, "setbit", call->argv[1]);
    reply_array(call->reply, list.count);
    for (uint32_t i = 0; i < list.count; i++) {
        if (list.fields[i].failed)
            reply_null(call->reply);
        else
            reply_int(call->reply, list.fields[i].value);
        fiber_breathe(FIELD_COST);
    }
}

static void run_bitfield(struct call *call)
{
    execute(call, false);
}

static void run_bitfield_ro(struct call *call)
{
    execute(call, true);
}

/* With GET (and OVERFLOW) alone, BITFIELD only reads its key. */
static int find_bitfield_key(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    bool reads_only = true;
    for (uint32_t i = 2; i < argc && reads_only;) {
        uint32_t left = argc - i - 1;
        if (bytes_is(argv[i], "GET") && left >= 2)
            i += 3;
        else if (bytes_is(argv[i], "OVERFLOW") && left >= 1)
            i += 2;
        else
            reads_only = false;
    }
    if (max > 0)
        out[0] = (struct key_position){ 1, reads_only ? KEY_READ_ACCESS : KEY_RW | KEY_ACCESS | KEY_UPDATE };
    return 1;
}

const struct command bitfield_commands[] = {
    { .name = "BITFIELD",
        .run = run_bitfield,
        .argc = AT_LEAST(2),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS) },
        .find_keys = find_bitfield_key,
        .since = "3.2.0",
        .complexity = "O(1) for each subcommand.",
        .usage =
            "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | INCRBY encoding "
            "offset increment> [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | "
            "INCRBY encoding offset increment> ...]]",
        .brief = "Reads and changes integers of any width within a string." },
    { .name = "BITFIELD_RO",
        .run = run_bitfield_ro,
        .argc = AT_LEAST(2),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_BITMAP,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "6.0.0",
        .complexity = "O(1) for each subcommand.",
        .usage = "key [GET encoding offset [GET encoding offset ...]]",
        .brief = "Reads integers of any width within a string." },
    { 0 },
};

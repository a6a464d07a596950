/*
 * The printer: walks the tree with a stack of positions, and writes into a buffer in which there is always room for the
 * next small thing, so that hardly anything is checked on the way.
 *
 * Compact text, which is nearly all, has a loop of its own (print_run): its places in the text and in the tree stay in
 * registers, a key is one copy of what was written for it before, with quotes, colon and the comma or bracket before
 * it. What is long, or is behind a pointer that leads elsewhere, is left to the general functions.
 *
 * Doubles: the shortest digits (base/num), laid out with all digits from 1e-5 up to below 1e16, else with an exponent.
 */
#include "json/print.h"

#include <math.h>

#include "base/num.h"
#include "digits_priv.h"
#include "node_priv.h"
#include "scan_priv.h"

enum {
    STRING_PART = 4096, /* bytes of a string that are written in one go */
    ESCAPED_MAX = 6,
    SMALL_STRING = 64, /* such strings are written without looking for room, ... */
    ITEM_ROOM = 512,   /* ... as there is always so much: enough for a key that is kept and any small value */
    DIGITS_ROOM = 24,  /* for the digits of a double, 17 at most, with what is written beyond them */
};

/* json_iter.at before the first element. */
#define ITER_AT_BEGIN UINT32_MAX

_Static_assert(
    ITEM_ROOM >= JSON_PRINTER_KEY_MAX + SMALL_STRING * ESCAPED_MAX + JSON_NUMBER_MAX_LEN, "an item has room");
_Static_assert(JSON_NUMBER_MAX_LEN >= 1 + 16 + 1 + DIGITS_ROOM, "a number has room for what is copied beyond its end");

/* Room for `len` more bytes behind what there is; what is written is counted by out_end. */
static inline char *out_room(struct buf *out, size_t len)
{
    if (__builtin_expect(out->cap - out->len <= len || out->ptr == NULL, 0)) {
        buf_extend(out, len);
        out->len -= len;
    }
    return out->ptr + out->len;
}

static inline void out_end(struct buf *out, char *end)
{
    out->len = (size_t)(end - out->ptr);
}

static inline void out_char(struct buf *out, char c)
{
    char *at = out_room(out, 1);

    *at++ = c;
    out_end(out, at);
}

static char *write_escape(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[] = "btn\0fr"; /* for 8 to 13 */

    *at++ = '\\';
    if (c == '"' || c == '\\') {
        *at++ = (char)c;
    } else if (c >= 8 && c <= 13 && letters[c - 8] != 0) {
        *at++ = letters[c - 8];
    } else {
        memcpy(at, "u00", 3);
        at[3] = hex[c >> 4];
        at[4] = hex[c & 15];
        at += 5;
    }
    return at;
}

/* True if none of eight bytes needs an escape. */
static inline bool is_plain(uint64_t x)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    uint64_t quote = x ^ ones * '"', backslash = x ^ ones * '\\';

    return ((((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)) & highs) == 0;
}

/* Copies 4 to 15 bytes, in two halves that overlap; false if one of them needs an escape. */
static inline bool copy_plain(char *out, const char *at, size_t len)
{
    uint64_t first, last;

    if (len >= 8) {
        memcpy(&first, at, 8);
        memcpy(&last, at + len - 8, 8);
        if (!is_plain(first) || !is_plain(last))
            return false;
        memcpy(out, &first, 8);
        memcpy(out + len - 8, &last, 8);
        return true;
    }
    uint32_t left, right;
    memcpy(&left, at, 4);
    memcpy(&right, at + len - 4, 4);
    memcpy(out, &left, 4);
    memcpy(out + len - 4, &right, 4);
    return is_plain((uint64_t)left << 32 | right);
}

/* The rest of a text of 16 bytes and more that had no escape: its last 16 bytes once more. False: it has one. */
static inline bool copy_rest(char *out, const char *end, size_t left)
{
#ifdef SCAN_SSE2
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(end - 16));

    if (scan_block_escapes(block) >> (16 - left) != 0)
        return false;
    _mm_storeu_si128((__m128i *)(void *)(out + left - 16), block);
    return true;
#else
    (void)out, (void)end, (void)left;
    return false;
#endif
}

/* Writes with escapes; there is room for ESCAPED_MAX a byte and 16 more. */
static char *write_escaped(char *out, const char *at, size_t len)
{
    const char *begin = at, *end = at + len;
    char *out_begin = out;

    while (at < end) {
        size_t left = (size_t)(end - at);
#ifdef SCAN_SSE2
        if (left >= 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
            unsigned special = scan_block_escapes(block);
            _mm_storeu_si128((__m128i *)(void *)out, block);
            unsigned plain = special == 0 ? 16 : (unsigned)__builtin_ctz(special);
            at += plain;
            out += plain;
            if (special != 0)
                out = write_escape(out, (unsigned char)*at++);
            continue;
        }
#endif
        bool is_plain_so_far = len >= 16 && out - out_begin == at - begin;
        if ((is_plain_so_far && copy_rest(out, end, left)) || (left >= 4 && left < 16 && copy_plain(out, at, left)))
            return out + left;
        unsigned char c = (unsigned char)*at++;
        if (c < 0x20 || c == '"' || c == '\\')
            out = write_escape(out, c);
        else
            *out++ = (char)c;
    }
    return out;
}

/* Writes eight bytes whatever the number: zeros before its first digit are left out by a shift. */
static inline char *write_below_100000000(char *at, uint32_t value)
{
    uint64_t digits = print_split_digits(value);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;

    digits = (digits | UINT64_C(0x3030303030303030)) >> 8 * zeros;
    memcpy(at, &digits, sizeof(digits));
    return at + sizeof(digits) - zeros;
}

/* Writes up to seven bytes more than the number has. Most integers are small: four digits are made at once. */
static inline char *write_u64(char *at, uint64_t value)
{
    if (value >= 100000000)
        return at + num_format_u64(at, value);
    if (value >= 10000)
        return write_below_100000000(at, (uint32_t)value);
    uint32_t hundreds = (uint32_t)value * 5243 >> 19, pairs = hundreds | ((uint32_t)value - hundreds * 100) << 16;
    uint32_t tens = pairs * 103 >> 10 & 0x000f000f, digits = tens | (pairs - tens * 10) << 8;
    unsigned zeros = (unsigned)__builtin_ctz(digits | 1u << 24) / 8;
    digits = (digits | 0x30303030) >> 8 * zeros;
    memcpy(at, &digits, sizeof(digits));
    return at + sizeof(digits) - zeros;
}

static inline char *write_i64(char *at, int64_t value)
{
    if (value >= 0)
        return write_u64(at, (uint64_t)value);
    *at++ = '-';
    return write_u64(at, -(uint64_t)value);
}

/* Digits and zeros, a point within or behind: what has a magnitude that people read easily. */
static char *write_plain(char *at, const char *digits, int count, int point)
{
    memcpy(at, digits, DIGITS_ROOM); /* of a fixed length, for which there is room: so it is no call */
    if (point < count) {
        at[point] = '.';
        memcpy(at + point + 1, digits + point, DIGITS_ROOM);
        return at + count + 1;
    }
    memset(at + count, '0', (size_t)(point - count));
    memcpy(at + point, ".0", 2);
    return at + point + 2;
}

/*
 * Money and times seldom have more than three decimals. If the value is the nearest to a decimal of at most 15 digits,
 * that is the shortest text: no two such decimals have the same double. NULL: it is not.
 */
static inline char *write_few_decimals(char *at, double value)
{
    if (!(value >= 1 && value < 1e12))
        return NULL;
    uint64_t thousandths = (uint64_t)(value * 1000 + 0.5);
    if ((double)thousandths / 1000 != value)
        return NULL;
    unsigned rest = (unsigned)(thousandths % 1000);
    at = write_u64(at, thousandths / 1000);
    *at++ = '.';
    *at++ = (char)('0' + rest / 100);
    if (rest % 100 != 0)
        *at++ = (char)('0' + rest / 10 % 10);
    if (rest % 10 != 0)
        *at++ = (char)('0' + rest % 10);
    return at;
}

static char *write_double(char *at, double value)
{
    char digits[2 * DIGITS_ROOM], *end;
    int exponent;

    if (signbit(value))
        *at++ = '-';
    value = fabs(value);
    if (value == 0) {
        memcpy(at, "0.0", 3);
        return at + 3;
    }
    end = write_few_decimals(at, value);
    if (end != NULL)
        return end;
    uint64_t shortest = num_shortest_digits(value, &exponent);
    int count = (int)num_u64_len(shortest), point = count + exponent;
    if (point > -5 && point <= 0) {
        memcpy(at, "0.000000", 8);
        return write_u64(at + 2 - point, shortest);
    }
    write_u64(digits, shortest);
    if (point > 0 && point <= 16)
        return write_plain(at, digits, count, point);
    *at++ = digits[0];
    if (count > 1) {
        *at++ = '.';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
    }
    *at++ = 'e';
    return at + num_format_i64(at, point - 1);
}

size_t json_format_number(char *out, struct json_value number)
{
    switch (json_kind(number)) {
    case JSON_INT:
        return (size_t)(write_i64(out, json_int(number)) - out);
    case JSON_UINT:
        return (size_t)(write_u64(out, json_uint(number)) - out);
    default:
        return (size_t)(write_double(out, json_double(number)) - out);
    }
}

void json_print_string(struct bytes text, struct buf *out)
{
    out_char(out, '"');
    for (size_t part; text.len != 0; text.ptr += part, text.len -= part) {
        part = text.len < STRING_PART ? text.len : STRING_PART;
        char *at = out_room(out, part * ESCAPED_MAX + 16);
        out_end(out, write_escaped(at, text.ptr, part));
    }
    out_char(out, '"');
}

static inline void print_word(struct buf *out, const char *word, size_t len)
{
    char *at = out_room(out, 8);

    memcpy(at, word, len);
    out_end(out, at + len);
}

/* What separates: line end and indentation before an element or the end of a container. */
static void print_break(struct json_printer *printer, struct buf *out)
{
    buf_append(out, printer->layout.newline);
    for (unsigned i = 0; i < printer->depth + printer->base_depth; i++)
        buf_append(out, printer->layout.indent);
}

/* A string as far as the budget goes; false if there is more of it. */
static bool print_long(struct json_printer *printer, struct buf *out, size_t stop)
{
    struct bytes text = json_string(printer->value);

    while (printer->string_at < text.len) {
        if (out->len >= stop)
            return false;
        size_t part = text.len - printer->string_at;
        part = part < STRING_PART ? part : STRING_PART;
        char *at = out_room(out, part * ESCAPED_MAX + 16);
        out_end(out, write_escaped(at, text.ptr + printer->string_at, part));
        printer->string_at += part;
    }
    out_char(out, '"');
    printer->in_string = false;
    return true;
}

/* True if none of the bytes of a string in its slot needs an escape; behind its end they are 0. */
static inline bool short_is_plain(uint64_t bytes, unsigned len)
{
#ifdef SCAN_SSE2
    return (scan_block_escapes(_mm_cvtsi64_si128((long long)bytes)) & ((1u << len) - 1)) == 0;
#else
    return is_plain(bytes | UINT64_C(0x2020202020202020) << 8 * len);
#endif
}

/* A string that is in its slot. */
static inline char *write_short(char *at, struct json_value value)
{
    unsigned len = value.bits >> 4 & 15;
    uint64_t bytes = value.bits >> 8;
    char text[8];

    *at++ = '"';
    if (__builtin_expect(short_is_plain(bytes, len), 1)) {
        memcpy(at, &bytes, sizeof(bytes));
        at[len] = '"';
        return at + len + 1;
    }
    memcpy(text, &bytes, sizeof(text));
    at = write_escaped(at, text, len);
    *at++ = '"';
    return at;
}

static inline char *write_text(char *at, struct bytes text)
{
    *at++ = '"';
    at = write_escaped(at, text.ptr, text.len);
    *at++ = '"';
    return at;
}

static inline char *write_literal(char *at, struct json_value value)
{
    if (value.bits > JSON_VALUE_TRUE.bits)
        return write_double(at, json_double(value));
    bool is_false = value.bits == JSON_VALUE_FALSE.bits;
    memcpy(at, is_false ? "false\0\0" : value.bits == JSON_VALUE_TRUE.bits ? "true\0\0\0" : "null\0\0\0", 8);
    return at + 4 + is_false;
}

static inline void print_string(struct json_printer *printer, const struct json_value *value, struct buf *out)
{
    struct bytes text = json_string(value);

    if (text.len > STRING_PART) {
        out_char(out, '"');
        printer->value = value;
        printer->string_at = 0;
        printer->in_string = true;
        return;
    }
    char *at = out_room(out, text.len * ESCAPED_MAX + 18);
    out_end(out, write_text(at, text));
}

/* Opens a leaf that is not empty; its bracket is written before its first element. */
static inline struct json_iter *leaf_open(struct json_printer *printer, struct json_value value)
{
    ASSERT(printer->depth <= JSON_MAX_DEPTH);
    struct json_iter *iter = &printer->stack[printer->depth++];
    const struct json_node *leaf = node_of(value);
    iter->at = ITER_AT_BEGIN;
    iter->slot = leaf->slots;
    iter->end = leaf->slots + leaf->count;
    iter->keys = json_tag(value) == JSON_TAG_OBJECT ? leaf_keys(leaf) : NULL;
    iter->len = leaf->count;
    iter->container = value;
    return iter;
}

/* The same with any container that is not empty. */
static inline void container_open(struct json_printer *printer, struct json_value value)
{
    ASSERT(printer->depth <= JSON_MAX_DEPTH);
    if (tag_is_leaf(json_tag(value)))
        leaf_open(printer, value);
    else
        json_iter_init(&printer->stack[printer->depth++], value);
}

static void print_container(struct json_printer *printer, struct json_value value, struct buf *out)
{
    if (json_len(value) == 0)
        print_word(out, json_kind(value) == JSON_ARRAY ? "[]" : "{}", 2);
    else
        container_open(printer, value);
}

/* What stands before the next element of a container: its bracket or a comma. */
static inline char separator_of(const struct json_iter *iter)
{
    if (iter->at != ITER_AT_BEGIN)
        return ',';
    return json_kind_of_tag[json_tag(iter->container)] == JSON_ARRAY ? '[' : '{';
}

static inline void print_value(struct json_printer *printer, const struct json_value *value, struct buf *out)
{
    char *at;

    switch (json_kind(*value)) {
    case JSON_NONE:
    case JSON_NULL:
        print_word(out, "null", 4);
        break;
    case JSON_BOOL:
        if (json_bool(*value))
            print_word(out, "true", 4);
        else
            print_word(out, "false", 5);
        break;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        at = out_room(out, JSON_NUMBER_MAX_LEN);
        out_end(out, at + json_format_number(at, *value));
        break;
    case JSON_STRING:
        print_string(printer, value, out);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        print_container(printer, *value, out);
        break;
    }
}

/* Puts a key into its place among those that are kept, behind room for a separator; false if it is too long for it. */
static bool keep_key(struct json_printer *printer, json_key key, unsigned place)
{
    char room[JSON_PRINTER_KEY_MAX * ESCAPED_MAX + 19], *at = room;
    struct bytes text = json_key_text(key);

    if (text.len > JSON_PRINTER_KEY_MAX - 4)
        return false;
    *at++ = ',';
    *at++ = '"';
    at = write_escaped(at, text.ptr, text.len);
    *at++ = '"';
    *at++ = ':';
    size_t len = (size_t)(at - room);
    if (len > JSON_PRINTER_KEY_MAX)
        return false;
    memcpy(printer->key_texts[place], room, JSON_PRINTER_KEY_MAX);
    printer->key_lens[place] = (uint8_t)len;
    printer->keys[place] = key;
    return true;
}

static void print_long_key(json_key key, struct buf *out)
{
    json_print_string(json_key_text(key), out);
    out_char(out, ':');
}

static inline void print_key(struct json_printer *printer, json_key key, struct buf *out)
{
    unsigned place = key % JSON_PRINTER_KEYS;

    if (printer->keys[place] == key || keep_key(printer, key, place)) {
        char *at = out_room(out, JSON_PRINTER_KEY_MAX);
        memcpy(at, printer->key_texts[place] + 1, JSON_PRINTER_KEY_MAX - 1);
        out_end(out, at + printer->key_lens[place] - 1);
    } else {
        print_long_key(key, out);
    }
    if (!printer->compact)
        buf_append(out, printer->layout.space);
}

void json_printer_init(
    struct json_printer *printer, const struct json_value *value, const struct json_layout *layout, unsigned base_depth)
{
    printer->layout = layout == NULL ? (struct json_layout){ 0 } : *layout;
    printer->compact =
        printer->layout.indent.len == 0 && printer->layout.newline.len == 0 && printer->layout.space.len == 0;
    printer->began = false;
    printer->depth = 0;
    printer->base_depth = base_depth;
    printer->value = value;
    printer->string_at = 0;
    printer->in_string = false;
    memset(printer->keys, 0, sizeof(printer->keys));
}

/* The next element of the innermost container, or its end. */
static inline void print_next(struct json_printer *printer, struct buf *out)
{
    struct json_iter *iter = &printer->stack[printer->depth - 1];
    char separator = separator_of(iter);

    if (!json_iter_next(iter)) {
        printer->depth--;
        if (!printer->compact)
            print_break(printer, out);
        out_char(out, iter->keys == NULL ? ']' : '}');
        return;
    }
    out_char(out, separator);
    if (!printer->compact)
        print_break(printer, out);
    if (iter->keys != NULL)
        print_key(printer, iter->key, out);
    print_value(printer, iter->value, out);
}

/* Where a run of compact text is: in the text, and in the innermost container. */
struct run {
    char *at, *limit;                    /* at the limit there is ITEM_ROOM more */
    struct json_iter *iter;              /* where slot and keys were when the container was last turned to */
    const struct json_value *slot, *end; /* the next element in this leaf */
    const json_key *keys;                /* its key, NULL in an array */
    char separator;
};

/* Turns to the innermost container. */
static inline void run_load(struct run *run, struct json_printer *printer)
{
    struct json_iter *iter = &printer->stack[printer->depth - 1];

    run->iter = iter;
    run->slot = iter->slot;
    run->end = iter->end;
    run->keys = iter->keys;
    run->separator = separator_of(iter);
}

/* Notes how far it came in the container. */
static inline void run_save(const struct run *run)
{
    run->iter->at += (uint32_t)(run->slot - run->iter->slot);
    run->iter->slot = run->slot;
    run->iter->keys = run->keys;
}

/* Opens a leaf that is not empty. */
static inline void run_open(struct run *run, struct json_printer *printer, struct json_value value)
{
    struct json_iter *iter = leaf_open(printer, value);

    run->iter = iter;
    run->slot = iter->slot;
    run->end = iter->end;
    run->keys = iter->keys;
    run->separator = json_tag(value) == JSON_TAG_OBJECT ? '{' : '[';
}

/* At the end of a leaf: goes to the next one, or closes the container. False: that was the root. */
static inline bool run_next_leaf(struct run *run, struct json_printer *printer)
{
    run_save(run);
    if (run->iter->at + 1 < run->iter->len) {
        json_iter_next_leaf(run->iter);
    } else {
        *run->at++ = run->keys == NULL ? ']' : '}';
        if (--printer->depth == 0)
            return false;
    }
    run_load(run, printer);
    return true;
}

/* Writes what is small, or opens a container; false for what has to be looked at with care. */
static inline bool run_value(struct run *run, struct json_printer *printer, struct json_value value)
{
    switch (json_tag(value)) {
    case JSON_TAG_LITERAL:
        run->at = write_literal(run->at, value);
        return true;
    case JSON_TAG_INT:
        run->at = write_i64(run->at, (int64_t)value.bits >> 4);
        return true;
    case JSON_TAG_SHORT:
        run->at = write_short(run->at, value);
        return true;
    case JSON_TAG_STRING: {
        const struct json_text *text = json_pointer(value);
        if (text->len > SMALL_STRING)
            return false;
        run->at = write_text(run->at, bytes_make(text->data, text->len));
        return true;
    }
    case JSON_TAG_ARRAY:
    case JSON_TAG_OBJECT:
        if (node_of(value)->count == 0)
            return false;
        run_save(run);
        run_open(run, printer, value);
        return true;
    case JSON_TAG_ARRAY_TREE:
    case JSON_TAG_OBJECT_TREE:
    case JSON_TAG_BOX:
        return false;
    default:
        run->at = write_double(run->at, json_double(value));
        return true;
    }
}

/* The separator and the key of the element that comes; false if the key is none of those that are kept. */
static inline bool run_key(struct run *run, struct json_printer *printer)
{
    json_key key = *run->keys;
    unsigned place = key % JSON_PRINTER_KEYS;

    if (printer->keys[place] != key && !keep_key(printer, key, place))
        return false;
    memcpy(run->at, printer->key_texts[place], JSON_PRINTER_KEY_MAX);
    *run->at = run->separator;
    run->at += printer->key_lens[place];
    run->keys++;
    return true;
}

/* What the element after the next points to comes into the cache: two lines, as a small record has. */
static inline void fetch_ahead(struct json_value value)
{
    const char *at = json_pointer(value);

    __builtin_prefetch(at);
    __builtin_prefetch(at + 64);
}

/* Elements one after the other, as far as the budget and the room go. True if it stopped before a key that is too long
 * to be kept. */
static bool print_run(struct json_printer *printer, struct buf *out, size_t stop)
{
    struct run run = { .at = out_room(out, 2 * ITEM_ROOM) };
    size_t room = out->cap - ITEM_ROOM;
    bool key_is_long = false;

    run.limit = out->ptr + (stop < room ? stop : room);
    run_load(&run, printer);
    while (run.at < run.limit) {
        if (run.slot == run.end) {
            if (!run_next_leaf(&run, printer))
                break;
            continue;
        }
        if (run.end - run.slot > 2 && json_tag(run.slot[2]) >= JSON_TAG_STRING)
            fetch_ahead(run.slot[2]);
        if (run.keys == NULL)
            *run.at++ = run.separator;
        else if ((key_is_long = !run_key(&run, printer)))
            break;
        run.separator = ',';
        const struct json_value *value = run.slot++;
        if (run_value(&run, printer, *value))
            continue;
        run_save(&run);
        out_end(out, run.at);
        print_value(printer, value, out);
        return false;
    }
    if (printer->depth != 0)
        run_save(&run);
    out_end(out, run.at);
    return key_is_long;
}

bool json_printer_step(struct json_printer *printer, struct buf *out, size_t budget)
{
    size_t stop = budget > SIZE_MAX - out->len ? SIZE_MAX : out->len + budget;

    if (!printer->began) {
        printer->began = true;
        print_value(printer, printer->value, out);
    }
    for (;;) {
        if (printer->in_string && !print_long(printer, out, stop))
            break;
        if (printer->depth == 0)
            break;
        if (out->len >= stop)
            break;
        if (!printer->compact || print_run(printer, out, stop))
            print_next(printer, out);
    }
    if (out->ptr != NULL)
        out->ptr[out->len] = '\0';
    return printer->depth == 0 && !printer->in_string;
}

void json_print(const struct json_value *value, struct buf *out)
{
    struct json_printer printer;

    json_printer_init(&printer, value, NULL, 0);
    json_printer_step(&printer, out, SIZE_MAX);
}

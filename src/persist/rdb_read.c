/*
 * Reading RDB's primitives: lengths, strings, what modules wrote.
 *
 * No length is believed: a plain string must fit into what is left of the source, and a compressed one cannot become
 * more than LZF makes of its bytes (3 become 264 at most).
 */
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/blob.h"
#include "base/fiber.h"
#include "base/lzf.h"
#include "base/mem.h"
#include "rdb_priv.h"

enum { LZF_GAIN_MAX = 264 / 3, SCRATCH_RESERVE = 64, GET_COST = 8 /* for fiber_breathe, with what becomes of it */ };

void rdb_reader_fini(struct rdb_reader *reader)
{
    buf_fini(&reader->scratch[0]);
    buf_fini(&reader->scratch[1]);
}

bool rdb_fail(struct rdb_reader *reader, const char *format, ...)
{
    if (reader->error->text[0])
        return false;
    reader->error->offset = source_offset(reader->source);
    va_list args;
    va_start(args, format);
    vsnprintf(reader->error->text, sizeof reader->error->text, format, args);
    va_end(args);
    return false;
}

bool rdb_fail_end(struct rdb_reader *reader)
{
    if (reader->source->error)
        return rdb_fail(reader, "Can't read the file: %s", strerror(reader->source->error));
    return rdb_fail(reader, "Unexpected end of the data");
}

/* --- Numbers --- */

bool rdb_get_byte(struct rdb_reader *reader, uint8_t *byte)
{
    const unsigned char *at = source_take(reader->source, 1);
    if (!at)
        return rdb_fail_end(reader);
    *byte = *at;
    return true;
}

bool rdb_get_u64(struct rdb_reader *reader, uint64_t *number)
{
    const unsigned char *at = source_take(reader->source, 8);
    if (!at)
        return rdb_fail_end(reader);
    memcpy(number, at, 8);
    *number = le64toh(*number);
    return true;
}

/* A length, or a string's encoding. */
static bool get_len(struct rdb_reader *reader, uint64_t *len, bool *encoded)
{
    uint8_t head;
    if (!rdb_get_byte(reader, &head))
        return false;
    *encoded = (head & 0xc0) == RDB_LEN_ENCODED;
    if (*encoded || (head & 0xc0) == RDB_LEN_6) {
        *len = head & 63;
        return true;
    }
    size_t more = (head & 0xc0) == RDB_LEN_14 ? 1 : head == RDB_LEN_32 ? 4 : head == RDB_LEN_64 ? 8 : 0;
    const unsigned char *at = more ? source_take(reader->source, more) : NULL;
    if (!more)
        return rdb_fail(reader, "Unknown length encoding %d", head);
    if (!at)
        return rdb_fail_end(reader);
    uint32_t narrow;
    uint64_t wide;
    switch (more) {
    case 1:
        *len = (uint64_t)(head & 63) << 8 | at[0];
        break;
    case 4:
        memcpy(&narrow, at, 4);
        *len = be32toh(narrow);
        break;
    default:
        memcpy(&wide, at, 8);
        *len = be64toh(wide);
    }
    return true;
}

bool rdb_get_len(struct rdb_reader *reader, uint64_t *len)
{
    bool encoded;
    if (!get_len(reader, len, &encoded))
        return false;
    return !encoded || rdb_fail(reader, "A string stands where a length should be");
}

bool rdb_get_count(struct rdb_reader *reader, size_t each, uint64_t *count)
{
    if (!rdb_get_len(reader, count))
        return false;
    if (*count > source_left(reader->source) / each)
        return rdb_fail(reader, "%llu items cannot be in the bytes that are left", (unsigned long long)*count);
    return true;
}

/* --- Strings --- */

/* How a string stands in the source. */
struct head {
    bool integer, lzf;
    int64_t number;
    uint64_t raw;   /* bytes in the source */
    uint64_t plain; /* bytes of the string */
};

static bool get_integer(struct rdb_reader *reader, unsigned size, struct head *head)
{
    const unsigned char *at = source_take(reader->source, size);
    if (!at)
        return rdb_fail_end(reader);
    uint32_t word = 0;
    memcpy(&word, at, size);
    word = le32toh(word);
    head->integer = true;
    head->number = size == 1 ? (int8_t)word : size == 2 ? (int16_t)word : (int32_t)word;
    return true;
}

static bool get_head(struct rdb_reader *reader, struct head *head)
{
    fiber_breathe(GET_COST);
    bool encoded;
    uint64_t len = 0;
    *head = (struct head){ 0 };
    if (!get_len(reader, &len, &encoded))
        return false;
    head->raw = head->plain = len;
    if (encoded && len <= RDB_ENC_INT32)
        return get_integer(reader, 1u << len, head);
    if (encoded && len != RDB_ENC_LZF)
        return rdb_fail(reader, "Unknown string encoding %d", (int)len);
    if (encoded) {
        head->lzf = true;
        if (!rdb_get_len(reader, &head->raw) || !rdb_get_len(reader, &head->plain))
            return false;
        if (!head->plain || !head->raw || head->raw > UINT32_MAX || head->plain > UINT32_MAX ||
            head->plain / LZF_GAIN_MAX > head->raw)
            return rdb_fail(reader, "Invalid LZF compressed string: %llu bytes cannot come from %llu",
                (unsigned long long)head->plain, (unsigned long long)head->raw);
    }
    if (head->raw > source_left(reader->source))
        return rdb_fail(reader, "A string of %llu bytes is longer than what is left", (unsigned long long)head->raw);
    return true;
}

static bool decompress(struct rdb_reader *reader, const struct head *head, void *out)
{
    unsigned char *copy = NULL;
    const unsigned char *raw =
        head->raw <= SOURCE_TAKE_MAX || !reader->source->window ? source_take(reader->source, (size_t)head->raw) : NULL;
    bool good = true;
    if (!raw) {
        copy = mem_try_alloc((size_t)head->raw);
        if (!copy)
            return rdb_fail(reader, "Out of memory for a string of %llu bytes", (unsigned long long)head->raw);
        good = source_read(reader->source, copy, (size_t)head->raw) || rdb_fail_end(reader);
        raw = copy;
    }
    if (good && lzf_unpack(raw, (size_t)head->raw, out, (size_t)head->plain) != head->plain)
        good = rdb_fail(reader, "Invalid LZF compressed string");
    mem_free(copy);
    return good;
}

/* Writes the string's bytes, for which there is room, to `out`. */
static bool get_body(struct rdb_reader *reader, const struct head *head, void *out)
{
    if (head->lzf)
        return decompress(reader, head, out);
    return source_read(reader->source, out, (size_t)head->plain) || rdb_fail_end(reader);
}

static bool fail_memory(struct rdb_reader *reader, uint64_t len)
{
    return rdb_fail(reader, "Out of memory for a string of %llu bytes", (unsigned long long)len);
}

/* A string in the scratch of that slot. */
static bool get_in_scratch(struct rdb_reader *reader, unsigned slot, const struct head *head, struct bytes *text)
{
    struct buf *scratch = &reader->scratch[slot];
    size_t room = head->integer ? NUM_I64_MAX_LEN : (size_t)head->plain + 1;
    if (scratch->cap < room) {
        char *grown = mem_try_realloc(scratch->ptr, room + SCRATCH_RESERVE);
        if (!grown)
            return fail_memory(reader, room);
        scratch->ptr = grown;
        scratch->cap = room + SCRATCH_RESERVE;
    }
    if (head->integer) {
        *text = bytes_make(scratch->ptr, num_format_i64(scratch->ptr, head->number));
        return true;
    }
    *text = bytes_make(scratch->ptr, (size_t)head->plain);
    return get_body(reader, head, scratch->ptr);
}

bool rdb_get_string(struct rdb_reader *reader, unsigned slot, struct bytes *text)
{
    struct head head;
    return get_head(reader, &head) && get_in_scratch(reader, slot, &head, text);
}

bool rdb_get_text(struct rdb_reader *reader, size_t max, struct bytes *text, struct blob **blob)
{
    struct head head;
    if (!get_head(reader, &head))
        return false;
    *blob = NULL;
    if (head.integer || head.plain <= max)
        return get_in_scratch(reader, 1, &head, text);
    struct blob *made = blob_try_create((size_t)head.plain);
    if (!made)
        return fail_memory(reader, head.plain);
    made->len = (size_t)head.plain;
    if (!get_body(reader, &head, made->data)) {
        blob_unref(made);
        return false;
    }
    *blob = made;
    *text = blob_bytes(made);
    return true;
}

bool rdb_get_heap(struct rdb_reader *reader, size_t room, unsigned char **ptr, size_t *len)
{
    struct head head;
    if (!get_head(reader, &head))
        return false;
    *len = head.integer ? NUM_I64_MAX_LEN : (size_t)head.plain;
    unsigned char *out = mem_try_alloc(*len + room);
    if (!out)
        return fail_memory(reader, *len);
    if (head.integer) {
        *len = num_format_i64((char *)out, head.number);
    } else if (!get_body(reader, &head, out)) {
        mem_free(out);
        return false;
    }
    *ptr = out;
    return true;
}

bool rdb_skip_string(struct rdb_reader *reader)
{
    struct head head;
    if (!get_head(reader, &head))
        return false;
    return head.integer || source_skip(reader->source, head.raw) || rdb_fail_end(reader);
}

/* --- Modules --- */

unsigned rdb_module_name(uint64_t id, char name[10])
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int i = 0; i < 9; i++)
        name[i] = letters[id >> (58 - 6 * i) & 63];
    name[9] = '\0';
    return id & 1023;
}

bool rdb_skip_module(struct rdb_reader *reader)
{
    for (;;) {
        uint64_t opcode, number;
        if (!rdb_get_len(reader, &opcode))
            return false;
        bool good = true;
        switch (opcode) {
        case RDB_MODULE_EOF:
            return true;
        case RDB_MODULE_SINT:
        case RDB_MODULE_UINT:
            good = rdb_get_len(reader, &number);
            break;
        case RDB_MODULE_FLOAT:
            good = source_skip(reader->source, 4) || rdb_fail_end(reader);
            break;
        case RDB_MODULE_DOUBLE:
            good = source_skip(reader->source, 8) || rdb_fail_end(reader);
            break;
        case RDB_MODULE_STRING:
            good = rdb_skip_string(reader);
            break;
        default:
            good = rdb_fail(reader, "Unknown part %llu of a module's data", (unsigned long long)opcode);
        }
        if (!good)
            return false;
    }
}

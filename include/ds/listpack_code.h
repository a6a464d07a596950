/*
 * A value as it will stand in a listpack: its size is known before anything is touched, and then it is written.
 *
 * For ds/listpack.h, and for those who write many entries at once into room that they made; the layout is in
 * ds/listpack_entry.h. Integers are recognised here: text that is a canonical 64-bit integer becomes one.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "base/num.h"
#include "ds/listpack_entry.h"

enum { LISTPACK_HEAD_MAX = 9 };

struct listpack_code {
    unsigned char head[LISTPACK_HEAD_MAX];
    uint8_t head_len;
    uint8_t backlen_size;
    size_t size;       /* of the whole entry; when out of any bounds, nothing else counts */
    struct bytes text; /* borrowed: from the argument of the edit */
};

/* True and *number set if `text` is kept as an integer. The first character decides most cases without a call. */
static inline bool listpack_text_is_number(struct bytes text, int64_t *number)
{
    if (text.len - 1 >= NUM_I64_MAX_LEN)
        return false;
    unsigned first = (unsigned char)text.ptr[0];
    return (first == '-' || first - '0' <= 9) && num_parse_i64(text, number);
}

static inline void listpack_code_finish(struct listpack_code *code)
{
    code->size = code->head_len + code->text.len;
    code->backlen_size = (uint8_t)listpack_backlen_size((uint32_t)code->size);
    code->size += code->backlen_size;
}

/* Of an integer, and of text. */
static inline void listpack_code_number(struct listpack_code *code, int64_t number)
{
    if (number >= 0 && number < 128) {
        code->head[0] = (unsigned char)number;
        code->head_len = 1;
    } else if (number >= -4096 && number < 4096) {
        code->head[0] = (unsigned char)(0xc0 | ((number >> 8) & 31));
        code->head[1] = (unsigned char)number;
        code->head_len = 2;
    } else {
        int kind =
            (number != (int16_t)number) + (number < -(1 << 23) || number >= 1 << 23) + (number != (int32_t)number);
        uint64_t word = htole64((uint64_t)number);
        code->head[0] = (unsigned char)(LISTPACK_INT_16 + kind);
        memcpy(code->head + 1, &word, sizeof word);
        code->head_len = 1 + listpack_int_sizes[kind];
    }
    code->text = (struct bytes){ NULL, 0 };
    listpack_code_finish(code);
}

static inline void listpack_code_text(struct listpack_code *code, struct bytes text)
{
    int64_t number;
    if (listpack_text_is_number(text, &number)) {
        listpack_code_number(code, number);
        return;
    }
    if (text.len < 64) {
        code->head[0] = (unsigned char)(0x80 | text.len);
        code->head_len = 1;
    } else if (text.len < 4096) {
        code->head[0] = (unsigned char)(0xe0 | text.len >> 8);
        code->head[1] = (unsigned char)text.len;
        code->head_len = 2;
    } else {
        uint32_t len = htole32((uint32_t)text.len);
        code->head[0] = LISTPACK_STRING_32;
        memcpy(code->head + 1, &len, sizeof len);
        code->head_len = 5;
    }
    code->text = text;
    listpack_code_finish(code);
}

/* Constant sizes are single stores, which a loop or a call could not be. */
static inline void listpack_code_write_head(const struct listpack_code *code, unsigned char *out)
{
    switch (code->head_len) {
    case 2:
        memcpy(out, code->head, 2);
        break;
    case 3:
        memcpy(out, code->head, 3);
        break;
    case 4:
        memcpy(out, code->head, 4);
        break;
    case 5:
        memcpy(out, code->head, 5);
        break;
    default:
        memcpy(out, code->head, 9);
    }
}

/* Writes code->size bytes. */
static inline void listpack_code_write(const struct listpack_code *code, unsigned char *out)
{
    out[0] = code->head[0];
    if (code->head_len > 1)
        listpack_code_write_head(code, out);
    out += code->head_len;
    if (code->text.len)
        memcpy(out, code->text.ptr, code->text.len);
    out += code->text.len;
    uint32_t size = (uint32_t)(code->head_len + code->text.len);
    for (int i = code->backlen_size - 1; i > 0; i--, size >>= 7)
        out[i] = (unsigned char)(size | 128);
    out[0] = (unsigned char)size;
}

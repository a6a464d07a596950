/*
 * Values: telling what they are, and making them.
 *
 * Each value has one form: a number or string that fits in the slot is never behind a pointer. So what is in the slot
 * can be compared as 64 bits.
 */
#include "json/value.h"

#include <math.h>

#include "node_priv.h"

const uint8_t json_kind_of_tag[16] = {
    [JSON_TAG_LITERAL] = JSON_NULL,
    [JSON_TAG_INT] = JSON_INT,
    [3] = JSON_DOUBLE,
    [4] = JSON_DOUBLE,
    [11] = JSON_DOUBLE,
    [12] = JSON_DOUBLE,
    [JSON_TAG_SHORT] = JSON_STRING,
    [JSON_TAG_STRING] = JSON_STRING,
    [JSON_TAG_BOX] = JSON_DOUBLE,
    [JSON_TAG_ARRAY] = JSON_ARRAY,
    [JSON_TAG_OBJECT] = JSON_OBJECT,
    [JSON_TAG_ARRAY_TREE] = JSON_ARRAY,
    [JSON_TAG_OBJECT_TREE] = JSON_OBJECT,
};

enum { INT_BITS = 60, BITS_ZERO = 0x31, BITS_MINUS_ZERO = 0x41 };

static struct json_value box_make(enum json_kind kind, uint64_t bits)
{
    struct json_box *box = mem_alloc(sizeof(*box));

    atomic_init(&box->refs, 1);
    box->kind = kind;
    box->u = bits;
    return value_of(box, JSON_TAG_BOX);
}

struct json_value json_make_int(int64_t value)
{
    if (value >= -(INT64_C(1) << (INT_BITS - 1)) && value < INT64_C(1) << (INT_BITS - 1))
        return (struct json_value){ (uint64_t)value << 4 | JSON_TAG_INT };
    return box_make(JSON_INT, (uint64_t)value);
}

struct json_value json_make_uint(uint64_t value)
{
    return value <= INT64_MAX ? json_make_int((int64_t)value) : box_make(JSON_UINT, value);
}

struct json_value json_make_double(double value)
{
    uint64_t bits;

    ASSERT(isfinite(value));
    memcpy(&bits, &value, sizeof(bits));
    uint64_t turned = bits << 4 | bits >> 60;
    unsigned tag = turned & 7;
    if (tag == 3 || tag == 4)
        return (struct json_value){ turned };
    if (value == 0)
        return (struct json_value){ bits == 0 ? BITS_ZERO : BITS_MINUS_ZERO };
    return box_make(JSON_DOUBLE, bits);
}

struct json_value json_make_bool(bool value)
{
    return value ? JSON_VALUE_TRUE : JSON_VALUE_FALSE;
}

struct json_value json_make_array(void)
{
    return value_of(node_create(JSON_TAG_ARRAY, 0), JSON_TAG_ARRAY);
}

struct json_value json_make_object(void)
{
    return value_of(node_create(JSON_TAG_OBJECT, 0), JSON_TAG_OBJECT);
}

bool json_try_make_string(struct bytes text, struct json_value *value)
{
    if (text.len <= JSON_SHORT_STRING) {
        value->bits = JSON_TAG_SHORT | text.len << 4;
        for (size_t i = 0; i < text.len; i++)
            value->bits |= (uint64_t)(unsigned char)text.ptr[i] << (8 * (i + 1));
        return true;
    }
    struct json_text *string = text_try_create(text.len);
    if (string == NULL)
        return false;
    memcpy(string->data, text.ptr, text.len);
    *value = value_of(string, JSON_TAG_STRING);
    return true;
}

struct json_text *text_try_create(size_t len)
{
    struct json_text *text = len > JSON_TEXT_MAX ? NULL : mem_try_alloc(sizeof(*text) + len);

    if (text != NULL) {
        atomic_init(&text->refs, 1);
        text->len = (uint32_t)len;
    }
    return text;
}

int64_t json_int(struct json_value value)
{
    if (json_tag(value) == JSON_TAG_INT)
        return (int64_t)value.bits >> 4;
    return ((const struct json_box *)json_pointer(value))->i;
}

uint64_t json_uint(struct json_value value)
{
    return (uint64_t)json_int(value);
}

double json_double(struct json_value value)
{
    double number;

    if (json_tag(value) == JSON_TAG_BOX)
        return ((const struct json_box *)json_pointer(value))->d;
    if (json_tag(value) == JSON_TAG_LITERAL)
        return value.bits == BITS_ZERO ? 0.0 : -0.0;
    uint64_t bits = value.bits >> 4 | value.bits << 60;
    memcpy(&number, &bits, sizeof(number));
    return number;
}

double json_number(struct json_value value)
{
    enum json_kind kind = json_kind(value);

    return kind == JSON_DOUBLE ? json_double(value)
           : kind == JSON_UINT ? (double)json_uint(value)
                               : (double)json_int(value);
}

/* An integer against a double: negative if it is the lesser. */
static int compare_mixed(struct json_value integer, double number)
{
    bool is_large = json_kind(integer) == JSON_UINT;
    uint64_t magnitude = is_large ? json_uint(integer) : 0;

    if (number >= 0x1p64)
        return -1;
    if (number < -0x1p63)
        return 1;
    double whole = trunc(number), rest = number - whole;
    if (number >= 0x1p63) {
        uint64_t other = (uint64_t)whole;
        return !is_large ? -1 : (magnitude > other) - (magnitude < other);
    }
    if (is_large)
        return 1;
    int64_t other = (int64_t)whole, value = json_int(integer);
    return value != other ? (value > other) - (value < other) : (rest < 0) - (rest > 0);
}

int json_number_compare(struct json_value a, struct json_value b)
{
    enum json_kind kind_a = json_kind(a), kind_b = json_kind(b);

    if (kind_a == JSON_DOUBLE && kind_b == JSON_DOUBLE) {
        double x = json_double(a), y = json_double(b);
        return (x > y) - (x < y);
    }
    if (kind_a == JSON_DOUBLE)
        return -compare_mixed(b, json_double(a));
    if (kind_b == JSON_DOUBLE)
        return compare_mixed(a, json_double(b));
    if (kind_a != kind_b)
        return kind_a == JSON_UINT ? 1 : -1;
    if (kind_a == JSON_UINT)
        return (json_uint(a) > json_uint(b)) - (json_uint(a) < json_uint(b));
    return (json_int(a) > json_int(b)) - (json_int(a) < json_int(b));
}

struct bytes json_string(const struct json_value *value)
{
    if (json_tag(*value) == JSON_TAG_SHORT) {
        /* The bytes lie behind the one with tag and length, on a machine whose lowest byte comes first. */
        _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "short strings need another layout here");
        return bytes_make((const char *)value + 1, value->bits >> 4 & 15);
    }
    const struct json_text *text = json_pointer(*value);
    return bytes_make(text->data, text->len);
}

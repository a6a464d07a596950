/*
 * JSON documents in RDB: values of the module type ReJSON-RL, as RedisJSON writes them.
 *
 *   version 3   the document's text, one string
 *   version 2   the same, a number, and two more strings if that is above 0
 *   version 0   a tree of numbers and what they announce: 1 null, 2 string, 4 double, 8 integer, 16 boolean ("0", "1"),
 *               32 object: count, and 128, name, value each; 64 array: count, values
 *
 * Every part has its kind in front (enum rdb_module_opcode), and a 0 ends all. Version 3 is written.
 */
#include <math.h>

#include "base/fiber.h"
#include "rdb_priv.h"
#include "store/document.h"
#include "json/doc.h"
#include "json/parse.h"
#include "json/print.h"

enum {
    TREE_NULL = 1,
    TREE_STRING = 2,
    TREE_DOUBLE = 4,
    TREE_INTEGER = 8,
    TREE_BOOL = 16,
    TREE_OBJECT = 32,
    TREE_ARRAY = 64,
    TREE_PAIR = 128,
    STEP = 8192, /* bytes of text written or read between two breaths (base/fiber.h) */
    STEP_COST = 2000,
};

void rdb_put_json(struct rdb_writer *writer, const struct entry *entry)
{
    struct json_value root = document_root(entry);
    struct buf text = BUF_EMPTY;
    struct json_printer printer;
    json_printer_init(&printer, &root, NULL, 0);
    while (!json_printer_step(&printer, &text, STEP))
        fiber_breathe(STEP_COST);
    rdb_put_len(writer->sink, RDB_JSON_ID | RDB_JSON_VERSION);
    rdb_put_len(writer->sink, RDB_MODULE_STRING);
    rdb_put_string(writer, buf_bytes(&text));
    rdb_put_len(writer->sink, RDB_MODULE_EOF);
    buf_fini(&text);
}

/* --- Parts --- */

static bool get_opcode(struct rdb_reader *reader, enum rdb_module_opcode expected)
{
    uint64_t opcode;
    if (!rdb_get_len(reader, &opcode))
        return false;
    return opcode == expected || rdb_fail(reader, "A part of a document is of kind %llu instead of %d",
                                     (unsigned long long)opcode, (int)expected);
}

static bool get_unsigned(struct rdb_reader *reader, uint64_t *number)
{
    return get_opcode(reader, RDB_MODULE_UINT) && rdb_get_len(reader, number);
}

static bool get_text(struct rdb_reader *reader, struct bytes *text)
{
    return get_opcode(reader, RDB_MODULE_STRING) && rdb_get_string(reader, 0, text);
}

/* --- The tree of version 0, made into text --- */

static bool get_double(struct rdb_reader *reader, struct buf *out)
{
    uint64_t bits;
    double number;
    char digits[JSON_NUMBER_MAX_LEN];
    if (!get_opcode(reader, RDB_MODULE_DOUBLE) || !rdb_get_u64(reader, &bits))
        return false;
    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number))
        return rdb_fail(reader, "A number of a document is none");
    struct json_value value = json_make_double(number);
    buf_append(out, bytes_make(digits, json_format_number(digits, value)));
    json_value_destroy(value);
    return true;
}

static bool get_integer(struct rdb_reader *reader, struct buf *out)
{
    uint64_t number;
    char digits[NUM_I64_MAX_LEN];
    if (!get_opcode(reader, RDB_MODULE_SINT) || !rdb_get_len(reader, &number))
        return false;
    buf_append(out, bytes_make(digits, num_format_i64(digits, (int64_t)number)));
    return true;
}

static bool get_scalar(struct rdb_reader *reader, uint64_t kind, struct buf *out)
{
    struct bytes text;
    switch (kind) {
    case TREE_NULL:
        buf_append_cstr(out, "null");
        return true;
    case TREE_DOUBLE:
        return get_double(reader, out);
    case TREE_INTEGER:
        return get_integer(reader, out);
    case TREE_STRING:
        if (!get_text(reader, &text))
            return false;
        json_print_string(text, out);
        return true;
    case TREE_BOOL:
        if (!get_text(reader, &text))
            return false;
        buf_append_cstr(out, bytes_equal(text, BYTES("1")) ? "true" : "false");
        return true;
    default:
        return rdb_fail(reader, "Unknown kind %llu of a document's node", (unsigned long long)kind);
    }
}

static bool get_name(struct rdb_reader *reader, struct buf *out)
{
    uint64_t kind;
    struct bytes name;
    if (!get_unsigned(reader, &kind) || (kind != TREE_PAIR && !rdb_fail(reader, "A member of an object has no name")) ||
        !get_text(reader, &name))
        return false;
    json_print_string(name, out);
    buf_append_char(out, ':');
    return true;
}

static bool get_node(struct rdb_reader *reader, unsigned depth, struct buf *out)
{
    uint64_t kind, count;
    if (!get_unsigned(reader, &kind))
        return false;
    if (kind != TREE_OBJECT && kind != TREE_ARRAY)
        return get_scalar(reader, kind, out);
    if (depth == JSON_MAX_DEPTH)
        return rdb_fail(reader, "A document is nested too deeply");
    if (!get_unsigned(reader, &count))
        return false;
    buf_append_char(out, kind == TREE_OBJECT ? '{' : '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i)
            buf_append_char(out, ',');
        if ((kind == TREE_OBJECT && !get_name(reader, out)) || !get_node(reader, depth + 1, out))
            return false;
    }
    buf_append_char(out, kind == TREE_OBJECT ? '}' : ']');
    return true;
}

/* --- All versions --- */

static bool parse(struct rdb_reader *reader, struct keyspace *keyspace, struct bytes text, struct json_value *value)
{
    struct json_parser *parser = json_parser_create(text);
    if (!parser)
        return rdb_fail(reader, "Out of memory for a document");
    enum json_parse_status status;
    while ((status = json_parser_step(parser, STEP)) == JSON_PARSE_MORE)
        fiber_breathe(STEP_COST);
    bool good = status == JSON_PARSE_DONE || rdb_fail(reader, "A document's text is broken at its byte %zu: %s",
                                                 json_parser_error_at(parser), json_parser_error_text(parser));
    if (good)
        *value = json_parser_take(parser);
    struct json_trash trash = { 0 };
    json_parser_destroy(parser, &trash);
    keyspace_discard_json(keyspace, &trash);
    return good;
}

static bool get_tree(struct rdb_reader *reader, struct keyspace *keyspace, struct json_value *value)
{
    struct buf text = BUF_EMPTY;
    bool good = get_node(reader, 0, &text) && parse(reader, keyspace, buf_bytes(&text), value);
    buf_fini(&text);
    return good;
}

/* What follows the text in version 2 says nothing. */
static bool skip_rest(struct rdb_reader *reader)
{
    uint64_t flag;
    struct bytes ignored;
    if (!get_unsigned(reader, &flag))
        return false;
    return flag == 0 || (get_text(reader, &ignored) && get_text(reader, &ignored));
}

bool rdb_get_json(struct rdb_reader *reader, unsigned version, const struct rdb_place *place, struct entry **entry)
{
    enum { VERSION_TREE = 0, VERSION_SCHEMA = 2 };
    struct json_value root;
    struct bytes text;
    bool good;
    if (version == VERSION_TREE)
        good = get_tree(reader, place->keyspace, &root);
    else if (version == VERSION_SCHEMA || version == RDB_JSON_VERSION)
        good = get_text(reader, &text) && parse(reader, place->keyspace, text, &root);
    else
        good = rdb_fail(reader, "A document in encoding %u of ReJSON-RL, which is not known here", version);
    if (!good)
        return false;
    if ((version == VERSION_SCHEMA && !skip_rest(reader)) || !get_opcode(reader, RDB_MODULE_EOF)) {
        json_value_destroy(root);
        return false;
    }
    *entry = keyspace_set_document(place->keyspace, place->db, place->key, root, place->at_ms, RDB_BEFORE_ALL);
    return true;
}

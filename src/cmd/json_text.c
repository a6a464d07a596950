/*
 * JSON documents in replies: as text, and as data of RESP3.
 *
 * Once the first piece of a long text has gone, aside, it is written straight into the memory that is sent: each piece
 * is a buf that becomes a blob. The length, which comes before it, is filled in at the end; if it is known beforehand,
 * pieces leave for the client while others are written.
 */
#include "base/assert.h"
#include "base/blob.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/aside.h"
#include "engine/engine.h"
#include "engine/task.h"
#include "json_priv.h"

enum {
    PIECE = 32 * 1024,  /* bytes gathered before they go to the reply, ... */
    LATER = 120 * 1024, /* ... and once the first have gone: larger pieces come from memory that was in use before */
    LATER_ROOM = 160 * 1024, /* for such a piece: what one step of the printer asks for beyond it, too */
    PART = 200 * 1024,       /* bytes that leave at once: who receives them is woken each time */
    KEEP = 64 * 1024,        /* a buffer larger than that is given back */
};

void json_text_begin(struct json_text *text, struct call *call)
{
    *text = (struct json_text){ .call = call };
    text->buf = fiber_running ? &text->own : &call->engine->text;
}

/* What stands before a text of that length. */
static struct bytes write_head(char *head, size_t text_len)
{
    head[0] = '$';
    size_t len = 1 + num_format_u64(head + 1, text_len);
    memcpy(head + len, "\r\n", 2);
    return bytes_make(head, len + 2);
}

void json_text_say(struct json_text *text, size_t len)
{
    if (!fiber_running || text->call->exec)
        return;
    char head[OUTPUT_GAP_MAX];
    output_append(text->call->reply->out, write_head(head, len));
    text->whole = len;
}

/* True if what is written now is no first piece. */
static bool is_later(const struct json_text *text)
{
    return text->gap || text->whole;
}

/* Where text is written; behind the first piece that is a buf that will be a blob. */
static struct buf *room(struct json_text *text)
{
    if (is_later(text) && text->buf == &text->own && !text->own.ptr) {
        text->own = (struct buf){ .ptr = mem_alloc(LATER_ROOM), .len = sizeof(struct blob), .cap = LATER_ROOM };
        text->is_piece = true;
    }
    return text->buf;
}

/* True if there is enough for a piece. */
static bool is_full(const struct json_text *text)
{
    return text->buf->len >= (is_later(text) ? LATER : PIECE);
}

/* Lets what was gathered go to the reply, and away if there is enough. */
static void flush(struct json_text *text)
{
    struct output *out = text->call->reply->out;
    if (!is_later(text))
        text->gap = output_gap(out);
    if (text->is_piece) {
        struct blob *blob = blob_from_buf(text->buf);
        text->sent += blob->len;
        text->unsent += blob->len;
        output_append_blob(out, blob, blob_bytes(blob));
        blob_unref(blob);
        text->is_piece = false;
        if (text->whole && text->unsent >= PART) {
            text->unsent = 0;
            call_send(text->call);
        }
        return;
    }
    text->sent += text->buf->len;
    output_append(out, buf_bytes(text->buf));
    if (text->buf == &text->own)
        buf_fini(text->buf);
    else
        buf_clear(text->buf);
}

void json_text_append(struct json_text *text, struct bytes content)
{
    buf_append(room(text), content);
}

bool json_text_value(
    struct json_text *text, const struct json_value *value, const struct json_layout *layout, unsigned depth)
{
    struct json_printer printer;
    json_printer_init(&printer, value, layout, depth);
    for (bool done = false; !done;) {
        done = json_printer_step(&printer, room(text), JSON_TEXT_SLICE);
        if (is_full(text)) {
            if (!is_later(text) && !text->stays && call_aside_unheld(text->call))
                return false;
            flush(text);
        } else if (done) {
            break;
        }
        fiber_breathe(JSON_BREATH);
    }
    return true;
}

void json_text_drop(struct json_text *text)
{
    if (text->buf == &text->own || text->buf->cap > KEEP)
        buf_fini(text->buf);
    else
        buf_clear(text->buf);
}

size_t json_text_end(struct json_text *text)
{
    struct reply *reply = text->call->reply;
    size_t len = text->buf->len;
    if (!is_later(text)) {
        reply_bulk(reply, buf_bytes(text->buf));
    } else {
        flush(text);
        len = text->sent;
        output_append(reply->out, BYTES("\r\n"));
    }
    ASSERT(!text->whole || len == text->whole);
    char head[OUTPUT_GAP_MAX];
    if (text->gap)
        output_fill(reply->out, text->gap, write_head(head, len));
    json_text_drop(text);
    return len;
}

void json_reply_text(struct call *call, const struct json_value *value)
{
    struct json_text text;
    json_text_begin(&text, call);
    text.stays = true;
    json_text_value(&text, value, NULL, 0);
    json_text_end(&text);
}

static void reply_number(struct reply *reply, struct json_value value)
{
    if (json_kind(value) == JSON_INT) {
        reply_int(reply, json_int(value));
    } else if (json_kind(value) == JSON_DOUBLE) {
        reply_double(reply, json_double(value));
    } else {
        char digits[JSON_NUMBER_MAX_LEN];
        reply_bignum(reply, bytes_make(digits, json_format_number(digits, value)));
    }
}

/* A string of any length: its bytes are copied in slices. */
static void reply_string(struct reply *reply, struct bytes text)
{
    char head[OUTPUT_GAP_MAX];
    if (text.len <= PIECE) {
        reply_bulk(reply, text);
        return;
    }
    output_append(reply->out, write_head(head, text.len));
    for (size_t at = 0; at < text.len; at += PIECE) {
        output_append(reply->out, bytes_make(text.ptr + at, text.len - at < PIECE ? text.len - at : PIECE));
        fiber_breathe(JSON_BREATH / 2);
    }
    output_append(reply->out, BYTES("\r\n"));
}

void json_reply_expanded(struct call *call, const struct json_value *value)
{
    struct reply *reply = call->reply;
    fiber_breathe(5);
    switch (json_kind(*value)) {
    case JSON_NONE:
    case JSON_NULL:
        reply_null(reply);
        return;
    case JSON_BOOL:
        reply_bool(reply, json_bool(*value));
        return;
    case JSON_INT:
    case JSON_UINT:
    case JSON_DOUBLE:
        reply_number(reply, *value);
        return;
    case JSON_STRING:
        reply_string(reply, json_string(value));
        return;
    case JSON_ARRAY:
        reply_array(reply, json_len(*value));
        break;
    case JSON_OBJECT:
        reply_map(reply, json_len(*value));
        break;
    }
    struct json_iter iter;
    for (json_iter_init(&iter, *value); json_iter_next(&iter);) {
        if (iter.key)
            reply_bulk(reply, json_key_text(iter.key));
        json_reply_expanded(call, iter.value);
    }
}

bool json_call_format(struct call *call, uint32_t index, enum json_format *format)
{
    static const char *const names[] = { "STRING", "EXPAND", "EXPAND1" };
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!call_arg_is(call, index, names[i]))
            continue;
        if (i != JSON_FORMAT_STRING && call->reply->proto < 3) {
            reply_error(call->reply, BYTES("ERR wrong reply format: expanded replies need RESP3"));
            return false;
        }
        *format = (enum json_format)i;
        return true;
    }
    reply_error(call->reply, BYTES("ERR wrong reply format"));
    return false;
}

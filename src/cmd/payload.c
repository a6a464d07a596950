/*
 * Payloads: a sink whose buffers become blobs.
 */
#include "cmd/payload.h"

#include <errno.h>

#include "base/blob.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/aside.h"
#include "resp/reply.h"
#include "store/string.h"
#include "store/value.h"

enum {
    SMALL_BUFFER = 4096,
    LARGE_BUFFER = 128 * 1024,
    PIECE_COST = 4000,  /* of a buffer that becomes a blob, for fiber_breathe */
    BYTES_AN_ITEM = 32, /* of text that take as long as an item of a collection */
};

size_t payload_items(const struct entry *entry, int64_t now_ms)
{
    if (entry->type == ENTRY_STRING)
        return string_len(entry) / BYTES_AN_ITEM;
    /* How large a document is is not known at once. */
    return entry->type == ENTRY_JSON ? CALL_AT_ONCE : value_items(entry, now_ms);
}

static bool write_piece(struct sink *sink, const void *ptr, size_t len)
{
    struct payload *payload = (struct payload *)sink;
    struct blob *piece = blob_try_create(len);
    if (!piece) {
        errno = ENOMEM;
        return false;
    }
    memcpy(piece->data, ptr, len);
    piece->len = len;
    if (payload->count == payload->room) {
        payload->room = payload->room ? payload->room * 2 : 1;
        payload->pieces = mem_realloc(payload->pieces, payload->room * sizeof(struct blob *));
    }
    payload->pieces[payload->count++] = piece;
    fiber_breathe(PIECE_COST);
    return true;
}

void payload_init(struct payload *payload, size_t items)
{
    *payload = (struct payload){ 0 };
    sink_init(&payload->sink, items < CALL_AT_ONCE ? SMALL_BUFFER : LARGE_BUFFER, write_piece);
}

void payload_fini(struct payload *payload)
{
    for (size_t i = 0; i < payload->count; i++)
        blob_unref(payload->pieces[i]);
    mem_free(payload->pieces);
    sink_fini(&payload->sink);
}

void payload_reply(struct reply *reply, const struct payload *payload)
{
    char head[NUM_I64_MAX_LEN + 3] = "$";
    size_t len = 1 + num_format_i64(head + 1, (int64_t)sink_bytes(&payload->sink));
    memcpy(head + len, "\r\n", 2);
    output_append(reply->out, bytes_make(head, len + 2));
    for (size_t i = 0; i < payload->count; i++)
        output_append_blob(reply->out, payload->pieces[i], blob_bytes(payload->pieces[i]));
    output_append(reply->out, BYTES("\r\n"));
}

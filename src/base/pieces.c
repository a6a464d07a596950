/*
 * Closed pieces in an array, and a blob that grows behind them: by doubling up to PIECES_SEAL, never beyond except for
 * what is longer by itself.
 */
#include "base/pieces.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

enum { TAIL_MIN = 256, KEPT = 1024 * 1024 };

static void push(struct pieces *pieces, struct blob *blob, struct bytes text)
{
    if (pieces->count == pieces->room) {
        pieces->room = pieces->room ? pieces->room * 2 : 8;
        pieces->items = mem_realloc(pieces->items, pieces->room * sizeof *pieces->items);
    }
    pieces->items[pieces->count++] = (struct piece){ .text = text, .blob = blob };
    pieces->closed += text.len;
}

void pieces_close(struct pieces *pieces)
{
    struct blob *tail = pieces->tail;
    if (!tail || !tail->len)
        return;
    push(pieces, tail, blob_bytes(tail));
    pieces->tail = NULL;
}

char *pieces_extend_slow(struct pieces *pieces, size_t len)
{
    struct blob *tail = pieces->tail;
    size_t used = tail ? tail->len : 0, wanted = used < PIECES_SEAL / 2 ? 2 * used : PIECES_SEAL;
    if (used && used + len > PIECES_SEAL) {
        pieces_close(pieces);
        tail = NULL;
        used = 0;
        wanted = PIECES_SEAL;
    }
    wanted = wanted < used + len ? used + len : wanted;
    wanted = wanted < TAIL_MIN ? TAIL_MIN : wanted;
    struct blob *larger = tail ? blob_try_resize(tail, wanted) : blob_create(wanted);
    ASSERT(larger);
    pieces->tail = larger;
    larger->len = used + len;
    return larger->data + used;
}

void pieces_append_blob(struct pieces *pieces, struct blob *blob, struct bytes text)
{
    DASSERT(text.ptr >= blob->data && text.ptr + text.len <= blob->data + blob->len);
    pieces_close(pieces);
    push(pieces, blob_ref(blob), text);
}

void pieces_append_pieces(struct pieces *pieces, struct pieces *more)
{
    if (!pieces_len(pieces)) {
        struct pieces empty = *pieces;
        *pieces = *more;
        *more = empty;
        return;
    }
    if (more->count || (more->tail && more->tail->len > TAIL_MIN))
        pieces_close(pieces);
    for (size_t i = 0; i < more->count; i++)
        push(pieces, more->items[i].blob, more->items[i].text);
    if (more->tail && more->tail->len > TAIL_MIN) {
        blob_unref(pieces->tail);
        pieces->tail = more->tail;
        more->tail = NULL;
    } else if (more->tail && more->tail->len) {
        memcpy(pieces_extend(pieces, more->tail->len), more->tail->data, more->tail->len);
    }
    more->count = more->closed = 0;
    pieces_clear(more);
}

void pieces_cut(struct pieces *pieces, size_t len)
{
    if (len > pieces->closed)
        pieces_close(pieces);
    size_t gone = 0;
    pieces->closed -= len;
    while (len && len >= pieces->items[gone].text.len) {
        len -= pieces->items[gone].text.len;
        blob_unref(pieces->items[gone++].blob);
    }
    if (gone)
        memmove(pieces->items, pieces->items + gone, (pieces->count - gone) * sizeof *pieces->items);
    pieces->count -= gone;
    if (len)
        pieces->items[0].text = bytes_make(pieces->items[0].text.ptr + len, pieces->items[0].text.len - len);
}

void pieces_clear(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++)
        blob_unref(pieces->items[i].blob);
    pieces->count = pieces->closed = 0;
    if (pieces->tail && pieces->tail->cap > KEPT) {
        blob_unref(pieces->tail);
        pieces->tail = NULL;
    } else if (pieces->tail) {
        pieces->tail->len = 0;
    }
    if (pieces->room > KEPT / sizeof *pieces->items) {
        mem_free(pieces->items);
        pieces->items = NULL;
        pieces->room = 0;
    }
}

void pieces_fini(struct pieces *pieces)
{
    pieces_clear(pieces);
    blob_unref(pieces->tail);
    mem_free(pieces->items);
    *pieces = (struct pieces){ 0 };
}

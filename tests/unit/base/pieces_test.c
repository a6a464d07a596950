/*
 * Pieces: any mixture of appending, joining and cutting says what the same bytes in one buffer say; what is long is not
 * copied, and what is there already is never moved.
 */
#include "base/pieces.h"

#include <string.h>

#include <criterion/criterion.h>

#include "base/buf.h"
#include "seed.h"

static void check(const struct pieces *pieces, const struct buf *model)
{
    size_t at = 0;
    cr_assert_eq(pieces_len(pieces), model->len);
    for (size_t i = 0; i < pieces->count; i++) {
        struct bytes text = pieces->items[i].text;
        cr_assert(text.len && at + text.len <= model->len);
        cr_assert_eq(memcmp(text.ptr, model->ptr + at, text.len), 0);
        at += text.len;
    }
    cr_assert_eq(at, pieces->closed);
    if (pieces->tail)
        cr_assert_eq(memcmp(pieces->tail->data, model->ptr + at, pieces->tail->len), 0);
}

static void add_bytes(struct pieces *pieces, struct buf *model, struct random *random)
{
    size_t len = random_below(random, random_below(random, 20) ? 200 : 3 * PIECES_SEAL);
    char *at = pieces_extend(pieces, len);
    char *twin = buf_extend(model, len);
    for (size_t i = 0; i < len; i++)
        at[i] = twin[i] = (char)random_below(random, 256);
}

static void add_blob(struct pieces *pieces, struct buf *model, struct random *random)
{
    struct blob *blob = blob_create(1000);
    blob->len = 1000;
    for (size_t i = 0; i < blob->len; i++)
        blob->data[i] = (char)random_below(random, 256);
    size_t from = random_below(random, 500);
    struct bytes text = bytes_make(blob->data + from, 1 + random_below(random, 500));
    pieces_append_blob(pieces, blob, text);
    buf_append(model, text);
    cr_assert(blob_is_shared(blob));
    blob_unref(blob);
}

static void join(struct pieces *pieces, struct buf *model, struct random *random)
{
    struct pieces more = { 0 };
    struct buf twin = BUF_EMPTY;
    for (size_t steps = random_below(random, 4); steps; steps--)
        random_below(random, 2) ? add_bytes(&more, &twin, random) : add_blob(&more, &twin, random);
    pieces_append_pieces(pieces, &more);
    buf_append(model, buf_bytes(&twin));
    cr_assert_eq(pieces_len(&more), 0);
    buf_fini(&twin);
    pieces_fini(&more);
}

static void cut(struct pieces *pieces, struct buf *model, struct random *random)
{
    size_t len = random_below(random, model->len + 1);
    if (len > 2000 && random_below(random, 4))
        len = 2000;
    pieces_cut(pieces, len);
    if (model->len)
        memmove(model->ptr, model->ptr + len, model->len - len);
    model->len -= len;
}

Test(pieces, as_one_buffer_says)
{
    struct random random = seed_random("pieces");
    struct pieces pieces = { 0 };
    struct buf model = BUF_EMPTY;
    for (int step = 0; step < 3000; step++) {
        uint64_t choice = random_below(&random, 100);
        if (choice < 60)
            add_bytes(&pieces, &model, &random);
        else if (choice < 75)
            add_blob(&pieces, &model, &random);
        else if (choice < 85)
            join(&pieces, &model, &random);
        else if (choice < 97)
            cut(&pieces, &model, &random);
        else if (choice < 99)
            pieces_close(&pieces);
        else {
            pieces_clear(&pieces);
            buf_clear(&model);
        }
        check(&pieces, &model);
    }
    buf_fini(&model);
    pieces_fini(&pieces);
}

Test(pieces, nothing_is_moved_because_there_is_more)
{
    struct pieces pieces = { 0 };
    for (int i = 0; i < 100000; i++)
        memset(pieces_extend(&pieces, 100), 'x', 100);
    cr_assert_eq(pieces_len(&pieces), 10000000);
    for (size_t i = 0; i < pieces.count; i++)
        cr_assert_leq(pieces.items[i].text.len, PIECES_SEAL);
    const char *first = pieces.items[0].text.ptr;
    pieces_close(&pieces);
    struct pieces more = { 0 };
    pieces_append_pieces(&more, &pieces);
    cr_assert_eq(more.items[0].text.ptr, first);
    pieces_fini(&more);
    pieces_fini(&pieces);
}

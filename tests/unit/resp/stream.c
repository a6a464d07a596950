/*
 * Stream: see stream.h. The window stands for a connection's read buffer; taking a blob cuts its bytes out of the
 * window, as the contract of reader_add_blob has it.
 */
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum {
    SETTLE_ROUNDS = 4,
    SETTLE_BULK_MAX = 1024 * 1024,
};

struct feed {
    struct bytes stream;
    size_t arrived; /* bytes of the stream that left it */
    char *window;   /* owned; exactly `len` bytes, the current request's first byte in front */
    size_t len;
    const struct reader_limits *limits;
    const struct stream_split *split;
    struct reader reader;
    struct argv argv;
};

/* The window becomes its bytes from `skip` on and `more`, at another place. */
static void feed_move(struct feed *feed, size_t skip, struct bytes more)
{
    size_t kept = feed->len - skip;
    char *moved = malloc(kept + more.len + (kept + more.len == 0));
    ASSERT(moved != NULL);
    if (kept > 0)
        memcpy(moved, feed->window + skip, kept);
    if (more.len > 0)
        memcpy(moved + kept, more.ptr, more.len);
    if (feed->window != NULL)
        reader_move_slices(feed->argv.ptr, feed->argv.len, feed->window + skip, kept, moved);
    free(feed->window);
    feed->window = moved;
    feed->len = kept + more.len;
}

/* The next piece of the stream; false at its end. */
static bool feed_arrive(struct feed *feed)
{
    size_t left = feed->stream.len - feed->arrived, len = left;
    if (left == 0)
        return false;
    if (feed->split != NULL)
        len = 1 + (size_t)random_below(feed->split->random, feed->split->piece_max);
    if (len > left)
        len = left;
    feed_move(feed, 0, bytes_make(feed->stream.ptr + feed->arrived, len));
    feed->arrived += len;
    return true;
}

static void feed_record_request(struct feed *feed, struct buf *record)
{
    for (uint32_t i = 0; i < feed->reader.argc; i++) {
        struct bytes argument = feed->argv.ptr[feed->reader.first + i];
        buf_printf(record, "%zu:", argument.len);
        buf_append(record, argument);
        buf_append_char(record, ' ');
    }
    size_t offset = feed->arrived - feed->len + feed->reader.at;
    buf_printf(record, "%s@%zu\n", feed->reader.argc == 0 ? "- " : "", offset);
}

/* The next request; now and then its arguments go behind those that the vector holds, as a pipeline's do. */
static void feed_next(struct feed *feed)
{
    size_t consumed = feed->reader.at;
    bool keep = feed->split != NULL && feed->argv.len < 1000 && random_below(feed->split->random, 2) == 0;
    reader_fini(&feed->reader);
    if (!keep)
        feed->argv.len = 0;
    reader_init(&feed->reader, feed->argv.len);
    feed_move(feed, consumed, (struct bytes){ 0 });
}

/* Hands the announced argument over as a blob; false if the stream ends before it does. */
static bool feed_take_blob(struct feed *feed)
{
    struct reader *reader = &feed->reader;
    size_t there = feed->len - reader->at, missing = reader->bulk_len - there;
    if (feed->stream.len - feed->arrived < missing)
        return false;
    struct blob *blob = blob_create(reader->bulk_len);
    memcpy(blob->data, feed->window + reader->at, there);
    memcpy(blob->data + there, feed->stream.ptr + feed->arrived, missing);
    blob->len = reader->bulk_len;
    feed->arrived += missing;
    feed->len = reader->at;
    feed_move(feed, 0, (struct bytes){ 0 });
    reader_add_blob(reader, &feed->argv, blob);
    return true;
}

/* What a request waits for, in its simplest form. */
static void feed_settle_piece(const struct feed *feed, struct buf *piece)
{
    if (feed->reader.stage == READER_AT_BULK) {
        size_t there = feed->len - feed->reader.at;
        if (there < feed->reader.bulk_len)
            memset(buf_extend(piece, feed->reader.bulk_len - there), 'x', feed->reader.bulk_len - there);
    }
    buf_append_cstr(piece, "\r\n");
}

/* An unfinished request that gets what it waits for must end, fail or at least get on. */
static void feed_settle(struct feed *feed)
{
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        if (feed->reader.stage == READER_AT_BULK && feed->reader.bulk_len > SETTLE_BULK_MAX)
            return;
        struct buf piece = BUF_EMPTY;
        feed_settle_piece(feed, &piece);
        feed_move(feed, 0, buf_bytes(&piece));
        buf_fini(&piece);
        size_t at = feed->reader.at;
        enum reader_status status = reader_parse(&feed->reader, feed->limits, feed->window, feed->len, &feed->argv);
        if (status == READER_DONE || status == READER_BAD)
            return;
        ASSERT(feed->reader.at > at);
    }
}

void stream_record(
    struct bytes stream, const struct reader_limits *limits, const struct stream_split *split, struct buf *record)
{
    struct feed feed = { .stream = stream, .limits = limits, .split = split };
    argv_init(&feed.argv);
    reader_init(&feed.reader, 0);
    for (;;) {
        char *input = feed.window;
        enum reader_status status = reader_parse(&feed.reader, limits, input, feed.len, &feed.argv);
        ASSERT(feed.argv.len == feed.reader.first + feed.reader.argc);
        ASSERT(feed.reader.at <= feed.len);
        if (status == READER_DONE) {
            feed_record_request(&feed, record);
            feed_next(&feed);
            continue;
        }
        if (status == READER_BAD) {
            char text[READER_ERROR_MAX];
            reader_error(&feed.reader, text);
            buf_printf(record, "%s\n", text);
            break;
        }
        bool accept = split != NULL && split->blobs && random_below(split->random, 4) != 0;
        if (status == READER_BLOB && accept && feed_take_blob(&feed))
            continue;
        if (!feed_arrive(&feed)) {
            buf_append_cstr(record, "open\n");
            feed_settle(&feed);
            break;
        }
    }
    reader_fini(&feed.reader);
    argv_fini(&feed.argv);
    free(feed.window);
}

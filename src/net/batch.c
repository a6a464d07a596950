/*
 * The batch: what was read is cut into requests at once, while it is in the nearest cache, and executed together.
 *
 * Each connection that has something to execute adds one offer: a range of bytes, and the range of requests cut from
 * it. The arguments of all lie in one vector, which moves when it grows (batch_cut then corrects the requests), but for
 * a request that was begun in an earlier turn: its arguments are in the connection's own input.
 *
 * After execution each offer is settled. Usually nothing is left and that is all. Otherwise:
 *
 *   requests not done    are parked with copies of their arguments, and offered again when the connection may go on;
 *                        they are not cut again, because inline requests are decoded in place
 *   a partial request    goes with its reader and arguments into the connection's input
 *   a large argument     gets its blob
 *   bad input            is answered by an error, after the requests before it
 *
 * When the batch is full in the midst of an offer it is executed, and cutting goes on with an empty one.
 */
#include "batch_priv.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "net_priv.h"
#include "resp/errors.h"

enum {
    BATCH_REQUESTS = 64, /* room for so many in the beginning, */
    BATCH_ARGS = 4 * BATCH_REQUESTS,
    BATCH_ARGS_MAX = 64 * 1024, /* a vector larger than this is not kept */
};

void batch_init(struct batch *batch)
{
    batch->requests = mem_alloc(BATCH_REQUESTS * sizeof(*batch->requests));
    batch->cap = BATCH_REQUESTS;
    argv_init(&batch->argv);
    batch->argv.cap = BATCH_ARGS;
    batch->argv.ptr = mem_alloc(BATCH_ARGS * sizeof(*batch->argv.ptr));
}

void batch_fini(struct batch *batch)
{
    ASSERT(batch->offer_count == 0);
    mem_free(batch->requests);
    argv_fini(&batch->argv);
    mem_free(batch->offers);
}

static void requests_resize(struct batch *batch, size_t cap)
{
    batch->requests = mem_realloc(batch->requests, cap * sizeof(*batch->requests));
    batch->cap = (uint32_t)cap;
}

/* Makes room for `more` requests, of which there will be no more than NET_BATCH_REQUESTS. */
static inline void batch_reserve(struct batch *batch, uint32_t more)
{
    size_t cap = batch->cap;
    while (cap - batch->count < more)
        cap *= 2;
    if (cap > batch->cap)
        requests_resize(batch, cap);
}

void batch_trim(struct batch *batch)
{
    ASSERT(batch->count == 0);
    size_t cap = trimmed(batch->cap, batch->most, BATCH_REQUESTS);
    if (cap < batch->cap)
        requests_resize(batch, cap);
    size_t args = trimmed(batch->argv.cap, batch->most_args, BATCH_ARGS);
    if (args < batch->argv.cap) {
        batch->argv.ptr = mem_realloc(batch->argv.ptr, args * sizeof(*batch->argv.ptr));
        batch->argv.cap = args;
    }
    batch->most = batch->most_args = 0;
}

static void request_release_blobs(struct request *request)
{
    for (uint32_t i = 0; i < request->blob_count; i++)
        blob_unref(request->blobs[i].blob);
    mem_free(request->blobs);
    request->blobs = NULL;
    request->blob_count = 0;
}

void parked_free(struct parked *parked)
{
    if (parked == NULL)
        return;
    for (uint32_t i = parked->from; i < parked->count; i++)
        request_release_blobs(&parked->requests[i]);
    mem_free(parked->args);
    mem_free(parked);
}

/* Copies `count` requests and their vectors. NULL when memory is out. */
static struct parked *parked_create(const struct request *requests, uint32_t count)
{
    size_t arg_count = 0;
    for (uint32_t i = 0; i < count; i++)
        arg_count += requests[i].argc;
    size_t size = sizeof(struct parked) + count * sizeof(struct request);
    struct parked *parked = mem_try_alloc(size);
    struct bytes *args = parked == NULL ? NULL : mem_try_alloc(arg_count * sizeof(*args));
    if (args == NULL) {
        mem_free(parked);
        return NULL;
    }
    *parked = (struct parked){ .args = args, .arg_count = arg_count, .count = count };
    parked->size = size + arg_count * sizeof(*args);
    for (uint32_t i = 0; i < count; i++) {
        memcpy(args, requests[i].argv, requests[i].argc * sizeof(*args));
        parked->requests[i] = requests[i];
        parked->requests[i].argv = args;
        args += requests[i].argc;
    }
    return parked;
}

static inline struct offer *offer_add(struct connection *connection, char *base, size_t len)
{
    struct batch *batch = &connection->net->batch;
    ASSERT(!batch->executing);
    if (batch->offer_count == batch->offer_cap) {
        batch->offer_cap = batch->offer_cap == 0 ? 64 : batch->offer_cap * 2;
        batch->offers = mem_realloc(batch->offers, batch->offer_cap * sizeof(*batch->offers));
    }
    struct offer *offer = &batch->offers[batch->offer_count++];
    *offer = (struct offer){ .connection = connection, .base = base, .len = len, .first = batch->count };
    return offer;
}

/* Sets `done` requests aside: counts those at the front, and frees what is left of their blobs. */
static uint32_t requests_release_done(struct request *requests, uint32_t count)
{
    uint32_t done = 0;
    for (; done < count && requests[done].done; done++) {
        if (__builtin_expect(requests[done].blobs != NULL, 0))
            request_release_blobs(&requests[done]);
    }
    return done;
}

static void connection_tell_bad(struct connection *connection)
{
    char why[READER_ERROR_MAX], text[READER_ERROR_MAX + 4] = "ERR ";
    reader_error(&connection->input->reader, why);
    strcat(text, why);
    log_write(LOG_VERBOSE, "%s from client fd=%d", why, connection->io.fd);
    connection_fail(connection, bytes_from_cstr(text));
}

/* The bytes of a large argument that have arrived are at the end of the offer. */
static bool offer_begin_blob(struct offer *offer)
{
    struct connection *connection = offer->connection;
    struct input *input = connection->input;
    if (input_is_over_limit(connection, input->reader.bulk_len))
        return false;
    input->blob = blob_try_create(input->reader.bulk_len);
    if (input->blob == NULL) {
        connection_fail(connection, error_text(ERROR_MEMORY_REQUEST));
        return false;
    }
    size_t begin = offer->at + input->reader.at;
    input->blob->len = offer->len - begin;
    memcpy(input->blob->data, offer->base + begin, input->blob->len);
    return true;
}

/* Moves the arguments of the partial request from the batch's vector into its own. */
static bool offer_keep_args(struct offer *offer)
{
    struct input *input = offer->connection->input;
    const struct batch *batch = &offer->connection->net->batch;
    struct reader *reader = &input->reader;
    if (!offer->args_shared) {
        if (reader->argc == 0)
            input->argv.len = 0;
        return true;
    }
    size_t need = (size_t)reader->argc + 1; /* a blob may follow */
    if (input->argv.cap < need) {
        struct bytes *ptr = mem_try_realloc(input->argv.ptr, need * sizeof(*ptr));
        if (ptr == NULL) {
            connection_fail(offer->connection, error_text(ERROR_MEMORY_REQUEST));
            return false;
        }
        input->argv.ptr = ptr;
        input->argv.cap = need;
    }
    memcpy(input->argv.ptr, batch->argv.ptr + reader->first, reader->argc * sizeof(struct bytes));
    input->argv.len = reader->argc;
    reader->first = 0;
    return true;
}

/* Sees to it that the bytes from the first parked or unfinished request on are in the connection's own buffer. */
static bool offer_keep_bytes(struct offer *offer)
{
    struct connection *connection = offer->connection;
    struct input *input = connection->input;
    size_t from = input->parked != NULL ? 0 : offer->at;
    size_t end = offer->end == OFFER_BLOB ? offer->at + input->reader.at : offer->len;
    if (offer->in_own) {
        size_t start = (size_t)(offer->base - input->buf);
        input->start = start + from;
        input->at = start + offer->at;
        input->len = start + end;
        input_shrink(input);
        return true;
    }
    if (!input_append(connection, offer->base + from, end - from))
        return false;
    input_move(input, offer->base + from, end - from, input->buf);
    input->at = offer->at - from;
    return true;
}

/* Keeps what is left of an offer, of whose requests those from `done` on wait. False if the connection is done for. */
static bool offer_keep(struct offer *offer, struct request *requests, uint32_t done)
{
    struct connection *connection = offer->connection;
    struct input *input = input_need(connection);
    if (done < offer->count) {
        input->parked = parked_create(requests + done, offer->count - done);
        if (input->parked == NULL) {
            connection_fail(connection, error_text(ERROR_MEMORY_REQUEST));
            return false;
        }
        offer->count = done;
    }
    if (offer->end == OFFER_BLOB && !offer_begin_blob(offer))
        return false;
    if (!offer_keep_args(offer) || !offer_keep_bytes(offer))
        return false;
    input->bad = offer->end == OFFER_BAD;
    return true;
}

/* What was parked before was offered. */
static void offer_settle_parked(struct offer *offer, uint32_t done)
{
    struct input *input = offer->connection->input;
    input->parked->from += done;
    if (input->parked->from < input->parked->count)
        return;
    parked_free(input->parked);
    input->parked = NULL;
    input->start = input->at;
}

/* Frees what an offer of a connection that is done for still holds. */
static void offer_drop(struct offer *offer, struct request *requests, uint32_t done)
{
    if (offer->from_parked)
        offer->connection->input->parked->from += done;
    for (uint32_t i = done; i < offer->count && !offer->from_parked; i++)
        request_release_blobs(&requests[i]);
    input_drop(offer->connection);
}

/* Something of the connection's input is left, or its end has come: what is to happen next? */
static void offer_settle_rest(struct offer *offer)
{
    struct connection *connection = offer->connection;
    struct input *input = connection->input;
    if (input != NULL && input->start == input->len && input->blob == NULL) {
        input_drop(connection);
        input = NULL;
    }
    if (input != NULL)
        input_account(connection);
    if (connection->paused) {
        connection_watch(connection);
        return;
    }
    bool has_more = input != NULL && (input->parked != NULL || input->bad || offer->end == OFFER_UNCUT);
    if (has_more || (offer->from_parked && input != NULL))
        connection_push_ready(connection);
    else if (connection->eof)
        connection_close_after_output(connection);
}

static void offer_settle(struct net *net, struct offer *offer)
{
    struct connection *connection = offer->connection;
    struct request *requests = net->batch.requests + offer->first;
    uint32_t done = requests_release_done(requests, offer->count);
    if (output_len(&connection->out) > 0)
        connection_push_writer(connection);
    if (connection->input == NULL && done == offer->count && offer->end == OFFER_ALL && !connection->eof)
        return;
    if (connection->closing || connection->finishing) {
        offer_drop(offer, requests, done);
        return;
    }
    if (offer->from_parked) {
        offer_settle_parked(offer, done);
    } else if (done < offer->count || offer->end != OFFER_ALL) {
        if (!offer_keep(offer, requests, done)) {
            offer_drop(offer, requests, done);
            return;
        }
    } else {
        input_drop(connection);
    }
    offer_settle_rest(offer);
}

static void batch_call(struct net *net)
{
    struct batch *batch = &net->batch;
    if (batch->count == 0)
        return;
    batch->executing = true;
    net->receiver.execute(net->receiver.context, batch->requests, batch->count);
    batch->executing = false;
}

static void batch_clear(struct batch *batch)
{
    batch->most = batch->count > batch->most ? batch->count : batch->most;
    batch->most_args = batch->argv.len > batch->most_args ? batch->argv.len : batch->most_args;
    batch->count = 0;
    batch->offer_count = 0;
    batch->argv.len = 0;
    if (batch->argv.cap <= BATCH_ARGS_MAX)
        return;
    argv_fini(&batch->argv);
    batch->argv.cap = BATCH_ARGS;
    batch->argv.ptr = mem_alloc(BATCH_ARGS * sizeof(*batch->argv.ptr));
}

void batch_execute(struct net *net)
{
    struct batch *batch = &net->batch;
    if (batch->offer_count > 0) {
        batch_call(net);
        for (size_t i = 0; i < batch->offer_count; i++)
            offer_settle(net, &batch->offers[i]);
        batch_clear(batch);
    }
    net->area_most = net->area_used > net->area_most ? net->area_used : net->area_most;
    net->area_used = 0;
}

/*
 * The batch is full in the midst of the last offer: executes it. Returns that offer, now the only one and without
 * requests, or NULL if its connection does not go on; then it was settled.
 */
static struct offer *batch_execute_midway(struct net *net)
{
    struct batch *batch = &net->batch;
    struct offer last = batch->offers[--batch->offer_count];
    struct connection *connection = last.connection;
    batch_call(net);
    for (size_t i = 0; i < batch->offer_count; i++)
        offer_settle(net, &batch->offers[i]);
    struct request *requests = batch->requests + last.first;
    bool goes_on = !connection->closing && !connection->finishing && !connection->paused &&
                   (last.count == 0 || requests[last.count - 1].done);
    if (!goes_on) {
        last.end = OFFER_UNCUT;
        offer_settle(net, &last);
        batch_clear(batch);
        return NULL;
    }
    uint32_t done = requests_release_done(requests, last.count);
    ASSERT(done == last.count);
    if (connection->input != NULL)
        connection->input->argv.len = 0;
    if (output_len(&connection->out) > 0)
        connection_push_writer(connection);
    batch_clear(batch);
    struct offer *offer = offer_add(connection, last.base, last.len);
    offer->at = last.at;
    offer->in_own = last.in_own;
    return offer;
}

static inline void batch_push(struct batch *batch, void *owner, struct reader *reader, struct bytes *argv)
{
    size_t size = reader->at;
    for (uint32_t i = 0; i < reader->blob_count; i++)
        size += reader->blobs[i].blob->len;
    struct request *request = &batch->requests[batch->count++];
    request->owner = owner;
    request->argv = argv;
    request->blobs = reader->blobs;
    request->argc = reader->argc;
    request->blob_count = reader->blob_count;
    request->size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    request->done = false;
}

/* The batch's vector grew and moved from `from`. */
static void batch_argv_moved(struct batch *batch, uintptr_t from, size_t from_count)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        uintptr_t offset = (uintptr_t)batch->requests[i].argv - from;
        if (offset < from_count * sizeof(struct bytes))
            batch->requests[i].argv = batch->argv.ptr + offset / sizeof(struct bytes);
    }
}

/* Other requests may have been cut from what is behind the first one. */
char *batch_part_input(struct connection *connection)
{
    enum { REST_MAX = 256 * 1024 };
    struct batch *batch = &connection->net->batch;
    struct input *input = connection->input;
    struct offer *offer = batch->offers, *end = offer + batch->offer_count;
    while (offer < end && offer->connection != connection)
        offer++;
    if (offer == end || !offer->in_own || offer->base != input->buf || offer->len - input->whole_end > REST_MAX)
        return NULL;
    size_t rest = offer->len - input->whole_end, cap = rest > 0 ? mem_good_size(rest) : 0;
    const char *from = offer->base + input->whole_end;
    char *buf = rest > 0 ? mem_try_alloc(cap) : NULL, *old = input->buf;
    if (rest > 0 && buf == NULL)
        return NULL;
    if (rest > 0) {
        memcpy(buf, from, rest);
        reader_move_slices(batch->argv.ptr, batch->argv.len, from, rest, buf);
    }
    offer->base = buf;
    offer->at -= input->whole_end;
    offer->len = rest;
    input->buf = buf;
    input->start = input->at = input->whole_end = 0;
    input->len = rest;
    input->cap = cap;
    return old;
}

/*
 * Cutting ends with something left. A client may authenticate in front of what only then is within its limits: such
 * input is looked at again after the requests before it.
 */
static void offer_stop(struct offer *offer, const struct reader *reader, enum reader_status status, bool is_own)
{
    struct connection *connection = offer->connection;
    if (status == READER_BAD && offer->count > 0 && !connection->authenticated && offer->base[offer->at] == '*') {
        offer->end = OFFER_UNCUT;
        return;
    }
    offer->end = status == READER_PARTIAL ? OFFER_PARTIAL : status == READER_BLOB ? OFFER_BLOB : OFFER_BAD;
    if (is_own)
        return;
    input_need(connection)->reader = *reader;
    offer->args_shared = true;
}

/* Goes on with the request that was begun in an earlier turn. False if it is still not whole. */
static bool offer_cut_begun(struct batch *batch, struct offer *offer, const struct reader_limits *limits)
{
    struct input *input = offer->connection->input;
    struct reader *reader = &input->reader;
    enum reader_status status = reader_parse(reader, limits, offer->base, offer->len, &input->argv);
    if (status != READER_DONE) {
        offer_stop(offer, reader, status, true);
        return false;
    }
    offer->at = reader->at;
    input->whole_end = offer->at;
    if (reader->argc > 0) {
        batch_push(batch, offer->connection->owner, reader, input->argv.ptr);
        offer->count++;
    }
    reader_init(reader, 0); /* the request has its blobs now */
    input->blob_bytes = 0;
    return true;
}

/* Cuts plain requests off while there are some, and room for them. */
static __attribute__((noinline)) void offer_cut_plain(
    struct batch *batch, struct offer *offer, const struct reader_limits *limits)
{
    struct request *request = batch->requests + batch->count, *last = batch->requests + batch->cap;
    struct bytes *argv = batch->argv.ptr + batch->argv.len;
    const struct bytes *argv_end = batch->argv.ptr + batch->argv.cap;
    const char *at = offer->base + offer->at, *end = offer->base + offer->len;
    const struct reader_limits own = *limits; /* which nothing that is written here can change */
    void *owner = offer->connection->owner;
    for (; request < last; request++) {
        size_t size = reader_take(&own, at, (size_t)(end - at), argv, argv_end, &request->argc);
        if (size == 0)
            break;
        request->owner = owner;
        request->argv = argv;
        request->blobs = NULL;
        request->blob_count = 0;
        request->size = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
        request->done = false;
        argv += request->argc;
        at += size;
    }
    uint32_t count = (uint32_t)(request - batch->requests) - batch->count;
    batch->argv.len = (size_t)(argv - batch->argv.ptr);
    offer->at = (size_t)(at - offer->base);
    offer->count += count;
    batch->count += count;
}

static void offer_cut(struct net *net, struct offer *offer)
{
    struct batch *batch = &net->batch;
    struct connection *connection = offer->connection;
    struct reader_limits limits = { net->settings->bulk_max, connection->authenticated };
    if (offer->in_own && !offer_cut_begun(batch, offer, &limits))
        return;
    while (offer->at < offer->len) {
        if (__builtin_expect(batch->count == batch->cap, 0) && batch->cap < NET_BATCH_REQUESTS)
            batch_reserve(batch, 1);
        if (__builtin_expect(batch->count == NET_BATCH_REQUESTS, 0)) {
            offer = batch_execute_midway(net);
            if (offer == NULL)
                return;
            limits.authenticated = connection->authenticated;
        }
        offer_cut_plain(batch, offer, &limits);
        if (offer->at == offer->len || batch->count == batch->cap)
            continue;
        const struct bytes *before = batch->argv.ptr;
        size_t before_len = batch->argv.len;
        struct reader reader;
        reader_init(&reader, before_len);
        enum reader_status status =
            reader_parse(&reader, &limits, offer->base + offer->at, offer->len - offer->at, &batch->argv);
        if (__builtin_expect(batch->argv.ptr != before, 0))
            batch_argv_moved(batch, (uintptr_t)before, before_len);
        if (status != READER_DONE) {
            offer_stop(offer, &reader, status, false);
            return;
        }
        offer->at += reader.at;
        if (reader.argc > 0) {
            batch_push(batch, connection->owner, &reader, batch->argv.ptr + reader.first);
            offer->count++;
        }
    }
}

void batch_add_bytes(struct connection *connection, char *bytes, size_t len)
{
    offer_cut(connection->net, offer_add(connection, bytes, len));
}

static void batch_add_parked(struct connection *connection)
{
    struct batch *batch = &connection->net->batch;
    const struct parked *parked = connection->input->parked;
    struct offer *offer = offer_add(connection, NULL, 0);
    offer->from_parked = true;
    offer->count = parked->count - parked->from;
    memcpy(batch->requests + batch->count, parked->requests + parked->from, offer->count * sizeof(struct request));
    batch->count += offer->count;
}

void batch_add_input(struct connection *connection)
{
    struct net *net = connection->net;
    struct input *input = connection->input;
    uint32_t room = input != NULL && input->parked != NULL ? input->parked->count - input->parked->from : 1;
    if (net->batch.count + room > NET_BATCH_REQUESTS)
        batch_execute(net);
    if (connection->closing || connection->finishing || connection->paused)
        return;
    batch_reserve(&net->batch, room);
    if (input == NULL || (input->blob != NULL && input->parked == NULL)) {
        if (connection->eof)
            connection_close_after_output(connection);
    } else if (input->parked != NULL) {
        batch_add_parked(connection);
    } else if (input->bad) {
        connection_tell_bad(connection);
    } else {
        struct offer *offer = offer_add(connection, input->buf + input->start, input->len - input->start);
        offer->in_own = true;
        offer_cut(net, offer);
    }
}

/*
 * Input: reading from connections, and what a connection holds while some of its input waits.
 *
 * Everything is read into the next free part of one area, whoever it is from: a busy server then works in the few
 * kilobytes at its beginning, which stay in the nearest cache. The area grows when a turn was executed in parts for
 * want of room, and shrinks when that does not happen again. Only a rest that cannot be executed yet is copied to the
 * connection's own buffer; what arrives later is appended there, until nothing waits and the buffer is freed.
 *
 * A large argument that has not arrived whole is read straight into its blob. What follows it in the stream goes into
 * the area by the same system call.
 *
 * Costs: own buffers grow by doubling, where they lie if there is room, and otherwise move with their arguments, so
 * that a request is O(n) however finely it is split.
 */
#include "net_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/log.h"
#include "base/mem.h"
#include "resp/errors.h"
#include "socket_priv.h"

enum {
    INPUT_CAP_MIN = 256,
    INPUT_SHRINK_MIN = 64 * 1024, /* own buffers larger than this are exchanged when little waits in them */
};

struct input *input_need(struct connection *connection)
{
    if (connection->input == NULL) {
        connection->input = mem_zalloc(sizeof(struct input));
        reader_init(&connection->input->reader, 0);
        argv_init(&connection->input->argv);
    }
    return connection->input;
}

size_t input_memory(const struct input *input)
{
    size_t memory = sizeof(*input) + input->cap + input->argv.cap * sizeof(struct bytes) + input->blob_bytes;
    if (input->blob != NULL)
        memory += input->blob->cap;
    if (input->parked != NULL)
        memory += input->parked->size;
    return memory;
}

void input_account(struct connection *connection)
{
    struct input *input = connection->input;
    size_t memory = input_memory(input);
    connection->net->stats.input_memory += memory - input->accounted;
    input->accounted = memory;
}

bool connection_take_request(
    struct connection *connection, const struct bytes *argv, struct bytes **own_argv, char **own_bytes)
{
    struct input *input = connection->input;
    if (input == NULL || input->whole_end == 0 || input->argv.ptr != argv || input->parked != NULL ||
        input->blob != NULL)
        return false;
    struct bytes *taken = input->argv.ptr;
    char *bytes = batch_part_input(connection);
    if (bytes == NULL)
        return false;
    *own_argv = taken;
    *own_bytes = bytes;
    argv_init(&input->argv);
    return true;
}

void input_drop(struct connection *connection)
{
    struct input *input = connection->input;
    if (input == NULL)
        return;
    connection->net->stats.input_memory -= input->accounted;
    reader_fini(&input->reader);
    argv_fini(&input->argv);
    blob_unref(input->blob);
    parked_free(input->parked);
    mem_free(input->buf);
    mem_free(input);
    connection->input = NULL;
}

void input_move(struct input *input, const char *from, size_t len, const char *to)
{
    reader_move_slices(input->argv.ptr, input->argv.len, from, len, to);
    if (input->parked != NULL)
        reader_move_slices(input->parked->args, input->parked->arg_count, from, len, to);
}

/* Moves what waits to the front. */
static void input_compact(struct input *input)
{
    size_t start = input->start;
    memmove(input->buf, input->buf + start, input->len - start);
    input_move(input, input->buf + start, input->len - start, input->buf);
    input->at -= start;
    input->len -= start;
    input->start = 0;
}

/* Moves to a buffer of `cap` bytes. False when memory is out. */
static bool input_resize(struct input *input, size_t cap)
{
    char *buf = mem_try_alloc(cap);
    if (buf == NULL)
        return false;
    size_t waiting = input->len - input->start;
    if (waiting > 0) {
        memcpy(buf, input->buf + input->start, waiting);
        input_move(input, input->buf + input->start, waiting, buf);
    }
    mem_free(input->buf);
    input->buf = buf;
    input->at -= input->start;
    input->len = waiting;
    input->start = 0;
    input->cap = cap;
    return true;
}

static bool input_reserve(struct input *input, size_t more)
{
    if (input->cap - input->len >= more)
        return true;
    size_t waiting = input->len - input->start;
    if (input->start >= waiting && input->cap - waiting >= more) {
        input_compact(input);
        return true;
    }
    size_t cap = input->cap < INPUT_CAP_MIN ? INPUT_CAP_MIN : input->cap;
    while (cap - waiting < more)
        cap *= 2;
    cap = mem_good_size(cap);
    if (input->start == 0 && input->buf != NULL && mem_try_expand(input->buf, cap)) {
        input->cap = cap;
        return true;
    }
    return input_resize(input, cap);
}

void input_shrink(struct input *input)
{
    size_t waiting = input->len - input->start;
    if (input->cap > INPUT_SHRINK_MIN && waiting < input->cap / 4)
        input_resize(input, mem_good_size(waiting + INPUT_CAP_MIN));
}

bool input_is_over_limit(struct connection *connection, size_t more)
{
    struct net *net = connection->net;
    const struct input *input = connection->input;
    if (input->len - input->start + input->blob_bytes + more <= net->settings->query_buffer_max)
        return false;
    struct connection_facts facts;
    connection_describe(connection, &facts);
    log_write(LOG_WARNING, "Closing client that reached max query buffer length: addr=%s fd=%d qbuf=%zu", facts.peer,
        facts.fd, facts.input_len);
    net->stats.query_limit_closed++;
    connection_close(connection);
    return true;
}

bool input_append(struct connection *connection, const char *bytes, size_t len)
{
    struct input *input = input_need(connection);
    if (input_is_over_limit(connection, len))
        return false;
    if (!input_reserve(input, len)) {
        connection_fail(connection, error_text(ERROR_MEMORY_REQUEST));
        return false;
    }
    memcpy(input->buf + input->len, bytes, len);
    input->len += len;
    return true;
}

/* The end of what the client sends, or an error. */
static void input_end(struct connection *connection, ssize_t got)
{
    const struct input *input = connection->input;
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            connection_close(connection);
        return;
    }
    connection->eof = true;
    if (connection->paused && connection->patient)
        connection_close(connection);
    else if (connection->paused || connection->is_ready || (input != NULL && input->parked != NULL))
        connection_watch(connection);
    else
        connection_close_after_output(connection);
}

static void input_count(struct connection *connection, ssize_t got)
{
    struct net *net = connection->net;
    connection->input_bytes += (size_t)got;
    connection->active_ms = net->now_ms;
    connection->is_heavy = got > NET_LIGHT_READ;
    net->stats.input_bytes += (size_t)got;
    net->stats.reads++;
}

/* Something was added to the input: offers it, unless its time is later. */
static void input_offer(struct connection *connection)
{
    struct input *input = connection->input;
    input_account(connection);
    if (connection->paused)
        connection_watch(connection);
    else if (input->parked != NULL || connection->is_ready)
        connection_push_ready(connection);
    else
        batch_add_input(connection);
}

/* The receiver may do something about a large argument before it is whole. */
static void input_tell(struct connection *connection)
{
    const struct input *input = connection->input;
    const struct net_receiver *receiver = &connection->net->receiver;
    if (receiver->arriving != NULL && input->parked == NULL && !connection->paused && !connection->is_ready)
        receiver->arriving(receiver->context, connection->owner, input->argv.ptr, input->reader.argc, input->blob,
            input->reader.bulk_len);
}

/* Goes on reading a large argument. */
static void input_read_blob(struct connection *connection, char *area, size_t room)
{
    struct input *input = connection->input;
    struct blob *blob = input->blob;
    size_t rest = input->reader.bulk_len - blob->len;
    struct iovec vectors[2] = {
        { .iov_base = blob->data + blob->len, .iov_len = rest < NET_LARGE_READ_MAX ? rest : NET_LARGE_READ_MAX },
        { .iov_base = area, .iov_len = room },
    };
    ssize_t got = connection->tls != NULL ? tls_receive(connection, vectors[0].iov_base, vectors[0].iov_len)
                                          : readv(connection->io.fd, vectors, rest <= NET_LARGE_READ_MAX ? 2 : 1);
    if (got <= 0) {
        input_end(connection, got);
        return;
    }
    input_count(connection, got);
    if ((size_t)got < rest) {
        blob->len += (size_t)got;
        input_tell(connection);
        return;
    }
    blob->len += rest;
    input->blob = NULL;
    input->blob_bytes += blob->len;
    reader_add_blob(&input->reader, &input->argv, blob);
    if (input_append(connection, area, (size_t)got - rest))
        input_offer(connection);
}

/* Nothing lies in it. */
static void area_resize(struct net *net, size_t cap)
{
    mem_free(net->area);
    net->area = mem_alloc(cap);
    net->area_cap = cap;
}

void input_trim(struct net *net)
{
    size_t cap = trimmed(net->area_cap, net->area_most, NET_AREA_MIN);
    if (cap < net->area_cap)
        area_resize(net, cap);
    net->area_most = 0;
}

void input_read(struct connection *connection)
{
    struct net *net = connection->net;
    bool is_full = net->area_cap - net->area_used < NET_READ_MIN;
    if (is_full || net->batch.offer_count >= NET_BATCH_CONNECTIONS) {
        batch_execute(net);
        net_send(net);
        if (is_full && net->area_cap < NET_AREA_MAX)
            area_resize(net, net->area_cap * 2);
        if (connection->closing || connection->finishing)
            return;
    }
    char *area = net->area + net->area_used;
    size_t room = net->area_cap - net->area_used;
    if (room > NET_READ_MAX)
        room = NET_READ_MAX;
    if (connection->input != NULL && connection->input->blob != NULL) {
        input_read_blob(connection, area, room);
        return;
    }
    ssize_t got = __builtin_expect(connection->tls != NULL, 0) ? tls_receive(connection, area, room)
                                                               : socket_receive(connection->io.fd, area, room);
    if (got <= 0) {
        input_end(connection, got);
        return;
    }
    input_count(connection, got);
    if (connection->input == NULL && !connection->paused) {
        net->area_used += (size_t)got;
        batch_add_bytes(connection, area, (size_t)got);
    } else if (input_append(connection, area, (size_t)got)) {
        input_offer(connection);
    }
}

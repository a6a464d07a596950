/*
 * Connection: what the layers above may ask of one client's socket.
 *
 * A connection belongs to net; others hold a borrowed pointer between `opened` and `closed`. All of this is for the
 * loop's thread, and may be called at any time on it, while a batch is executed too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct connection;

/*
 * Output was appended outside of an execution of this connection's own requests: see to it that it is sent in this turn
 * or the next.
 */
void connection_wake(struct connection *connection);

/*
 * Executes no more requests of this client until connection_resume. What it sends meanwhile is read up to a small
 * amount, so that its end is noticed: a paused client that shuts its side down is closed at once if it is patient (it
 * is blocked, and gone), and otherwise after its requests were executed and their replies sent. The end of a patient
 * client behind more than that amount is seen within a second, once the system has it: not as long as there is so much
 * before it that the system's buffers are full.
 */
void connection_pause(struct connection *connection);
void connection_resume(struct connection *connection);

/*
 * Within the execution of its request with these arguments, which is not offered again: if they, and the bytes they
 * point to, are memory of the connection's own that holds nothing else, both become the caller's, who frees them
 * (mem_free), and stay where they are. False otherwise. O(1).
 */
bool connection_take_request(
    struct connection *connection, const struct bytes *argv, struct bytes **own_argv, char **own_bytes);

/*
 * Closes it: at once (at the end of the turn; nothing is sent any more), or after what waits was sent. Requests not yet
 * executed are dropped, but those of a batch that is being executed are still offered: the receiver passes over them.
 */
void connection_close(struct connection *connection);
void connection_close_after_output(struct connection *connection);

/*
 * True if so many bytes of output, beside what waits already, are above the hard limit of its class: it is closed then,
 * and the log says so. O(1).
 */
bool connection_close_if_flooded(struct connection *connection, size_t more);

/* The limits of reader.h for clients that have not authenticated; a new connection is not authenticated. */
void connection_set_authenticated(struct connection *connection, bool authenticated);

/*
 * Sends nothing until connection_release, which sends what is among the first `written` bytes that were ever appended
 * to the output, or, with UINT64_MAX, all, and holds no more. Requests are executed meanwhile. Closing after the output
 * waits for that too. Holding what is held changes nothing.
 */
void connection_hold(struct connection *connection);
void connection_release(struct connection *connection, uint64_t written);

/* Bytes that were ever appended to its output. */
uint64_t connection_written(const struct connection *connection);

/* Which of net_settings' output limits holds: 0 normal, 1 replica, 2 pubsub. */
void connection_set_class(struct connection *connection, int limit_class);

/* Never closed for being idle (blocked clients, subscribers). */
void connection_set_patient(struct connection *connection, bool patient);

/* What CLIENT LIST tells. The texts are "127.0.0.1:6379", "[::1]:6379" or "path:0"; room for any address. */
struct connection_facts {
    char peer[128], local[128];
    int fd;
    bool is_unix, is_loopback;    /* loopback: by address, or a Unix socket */
    size_t input_len, input_free; /* bytes of unexecuted input, and free room behind it */
    size_t input_memory;          /* bytes held for input, arguments included */
    size_t output_len, output_memory;
    uint64_t input_bytes, output_bytes; /* moved so far */
    uint64_t idle_ms;                   /* since bytes last moved, either way */
};
void connection_describe(const struct connection *connection, struct connection_facts *facts);

/* Bytes held for the connection's input and output. O(1). */
size_t connection_memory(const struct connection *connection);

/*
 * What waits to be executed: the input that a connection holds, and the batch being gathered from all of them.
 *
 * Bytes are cut into requests where they arrived, in the area that connections share. Only what is left over after the
 * batch, an unfinished request or requests that may not run yet, is kept in an input of the connection's own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resp/reader.h"
#include "resp/request.h"

struct connection;
struct net;

/* Requests that were cut but not executed, with copies of their vectors. */
struct parked {
    struct bytes *args; /* owned */
    size_t arg_count;
    size_t size; /* bytes allocated */
    uint32_t from, count;
    struct request requests[];
};

/*
 * What a connection holds while some of its input waits:
 *
 *   buf  | executed | parked requests | unfinished request, not cut yet | room |
 *        0          start             at                                len    cap
 *
 * Arguments are slices of buf and move with it (input_move), but for those that are blobs.
 */
struct input {
    char *buf; /* owned */
    size_t start, at, len, cap;
    struct reader reader;  /* of the request at `at` */
    struct argv argv;      /* its arguments so far */
    struct blob *blob;     /* owned: its large argument, being read; NULL if none */
    struct parked *parked; /* owned; NULL if none */
    size_t blob_bytes;     /* in the blobs of the unfinished request */
    size_t accounted;      /* bytes that net's input_memory counts for it */
    size_t whole_end; /* `argv` holds a request that was begun in an earlier turn and ends here in its offer; or 0 */
    bool bad;         /* the reader found an error, to be told once the parked requests are done */
};

/* Why cutting stopped. */
enum offer_end {
    OFFER_ALL,     /* nothing is left */
    OFFER_UNCUT,   /* what is left was not looked at */
    OFFER_PARTIAL, /* the reader's statuses; input->reader has the state */
    OFFER_BLOB,
    OFFER_BAD,
};

/* One connection's part of the batch. */
struct offer {
    struct connection *connection;
    char *base;            /* its unexecuted bytes, */
    size_t len, at;        /* of which those before `at` were cut into requests */
    uint32_t first, count; /* its requests in the batch */
    enum offer_end end;
    bool from_parked; /* offers parked requests, and nothing else */
    bool in_own;      /* base is in input->buf, else in the shared area */
    bool args_shared; /* the arguments of input->reader are in the batch's vector */
};

struct batch {
    struct request *requests; /* owned: `cap`, which grows up to NET_BATCH_REQUESTS */
    uint32_t count, cap;
    struct argv argv;     /* of all requests that were cut from the area */
    struct offer *offers; /* owned */
    size_t offer_count, offer_cap;
    size_t most, most_args; /* requests and arguments of the largest batch since the last trim */
    bool executing;
};

/* input.c */

/* Reads what has arrived, once. */
void input_read(struct connection *connection);

/* Makes sure that there is an input. */
struct input *input_need(struct connection *connection);

/* Appends to what waits. False, and the connection is done for, if that is too much. */
bool input_append(struct connection *connection, const char *bytes, size_t len);

/* Closes the connection if its input and `more` bytes are above the query buffer's limit; true if so. */
bool input_is_over_limit(struct connection *connection, size_t more);

/* Exchanges a large buffer in which little waits. */
void input_shrink(struct input *input);

/* Moves the arguments of the unfinished request, and of the parked ones, that lie in `len` bytes at `from`. */
void input_move(struct input *input, const char *from, size_t len, const char *to);

/*
 * The buffer of the input, whose first request is being executed and was begun in an earlier turn, becomes the
 * caller's; what lies behind that request moves to another one. NULL, with nothing changed, if that cannot be.
 */
char *batch_part_input(struct connection *connection);

/* Of the shared area, which is empty: makes it smaller if much of it has not been used lately. */
void input_trim(struct net *net);

/* Frees everything that waits. */
void input_drop(struct connection *connection);

/* Bytes held for input; brings net's sum up to date. */
size_t input_memory(const struct input *input);
void input_account(struct connection *connection);

/* batch.c */
void batch_init(struct batch *batch);
void batch_fini(struct batch *batch);

/* The batch is empty: gives back what has not been used lately. */
void batch_trim(struct batch *batch);

/* What a buffer of `cap` should have of which `most` was used: half, if that is plenty. */
static inline size_t trimmed(size_t cap, size_t most, size_t least)
{
    return most * 4 <= cap && cap / 2 >= least ? cap / 2 : cap;
}

/* Cuts `len` bytes in the shared area, of a connection that has no input waiting, into requests. */
void batch_add_bytes(struct connection *connection, char *bytes, size_t len);

/* Adds what waits in the connection's input: parked requests if there are any, else what can be cut. */
void batch_add_input(struct connection *connection);

/* Hands over what was gathered, and settles what is left of it. */
void batch_execute(struct net *net);

void parked_free(struct parked *parked);

/*
 * Request: one whole command as it travels from the network to the engine.
 *
 * Requests are handed over in batches, of many clients at once, so that the engine can look ahead: it plans all of them
 * (which command, which key, which cache lines) before it executes the first. The arguments are slices of a read buffer
 * and valid until the batch returns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "resp/reader.h"

struct request {
    void *owner;               /* borrowed: what the receiver named when the connection was opened */
    struct bytes *argv;        /* borrowed */
    struct reader_blob *blobs; /* borrowed array; a receiver that takes a blob sets its pointer to NULL */
    uint32_t argc;             /* at least 1 */
    uint32_t blob_count;
    uint32_t size; /* bytes on the wire, saturated */
    bool done;     /* out: it was executed, or discarded. What is not done is offered again later */

    /* The receiver's notes between planning and executing; whatever they were before. Borrowed, from itself. */
    void *plan;
    void *place;
    uint64_t hash;
};

/*
 * Stream: feeds bytes to a reader as a network would, and writes down what comes out.
 *
 * Pieces arrive one at a time into a buffer that is exactly as long as what it holds and lies somewhere else each time,
 * so that a sanitizer sees any look beyond it and any slice that was not moved. However the bytes are cut, the record
 * must be the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/random.h"
#include "resp/reader.h"

struct stream_split {
    struct random *random; /* borrowed */
    size_t piece_max;      /* pieces of 1 to this many bytes */
    bool blobs;            /* accept large arguments as blobs, most of the time */
};

/*
 * Parses `stream` to its end or to its first error, all at once if `split` is NULL. Appends a line per request, "3:GET
 * 1:k @23" where
 * @ is the offset behind it, "- @2" for an empty one, and how it ended: "open", or the error. Aborts if an unfinished
 * request does not get on when what it waits for comes.
 */
void stream_record(
    struct bytes stream, const struct reader_limits *limits, const struct stream_split *split, struct buf *record);

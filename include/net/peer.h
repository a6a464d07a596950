/*
 * Peer: a connection to another server, for a thread of its own that may wait.
 *
 * Not part of the loop: who uses it blocks, each operation for `timeout_ms` at most without progress.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct peer {
    int fd;
    int timeout_ms;
    size_t len, at; /* of what was read into the buffer, and taken */
    char buffer[512];
};

enum peer_status { PEER_OK, PEER_UNREACHABLE /* no such address, or time is up */, PEER_REFUSED };

/* Connects by TCP. Nothing is to be closed unless it is PEER_OK. */
enum peer_status peer_connect(struct peer *peer, const char *host, int port, int timeout_ms);

void peer_close(struct peer *peer);

/* Sends all of it; false if that failed, or time was up. */
bool peer_write(struct peer *peer, struct bytes content);

/* Reads a line without its end into `out`, terminated, cut off if it is too long for that. False as above. */
bool peer_read_line(struct peer *peer, char *out, size_t size);

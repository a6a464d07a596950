/*
 * Many small answers in one system call, by io_uring.
 *
 * Where clients ask for one thing at a time, a turn of the loop has some dozens of short answers, each for another
 * socket. What the kernel's network does for them cannot be saved; what entering it as often costs can. The kernel
 * copies the bytes while it is entered, as it does for send(2), and never waits: a socket that has no room says so. So
 * nothing is under way between two calls, and no answer outlives the turn in a buffer.
 *
 * Not every kernel has io_uring, and where it has, it may be forbidden (kernel.io_uring_disabled, seccomp): then there
 * is no ring, and each answer has its own system call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum {
    SEND_RING_MAX = 64, /* sends in one system call */
    SEND_RING_MIN = 3,  /* fewer are cheaper one by one */
};

struct send_ring;

/* Bytes for a socket, and what became of them. */
struct ring_send {
    void *context;     /* the caller's */
    const void *bytes; /* stay where they are until the call returns */
    size_t len;
    int fd;
    ssize_t sent; /* how many bytes the socket took, or an errno below zero: -EAGAIN, when it has no room */
};

/* NULL where the kernel has none for us. */
struct send_ring *send_ring_create(void);
void send_ring_destroy(struct send_ring *ring);

/*
 * Sends each, at most SEND_RING_MAX, and fills in `sent`; O(count). False if the ring broke in the midst of it, which
 * no kernel is known to do: `sent` is filled in all the same, and the ring can only be destroyed.
 */
bool send_ring_run(struct send_ring *ring, struct ring_send *sends, unsigned count);

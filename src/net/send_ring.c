/*
 * The ring of sends, by liburing.
 *
 * A send that must not wait is carried out in the very call that submits it, and its completion is there when the call
 * returns. Should one ever come later, run waits for it.
 */
#include "send_ring_priv.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"

enum { UNKNOWN = -EINPROGRESS }; /* no completion came yet */

struct send_ring {
    struct io_uring ring;
};

struct send_ring *send_ring_create(void)
{
    struct send_ring *ring = mem_zalloc(sizeof(*ring));
    /* The loop's thread alone submits; a send that is refused does not keep those behind it from being looked at. */
    struct io_uring_params params = { .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_SUBMIT_ALL };
    int failed = io_uring_queue_init_params(SEND_RING_MAX, &ring->ring, &params);
    if (failed == 0)
        failed = io_uring_ring_dontfork(&ring->ring);
    else
        ring->ring.ring_fd = -1;
    if (failed == 0)
        return ring;
    log_write(LOG_VERBOSE, "io_uring is not to be had (%s): each answer is sent by a system call of its own",
        strerror(-failed));
    send_ring_destroy(ring);
    return NULL;
}

void send_ring_destroy(struct send_ring *ring)
{
    if (ring == NULL)
        return;
    if (ring->ring.ring_fd >= 0)
        io_uring_queue_exit(&ring->ring);
    mem_free(ring);
}

static void prepare(struct send_ring *ring, struct ring_send *send)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    ASSERT(entry != NULL);
    io_uring_prep_send(entry, send->fd, send->bytes, send->len, MSG_NOSIGNAL | MSG_DONTWAIT);
    io_uring_sqe_set_data(entry, send);
    send->sent = UNKNOWN;
}

/* Takes the completions that are there. Returns how many. */
static unsigned take_completions(struct send_ring *ring)
{
    struct io_uring_cqe *completion;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&ring->ring, head, completion)
    {
        ((struct ring_send *)io_uring_cqe_get_data(completion))->sent = completion->res;
        count++;
    }
    io_uring_cq_advance(&ring->ring, count);
    return count;
}

/* Nobody knows what became of a send that was submitted and not completed; one that was not may be repeated. */
static void tell_incomplete(struct ring_send *sends, unsigned count, unsigned submitted)
{
    for (unsigned i = 0; i < count; i++) {
        if (sends[i].sent == UNKNOWN)
            sends[i].sent = i < submitted ? -ECONNABORTED : -EAGAIN;
    }
}

bool send_ring_run(struct send_ring *ring, struct ring_send *sends, unsigned count)
{
    ASSERT(count <= SEND_RING_MAX);
    for (unsigned i = 0; i < count; i++)
        prepare(ring, &sends[i]);
    unsigned submitted = 0, completed = 0;
    while (completed < count) {
        int taken = submitted < count ? io_uring_submit(&ring->ring) : io_uring_submit_and_wait(&ring->ring, 1);
        if (taken < 0 && taken != -EINTR) {
            log_write(LOG_WARNING, "io_uring failed (%s): each answer is sent by a system call of its own from now on",
                strerror(-taken));
            tell_incomplete(sends, count, submitted);
            return false;
        }
        submitted += taken > 0 ? (unsigned)taken : 0;
        completed += take_completions(ring);
    }
    return true;
}

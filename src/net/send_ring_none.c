/*
 * A build without io_uring: there is never a ring.
 */
#include "base/assert.h"
#include "send_ring_priv.h"

struct send_ring *send_ring_create(void)
{
    return NULL;
}

void send_ring_destroy(struct send_ring *ring)
{
    ASSERT(ring == NULL);
}

bool send_ring_run(struct send_ring *ring, struct ring_send *sends, unsigned count)
{
    (void)sends, (void)count;
    ASSERT(ring != NULL);
    return false;
}

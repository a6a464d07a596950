/*
 * The last reply that many get, as a blob: small ones are copied from it, large ones referenced until they are sent.
 *
 * It stays until another takes its place, and so is bounded: what is larger than KEEP_BYTES is not kept.
 */
#include "engine/shared_reply.h"

#include <sys/uio.h>

#include "base/assert.h"
#include "base/blob.h"
#include "engine/call.h"
#include "engine/engine.h"

bool call_reply_shared(struct call *call, struct bytes name)
{
    const struct shared_reply *shared = &call->engine->shared_reply;
    if (!shared->blob || !bytes_equal(name, bytes_make(shared->name, shared->name_len)))
        return false;
    output_append_blob(call->reply->out, shared->blob, blob_bytes(shared->blob));
    return true;
}

enum { KEEP_BYTES = 1 << 20 };

/* NULL when it is too large to be kept, or memory is out. */
static struct blob *gather(const struct output *encoded)
{
    struct iovec vectors[64];
    size_t len;
    int count = output_gather(encoded, vectors, 64, &len);
    struct blob *blob = len == output_len(encoded) && len <= KEEP_BYTES ? blob_try_create(len) : NULL;
    for (int i = 0; blob && i < count; i++) {
        memcpy(&blob->data[blob->len], vectors[i].iov_base, vectors[i].iov_len);
        blob->len += vectors[i].iov_len;
    }
    return blob;
}

void call_share_reply(struct call *call, struct bytes name, struct output *encoded)
{
    struct shared_reply *shared = &call->engine->shared_reply;
    ASSERT(name.len <= SHARED_NAME_MAX);
    shared_reply_fini(shared);
    shared->blob = gather(encoded);
    if (shared->blob) {
        shared->name_len = name.len;
        memcpy(shared->name, name.ptr, name.len);
    }
    output_append_output(call->reply->out, encoded);
}

void shared_reply_fini(struct shared_reply *shared)
{
    blob_unref(shared->blob);
    shared->blob = NULL;
}

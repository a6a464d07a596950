/*
 * Output: a chain of chunks.
 *
 *   first --> [ own memory: consumed | waits          ] --> [ blob: waits ] --> [ own memory: waits | room ] <-- last
 *                                    ^content                                                       ^at     ^end
 *
 * A chunk either has memory of its own, behind its header, or refers to part of a blob. `content` is where its waiting
 * bytes begin, and consuming moves it on. Only the last chunk grows: its length is at - content, so that appending
 * touches a word of the output and no chunk; a chunk's `used` is set when another is put behind it. A reference that
 * is last has at == end, hence no room.
 *
 * A gap is OUTPUT_GAP_MAX bytes in the midst of a chunk, in which the chunk's address waits until the gap is filled.
 * Then what follows in the chunk moves up against the filling. That is far cheaper than chunks of their own would be:
 * the common gap is the head of a short array, still in the last chunk when its count is known.
 *
 * Costs: one allocation per chunk, one free when it was sent; every appended byte is copied once.
 */
#include "resp/output.h"

#include <sys/uio.h>

#include "base/assert.h"
#include "base/mem.h"

struct output_chunk {
    struct output_chunk *next; /* owned */
    struct blob *blob;         /* a reference of our own; NULL if the bytes are in data */
    char *content;             /* what waits begins here */
    size_t used;               /* bytes that wait; not maintained for the last chunk */
    size_t size;               /* allocated, or referenced */
    char data[];
};

void output_init(struct output *output)
{
    output_init_pooled(output, NULL);
}

void output_init_pooled(struct output *output, struct output_pool *pool)
{
    *output = (struct output){ .pool = pool };
}

void output_pool_fini(struct output_pool *pool)
{
    while (pool->first != NULL) {
        struct output_chunk *chunk = pool->first;
        pool->first = chunk->next;
        mem_free_sized(chunk, chunk->size);
    }
    pool->count = 0;
}

/* A first chunk that was given back; NULL if there is none. */
static inline struct output_chunk *pool_take(struct output_pool *pool)
{
    struct output_chunk *chunk = pool != NULL ? pool->first : NULL;
    if (chunk != NULL) {
        pool->first = chunk->next;
        pool->count--;
    }
    return chunk;
}

static inline bool pool_give(struct output_pool *pool, struct output_chunk *chunk)
{
    if (pool == NULL || chunk->size != OUTPUT_CHUNK_FIRST || pool->count == OUTPUT_POOL_MAX)
        return false;
    chunk->next = pool->first;
    pool->first = chunk;
    pool->count++;
    return true;
}

static size_t chunk_used(const struct output *output, const struct output_chunk *chunk)
{
    return chunk == output->last ? (size_t)(output->at - output->from) : chunk->used;
}

static void chunk_destroy(struct output *output, struct output_chunk *chunk)
{
    output->memory_bytes -= chunk->size;
    if (chunk->blob != NULL) {
        blob_unref(chunk->blob);
        mem_free_sized(chunk, sizeof(*chunk));
    } else if (!pool_give(output->pool, chunk)) {
        mem_free_sized(chunk, chunk->size);
    }
}

void output_fini(struct output *output)
{
    struct output_chunk *next;
    for (struct output_chunk *chunk = output->first; chunk != NULL; chunk = next) {
        next = chunk->next;
        chunk_destroy(output, chunk);
    }
    DASSERT(output->memory_bytes == 0);
    output_init_pooled(output, output->pool);
}

void output_discard(struct output *output)
{
    output_fini(output);
    output->discards = true;
}

/* Of an output that discards: the one chunk that it has is written over again and again. */
static char *reserve_to_discard(struct output *output, size_t len)
{
    struct output_chunk *only = output->first;
    if (only == NULL || only->size - sizeof(*only) < len) {
        output_discard(output);
        return NULL;
    }
    return output->at = output->from;
}

/* Puts `chunk` behind the last one, whose length is fixed by that. The caller sets at and end. */
static void output_link(struct output *output, struct output_chunk *chunk)
{
    chunk->next = NULL;
    output->memory_bytes += chunk->size;
    if (output->last == NULL) {
        output->first = chunk;
    } else {
        output->last->used = (size_t)(output->at - output->from);
        output->sealed_bytes += output->last->used;
        output->last->next = chunk;
    }
    output->last = chunk;
}

/* Behind a reference there often follows just a line end: that is not worth a large chunk. */
char *output_reserve_slow(struct output *output, size_t len)
{
    if (output->discards && reserve_to_discard(output, len) != NULL)
        return output->at;
    const struct output_chunk *last = output->last;
    size_t size = last == NULL || last->blob != NULL ? OUTPUT_CHUNK_FIRST : OUTPUT_CHUNK;
    if (size < len + sizeof(struct output_chunk))
        size = len + sizeof(struct output_chunk);
    struct output_chunk *chunk = size == OUTPUT_CHUNK_FIRST ? pool_take(output->pool) : NULL;
    if (chunk == NULL)
        chunk = mem_alloc(size);
    chunk->blob = NULL;
    chunk->content = chunk->data;
    chunk->size = size;
    output_link(output, chunk);
    output->at = output->from = chunk->data;
    output->end = (char *)chunk + size;
    return output->at;
}

void output_append(struct output *output, struct bytes content)
{
    while (content.len > 0) {
        size_t room = (size_t)(output->end - output->at);
        if (room == 0) {
            if (output->discards)
                return;
            const size_t max = OUTPUT_CHUNK_MAX - sizeof(struct output_chunk);
            output_reserve_slow(output, content.len < max ? content.len : max);
            room = (size_t)(output->end - output->at);
        }
        size_t len = content.len < room ? content.len : room;
        memcpy(output->at, content.ptr, len);
        output->at += len;
        content.ptr += len;
        content.len -= len;
    }
}

void output_append_blob(struct output *output, struct blob *blob, struct bytes content)
{
    if (content.len < OUTPUT_REFERENCE_MIN) {
        output_append(output, content);
        return;
    }
    if (output->discards)
        return;
    DASSERT(content.ptr >= blob->data && content.ptr + content.len <= blob->data + blob->cap);
    struct output_chunk *chunk = mem_alloc(sizeof(*chunk));
    chunk->blob = blob_ref(blob);
    chunk->content = (char *)(uintptr_t)content.ptr; /* never written to: such a chunk has no room */
    chunk->size = content.len;
    output_link(output, chunk);
    output->from = chunk->content;
    output->at = output->end = chunk->content + content.len;
}

void output_append_output(struct output *output, struct output *from)
{
    if (from->first == NULL)
        return;
    if (output->discards) {
        output_fini(from);
        return;
    }
    if (output->first == NULL) {
        struct output_pool *pool = output->pool;
        *output = *from;
        output->pool = pool;
    } else {
        output->last->used = (size_t)(output->at - output->from);
        output->last->next = from->first;
        output->sealed_bytes += output->last->used + from->sealed_bytes;
        output->memory_bytes += from->memory_bytes;
        output->last = from->last;
        output->at = from->at;
        output->from = from->from;
        output->end = from->end;
    }
    output_init_pooled(from, from->pool);
}

int output_gather(const struct output *output, struct iovec *vectors, int max, size_t *len)
{
    int count = 0;
    *len = 0;
    for (const struct output_chunk *chunk = output->first; chunk != NULL && count < max; chunk = chunk->next) {
        size_t used = chunk_used(output, chunk);
        if (used == 0)
            continue;
        vectors[count++] = (struct iovec){ .iov_base = chunk->content, .iov_len = used };
        *len += used;
    }
    return count;
}

void output_consume(struct output *output, size_t len)
{
    size_t waits = output_len(output);
    ASSERT(len <= waits);
    if (len == waits) {
        struct output_chunk *only = output->first;
        if (only != NULL && only == output->last && only->blob == NULL && pool_give(output->pool, only))
            output_init_pooled(output, output->pool);
        else
            output_fini(output);
        return;
    }
    for (;;) {
        struct output_chunk *chunk = output->first;
        if (chunk == output->last) {
            chunk->content = output->from += len;
            return;
        }
        if (len < chunk->used) {
            chunk->content += len;
            chunk->used -= len;
            output->sealed_bytes -= len;
            return;
        }
        len -= chunk->used;
        output->sealed_bytes -= chunk->used;
        output->first = chunk->next;
        chunk_destroy(output, chunk);
    }
}

struct output_mark output_mark(const struct output *output)
{
    if (output->last == NULL)
        return (struct output_mark){ 0 };
    return (struct output_mark){ .chunk = output->last, .used = (size_t)(output->at - output->from) };
}

void output_rewind(struct output *output, struct output_mark mark)
{
    struct output_chunk *chunk = mark.chunk;
    if (output->discards)
        return;
    if (chunk == NULL) {
        output_fini(output);
        return;
    }
    if (chunk != output->last) {
        output->sealed_bytes -= chunk->used;
        struct output_chunk *next;
        for (struct output_chunk *dropped = chunk->next; dropped != NULL; dropped = next) {
            next = dropped->next;
            if (dropped != output->last)
                output->sealed_bytes -= dropped->used;
            chunk_destroy(output, dropped);
        }
        chunk->next = NULL;
        output->last = chunk;
        output->from = chunk->content;
        output->end = chunk->blob != NULL ? chunk->content + mark.used : (char *)chunk + chunk->size;
    }
    output->at = chunk->content + mark.used;
    DASSERT(output->at <= output->end);
}

/* Takes the chunks behind `chunk` off the chain, which ends there then. */
static struct output cut_behind(struct output *output, struct output_chunk *chunk)
{
    struct output rest = { .at = output->at, .end = output->end, .from = output->from };
    rest.first = chunk->next;
    rest.last = output->last;
    for (const struct output_chunk *moved = rest.first; moved != NULL; moved = moved->next) {
        rest.memory_bytes += moved->size;
        rest.sealed_bytes += moved != rest.last ? moved->used : 0;
    }
    output->memory_bytes -= rest.memory_bytes;
    output->sealed_bytes -= rest.sealed_bytes + chunk->used;
    chunk->next = NULL;
    output->last = chunk;
    output->from = chunk->content;
    output->at = chunk->content + chunk->used;
    output->end = chunk->blob != NULL ? output->at : (char *)chunk + chunk->size;
    return rest;
}

void output_move_after(struct output *output, struct output_mark mark, struct output *to)
{
    struct output_chunk *chunk = mark.chunk;
    if (output->discards)
        return;
    if (chunk == NULL) {
        output_append_output(to, output);
        return;
    }
    struct output rest = { 0 };
    if (chunk != output->last)
        rest = cut_behind(output, chunk);
    char *end = chunk->content + mark.used;
    output_append(to, bytes_make(end, (size_t)(output->at - end)));
    output->at = end;
    output_append_output(to, &rest);
}

struct output_gap *output_gap(struct output *output)
{
    char *at = output_reserve(output, OUTPUT_GAP_MAX);
    memcpy(at, &output->last, sizeof(output->last));
    output_commit(output, at + OUTPUT_GAP_MAX);
    return (struct output_gap *)at;
}

void output_fill(struct output *output, struct output_gap *gap, struct bytes content)
{
    ASSERT(content.len <= OUTPUT_GAP_MAX);
    if (output->discards)
        return;
    char *at = (char *)gap;
    struct output_chunk *chunk;
    memcpy(&chunk, at, sizeof(chunk));
    char *tail = at + OUTPUT_GAP_MAX;
    size_t tail_len = (size_t)(chunk->content + chunk_used(output, chunk) - tail);
    memcpy(at, content.ptr, content.len);
    memmove(at + content.len, tail, tail_len);
    size_t unused = OUTPUT_GAP_MAX - content.len;
    if (chunk == output->last) {
        output->at -= unused;
    } else {
        chunk->used -= unused;
        output->sealed_bytes -= unused;
    }
}

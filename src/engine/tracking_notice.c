/*
 * Telling very many clients that a key has changed.
 *
 * To append a message to the outputs of ten thousand clients takes some milliseconds. So what concerns many becomes a
 * notice: the message, the IDs of its readers, and how many of them were told. Notices are a queue, worked off in
 * slices before each turn's sending.
 *
 * What a client can see is as if all had been told at once: whoever executes something, is answered after a wait, or is
 * sent a message of a channel is told first of all that it was not told yet, and so is every client whose messages go
 * to it (trackers_catch_up). Each remembers the number of the last notice that it knows of, so that asking again costs
 * one comparison. A reader that was told out of turn is marked in the notice.
 *
 * Whoever changed the key is told at once. The queue is bounded: when it is long, its oldest notice is worked off to
 * the end.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "engine/session.h"
#include "engine_priv.h"
#include "tracking_priv.h"

enum {
    AT_ONCE = 256,     /* readers that are told at once, a turn */
    STEP_READERS = 32, /* between two looks at the clock */
    LONGEST_QUEUE = 1024,
};

struct notice {
    struct notice *next; /* owned */
    uint64_t number;
    uint64_t by;   /* ID of the session that changed the key; 0: none */
    uint64_t *ids; /* owned: of the readers, ascending but for the mark NOTICE_TOLD */
    size_t count;  /* of them; */
    size_t at;     /* those before were told */
    enum news news;
    struct buf keys;
};

static void tell(struct engine *engine, const struct notice *notice, uint64_t id)
{
    struct session *reader = id & NOTICE_TOLD ? NULL : session_find(engine, id);
    if (reader)
        tracking_tell(reader, notice->news, buf_bytes(&notice->keys), notice->by);
}

static void notice_free(struct notice *notice)
{
    buf_fini(&notice->keys);
    mem_free(notice->ids);
    mem_free(notice);
}

static void pop(struct notices *notices)
{
    struct notice *notice = notices->first;
    notices->first = notice->next;
    if (!notices->first)
        notices->last = NULL;
    notices->count--;
    notice_free(notice);
}

/* Tells some more readers of the oldest notice, at most `count`. */
static void advance(struct engine *engine, struct notices *notices, size_t count)
{
    struct notice *notice = notices->first;
    for (; notice->at < notice->count && count; count--)
        tell(engine, notice, notice->ids[notice->at++]);
    if (notice->at == notice->count)
        pop(notices);
}

/* The place of a reader that was not told, or NULL. */
static uint64_t *find_reader(struct notice *notice, uint64_t id)
{
    size_t low = notice->at, high = notice->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((notice->ids[middle] & ~NOTICE_TOLD) < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < notice->count && notice->ids[low] == id ? &notice->ids[low] : NULL;
}

static void tell_now(struct notice *notice, struct session *reader)
{
    uint64_t *id = find_reader(notice, reader->id);
    if (!id)
        return;
    *id |= NOTICE_TOLD;
    tracking_tell(reader, notice->news, buf_bytes(&notice->keys), notice->by);
}

void notices_add(struct engine *engine, struct notices *notices, enum news news, struct buf keys, uint64_t *ids,
    size_t count, uint64_t by)
{
    struct notice *notice = mem_alloc(sizeof *notice);
    *notice = (struct notice){ .by = by, .ids = ids, .count = count, .news = news, .keys = keys };
    if (notices->told + count <= AT_ONCE) {
        notices->told += count;
        for (size_t i = 0; i < count; i++)
            tell(engine, notice, ids[i]);
        notice_free(notice);
        return;
    }
    if (engine->current)
        tell_now(notice, engine->current);
    while (notices->count >= LONGEST_QUEUE)
        advance(engine, notices, SIZE_MAX);
    notice->number = ++notices->numbers;
    *(notices->last ? &notices->last->next : &notices->first) = notice;
    notices->last = notice;
    notices->count++;
}

bool notices_hand_out(struct engine *engine, struct notices *notices, uint64_t budget_ns)
{
    notices->told = 0;
    if (!notices->first)
        return false;
    uint64_t end_ns = clock_mono_ns() + budget_ns;
    do
        advance(engine, notices, STEP_READERS);
    while (notices->first && clock_mono_ns() < end_ns);
    return notices->first;
}

void notices_catch_up(struct notices *notices, struct session *reader, uint64_t *heard)
{
    if (*heard == notices->numbers)
        return;
    for (struct notice *notice = notices->first; notice; notice = notice->next)
        if (notice->number > *heard)
            tell_now(notice, reader);
    *heard = notices->numbers;
}

void notices_drop(struct notices *notices)
{
    while (notices->first)
        pop(notices);
}

/*
 * Planning: what can be done for the requests of a window before the first of them is executed.
 *
 * The commands are looked up, the first keys hashed and the buckets that they belong to prefetched; then, in a second
 * pass, the entries; and for some commands, what these will look for inside large values. By the time a handler looks
 * for its key the cache lines have arrived. Nothing here is a promise: what is executed before may change everything.
 */
#include "plan_priv.h"

#include "base/bytes.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "resp/request.h"
#include "store/keyspace.h"

/*
 * The same key, of the same database, is often asked for again at once: by a queue's clients, or a counter's. Others
 * mostly differ in their last bytes, which are looked at first.
 */
static inline bool is_same_key(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    if (a.len >= sizeof(uint64_t)) {
        uint64_t x, y;
        memcpy(&x, a.ptr + a.len - sizeof x, sizeof x);
        memcpy(&y, b.ptr + b.len - sizeof y, sizeof y);
        return x == y && bytes_same(a.ptr, b.ptr, a.len);
    }
    return bytes_same(a.ptr, b.ptr, a.len);
}

/* What else there is to plan for a window. */
struct outlook {
    size_t fetches; /* requests whose buckets are on their way */
    uint8_t fetched[PLAN_WINDOW];
    bool looks; /* one of the commands looks into values, too */
};

/* Looks up the commands and asks for the buckets of their first keys. */
static void plan_buckets(struct engine *engine, struct request *requests, size_t count, struct outlook *outlook)
{
    const struct session *first = requests->owner;
    struct command_info *last = first->last_command;
    struct bytes last_key = { NULL, 0 };
    const struct db *last_db = NULL;
    uint64_t last_hash = 0;
    outlook->fetches = 0;
    outlook->looks = last && last->row->look_ahead;
    for (struct request *request = requests; request < requests + count; request++) {
        const struct session *session = request->owner;
        const struct bytes *argv = request->argv;
        if (__builtin_expect(!last || !command_is_called(last, argv[0]), 0)) {
            last = command_find(engine->registry, argv[0]);
            outlook->looks |= last && last->row->look_ahead;
        }
        request->plan = last;
        if (__builtin_expect(!last, 0) || last->first_key - 1 >= request->argc - 1) /* none, or it is missing */
            continue;
        struct bytes key = argv[last->first_key];
        if (session->db == last_db && is_same_key(key, last_key)) {
            request->hash = last_hash;
            continue;
        }
        last_key = key;
        last_db = session->db;
        request->hash = last_hash = hash_bytes(key.ptr, key.len);
        request->place = (void *)keyspace_prefetch_bucket(last_db, last_hash);
        outlook->fetched[outlook->fetches++] = (uint8_t)(request - requests);
    }
}

static void plan_entries(const struct request *requests, const struct outlook *outlook)
{
    for (size_t i = 0; i < outlook->fetches; i++) {
        const struct request *request = &requests[outlook->fetched[i]];
        const struct session *session = request->owner;
        if (request->place)
            keyspace_prefetch_in(session->db, request->place, request->hash);
    }
}

/* Asks for what the commands will look for inside large values, once the entries have come. */
static void plan_values(struct request *requests, size_t count)
{
    for (unsigned step = 0; step < COMMAND_LOOK_AHEAD_STEPS; step++)
        for (size_t i = 0; i < count; i++) {
            struct request *request = &requests[i];
            const struct command_info *command = request->plan;
            if (!command || !command->row->look_ahead || command->first_key == 0 || command->first_key >= request->argc)
                continue;
            const struct session *session = request->owner;
            struct bytes name = request->argv[command->first_key];
            if (step == 0)
                request->place = keyspace_glance(session->db, (struct key){ name.ptr, name.len, request->hash });
            if (request->place)
                command->row->look_ahead(request->place, request->argv, request->argc, step);
        }
}

void plan_requests(struct engine *engine, struct request *requests, size_t count)
{
    struct outlook outlook;
    plan_buckets(engine, requests, count, &outlook);
    plan_entries(requests, &outlook);
    if (outlook.looks)
        plan_values(requests, count);
}

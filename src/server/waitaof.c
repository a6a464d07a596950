/*
 * WAITAOF. A place in the append-only file is the number of bytes that were appended, those in the buffer included, and
 * which file it was: a rewrite goes on in another. The one before is then synchronised by the worker, and whoever waits
 * for a place in it waits until the worker has done what it was asked to by then. Under `no` nothing is synchronised:
 * all waits end with their time.
 */
#include "server/waitaof.h"

#include "base/mem.h"
#include "engine/session.h"
#include "engine/wait.h"
#include "persist/worker.h"
#include "server_priv.h"

enum { ARG_LOCAL = 1, ARG_REPLICAS = 2, ARG_TIMEOUT = 3 };

struct waitaof_place {
    uint64_t session;
    uint64_t file, end; /* which one, and how long it must be on the disk */
    uint64_t question;  /* 0: it is the file that is written to */
    bool local;         /* he asked for it, not for replicas alone */
};

static struct waitaof_place place_now(const struct call *call, bool local)
{
    const struct aof_log *log = &server_of(call)->aof->log;
    return (struct waitaof_place){
        .session = call->session->id, .file = log->files, .end = aof_log_end(log), .local = local
    };
}

static void answer_worker(void *context)
{
    atomic_fetch_add_explicit((atomic_ullong *)context, 1, memory_order_release);
}

static bool is_on_disk(struct server *server, struct waitaof_place *place)
{
    struct aof *aof = server->aof;
    if (aof->state != AOF_ON || aof->distrusted)
        return false;
    if (place->file == aof->log.files)
        return aof->log.synced >= place->end;
    if (!place->question && server->config.appendfsync != APPENDFSYNC_NO) {
        place->question = ++server->waitaof.asked;
        worker_submit(aof->worker, answer_worker, &server->waitaof.answered);
    }
    return place->question && atomic_load_explicit(&server->waitaof.answered, memory_order_acquire) >= place->question;
}

static void reply_state(struct call *call, struct waitaof_place *place)
{
    reply_array(call->reply, 2);
    reply_int(call->reply, is_on_disk(server_of(call), place));
    reply_int(call->reply, 0);
}

static bool fails_without_file(struct call *call, bool local)
{
    if (!local || server_of(call)->aof->state != AOF_OFF)
        return false;
    reply_error(call->reply, BYTES("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    return true;
}

static struct waitaof_place *find(struct waitaof *waitaof, uint64_t session)
{
    for (size_t i = 0; i < waitaof->count; i++)
        if (waitaof->places[i].session == session)
            return &waitaof->places[i];
    return NULL;
}

static void forget(struct waitaof *waitaof, struct waitaof_place *place)
{
    *place = waitaof->places[--waitaof->count];
}

/* Time is up, or what was waited for has come. */
static void answer(struct call *call)
{
    struct waitaof *waitaof = &server_of(call)->waitaof;
    struct waitaof_place *found = find(waitaof, call->session->id), place = *found;
    forget(waitaof, found);
    if (!fails_without_file(call, place.local))
        reply_state(call, &place);
}

static const struct wait_kind synchronisation = { .expire = answer };

/* Takes the place of what is left of an earlier wait, which CLIENT UNBLOCK ended. */
static void remember(struct waitaof *waitaof, const struct waitaof_place *place)
{
    struct waitaof_place *old = find(waitaof, place->session);
    if (!old && waitaof->count == waitaof->room) {
        waitaof->room = waitaof->room ? 2 * waitaof->room : 8;
        waitaof->places = mem_realloc(waitaof->places, waitaof->room * sizeof *waitaof->places);
    }
    *(old ? old : &waitaof->places[waitaof->count++]) = *place;
}

static void run_waitaof(struct call *call)
{
    int64_t local, replicas, timeout_ms, deadline_ms = 0;
    if (!call_arg_i64(call, ARG_LOCAL, 0, 1, "ERR value is out of range, value must between 0 and 1", &local) ||
        !call_arg_i64(call, ARG_REPLICAS, 0, INT64_MAX, "ERR value is out of range, must be positive", &replicas) ||
        !call_arg_i64(
            call, ARG_TIMEOUT, INT64_MIN, INT64_MAX, "ERR timeout is not an integer or out of range", &timeout_ms))
        return;
    if (timeout_ms < 0) {
        reply_error(call->reply, BYTES("ERR timeout is negative"));
        return;
    }
    if (timeout_ms && __builtin_add_overflow(call->now_ms, timeout_ms, &deadline_ms)) {
        reply_error(call->reply, BYTES("ERR timeout is out of range"));
        return;
    }
    if (fails_without_file(call, local))
        return;
    struct waitaof_place place = place_now(call, local);
    if (!replicas && (!local || is_on_disk(server_of(call), &place))) {
        reply_state(call, &place);
        return;
    }
    remember(&server_of(call)->waitaof, &place);
    call_wait(call, &synchronisation, 0, 1, 0, deadline_ms);
}

void waitaof_tick(struct server *server)
{
    struct waitaof *waitaof = &server->waitaof;
    for (size_t i = waitaof->count; i-- > 0;) {
        struct waitaof_place *place = &waitaof->places[i];
        struct session *session = session_find(server->engine, place->session);
        if (!session || !session_waits_for(session, &synchronisation))
            forget(waitaof, place);
        else if (place->local && (server->aof->state == AOF_OFF || is_on_disk(server, place)))
            session_unblock(session, false);
    }
}

void waitaof_fini(struct server *server)
{
    mem_free(server->waitaof.places);
}

static const char *const tips[] = { "request_policy:all_shards", "response_policy:agg_min", NULL };

const struct command waitaof_commands[] = {
    { .name = "WAITAOF",
        .run = run_waitaof,
        .argc = EXACTLY(4),
        .flags = CMD_NO_SCRIPT,
        .group = GROUP_GENERIC,
        .categories = CATEGORY_CONNECTION,
        .since = "7.2.0",
        .complexity = "O(1)",
        .usage = "numlocal numreplicas timeout",
        .brief = "Waits until what was written is on this server's disk. There are no replicas to wait for.",
        .tips = tips },
    { 0 },
};

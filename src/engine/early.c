/*
 * Large arguments as they arrive; see engine/early.h.
 *
 * Everything here is only of use if the request will be executed, so it is not begun for a client who may not run the
 * command, queues it, or waits for something, nor while memory is above its limit.
 */
#include "engine/early.h"

#include "base/blob.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/acl.h"
#include "engine/command.h"
#include "engine/registry.h"
#include "engine_priv.h"

enum { FRESH_MIN = 16 * 1024 }; /* bytes that are worth a look */

static bool has_room(const struct engine *engine)
{
    uint64_t limit = engine->settings->memory.limit;
    return !limit || mem_used() < limit;
}

static bool may_run(
    const struct session *session, const struct command_info *command, const struct bytes *argv, uint32_t argc)
{
    const uint32_t hindered = SESSION_CLOSING | SESSION_WAITS;
    struct bytes object;
    if ((session->flags & (hindered | SESSION_AUTHENTICATED)) != SESSION_AUTHENTICATED || session->transaction)
        return false;
    return !(session->flags & SESSION_LIMITED) || acl_check(session->user, command, argv, argc, &object) == ACL_ALLOWED;
}

static struct early *begin(
    struct session *session, const struct bytes *argv, uint32_t argc, struct blob *blob, size_t len)
{
    const struct command_info *command =
        argc && len >= EARLY_MIN ? command_find(session->engine->registry, argv[0]) : NULL;
    const struct early_type *type = command ? command->row->early : NULL;
    if (!type || argc < type->from || !may_run(session, command, argv, argc))
        return NULL;
    struct early *early = type->create(bytes_make(blob->data, len));
    if (!early)
        return NULL;
    early->type = type;
    early->blob = blob_ref(blob);
    early->session = session;
    return early;
}

void engine_arriving(
    struct session *session, const struct bytes *argv, uint32_t argc, struct blob *blob, size_t len, uint64_t budget_ns)
{
    if (!has_room(session->engine))
        return;
    if (!session->early)
        session->early = begin(session, argv, argc, blob, len);
    struct early *early = session->early;
    if (!early || early->blob != blob || blob->len - early->seen < FRESH_MIN)
        return;
    uint64_t start = clock_ticks();
    early->seen = blob->len;
    size_t kept = early->type->work(early, blob->len, clock_mono_ns() + budget_ns);
    session_drops(session, early->kept);
    session_keeps(session, kept);
    early->kept = kept;
    early->ticks += clock_ticks() - start;
}

/* It is kept for nobody. */
static void leave(struct early *early)
{
    if (!early->session)
        return;
    session_drops(early->session, early->kept);
    early->session->early = NULL;
    early->session = NULL;
}

struct early *early_take(struct call *call, uint32_t index, const struct early_type *type)
{
    struct early *early = call->session->early;
    if (!early || early->type != type || early->blob->data != call->argv[index].ptr)
        return NULL;
    leave(early);
    call->session->early = NULL;
    return early;
}

void early_move(struct session *from, struct session *to)
{
    struct early *early = from->early;
    if (early)
        leave(early);
    to->early = early;
}

void early_drop(struct early *early, struct engine *engine)
{
    if (!early)
        return;
    leave(early);
    struct blob *blob = early->blob;
    early->type->destroy(early, engine);
    blob_unref(blob);
}

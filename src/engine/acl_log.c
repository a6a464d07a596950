/*
 * The log of what was refused: newest first, bounded. What repeats itself within a minute is counted, not repeated, so
 * that a client who asks for the same forbidden thing again and again does not drive out the others.
 */
#include "acl_priv.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/session.h"

enum { GROUP_MS = 60 * 1000, GROUP_LOOK_BACK = 10 };

static void entry_destroy(struct acl_log_entry *entry)
{
    mem_free(entry->object);
    mem_free(entry->user);
    mem_free(entry->client);
    mem_free(entry);
}

void acl_log_trim(struct acl *acl, size_t max)
{
    if (acl->log_len <= max)
        return;
    struct acl_log_entry **last = &acl->log;
    for (size_t i = 0; i < max; i++)
        last = &(*last)->older;
    for (struct acl_log_entry *entry = *last, *older; entry; entry = older) {
        older = entry->older;
        entry_destroy(entry);
    }
    *last = NULL;
    acl->log_len = max;
}

void acl_log_clear(struct acl *acl)
{
    acl_log_trim(acl, 0);
}

const struct acl_log_entry *acl_log_newest(const struct acl *acl)
{
    return acl->log;
}

static char *describe_client(struct engine *engine, const struct session *session)
{
    struct buf text = BUF_EMPTY;
    if (engine->describe_client && session->connection) /* of a transaction its client may have left */
        engine->describe_client(session, &text);
    char *copy = mem_strdup(buf_cstr(&text));
    buf_fini(&text);
    return copy;
}

/* An entry among the newest that says the same, taken out of the list; NULL if there is none. */
static struct acl_log_entry *take_equal(
    struct acl *acl, const struct acl_log_entry *like, struct bytes object, struct bytes user, int64_t now_ms)
{
    struct acl_log_entry **at = &acl->log;
    for (int i = 0; i < GROUP_LOOK_BACK && *at; i++, at = &(*at)->older) {
        struct acl_log_entry *entry = *at;
        if (entry->reason == like->reason && entry->in_transaction == like->in_transaction &&
            now_ms - entry->updated_ms <= GROUP_MS && bytes_equal(bytes_from_cstr(entry->object), object) &&
            bytes_equal(bytes_from_cstr(entry->user), user)) {
            *at = entry->older;
            acl->log_len--;
            return entry;
        }
    }
    return NULL;
}

void acl_log_add(struct engine *engine, const struct session *session, enum acl_verdict reason, struct bytes object,
    struct bytes user, bool in_transaction)
{
    struct acl *acl = engine->acl;
    acl->denied[reason]++;
    struct acl_log_entry like = { .reason = reason, .in_transaction = in_transaction };
    struct acl_log_entry *entry = take_equal(acl, &like, object, user, engine->now_ms);
    if (!entry) {
        entry = mem_alloc(sizeof *entry);
        *entry = like;
        entry->id = acl->next_log_id++;
        entry->object = bytes_dup_cstr(object);
        entry->user = bytes_dup_cstr(user);
        entry->created_ms = engine->now_ms;
    }
    mem_free(entry->client);
    entry->client = describe_client(engine, session);
    entry->count++;
    entry->updated_ms = engine->now_ms;
    entry->older = acl->log;
    acl->log = entry;
    acl->log_len++;
    acl_log_trim(acl, acl->log_max);
}

uint64_t acl_denied(const struct acl *acl, enum acl_verdict reason)
{
    return acl->denied[reason];
}

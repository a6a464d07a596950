/*
 * Changing the running server: several directives, all or none.
 *
 * Values are stored one after the other, the old texts kept; then what must happen for them happens, once per kind. If
 * anything refuses, the old texts are stored again and the same is done for them.
 */
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "config_priv.h"
#include "engine/acl.h"
#include "engine/session.h"
#include "server/process.h"
#include "server/server.h"
#include "server_priv.h"

/* A directive under change. */
struct change {
    const struct config_row *row;
    struct bytes name, value; /* borrowed */
    struct buf before;        /* its text until now */
    bool stored;
};

/* --- Effects --- */

/* The reason is in the log. */
static bool renew_tls(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    if (server->config.tls_port == 0 || server_load_tls(server))
        return true;
    buf_append_cstr(error, "Unable to update TLS configuration. Check server logs.");
    return false;
}

/* The same. */
static bool listen_again(struct server *server, const struct config_row *row, struct buf *error)
{
    if (strcmp(row->name, "tls-port") == 0 && !renew_tls(server, row, error))
        return false;
    struct buf reason = BUF_EMPTY;
    bool good = server_listen(server, &reason);
    if (!good)
        buf_append_cstr(error, strstr(row->name, "port") ? "Unable to listen on this port. Check server logs."
                                                         : "Failed to bind to specified addresses.");
    buf_fini(&reason);
    return good;
}

static bool serve_metrics(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    return server_serve_metrics(server, error);
}

static bool raise_clients(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    uint32_t wanted = server->config.net.clients_max, fit = process_raise_file_limit(wanted);
    if (fit >= wanted)
        return true;
    buf_printf(error, "The operating system is not able to handle the specified number of clients, try with %u", fit);
    return false;
}

/* Whoever is connected stays authenticated; with no password everybody is. */
static bool admit_clients(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    (void)error;
    acl_set_default_password(server->engine, buf_bytes(&server->config.requirepass));
    if (!server->config.requirepass.len)
        for (struct session *session = server->engine->sessions; session; session = session->next)
            session_set_authenticated(session, true);
    return true;
}

static bool switch_aof(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    bool good = aof_switch(server, server->config.appendonly);
    if (!good)
        buf_append_cstr(error, "Unable to turn on AOF. Check server logs.");
    return good;
}

static bool set_oom_score(struct server *server, const struct config_row *row, struct buf *error)
{
    (void)row;
    bool good = oom_apply(server, OOM_SERVER);
    if (!good)
        buf_append_cstr(error, "Failed to apply new oom_score_adj configuration, check server logs.");
    return good;
}

static bool (*const effects[EFFECT_COUNT])(struct server *server, const struct config_row *row, struct buf *error) = {
    [EFFECT_TLS] = renew_tls,
    [EFFECT_LISTEN] = listen_again,
    [EFFECT_METRICS] = serve_metrics,
    [EFFECT_CLIENTS] = raise_clients,
    [EFFECT_PASSWORD] = admit_clients,
    [EFFECT_APPENDONLY] = switch_aof,
    [EFFECT_OOM] = set_oom_score,
};

/* Does what the changes ask for; the one whose effect failed is answered, NULL if all went well. */
static struct change *take_effect(struct server *server, struct change *changes, size_t count, struct buf *error)
{
    for (int effect = EFFECT_NONE + 1; effect < EFFECT_COUNT; effect++) {
        struct change *change = changes;
        while (change < changes + count && (int)change->row->effect != effect)
            change++;
        if (change < changes + count && !effects[effect](server, change->row, error))
            return change;
    }
    return NULL;
}

/* --- Reading the request --- */

static bool is_same(const struct server *server, const struct change *change)
{
    struct buf now = BUF_EMPTY;
    config_format(&server->config, change->row, &now);
    bool same = bytes_equal(buf_bytes(&now), change->value);
    buf_fini(&now);
    return same;
}

static bool is_refused(const struct server *server, const struct change *change, bool local, struct buf *error)
{
    const struct config_row *row = change->row;
    int allowed = server->config.enable_protected_configs;
    if (row->flags & CONFIG_IMMUTABLE && !(row->flags & CONFIG_SAME && is_same(server, change)))
        buf_append_cstr(error, "can't set immutable config");
    else if (row->flags & CONFIG_PROTECTED && !(allowed == 1 || (allowed == 2 && local)))
        buf_append_cstr(error, "can't set protected config");
    return error->len > 0;
}

/* Finds the rows; on failure *faulty is the pair at fault. */
static bool find_rows(const struct server *server, struct change *changes, size_t count, bool local,
    struct change **faulty, struct buf *error)
{
    for (size_t i = 0; i < count; i++) {
        *faulty = &changes[i];
        changes[i].row = config_row_find(changes[i].name);
        if (!changes[i].row || changes[i].row->flags & CONFIG_FILE_ONLY)
            return false;
        if (is_refused(server, &changes[i], local, error))
            return false;
        for (size_t k = 0; k < i; k++)
            if (changes[k].row == changes[i].row && bytes_equal_nocase(changes[k].name, changes[i].name)) {
                buf_append_cstr(error, "duplicate parameter");
                return false;
            }
    }
    return true;
}

static void roll_back(struct server *server, struct change *changes, size_t count, bool with_effects)
{
    struct buf ignored = BUF_EMPTY;
    for (size_t i = count; i-- > 0;)
        if (changes[i].stored)
            config_assign(&server->config, changes[i].row, buf_bytes(&changes[i].before), &ignored);
    if (with_effects && take_effect(server, changes, count, &ignored))
        log_write(LOG_WARNING, "A setting that was refused could not be taken back: %s", buf_cstr(&ignored));
    buf_fini(&ignored);
}

static bool change_all(
    struct server *server, struct change *changes, size_t count, struct change **faulty, struct buf *error)
{
    for (size_t i = 0; i < count; i++) {
        *faulty = &changes[i];
        config_format(&server->config, changes[i].row, &changes[i].before);
        changes[i].stored = config_assign(&server->config, changes[i].row, changes[i].value, error);
        if (!changes[i].stored) {
            roll_back(server, changes, i, false);
            return false;
        }
    }
    *faulty = take_effect(server, changes, count, error);
    if (*faulty)
        roll_back(server, changes, count, true);
    return !*faulty;
}

bool config_set(struct server *server, const struct bytes *pairs, size_t count, bool local, struct buf *error)
{
    struct change *changes = mem_zalloc(count / 2 * sizeof *changes), *faulty = NULL;
    struct buf reason = BUF_EMPTY;
    for (size_t i = 0; i < count / 2; i++)
        changes[i] = (struct change){ .name = pairs[2 * i], .value = pairs[2 * i + 1] };
    bool good = find_rows(server, changes, count / 2, local, &faulty, &reason) &&
                change_all(server, changes, count / 2, &faulty, &reason);
    for (size_t i = 0; good && i < count / 2; i++)
        config_log_if_ineffective(&server->config, changes[i].row);
    if (good)
        server_apply_settings(server);
    else if (!reason.len)
        buf_printf(error, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'", (int)faulty->name.len,
            faulty->name.ptr);
    else
        buf_printf(error, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s", (int)faulty->name.len,
            faulty->name.ptr, buf_cstr(&reason));
    for (size_t i = 0; i < count / 2; i++)
        buf_fini(&changes[i].before);
    buf_fini(&reason);
    mem_free(changes);
    return good;
}

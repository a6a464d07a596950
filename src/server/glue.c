/*
 * The glue between network and engine: connections become sessions, requests are passed on, and what the engine asks of
 * a session's transport is asked of its connection. Neither side knows the other.
 */
#include "server_priv.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/acl.h"
#include "engine/early.h"
#include "engine/session.h"
#include "net/connection.h"
#include "resp/reply.h"
#include "store/keyspace.h"
#include "store/reclaim.h"

static void transport_wake(void *connection)
{
    connection_wake(connection);
}

static void transport_pause(void *connection)
{
    connection_pause(connection);
}

static void transport_resume(void *connection)
{
    connection_resume(connection);
}

static void transport_close(void *connection, bool after_output)
{
    if (after_output)
        connection_close_after_output(connection);
    else
        connection_close(connection);
}

static void transport_authenticated(void *connection, bool yes)
{
    connection_set_authenticated(connection, yes);
}

static void transport_set_class(void *connection, int limit_class)
{
    connection_set_class(connection, limit_class);
}

static void transport_patient(void *connection, bool yes)
{
    connection_set_patient(connection, yes);
}

static bool transport_take_request(
    void *connection, const struct bytes *argv, struct bytes **own_argv, char **own_bytes)
{
    return connection_take_request(connection, argv, own_argv, own_bytes);
}

static bool transport_flooded(void *connection, size_t more)
{
    return connection_close_if_flooded(connection, more);
}

static void transport_peer(void *connection, char *out, size_t size)
{
    struct connection_facts facts;
    connection_describe(connection, &facts);
    snprintf(out, size, "%s", facts.peer);
}

static const struct transport transport = {
    .wake = transport_wake,
    .pause = transport_pause,
    .resume = transport_resume,
    .close = transport_close,
    .authenticated = transport_authenticated,
    .set_class = transport_set_class,
    .patient = transport_patient,
    .flooded = transport_flooded,
    .peer = transport_peer,
    .take_request = transport_take_request,
};

struct connection *glue_connection(const struct session *session)
{
    return session->transport == &transport ? session->connection : NULL;
}

/* Without a password and with listening everywhere, only the machine itself is served. */
static bool is_denied(const struct server *server, const struct connection_facts *facts)
{
    bool is_open = acl_needs_no_password(acl_default_user(server->engine->acl));
    return server->config.protected_mode && is_open && !facts->is_loopback;
}

static void reply_denied(struct output *out)
{
    struct reply reply;
    reply_init(&reply, out, 2);
    static const char text[] =
        "DENIED Larder runs in protected mode: no password is set, so only clients on this machine are served. Either "
        "set a password with 'requirepass' in the configuration file (or CONFIG SET requirepass from a local client), "
        "or, if nobody untrusted can reach this port, switch protected mode off with 'protected-mode no'.";
    reply_error(&reply, bytes_make(text, sizeof text - 1));
}

static void *receiver_opened(void *context, struct connection *connection, struct output *out)
{
    struct server *server = context;
    struct connection_facts facts;
    connection_describe(connection, &facts);
    if (is_denied(server, &facts)) {
        reply_denied(out);
        return NULL;
    }
    struct session *session = session_create(server->engine, out, &transport, connection);
    session->flags |= (facts.is_unix ? SESSION_UNIX : 0u) | (facts.is_loopback ? SESSION_PRIVILEGED : 0u);
    log_write(LOG_VERBOSE, "Accepted %s", facts.peer);
    return session;
}

static void count_commands(struct server_work *work, uint64_t turn_began, size_t count)
{
    work->commands = work->turn_began == turn_began ? work->commands + count : count;
    work->turn_began = turn_began;
    if (work->commands > work->commands_max)
        work->commands_max = work->commands;
}

/* Requests that became tasks are background work, and none that it has to make way for. */
static void receiver_execute(void *context, struct request *requests, size_t count)
{
    struct server *server = context;
    size_t tasks = engine_task_count(server->engine);
    clients_evict(server); /* for what was sent and read since the last batch */
    server->engine->read_ticks = net_turn_began(server->net);
    count_commands(&server->work, server->engine->read_ticks, count);
    engine_execute(server->engine, requests, count);
    server->busy_since_slice |= engine_task_count(server->engine) < tasks + count;
    cron_set_deadline(server);
    clients_evict(server);
    if (engine_is_short_of_memory(server->engine) || engine_task_count(server->engine) ||
        reclaim_pending(server->keyspace->reclaim))
        net_wake_background(server->net);
}

/* Where others were served since the last time they get most of the turns to come, too. All of a turn's share it. */
static void receiver_arriving(
    void *context, void *owner, const struct bytes *argv, uint32_t argc, struct blob *blob, size_t len)
{
    enum { ALONE_NS = 300 * 1000, BUSY_NS = 60 * 1000 };
    struct server *server = context;
    struct server_arrivals *arrivals = &server->arrivals;
    uint64_t turn_began = net_turn_began(server->net), commands = server->engine->stats.commands;
    if (arrivals->turn_began != turn_began) {
        bool is_busy = commands != arrivals->commands || engine_task_count(server->engine);
        *arrivals = (struct server_arrivals){ turn_began, commands, is_busy ? BUSY_NS : ALONE_NS };
    }
    uint64_t start_ns = clock_mono_ns();
    if (arrivals->left_ns)
        engine_arriving(owner, argv, argc, blob, len, arrivals->left_ns);
    uint64_t spent_ns = clock_mono_ns() - start_ns;
    arrivals->left_ns -= spent_ns < arrivals->left_ns ? spent_ns : arrivals->left_ns;
}

/* Now, not when it is closed: in the turn in which a waiting client left, somebody may push what it waited for. */
static void receiver_leaving(void *context, void *owner)
{
    (void)context;
    session_stop_waiting(owner);
}

static void receiver_closed(void *context, void *owner)
{
    (void)context;
    session_destroy(owner);
}

struct net_receiver glue_receiver(struct server *server)
{
    return (struct net_receiver){
        .opened = receiver_opened,
        .execute = receiver_execute,
        .leaving = receiver_leaving,
        .arriving = receiver_arriving,
        .closed = receiver_closed,
        .context = server,
    };
}

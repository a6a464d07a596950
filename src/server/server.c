/*
 * The server's life: creation in the order of the layers, listening, running, and taking down in reverse.
 */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/acl.h"
#include "engine/blame.h"
#include "engine/pubsub.h"
#include "engine/session.h"
#include "engine/slowlog.h"
#include "engine/task.h"
#include "engine/tracking.h"
#include "net/http.h"
#include "server/crash.h"
#include "server/memory.h"
#include "server/process.h"
#include "server_priv.h"
#include "store/census.h"
#include "store/keyspace.h"

enum { HAND_OUT_NS = 300 * 1000 }; /* of a turn: handing messages to very many subscribers */

/* --- Listening --- */

/* Listens on one address of `bind`. A leading '-' says that the address may be missing. */
static bool listen_tcp(struct server *server, const char *address, bool tls, struct buf *error)
{
    int64_t port = tls ? server->config.tls_port : server->config.port;
    bool optional = address[0] == '-';
    const char *name = optional ? address + 1 : address;
    char reason[256];
    if ((tls ? net_listen_tls : net_listen_tcp)(server->net, name, (uint16_t)port, reason, sizeof reason))
        return true;
    int code = errno;
    log_write(LOG_WARNING, "Warning: Could not create server TCP listening socket %s:%lld: %s", name, (long long)port,
        reason);
    if (optional && (code == EADDRNOTAVAIL || code == EAFNOSUPPORT || code == EPROTONOSUPPORT))
        return true;
    buf_printf(error, "Failed listening on port %lld (%s), aborting.", (long long)port, tls ? "tls" : "tcp");
    return false;
}

static bool listen_all_tcp(struct server *server, bool tls, struct buf *error)
{
    char *list = mem_strdup(server->config.bind);
    char *rest = list;
    bool ok = true;
    for (char *address; ok && (address = strsep(&rest, " "));)
        if (*address)
            ok = listen_tcp(server, address, tls, error);
    mem_free(list);
    return ok;
}

static bool listen_unix(struct server *server, struct buf *error)
{
    const struct config *config = &server->config;
    if (!config->unixsocket || !config->unixsocket[0])
        return true;
    char reason[256];
    if (net_listen_unix(server->net, config->unixsocket, (uint32_t)config->unixsocket_perm, reason, sizeof reason))
        return true;
    buf_printf(error, "Failed opening Unix socket: %s", reason);
    return false;
}

bool server_load_tls(struct server *server)
{
    struct buf error = BUF_EMPTY;
    struct tls_context *context = tls_context_create(&server->config.tls, &error);
    if (context) {
        net_set_tls(server->net, context);
        server->tls_loaded = true;
    } else
        log_write(LOG_WARNING, "TLS: %s", buf_cstr(&error));
    buf_fini(&error);
    return context != NULL;
}

static bool listen_tls(struct server *server, struct buf *error)
{
    if (server->config.tls_port == 0)
        return true;
    if (server->tls_loaded || server_load_tls(server))
        return listen_all_tcp(server, true, error);
    buf_append_cstr(error, "Failed to configure TLS. Check logs for more info.");
    return false;
}

bool server_listen(struct server *server, struct buf *error)
{
    net_unlisten(server->net);
    return listen_tls(server, error) && (server->config.port == 0 || listen_all_tcp(server, false, error)) &&
           listen_unix(server, error);
}

/* --- Creating --- */

/* A server that nobody can reach is a mistake in the configuration. */
static bool listens(const struct server *server, struct buf *error)
{
    const struct config *config = &server->config;
    bool tcp = (config->port != 0 || config->tls_port != 0) && config->bind[strspn(config->bind, " ")];
    if (tcp || (config->unixsocket && config->unixsocket[0]))
        return true;
    buf_append_cstr(error, "Configured to not listen anywhere, exiting.");
    return false;
}

static void register_commands(struct server *server)
{
    static const struct command *const own[] = {
        acl_commands,
        admin_commands,
        aof_commands,
        client_commands,
        config_commands,
        debug_commands,
        hotkeys_commands,
        info_commands,
        latency_commands,
        memory_commands,
        migrate_commands,
        save_commands,
        script_commands,
        slowlog_commands,
        waitaof_commands,
    };
    struct command_registry *registry = server->engine->registry;
    for (size_t i = 0; command_families[i]; i++)
        command_registry_add(registry, command_families[i]);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        command_registry_add(registry, own[i]);
}

static bool rename_commands(struct server *server)
{
    for (const struct config_rename *rename = server->config.renames; rename; rename = rename->next)
        if (!command_rename(server->engine->registry, bytes_from_cstr(rename->from), bytes_from_cstr(rename->to))) {
            log_write(LOG_WARNING, "rename-command %s \"%s\": there is no such command, or the new name is taken",
                rename->from, rename->to);
            return false;
        }
    return true;
}

void server_shutdown_on_signal(struct server *server)
{
    struct config *config = &server->config;
    const char *how = server->shutdown_signal == SIGINT ? config->shutdown_on_sigint : config->shutdown_on_sigterm;
    enum shutdown_save save = strstr(how, "nosave") ? SHUTDOWN_NOSAVE
                              : strstr(how, "save") ? SHUTDOWN_SAVE
                                                    : SHUTDOWN_AS_CONFIGURED;
    if (!server_shutdown(server, save, strstr(how, "force") != NULL))
        server->shutdown_signal = 0;
}

static void on_end_signal(void *context, int signal_number)
{
    struct server *server = context;
    log_write(LOG_WARNING, "Received %s scheduling shutdown...", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
    if (server->shutting_down && signal_number == SIGINT)
        _exit(1);
    server->shutdown_signal = signal_number;
    if (server->cron_paused) { /* so that a test finds it under way */
        server->shutdown_waits = true;
        return;
    }
    server_shutdown_on_signal(server);
}

static void on_child_signal(void *context, int signal_number)
{
    (void)signal_number;
    child_tick(context);
}

static void on_hangup(void *context, int signal_number)
{
    struct server *server = context;
    (void)signal_number;
    if (log_reopen())
        log_write(LOG_NOTICE, "Received SIGHUP, log file reopened");
    if (server->config.tls_port != 0 && server_load_tls(server))
        log_write(LOG_NOTICE, "Received SIGHUP, certificates loaded again");
}

static void set_signals(struct server *server)
{
    signal(SIGXFSZ, SIG_IGN); /* a limit to the size of files is an error of a save, not the end */
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets whose other end may be gone */
    net_set_signal(server->net, SIGTERM, on_end_signal, server);
    net_set_signal(server->net, SIGINT, on_end_signal, server);
    net_set_signal(server->net, SIGHUP, on_hangup, server);
    net_set_signal(server->net, SIGCHLD, on_child_signal, server);
}

/* Once a turn, when everything was executed and nothing was sent. */
static void before_send(void *context)
{
    struct server *server = context;
    tracking_broadcast(server->engine);
    bool more = tracking_hand_out(server->engine, HAND_OUT_NS);
    more |= pubsub_hand_out(server->engine, HAND_OUT_NS);
    if (more)
        net_wake_background(server->net);
    if (__builtin_expect(server->engine->flushed_all, 0)) {
        server->engine->flushed_all = false;
        saves_flushed(server);
    }
    aof_before_send(server);
}

static void after_send(void *context)
{
    struct server *server = context;
    split_sent(server->engine);
}

struct server *server_create(struct config *config)
{
    struct server *server = mem_zalloc(sizeof *server);
    server->config = *config;
    server->started_ms = clock_wall_ms();
    server->started_ns = clock_mono_ns();
    random_hex(server->run_id, 40);
    struct config *own = &server->config;
    own->net.clients_max = process_raise_file_limit(own->net.clients_max);
    server->keyspace = keyspace_create((int)own->databases);
    server->census = census_create((int)own->databases);
    server->keyspace->settings = &own->store;
    server->engine = engine_create(server->keyspace, &own->engine, server);
    saves_init(server);
    register_commands(server);
    server->engine->describe_client = client_describe;
    struct net_receiver receiver = glue_receiver(server);
    server->net = net_create(&own->net, &receiver);
    struct buf error = BUF_EMPTY;
    if (!aof_begin(server) || !rename_commands(server) || !acl_file_begin(server) || !server_listen(server, &error) ||
        !listens(server, &error) || !server_serve_metrics(server, &error)) {
        if (error.len)
            log_write(LOG_WARNING, "%s", buf_cstr(&error));
        buf_fini(&error);
        server_destroy(server);
        return NULL;
    }
    net_set_before_send(server->net, before_send, server);
    net_set_after_send(server->net, after_send, server);
    set_signals(server);
    server_apply_settings(server);
    server->memory_at_start = server->memory_peak = mem_used();
    server->watching_at_start = memory_of_watching(server);
    server->memory_peak_ms = server->started_ms;
    return server;
}

void server_destroy(struct server *server)
{
    if (!server)
        return;
    aof_rewrite_abandon(server); /* one of the tasks may wait for it */
    if (server->engine)
        engine_finish_tasks(server->engine); /* threads that work for them tell the net when they are done */
    aof_settle(server);
    http_destroy(server->http);
    net_destroy(server->net);
    aof_fini(server);
    waitaof_fini(server);
    engine_destroy(server->engine);
    defrag_stop(server);
    keyspace_destroy(server->keyspace);
    census_destroy(server->census);
    saves_fini(server);
    config_fini(&server->config);
    mem_free(server->executable);
    mem_free(server);
}

/* --- Running --- */

static void set_title(const struct server *server)
{
    if (!server->config.set_proc_title)
        return;
    struct buf title = BUF_EMPTY;
    config_format_title(&server->config, process_name(), &title);
    process_set_title(buf_cstr(&title));
    buf_fini(&title);
}

void server_apply_settings(struct server *server)
{
    log_set_level((enum log_level)server->config.loglevel);
    crash_set_exit(server->config.use_exit_on_panic);
    mem_set_background_purge(server->config.jemalloc_bg_thread);
    slowlog_trim(server->engine->slowlog, server->config.engine.slowlog_max_len);
    acl_set_options(server->engine, server->config.acl_pubsub_default == 0, (size_t)server->config.acllog_max_len);
    tracking_limit(server->engine, (size_t)server->config.tracking_table_max_keys);
    engine_refresh_notifications(server->engine);
    engine_refresh_memory(server->engine);
    net_wake_background(server->net);
    cron_set_hz(server);
    saves_judge(server);
    aof_judge(server);
    aof_collect_history(server);
    set_title(server);
}

/*
 * From the append-only file, if there is to be one. Where there is none yet it begins with what the RDB file holds, so
 * that switching it on in the configuration file loses nothing.
 */
static bool load(struct server *server)
{
    bool found = false;
    if (server->config.appendonly && !aof_load(server, &found))
        return false;
    if (!found && !saves_load(server))
        return false;
    return !server->config.appendonly || aof_open(server);
}

int server_run(struct server *server)
{
    log_write(LOG_NOTICE, "Server initialized");
    process_ask_for_latency((int)server->config.loop_nice);
    oom_apply(server, OOM_SERVER);
    if (!load(server))
        return server->shutting_down ? 0 : 1;
    cron_start(server);
    log_write(LOG_NOTICE, "Ready to accept connections");
    if (server->config.unixsocket && server->config.unixsocket[0])
        log_write(LOG_NOTICE, "The server is now ready to accept connections at %s", server->config.unixsocket);
    process_notify("READY=1\nSTATUS=Ready to accept connections\n");
    net_run(server->net);
    log_write(LOG_WARNING, "User requested shutdown...");
    process_notify("STOPPING=1\n");
    saves_abandon(server);
    aof_finish(server);
    net_unlisten(server->net);
    http_destroy(server->http);
    server->http = NULL;
    log_write(LOG_WARNING, "Larder in the place of Redis is now ready to exit, bye bye...");
    return 0;
}

bool server_shutdown(struct server *server, enum shutdown_save save, bool force)
{
    bool wanted = save == SHUTDOWN_SAVE || (save == SHUTDOWN_AS_CONFIGURED && server->config.save_points.count);
    engine_finish_changes(server->engine);
    saves_abandon(server);
    if (server->aof->state == AOF_WAITS && !force) {
        log_write(LOG_WARNING, "Writing initial AOF, can't exit");
        return false;
    }
    if (!aof_finish(server) && !force) {
        log_write(LOG_WARNING, "The append-only file can't be written, can't exit.");
        return false;
    }
    if (wanted && !server->saves->loading) {
        log_write(LOG_NOTICE, "Saving the final RDB snapshot before exiting.");
        if (!saves_now(server) && !force) {
            log_write(LOG_WARNING, "Error trying to save the DB, can't exit.");
            return false;
        }
    }
    server->shutting_down = true;
    net_stop(server->net);
    return true;
}

/*
 * maxmemory-clients: when clients together hold more than they may, those that hold most are disconnected.
 *
 * What they hold is known at any time without visiting them (net's counters, what transactions have queued, and what is
 * kept of watched keys, subscriptions and prefixes); only when it is too much are they visited to find the largest, a
 * few at a time, before and after a batch of requests.
 */
#include "base/log.h"
#include "base/mem.h"
#include "engine/session.h"
#include "engine/transaction.h"
#include "net/connection.h"
#include "server_priv.h"

enum {
    LIMIT_MIN = 128 * 1024, /* with less nobody could talk to the server any more */
    AT_ONCE = 16,           /* clients disconnected before others are served again */
};

uint64_t clients_limit(const struct server *server)
{
    const struct config *config = &server->config;
    uint64_t limit = config->clients_bytes;
    if (config->clients_percent)
        limit = (uint64_t)((double)config->engine.memory.limit * config->clients_percent / 100);
    return limit && limit < LIMIT_MIN ? LIMIT_MIN : limit;
}

size_t client_memory(const struct session *session)
{
    return mem_good_size(sizeof *session) + connection_memory(session->connection) + transaction_memory(session) +
           session->kept_bytes;
}

size_t clients_memory(const struct server *server)
{
    struct net_stats stats;
    net_stats_read(server->net, &stats);
    return stats.input_memory + stats.output_memory + server->engine->queued_memory + server->engine->kept_memory +
           server->engine->session_count * mem_good_size(sizeof(struct session));
}

static struct session *find_largest(const struct server *server, size_t *memory)
{
    struct session *largest = NULL;
    for (struct session *session = server->engine->sessions; session; session = session->next) {
        if (session->flags & (SESSION_CLOSING | SESSION_NO_EVICT))
            continue;
        size_t own = client_memory(session);
        if (largest && own <= *memory)
            continue;
        largest = session;
        *memory = own;
    }
    return largest;
}

/* What those hold who are on their way out. */
static size_t leaving_memory(const struct server *server)
{
    size_t sum = 0;
    for (const struct session *session = server->engine->sessions; session; session = session->next)
        if (session->flags & SESSION_CLOSING)
            sum += client_memory(session);
    return sum;
}

void clients_evict(struct server *server)
{
    uint64_t limit = clients_limit(server);
    size_t held = clients_memory(server);
    server->engine->memory.leaving = 0;
    if (!limit || held <= limit)
        return;
    size_t leaving = leaving_memory(server);
    held = held > leaving ? held - leaving : 0;
    for (int i = 0; i < AT_ONCE && held > limit; i++) {
        size_t own = 0;
        struct session *session = find_largest(server, &own);
        if (!session)
            return;
        struct buf text = BUF_EMPTY;
        client_describe(session, &text);
        log_write(LOG_NOTICE, "Evicting client: %s", buf_cstr(&text));
        buf_fini(&text);
        session_close(session, false);
        server->evicted_clients++;
        held = held > own ? held - own : 0;
        leaving += own;
    }
    server->engine->memory.leaving = leaving;
}

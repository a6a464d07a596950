/*
 * The loop: libev for readiness, timers, signals and wake-ups, and a turn of ours around the callbacks of each round.
 *
 * libev lets one function stand in for "invoke what is pending" (ev_set_invoke_pending_cb). That function is the turn:
 * it lets libev call back, which gathers requests, and then executes, works and sends. So everything that happens in a
 * round, timers and signals included, is followed by one execution and one pass of sending, and nothing is registered
 * with the loop for it.
 *
 * While something must go on in the next turn an idle watcher is active, for which libev polls without waiting.
 */
#include "net/net.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/tls.h"
#include "net_priv.h"

enum {
    FREE_AT_ONCE = 32,     /* connections that are closed, some 15 us each */
    HEAVY_NS = 300 * 1000, /* time in one turn for those that send much, */
    HEAVY_SHARE = 8,       /* but for one in so many of them at least */
    TRIM_SWEEPS = 10,      /* between two looks at what is larger than it has to be */
};

void connections_push(struct connections *list, struct connection *connection)
{
    if (list->count == list->cap) {
        list->cap = list->cap == 0 ? 64 : list->cap * 2;
        list->ptr = mem_realloc(list->ptr, list->cap * sizeof(*list->ptr));
    }
    list->ptr[list->count++] = connection;
}

void net_hurry(struct net *net)
{
    if (!net->in_turn)
        ev_idle_start(net->loop, &net->again);
}

static void run_ready(struct net *net)
{
    size_t count = net->ready.count;
    for (size_t i = 0; i < count; i++) {
        struct connection *connection = net->ready.ptr[i];
        connection->is_ready = false;
        batch_add_input(connection);
    }
    batch_execute(net);
    net->ready.count -= count;
    memmove(net->ready.ptr, net->ready.ptr + count, net->ready.count * sizeof(*net->ready.ptr));
}

static void run_background(struct net *net)
{
    net->in_background = true;
    net->background_wanted = net->naps = false;
    bool more = net->background(net->background_context);
    net->background_wanted |= more;
    net->in_background = false;
}

void net_send(struct net *net)
{
    if (net->before_send != NULL)
        net->before_send(net->before_send_context);
    if (net->writers.count > 0 || net->woken.count > 0)
        send_all(net);
    if (net->after_send != NULL)
        net->after_send(net->after_send_context);
}

/* Time has passed since the turn began, by the processor's counter, which is read once a heavy connection. */
static bool has_spent(const struct net *net, uint64_t ns)
{
    return clock_ticks_to_ns(clock_ticks() - net->turn_began) >= ns;
}

/*
 * Those that send much at once wait until the others were answered, and share a bounded part of the turn, so that one
 * who asks for little waits for a slice of their work and not for all of it. A turn serves a part of them, however many
 * they are, since the system tells of all that are readable every time it is asked.
 */
static void read_heavy(struct net *net)
{
    if (net->batch.offer_count > 0) {
        batch_execute(net);
        net_send(net);
    }
    size_t count = net->heavy.count, least = (count + HEAVY_SHARE - 1) / HEAVY_SHARE, at = 0;
    while (at < count && (at < least || !has_spent(net, HEAVY_NS))) {
        struct connection *connection = net->heavy.ptr[at++];
        connection->is_queued = false;
        if (ev_is_active(&connection->io) && connection->io.events & EV_READ)
            input_read(connection);
        if (net->batch.count >= NET_HEAVY_REQUESTS)
            batch_execute(net);
    }
    net->heavy.count -= at;
    memmove(net->heavy.ptr, net->heavy.ptr + at, net->heavy.count * sizeof(*net->heavy.ptr));
}

static void turn(struct ev_loop *loop)
{
    struct net *net = ev_userdata(loop);
    ASSERT(!net->batch.executing);
    bool is_nested = net->in_turn;
    net->in_turn = true;
    net->stats.turns++;
    net->now_ms = clock_mono_ns() / 1000000;
    net->handshake_ns = 0;
    if (net->unread.count > 0)
        tls_feed(net);
    uint64_t moments[TURN_PHASES + 1];

    moments[TURN_READING] = net->turn_began = clock_ticks();
    ev_invoke_pending(loop);
    if (net->heavy.count > 0)
        read_heavy(net);
    moments[TURN_EXECUTING] = clock_ticks();
    batch_execute(net);
    if (net->ready.count > 0)
        run_ready(net);
    moments[TURN_BACKGROUND] = moments[TURN_SENDING] = clock_ticks();
    if (net->background_wanted && !net->in_background) {
        run_background(net);
        moments[TURN_SENDING] = clock_ticks();
    }
    net_send(net);
    if (net->closing.count > 0)
        connection_free_closing(net, FREE_AT_ONCE);
    if (net->doomed != NULL)
        send_free_doomed(net);
    moments[TURN_PHASES] = clock_ticks();
    turns_add(&net->stats.spans, moments);

    net->in_turn = is_nested;
    bool again = net->ready.count > 0 || net->writers.count > 0 || net->woken.count > 0 || net->closing.count > 0 ||
                 net->doomed != NULL || (net->background_wanted && !net->naps) || net->unread.count > 0 ||
                 net->heavy.count > 0;
    if (again && !ev_is_active(&net->again))
        ev_idle_start(loop, &net->again);
    else if (!again && ev_is_active(&net->again))
        ev_idle_stop(loop, &net->again);
}

static void on_again(struct ev_loop *loop, struct ev_idle *watcher, int events)
{
    (void)loop, (void)watcher, (void)events;
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)timer, (void)events;
    struct net *net = ev_userdata(loop);
    connection_sweep(net);
    if (++net->sweeps < TRIM_SWEEPS || net->area_used > 0 || net->batch.offer_count > 0)
        return;
    net->sweeps = 0;
    input_trim(net);
    batch_trim(&net->batch);
}

static void on_notify(struct ev_loop *loop, struct ev_async *async, int events)
{
    (void)async, (void)events;
    struct net *net = ev_userdata(loop);
    if (net->notify_fire != NULL)
        net->notify_fire(net->notify_context);
}

/* The timer descriptor stays readable until it is read. */
static void on_nap_end(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)events;
    struct net *net = ev_userdata(loop);
    uint64_t expirations;
    if (read(watcher->fd, &expirations, sizeof(expirations)) > 0)
        net->nap_end_ns = 0;
}

struct net *net_create(const struct net_settings *settings, const struct net_receiver *receiver)
{
    struct net *net = mem_zalloc(sizeof(*net));
    net->loop = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
    if (net->loop == NULL)
        net->loop = ev_loop_new(EVFLAG_NOENV);
    ASSERT(net->loop != NULL);
    net->settings = settings;
    net->receiver = *receiver;
    net->area = mem_alloc(NET_AREA_MIN);
    net->area_cap = NET_AREA_MIN;
    net->now_ms = clock_mono_ns() / 1000000;
    batch_init(&net->batch);
    ev_set_userdata(net->loop, net);
    ev_set_invoke_pending_cb(net->loop, turn);
    ev_idle_init(&net->again, on_again);
    ev_timer_init(&net->accept_again, listener_accept_again, 0, 0);
    ev_timer_init(&net->sweep, on_sweep, NET_SWEEP_MS / 1000.0, NET_SWEEP_MS / 1000.0);
    ev_timer_start(net->loop, &net->sweep);
    ev_async_init(&net->notify, on_notify);
    ev_async_start(net->loop, &net->notify);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    ASSERT(timer >= 0);
    ev_io_init(&net->nap, on_nap_end, timer, EV_READ);
    ev_io_start(net->loop, &net->nap);
    return net;
}

void net_destroy(struct net *net)
{
    if (net == NULL)
        return;
    ASSERT(!net->in_turn);
    for (size_t i = 0; i < net->all.count; i++)
        connection_close(net->all.ptr[i]);
    while (connection_free_closing(net, SIZE_MAX))
        ;
    while (net->doomed != NULL)
        send_free_doomed(net);
    net_unlisten(net);
    for (int slot = 0; slot < NET_TIMERS; slot++)
        net_set_timer(net, slot, 0, NULL, NULL);
    struct net_signal *next;
    for (struct net_signal *signal = net->signals; signal != NULL; signal = next) {
        next = signal->next;
        ev_signal_stop(net->loop, &signal->signal);
        mem_free(signal);
    }
    send_ring_destroy(net->ring);
    ev_io_stop(net->loop, &net->nap);
    close(net->nap.fd);
    ev_async_stop(net->loop, &net->notify);
    ev_timer_stop(net->loop, &net->sweep);
    ev_timer_stop(net->loop, &net->accept_again);
    ev_idle_stop(net->loop, &net->again);
    ev_loop_destroy(net->loop);
    batch_fini(&net->batch);
    output_pool_fini(&net->output_pool);
    mem_free(net->all.ptr);
    mem_free(net->ready.ptr);
    mem_free(net->writers.ptr);
    mem_free(net->heavy.ptr);
    mem_free(net->unread.ptr);
    mem_free(net->tls_record);
    tls_context_destroy(net->tls);
    mem_free(net->woken.ptr);
    mem_free(net->closing.ptr);
    mem_free(net->listeners);
    mem_free(net->area);
    mem_free(net);
}

void net_set_tls(struct net *net, struct tls_context *context)
{
    tls_context_destroy(net->tls);
    net->tls = context;
}

void net_run(struct net *net)
{
    ev_run(net->loop, 0);
}

void net_stop(struct net *net)
{
    ev_break(net->loop, EVBREAK_ALL);
}

void net_turn(struct net *net)
{
    ASSERT(!net->batch.executing);
    ev_run(net->loop, EVRUN_NOWAIT);
}

static void on_timer(struct ev_loop *loop, struct ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    struct net_timer *timer = (struct net_timer *)watcher;
    if (timer->is_firing)
        return;
    timer->is_firing = true;
    timer->fire(timer->context);
    timer->is_firing = false;
}

void net_set_timer(struct net *net, int slot, uint32_t interval_ms, void (*fire)(void *context), void *context)
{
    ASSERT(slot >= 0 && slot < NET_TIMERS);
    struct net_timer *timer = &net->timers[slot];
    ev_timer_stop(net->loop, &timer->timer);
    if (interval_ms == 0)
        return;
    timer->fire = fire;
    timer->context = context;
    ev_now_update(net->loop);
    /* In step with our own: an idle process wakes once for both. */
    ev_tstamp interval = interval_ms / 1000.0;
    ev_tstamp first = interval_ms == NET_SWEEP_MS ? ev_timer_remaining(net->loop, &net->sweep) : interval;
    ev_timer_init(&timer->timer, on_timer, first, interval);
    ev_timer_start(net->loop, &timer->timer);
}

static void on_signal(struct ev_loop *loop, struct ev_signal *watcher, int events)
{
    (void)loop, (void)events;
    struct net_signal *signal = (struct net_signal *)watcher;
    signal->fire(signal->context, watcher->signum);
}

void net_set_signal(struct net *net, int signal, void (*fire)(void *context, int signal), void *context)
{
    struct net_signal *added = mem_zalloc(sizeof(*added));
    added->fire = fire;
    added->context = context;
    added->next = net->signals;
    net->signals = added;
    ev_signal_init(&added->signal, on_signal, signal);
    ev_signal_start(net->loop, &added->signal);
}

void net_set_notify(struct net *net, void (*fire)(void *context), void *context)
{
    net->notify_fire = fire;
    net->notify_context = context;
}

void net_notify(struct net *net)
{
    ev_async_send(net->loop, &net->notify);
}

void net_set_background(struct net *net, bool (*run)(void *context), void *context)
{
    net->background = run;
    net->background_context = context;
    net->background_wanted = run != NULL;
    net_hurry(net);
}

void net_wake_background(struct net *net)
{
    net->background_wanted = net->background != NULL;
    net->naps = false;
    net_hurry(net);
}

void net_turn_at(struct net *net, uint64_t moment_ns)
{
    if (net->nap_end_ns != 0 && net->nap_end_ns <= moment_ns)
        return;
    net->nap_end_ns = moment_ns;
    struct itimerspec when = { .it_value = { (time_t)(moment_ns / 1000000000), (long)(moment_ns % 1000000000) } };
    timerfd_settime(net->nap.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void net_nap_background(struct net *net, uint64_t moment_ns)
{
    net->naps = true;
    net_turn_at(net, moment_ns);
}

void net_set_before_send(struct net *net, void (*run)(void *context), void *context)
{
    net->before_send = run;
    net->before_send_context = context;
}

void net_set_after_send(struct net *net, void (*run)(void *context), void *context)
{
    net->after_send = run;
    net->after_send_context = context;
}

uint64_t net_turn_began(const struct net *net)
{
    return net->turn_began;
}

void net_stats_read(const struct net *net, struct net_stats *stats)
{
    *stats = net->stats;
    stats->connections = net->all.count;
}

void net_stats_reset(struct net *net)
{
    net->stats = (struct net_stats){
        .input_memory = net->stats.input_memory,
        .output_memory = net->stats.output_memory,
    };
}

/*
 * The thread announces its end by a flag and wakes the event loop, which wakes whoever sleeps: the handler that waits
 * for it, and those that wait for there to be fewer threads.
 */
#include "server/errand.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "server_priv.h"

enum { ERRANDS_MAX = 32 }; /* threads at once, but for those that cannot wait: half of what base/mem.h allows */

struct errand {
    void (*run)(void *context);
    void *context;
    struct net *net;      /* borrowed */
    atomic_uint *running; /* borrowed: the server's count */
    atomic_bool done;
};

static void *errand_thread(void *context)
{
    struct errand *errand = context;
    struct net *net = errand->net;
    mem_thread_register();
    errand->run(errand->context);
    atomic_fetch_sub_explicit(errand->running, 1, memory_order_relaxed);
    atomic_store_explicit(&errand->done, true, memory_order_release);
    net_notify(net);
    return NULL;
}

bool errand_run(struct call *call, void (*run)(void *context), void *context)
{
    struct server *server = server_of(call);
    struct errand errand = { run, context, server->net, &server->errands, false };
    pthread_t thread;
    sigset_t all, before;
    while (atomic_load_explicit(&server->errands, memory_order_relaxed) >= ERRANDS_MAX && call_sleep(call))
        ;
    atomic_fetch_add_explicit(&server->errands, 1, memory_order_relaxed);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, errand_thread, &errand);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        atomic_fetch_sub_explicit(&server->errands, 1, memory_order_relaxed);
        return false;
    }
    while (!atomic_load_explicit(&errand.done, memory_order_acquire) && call_sleep(call))
        ;
    pthread_join(thread, NULL);
    return true;
}

/*
 * The thread announces its end by a flag and wakes the event loop, which wakes whoever sleeps.
 */
#include "server/errand.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "server_priv.h"

struct errand {
    void (*run)(void *context);
    void *context;
    struct net *net; /* borrowed */
    atomic_bool done;
};

static void *errand_thread(void *context)
{
    struct errand *errand = context;
    struct net *net = errand->net;
    mem_thread_register();
    errand->run(errand->context);
    atomic_store_explicit(&errand->done, true, memory_order_release);
    net_notify(net);
    return NULL;
}

bool errand_run(struct call *call, void (*run)(void *context), void *context)
{
    struct errand errand = { run, context, server_of(call)->net, false };
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, errand_thread, &errand);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return false;
    while (!atomic_load_explicit(&errand.done, memory_order_acquire) && call_sleep(call))
        ;
    pthread_join(thread, NULL);
    return true;
}

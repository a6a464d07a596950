/*
 * The thread and its queue, a list under one lock.
 */
#include "persist/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

struct job {
    struct job *next; /* owned */
    void (*run)(void *argument);
    void *argument;
};

struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more, idle;
    struct job *first, **last; /* owned list */
    bool busy, ending;
};

static void *work(void *context)
{
    struct worker *worker = context;
    mem_thread_register();
    pthread_mutex_lock(&worker->lock);
    for (;;) {
        while (!worker->first && !worker->ending)
            pthread_cond_wait(&worker->more, &worker->lock);
        struct job *job = worker->first;
        if (!job)
            break;
        worker->first = job->next;
        if (!worker->first)
            worker->last = &worker->first;
        worker->busy = true;
        pthread_mutex_unlock(&worker->lock);
        job->run(job->argument);
        mem_free(job);
        pthread_mutex_lock(&worker->lock);
        worker->busy = false;
        if (!worker->first)
            pthread_cond_broadcast(&worker->idle);
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

struct worker *worker_create(void)
{
    struct worker *worker = mem_zalloc(sizeof *worker);
    worker->last = &worker->first;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->more, NULL);
    pthread_cond_init(&worker->idle, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(!failed);
    return worker;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    worker->ending = true;
    pthread_cond_signal(&worker->more);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->more);
    pthread_cond_destroy(&worker->idle);
    mem_free(worker);
}

void worker_submit(struct worker *worker, void (*run)(void *argument), void *argument)
{
    struct job *job = mem_alloc(sizeof *job);
    *job = (struct job){ .run = run, .argument = argument };
    pthread_mutex_lock(&worker->lock);
    *worker->last = job;
    worker->last = &job->next;
    pthread_mutex_unlock(&worker->lock);
    pthread_cond_signal(&worker->more); /* after that: it may run at once, and would find the lock taken */
}

void worker_drain(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->first || worker->busy)
        pthread_cond_wait(&worker->idle, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
}

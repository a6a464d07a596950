/*
 * Latency events: a short list, searched only when something was slow.
 */
#include "engine/latency.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"

struct latency {
    struct latency_event *first; /* owned chain */
};

struct latency *latency_create(void)
{
    return mem_zalloc(sizeof(struct latency));
}

void latency_destroy(struct latency *latency)
{
    struct latency_event *next;
    for (struct latency_event *event = latency->first; event; event = next) {
        next = event->next;
        mem_free(event);
    }
    mem_free(latency);
}

static struct latency_event *need_event(struct latency *latency, const char *name)
{
    struct latency_event **link = &latency->first;
    while (*link && strcmp((*link)->name, name) != 0)
        link = &(*link)->next;
    if (!*link) {
        *link = mem_zalloc(sizeof **link);
        (*link)->name = name;
    }
    return *link;
}

void latency_note(struct engine *engine, const char *name, uint64_t us)
{
    int64_t threshold_ms = engine->settings->latency_threshold_ms;
    uint64_t ms = us / 1000;
    if (threshold_ms <= 0 || ms < (uint64_t)threshold_ms)
        return;
    struct latency_event *event = need_event(engine->latency, name);
    uint32_t kept_ms = ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
    int64_t now_s = clock_wall_ms() / 1000;
    if (kept_ms > event->longest_ms)
        event->longest_ms = kept_ms;
    struct latency_sample *newest = &event->samples[event->newest];
    if (event->count && newest->time_s == now_s) {
        newest->ms = newest->ms > kept_ms ? newest->ms : kept_ms;
        return;
    }
    event->newest = event->count ? (event->newest + 1) % LATENCY_SAMPLES : 0;
    event->count += event->count < LATENCY_SAMPLES;
    event->samples[event->newest] = (struct latency_sample){ now_s, kept_ms };
}

const struct latency_event *latency_first(const struct engine *engine)
{
    return engine->latency->first;
}

const struct latency_event *latency_find(const struct engine *engine, struct bytes name)
{
    const struct latency_event *event = engine->latency->first;
    while (event && !bytes_equal(bytes_from_cstr(event->name), name))
        event = event->next;
    return event;
}

const struct latency_sample *latency_sample(const struct latency_event *event, uint32_t age)
{
    return &event->samples[(event->newest + LATENCY_SAMPLES - age) % LATENCY_SAMPLES];
}

size_t latency_reset(struct engine *engine, struct bytes name)
{
    for (struct latency_event **link = &engine->latency->first; *link; link = &(*link)->next)
        if (bytes_equal(bytes_from_cstr((*link)->name), name)) {
            struct latency_event *event = *link;
            *link = event->next;
            mem_free(event);
            return 1;
        }
    return 0;
}

size_t latency_reset_all(struct engine *engine)
{
    size_t count = 0;
    while (engine->latency->first)
        count += latency_reset(engine, bytes_from_cstr(engine->latency->first->name));
    return count;
}

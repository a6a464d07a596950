/*
 * A tracking session, as Redis 8.6 has it (HOTKEYS START): which keys take most time and move most bytes between two
 * moments, of all commands or of one in so many. There is one at a time; its figures stay until it is reset.
 *
 * While one is active every command is looked at (engine/insight.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct topk;

enum { HOTKEYS_CPU = 1, HOTKEYS_NET = 2, HOTKEYS_COUNT_DEFAULT = 10, HOTKEYS_COUNT_MAX = 64 };

struct hotkeys {
    bool active;
    unsigned metrics;                 /* HOTKEYS_CPU, HOTKEYS_NET */
    int64_t count, sample;            /* keys to show; one in so many commands is looked at */
    int64_t started_ms;               /* since 1970 */
    int64_t ends_ms;                  /* when it was stopped; while active, when it stops by itself, or INT64_MAX */
    uint64_t ticks, bytes;            /* of all commands, sampled or not */
    int64_t user_us, system_us;       /* processor time of the process; while active, as it was at the beginning */
    struct topk *by_ticks, *by_bytes; /* owned; NULL if not asked for */
};

/* Starts a session with `metrics`, `count` and `sample`; duration_ms 0: until it is stopped. None may be active. */
void hotkeys_start(
    struct engine *engine, unsigned metrics, int64_t count, int64_t sample, int64_t duration_ms, int64_t now_ms);

/* The session, ended if its time is over; NULL if there is none. */
struct hotkeys *hotkeys_session(struct engine *engine, int64_t now_ms);

/* Ends the active session; its figures stay. */
void hotkeys_stop(struct engine *engine, int64_t now_ms);

/* Frees the session, which is not active, if there is one. */
void hotkeys_reset(struct engine *engine);

/* Processor time of the process during the session, in microseconds. */
void hotkeys_read_times(const struct hotkeys *hotkeys, int64_t *user_us, int64_t *system_us);

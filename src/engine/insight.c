/*
 * Sampling of commands, for what is always on and for a session of HOTKEYS.
 *
 * engine->insight_in is how many commands the next look is away: 1 while a session is active, and then a count of our
 * own tells which of them are ours.
 */
#include "engine/insight.h"

#include "base/mem.h"
#include "base/random.h"
#include "engine/call.h"
#include "engine/hotkeys.h"
#include "resp/request.h"
#include "store/topk.h"

enum {
    FADE_MS = 60 * 1000,
    LOOKS_PER_S = 250, /* of the loop's time, about; a look costs some microseconds: its data are seldom in the cache */
    EVERY_MIN = 64,    /* so that looking is below a hundredth of the work however little there is */
    EVERY_MAX = 1 << 12, /* a look that stands for more would mislead; the cost is some thousandths even so */
    SPARE_MS_MAX = 10 * 1000,
    KEYS_MAX = 64, /* of one command that are counted */
};

struct insight {
    struct topk *top[INSIGHT_METRICS]; /* owned */
    struct random random;
    uint32_t every;    /* one in about so many commands is looked at */
    uint32_t looks;    /* since the last tick */
    uint64_t commands; /* executed until then */
    uint32_t distance; /* commands that the next one looked at stands for */
    uint32_t left;     /* commands until then; while a session is active */
    size_t output_before;
    int64_t since_ms; /* of the counts since they were last halved; 0: not begun */
    double span_s;    /* that was halved with them */
};

struct insight *insight_create(void)
{
    struct insight *insight = mem_zalloc(sizeof *insight);
    for (int i = 0; i < INSIGHT_METRICS; i++)
        insight->top[i] = topk_create(INSIGHT_SLOTS);
    random_init_secret(&insight->random);
    insight->every = insight->distance = insight->left = INSIGHT_EVERY;
    return insight;
}

void insight_destroy(struct insight *insight)
{
    if (!insight)
        return;
    for (int i = 0; i < INSIGHT_METRICS; i++)
        topk_destroy(insight->top[i]);
    mem_free(insight);
}

void insight_begin(const struct call *call)
{
    call->engine->insight->output_before = output_len(call->reply->out);
}

/* The keys of a request, hashed. */
struct named {
    struct key keys[KEYS_MAX];
    uint32_t count;
};

static void find_keys(const struct command_info *command, const struct bytes *argv, uint32_t argc, struct named *out)
{
    struct key_position positions[KEYS_MAX];
    int count = command_keys(command, argv, argc, positions, KEYS_MAX);
    out->count = count < 0 ? 0 : count < KEYS_MAX ? (uint32_t)count : KEYS_MAX;
    for (uint32_t i = 0; i < out->count; i++)
        out->keys[i] = key_make(argv[positions[i].index]);
}

static uint64_t request_bytes(const struct call *call, const struct bytes *argv)
{
    if (call->request)
        return call->request->size;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < call->argc; i++)
        sum += argv[i].len;
    return sum;
}

static void add_all(struct topk *topk, const struct named *named, int db, uint64_t weight)
{
    for (uint32_t i = 0; topk && i < named->count; i++)
        topk_add(topk, named->keys[i].hash, db, key_bytes(named->keys[i]), (weight + named->count - 1) / named->count);
}

static void note_always(
    struct insight *insight, const struct named *named, int db, uint64_t ticks, uint64_t bytes, uint32_t weight)
{
    for (uint32_t i = 0; i < named->count; i++)
        topk_add(insight->top[INSIGHT_ACCESS], named->keys[i].hash, db, key_bytes(named->keys[i]), weight);
    add_all(insight->top[INSIGHT_CPU], named, db, ticks * weight);
    add_all(insight->top[INSIGHT_NET], named, db, bytes * weight);
}

/* True if the session looks at this command. What EXEC ran was counted already. */
static bool is_of_session(struct engine *engine, const struct command_info *command, uint64_t ticks, uint64_t bytes)
{
    struct hotkeys *session = hotkeys_session(engine, engine->now_ms);
    if (!session || !session->active || command->flags & CMD_RUNS_QUEUE)
        return false;
    session->ticks += ticks;
    session->bytes += bytes;
    return session->sample <= 1 || random_below(&engine->insight->random, (uint64_t)session->sample) == 0;
}

static void note_session(
    const struct hotkeys *session, const struct named *named, int db, uint64_t ticks, uint64_t bytes)
{
    add_all(session->by_ticks, named, db, ticks);
    add_all(session->by_bytes, named, db, bytes);
}

/* How far away the next look is. When load sets in suddenly, looks become rarer before the tick says so. */
static void choose_next(struct insight *insight)
{
    enum { LOOKS_PER_TICK = LOOKS_PER_S / 10 };
    if (++insight->looks % LOOKS_PER_TICK == 0 && insight->every < EVERY_MAX)
        insight->every *= 2;
    insight->distance = insight->left = 1 + (uint32_t)random_below(&insight->random, 2 * insight->every - 1);
}

/* As many looks as there may be in that time, however many commands there are. */
static void set_pace(struct engine *engine, uint64_t spare_ms)
{
    struct insight *insight = engine->insight;
    uint64_t commands = engine->stats.commands - insight->commands;
    insight->commands = engine->stats.commands;
    insight->looks = 0;
    if (spare_ms > SPARE_MS_MAX || commands > UINT32_MAX) /* a jump, or counted from 0 again */
        return;
    uint64_t looks = spare_ms * LOOKS_PER_S / 1000, every = commands / (looks ? looks : 1);
    insight->every = every < EVERY_MIN ? EVERY_MIN : every > EVERY_MAX ? EVERY_MAX : (uint32_t)every;
}

void insight_note(const struct call *call, const struct bytes *argv, uint64_t ticks)
{
    struct engine *engine = call->engine;
    struct insight *insight = engine->insight;
    int db = call->db->index;
    size_t output = output_len(call->reply->out);
    uint64_t bytes =
        request_bytes(call, argv) + (output > insight->output_before ? output - insight->output_before : 0);
    bool of_session = is_of_session(engine, call->command, ticks, bytes);
    bool has_session = engine->hotkeys && engine->hotkeys->active;
    bool is_ours = !has_session || --insight->left == 0;
    if (of_session || is_ours) {
        struct named named;
        find_keys(call->command, argv, call->argc, &named);
        if (of_session)
            note_session(engine->hotkeys, &named, db, ticks, bytes);
        if (is_ours)
            note_always(insight, &named, db, ticks, bytes, insight->distance);
    }
    if (is_ours)
        choose_next(insight);
    engine->insight_in = has_session ? 1 : insight->left;
}

void insight_note_task(struct engine *engine, int db, const struct command_info *command, const struct bytes *argv,
    uint32_t argc, uint64_t ticks, uint64_t bytes)
{
    struct named named;
    find_keys(command, argv, argc, &named);
    if (is_of_session(engine, command, ticks, bytes))
        note_session(engine->hotkeys, &named, db, ticks, bytes);
    note_always(engine->insight, &named, db, ticks, bytes, 1);
}

void insight_tick(struct engine *engine, int64_t now_ms, uint64_t spare_ms)
{
    struct insight *insight = engine->insight;
    set_pace(engine, spare_ms);
    if (!insight->since_ms)
        insight->since_ms = now_ms;
    if (engine->hotkeys)
        hotkeys_session(engine, now_ms);
    if (now_ms - insight->since_ms < FADE_MS && now_ms >= insight->since_ms)
        return;
    insight->span_s = insight_span_s(insight, now_ms) / 2;
    insight->since_ms = now_ms;
    for (int i = 0; i < INSIGHT_METRICS; i++)
        topk_fade(insight->top[i]);
}

const struct topk *insight_top(const struct insight *insight, enum insight_metric metric)
{
    return insight->top[metric];
}

double insight_span_s(const struct insight *insight, int64_t now_ms)
{
    double passed = insight->since_ms && now_ms > insight->since_ms ? (double)(now_ms - insight->since_ms) / 1000 : 0;
    return insight->span_s + passed;
}

void insight_reset(struct engine *engine, int64_t now_ms)
{
    struct insight *insight = engine->insight;
    for (int i = 0; i < INSIGHT_METRICS; i++)
        topk_clear(insight->top[i]);
    insight->span_s = 0;
    insight->since_ms = now_ms;
}

void insight_set_limit(struct insight *insight, size_t limit)
{
    enum { SLOT_BYTES = 96 };
    size_t slots = limit / INSIGHT_LIMIT_SHARE / (INSIGHT_METRICS * SLOT_BYTES);
    slots = !limit || slots > INSIGHT_SLOTS ? INSIGHT_SLOTS : slots < INSIGHT_SLOTS_MIN ? INSIGHT_SLOTS_MIN : slots;
    for (int i = 0; i < INSIGHT_METRICS; i++)
        topk_set_slots(insight->top[i], slots);
}

size_t insight_memory(const struct insight *insight)
{
    size_t sum = sizeof *insight;
    for (int i = 0; i < INSIGHT_METRICS; i++)
        sum += topk_memory(insight->top[i]);
    return sum;
}

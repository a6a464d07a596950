/*
 * The registry: the commands of a running server, by name, with what each has cost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"
#include "engine/command.h"

/* Percentiles need a histogram of durations: 4 buckets per power of two, from 2^6 to 2^38 ticks (25 ns to a minute and
 * a half). */
enum { COMMAND_LATENCY_BUCKETS = 128, COMMAND_LATENCY_LOW_BITS = 6 };

struct command_info;

/* What its calls have waited, see engine/blame.h. In ticks; sums of all calls. */
struct command_split {
    uint64_t unsent, unsent_ends; /* calls whose replies were not sent yet, and the sum of the moments of their ends */
    uint64_t queued_ticks;        /* before they ran */
    uint64_t sending_ticks;       /* until they were sent, of `calls` */
    uint64_t calls;
    struct command_info *next; /* borrowed: the chain of those with something unsent */
};

/* What a command has cost. */
struct command_stats {
    uint64_t calls, rejected, failed;
    uint64_t ticks;    /* of the processor's clock, see base/clock.h */
    uint64_t *latency; /* owned, COMMAND_LATENCY_BUCKETS counters by duration; NULL until first called */
    struct command_split split;
};

/* A row as the running server has it. */
/* A name as two words, so that it can be told from another in any case by two comparisons. */
struct command_name {
    uint64_t words[2], bits[2]; /* lower case; the bits that count: in the others upper case letters differ */
    size_t len;                 /* SIZE_MAX: longer than COMMAND_NAME_QUICK, or nobody may call it so */
};

struct command_info {
    const struct command *row;         /* borrowed: static */
    const struct command_info *parent; /* of a subcommand */
    struct command_info *subs;         /* owned array; NULL if none */
    uint32_t sub_count;
    uint32_t id;    /* small number, unique among all */
    uint32_t flags; /* the row's */
    bool is_plain;  /* all it does is to read or change data, anybody may run it, and it has no subcommands */
    uint32_t argc_min, argc_span; /* so many arguments at least, and so many more at most */
    uint32_t first_key; /* argument of the first key if it stands at a fixed place, else 0: for looking ahead */
    char full_name[48]; /* lower case, "config|get", terminated; the row's, whatever it was renamed to */
    char called[48];    /* what clients call it: lower case, terminated; "" if it was removed. Unused in subcommands */
    struct command_name quick; /* the same */
    struct command_stats stats;
};

struct command_registry;

struct command_registry *command_registry_create(void);
void command_registry_destroy(struct command_registry *registry);

/* Adds a family: rows up to the empty one. The rows stay borrowed. A name that exists already is a bug. */
void command_registry_add(struct command_registry *registry, const struct command *rows);

/* The command of that name in any case, or NULL. One hash, one comparison. */
struct command_info *command_find(const struct command_registry *registry, struct bytes name);

enum { COMMAND_NAME_QUICK = 16 };

/* The characters of a name in two words, which overlap where it is not as long as both. */
static inline void command_name_words(struct bytes name, uint64_t words[2])
{
    words[0] = words[1] = 0;
    if (name.len >= 8) {
        memcpy(&words[0], name.ptr, 8);
        memcpy(&words[1], name.ptr + name.len - 8, 8);
    } else if (name.len >= 4) {
        memcpy(&words[0], name.ptr, 4);
        memcpy(&words[1], name.ptr + name.len - 4, 4);
    } else if (name.len >= 2) {
        uint16_t begin, end;
        memcpy(&begin, name.ptr, 2);
        memcpy(&end, name.ptr + name.len - 2, 2);
        words[0] = begin | (uint32_t)end << 16;
    } else if (name.len) {
        words[0] = (unsigned char)name.ptr[0];
    }
}

/* True if clients call the command so; false, too, if that is not quickly said: then command_find knows. */
static inline bool command_is_called(const struct command_info *command, struct bytes name)
{
    const struct command_name *quick = &command->quick;
    uint64_t words[2];
    if (name.len != quick->len)
        return false;
    command_name_words(name, words);
    return !(((words[0] ^ quick->words[0]) & quick->bits[0]) | ((words[1] ^ quick->words[1]) & quick->bits[1]));
}

/* A command's subcommand of that name in any case, or NULL. */
struct command_info *command_find_sub(const struct command_info *command, struct bytes name);

/* The command and, where it has them, the subcommand that argv names; NULL if there is none. */
struct command_info *command_resolve(const struct command_registry *registry, const struct bytes *argv, uint32_t argc);

/* Gives a command another name (rename-command), or removes it if `to` is empty. False if there is no `from`, or `to`
 * exists. */
bool command_rename(struct command_registry *registry, struct bytes from, struct bytes to);

/* Visits every top-level command, in the order of registration; `index` from 0, NULL after the last. */
struct command_info *command_at(const struct command_registry *registry, size_t index);

/* All categories of a command, derived ones included. */
uint32_t command_categories(const struct command *row);

/* The category's name behind an @, and its bit; NULL after the last. And the bit of a name without the @, or 0. */
const char *command_category_at(size_t index, uint32_t *category);
uint32_t command_category_named(struct bytes name);

/* All IDs of commands and subcommands are below this. */
uint32_t command_registry_ids(const struct command_registry *registry);

/* True if `argc` arguments are acceptable. */
static inline bool command_argc_fits(const struct command_info *command, uint32_t argc)
{
    return argc - command->argc_min <= command->argc_span; /* fewer than the least wrap around to very many */
}

/* Redis's arity number: n for exactly n, -n for at least n. */
int command_arity(const struct command *row);

/* Whether logs show "(redacted)" instead of argv[at]. */
bool command_hides(const struct command_info *command, const struct bytes *argv, uint32_t argc, uint32_t at);

/* Positions of the keys in a whole request; returns how many there are (writing at most `max`), or -1 if the arguments
 * make no sense. */
int command_keys(
    const struct command_info *command, const struct bytes *argv, uint32_t argc, struct key_position *out, int max);

/* Adds one run of that many ticks (base/clock.h) to the statistics; to the histogram too if `histogram`. */
void command_stats_add(struct command_stats *stats, uint64_t ticks, bool histogram);

/* The histogram's counters, made if there are none yet. */
uint64_t *command_stats_need_latency(struct command_stats *stats);

/*
 * The counter to which a run of that many ticks belongs. A double has the power of two, and behind it the two bits that
 * choose one of four buckets, at a fixed place.
 */
static inline unsigned command_latency_bucket(uint64_t ticks)
{
    enum { EXPONENT_BIAS = 1023, FRACTION_BITS = 52 };
    double value = (double)(int64_t)ticks;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int64_t bucket = (int64_t)(bits >> (FRACTION_BITS - 2)) - (EXPONENT_BIAS + COMMAND_LATENCY_LOW_BITS) * 4;
    if (bucket < 0)
        return 0;
    return bucket < COMMAND_LATENCY_BUCKETS ? (unsigned)bucket : COMMAND_LATENCY_BUCKETS - 1;
}

/* The duration in ns below which the share `quantile` (0 to 1) of the runs lie; 0 if there was none. */
uint64_t command_stats_quantile(const struct command_stats *stats, double quantile);

/* The upper end of a bucket of the histogram, in ns. */
uint64_t command_stats_bucket_ns(unsigned bucket);

void command_stats_reset(struct command_stats *stats);

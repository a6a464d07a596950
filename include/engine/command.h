/*
 * Commands: the rows that describe them. The registry that finds them is in engine/registry.h.
 *
 * A row stands under its handler, with designated initialisers, and says everything that anybody needs to know about
 * the command: the dispatcher's policy, COMMAND and its subcommands, ACL categories, arity errors and the manual are
 * all read off the row. Nothing else is edited to add a command to a family; a family is an array of rows that ends
 * with an empty one.
 *
 *     static const struct command rows[] = {
 *         { .name = "GETRANGE", .run = run_getrange, .argc = EXACTLY(4), .flags = CMD_READ, .group = GROUP_STRING,
 *           .keys = { KEY_AT(1, KEY_READ_ACCESS) }, .since = "2.4.0", .complexity = "O(N)", .usage = "key start end",
 *           .brief = "..." },
 *         { 0 }
 *     };
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct call;

typedef void (*command_run_fn)(struct call *call);

enum command_group {
    GROUP_GENERIC = 1,
    GROUP_STRING,
    GROUP_LIST,
    GROUP_SET,
    GROUP_SORTED_SET,
    GROUP_HASH,
    GROUP_PUBSUB,
    GROUP_TRANSACTIONS,
    GROUP_CONNECTION,
    GROUP_SERVER,
    GROUP_SCRIPTING,
    GROUP_HYPERLOGLOG,
    GROUP_CLUSTER,
    GROUP_GEO,
    GROUP_STREAM,
    GROUP_BITMAP,
    GROUP_JSON,
};

/* What the dispatcher's policy tests. The names are those of COMMAND INFO; the last ones are ours. */
enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READ = 1 << 1,     /* "readonly" */
    CMD_DENY_OOM = 1 << 2, /* refused while memory is over maxmemory */
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_NO_SCRIPT = 1 << 5,
    CMD_BLOCKING = 1 << 6,
    CMD_LOADING = 1 << 7, /* allowed while data is loaded */
    CMD_STALE = 1 << 8,
    CMD_SKIP_MONITOR = 1 << 9,
    CMD_SKIP_SLOWLOG = 1 << 10,
    CMD_FAST = 1 << 11,
    CMD_NO_AUTH = 1 << 12, /* allowed before AUTH */
    CMD_MAY_REPLICATE = 1 << 13,
    CMD_NO_ASYNC_LOADING = 1 << 14,
    CMD_NO_MULTI = 1 << 15,
    CMD_ALLOW_BUSY = 1 << 16,
    CMD_MOVABLE_KEYS = 1 << 17,
    CMD_ASKING = 1 << 18,
    CMD_PROTECTED = 1 << 19,      /* refused unless the configuration allows it (DEBUG) */
    CMD_WHOLE_KEYSPACE = 1 << 20, /* touches keys that its row does not name */
    CMD_UNQUEUED = 1 << 22,       /* runs at once inside a transaction, too */
    CMD_RUNS_QUEUE = 1 << 23,     /* runs what was queued, with the flags of that */
    CMD_SECRET = 1 << 21,         /* arguments may hold passwords: no log shows them */
    CMD_SUBSCRIBER = 1 << 24,     /* allowed to a RESP2 client that has subscribed to something */
};

/* ACL categories beyond those that follow from flags and group (command_categories). */
enum command_category {
    CATEGORY_KEYSPACE = 1 << 0,
    CATEGORY_READ = 1 << 1,
    CATEGORY_WRITE = 1 << 2,
    CATEGORY_SET = 1 << 3,
    CATEGORY_SORTED_SET = 1 << 4,
    CATEGORY_LIST = 1 << 5,
    CATEGORY_HASH = 1 << 6,
    CATEGORY_STRING = 1 << 7,
    CATEGORY_BITMAP = 1 << 8,
    CATEGORY_HYPERLOGLOG = 1 << 9,
    CATEGORY_GEO = 1 << 10,
    CATEGORY_STREAM = 1 << 11,
    CATEGORY_PUBSUB = 1 << 12,
    CATEGORY_ADMIN = 1 << 13,
    CATEGORY_FAST = 1 << 14,
    CATEGORY_SLOW = 1 << 15,
    CATEGORY_BLOCKING = 1 << 16,
    CATEGORY_DANGEROUS = 1 << 17,
    CATEGORY_CONNECTION = 1 << 18,
    CATEGORY_TRANSACTION = 1 << 19,
    CATEGORY_SCRIPTING = 1 << 20,
    CATEGORY_JSON = 1 << 21,
};

/* Number of arguments, the command's own name (and a subcommand's) included. */
struct command_argc {
    int32_t min, max; /* max 0: no limit */
};
#define EXACTLY(n)             \
    {                          \
        .min = (n), .max = (n) \
    }
#define AT_LEAST(n) \
    {               \
        .min = (n)  \
    }

/* What a command does with a key: the flags of COMMAND's key specifications. */
enum key_flag {
    KEY_RO = 1 << 0, /* exactly one of RO, RW, OW, RM */
    KEY_RW = 1 << 1,
    KEY_OW = 1 << 2,
    KEY_RM = 1 << 3,
    KEY_ACCESS = 1 << 4, /* any of these */
    KEY_UPDATE = 1 << 5,
    KEY_INSERT = 1 << 6,
    KEY_DELETE = 1 << 7,
    KEY_NOT_KEY = 1 << 8,
    KEY_INCOMPLETE = 1 << 9,
    KEY_VARIABLE_FLAGS = 1 << 10,
    KEY_READ_ACCESS = KEY_RO | KEY_ACCESS,
};

/* Where keys stand. `first` counts from the command's name = 0. */
struct key_spec {
    enum { KEY_SPEC_NONE, KEY_SPEC_INDEX, KEY_SPEC_KEYWORD, KEY_SPEC_UNKNOWN } begin;
    enum { KEY_FIND_RANGE, KEY_FIND_NUMBER } find;
    uint32_t flags; /* enum key_flag */
    int16_t first;  /* index, or where the search for the keyword starts (negative: from the end) */
    int16_t last;   /* range: relative to first; negative: from the end, -1 the last argument */
    int16_t step;   /* distance between keys */
    int16_t limit;  /* range with last -1: 0 or 1 all, 2 the first half of what is left, ... */
    const char *keyword;
};
#define KEY_AT(n, f)                                                              \
    {                                                                             \
        .begin = KEY_SPEC_INDEX, .first = (n), .last = 0, .step = 1, .flags = (f) \
    }
#define KEY_RANGE(n, l, s, f)                                                         \
    {                                                                                 \
        .begin = KEY_SPEC_INDEX, .first = (n), .last = (l), .step = (s), .flags = (f) \
    }
/* The argument at n says how many keys follow it. */
#define KEY_NUMBERED(n, f)                                                                                 \
    {                                                                                                      \
        .begin = KEY_SPEC_INDEX, .find = KEY_FIND_NUMBER, .first = (n), .last = 1, .step = 1, .flags = (f) \
    }
#define KEY_AFTER(word, start, l, s, lim, f)                                                                      \
    {                                                                                                             \
        .begin = KEY_SPEC_KEYWORD, .keyword = (word), .first = (start), .last = (l), .step = (s), .limit = (lim), \
        .flags = (f)                                                                                              \
    }
/* Keys that no specification can find; a row's find_keys knows those that the arguments name. */
#define KEY_SOMEWHERE(f)                        \
    {                                           \
        .begin = KEY_SPEC_UNKNOWN, .flags = (f) \
    }

enum { COMMAND_KEY_SPECS = 3 };

/* One key among the arguments. */
struct key_position {
    uint32_t index; /* into argv */
    uint32_t flags; /* enum key_flag */
};

/* For what key specifications cannot say: writes at most `max` positions, returns how many there are, or -1 if the
 * arguments make no sense. */
typedef int (*command_keys_fn)(const struct bytes *argv, uint32_t argc, struct key_position *out, int max);

struct command {
    const char *name; /* upper case; a subcommand's own word */
    command_run_fn run;
    struct command_argc argc;
    uint32_t flags;      /* enum command_flag */
    uint32_t categories; /* enum command_category, beyond what follows from flags and group */
    enum command_group group;
    struct key_spec keys[COMMAND_KEY_SPECS];
    command_keys_fn find_keys; /* or NULL: the specifications say it all */
    const struct command
        *subcommands; /* ends with an empty row; NULL if none. `run` then serves a missing subcommand, if set */
    const char *since, *complexity, *usage, *brief;
    const char *const *tips;    /* command tips, ends with NULL; NULL if none */
    const char *const *history; /* pairs of version and text, ends with NULL; NULL if none */
};

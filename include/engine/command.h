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
#include "engine/key_spec.h"

struct call;
struct entry;

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
    CMD_NO_AUTH = 1 << 12,       /* allowed before AUTH */
    CMD_MAY_REPLICATE = 1 << 13, /* waits for the end of CLIENT PAUSE WRITE, too; COMMAND does not show it */
    CMD_NO_ASYNC_LOADING = 1 << 14,
    CMD_NO_MULTI = 1 << 15,
    CMD_ALLOW_BUSY = 1 << 16,
    CMD_MOVABLE_KEYS = 1 << 17,
    CMD_ASKING = 1 << 18,
    CMD_PROTECTED = 1 << 19,      /* refused unless the configuration allows it (DEBUG) */
    CMD_WHOLE_KEYSPACE = 1 << 20, /* touches keys that its row does not name */
    CMD_UNQUEUED = 1 << 22,       /* runs at once inside a transaction, too */
    CMD_RUNS_QUEUE = 1 << 23,     /* runs what was queued, with the flags of that */
    CMD_SECRET = 1 << 21,         /* arguments may hold passwords: no log shows those that the row's `hides` names */
    CMD_TELLS_HEALTH = 1 << 27,   /* refused while writes are: who asks whether all is well hears that it is not */
    CMD_SAVES = 1 << 25,          /* writes down what all keys hold at that moment */
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

/*
 * Asks for the cache lines that a command will read inside its first key's value: step 0 for what the value itself
 * points to, step 1 for what lies behind that. The entry may be expired, and may have changed before the command runs:
 * nothing may be kept, and nothing changed.
 */
typedef void (*command_look_ahead_fn)(
    const struct entry *entry, const struct bytes *argv, uint32_t argc, unsigned step);

enum { COMMAND_LOOK_AHEAD_STEPS = 2 };

/*
 * Whether argv[at] is a password, or tells too much about users: logs show "(redacted)" instead. Asked of arguments
 * behind the command's name only.
 */
typedef bool (*command_hides_fn)(const struct bytes *argv, uint32_t argc, uint32_t at);

/* Where the channels stand among the arguments, for access control. */
struct channel_spec {
    uint8_t first; /* 0: the command has none */
    bool rest;     /* all from there on, not only that one */
    bool patterns; /* they are patterns of channels */
};

struct early_type;

struct command {
    const char *name; /* upper case; a subcommand's own word */
    command_run_fn run;
    struct command_argc argc;
    uint32_t flags;      /* enum command_flag */
    uint32_t categories; /* enum command_category, beyond what follows from flags and group */
    enum command_group group;
    struct key_spec keys[COMMAND_KEY_SPECS];
    struct channel_spec channels;
    command_look_ahead_fn look_ahead; /* or NULL */
    command_keys_fn find_keys;        /* or NULL: the specifications say it all */
    const struct early_type *early;   /* what begins while a large argument arrives (engine/early.h), or NULL */
    command_hides_fn hides;           /* of what is CMD_SECRET; NULL: everything behind the name */
    const struct command
        *subcommands; /* ends with an empty row; NULL if none. `run` then serves a missing subcommand, if set */
    const char *since, *complexity, *usage, *brief;
    const char *const *tips;    /* command tips, ends with NULL; NULL if none */
    const char *const *history; /* pairs of version and text, ends with NULL; NULL if none */
};

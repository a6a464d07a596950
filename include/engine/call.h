/*
 * Call: one command being executed, and everything its handler may use.
 *
 * All that it points to is borrowed, argv until the handler returns. What a handler needs for itself comes from the
 * call's arena. It answers through `reply`, exactly once, unless it defers (engine/task.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "engine/registry.h"
#include "resp/reply.h"
#include "store/keyspace.h"

struct blob;
struct engine;
struct exec;
struct random;
struct request;
struct session;

struct call {
    struct keyspace *keyspace;
    struct db *db; /* the session's */
    struct session *session;
    struct engine *engine;
    struct reply *reply;
    struct arena *arena;
    const struct bytes *argv;
    uint32_t argc;
    uint32_t key_arg;  /* the argument whose hash is known already, 0 if none */
    uint64_t key_hash; /* of that argument */
    int64_t now_ms;    /* ms since 1970; the same for the whole command; 0 in a replay, where nothing expires */
    struct command_info *command;
    struct request *request;  /* where argv came from; NULL if it was made by the server itself */
    struct blob *const *kept; /* borrowed: blobs that arguments lie in whose request is gone */
    uint32_t kept_count;
    struct exec *exec;  /* the run of a transaction's queue that it belongs to; NULL outside of one */
    bool propagated;    /* said what is to be executed again elsewhere (engine/propagate.h) */
    bool retry;         /* executed again after call_wait (engine/wait.h), because ... */
    uint32_t ready_arg; /* ... the key that this argument names has changed; 0 otherwise */
};

/* The hash of an argument. Apart, so that handlers whose key is hashed already save no registers for it. */
uint64_t call_hash(const struct call *call, uint32_t index);

/* An argument as a key; its hash is computed at most once per request for the first key. */
static inline struct key call_key(const struct call *call, uint32_t index)
{
    uint64_t hash = __builtin_expect(index == call->key_arg, 1) ? call->key_hash : call_hash(call, index);
    struct bytes name = call->argv[index];
    return (struct key){ name.ptr, name.len, hash };
}

/* The argument as a blob, which the caller then owns, if it was large enough to be read into one; otherwise NULL. */
struct blob *call_take_blob(struct call *call, uint32_t index);

/*
 * All arguments, if they are very many, without a copy: they and the bytes that they point to become the caller's, who
 * frees both (mem_free); those that are blobs are taken apart, by the next. The call's argv stays good as long. False:
 * it cannot be.
 */
bool call_take_arguments(struct call *call, struct bytes **argv, char **bytes);

/*
 * References to all blobs that arguments were read into, which the caller then owns. Returns how many: at most
 * call_blob_count.
 */
uint32_t call_take_blobs(struct call *call, struct blob **blobs);
uint32_t call_blob_count(const struct call *call);

/* Look-ups by a call's argument; see store/keyspace.h. */
static inline struct entry *call_read(struct call *call, uint32_t index)
{
    return keyspace_read(call->keyspace, call->db, call_key(call, index), call->now_ms);
}

static inline struct entry *call_write(struct call *call, uint32_t index)
{
    if (keyspace_size(call->db) == 0) /* as who empties a queue finds it: not even the key is put together */
        return NULL;
    struct key key = call_key(call, index);
    return keyspace_write_key(call->keyspace, call->db, &key, call->now_ms);
}

/* True if the entry (NULL counts as fitting) is of that type; otherwise answers WRONGTYPE. */
bool call_expect_type(struct call *call, const struct entry *entry, enum entry_type type);

/*
 * Reads an argument as an integer in min to max; otherwise answers an error ("value is not an integer or out of range",
 * or `message`, a full error text, if given) and returns false.
 */
bool call_arg_i64(struct call *call, uint32_t index, int64_t min, int64_t max, const char *message, int64_t *value);

/* True if the argument is that word, ASCII letters folded. */
static inline bool call_arg_is(const struct call *call, uint32_t index, const char *word)
{
    return bytes_is(call->argv[index], word);
}

/*
 * Reads an expiry time such as EX, PX, EXAT, PXAT, EXPIRE have: `value` in `unit_ms` (1 or 1000), relative to now or
 * absolute. Answers "ERR invalid expire time in 'set' command" for what is out of range and, if `positive`, for what is
 * not above 0. *at_ms is since 1970.
 */
bool call_expiry(struct call *call, int64_t value, int64_t unit_ms, bool relative, bool positive, int64_t *at_ms);

/* "ERR wrong number of arguments for 'x' command" for the command at hand. */
void call_fail_arity(struct call *call);

/* What relative times count from: now, in a replay too. */
int64_t call_clock_ms(const struct call *call);

/* The generator for whatever a handler chooses at random. */
struct random *call_random(struct call *call);

/* The subcommand HELP: the command's usage lines (NULL-terminated), with the frame that Redis gives them. */
void call_reply_help(struct call *call, const char *const *lines);

/* "ERR unknown subcommand or wrong number of arguments for 'x'. Try CONFIG HELP." */
void call_fail_subcommand(struct call *call);

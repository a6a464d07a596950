/*
 * MIGRATE: keys to another server, by RESTORE there and deletion here.
 *
 * The handler runs aside, so that the keys are held: nobody changes them between being dumped and being deleted. It
 * dumps them, hands everything to a thread of its own, which alone waits for the network, and sleeps. So others are
 * served all the while; only who wants to change one of these keys waits. Inside a transaction everybody waits.
 *
 * What the target has taken over is deleted here even if a later key was refused or the connection was lost. Nobody
 * sees these keys from the first deletion to the last. The client is answered before what was dumped is freed.
 */
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/num.h"
#include "cmd/payload.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/command.h"
#include "engine/notify.h"
#include "engine/propagate.h"
#include "engine/task.h"
#include "net/peer.h"
#include "persist/rdb.h"
#include "server/errand.h"
#include "server_priv.h"
#include "store/keyspace.h"

enum { ARG_HOST = 1, ARG_PORT, ARG_KEY, ARG_DB, ARG_TIMEOUT, ARG_OPTIONS, TIMEOUT_DEFAULT_MS = 1000 };

enum { KEY_COST = 100, REMOVE_COST = 30, FREE_COST = 20 }; /* for fiber_breathe */

struct options {
    bool copy, replace;
    struct bytes user, password; /* ptr NULL: not given */
    uint32_t first_key, key_count;
    int64_t db, timeout_ms;
};

/* A key under way. */
struct migrant {
    uint32_t arg;
    struct buf head; /* of the RESTORE up to the payload */
    struct payload payload;
    bool taken; /* the target has it */
};

enum outcome { OUTCOME_OK, OUTCOME_UNREACHABLE, OUTCOME_WRITING, OUTCOME_READING };

struct migration {
    char *host; /* owned */
    int port, timeout_ms;
    struct buf greeting; /* AUTH and SELECT */
    int greeting_replies;
    bool replace;
    struct migrant *migrants; /* owned */
    size_t count;
    /* Written by the thread. */
    enum outcome outcome;
    char error[400]; /* the first that the target answered; "" if none */
};

/* --- The thread --- */

static bool send_key(struct peer *peer, const struct migration *job, const struct migrant *migrant)
{
    bool good = peer_write(peer, buf_bytes(&migrant->head));
    for (size_t i = 0; good && i < migrant->payload.count; i++)
        good = peer_write(peer, blob_bytes(migrant->payload.pieces[i]));
    return good && peer_write(peer, job->replace ? BYTES("\r\n$7\r\nREPLACE\r\n") : BYTES("\r\n"));
}

/* A reply of one line; *good says whether it was no error. False if there was none. */
static bool get_reply(struct peer *peer, struct migration *job, bool *good)
{
    char line[sizeof job->error];
    if (!peer_read_line(peer, line, sizeof line))
        return false;
    *good = line[0] != '-';
    if (!*good && !job->error[0])
        memcpy(job->error, line + 1, strlen(line));
    return true;
}

static enum outcome exchange(struct peer *peer, struct migration *job)
{
    bool good;
    if (!peer_write(peer, buf_bytes(&job->greeting)))
        return OUTCOME_WRITING;
    for (size_t i = 0; i < job->count; i++)
        if (!send_key(peer, job, &job->migrants[i]))
            return OUTCOME_WRITING;
    for (int i = 0; i < job->greeting_replies; i++)
        if (!get_reply(peer, job, &good))
            return OUTCOME_READING;
    /* Keys that went to the wrong database have not arrived. */
    bool misled = job->error[0] != '\0';
    for (size_t i = 0; i < job->count; i++) {
        if (!get_reply(peer, job, &good))
            return OUTCOME_READING;
        job->migrants[i].taken = good && !misled;
    }
    return OUTCOME_OK;
}

static void migrate_run(void *context)
{
    struct migration *job = context;
    struct peer peer;
    switch (peer_connect(&peer, job->host, job->port, job->timeout_ms)) {
    case PEER_OK:
        job->outcome = exchange(&peer, job);
        peer_close(&peer);
        break;
    case PEER_REFUSED:
        job->outcome = OUTCOME_WRITING;
        break;
    default:
        job->outcome = OUTCOME_UNREACHABLE;
    }
}

/* --- The command --- */

static bool parse_options(struct call *call, struct options *options)
{
    *options = (struct options){ .first_key = ARG_KEY, .key_count = 1 };
    for (uint32_t i = ARG_OPTIONS; i < call->argc; i++) {
        uint32_t more = call->argc - 1 - i;
        if (call_arg_is(call, i, "COPY")) {
            options->copy = true;
        } else if (call_arg_is(call, i, "REPLACE")) {
            options->replace = true;
        } else if (call_arg_is(call, i, "AUTH") && more) {
            options->user = (struct bytes){ 0 };
            options->password = call->argv[++i];
        } else if (call_arg_is(call, i, "AUTH2") && more >= 2) {
            options->user = call->argv[++i];
            options->password = call->argv[++i];
        } else if (call_arg_is(call, i, "KEYS")) {
            if (call->argv[ARG_KEY].len) {
                reply_error(
                    call->reply, BYTES("ERR When using MIGRATE KEYS option, the key argument must be set to the "
                                       "empty string"));
                return false;
            }
            options->first_key = i + 1;
            options->key_count = more;
            break;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (!call_arg_i64(call, ARG_TIMEOUT, INT64_MIN, INT64_MAX, NULL, &options->timeout_ms) ||
        !call_arg_i64(call, ARG_DB, INT64_MIN, INT64_MAX, NULL, &options->db))
        return false;
    if (options->timeout_ms <= 0)
        options->timeout_ms = TIMEOUT_DEFAULT_MS;
    if (options->timeout_ms > INT32_MAX)
        options->timeout_ms = INT32_MAX;
    return true;
}

static void put_word(struct buf *out, struct bytes word)
{
    buf_printf(out, "$%zu\r\n", word.len);
    buf_append(out, word);
    buf_append(out, BYTES("\r\n"));
}

static void put_number(struct buf *out, int64_t number)
{
    char digits[NUM_I64_MAX_LEN];
    put_word(out, bytes_make(digits, num_format_i64(digits, number)));
}

static void greet(struct migration *job, const struct options *options)
{
    if (options->password.ptr) {
        buf_append_cstr(&job->greeting, options->user.ptr ? "*3\r\n$4\r\nAUTH\r\n" : "*2\r\n$4\r\nAUTH\r\n");
        if (options->user.ptr)
            put_word(&job->greeting, options->user);
        put_word(&job->greeting, options->password);
        job->greeting_replies++;
    }
    if (options->db != -1) { /* as long as no database was chosen */
        buf_append_cstr(&job->greeting, "*2\r\n$6\r\nSELECT\r\n");
        put_number(&job->greeting, options->db);
        job->greeting_replies++;
    }
}

/* Dumps a key; false if memory is out. */
static bool add_key(struct call *call, struct migration *job, uint32_t arg)
{
    struct entry *entry = keyspace_read(call->keyspace, call->db, call_key(call, arg), call->now_ms);
    if (!entry)
        return true;
    int64_t at_ms = entry_expiry(entry), ttl_ms = 0;
    if (at_ms != EXPIRY_NONE) {
        ttl_ms = at_ms - call->now_ms;
        if (ttl_ms < 1)
            ttl_ms = 1;
    }
    struct migrant *migrant = &job->migrants[job->count++];
    *migrant = (struct migrant){ .arg = arg, .head = BUF_EMPTY };
    payload_init(&migrant->payload, payload_items(entry, call->now_ms));
    if (!rdb_dump_to(&migrant->payload.sink, entry))
        return false;
    buf_printf(&migrant->head, "*%d\r\n$7\r\nRESTORE\r\n", job->replace ? 5 : 4);
    put_word(&migrant->head, call->argv[arg]);
    put_number(&migrant->head, ttl_ms);
    buf_printf(&migrant->head, "$%llu\r\n", (unsigned long long)sink_bytes(&migrant->payload.sink));
    fiber_breathe(KEY_COST);
    return true;
}

/* Deletes what the target has. Nobody sees these keys before all is done. */
static void give_up_taken(struct call *call, const struct migration *job)
{
    for (size_t i = 0; i < job->count; i++) {
        fiber_breathe(REMOVE_COST);
        struct bytes name = call->argv[job->migrants[i].arg];
        if (!job->migrants[i].taken || !keyspace_remove(call->keyspace, call->db, key_make(name)))
            continue;
        call_notify(call, NOTIFY_GENERIC, "del", name);
        call_propagate_words(call, "DEL", name);
    }
}

static void answer(struct call *call, const struct migration *job)
{
    if (job->outcome == OUTCOME_UNREACHABLE)
        reply_error(call->reply, BYTES("IOERR error or timeout connecting to the client"));
    else if (job->outcome != OUTCOME_OK)
        reply_error_printf(call->reply, "IOERR error or timeout %s to target instance",
            job->outcome == OUTCOME_WRITING ? "writing" : "reading");
    else if (job->error[0])
        reply_error_printf(call->reply, "ERR Target instance replied with error: %s", job->error);
    else
        reply_ok(call->reply);
}

static void migration_fini(struct migration *job)
{
    for (size_t i = 0; i < job->count; i++) {
        payload_fini(&job->migrants[i].payload);
        buf_fini(&job->migrants[i].head);
        fiber_breathe(FREE_COST);
    }
    mem_free(job->migrants);
    mem_free(job->host);
    buf_fini(&job->greeting);
}

static void migrate(struct call *call, const struct options *options, struct migration *job)
{
    bool good = true;
    job->migrants = mem_alloc((options->key_count + 1) * sizeof *job->migrants);
    for (uint32_t i = 0; good && i < options->key_count; i++)
        good = add_key(call, job, options->first_key + i);
    if (!good || (job->count && !errand_run(call, migrate_run, job))) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    } else if (!job->count) {
        reply_status(call->reply, BYTES("NOKEY"));
    } else {
        if (!options->copy)
            give_up_taken(call, job);
        answer(call, job);
        call_answered(call);
    }
}

static void run_migrate(struct call *call)
{
    struct options options;
    int64_t port;
    if (!parse_options(call, &options) || call_aside(call, CALL_AT_ONCE))
        return;
    struct bytes host = call->argv[ARG_HOST];
    struct migration job = {
        .host = mem_zalloc(host.len + 1),
        .port = num_parse_i64(call->argv[ARG_PORT], &port) && port >= 0 && port <= UINT16_MAX ? (int)port : 0,
        .timeout_ms = (int)options.timeout_ms,
        .greeting = BUF_EMPTY,
        .replace = options.replace,
    };
    if (host.len)
        memcpy(job.host, host.ptr, host.len);
    greet(&job, &options);
    migrate(call, &options, &job);
    migration_fini(&job);
}

/* Where the option stands whose argument argv[at] is, in front of KEYS; 0 if it is none. */
static uint32_t auth_option(const struct bytes *argv, uint32_t argc, uint32_t at)
{
    for (uint32_t i = ARG_OPTIONS; i < argc && i <= at && !bytes_is(argv[i], "KEYS"); i++) {
        uint32_t values = bytes_is(argv[i], "AUTH") ? 1 : bytes_is(argv[i], "AUTH2") ? 2 : 0;
        if (at > i && at <= i + values)
            return i;
        i += values;
    }
    return 0;
}

static bool migrate_hides(const struct bytes *argv, uint32_t argc, uint32_t at)
{
    return auth_option(argv, argc, at) != 0;
}

/* The key, or those behind KEYS; not both. */
static int find_migrate_keys(const struct bytes *argv, uint32_t argc, struct key_position *out, int max)
{
    enum { FLAGS = KEY_RW | KEY_ACCESS | KEY_DELETE };
    if (argc <= ARG_TIMEOUT)
        return -1;
    uint32_t at = ARG_OPTIONS;
    while (at < argc && (!bytes_is(argv[at], "KEYS") || auth_option(argv, argc, at)))
        at++;
    if (at == argc) {
        if (max > 0)
            out[0] = (struct key_position){ ARG_KEY, FLAGS };
        return 1;
    }
    if (argv[ARG_KEY].len)
        return -1;
    int count = 0;
    for (at++; at < argc; at++, count++)
        if (count < max)
            out[count] = (struct key_position){ at, FLAGS };
    return count;
}

static const char *const migrate_tips[] = { "nondeterministic_output", NULL };
static const char *const migrate_history[] = { "3.0.0", "Takes the options `COPY` and `REPLACE`.", "3.0.6",
    "Takes the option `KEYS`.", "4.0.7", "Takes the option `AUTH`.", "6.0.0", "Takes the option `AUTH2`.", NULL };

const struct command migrate_commands[] = {
    { .name = "MIGRATE",
        .run = run_migrate,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_MOVABLE_KEYS | CMD_SECRET,
        .hides = migrate_hides,
        .find_keys = find_migrate_keys,
        .group = GROUP_GENERIC,
        .categories = CATEGORY_KEYSPACE | CATEGORY_DANGEROUS,
        .keys = { KEY_AT(3, KEY_RW | KEY_ACCESS | KEY_DELETE),
            KEY_AFTER("KEYS", -2, -1, 1, 0, KEY_RW | KEY_ACCESS | KEY_DELETE | KEY_INCOMPLETE) },
        .since = "2.6.0",
        .complexity = "O(size of the values) here, and what RESTORE costs there",
        .usage = "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] "
                 "[[AUTH password] | [AUTH2 username password]] [KEYS key [key ...]]",
        .brief = "Moves keys to another server.",
        .history = migrate_history,
        .tips = migrate_tips },
    { 0 },
};

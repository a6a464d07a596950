/*
 * Protection against stampedes: of all who miss a key one computes the value, the others wait for it or take the last.
 *
 *     GETFILL page LEASE 5000 WAIT 3000      -> the value, or ["FILL", token] for who is to compute it
 *     SETFILL page <value> <token> EX 60 GRACE 300
 *
 * A waiter is an ordinary one of the waiting mechanism; a lease that ends makes all who wait look again, and the first
 * of them gets the next lease.
 */
#include "engine/fill.h"

#include "base/blob.h"
#include "base/num.h"
#include "cmd/families.h"
#include "engine/wait.h"
#include "string_priv.h"

static const char bad_lease[] = "ERR LEASE must be a number of milliseconds from 1 to 3600000";
static const char bad_wait[] = "ERR WAIT must be a number of milliseconds from 0 to 3600000";
static const char bad_grace[] = "ERR GRACE must be a number of seconds from 0 to 31536000";
static const char bad_token[] = "ERR the token must be one that GETFILL answered";

enum { HOUR_MS = 60 * 60 * 1000, YEAR_S = 365 * 24 * 60 * 60 };

struct get_options {
    int64_t lease_ms, wait_ms;
    bool stale;
};

/* Reads GETFILL's options; false if that answered an error. */
static bool parse_get(struct call *call, struct get_options *options)
{
    *options = (struct get_options){ 0 };
    for (uint32_t i = 2; i < call->argc; i++) {
        bool has_value = i + 1 < call->argc;
        if (has_value && call_arg_is(call, i, "LEASE")) {
            if (!call_arg_i64(call, ++i, 1, HOUR_MS, bad_lease, &options->lease_ms))
                return false;
        } else if (has_value && call_arg_is(call, i, "WAIT")) {
            if (!call_arg_i64(call, ++i, 0, HOUR_MS, bad_wait, &options->wait_ms))
                return false;
        } else if (call_arg_is(call, i, "STALE")) {
            options->stale = true;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (!options->lease_ms)
        reply_error(call->reply, BYTES("ERR GETFILL needs LEASE with the milliseconds that computing may take"));
    return options->lease_ms != 0;
}

/* Answers ["STALE", value] if the value's grace is not over; false if there is none. */
static bool reply_stale(struct call *call)
{
    struct blob *stale = fill_stale(call->engine, call->db, call_key(call, 1), call->now_ms);
    if (!stale)
        return false;
    reply_array(call->reply, 2);
    reply_bulk_cstr(call->reply, "STALE");
    reply_bulk_blob(call->reply, stale, blob_bytes(stale));
    fill_count_stale(call->engine);
    return true;
}

static void run_getfill(struct call *call)
{
    static const struct wait_kind kind = { .type = ENTRY_STRING, .every = true, .gone = true, .expire = NULL };
    struct get_options options;
    if (!parse_get(call, &options))
        return;
    struct entry *entry = call_read(call, 1);
    if (!call_expect_type(call, entry, ENTRY_STRING))
        return;
    if (entry) {
        string_reply(call, entry);
        return;
    }
    uint64_t token;
    if (fill_lease(call->engine, call->db, call_key(call, 1), call->now_ms + options.lease_ms, &token)) {
        reply_array(call->reply, 2);
        reply_bulk_cstr(call->reply, "FILL");
        reply_bulk_printf(call->reply, "%llu", (unsigned long long)token);
    } else if (options.stale && reply_stale(call)) {
        /* answered */
    } else if (options.wait_ms) {
        call_wait(call, &kind, 0, 1, 1, call->now_ms + options.wait_ms);
    } else {
        reply_null(call->reply);
    }
}

struct set_fill {
    int64_t at_ms, grace_ms;
};

/* Reads SETFILL's options; false if that answered an error. */
static bool parse_set(struct call *call, struct set_fill *set)
{
    *set = (struct set_fill){ .at_ms = EXPIRY_NONE };
    for (uint32_t i = 4; i + 1 < call->argc; i += 2) {
        bool seconds = call_arg_is(call, i, "EX");
        int64_t value;
        if (seconds || call_arg_is(call, i, "PX")) {
            if (!call_arg_i64(call, i + 1, INT64_MIN, INT64_MAX, NULL, &value) ||
                !call_expiry(call, value, seconds ? 1000 : 1, true, true, &set->at_ms))
                return false;
        } else if (call_arg_is(call, i, "GRACE")) {
            if (!call_arg_i64(call, i + 1, 0, YEAR_S, bad_grace, &value))
                return false;
            set->grace_ms = value * 1000;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (call->argc % 2)
        reply_fail(call->reply, ERROR_SYNTAX);
    return call->argc % 2 == 0;
}

static bool parse_token(struct call *call, uint32_t index, uint64_t *token)
{
    if (num_parse_u64(call->argv[index], token))
        return true;
    reply_error(call->reply, bytes_from_cstr(bad_token));
    return false;
}

static void run_setfill(struct call *call)
{
    struct set_fill set;
    uint64_t token;
    if (!parse_token(call, 3, &token) || !parse_set(call, &set))
        return;
    struct key key = call_key(call, 1);
    if (!fill_redeem(call->engine, call->db, key, token)) {
        reply_null(call->reply);
        return;
    }
    string_set(call, key, 2, set.at_ms);
    fill_keep(call->engine, call->db, key, set.at_ms == EXPIRY_NONE ? 0 : set.grace_ms);
    string_propagate_set(call, call->argv[1], call->argv[2], set.at_ms);
    if (!call->propagated) /* nobody listens now, but the words of this command are never to be told of */
        call_propagate_nothing(call);
    reply_ok(call->reply);
}

static void run_dropfill(struct call *call)
{
    uint64_t token;
    if (parse_token(call, 2, &token))
        reply_int(call->reply, fill_drop(call->engine, call->db, call_key(call, 1), token));
}

const struct command fill_commands[] = {
    { .name = "GETFILL",
        .run = run_getfill,
        .argc = AT_LEAST(4),
        .flags = CMD_READ | CMD_NO_SCRIPT | CMD_BLOCKING,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(1)",
        .usage = "key LEASE milliseconds [WAIT milliseconds] [STALE]",
        .brief = "Answers a string; of those who miss it one is asked to compute it, the others wait." },
    { .name = "SETFILL",
        .run = run_setfill,
        .argc = AT_LEAST(4),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_OW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(1)",
        .usage = "key value token [EX seconds | PX milliseconds] [GRACE seconds]",
        .brief = "Delivers what GETFILL asked for; null if the lease is over." },
    { .name = "DROPFILL",
        .run = run_dropfill,
        .argc = EXACTLY(3),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_STRING,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(1)",
        .usage = "key token",
        .brief = "Gives a lease back, so that the next who waits computes the value." },
    { 0 },
};

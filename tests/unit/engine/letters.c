/*
 * Commands that wait, on strings; see letters.h.
 */
#include "letters.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine/wait.h"
#include "fixture.h"
#include "store/string.h"

int letters_retries;

static char *letters_of(struct call *call, uint32_t arg, char out[256], size_t *len)
{
    struct string_scratch scratch;
    const struct entry *entry = call_read(call, arg);
    struct bytes text = entry ? string_view(entry, &scratch) : BYTES("");
    memcpy(out, text.ptr, text.len);
    *len = text.len;
    return out;
}

static void store(struct call *call, uint32_t arg, const char *text, size_t len)
{
    struct key key = call_key(call, arg);
    if (len)
        keyspace_set_string(call->keyspace, call->db, key, bytes_make(text, len), EXPIRY_KEEP, call->now_ms);
    else
        keyspace_remove(call->keyspace, call->db, key);
}

static void append(struct call *call, uint32_t arg, struct bytes more)
{
    char text[256];
    size_t len;
    letters_of(call, arg, text, &len);
    memcpy(text + len, more.ptr, more.len);
    store(call, arg, text, len + more.len);
}

/* PUSH key letters [key letters ...] */
static void run_push(struct call *call)
{
    for (uint32_t i = 1; i + 1 < call->argc; i += 2)
        append(call, i, call->argv[i + 1]);
    reply_ok(call->reply);
}

/* Takes the first letter of a key; false if there is none. */
static bool take(struct call *call, uint32_t arg, char *letter)
{
    char text[256];
    size_t len;
    letters_of(call, arg, text, &len);
    if (len == 0)
        return false;
    *letter = text[0];
    store(call, arg, text + 1, len - 1);
    return true;
}

static int64_t deadline_of(const struct call *call)
{
    int64_t ms = 0;
    cr_assert(num_parse_i64(call->argv[call->argc - 1], &ms));
    return ms ? call->now_ms + ms : 0;
}

/* POP key [key ...] timeout-ms */
static void run_pop(struct call *call)
{
    static const struct wait_kind kind = { .type = ENTRY_STRING };
    char letter;
    letters_retries += call->retry;
    for (uint32_t i = 1; i + 1 < call->argc; i++) {
        if (call->ready_arg && call->ready_arg != i)
            continue;
        if (take(call, i, &letter)) {
            reply_array(call->reply, 2);
            reply_bulk(call->reply, call->argv[i]);
            reply_bulk(call->reply, bytes_make(&letter, 1));
            return;
        }
    }
    call_wait(call, &kind, 0, 1, call->argc - 2, deadline_of(call));
}

static void expire_null(struct call *call)
{
    reply_null(call->reply);
}

/* MOVE from to timeout-ms; an error if `to` is too full. */
static void run_move(struct call *call)
{
    static const struct wait_kind kind = { .type = ENTRY_STRING, .expire = expire_null };
    char letter, text[256];
    size_t len;
    letters_retries += call->retry;
    if (!call_read(call, 1)) {
        call_wait(call, &kind, 0, 1, 1, deadline_of(call));
        return;
    }
    letters_of(call, 2, text, &len);
    if (len > 5) {
        reply_error(call->reply, BYTES("WRONGTYPE full"));
        return;
    }
    take(call, 1, &letter);
    append(call, 2, bytes_make(&letter, 1));
    reply_bulk(call->reply, bytes_make(&letter, 1));
}

/* READ key length timeout-ms: waits for more letters than that; "$" is as many as there are now. */
static void run_read(struct call *call)
{
    static const struct wait_kind kind = { .type = ENTRY_STRING, .every = true };
    char text[256];
    size_t len;
    letters_retries += call->retry;
    letters_of(call, 1, text, &len);
    if (call_arg_is(call, 2, "$")) {
        struct bytes *argv = arena_alloc(call->arena, call->argc * sizeof *argv);
        char *digits = arena_alloc(call->arena, 8);
        memcpy(argv, call->argv, call->argc * sizeof *argv);
        argv[2] = bytes_make(digits, (size_t)snprintf(digits, 8, "%zu", len));
        call->argv = argv;
    }
    int64_t known;
    if (!call_arg_i64(call, 2, 0, 256, NULL, &known))
        return;
    if ((int64_t)len > known)
        reply_bulk(call->reply, bytes_make(text, len));
    else
        call_wait(call, &kind, 0, 1, 1, deadline_of(call));
}

/* GROUP key letter timeout-ms: waits for that letter to come first, or the key to be gone. */
static void run_group(struct call *call)
{
    static const struct wait_kind kind = { .type = ENTRY_STRING, .gone = true };
    char letter, text[256];
    size_t len;
    letters_retries += call->retry;
    letters_of(call, 1, text, &len);
    if (call->retry && !call_read(call, 1)) {
        reply_error(call->reply, BYTES("UNBLOCKED gone"));
    } else if (len && text[0] == call->argv[2].ptr[0]) {
        take(call, 1, &letter);
        reply_bulk(call->reply, bytes_make(&letter, 1));
    } else {
        if (len) /* as a consumer leaves traces: this must not make anybody try again */
            keyspace_edit(call->keyspace, call->db, call_key(call, 1), call_read(call, 1));
        call_wait(call, &kind, (uint64_t)call->argv[2].ptr[0], 1, 1, deadline_of(call));
    }
}

static void run_get(struct call *call)
{
    char text[256];
    size_t len;
    letters_of(call, 1, text, &len);
    reply_bulk(call->reply, bytes_make(text, len));
}

static void run_del(struct call *call)
{
    reply_int(call->reply, keyspace_remove(call->keyspace, call->db, call_key(call, 1)));
}

static void run_nop(struct call *call)
{
    reply_ok(call->reply);
}

static void run_flush(struct call *call)
{
    keyspace_flush(call->keyspace, call->db);
    reply_ok(call->reply);
}

static void run_swap(struct call *call)
{
    keyspace_swap(call->keyspace, keyspace_db(call->keyspace, 0), keyspace_db(call->keyspace, 1));
    reply_ok(call->reply);
}

static void run_select(struct call *call)
{
    call->session->db = keyspace_db(call->keyspace, call->argv[1].ptr[0] - '0');
    reply_ok(call->reply);
}

static void run_rename(struct call *call)
{
    keyspace_move(call->keyspace, call->db, call_key(call, 1), call->db, call_key(call, 2));
    reply_ok(call->reply);
}

static void run_expire(struct call *call)
{
    keyspace_set_expiry(
        call->keyspace, call->db, call_key(call, 1), call_write(call, 1), call->now_ms + atoi(call->argv[2].ptr));
    reply_ok(call->reply);
}

/* Both at once, as a transaction does: what is between is never seen by those who wait. */
static void run_push_del(struct call *call)
{
    append(call, 1, BYTES("x"));
    keyspace_remove(call->keyspace, call->db, call_key(call, 1));
    reply_ok(call->reply);
}

/* UNBLOCK is done to the session that is named by ID. */
static void run_unblock(struct call *call)
{
    struct session *session = session_find(call->engine, (uint64_t)atoi(call->argv[1].ptr));
    reply_int(call->reply, session && session_unblock(session, call_arg_is(call, 2, "ERROR")));
}

static void run_skip(struct call *call)
{
    call->session->flags |= SESSION_REPLY_SKIP_NEXT;
}

/* Executes POP as a transaction would: by a call that nobody's request made. */
static void run_atomic_pop(struct call *call)
{
    struct call inner = *call;
    inner.request = NULL;
    inner.command = command_find(call->engine->registry, BYTES("pop"));
    run_pop(&inner);
}

const struct command letters_commands[] = {
    { ROW("PUSH"), .run = run_push, .argc = AT_LEAST(3), .flags = CMD_WRITE },
    { ROW("POP"), .run = run_pop, .argc = AT_LEAST(3), .flags = CMD_WRITE },
    { ROW("MOVE"), .run = run_move, .argc = EXACTLY(4), .flags = CMD_WRITE },
    { ROW("READ"), .run = run_read, .argc = EXACTLY(4) },
    { ROW("GROUP"), .run = run_group, .argc = EXACTLY(4) },
    { ROW("GET"), .run = run_get, .argc = EXACTLY(2) },
    { ROW("DEL"), .run = run_del, .argc = EXACTLY(2) },
    { ROW("NOP"), .run = run_nop, .argc = EXACTLY(1) },
    { ROW("FLUSH"), .run = run_flush, .argc = EXACTLY(1) },
    { ROW("SWAP"), .run = run_swap, .argc = EXACTLY(1) },
    { ROW("SELECT"), .run = run_select, .argc = EXACTLY(2) },
    { ROW("RENAME"), .run = run_rename, .argc = EXACTLY(3) },
    { ROW("EXPIRE"), .run = run_expire, .argc = EXACTLY(3) },
    { ROW("PUSHDEL"), .run = run_push_del, .argc = EXACTLY(2) },
    { ROW("UNBLOCK"), .run = run_unblock, .argc = EXACTLY(3) },
    { ROW("SKIP"), .run = run_skip, .argc = EXACTLY(1) },
    { ROW("ATOMICPOP"), .run = run_atomic_pop, .argc = AT_LEAST(3) },
    { 0 },
};

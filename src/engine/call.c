/*
 * What handlers do again and again with a call: read arguments, check types, answer the usual errors.
 */
#include "engine/call.h"

#include <stdio.h>

#include "base/blob.h"
#include "base/hash.h"
#include "base/num.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine_priv.h"
#include "resp/request.h"
#include "wait_priv.h"

__attribute__((noinline)) uint64_t call_hash(const struct call *call, uint32_t index)
{
    return hash_bytes(call->argv[index].ptr, call->argv[index].len);
}

struct blob *call_take_blob(struct call *call, uint32_t index)
{
    if (!call->request)
        return NULL;
    for (uint32_t i = 0; i < call->request->blob_count; i++) {
        const struct reader_blob *candidate = &call->request->blobs[i];
        if (candidate->index == index && candidate->blob) /* which argv goes on to need, for the slow log and others */
            return blob_ref(candidate->blob);
    }
    return NULL;
}

bool call_take_arguments(struct call *call, struct bytes **argv, char **bytes)
{
    enum { MANY_ARGUMENTS = 256 }; /* fewer are copied sooner */
    const struct session *session = call->session;
    *bytes = NULL;
    if (call->retry)
        return wait_take_arguments(call, argv);
    return call->request && call->argc >= MANY_ARGUMENTS && session->transport->take_request &&
           session->transport->take_request(session->connection, call->argv, argv, bytes);
}

uint32_t call_blob_count(const struct call *call)
{
    return call->request ? call->request->blob_count : 0;
}

uint32_t call_take_blobs(struct call *call, struct blob **blobs)
{
    uint32_t count = 0, most = call_blob_count(call);
    for (uint32_t i = 0; i < most; i++) {
        const struct reader_blob *candidate = &call->request->blobs[i];
        if (candidate->blob)
            blobs[count++] = blob_ref(candidate->blob);
    }
    return count;
}

bool call_expect_type(struct call *call, const struct entry *entry, enum entry_type type)
{
    if (!entry || entry->type == type)
        return true;
    reply_fail(call->reply, ERROR_WRONG_TYPE);
    return false;
}

bool call_arg_i64(struct call *call, uint32_t index, int64_t min, int64_t max, const char *message, int64_t *value)
{
    int64_t parsed;
    if (num_parse_i64(call->argv[index], &parsed) && parsed >= min && parsed <= max) {
        *value = parsed;
        return true;
    }
    if (message)
        reply_error(call->reply, bytes_from_cstr(message));
    else
        reply_fail(call->reply, ERROR_NOT_INTEGER);
    return false;
}

bool call_expiry(struct call *call, int64_t value, int64_t unit_ms, bool relative, bool positive, int64_t *at_ms)
{
    int64_t ms;
    bool fits = !(positive && value <= 0) && !__builtin_mul_overflow(value, unit_ms, &ms) &&
                !(relative && __builtin_add_overflow(ms, call_clock_ms(call), &ms)) && ms > EXPIRY_KEEP;
    if (fits) {
        *at_ms = ms;
        return true;
    }
    reply_error_printf(call->reply, "ERR invalid expire time in '%s' command", call->command->full_name);
    return false;
}

void call_fail_arity(struct call *call)
{
    reply_error_printf(call->reply, "ERR wrong number of arguments for '%s' command", call->command->full_name);
}

int64_t call_clock_ms(const struct call *call)
{
    return call->now_ms ? call->now_ms : call->engine->now_ms;
}

struct random *call_random(struct call *call)
{
    return &call->engine->random;
}

void call_container_name(const struct call *call, char out[48])
{
    const struct command_info *command = call->command;
    const char *name = command->parent ? command->parent->called : command->called;
    do
        *out++ = ascii_upper(*name);
    while (*name++);
}

void call_reply_help(struct call *call, const char *const *lines)
{
    static const char *const tail[] = { "HELP", "    Prints this help." };
    size_t count = 0;
    while (lines[count])
        count++;
    reply_array(call->reply, count + 1 + sizeof tail / sizeof *tail);
    char name[48], head[128];
    call_container_name(call, name);
    int len = snprintf(head, sizeof head, "%s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_status(call->reply, bytes_make(head, (size_t)len));
    for (size_t i = 0; i < count; i++)
        reply_status(call->reply, bytes_from_cstr(lines[i]));
    for (size_t i = 0; i < sizeof tail / sizeof *tail; i++)
        reply_status(call->reply, bytes_from_cstr(tail[i]));
}

void call_fail_subcommand(struct call *call)
{
    struct bytes word = call->argc > 1 ? call->argv[1] : BYTES("");
    int len = word.len < 128 ? (int)word.len : 128;
    char name[48];
    call_container_name(call, name);
    reply_error_printf(call->reply, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try %s HELP.", len,
        word.ptr ? word.ptr : "", name);
}

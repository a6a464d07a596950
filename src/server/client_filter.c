/*
 * Reading and applying the filters of CLIENT LIST and CLIENT KILL.
 */
#include "server/client_filter.h"

#include "engine/acl.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "net/connection.h"

/* 1 + the class of that name; 0, answered with an error, if there is none. */
static int parse_class(struct call *call, struct bytes word)
{
    static const struct {
        const char *name;
        int limit_class;
    } classes[] = { { "normal", 1 }, { "slave", 2 }, { "replica", 2 }, { "pubsub", 3 }, { "master", 4 } };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (bytes_is(word, classes[i].name))
            return classes[i].limit_class;
    reply_error_printf(call->reply, "ERR Unknown client type '%.*s'", (int)(word.len < 128 ? word.len : 128), word.ptr);
    return 0;
}

bool client_filter_parse_list(struct call *call, struct client_filter *filter)
{
    if (call->argc == 2)
        return true;
    if (call->argc == 4 && call_arg_is(call, 2, "TYPE"))
        return (filter->limit_class = parse_class(call, call->argv[3])) != 0;
    if (call->argc < 4 || !call_arg_is(call, 2, "ID")) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    filter->ids = arena_alloc(call->arena, (call->argc - 3) * sizeof(uint64_t));
    for (uint32_t i = 3; i < call->argc; i++) {
        int64_t id;
        if (!call_arg_i64(call, i, INT64_MIN, INT64_MAX, "ERR Invalid client ID", &id))
            return false;
        filter->ids[filter->id_count++] = (uint64_t)id;
    }
    return true;
}

/* One option of CLIENT KILL and its value. */
static bool parse_kill_option(struct call *call, uint32_t at, struct client_filter *filter)
{
    struct bytes value = call->argv[at + 1];
    if (call_arg_is(call, at, "ID")) {
        int64_t id;
        if (!call_arg_i64(call, at + 1, 1, INT64_MAX, "ERR client-id should be greater than 0", &id))
            return false;
        filter->ids = arena_alloc(call->arena, sizeof(uint64_t));
        filter->ids[0] = (uint64_t)id;
        filter->id_count = 1;
    } else if (call_arg_is(call, at, "TYPE")) {
        return (filter->limit_class = parse_class(call, value)) != 0;
    } else if (call_arg_is(call, at, "ADDR")) {
        filter->address = value;
    } else if (call_arg_is(call, at, "LADDR")) {
        filter->local_address = value;
    } else if (call_arg_is(call, at, "USER")) {
        filter->user = acl_find(call->engine->acl, value);
        if (!filter->user) {
            reply_error_printf(
                call->reply, "ERR No such user '%.*s'", (int)(value.len < 128 ? value.len : 128), value.ptr);
            return false;
        }
    } else if (call_arg_is(call, at, "MAXAGE")) {
        return call_arg_i64(call, at + 1, INT64_MIN, INT64_MAX, NULL, &filter->max_age_s) &&
               call_arg_i64(call, at + 1, 1, INT64_MAX, "ERR maxage should be greater than 0", &filter->max_age_s);
    } else if (call_arg_is(call, at, "SKIPME") && bytes_is(value, "yes")) {
        filter->skip_me = true;
    } else if (call_arg_is(call, at, "SKIPME") && bytes_is(value, "no")) {
        filter->skip_me = false;
    } else {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

bool client_filter_parse_kill(struct call *call, struct client_filter *filter)
{
    if (call->argc == 3) {
        filter->old_form = true;
        filter->address = call->argv[2];
        return true;
    }
    filter->skip_me = true;
    if (call->argc % 2 == 1) {
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    for (uint32_t i = 2; i + 1 < call->argc; i += 2)
        if (!parse_kill_option(call, i, filter))
            return false;
    return true;
}

static bool has_id(const struct client_filter *filter, uint64_t id)
{
    for (size_t i = 0; i < filter->id_count; i++)
        if (filter->ids[i] == id)
            return true;
    return filter->id_count == 0;
}

/* As parse_class has it. */
static int class_of(const struct session *session)
{
    return session->subscriber ? 3 : 1;
}

bool client_filter_fits(const struct client_filter *filter, const struct session *session, int64_t now_ms)
{
    if (!has_id(filter, session->id) || (filter->limit_class && filter->limit_class != class_of(session)))
        return false;
    if (filter->user && filter->user != session->user)
        return false;
    if ((now_ms - session->created_ms) / 1000 < filter->max_age_s)
        return false;
    if (filter->address.len == 0 && filter->local_address.len == 0)
        return !filter->old_form;
    struct connection_facts facts;
    connection_describe(session->connection, &facts);
    return (filter->address.len == 0 || bytes_equal(filter->address, bytes_from_cstr(facts.peer))) &&
           (filter->local_address.len == 0 || bytes_equal(filter->local_address, bytes_from_cstr(facts.local)));
}

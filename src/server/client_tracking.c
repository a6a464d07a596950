/*
 * CLIENT TRACKING, CACHING, GETREDIR, TRACKINGINFO: what a client that keeps a cache of its own asks for.
 */
#include <stdlib.h>

#include "engine/session.h"
#include "engine/tracking.h"
#include "server_priv.h"

struct options {
    uint32_t flags;
    uint64_t redirect;
    struct bytes *prefixes; /* from the call's arena */
    size_t count;
};

static bool parse_redirect(struct call *call, uint32_t at, struct options *options)
{
    int64_t id;
    if (options->redirect) {
        reply_error(call->reply, BYTES("ERR A client can only redirect to a single other client"));
        return false;
    }
    if (!call_arg_i64(call, at, INT64_MIN, INT64_MAX, NULL, &id))
        return false;
    if (id <= 0 || !session_find(call->engine, (uint64_t)id)) {
        reply_error(call->reply, BYTES("ERR The client ID you want redirect to does not exist"));
        return false;
    }
    options->redirect = (uint64_t)id;
    return true;
}

/* Reads what follows ON or OFF; false if that answered an error. */
static bool parse(struct call *call, struct options *options)
{
    static const struct {
        const char *word;
        uint32_t flag;
    } flags[] = { { "BCAST", TRACKING_BROADCAST }, { "OPTIN", TRACKING_OPT_IN }, { "OPTOUT", TRACKING_OPT_OUT },
        { "NOLOOP", TRACKING_NO_LOOP } };
    *options = (struct options){ .prefixes = arena_alloc(call->arena, call->argc * sizeof(struct bytes)) };
    for (uint32_t i = 3; i < call->argc; i++) {
        bool has_value = i + 1 < call->argc;
        size_t known = 0;
        while (known < 4 && !call_arg_is(call, i, flags[known].word))
            known++;
        if (known < 4) {
            options->flags |= flags[known].flag;
        } else if (has_value && call_arg_is(call, i, "REDIRECT")) {
            if (!parse_redirect(call, ++i, options))
                return false;
        } else if (has_value && call_arg_is(call, i, "PREFIX")) {
            options->prefixes[options->count++] = call->argv[++i];
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    return true;
}

static bool overlap(struct bytes a, struct bytes b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    return len == 0 || memcmp(a.ptr, b.ptr, len) == 0;
}

static void fail_overlap(struct call *call, struct bytes prefix, const char *which, struct bytes other)
{
    reply_error_printf(call->reply,
        "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not overlap.",
        prefix.len < 1024 ? (int)prefix.len : 1024, prefix.ptr ? prefix.ptr : "", which,
        other.len < 1024 ? (int)other.len : 1024, other.ptr ? other.ptr : "");
}

struct candidate {
    struct bytes text;
    bool is_new;
};

static int compare_candidates(const void *a, const void *b)
{
    return bytes_compare(((const struct candidate *)a)->text, ((const struct candidate *)b)->text);
}

/* For very many prefixes: in their order, one that overlaps with any other overlaps with its neighbour. */
static bool check_many_prefixes(struct call *call, const struct options *options, size_t existing)
{
    size_t count = 0;
    struct candidate *all = arena_try_alloc(call->arena, (existing + options->count) * sizeof *all);
    if (!all) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    for (size_t i = 0; i < existing; i++)
        all[count++] = (struct candidate){ tracking_prefix(call->session, i), false };
    for (size_t i = 0; i < options->count; i++)
        all[count++] = (struct candidate){ options->prefixes[i], true };
    qsort(all, count, sizeof *all, compare_candidates);
    for (size_t i = 1; i < count; i++)
        if (overlap(all[i - 1].text, all[i].text)) {
            const struct candidate *own = all[i].is_new ? &all[i] : &all[i - 1];
            const struct candidate *other = all[i].is_new ? &all[i - 1] : &all[i];
            fail_overlap(call, own->text, other->is_new ? "another provided" : "an existing", other->text);
            return false;
        }
    return true;
}

/* True if no prefix overlaps with another one or with those that the client has; otherwise answers an error. */
static bool check_prefixes(struct call *call, const struct options *options)
{
    enum { FEW_PAIRS = 10000 };
    const struct session *session = call->session;
    size_t existing = session->tracking ? tracking_prefixes(session) : 0;
    if (options->count * (existing + options->count) > FEW_PAIRS)
        return check_many_prefixes(call, options, existing);
    for (size_t i = 0; i < options->count; i++) {
        for (size_t j = 0; j < existing; j++)
            if (overlap(options->prefixes[i], tracking_prefix(session, j))) {
                fail_overlap(call, options->prefixes[i], "an existing", tracking_prefix(session, j));
                return false;
            }
        for (size_t j = i + 1; j < options->count; j++)
            if (overlap(options->prefixes[i], options->prefixes[j])) {
                fail_overlap(call, options->prefixes[i], "another provided", options->prefixes[j]);
                return false;
            }
    }
    return true;
}

static const char *what_is_wrong(const struct session *session, const struct options *options)
{
    uint32_t flags = options->flags, opts = TRACKING_OPT_IN | TRACKING_OPT_OUT;
    uint32_t before = session->tracking ? tracking_flags(session) : flags;
    if (options->count && !(flags & TRACKING_BROADCAST))
        return "ERR PREFIX option requires BCAST mode to be enabled";
    if ((before ^ flags) & TRACKING_BROADCAST)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling "
               "it with a different mode.";
    if (flags & TRACKING_BROADCAST && flags & opts)
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if ((flags & opts) == opts)
        return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if ((flags & TRACKING_OPT_IN && before & TRACKING_OPT_OUT) ||
        (flags & TRACKING_OPT_OUT && before & TRACKING_OPT_IN))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling "
               "it with a different mode.";
    return NULL;
}

void client_run_tracking(struct call *call)
{
    struct options options;
    if (!parse(call, &options))
        return;
    bool on = call_arg_is(call, 2, "ON");
    const char *wrong = on ? what_is_wrong(call->session, &options) : NULL;
    if (!on && !call_arg_is(call, 2, "OFF")) {
        reply_fail(call->reply, ERROR_SYNTAX);
    } else if (!on) {
        tracking_end(call->session);
        reply_ok(call->reply);
    } else if (wrong) {
        reply_error(call->reply, bytes_from_cstr(wrong));
    } else if (check_prefixes(call, &options)) {
        tracking_begin(call->session, options.flags, options.redirect, options.prefixes, options.count);
        reply_ok(call->reply);
    }
}

void client_run_caching(struct call *call)
{
    struct session *session = call->session;
    uint32_t flags = session->tracking ? tracking_flags(session) : 0;
    bool yes = call_arg_is(call, 2, "YES");
    if (!session->tracking)
        reply_error(call->reply, BYTES("ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                                       "OPTIN or OPTOUT mode enabled"));
    else if (!yes && !call_arg_is(call, 2, "NO"))
        reply_fail(call->reply, ERROR_SYNTAX);
    else if (yes && !(flags & TRACKING_OPT_IN))
        reply_error(call->reply, BYTES("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."));
    else if (!yes && !(flags & TRACKING_OPT_OUT))
        reply_error(call->reply, BYTES("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."));
    else {
        tracking_set_caching(call);
        reply_ok(call->reply);
    }
}

void client_run_getredir(struct call *call)
{
    reply_int(call->reply, call->session->tracking ? (int64_t)tracking_redirect(call->session) : -1);
}

void client_run_trackinginfo(struct call *call)
{
    const struct session *session = call->session;
    uint32_t flags = session->tracking ? tracking_flags(session) : 0;
    const char *words[8];
    size_t count = 0;
    words[count++] = session->tracking ? "on" : "off";
    if (flags & TRACKING_BROADCAST)
        words[count++] = "bcast";
    if (flags & TRACKING_OPT_IN)
        words[count++] = "optin";
    if (flags & TRACKING_OPT_IN && flags & TRACKING_CACHING)
        words[count++] = "caching-yes";
    if (flags & TRACKING_OPT_OUT)
        words[count++] = "optout";
    if (flags & TRACKING_OPT_OUT && flags & TRACKING_CACHING)
        words[count++] = "caching-no";
    if (flags & TRACKING_NO_LOOP)
        words[count++] = "noloop";
    if (flags & TRACKING_BROKEN)
        words[count++] = "broken_redirect";
    struct reply *reply = call->reply;
    reply_map(reply, 3);
    reply_bulk_cstr(reply, "flags");
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++)
        reply_bulk_cstr(reply, words[i]);
    reply_bulk_cstr(reply, "redirect");
    client_run_getredir(call);
    reply_bulk_cstr(reply, "prefixes");
    size_t prefixes = session->tracking ? tracking_prefixes(session) : 0;
    reply_array(reply, prefixes);
    for (size_t i = 0; i < prefixes; i++)
        reply_bulk(reply, tracking_prefix(session, i));
}

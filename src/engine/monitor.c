/*
 * Monitors are few: an array of sessions. A line is made once and handed to each as one shared blob.
 *
 *     +1795347271.171892 [1 127.0.0.1:59066] "SET" "key" "va\x00lue"
 */
#include "engine/monitor.h"

#include <stdio.h>
#include <string.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "store/keyspace.h"

enum {
    CLASS_NORMAL = 0, /* of output limits, see struct transport */
    CLASS_PUBSUB = 2,
    SHOWN_MAX = 64 * 1024, /* bytes of an argument */
};

struct monitors {
    size_t count, room;
    struct session *sessions[]; /* borrowed, in the order in which they began */
};

bool monitor_begin(struct session *session)
{
    struct engine *engine = session->engine;
    struct monitors *monitors = engine->monitors;
    if (session->flags & SESSION_MONITOR)
        return false;
    if (!monitors || monitors->count == monitors->room) {
        size_t count = monitors ? monitors->count : 0, room = 2 * count + 4;
        monitors = mem_realloc(monitors, sizeof *monitors + room * sizeof *monitors->sessions);
        monitors->count = count;
        monitors->room = room;
        engine->monitors = monitors;
    }
    monitors->sessions[monitors->count++] = session;
    session->flags |= SESSION_MONITOR;
    session->transport->set_class(session->connection, CLASS_PUBSUB);
    session->transport->patient(session->connection, true);
    return true;
}

void monitor_end(struct session *session)
{
    struct monitors *monitors = session->engine->monitors;
    if (!(session->flags & SESSION_MONITOR))
        return;
    size_t i = 0;
    while (monitors->sessions[i] != session)
        i++;
    size_t behind = --monitors->count - i;
    memmove(&monitors->sessions[i], &monitors->sessions[i + 1], behind * sizeof *monitors->sessions);
    if (monitors->count == 0) {
        mem_free(monitors);
        session->engine->monitors = NULL;
    }
    session->flags &= ~(uint32_t)SESSION_MONITOR;
    session->transport->set_class(session->connection, session->subscriber ? CLASS_PUBSUB : CLASS_NORMAL);
    session->transport->patient(session->connection, session->subscriber || session->wait);
}

/* What is very long is cut, with a note of how much is missing. */
static void append_quoted(struct buf *out, struct bytes text)
{
    size_t more = text.len > SHOWN_MAX ? text.len - SHOWN_MAX : 0;
    text.len -= more;
    static const char plain[] = "\n\r\t\a\b\"\\", escaped[] = "nrtab\"\\";
    buf_append_cstr(out, " \"");
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        const char *found = c ? strchr(plain, c) : NULL;
        if (found) {
            buf_append_char(out, '\\');
            buf_append_char(out, escaped[found - plain]);
        } else if (c >= ' ' && c < 0x7f) {
            buf_append_char(out, (char)c);
        } else {
            buf_printf(out, "\\x%02x", c);
        }
    }
    if (more)
        buf_printf(out, "... (%zu more bytes)", more);
    buf_append_char(out, '"');
}

/* "127.0.0.1:59066", or the path of a Unix socket. */
static void append_peer(struct buf *out, const struct session *session)
{
    char peer[128];
    session->transport->peer(session->connection, peer, sizeof peer);
    char *port = strrchr(peer, ':');
    if (session->flags & SESSION_UNIX && port)
        *port = '\0';
    buf_printf(out, "%s%s", session->flags & SESSION_UNIX ? "unix:" : "", peer);
}

void monitor_show(const struct call *call, const struct bytes *argv)
{
    if (call->command->flags & (CMD_SKIP_MONITOR | CMD_ADMIN))
        return;
    struct monitors *monitors = call->engine->monitors;
    struct buf line = BUF_EMPTY;
    int64_t us = clock_wall_us();
    buf_printf(
        &line, "+%lld.%06lld [%d ", (long long)(us / 1000000), (long long)(us % 1000000), call->session->db->index);
    append_peer(&line, call->session);
    buf_append_char(&line, ']');
    for (uint32_t i = 0; i < call->argc; i++)
        append_quoted(&line, command_hides(call->command, argv, call->argc, i) ? BYTES("(redacted)") : argv[i]);
    buf_append_cstr(&line, "\r\n");
    struct blob *blob = blob_from_bytes(buf_bytes(&line));
    for (size_t i = 0; i < monitors->count; i++) {
        struct session *session = monitors->sessions[i];
        output_append_blob(session->out, blob, blob_bytes(blob));
        session->transport->wake(session->connection);
    }
    blob_unref(blob);
    buf_fini(&line);
}

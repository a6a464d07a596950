/*
 * A build without TLS: no context can be made, so that no connection ever has a link.
 */
#include "net/tls.h"

#include "base/assert.h"
#include "net_priv.h"

bool tls_is_built(void)
{
    return false;
}

struct tls_context *tls_context_create(const struct tls_settings *settings, struct buf *error)
{
    (void)settings;
    buf_append_cstr(error, "This server was built without TLS");
    return NULL;
}

void tls_context_destroy(struct tls_context *context)
{
    ASSERT(context == NULL);
}

void tls_begin(struct connection *connection)
{
    ASSERT(connection->tls != NULL);
}

void tls_end(struct connection *connection)
{
    ASSERT(connection->tls == NULL);
}

bool tls_on_event(struct connection *connection, int *events)
{
    (void)events;
    return connection->tls == NULL;
}

int tls_wanted(const struct connection *connection, int wanted)
{
    (void)connection;
    return wanted;
}

ssize_t tls_receive(struct connection *connection, char *out, size_t room)
{
    (void)out, (void)room;
    ASSERT(connection->tls == NULL);
    return -1;
}

ssize_t tls_send(struct connection *connection, size_t share)
{
    (void)share;
    ASSERT(connection->tls == NULL);
    return -1;
}

void tls_push_unread(struct connection *connection)
{
    ASSERT(connection->tls == NULL);
}

void tls_feed(struct net *net)
{
    ASSERT(net->unread.count == 0);
}

void tls_check_deadline(struct connection *connection)
{
    ASSERT(connection->tls == NULL);
}

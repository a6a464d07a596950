/*
 * HTTP: just enough of HTTP/1.1 to be asked for a page now and then, as monitoring does.
 *
 * GET and HEAD without a body, on connections that may be kept. Everything is bounded: the bytes of a request, the
 * connections, and the time for a request, for taking its answer, and between two; whoever exceeds one is closed. It
 * runs on the net's loop and shares nothing with the clients' connections.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

struct http;
struct net;

struct http_answer {
    int status;       /* 200 unless it is changed */
    const char *type; /* "text/plain; charset=utf-8" unless it is changed; static */
    struct buf body;
};

/* Answers a request for a path (without its query). */
typedef void (*http_answer_fn)(void *context, struct bytes path, struct http_answer *answer);

struct http *http_create(struct net *net, http_answer_fn answer, void *context);

/* Closes everything; to be called before net_destroy. NULL is nothing. */
void http_destroy(struct http *http);

/* Listens on an address as net_listen_tcp does. */
bool http_listen(struct http *http, const char *address, uint16_t port, char *error, size_t error_size);

/* Stops listening; what is being answered goes on. */
void http_unlisten(struct http *http);

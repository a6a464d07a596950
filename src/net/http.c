/*
 * HTTP: a connection is one struct with room for one request head; the next request begins behind the blank line of the
 * one before, once that was answered.
 */
#include "net/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net_priv.h"

enum {
    HTTP_HEAD_MAX = 8 * 1024,
    HTTP_CLIENTS_MAX = 32,
    HTTP_REQUEST_MS = 5 * 1000, /* from its first byte, or connecting, to its end; and for taking the answer */
    HTTP_IDLE_MS = 60 * 1000,   /* between two requests */
    HTTP_SWEEP_S = 1,
};

struct http_client {
    struct ev_io io; /* first: libev's callbacks are handed this */
    struct http *http;
    struct http_client *next; /* owned chain */
    char head[HTTP_HEAD_MAX];
    size_t len;
    struct buf out;
    size_t sent;
    uint64_t since_ms; /* connected, last answer sent, or first byte of a request */
    bool served;       /* at least one request */
    bool closing;      /* after the output */
    bool dead;
};

struct http_listener {
    struct ev_io io; /* first */
    struct http *http;
    struct http_listener *next; /* owned chain */
};

struct http {
    struct net *net; /* borrowed */
    http_answer_fn answer;
    void *context;
    struct http_listener *listeners;
    struct http_client *clients;
    size_t client_count;
    struct ev_timer sweep;
};

static void free_dead(struct http *http)
{
    struct http_client **link = &http->clients;
    while (*link) {
        struct http_client *client = *link;
        if (!client->dead) {
            link = &client->next;
            continue;
        }
        *link = client->next;
        ev_io_stop(http->net->loop, &client->io);
        socket_close_gently(client->io.fd);
        buf_fini(&client->out);
        mem_free(client);
        http->client_count--;
    }
    if (!http->clients)
        ev_timer_stop(http->net->loop, &http->sweep);
}

/* --- Requests --- */

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } texts[] = { { 200, "OK" }, { 400, "Bad Request" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
        { 413, "Content Too Large" }, { 431, "Request Header Fields Too Large" }, { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" } };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].status == status)
            return texts[i].text;
    return "Error";
}

static void respond(struct http_client *client, const struct http_answer *answer, bool with_body)
{
    buf_printf(&client->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n",
        answer->status, status_text(answer->status), answer->type, answer->body.len);
    if (answer->status == 405)
        buf_append_cstr(&client->out, "Allow: GET, HEAD\r\n");
    buf_printf(&client->out, "Connection: %s\r\n\r\n", client->closing ? "close" : "keep-alive");
    if (with_body)
        buf_append(&client->out, buf_bytes(&answer->body));
}

static struct http_answer new_answer(void)
{
    return (struct http_answer){ .status = 200, .type = "text/plain; charset=utf-8", .body = BUF_EMPTY };
}

/* What ends the connection: nothing behind it is looked at. */
static void refuse(struct http_client *client, int status)
{
    struct http_answer answer = new_answer();
    answer.status = status;
    client->closing = true;
    buf_printf(&answer.body, "%s\n", status_text(status));
    respond(client, &answer, true);
    buf_fini(&answer.body);
}

static struct bytes next_word(struct bytes *line)
{
    size_t len = 0;
    while (len < line->len && line->ptr[len] != ' ')
        len++;
    struct bytes word = bytes_make(line->ptr, len);
    size_t used = len < line->len ? len + 1 : len;
    *line = bytes_make(line->ptr + used, line->len - used);
    return word;
}

/* The lines behind the first: is there a body, and is the connection to be closed? */
static bool read_fields(const char *at, const char *end, bool *has_body, bool *close)
{
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((line_end ? line_end : end) - at);
        size_t used = len + 1;
        if (len > 0 && at[len - 1] == '\r')
            len--;
        const char *colon = memchr(at, ':', len);
        if (!colon || colon == at || at[0] == ' ')
            return false;
        struct bytes name = bytes_make(at, (size_t)(colon - at));
        const char *value = colon + 1;
        while (value < at + len && *value == ' ')
            value++;
        struct bytes text = bytes_make(value, (size_t)(at + len - value));
        if (bytes_is(name, "transfer-encoding") || (bytes_is(name, "content-length") && !bytes_is(text, "0")))
            *has_body = true;
        if (bytes_is(name, "connection"))
            *close = bytes_is(text, "close") || (*close && !bytes_is(text, "keep-alive"));
        at += used;
    }
    return true;
}

static void serve(struct http_client *client, size_t head_len)
{
    const char *line_end = memchr(client->head, '\n', head_len);
    size_t line_len = (size_t)(line_end - client->head);
    struct bytes line = bytes_make(client->head, line_len > 0 && line_end[-1] == '\r' ? line_len - 1 : line_len);
    struct bytes method = next_word(&line), path = next_word(&line), version = line;
    bool has_body = false, close = bytes_equal(version, BYTES("HTTP/1.0"));
    if (method.len == 0 || path.len == 0 || path.ptr[0] != '/' || version.len < 8 || memcmp(version.ptr, "HTTP/", 5)) {
        refuse(client, 400);
        return;
    }
    if (!close && !bytes_equal(version, BYTES("HTTP/1.1"))) {
        refuse(client, 505);
        return;
    }
    if (!read_fields(line_end + 1, client->head + head_len, &has_body, &close)) {
        refuse(client, 400);
        return;
    }
    bool is_head = bytes_equal(method, BYTES("HEAD"));
    if (has_body || !(is_head || bytes_equal(method, BYTES("GET")))) {
        refuse(client, has_body ? 413 : 405);
        return;
    }
    const char *query = memchr(path.ptr, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.ptr);
    struct http_answer answer = new_answer();
    client->closing = close;
    client->http->answer(client->http->context, path, &answer);
    respond(client, &answer, !is_head);
    buf_fini(&answer.body);
}

/* The length of a request's head without the blank line that ends it, and with it; false if it is not whole. */
static bool find_head(const struct http_client *client, size_t *len, size_t *with_end)
{
    for (size_t i = 0; i < client->len; i++) {
        if (client->head[i] != '\n')
            continue;
        size_t next = i + 1;
        if (next < client->len && client->head[next] == '\r')
            next++;
        if (next < client->len && client->head[next] == '\n') {
            *len = i + 1;
            *with_end = next + 1;
            return true;
        }
    }
    return false;
}

static void serve_next(struct http_client *client)
{
    size_t len, with_end;
    if (client->out.len > 0 || client->closing)
        return;
    if (find_head(client, &len, &with_end)) {
        serve(client, len);
        client->served = true;
        client->len -= with_end;
        memmove(client->head, client->head + with_end, client->len);
    } else if (client->len == HTTP_HEAD_MAX) {
        refuse(client, 431);
    }
}

/* --- Bytes --- */

static void watch(struct http_client *client)
{
    struct ev_loop *loop = client->http->net->loop;
    int wanted = client->out.len > 0 ? EV_WRITE : EV_READ;
    if ((client->io.events & (EV_READ | EV_WRITE)) == wanted && ev_is_active(&client->io))
        return;
    ev_io_stop(loop, &client->io);
    ev_io_modify(&client->io, wanted);
    ev_io_start(loop, &client->io);
}

static void send_out(struct http_client *client)
{
    while (client->sent < client->out.len) {
        ssize_t put = send(client->io.fd, client->out.ptr + client->sent, client->out.len - client->sent, MSG_NOSIGNAL);
        if (put < 0) {
            client->dead = errno != EAGAIN && errno != EINTR;
            return;
        }
        client->sent += (size_t)put;
    }
    buf_fini(&client->out); /* a page is long, the next one far away */
    client->sent = 0;
    client->since_ms = client->http->net->now_ms;
    client->dead = client->closing;
}

static void receive(struct http_client *client)
{
    ssize_t got = recv(client->io.fd, client->head + client->len, HTTP_HEAD_MAX - client->len, 0);
    if (got <= 0) {
        client->dead = got == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    if (client->len == 0 && client->served)
        client->since_ms = client->http->net->now_ms;
    client->len += (size_t)got;
}

/* One answer is made per event: a pipeline of requests holds nobody up. */
static void on_client(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)loop;
    struct http_client *client = (struct http_client *)watcher;
    struct http *http = client->http;
    if (client->dead)
        return;
    if (events & EV_READ)
        receive(client);
    if (!client->dead) {
        serve_next(client);
        if (client->out.len > 0)
            send_out(client);
        /* More requests may be there already, of which the socket does not tell: being writable calls again. */
        size_t len, with_end;
        if (!client->dead && client->out.len == 0 && find_head(client, &len, &with_end))
            serve_next(client);
    }
    if (client->dead)
        free_dead(http);
    else
        watch(client);
}

static void on_sweep(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct http *http = (struct http *)timer->data;
    for (struct http_client *client = http->clients; client; client = client->next) {
        bool between = client->served && client->len == 0 && client->out.len == 0;
        client->dead |= http->net->now_ms - client->since_ms > (uint64_t)(between ? HTTP_IDLE_MS : HTTP_REQUEST_MS);
    }
    free_dead(http);
}

static void on_listener(struct ev_loop *loop, struct ev_io *watcher, int events)
{
    (void)events;
    struct http *http = ((struct http_listener *)watcher)->http;
    int fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (http->client_count >= HTTP_CLIENTS_MAX) {
        close(fd);
        return;
    }
    struct http_client *client = mem_zalloc(sizeof *client);
    client->http = http;
    client->since_ms = http->net->now_ms;
    client->next = http->clients;
    http->clients = client;
    http->client_count++;
    ev_io_init(&client->io, on_client, fd, EV_READ);
    ev_io_start(loop, &client->io);
    if (!ev_is_active(&http->sweep))
        ev_timer_again(loop, &http->sweep);
}

/* --- Life --- */

struct http *http_create(struct net *net, http_answer_fn answer, void *context)
{
    struct http *http = mem_zalloc(sizeof *http);
    http->net = net;
    http->answer = answer;
    http->context = context;
    ev_timer_init(&http->sweep, on_sweep, 0, HTTP_SWEEP_S);
    http->sweep.data = http;
    return http;
}

void http_destroy(struct http *http)
{
    if (!http)
        return;
    http_unlisten(http);
    for (struct http_client *client = http->clients; client; client = client->next)
        client->dead = true;
    free_dead(http);
    mem_free(http);
}

bool http_listen(struct http *http, const char *address, uint16_t port, char *error, size_t error_size)
{
    struct address bound = { 0 };
    int fd = socket_listen(http->net, address, port, &bound, error, error_size);
    if (fd < 0)
        return false;
    struct http_listener *listener = mem_zalloc(sizeof *listener);
    listener->http = http;
    listener->next = http->listeners;
    http->listeners = listener;
    ev_io_init(&listener->io, on_listener, fd, EV_READ);
    ev_io_start(http->net->loop, &listener->io);
    return true;
}

void http_unlisten(struct http *http)
{
    struct http_listener *next;
    for (struct http_listener *listener = http->listeners; listener; listener = next) {
        next = listener->next;
        ev_io_stop(http->net->loop, &listener->io);
        close(listener->io.fd);
        mem_free(listener);
    }
    http->listeners = NULL;
}

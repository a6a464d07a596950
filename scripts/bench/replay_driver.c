/*
 * Replays a cache trace against a server: GET, and SET where that misses.
 *
 *     cc -O2 replay_driver.c -o replay_driver && ./replay_driver PORT TRACE VALUE_BYTES WINDOW
 *
 * TRACE has a key a line. Up to WINDOW requests are under way at a time, all for different keys: a key that is asked
 * for again waits until its own SET has been sent, so nothing misses that would have hit one by one. Prints hits,
 * requests and the replies to SET that were errors.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WINDOW_MAX = 64, BUFFER = 1 << 20, ROOM = 1 << 17 };

struct driver {
    int socket;
    char *in, *out, *value; /* owned */
    size_t in_at, in_len, out_len, value_len;
    size_t hits, requests, failed;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void flush(struct driver *driver)
{
    for (size_t at = 0; at < driver->out_len;) {
        ssize_t sent = write(driver->socket, driver->out + at, driver->out_len - at);
        if (sent <= 0)
            die("write");
        at += (size_t)sent;
    }
    driver->out_len = 0;
}

static void fill(struct driver *driver)
{
    if (driver->in_at) {
        memmove(driver->in, driver->in + driver->in_at, driver->in_len - driver->in_at);
        driver->in_len -= driver->in_at;
        driver->in_at = 0;
    }
    ssize_t got = read(driver->socket, driver->in + driver->in_len, BUFFER - driver->in_len);
    if (got <= 0)
        die("read");
    driver->in_len += (size_t)got;
}

/* The next line of the replies; valid until the next call. */
static char *line(struct driver *driver)
{
    char *end;
    while (!(end = memchr(driver->in + driver->in_at, '\n', driver->in_len - driver->in_at)))
        fill(driver);
    char *start = driver->in + driver->in_at;
    driver->in_at = (size_t)(end - driver->in) + 1;
    *end = 0;
    return start;
}

static void skip(struct driver *driver, size_t bytes)
{
    while (driver->in_len - driver->in_at < bytes)
        fill(driver);
    driver->in_at += bytes;
}

static void send_get(struct driver *driver, const char *key)
{
    driver->out_len +=
        (size_t)sprintf(driver->out + driver->out_len, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
}

static void send_set(struct driver *driver, const char *key)
{
    if (driver->out_len + driver->value_len + ROOM / 2 > BUFFER)
        flush(driver);
    driver->out_len += (size_t)sprintf(driver->out + driver->out_len, "*3\r\n$3\r\nSET\r\n$%zu\r\n%s\r\n$%zu\r\n",
        strlen(key), key, driver->value_len);
    memcpy(driver->out + driver->out_len, driver->value, driver->value_len);
    driver->out_len += driver->value_len;
    driver->out_len += (size_t)sprintf(driver->out + driver->out_len, "\r\n");
}

/* Asks for all keys of a window, then sends what missed; the answers to that are read before the next window's. */
static void replay_window(struct driver *driver, char **keys, size_t count, size_t *sets)
{
    for (size_t i = 0; i < count; i++)
        send_get(driver, keys[i]);
    flush(driver);
    for (; *sets; --*sets)
        driver->failed += line(driver)[0] == '-';
    for (size_t i = 0; i < count; i++) {
        const char *head = line(driver);
        if (head[0] != '$') {
            fprintf(stderr, "unexpected reply: %s\n", head);
            exit(1);
        }
        long len = strtol(head + 1, NULL, 10);
        if (len >= 0) {
            skip(driver, (size_t)len + 2);
            driver->hits++;
        } else {
            send_set(driver, keys[i]);
            ++*sets;
        }
    }
    driver->requests += count;
}

static bool is_in(char **keys, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void replay(struct driver *driver, FILE *trace, size_t window)
{
    static char texts[WINDOW_MAX + 1][1024];
    char *keys[WINDOW_MAX];
    size_t count = 0, sets = 0;
    while (fgets(texts[count], sizeof texts[count], trace)) {
        texts[count][strcspn(texts[count], "\n")] = 0;
        keys[count] = texts[count];
        if (is_in(keys, count, texts[count])) {
            replay_window(driver, keys, count, &sets);
            memmove(texts[0], texts[count], sizeof texts[0]);
            keys[0] = texts[0];
            count = 0;
        }
        if (++count == window) {
            replay_window(driver, keys, count, &sets);
            count = 0;
        }
    }
    if (count)
        replay_window(driver, keys, count, &sets);
    flush(driver);
    for (; sets; sets--)
        driver->failed += line(driver)[0] == '-';
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: replay_driver PORT TRACE VALUE_BYTES WINDOW\n");
        return 1;
    }
    struct driver driver = { .socket = socket(AF_INET, SOCK_STREAM, 0), .value_len = strtoul(argv[3], NULL, 10) };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    size_t window = strtoul(argv[4], NULL, 10);
    int one = 1;
    FILE *trace = fopen(argv[2], "r");
    if (!trace || connect(driver.socket, (struct sockaddr *)&address, sizeof address) != 0)
        die(argv[2]);
    setsockopt(driver.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    driver.in = malloc(BUFFER);
    driver.out = malloc(BUFFER + ROOM);
    driver.value = malloc(driver.value_len + 1);
    if (!driver.in || !driver.out || !driver.value || driver.value_len > BUFFER / 4)
        die("memory");
    memset(driver.value, 'v', driver.value_len);
    replay(&driver, trace, window < 1 ? 1 : window > WINDOW_MAX ? WINDOW_MAX : window);
    printf("%zu %zu %zu\n", driver.hits, driver.requests, driver.failed);
    return 0;
}

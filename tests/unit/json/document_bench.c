/*
 * A measuring tool, not a test: how fast a file of JSON is parsed, printed and freed, and what it takes.
 *
 *   ninja tests/unit/json/document-bench && tests/unit/json/document-bench FILE [ROUNDS]
 *
 * Processor time of the best of several rounds, as other programs share the machine.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "json/doc.h"
#include "json/parse.h"
#include "json/print.h"

enum { ROUNDS = 20, PART = 65536 };

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool read_file(const char *path, struct buf *text)
{
    FILE *file = fopen(path, "rb");
    size_t got;

    if (file == NULL)
        return false;
    do {
        char *room = buf_extend(text, PART);
        got = fread(room, 1, PART, file);
        text->len -= PART - got;
    } while (got == PART);
    fclose(file);
    return true;
}

struct figures {
    double parse, print, destroy; /* seconds */
};

static double lesser(double a, double b)
{
    return a < b ? a : b;
}

static bool run_round(const struct buf *text, struct figures *best, bool is_first)
{
    struct json_value value;
    const char *why;
    size_t at, before = mem_used();
    struct buf out = BUF_EMPTY;

    double begin = now();
    if (json_parse(buf_bytes(text), &value, &why, &at) != JSON_ERROR_NONE) {
        fprintf(stderr, "%s at byte %zu\n", why, at);
        return false;
    }
    best->parse = lesser(best->parse, now() - begin);
    if (is_first)
        printf("%zu bytes of text, memory %.3f times that (measured: %.3f), %zu keys of %zu bytes\n", text->len,
            (double)(mem_used() - before) / (double)text->len, (double)json_value_bytes(&value) / (double)text->len,
            json_key_count(), json_key_bytes());
    /* Once without measuring, so that growing the buffer is not counted. */
    json_print(&value, &out);
    buf_clear(&out);
    begin = now();
    json_print(&value, &out);
    best->print = lesser(best->print, now() - begin);
    begin = now();
    json_value_destroy(value);
    best->destroy = lesser(best->destroy, now() - begin);
    buf_fini(&out);
    return true;
}

int main(int argc, char **argv)
{
    struct figures best = { 1e9, 1e9, 1e9 };
    struct buf text = BUF_EMPTY;

    if (argc < 2 || !read_file(argv[1], &text)) {
        fprintf(stderr, "usage: %s FILE [ROUNDS]\n", argv[0]);
        return 1;
    }
    hash_init();
    mem_thread_register();
    int rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
    for (int i = 0; i < rounds; i++) {
        if (!run_round(&text, &best, i == 0))
            return 1;
    }
    double mb = (double)text.len / 1e6;
    printf("parse %.0f MB/s, print %.0f MB/s, free %.0f MB/s\n", mb / best.parse, mb / best.print, mb / best.destroy);
    buf_fini(&text);
    return 0;
}

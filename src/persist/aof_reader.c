/*
 * The reader: a window over the file that holds at least one whole command.
 *
 * A command is parsed anew when more of it has come; the parser then says how many bytes it needs at least, so that a
 * large argument is fetched at once.
 */
#include "persist/aof_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"

enum {
    WINDOW = 1024 * 1024,
    KEPT_MAX = 8 * 1024 * 1024, /* a larger window is given back when it is no longer needed */
    HEAD_MAX = 32,              /* bytes of a length's line */
    ANNOTATION_MAX = 1024,
};

void aof_reader_init(struct aof_reader *reader, int fd, uint64_t offset)
{
    *reader = (struct aof_reader){ .fd = fd, .offset = offset, .next = offset, .buf_offset = offset };
}

void aof_reader_fini(struct aof_reader *reader)
{
    mem_free(reader->buf);
    mem_free(reader->argv);
    reader->buf = NULL;
    reader->argv = NULL;
}

enum parsed { PARSED, PARTIAL, WRONG };

/* A line "<type><number>\r\n" at *at; *need is at least how many bytes there must be. */
static enum parsed parse_head(struct bytes text, size_t *at, char type, uint64_t *number, size_t *need)
{
    size_t left = text.len - *at;
    const char *line = text.ptr + *at;
    if (left && line[0] != type)
        return WRONG;
    const char *end = left ? memchr(line, '\r', left < HEAD_MAX ? left : HEAD_MAX) : NULL;
    if (!end && left >= HEAD_MAX)
        return WRONG;
    /* What is there of a number that is not whole must be digits, too. */
    size_t digits = end ? (size_t)(end - line) : left;
    for (size_t i = 1; i < digits; i++)
        if (line[i] < '0' || line[i] > '9')
            return WRONG;
    if (!end || (size_t)(end - line) + 2 > left) {
        *need = text.len + 1;
        return PARTIAL;
    }
    if (end[1] != '\n' || !num_parse_u64(bytes_make(line + 1, digits - 1), number))
        return WRONG;
    *at += digits + 2;
    return PARSED;
}

static void add_argument(struct aof_reader *reader, struct bytes argument)
{
    if (reader->argc == reader->room) {
        reader->room = reader->room ? reader->room * 2 : 16;
        reader->argv = mem_realloc(reader->argv, reader->room * sizeof *reader->argv);
    }
    reader->argv[reader->argc++] = argument;
}

static enum parsed parse_argument(struct aof_reader *reader, struct bytes text, size_t *at, size_t *need)
{
    uint64_t len;
    enum parsed head = parse_head(text, at, '$', &len, need);
    if (head != PARSED)
        return head;
    if (len > AOF_ARGUMENT_MAX)
        return WRONG;
    if (text.len - *at < len + 2) {
        *need = *at + len + 2;
        if (text.len - *at == len + 1 && text.ptr[*at + len] != '\r')
            return WRONG;
        return PARTIAL;
    }
    if (text.ptr[*at + len] != '\r' || text.ptr[*at + len + 1] != '\n')
        return WRONG;
    add_argument(reader, bytes_make(text.ptr + *at, len));
    *at += len + 2;
    return PARSED;
}

static enum parsed parse_command(struct aof_reader *reader, struct bytes text, size_t *at, size_t *need)
{
    uint64_t count;
    enum parsed result = parse_head(text, at, '*', &count, need);
    if (result == PARSED && (count == 0 || count > AOF_ARGUMENTS_MAX))
        return WRONG;
    reader->argc = 0;
    for (uint64_t i = 0; result == PARSED && i < count; i++)
        result = parse_argument(reader, text, at, need);
    return result;
}

/* A line that begins with '#'. */
static enum parsed parse_annotation(struct aof_reader *reader, struct bytes text, size_t *at, size_t *need)
{
    const char *end = memchr(text.ptr, '\n', text.len < ANNOTATION_MAX ? text.len : ANNOTATION_MAX);
    if (!end && text.len >= ANNOTATION_MAX)
        return WRONG;
    if (!end) {
        *need = text.len + 1;
        return PARTIAL;
    }
    size_t len = (size_t)(end - text.ptr);
    size_t trimmed = len && text.ptr[len - 1] == '\r' ? len - 1 : len;
    int64_t seconds;
    if (trimmed > 4 && memcmp(text.ptr, "#TS:", 4) == 0 &&
        num_parse_i64(bytes_make(text.ptr + 4, trimmed - 4), &seconds))
        reader->timestamp = seconds;
    *at = len + 1;
    return PARSED;
}

/* Has at least `need` bytes from reader->next on in the window, unless the file ends before. */
static enum aof_read fetch(struct aof_reader *reader, size_t need)
{
    size_t taken = (size_t)(reader->next - reader->buf_offset), left = reader->len - taken;
    if (left && taken)
        memmove(reader->buf, reader->buf + taken, left);
    reader->len = left;
    reader->buf_offset = reader->next;
    size_t wanted = need < WINDOW ? WINDOW : need + WINDOW / 4;
    if (wanted > reader->cap || (reader->cap > KEPT_MAX && wanted <= WINDOW && left <= WINDOW)) {
        char *grown = mem_try_realloc(reader->buf, wanted);
        if (!grown)
            return AOF_READ_NO_MEMORY;
        reader->buf = grown;
        reader->cap = wanted;
    }
    while (reader->len < need && !reader->at_end) {
        ssize_t n = pread(reader->fd, reader->buf + reader->len, reader->cap - reader->len,
            (off_t)(reader->buf_offset + reader->len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return AOF_READ_FAILED;
        reader->at_end = n == 0;
        reader->len += (size_t)n;
    }
    return AOF_READ_COMMAND;
}

enum aof_read aof_reader_next(struct aof_reader *reader)
{
    size_t need = 1;
    for (;;) {
        size_t from = (size_t)(reader->next - reader->buf_offset);
        reader->offset = reader->next;
        if (reader->len - from < need && !reader->at_end) {
            enum aof_read fetched = fetch(reader, need);
            if (fetched != AOF_READ_COMMAND)
                return fetched;
            from = 0;
        }
        struct bytes text = bytes_make(reader->buf + from, reader->len - from);
        if (!text.len)
            return AOF_READ_END;
        size_t at = 0;
        bool annotation = text.ptr[0] == '#';
        enum parsed parsed =
            annotation ? parse_annotation(reader, text, &at, &need) : parse_command(reader, text, &at, &need);
        if (parsed == WRONG)
            return AOF_READ_BAD;
        if (parsed == PARTIAL && (reader->at_end && text.len < need))
            return AOF_READ_TRUNCATED;
        if (parsed == PARTIAL)
            continue;
        reader->next += at;
        need = 1;
        if (!annotation)
            return AOF_READ_COMMAND;
    }
}

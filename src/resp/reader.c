/*
 * Reader: the hottest code of the server, so multibulk requests have a path of their own (..._take_...) for what nearly
 * every request is made of: plain counts and lengths, everything arrived. Whatever that path does not recognise, the
 * general one (reader_parse_...) decides, with the same result; only it knows errors and partial input.
 *
 * What is accepted is what Redis accepts: of a line end that closes a head only the carriage return is looked at, and
 * the two bytes behind an argument are passed over whatever they are. A line is too long when none of its first
 * READER_INLINE_MAX + 1 bytes ends it; the test depends on the bytes alone, never on how they arrived.
 *
 * Costs: each byte of a head is looked at once, arguments are not looked at. Room in the vector is made once per call:
 * an argument takes at least six bytes of input, so a client cannot make it larger than what it sent.
 */
#include "resp/reader.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/num.h"

enum {
    ARGUMENT_MIN = 6, /* $0\r\n\r\n */
    SHORT_HEAD = 4,   /* $0\r\n */
    LINE_END = 2,
    SHORT_LEN_MAX = 9,   /* of an argument with a short head, ... */
    MIDDLE_LEN_MAX = 99, /* ... and of one with a middle one */
    LEN_DIGITS_MAX = 9,  /* of a length that the short path reads */
};

enum reader_fault {
    FAULT_NONE,
    FAULT_MULTIBULK_LEN,
    FAULT_BULK_LEN,
    FAULT_NOT_BULK,
    FAULT_MULTIBULK_LINE,
    FAULT_BULK_LINE,
    FAULT_INLINE_LINE,
    FAULT_QUOTES,
    FAULT_UNAUTHENTICATED_MULTIBULK,
    FAULT_UNAUTHENTICATED_BULK,
    FAULT_MEMORY,
};

static const char *const fault_texts[] = {
    [FAULT_NONE] = "none",
    [FAULT_MULTIBULK_LEN] = "invalid multibulk length",
    [FAULT_BULK_LEN] = "invalid bulk length",
    [FAULT_NOT_BULK] = "expected '$', got ",
    [FAULT_MULTIBULK_LINE] = "too big mbulk count string",
    [FAULT_BULK_LINE] = "too big bulk count string",
    [FAULT_INLINE_LINE] = "too big inline request",
    [FAULT_QUOTES] = "unbalanced quotes in request",
    [FAULT_UNAUTHENTICATED_MULTIBULK] = "unauthenticated multibulk length",
    [FAULT_UNAUTHENTICATED_BULK] = "unauthenticated bulk length",
    [FAULT_MEMORY] = "out of memory for the request",
};

void argv_init(struct argv *argv)
{
    *argv = (struct argv){ 0 };
}

void argv_fini(struct argv *argv)
{
    mem_free(argv->ptr);
    argv_init(argv);
}

static bool argv_grow(struct argv *argv, size_t more)
{
    size_t cap = argv->cap < 16 ? 16 : argv->cap * 2;
    if (cap < argv->len + more)
        cap = argv->len + more;
    struct bytes *ptr = mem_try_realloc(argv->ptr, cap * sizeof(*ptr));
    if (ptr == NULL)
        return false;
    argv->ptr = ptr;
    argv->cap = cap;
    return true;
}

/* Room for `more` arguments; false when memory is out. */
static inline bool argv_reserve(struct argv *argv, size_t more)
{
    return argv->cap - argv->len >= more || argv_grow(argv, more);
}

void reader_fini(struct reader *reader)
{
    for (uint32_t i = 0; i < reader->blob_count; i++)
        blob_unref(reader->blobs[i].blob);
    mem_free(reader->blobs);
    reader->blobs = NULL;
    reader->blob_count = 0;
}

static enum reader_status reader_fail(struct reader *reader, enum reader_fault fault)
{
    reader->error = (uint8_t)fault;
    return READER_BAD;
}

/*
 * Looks for the byte that ends the line at `at`, of which `len` bytes have arrived, and which needs `behind` more bytes
 * behind it. READER_DONE: it is at *found.
 */
static enum reader_status reader_find_end(struct reader *reader, const char *line, size_t len, char end, size_t behind,
    enum reader_fault too_long, const char **found)
{
    size_t max = len < READER_INLINE_MAX + 1 ? len : READER_INLINE_MAX + 1;
    const char *p = memchr(line + reader->scanned, end, max - reader->scanned);
    if (p == NULL) {
        if (len > READER_INLINE_MAX)
            return reader_fail(reader, too_long);
        reader->scanned = (uint32_t)len;
        return READER_PARTIAL;
    }
    if ((size_t)(p - line) + behind >= len) {
        reader->scanned = (uint32_t)(p - line);
        return READER_PARTIAL;
    }
    reader->scanned = 0;
    *found = p;
    return READER_DONE;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Form feed and vertical tab separate words only before a word or behind a quote, as clients have come to know it. */
static bool ends_word(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/*
 * Decodes a quoted run that begins behind its opening quote at `p`, to `*out` and on; the closing quote must end the
 * word. Returns what follows it, or NULL if the quotes are not balanced.
 */
static const char *inline_unquote(const char *p, const char *end, char quote, char **out)
{
    char *to = *out;
    while (p < end && *p != quote) {
        if (*p == '\\' && p + 1 < end && (quote == '"' || p[1] == '\'')) {
            size_t used;
            *to++ = bytes_unescape(bytes_make(p + 1, (size_t)(end - p - 1)), &used);
            p += 1 + used;
        } else {
            *to++ = *p++;
        }
    }
    *out = to;
    if (p == end || (p + 1 < end && !is_space(p[1])))
        return NULL;
    return p + 1;
}

/* Decodes one word that begins at `p`. Decoding never makes a word longer, so it is written where it was read. */
static const char *inline_word(char *p, const char *end, struct bytes *word)
{
    char *out = p;
    const char *in = p;
    while (in < end && !ends_word(*in)) {
        if (*in == '"' || *in == '\'') {
            in = inline_unquote(in + 1, end, *in, &out);
            if (in == NULL)
                return NULL;
            break;
        }
        *out++ = *in++;
    }
    *word = bytes_make(p, (size_t)(out - p));
    return in;
}

static enum reader_status reader_parse_inline(struct reader *reader, char *input, size_t len, struct argv *argv)
{
    const char *end = NULL;
    enum reader_status status = reader_find_end(reader, input, len, '\n', 0, FAULT_INLINE_LINE, &end);
    if (status != READER_DONE)
        return status;
    reader->at = (size_t)(end - input) + 1;
    char *p = input;
    for (;;) {
        while (p < end && is_space(*p))
            p++;
        if (p == end)
            return READER_DONE;
        if (!argv_reserve(argv, 1))
            return reader_fail(reader, FAULT_MEMORY);
        struct bytes word;
        const char *next = inline_word(p, end, &word);
        if (next == NULL)
            return reader_fail(reader, FAULT_QUOTES);
        argv->ptr[argv->len++] = word;
        reader->argc++;
        p = input + (next - input);
    }
}

/* The head of the request, `*count`. A count of zero or less is a request of nothing. */
static enum reader_status reader_parse_count(
    struct reader *reader, const struct reader_limits *limits, const char *input, size_t len)
{
    const char *end = NULL;
    enum reader_status status = reader_find_end(reader, input, len, '\r', LINE_END - 1, FAULT_MULTIBULK_LINE, &end);
    if (status != READER_DONE)
        return status;
    int64_t count;
    if (!num_parse_i64(bytes_make(input + 1, (size_t)(end - input) - 1), &count) || count > READER_ARGC_MAX)
        return reader_fail(reader, FAULT_MULTIBULK_LEN);
    if (count > READER_UNAUTHENTICATED_ARGC_MAX && !limits->authenticated)
        return reader_fail(reader, FAULT_UNAUTHENTICATED_MULTIBULK);
    reader->at = (size_t)(end - input) + LINE_END;
    reader->expected = count > 0 ? (uint32_t)count : 0;
    reader->stage = READER_AT_HEAD;
    return READER_DONE;
}

/* The head of an argument, `$length`. */
static enum reader_status reader_parse_bulk_head(
    struct reader *reader, const struct reader_limits *limits, const char *input, size_t len)
{
    const char *line = input + reader->at, *end = NULL;
    enum reader_status status =
        reader_find_end(reader, line, len - reader->at, '\r', LINE_END - 1, FAULT_BULK_LINE, &end);
    if (status != READER_DONE)
        return status;
    if (*line != '$') {
        reader->unexpected = *line;
        return reader_fail(reader, FAULT_NOT_BULK);
    }
    int64_t bulk_len;
    if (!num_parse_i64(bytes_make(line + 1, (size_t)(end - line) - 1), &bulk_len) || bulk_len < 0 ||
        (uint64_t)bulk_len > limits->bulk_max)
        return reader_fail(reader, FAULT_BULK_LEN);
    if (bulk_len > READER_UNAUTHENTICATED_BULK_MAX && !limits->authenticated)
        return reader_fail(reader, FAULT_UNAUTHENTICATED_BULK);
    reader->at = (size_t)(end - input) + LINE_END;
    reader->bulk_len = (size_t)bulk_len;
    reader->stage = READER_AT_BULK;
    return READER_DONE;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/*
 * Heads are taken as numbers of four bytes, from which what they must have is taken away, so that nothing but digits is
 * left. Other heads, too, may be good: one with another byte behind the carriage return is, for whoever reads them byte
 * by byte.
 */
static inline uint32_t head_without(const char *p, const char wanted[SHORT_HEAD])
{
    _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the type is the lowest byte");
    uint32_t head, taken;
    memcpy(&head, p, sizeof(head));
    memcpy(&taken, wanted, sizeof(taken));
    return head ^ taken;
}

/* The digit of a head of one digit at `p`, `$5\r\n`, or more than 9 if there is no such thing. */
static inline uint32_t short_head(const char *p, char type)
{
    const char zero[SHORT_HEAD] = { type, '0', '\r', '\n' };
    uint32_t head = head_without(p, zero);
    return head >> 8 | head << 24;
}

/* The number in a head of two digits at `p`, `$16\r`, or less than 10 if there is no such thing. */
static inline uint32_t middle_head(const char *p)
{
    const char zeros[SHORT_HEAD] = { '$', '0', '0', '\r' };
    uint32_t head = head_without(p, zeros);
    const uint32_t above_9 = 0x00767600; /* carries into the highest bit of what is not a digit */
    if (((head + above_9) | head) & 0xff8080ff)
        return 0;
    return (head >> 8 & 0xf) * 10 + (head >> 16);
}

/* What stands at the front of a request. */
struct take_head {
    uint32_t count; /* arguments */
    uint32_t len;   /* bytes; 0: reader_parse_count decides */
};

static __attribute__((noinline)) struct take_head take_long_count(bool authenticated, const char *input)
{
    struct take_head head = { .len = 0 };
    if (input[0] != '*' || input[1] < '1' || input[1] > '9')
        return head;
    uint32_t digits = 1;
    head.count = (uint32_t)(input[1] - '0');
    if (is_digit(input[2])) {
        head.count = head.count * 10 + (uint32_t)(input[2] - '0');
        digits = 2;
    }
    if (input[1 + digits] == '\r' && (head.count <= READER_UNAUTHENTICATED_ARGC_MAX || authenticated))
        head.len = 1 + digits + LINE_END;
    return head;
}

/* The head of a request where it is plain, one digit or two. */
static inline struct take_head take_count(const struct reader_limits *limits, const char *input, size_t len)
{
    _Static_assert(READER_UNAUTHENTICATED_ARGC_MAX > 9, "anybody may send what one digit counts");
    if (len < SHORT_HEAD + 1)
        return (struct take_head){ .len = 0 };
    uint32_t digit = short_head(input, '*');
    if (__builtin_expect(digit - 1 > 8, 0)) /* 0 is for the other way, too */
        return take_long_count(limits->authenticated, input);
    return (struct take_head){ .count = digit, .len = SHORT_HEAD };
}

static inline bool reader_take_count(
    struct reader *reader, const struct reader_limits *limits, const char *input, size_t len)
{
    struct take_head head = take_count(limits, input, len);
    if (head.len == 0)
        return false;
    reader->expected = head.count;
    reader->scanned = 0;
    reader->at = head.len;
    reader->stage = READER_AT_HEAD;
    return true;
}

/* The head of an argument where it is plain; returns what follows it, or NULL if reader_parse_bulk_head decides. */
static const char *take_long_head(const char *p, const char *end, size_t *len)
{
    if (p[0] != '$' || p[1] < '1' || p[1] > '9')
        return NULL;
    *len = (size_t)(p[1] - '0');
    const char *at = p + 2;
    const char *stop = end - at > LEN_DIGITS_MAX ? at + LEN_DIGITS_MAX - 1 : end - LINE_END;
    for (; *at != '\r'; at++) {
        if (!is_digit(*at) || at == stop)
            return NULL;
        *len = *len * 10 + (size_t)(*at - '0');
    }
    return at + LINE_END;
}

/* Takes one argument with a longer head if it is whole and unremarkable; returns what follows it, or NULL. */
static __attribute__((noinline)) const char *take_longer(const char *p, const char *end, size_t max, struct bytes *out)
{
    size_t len;
    const char *content = take_long_head(p, end, &len);
    if (content == NULL || len > max || (size_t)(end - content) < len + LINE_END)
        return NULL;
    *out = bytes_make(content, len);
    return content + len + LINE_END;
}

/* Takes one argument if it is whole and unremarkable, where `max` is not below MIDDLE_LEN_MAX. */
static inline const char *take_argument(const char *p, const char *end, size_t max, struct bytes *out)
{
    size_t room = (size_t)(end - p), head = SHORT_HEAD;
    if (room < ARGUMENT_MIN)
        return NULL;
    size_t len = short_head(p, '$');
    if (len > SHORT_LEN_MAX) {
        len = middle_head(p);
        if (__builtin_expect(len <= SHORT_LEN_MAX, 0))
            return take_longer(p, end, max, out);
        head = SHORT_HEAD + 1;
    }
    if (room < head + len + LINE_END)
        return NULL;
    *out = bytes_make(p + head, len);
    return p + head + len + LINE_END;
}

/* The longest argument that there may be. Without a branch, so that who asks for each of many requests does so once. */
static inline size_t take_max(const struct reader_limits *limits)
{
    size_t max = limits->bulk_max, most = READER_UNAUTHENTICATED_BULK_MAX | -(size_t)limits->authenticated;
    return max < most ? max : most;
}

/* Takes arguments from `p` on while they are whole and unremarkable; returns where it stopped. */
static const char *reader_take_whole(
    struct reader *reader, const struct reader_limits *limits, const char *p, const char *end, struct argv *argv)
{
    size_t max = take_max(limits);
    while (reader->argc < reader->expected && max >= MIDDLE_LEN_MAX) {
        const char *next = take_argument(p, end, max, argv->ptr + argv->len);
        if (next == NULL)
            break;
        argv->len++;
        reader->argc++;
        p = next;
    }
    return p;
}

size_t reader_take(const struct reader_limits *limits, const char *input, size_t len, struct bytes *out,
    const struct bytes *out_end, uint32_t *argc)
{
    struct take_head head = take_count(limits, input, len);
    size_t max = take_max(limits);
    if (head.len == 0 || (size_t)(out_end - out) < head.count || max < MIDDLE_LEN_MAX)
        return 0;
    const char *p = input + head.len, *end = input + len;
    const struct bytes *stop = out + head.count;
    do {
        p = take_argument(p, end, max, out);
        if (p == NULL)
            return 0;
    } while (++out < stop);
    *argc = head.count;
    return (size_t)(p - input);
}

/* The bytes of an argument whose head was read. */
static enum reader_status reader_take_bulk(struct reader *reader, char *input, size_t len, struct argv *argv)
{
    size_t there = len - reader->at;
    if (reader->stage == READER_AT_BULK) {
        if (there < reader->bulk_len && reader->bulk_len >= READER_BLOB_MIN)
            return READER_BLOB;
        if (there < reader->bulk_len || there - reader->bulk_len < LINE_END)
            return READER_PARTIAL;
        argv->ptr[argv->len++] = bytes_make(input + reader->at, reader->bulk_len);
        reader->argc++;
        reader->at += reader->bulk_len;
    } else if (there < LINE_END) {
        return READER_PARTIAL;
    }
    reader->at += LINE_END;
    reader->stage = READER_AT_HEAD;
    return READER_DONE;
}

/* Arguments up to the last, from wherever the reader stopped. */
static enum reader_status reader_parse_bulks(
    struct reader *reader, const struct reader_limits *limits, char *input, size_t len, struct argv *argv)
{
    size_t most = (len - reader->at) / ARGUMENT_MIN + 1, left = reader->expected - reader->argc;
    if (!argv_reserve(argv, left < most ? left : most))
        return reader_fail(reader, FAULT_MEMORY);
    for (;;) {
        if (reader->stage == READER_AT_HEAD) {
            const char *p = reader_take_whole(reader, limits, input + reader->at, input + len, argv);
            if (p != input + reader->at) {
                reader->at = (size_t)(p - input);
                reader->scanned = 0;
            }
            if (reader->argc == reader->expected)
                return READER_DONE;
            enum reader_status status = reader_parse_bulk_head(reader, limits, input, len);
            if (status != READER_DONE)
                return status;
        }
        enum reader_status status = reader_take_bulk(reader, input, len, argv);
        if (status != READER_DONE)
            return status;
    }
}

enum reader_status reader_parse(
    struct reader *reader, const struct reader_limits *limits, char *input, size_t len, struct argv *argv)
{
    DASSERT(argv->len == reader->first + reader->argc && reader->at <= len);
    if (reader->stage == READER_AT_REQUEST) {
        if (len == 0)
            return READER_PARTIAL;
        if (input[0] != '*')
            return reader_parse_inline(reader, input, len, argv);
        if (!reader_take_count(reader, limits, input, len)) {
            enum reader_status status = reader_parse_count(reader, limits, input, len);
            if (status != READER_DONE || reader->expected == 0)
                return status;
        }
    }
    return reader_parse_bulks(reader, limits, input, len, argv);
}

void reader_move_slices(struct bytes *slices, size_t count, const char *from, size_t len, const char *to)
{
    for (size_t i = 0; i < count; i++) {
        uintptr_t offset = (uintptr_t)slices[i].ptr - (uintptr_t)from;
        if (offset < len)
            slices[i].ptr = to + offset;
    }
}

void reader_add_blob(struct reader *reader, struct argv *argv, struct blob *blob)
{
    ASSERT(reader->stage == READER_AT_BULK && blob->len == reader->bulk_len);
    uint32_t index = reader->argc++;
    reader->blobs = mem_realloc(reader->blobs, (reader->blob_count + 1) * sizeof(*reader->blobs));
    reader->blobs[reader->blob_count++] = (struct reader_blob){ .index = index, .blob = blob };
    /* reader_parse made some, so this fails only if the vector was changed and memory is out. */
    bool has_room = argv_reserve(argv, 1);
    ASSERT(has_room);
    argv->ptr[argv->len++] = blob_bytes(blob);
    reader->stage = READER_AT_BULK_END;
}

void reader_error(const struct reader *reader, char *out)
{
    const char *text = fault_texts[reader->error];
    if (reader->error != FAULT_NOT_BULK) {
        snprintf(out, READER_ERROR_MAX, "Protocol error: %s", text);
        return;
    }
    char c = reader->unexpected;
    snprintf(out, READER_ERROR_MAX, "Protocol error: %s'%c'", text, c == '\0' || c == '\r' || c == '\n' ? ' ' : c);
}

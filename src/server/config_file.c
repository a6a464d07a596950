/*
 * Files and command lines: lines are cut into words, and each line sets a directive.
 *
 * A command line becomes lines of text behind those of the file, as redis-server does it: so there is one reader, and
 * what comes later overrides what came before.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config_priv.h"

static const char bad_directive[] = "Bad directive or wrong number of arguments";

enum { INCLUDE_DEPTH_MAX = 16, READ_SIZE = 16 * 1024 };

/* --- Words --- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Copies what is within quotes; returns what follows the closing one, or NULL if there is none or no space behind it.
 */
static const char *copy_quoted(struct buf *out, const char *at, const char *end, char quote)
{
    while (at < end && *at != quote) {
        size_t used = 1;
        char c = *at;
        if (c == '\\' && at + 1 < end && (quote == '"' || at[1] == '\'')) {
            c = bytes_unescape(bytes_make(at + 1, (size_t)(end - at - 1)), &used);
            at++;
        }
        buf_append_char(out, c);
        at += used;
    }
    if (at == end || (at + 1 < end && !is_space(at[1])))
        return NULL;
    return at + 1;
}

static const char *copy_word(struct buf *out, const char *at, const char *end)
{
    while (at && at < end && !is_space(*at)) {
        if (*at == '"' || *at == '\'')
            return copy_quoted(out, at + 1, end, *at);
        buf_append_char(out, *at++);
    }
    return at;
}

bool config_words_split(struct config_words *words, struct bytes line)
{
    *words = (struct config_words){ 0 };
    /* No word is longer than its source, so the buffer never moves and pointers into it stay. */
    buf_extend(&words->text, line.len + 1);
    buf_clear(&words->text);
    words->items = mem_alloc((line.len / 2 + 1) * sizeof *words->items);
    const char *at = line.len ? line.ptr : "", *end = at + line.len;
    for (;;) {
        while (at < end && is_space(*at))
            at++;
        if (at == end)
            return true;
        size_t start = words->text.len;
        at = copy_word(&words->text, at, end);
        if (!at)
            return false;
        words->items[words->count++] = bytes_make(words->text.ptr + start, words->text.len - start);
    }
}

void config_words_fini(struct config_words *words)
{
    mem_free(words->items);
    buf_fini(&words->text);
}

void config_words_join(const struct config_words *words, size_t first, struct buf *out)
{
    for (size_t i = first; i < words->count; i++) {
        if (i > first)
            buf_append_char(out, ' ');
        buf_append(out, words->items[i]);
    }
}

/* --- Files --- */

static bool read_all(int fd, struct buf *out)
{
    for (;;) {
        char *room = buf_extend(out, READ_SIZE);
        ssize_t len = read(fd, room, READ_SIZE);
        out->len -= READ_SIZE - (len > 0 ? (size_t)len : 0);
        if (len == 0 || (len < 0 && errno != EINTR)) {
            buf_append_cstr(out, "");
            return len == 0;
        }
    }
}

bool config_load_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = read_all(fd, out);
    int code = errno;
    close(fd);
    errno = code;
    return good;
}

/* --- Lines --- */

/* Where in which file the reader is. */
struct config_reader {
    struct config *config;
    const char *file; /* borrowed: of an included one; NULL for what was named first */
    int depth;
    bool save_seen; /* the first `save` of a file replaces the default, the others add to it */
    struct buf *error;
};

static bool read_lines(struct config_reader *reader, struct bytes text);

static bool include_file(struct config_reader *reader, const char *path)
{
    struct buf text = BUF_EMPTY;
    struct config_reader inner = *reader;
    inner.file = path;
    inner.depth++;
    bool good = config_load_file(path, &text);
    if (!good)
        buf_printf(reader->error, "Fatal error, can't open config file '%s': %s", path, strerror(errno));
    good = good && read_lines(&inner, buf_bytes(&text));
    reader->save_seen = inner.save_seen;
    buf_fini(&text);
    return good;
}

/* A pattern that fits nothing includes nothing; a plain path must be there. */
static bool include(struct config_reader *reader, struct bytes pattern)
{
    if (reader->depth >= INCLUDE_DEPTH_MAX) {
        buf_append_cstr(reader->error, "Files are included too deeply");
        return false;
    }
    char *path = bytes_dup_cstr(pattern);
    glob_t found = { 0 };
    bool good = true;
    if (strpbrk(path, "*?[") && glob(path, 0, NULL, &found) != GLOB_NOSPACE) {
        for (size_t i = 0; good && i < found.gl_pathc; i++)
            good = include_file(reader, found.gl_pathv[i]);
        globfree(&found);
    } else
        good = include_file(reader, path);
    mem_free(path);
    return good;
}

static void add_rename(struct config *config, struct bytes from, struct bytes to)
{
    struct config_rename *rename = mem_zalloc(sizeof *rename), **end = &config->renames;
    rename->from = bytes_dup_cstr(from);
    rename->to = bytes_dup_cstr(to);
    while (*end)
        end = &(*end)->next;
    *end = rename;
}

static bool set_save(struct config_reader *reader, const struct config_row *row, struct buf *value)
{
    struct buf whole = BUF_EMPTY;
    if (reader->save_seen && value->len > 0) {
        config_format(reader->config, row, &whole);
        buf_append_char(&whole, ' ');
    }
    buf_append(&whole, buf_bytes(value));
    bool good = config_assign(reader->config, row, buf_bytes(&whole), reader->error);
    reader->save_seen = reader->save_seen || good;
    buf_fini(&whole);
    return good;
}

static bool set_row(struct config_reader *reader, const struct config_row *row, const struct config_words *words)
{
    bool may_be_none = row->check == config_check_bind || row->type == CONFIG_WORDS; /* which tells what it takes */
    if ((words->count < 2 && !may_be_none) || (words->count > 2 && !(row->flags & CONFIG_MULTI))) {
        buf_append_cstr(reader->error, row->flags & CONFIG_FILE_ONLY ? bad_directive : "wrong number of arguments");
        return false;
    }
    struct buf value = BUF_EMPTY;
    config_words_join(words, 1, &value);
    bool good = strcmp(row->name, "save") == 0 ? set_save(reader, row, &value)
                                               : config_assign(reader->config, row, buf_bytes(&value), reader->error);
    buf_fini(&value);
    return good;
}

/* Whether the rules make sense is seen when the users are made. */
static void add_user(struct config *config, const struct config_words *words)
{
    struct buf lines = BUF_EMPTY;
    buf_append_cstr(&lines, config->users ? config->users : "");
    buf_append_cstr(&lines, "user");
    for (size_t i = 1; i < words->count; i++) {
        buf_append_char(&lines, ' ');
        buf_append(&lines, words->items[i]);
    }
    buf_append_char(&lines, '\n');
    mem_free(config->users);
    config->users = mem_strdup(buf_cstr(&lines));
    buf_fini(&lines);
}

static bool read_words(struct config_reader *reader, const struct config_words *words)
{
    struct bytes name = words->items[0];
    if (bytes_is(name, "include") && words->count == 2)
        return include(reader, words->items[1]);
    if (bytes_is(name, "rename-command") && words->count == 3) {
        add_rename(reader->config, words->items[1], words->items[2]);
        return true;
    }
    if (bytes_is(name, "user") && words->count > 1) {
        add_user(reader->config, words);
        return true;
    }
    const struct config_row *row = config_row_find(name);
    if (row)
        return set_row(reader, row, words);
    buf_append_cstr(reader->error, bad_directive);
    return false;
}

/* The line as the error shows it, without a secret. */
static void show_line(struct buf *out, struct bytes line)
{
    struct config_words words;
    config_words_split(&words, line);
    const struct config_row *row = words.count ? config_row_find(words.items[0]) : NULL;
    if (row && row->flags & CONFIG_SECRET)
        buf_printf(out, ">>> '%s \"(hidden)\"'\n", row->name);
    else
        buf_printf(out, ">>> '%.*s'\n", (int)line.len, line.ptr);
    config_words_fini(&words);
}

/* Puts the place before the message. An error inside an included file has its place already. */
static void explain(struct config_reader *reader, size_t number, struct bytes line)
{
    static const char head[] = "\n*** FATAL CONFIG FILE ERROR";
    if (!strncmp(buf_cstr(reader->error), head, sizeof head - 1))
        return;
    struct buf whole = BUF_EMPTY;
    buf_printf(&whole, "%s (Larder %s) ***\n", head, LARDER_VERSION);
    if (reader->file)
        buf_printf(&whole, "Reading the configuration file '%s', at line %zu\n", reader->file, number);
    else
        buf_printf(&whole, "Reading the configuration file, at line %zu\n", number);
    show_line(&whole, line);
    buf_append(&whole, buf_bytes(reader->error));
    buf_fini(reader->error);
    *reader->error = whole;
}

static struct bytes trim(struct bytes line)
{
    while (line.len > 0 && is_space(line.ptr[0]))
        line = bytes_make(line.ptr + 1, line.len - 1);
    while (line.len > 0 && is_space(line.ptr[line.len - 1]))
        line.len--;
    return line;
}

static bool read_line(struct config_reader *reader, struct bytes line)
{
    struct config_words words;
    bool good = config_words_split(&words, line);
    if (!good)
        buf_append_cstr(reader->error, "Unbalanced quotes in configuration line");
    else if (words.count > 0)
        good = read_words(reader, &words);
    config_words_fini(&words);
    return good;
}

static bool read_lines(struct config_reader *reader, struct bytes text)
{
    for (size_t number = 1; text.len > 0; number++) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        struct bytes line = trim(bytes_make(text.ptr, len));
        len += end != NULL;
        text = bytes_make(text.ptr + len, text.len - len);
        if (line.len == 0 || line.ptr[0] == '#')
            continue;
        if (!read_line(reader, line)) {
            explain(reader, number, line);
            return false;
        }
    }
    return true;
}

bool config_read_text(struct config *config, struct bytes text, struct buf *error)
{
    struct config_reader reader = { .config = config, .error = error };
    return read_lines(&reader, text);
}

/* --- The command line --- */

/* Reads the file named first, and remembers its absolute path. */
static bool read_named_file(struct config *config, const char *path, struct buf *text, struct buf *error)
{
    char absolute[PATH_MAX];
    if (config_load_file(path, text) && realpath(path, absolute)) {
        mem_free(config->file);
        config->file = mem_strdup(absolute);
        return true;
    }
    int code = errno;
    bool relative = path[0] != '/' && getcwd(absolute, sizeof absolute);
    buf_printf(error, "Fatal error, can't open config file '%s%s%s': %s", relative ? absolute : "", relative ? "/" : "",
        path, strerror(code));
    return false;
}

static bool is_option(const char *argument)
{
    return argument[0] == '-' && argument[1] == '-';
}

/*
 * Options become lines: --name starts one, everything else is a quoted word of it. What follows a name is its value
 * even if it looks like an option, unless the option brought its value along ("--port 7000" in one argument). Only
 * --save may be without one, which is an empty one.
 */
static void append_options(struct buf *text, int argc, char **argv)
{
    bool wants_value = false;
    for (int i = 0; i < argc; i++) {
        if (wants_value || !is_option(argv[i])) {
            buf_append_quoted(text, bytes_from_cstr(argv[i]));
            wants_value = false;
        } else {
            bool alone = i + 1 == argc || is_option(argv[i + 1]);
            buf_printf(text, "%s%s", i ? "\n" : "", argv[i] + 2);
            wants_value = !strpbrk(argv[i], " \t");
            if (alone && !strcasecmp(argv[i], "--save")) {
                buf_append_cstr(text, " \"\"");
                wants_value = false;
            }
        }
        buf_append_char(text, ' ');
    }
}

static bool read_stdin(struct buf *text, struct buf *error)
{
    if (text->len > 0 && text->ptr[text->len - 1] != '\n')
        buf_append_char(text, '\n');
    if (read_all(STDIN_FILENO, text))
        return true;
    buf_printf(error, "Fatal error, can't read the configuration from standard input: %s", strerror(errno));
    return false;
}

bool config_read_arguments(struct config *config, int argc, char **argv, struct buf *error)
{
    struct buf text = BUF_EMPTY;
    bool good = true;
    if (argc > 0 && argv[0][0] != '-') {
        good = read_named_file(config, argv[0], &text, error);
        argc--;
        argv++;
    }
    bool first = argc > 0 && !strcmp(argv[0], "-"), last = argc > 0 && !first && !strcmp(argv[argc - 1], "-");
    if (good && (first || last))
        good = read_stdin(&text, error);
    argc -= first || last;
    if (first)
        argv++;
    if (argc > 0)
        buf_append_char(&text, '\n');
    append_options(&text, argc, argv);
    good = good && config_read_text(config, buf_bytes(&text), error);
    buf_fini(&text);
    return good;
}

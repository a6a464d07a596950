/*
 * The manifest's text, numbers and names.
 */
#include "persist/aof_manifest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "persist/disk.h"

enum { LINE_MAX_LEN = 1024, MANIFEST_MAX = 16 * 1024 * 1024 };

/* --- The lists --- */

static void add(struct aof_files *files, char *name, uint64_t seq)
{
    if (files->count == files->room) {
        files->room = files->room ? files->room * 2 : 4;
        files->items = mem_realloc(files->items, files->room * sizeof *files->items);
    }
    files->items[files->count++] = (struct aof_file){ name, seq };
}

static void add_first(struct aof_files *files, char *name, uint64_t seq)
{
    add(files, NULL, 0);
    memmove(files->items + 1, files->items, (files->count - 1) * sizeof *files->items);
    files->items[0] = (struct aof_file){ name, seq };
}

static void empty(struct aof_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        mem_free(files->items[i].name);
    mem_free(files->items);
    *files = (struct aof_files){ 0 };
}

void aof_manifest_fini(struct aof_manifest *manifest)
{
    mem_free(manifest->base.name);
    empty(&manifest->increments);
    empty(&manifest->history);
    *manifest = (struct aof_manifest){ 0 };
}

static void copy_files(struct aof_files *to, const struct aof_files *from)
{
    *to = (struct aof_files){ 0 };
    for (size_t i = 0; i < from->count; i++)
        add(to, mem_strdup(from->items[i].name), from->items[i].seq);
}

void aof_manifest_copy(struct aof_manifest *to, const struct aof_manifest *from)
{
    *to = *from;
    to->base.name = from->base.name ? mem_strdup(from->base.name) : NULL;
    copy_files(&to->increments, &from->increments);
    copy_files(&to->history, &from->history);
}

static char *take_text(struct buf *text)
{
    char *name = mem_strdup(buf_cstr(text));
    buf_fini(text);
    return name;
}

const struct aof_file *aof_manifest_add_increment(struct aof_manifest *manifest, const char *file)
{
    struct buf name = BUF_EMPTY;
    uint64_t seq = ++manifest->last_increment_seq;
    buf_printf(&name, "%s.%llu.incr.aof", file, (unsigned long long)seq);
    add(&manifest->increments, take_text(&name), seq);
    return &manifest->increments.items[manifest->increments.count - 1];
}

const struct aof_file *aof_manifest_set_base(struct aof_manifest *manifest, const char *file, bool rdb)
{
    struct buf name = BUF_EMPTY;
    if (manifest->base.name)
        add_first(&manifest->history, manifest->base.name, manifest->base.seq);
    manifest->base.seq = ++manifest->last_base_seq;
    buf_printf(&name, "%s.%llu.base.%s", file, (unsigned long long)manifest->base.seq, rdb ? "rdb" : "aof");
    manifest->base.name = take_text(&name);
    return &manifest->base;
}

void aof_manifest_adopt_base(struct aof_manifest *manifest, const char *file)
{
    manifest->base = (struct aof_file){ mem_strdup(file), 1 };
    manifest->last_base_seq = 1;
}

void aof_manifest_retire(struct aof_manifest *manifest, uint64_t seq)
{
    struct aof_files *files = &manifest->increments;
    size_t kept = 0;
    for (size_t i = files->count; i-- > 0;)
        if (files->items[i].seq < seq)
            add_first(&manifest->history, files->items[i].name, files->items[i].seq);
    for (size_t i = 0; i < files->count; i++)
        if (files->items[i].seq >= seq)
            files->items[kept++] = files->items[i];
    files->count = kept;
}

void aof_manifest_forget_history(struct aof_manifest *manifest)
{
    empty(&manifest->history);
}

/* --- Text --- */

static bool needs_quotes(const char *name)
{
    for (const char *at = name; *at; at++)
        if (isspace((unsigned char)*at) || !isprint((unsigned char)*at) || *at == '"' || *at == '\'' || *at == '\\')
            return true;
    return !name[0] || name[0] == '#';
}

static void format_file(struct buf *out, const struct aof_file *file, char type)
{
    buf_append_cstr(out, "file ");
    if (needs_quotes(file->name))
        buf_append_quoted(out, bytes_from_cstr(file->name));
    else
        buf_append_cstr(out, file->name);
    buf_printf(out, " seq %llu type %c\n", (unsigned long long)file->seq, type);
}

void aof_manifest_format(const struct aof_manifest *manifest, struct buf *out)
{
    if (manifest->base.name)
        format_file(out, &manifest->base, 'b');
    for (size_t i = 0; i < manifest->history.count; i++)
        format_file(out, &manifest->history.items[i], 'h');
    for (size_t i = 0; i < manifest->increments.count; i++)
        format_file(out, &manifest->increments.items[i], 'i');
}

void aof_manifest_name(struct buf *out, const char *file)
{
    buf_printf(out, "%s.manifest", file);
}

/* The next word; 1, or 0 at the end of the line, or -1 if quotes do not match. */
static int next_word(struct bytes line, size_t *at, struct buf *word)
{
    buf_clear(word);
    while (*at < line.len && isspace((unsigned char)line.ptr[*at]))
        ++*at;
    if (*at == line.len)
        return 0;
    char quote = line.ptr[*at] == '"' || line.ptr[*at] == '\'' ? line.ptr[(*at)++] : 0;
    while (*at < line.len && (quote ? line.ptr[*at] != quote : !isspace((unsigned char)line.ptr[*at]))) {
        char c = line.ptr[(*at)++];
        size_t used = 0;
        if (quote == '"' && c == '\\' && *at < line.len)
            c = bytes_unescape(bytes_make(line.ptr + *at, line.len - *at), &used);
        buf_append_char(word, c);
        *at += used;
    }
    if (!quote)
        return 1;
    bool closed = *at < line.len;
    ++*at;
    return closed && (*at >= line.len || isspace((unsigned char)line.ptr[*at])) ? 1 : -1;
}

/* What a line said. */
struct line {
    struct buf name;
    uint64_t seq;
    char type;
    bool has_seq;
};

static const char *parse_pair(struct line *found, const struct buf *key, const struct buf *value)
{
    struct bytes word = buf_bytes(key), content = buf_bytes(value);
    if (bytes_is(word, "file")) {
        if (!content.len || strchr(buf_cstr(value), '/') || strlen(buf_cstr(value)) != content.len)
            return "File can't be a path, just a filename";
        buf_clear(&found->name);
        buf_append(&found->name, content);
    } else if (bytes_is(word, "seq")) {
        if (!num_parse_u64(content, &found->seq))
            return "the sequence number is none";
        found->has_seq = true;
    } else if (bytes_is(word, "type")) {
        if (content.len != 1 || !strchr("bhi", content.ptr[0]))
            return "Unknown AOF file type";
        found->type = content.ptr[0];
    }
    return NULL;
}

static const char *split_line(struct bytes text, struct line *found)
{
    struct buf key = BUF_EMPTY, value = BUF_EMPTY;
    const char *wrong = NULL;
    size_t at = 0;
    int word;
    while (!wrong && (word = next_word(text, &at, &key)) != 0)
        if (word < 0 || next_word(text, &at, &value) != 1)
            wrong = "Invalid AOF manifest file format";
        else
            wrong = parse_pair(found, &key, &value);
    if (!wrong && (!found->name.len || !found->has_seq || !found->type))
        wrong = "Invalid AOF manifest file format";
    buf_fini(&key);
    buf_fini(&value);
    return wrong;
}

static const char *take_line(struct aof_manifest *manifest, struct line *found)
{
    if (found->type == 'b') {
        if (manifest->base.name)
            return "Found duplicate base file information";
        manifest->base = (struct aof_file){ mem_strdup(buf_cstr(&found->name)), found->seq };
        manifest->last_base_seq = found->seq;
    } else if (found->type == 'h') {
        add(&manifest->history, mem_strdup(buf_cstr(&found->name)), found->seq);
    } else {
        if (found->seq <= manifest->last_increment_seq)
            return "Found a non-monotonic sequence number";
        add(&manifest->increments, mem_strdup(buf_cstr(&found->name)), found->seq);
        manifest->last_increment_seq = found->seq;
    }
    return NULL;
}

static const char *parse_line(struct aof_manifest *manifest, struct bytes text)
{
    if (text.len > LINE_MAX_LEN)
        return "The AOF manifest file contains too long line";
    size_t blanks = 0;
    while (blanks < text.len && isspace((unsigned char)text.ptr[blanks]))
        blanks++;
    if (blanks == text.len)
        return "Invalid AOF manifest file format";
    struct line found = { 0 };
    const char *wrong = split_line(text, &found);
    if (!wrong)
        wrong = take_line(manifest, &found);
    buf_fini(&found.name);
    return wrong;
}

bool aof_manifest_parse(struct aof_manifest *manifest, struct bytes text, struct buf *error)
{
    *manifest = (struct aof_manifest){ 0 };
    const char *wrong = text.len ? NULL : "Found an empty AOF manifest";
    size_t at = 0, number = 0;
    while (!wrong && at < text.len) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
        number++;
        if (!end)
            wrong = "The AOF manifest file contains too long line";
        else if (text.ptr[at] != '#')
            wrong = parse_line(manifest, bytes_make(text.ptr + at, len));
        at += len + 1;
    }
    if (!wrong)
        return true;
    aof_manifest_fini(manifest);
    buf_printf(error, "%s, line %zu", wrong, number);
    return false;
}

/* --- Files --- */

bool aof_manifest_store(const struct aof_manifest *manifest, const char *directory, const char *file)
{
    struct buf text = BUF_EMPTY, name = BUF_EMPTY;
    aof_manifest_format(manifest, &text);
    aof_manifest_name(&name, file);
    bool good = disk_replace(directory, buf_cstr(&name), buf_bytes(&text));
    int reason = errno;
    buf_fini(&text);
    buf_fini(&name);
    errno = reason;
    return good;
}

static bool read_whole(int fd, struct buf *out)
{
    char piece[16384];
    ssize_t n;
    while ((n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        buf_append(out, bytes_make(piece, (size_t)n));
        if (out->len > MANIFEST_MAX) {
            errno = EFBIG;
            return false;
        }
    }
    return true;
}

bool aof_manifest_load(
    struct aof_manifest *manifest, const char *directory, const char *file, bool *found, struct buf *error)
{
    *manifest = (struct aof_manifest){ 0 };
    struct buf path = BUF_EMPTY, name = BUF_EMPTY, text = BUF_EMPTY;
    aof_manifest_name(&name, file);
    disk_append_path(&path, directory, buf_cstr(&name));
    int fd = open(buf_cstr(&path), O_RDONLY | O_CLOEXEC);
    bool missing = fd < 0 && (errno == ENOENT || errno == ENOTDIR);
    bool good = missing || (fd >= 0 && read_whole(fd, &text));
    if (!good)
        buf_printf(error, "Can't read the AOF manifest file %s: %s", buf_cstr(&path), strerror(errno));
    else if (!missing) {
        struct buf reason = BUF_EMPTY;
        good = aof_manifest_parse(manifest, buf_bytes(&text), &reason);
        if (!good)
            buf_printf(error, "Error reading the AOF manifest file %s: %s", buf_cstr(&path), buf_cstr(&reason));
        buf_fini(&reason);
    }
    if (fd >= 0)
        close(fd);
    *found = !missing;
    buf_fini(&path);
    buf_fini(&name);
    buf_fini(&text);
    return good;
}

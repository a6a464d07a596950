/*
 * --check-aof: reads a file, or all files that a manifest names, as loading would, executes nothing of it, says what is
 * in it and up to which byte it is whole; and with --fix cuts the rest off, of the last file only: whatever is cut off
 * elsewhere would be missing in the middle.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aof_priv.h"
#include "persist/aof_reader.h"
#include "persist/disk.h"
#include "persist/source.h"
#include "store/keyspace.h"

enum { DATABASES = 1 << 16 };

struct findings {
    uint64_t size, whole; /* bytes: in all, and up to where everything is right */
    uint64_t keys, commands;
    int64_t timestamp;
    bool in_rdb;     /* what is wrong is in the RDB part, of which nothing can be cut off */
    char wrong[256]; /* "": nothing is */
};

static bool read_rdb(int fd, struct findings *found)
{
    struct source source;
    struct rdb_loaded loaded;
    struct rdb_error error;
    struct rdb_load load = { .keep_expired = true, .checksum = true, .discard = true };
    struct keyspace *keyspace = keyspace_create(DATABASES);
    source_init_fd(&source, fd);
    bool good = rdb_load(&source, keyspace, &load, &loaded, &error);
    source_fini(&source);
    keyspace_destroy(keyspace);
    found->keys = loaded.keys;
    found->whole = good ? loaded.bytes : 0;
    found->in_rdb = !good;
    if (!good)
        snprintf(found->wrong, sizeof found->wrong, "[offset %llu] RDB part: %s", (unsigned long long)error.offset,
            error.text);
    return good;
}

static void read_commands(int fd, struct findings *found)
{
    struct aof_reader reader;
    bool in_multi = false;
    enum aof_read read;
    aof_reader_init(&reader, fd, found->whole);
    while ((read = aof_reader_next(&reader)) == AOF_READ_COMMAND) {
        if (bytes_is(reader.argv[0], "MULTI"))
            in_multi = true;
        else if (bytes_is(reader.argv[0], "EXEC"))
            in_multi = false;
        else
            found->commands++;
        if (!in_multi)
            found->whole = reader.next;
    }
    const char *what = read == AOF_READ_TRUNCATED   ? "the file ends in the midst of a command"
                       : read == AOF_READ_BAD       ? "what stands here is no command"
                       : read == AOF_READ_FAILED    ? strerror(errno)
                       : read == AOF_READ_NO_MEMORY ? "a command is too large for the memory"
                       : in_multi                   ? "the file ends between MULTI and EXEC"
                                                    : NULL;
    if (what)
        snprintf(found->wrong, sizeof found->wrong, "[offset %llu] %s", (unsigned long long)reader.offset, what);
    else
        found->whole = reader.next;
    found->timestamp = reader.timestamp;
    aof_reader_fini(&reader);
}

static bool examine(const char *path, struct findings *found)
{
    struct stat facts;
    char magic[5];
    *found = (struct findings){ 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        printf("Cannot open file %s: %s\n", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    found->size = (uint64_t)facts.st_size;
    bool has_rdb = pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic && memcmp(magic, "REDIS", 5) == 0;
    if (has_rdb)
        printf("The AOF appears to start with an RDB preamble.\n");
    if (!has_rdb || read_rdb(fd, found))
        read_commands(fd, found);
    close(fd);
    return true;
}

static bool cut_off(const char *path, const struct findings *found)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && ftruncate(fd, (off_t)found->whole) == 0 && fsync(fd) == 0;
    if (good)
        printf("Successfully truncated AOF %s: %llu bytes were cut off\n", path,
            (unsigned long long)(found->size - found->whole));
    else
        printf("Failed to truncate AOF %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return good;
}

/* True if the file is whole, or is now. */
static bool check_one(const char *path, const char *kind, bool is_last, bool fix)
{
    struct findings found;
    printf("Start checking %s %s\n", kind, path);
    if (!examine(path, &found))
        return false;
    if (found.wrong[0])
        printf("%s\n", found.wrong);
    printf("AOF analyzed: filename=%s, size=%llu, ok_up_to=%llu, diff=%llu\n", path, (unsigned long long)found.size,
        (unsigned long long)found.whole, (unsigned long long)(found.size - found.whole));
    printf("[info] %llu keys in the RDB part, %llu commands", (unsigned long long)found.keys,
        (unsigned long long)found.commands);
    if (found.timestamp)
        printf(", the last timestamp is %lld", (long long)found.timestamp);
    printf("\n");
    if (!found.wrong[0]) {
        printf("%s %s is valid\n", kind, path);
        return true;
    }
    printf("%s %s is not valid.\n", kind, path);
    if (found.in_rdb)
        printf("An RDB part cannot be repaired by cutting it off.\n");
    else if (!is_last)
        printf("Only the last file may be cut off: behind this one there is another.\n");
    else if (!fix)
        printf("Use the --fix option to cut off what is behind byte %llu.\n", (unsigned long long)found.whole);
    return fix && is_last && !found.in_rdb && cut_off(path, &found);
}

static bool has_bytes(const char *directory, const char *name)
{
    struct buf path = BUF_EMPTY;
    struct stat facts;
    disk_append_path(&path, directory, name);
    bool yes = stat(buf_cstr(&path), &facts) != 0 || facts.st_size > 0;
    buf_fini(&path);
    return yes;
}

static bool check_member(const char *directory, const char *name, const char *kind, bool is_last, bool fix)
{
    struct buf path = BUF_EMPTY;
    disk_append_path(&path, directory, name);
    bool good = check_one(buf_cstr(&path), kind, is_last, fix);
    buf_fini(&path);
    return good;
}

static bool check_members(const struct aof_manifest *manifest, const char *directory, bool fix)
{
    const struct aof_files *files = &manifest->increments;
    size_t last = files->count; /* behind which there are only empty ones */
    while (last && !has_bytes(directory, files->items[last - 1].name))
        last--;
    bool good = true;
    if (manifest->base.name)
        good = check_member(directory, manifest->base.name, "BASE AOF", last == 0, fix);
    for (size_t i = 0; good && i < files->count; i++)
        good = check_member(directory, files->items[i].name, "INCR AOF", i + 1 >= last, fix);
    return good;
}

static bool check_manifest(const char *path, size_t file_len, bool fix)
{
    const char *slash = strrchr(path, '/');
    struct buf directory = BUF_EMPTY, file = BUF_EMPTY, error = BUF_EMPTY;
    struct aof_manifest manifest;
    bool found;
    size_t skip = slash ? (size_t)(slash - path) + 1 : 0;
    buf_append(&directory, slash == path ? BYTES("/") : bytes_make(path, skip ? skip - 1 : 0));
    buf_append(&file, bytes_make(path + skip, file_len - skip));
    printf("Start checking Multi Part AOF\n");
    bool good = aof_manifest_load(&manifest, buf_cstr(&directory), buf_cstr(&file), &found, &error);
    if (!good)
        printf("%s\n", buf_cstr(&error));
    else if (!found)
        printf("Cannot open file %s: %s\n", path, strerror(ENOENT));
    good = good && found && check_members(&manifest, buf_cstr(&directory), fix);
    if (good)
        printf("All AOF files and manifest are valid\n");
    aof_manifest_fini(&manifest);
    buf_fini(&directory);
    buf_fini(&file);
    buf_fini(&error);
    return good;
}

int aof_check_file(const char *path, bool fix)
{
    static const char suffix[] = ".manifest";
    size_t len = strlen(path), tail = sizeof suffix - 1;
    bool is_manifest = len > tail && strcmp(path + len - tail, suffix) == 0;
    bool good = is_manifest ? check_manifest(path, len - tail, fix) : check_one(path, "Old-Style AOF", true, fix);
    return good ? 0 : 1;
}

/*
 * --check-rdb: reads a file as loading would, keeps nothing of it, and says what is in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "persist/source.h"
#include "server_priv.h"
#include "store/entry.h"
#include "store/keyspace.h"

enum { DATABASES = 1 << 16 };

static void print_aux(void *context, struct bytes name, struct bytes value)
{
    (void)context;
    printf("[info] %.*s = '%.*s'\n", (int)name.len, name.ptr, (int)value.len, value.ptr);
}

static void print_found(const struct rdb_loaded *loaded)
{
    printf("[info] %llu keys read\n", (unsigned long long)loaded->keys);
    printf("[info] %llu of them expire\n", (unsigned long long)loaded->with_expiry);
    for (int type = 0; type < ENTRY_TYPES; type++)
        if (loaded->by_type[type])
            printf("[info] %llu of type %s\n", (unsigned long long)loaded->by_type[type],
                entry_type_name((enum entry_type)type));
}

static void print_error(const struct rdb_loaded *loaded, const struct rdb_error *error)
{
    printf("--- RDB ERROR DETECTED ---\n[offset %llu] %s\n", (unsigned long long)error->offset, error->text);
    if (loaded->last_key.len) {
        struct buf name = BUF_EMPTY;
        buf_append_quoted(&name, loaded->last_key);
        printf("[info] The key that was read last: %s\n", buf_cstr(&name));
        buf_fini(&name);
    }
    printf("[info] Everything before that can be read: see below.\n");
}

int saves_check_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "Cannot open file %s: %s\n", path, strerror(errno));
        return 1;
    }
    struct source source;
    struct rdb_loaded loaded;
    struct rdb_error error;
    struct rdb_load load = { .keep_expired = true, .checksum = true, .discard = true, .aux = print_aux };
    struct keyspace *keyspace = keyspace_create(DATABASES);
    source_init_fd(&source, fd);
    printf("[offset 0] Checking RDB file %s\n", path);
    bool good = rdb_load(&source, keyspace, &load, &loaded, &error);
    uint64_t left = source_left(&source);
    if (!good)
        print_error(&loaded, &error);
    else
        printf("[offset %llu] %s\n", (unsigned long long)loaded.bytes,
            loaded.has_checksum ? "Checksum OK" : "The file has no checksum");
    if (good && left)
        printf("[offset %llu] %llu bytes follow that are no part of the RDB\n", (unsigned long long)loaded.bytes,
            (unsigned long long)left);
    if (good)
        printf("[offset %llu] \\o/ RDB looks OK! \\o/\n", (unsigned long long)loaded.bytes);
    if (loaded.version)
        printf("[info] RDB version %d\n", loaded.version);
    print_found(&loaded);
    source_fini(&source);
    keyspace_destroy(keyspace);
    close(fd);
    return good ? 0 : 1;
}

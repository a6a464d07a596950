/*
 * Loading an append-only file: base and increments in the manifest's order, executed by a session of the server's own.
 *
 * While it runs clients are answered LOADING. Time stands still: what expires is deleted by its own command, or after
 * the end. A transaction is executed when its EXEC has come; one that has none at the end of the file never was.
 *
 * The last file may end in the midst of a command or of a transaction, as a crash leaves it: with aof-load-truncated
 * that end is cut off, and it counts as the last file if only empty ones follow. Anything else that is wrong ends the
 * start, with the place in the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aof_priv.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "engine/propagate.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "persist/aof_reader.h"
#include "persist/disk.h"
#include "persist/source.h"
#include "store/keyspace.h"

enum { PROGRESS_BYTES = 256 * 1024, HINT_MAX = 128 };

/* A transaction's commands, as they were read. */
struct queue {
    struct buf text; /* the arguments' bytes, one behind the other */
    size_t *lengths; /* owned: per command the number of arguments, and then the length of each */
    size_t count, room;
    bool open;
};

struct load {
    struct server *server;
    struct session *session;
    const char *name; /* borrowed: the file under way */
    uint64_t before;  /* bytes of the files before it */
    uint64_t told;    /* at which progress was told last, in all */
    uint64_t commands, failed;
    uint64_t multi_offset; /* where the transaction under way began */
    struct queue queue;
    bool quiet; /* within a command: nobody can be served meanwhile */
};

enum outcome { LOADED, EMPTY_FILE, TRUNCATED, FAILED };

/* --- Commands --- */

static void tell_failure(struct load *load, const struct bytes *argv, uint64_t offset)
{
    if (++load->failed > 10)
        return;
    struct buf text = BUF_EMPTY;
    buf_append_quoted(&text, bytes_make(argv[0].ptr, argv[0].len < HINT_MAX ? argv[0].len : HINT_MAX));
    log_write(LOG_WARNING, "The command %s at byte %llu of %s was answered with an error while loading",
        buf_cstr(&text), (unsigned long long)offset, load->name);
    buf_fini(&text);
}

static bool fail_unknown(struct load *load, struct bytes name, uint64_t offset)
{
    struct buf text = BUF_EMPTY;
    buf_append_quoted(&text, bytes_make(name.ptr, name.len < HINT_MAX ? name.len : HINT_MAX));
    log_write(LOG_WARNING, "Unknown command %s reading the append only file %s, at byte %llu", buf_cstr(&text),
        load->name, (unsigned long long)offset);
    buf_fini(&text);
    return false;
}

static bool select_db(struct load *load, const struct bytes *argv, uint32_t argc)
{
    int64_t index;
    struct db *db = argc == 2 && num_parse_i64(argv[1], &index) ? keyspace_db(load->server->keyspace, index) : NULL;
    if (db)
        load->session->db = db;
    return db != NULL;
}

static bool run(struct load *load, const struct bytes *argv, uint32_t argc, uint64_t offset)
{
    struct engine *engine = load->server->engine;
    if (!command_resolve(engine->registry, argv, argc))
        return fail_unknown(load, argv[0], offset);
    load->commands++;
    bool good = bytes_is(argv[0], "SELECT") ? select_db(load, argv, argc) : engine_replay(load->session, argv, argc);
    output_fini(load->session->out);
    output_init(load->session->out);
    if (!good)
        tell_failure(load, argv, offset);
    return true;
}

/* --- Transactions --- */

static void queue_number(struct queue *queue, size_t number)
{
    if (queue->count == queue->room) {
        queue->room = queue->room ? queue->room * 2 : 64;
        queue->lengths = mem_realloc(queue->lengths, queue->room * sizeof *queue->lengths);
    }
    queue->lengths[queue->count++] = number;
}

static void queue_command(struct queue *queue, const struct bytes *argv, uint32_t argc)
{
    queue_number(queue, argc);
    for (uint32_t i = 0; i < argc; i++) {
        queue_number(queue, argv[i].len);
        buf_append(&queue->text, argv[i]);
    }
}

static void queue_empty(struct queue *queue)
{
    buf_clear(&queue->text);
    queue->count = 0;
    queue->open = false;
}

static bool run_queue(struct load *load)
{
    struct queue *queue = &load->queue;
    const char *text = queue->text.ptr;
    struct bytes *argv = NULL;
    bool good = true;
    for (size_t at = 0; good && at < queue->count;) {
        size_t argc = queue->lengths[at++];
        argv = mem_realloc(argv, argc * sizeof *argv);
        for (size_t i = 0; i < argc; i++) {
            argv[i] = bytes_make(text ? text : "", queue->lengths[at++]);
            text = text ? text + argv[i].len : text;
        }
        good = run(load, argv, (uint32_t)argc, load->multi_offset);
    }
    mem_free(argv);
    queue_empty(queue);
    return good;
}

static bool take_command(struct load *load, const struct aof_reader *reader)
{
    struct bytes name = reader->argv[0];
    if (bytes_is(name, "MULTI")) {
        queue_empty(&load->queue);
        load->queue.open = true;
        load->multi_offset = reader->offset;
        return true;
    }
    if (bytes_is(name, "EXEC"))
        return run_queue(load);
    if (load->queue.open) {
        queue_command(&load->queue, reader->argv, reader->argc);
        return true;
    }
    return run(load, reader->argv, reader->argc, reader->offset);
}

/* --- Files --- */

static bool tell_progress(struct load *load, uint64_t offset)
{
    if (load->quiet || load->before + offset - load->told < PROGRESS_BYTES)
        return true;
    load->told = load->before + offset;
    return saves_load_progress(load->server, load->told);
}

static enum outcome fail_bad(const struct load *load, const struct aof_reader *reader)
{
    log_write(LOG_WARNING,
        "Bad file format reading the append only file %s, at byte %llu: make a backup of your AOF file, then use "
        "larder-server --check-aof <the manifest> --fix",
        load->name, (unsigned long long)reader->offset);
    return FAILED;
}

static enum outcome read_commands(struct load *load, struct aof_reader *reader)
{
    for (;;) {
        enum aof_read read = aof_reader_next(reader);
        if (read == AOF_READ_COMMAND) {
            if (!take_command(load, reader) || !tell_progress(load, reader->next))
                return FAILED;
            continue;
        }
        if (read == AOF_READ_END && !load->queue.open)
            return LOADED;
        if (read == AOF_READ_END || read == AOF_READ_TRUNCATED)
            return TRUNCATED;
        if (read == AOF_READ_BAD)
            return fail_bad(load, reader);
        log_write(LOG_WARNING, "Unrecoverable error reading the append only file %s, at byte %llu: %s", load->name,
            (unsigned long long)reader->offset, strerror(read == AOF_READ_NO_MEMORY ? ENOMEM : errno));
        return FAILED;
    }
}

static bool on_progress(void *context, const struct rdb_progress *progress)
{
    return tell_progress(context, progress->bytes);
}

/* The file begins as an RDB file: *bytes is how much of it that is. */
static bool load_rdb(struct load *load, int fd, uint64_t *bytes)
{
    struct server *server = load->server;
    struct source source;
    struct rdb_loaded loaded;
    struct rdb_error error;
    struct rdb_load options = { .now_ms = clock_wall_ms(),
        .keep_expired = true,
        .checksum = server->config.rdbchecksum,
        .extras = &server->saves->extras,
        .progress = on_progress,
        .context = load };
    log_write(LOG_NOTICE, "Reading RDB base file on AOF loading...");
    rdb_extras_fini(&server->saves->extras);
    source_init_fd(&source, fd);
    bool good = rdb_load(&source, server->keyspace, &options, &loaded, &error);
    source_fini(&source);
    *bytes = loaded.bytes;
    if (!good && !server->shutting_down)
        log_write(LOG_WARNING, "Error reading the RDB part of the AOF file %s, at byte %llu: %s", load->name,
            (unsigned long long)error.offset, error.text);
    return good;
}

static enum outcome load_open_file(struct load *load, int fd, uint64_t *whole)
{
    char magic[5];
    uint64_t begin = 0;
    load->session->db = keyspace_db(load->server->keyspace, 0);
    ssize_t head = pread(fd, magic, sizeof magic, 0);
    if (head == 0)
        return EMPTY_FILE;
    if (head == (ssize_t)sizeof magic && memcmp(magic, "REDIS", sizeof magic) == 0 && !load_rdb(load, fd, &begin))
        return FAILED;
    struct aof_reader reader;
    aof_reader_init(&reader, fd, begin);
    enum outcome outcome = read_commands(load, &reader);
    *whole = load->queue.open ? load->multi_offset : reader.offset;
    if (load->queue.open && outcome == TRUNCATED)
        log_write(LOG_WARNING, "Revert incomplete MULTI/EXEC transaction from AOF file %s", load->name);
    queue_empty(&load->queue);
    aof_reader_fini(&reader);
    return outcome;
}

/* The end of a file is no whole command: cut off, if that may be. */
static bool accept_truncated(struct load *load, const char *path, uint64_t whole, bool is_last)
{
    if (!is_last) {
        log_write(LOG_WARNING,
            "Fatal error: the truncated file %s is not the last file; what is whole of it ends at byte %llu", path,
            (unsigned long long)whole);
        return false;
    }
    if (!load->server->config.aof_load_truncated) {
        log_write(LOG_WARNING,
            "Unexpected end of file reading the append only file %s, behind byte %llu. You can: 1) Make a backup of "
            "your AOF file, then use larder-server --check-aof <the manifest> --fix. 2) Alternatively you can set the "
            "'aof-load-truncated' configuration option to yes and restart the server.",
            path, (unsigned long long)whole);
        return false;
    }
    log_write(LOG_WARNING, "!!! Warning: short read while loading the AOF file %s!!!", path);
    log_write(LOG_WARNING, "Truncating the AOF %s at offset %llu", path, (unsigned long long)whole);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && ftruncate(fd, (off_t)whole) == 0 && fsync(fd) == 0;
    if (!good)
        log_write(LOG_WARNING, "Error truncating the AOF file %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (good)
        log_write(LOG_WARNING, "AOF %s loaded anyway because aof-load-truncated is enabled", path);
    return good;
}

static bool load_file(struct load *load, const char *name, bool is_last)
{
    struct server *server = load->server;
    struct buf path = BUF_EMPTY;
    aof_path(server, name, &path);
    load->name = buf_cstr(&path);
    uint64_t size = aof_file_size(server, name), whole = 0;
    int fd = open(load->name, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0;
    if (!good) {
        log_write(
            LOG_WARNING, "Fatal error: can't open the append log file %s for reading: %s", load->name, strerror(errno));
    } else {
        uint64_t began_ns = clock_mono_ns();
        enum outcome outcome = load_open_file(load, fd, &whole);
        close(fd);
        good = outcome != FAILED && (outcome != TRUNCATED || accept_truncated(load, load->name, whole, is_last));
        if (good)
            log_write(
                LOG_NOTICE, "DB loaded from file %s: %.3f seconds", name, (double)(clock_mono_ns() - began_ns) / 1e9);
    }
    load->before += size;
    buf_fini(&path);
    return good;
}

static bool is_last_with_bytes(struct server *server, size_t index)
{
    const struct aof_files *files = &server->aof->manifest.increments;
    for (size_t i = index; i < files->count; i++)
        if (aof_file_size(server, files->items[i].name))
            return false;
    return true;
}

static uint64_t sum_sizes(struct server *server)
{
    const struct aof_manifest *manifest = &server->aof->manifest;
    uint64_t sum = manifest->base.name ? aof_file_size(server, manifest->base.name) : 0;
    for (size_t i = 0; i < manifest->increments.count; i++)
        sum += aof_file_size(server, manifest->increments.items[i].name);
    return sum;
}

static bool load_all(struct server *server, bool quiet)
{
    const struct aof_manifest *manifest = &server->aof->manifest;
    struct output out;
    output_init(&out);
    struct load load = { .server = server, .quiet = quiet };
    load.session = session_create(server->engine, &out, &session_no_transport, NULL);
    session_hide(load.session);
    bool good = !manifest->base.name || load_file(&load, manifest->base.name, is_last_with_bytes(server, 0));
    for (size_t i = 0; good && i < manifest->increments.count; i++)
        good = load_file(&load, manifest->increments.items[i].name, is_last_with_bytes(server, i + 1));
    session_destroy(load.session);
    output_fini(&out);
    buf_fini(&load.queue.text);
    mem_free(load.queue.lengths);
    server->keyspace->stats.dirty = 0;
    if (load.failed)
        log_write(LOG_WARNING, "%llu of %llu commands of the append-only file were answered with an error",
            (unsigned long long)load.failed, (unsigned long long)load.commands);
    return good;
}

/* --- Files from before Redis 7 --- */

static bool exists(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0;
}

/*
 * A single file in the working directory becomes the base, if there is nothing yet; or if the manifest says already
 * that it is to, and the machine stopped before it was moved.
 */
static bool is_old(struct server *server)
{
    const struct aof_manifest *manifest = &server->aof->manifest;
    const char *file = server->config.appendfilename;
    if (!exists(file))
        return false;
    if (!manifest->base.name && !manifest->increments.count)
        return true;
    struct buf path = BUF_EMPTY;
    aof_path(server, file, &path);
    bool moved = exists(buf_cstr(&path));
    buf_fini(&path);
    return manifest->base.name && !manifest->increments.count && strcmp(manifest->base.name, file) == 0 && !moved;
}

static bool upgrade(struct server *server)
{
    struct aof_manifest *manifest = &server->aof->manifest;
    const char *directory = server->config.appenddirname, *file = server->config.appendfilename;
    log_write(LOG_NOTICE, "The AOF file %s is of the old kind; it moves to the directory %s", file, directory);
    if (!manifest->base.name)
        aof_manifest_adopt_base(manifest, file);
    struct buf path = BUF_EMPTY;
    aof_path(server, file, &path);
    bool good = (mkdir(directory, 0755) == 0 || errno == EEXIST) && aof_manifest_store(manifest, directory, file) &&
                rename(file, buf_cstr(&path)) == 0 && disk_sync_directory(directory) && disk_sync_directory("");
    if (!good)
        log_write(LOG_WARNING, "Error moving the old AOF file %s into %s: %s", file, directory, strerror(errno));
    buf_fini(&path);
    return good;
}

bool aof_load(struct server *server, bool *found)
{
    const struct aof_manifest *manifest = &server->aof->manifest;
    if (is_old(server) && !upgrade(server))
        return false;
    *found = manifest->base.name || manifest->increments.count;
    if (!*found)
        return true;
    saves_load_begin(server, sum_sizes(server));
    bool good = load_all(server, false);
    saves_load_end(server);
    if (server->shutting_down)
        log_write(LOG_WARNING, "Received shutdown signal during loading, exiting now.");
    else if (!good)
        log_write(LOG_WARNING, "Fatal error loading the append-only file. Exiting.");
    return good;
}

/* What was written while it was on is what the directory says by now; numbers are given from there on. */
static void read_manifest_again(struct server *server)
{
    struct aof_manifest fresh;
    struct buf error = BUF_EMPTY;
    bool found;
    if (aof_manifest_load(&fresh, server->config.appenddirname, server->config.appendfilename, &found, &error)) {
        aof_manifest_fini(&server->aof->manifest);
        server->aof->manifest = fresh;
    }
    buf_fini(&error);
}

bool aof_reload(struct server *server)
{
    struct engine *engine = server->engine;
    if (server->aof->state == AOF_OFF && server->aof->stage == REWRITE_NONE)
        read_manifest_again(server);
    if (server->aof->state == AOF_ON && !aof_flush(server, true))
        return false;
    struct propagation *propagation = engine->propagation;
    engine->propagation = NULL;
    for (int i = 0; i < server->keyspace->db_count; i++)
        keyspace_flush(server->keyspace, server->keyspace->dbs[i]);
    bool good = load_all(server, true);
    engine->propagation = propagation;
    return good;
}

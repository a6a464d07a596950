/*
 * Tests of the append-only file's parts: manifests there and back and broken ones; commands read from files that were
 * cut at every byte; a log whose disk is full, and one that has a writer.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/check.h"
#include "base/blob.h"
#include "base/mem.h"
#include "persist/aof_log.h"
#include "persist/aof_manifest.h"
#include "persist/aof_reader.h"
#include "persist/worker.h"

static int temporary_file(struct bytes content)
{
    int fd = open(P_tmpdir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, content.ptr, content.len), (ssize_t)content.len);
    return fd;
}

/* --- Manifests --- */

static const char manifest_text[] = "file a.aof.3.base.rdb seq 3 type b\n"
                                    "file \"old \\x01\\\"name.aof\" seq 2 type h\n"
                                    "file a.aof.6.incr.aof seq 6 type i\n"
                                    "file a.aof.7.incr.aof seq 7 type i\n";

Test(aof_manifest, there_and_back)
{
    struct aof_manifest manifest, copy;
    struct buf error = BUF_EMPTY, text = BUF_EMPTY;
    cr_assert(aof_manifest_parse(&manifest, bytes_from_cstr(manifest_text), &error));
    cr_assert_str_eq(manifest.base.name, "a.aof.3.base.rdb");
    cr_assert_str_eq(manifest.history.items[0].name, "old \x01\"name.aof");
    cr_assert_eq(manifest.increments.count, 2);
    aof_manifest_copy(&copy, &manifest);
    aof_manifest_fini(&manifest);
    aof_manifest_format(&copy, &text);
    cr_assert_str_eq(buf_cstr(&text), manifest_text);
    aof_manifest_fini(&copy);
    buf_fini(&text);
    buf_fini(&error);
}

Test(aof_manifest, comments_and_unknown_pairs_are_passed_over)
{
    struct aof_manifest manifest;
    struct buf error = BUF_EMPTY;
    const char *text = "# a comment\nfile x seq 1 type i startoffset 7\n";
    cr_assert(aof_manifest_parse(&manifest, bytes_from_cstr(text), &error));
    cr_assert_eq(manifest.increments.count, 1);
    aof_manifest_fini(&manifest);
}

Test(aof_manifest, broken_ones_are_refused)
{
    static const char *const texts[] = { "", "\n", "file x seq 1\n", "file x seq 1 type i", "file x seq y type i\n",
        "file x seq 1 type q\n", "file a/b seq 1 type i\n", "file x seq 1 type b\nfile y seq 2 type b\n",
        "file x seq 2 type i\nfile y seq 2 type i\n", "file \"x seq 1 type i\n", "file \"x\"y seq 1 type i\n",
        "file x seq 1 type i more\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct aof_manifest manifest;
        struct buf error = BUF_EMPTY;
        cr_assert_not(aof_manifest_parse(&manifest, bytes_from_cstr(texts[i]), &error), "%s", texts[i]);
        cr_assert(error.len && !manifest.base.name && !manifest.increments.count);
        buf_fini(&error);
    }
}

Test(aof_manifest, lines_of_every_length)
{
    enum { LINE_MAX_LEN = 1024 };
    for (size_t len = LINE_MAX_LEN - 2; len <= LINE_MAX_LEN + 2; len++) {
        struct aof_manifest manifest;
        struct buf error = BUF_EMPTY, text = BUF_EMPTY;
        buf_append_cstr(&text, "file x seq 1 type i");
        while (text.len < len)
            buf_append_char(&text, ' ');
        buf_append_char(&text, '\n');
        bool fine = aof_manifest_parse(&manifest, buf_bytes(&text), &error);
        cr_expect_eq(fine, len <= LINE_MAX_LEN, "%zu", len);
        cr_expect(fine || strstr(buf_cstr(&error), "too long line"));
        if (fine)
            aof_manifest_fini(&manifest);
        buf_fini(&error);
        buf_fini(&text);
    }
}

Test(aof_manifest, quoted_words)
{
    static const struct {
        const char *text, *name;
    } cases[] = { { "\"a\\n\\r\\t\\b\\a\\q\\\\\"", "a\n\r\t\b\aq\\" }, { "\"\\x4a\\X4a\\xz1\"", "JX4axz1" },
        { "\"\\xAf\\x4\"", "\xafx4" }, { "'a\\n\"'", "a\\n\"" }, { "a\"b", "a\"b" }, { "\"a\\", NULL },
        { "\"\"", NULL }, { "''", NULL }, { "'a", NULL }, { "'a'b", NULL }, { "\"a\\\"", NULL }, { "\"\\x00\"", NULL },
        { "\"a\\x2fb\"", NULL } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct aof_manifest manifest;
        struct buf error = BUF_EMPTY, text = BUF_EMPTY;
        buf_printf(&text, "file %s seq 1 type b\n", cases[i].text);
        bool fine = aof_manifest_parse(&manifest, buf_bytes(&text), &error);
        cr_expect_eq(fine, cases[i].name != NULL, "%s: %s", cases[i].text, buf_cstr(&error));
        if (fine && cases[i].name)
            cr_expect_str_eq(manifest.base.name, cases[i].name);
        if (fine)
            aof_manifest_fini(&manifest);
        buf_fini(&error);
        buf_fini(&text);
    }
}

Test(aof_manifest, files_that_cannot_be_one)
{
    char directory[] = P_tmpdir "/manifest-XXXXXX";
    struct aof_manifest manifest;
    struct buf error = BUF_EMPTY, path = BUF_EMPTY;
    bool found = true;
    cr_assert(mkdtemp(directory));
    cr_assert(aof_manifest_load(&manifest, directory, "a", &found, &error) && !found, "there is none");
    buf_printf(&path, "%s/a.manifest", directory);
    cr_assert_eq(mkdir(buf_cstr(&path), 0700), 0);
    cr_assert_not(aof_manifest_load(&manifest, directory, "a", &found, &error));
    cr_assert(
        strstr(buf_cstr(&error), "Can't read the AOF manifest file") && strstr(buf_cstr(&error), strerror(EISDIR)));
    cr_assert_eq(rmdir(buf_cstr(&path)), 0);
    int fd = open(buf_cstr(&path), O_WRONLY | O_CREAT, 0600);
    cr_assert_eq(ftruncate(fd, (off_t)1 << 30), 0);
    close(fd);
    buf_clear(&error);
    cr_assert_not(aof_manifest_load(&manifest, directory, "a", &found, &error));
    cr_assert(strstr(buf_cstr(&error), strerror(EFBIG)), "%s", buf_cstr(&error));
    unlink(buf_cstr(&path));
    rmdir(directory);
    buf_fini(&error);
    buf_fini(&path);
}

Test(aof_manifest, a_rewrite_gives_new_numbers_and_retires_the_old_ones)
{
    struct aof_manifest manifest = { 0 };
    cr_assert_str_eq(aof_manifest_set_base(&manifest, "f", true)->name, "f.1.base.rdb");
    cr_assert_str_eq(aof_manifest_add_increment(&manifest, "f")->name, "f.1.incr.aof");
    cr_assert_str_eq(aof_manifest_add_increment(&manifest, "f")->name, "f.2.incr.aof");
    cr_assert_str_eq(aof_manifest_set_base(&manifest, "f", false)->name, "f.2.base.aof");
    aof_manifest_retire(&manifest, 2);
    cr_assert_eq(manifest.history.count, 2);
    cr_assert_str_eq(manifest.history.items[0].name, "f.1.incr.aof");
    cr_assert_str_eq(manifest.history.items[1].name, "f.1.base.rdb");
    cr_assert_eq(manifest.increments.count, 1);
    cr_assert_eq(manifest.increments.items[0].seq, 2);
    aof_manifest_forget_history(&manifest);
    cr_assert_eq(manifest.history.count, 0);
    aof_manifest_fini(&manifest);
}

/* --- Reading --- */

static const char commands[] = "#TS:1700000000\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\nv\r\n*\r\n"
                               "*1\r\n$0\r\n\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n";

/* Behind which bytes something is whole. */
static const size_t ends[] = { 0, 16, 46, 56, sizeof commands - 1 };

Test(aof_reader, every_length)
{
    for (size_t len = 0; len < sizeof commands; len++) {
        int fd = temporary_file(bytes_make(commands, len));
        struct aof_reader reader;
        enum aof_read read;
        size_t whole = 0, count = 0;
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
            whole = ends[i] <= len ? ends[i] : whole;
        aof_reader_init(&reader, fd, 0);
        while ((read = aof_reader_next(&reader)) == AOF_READ_COMMAND)
            count++;
        cr_assert_eq(read, whole == len ? AOF_READ_END : AOF_READ_TRUNCATED, "length %zu: %d", len, read);
        cr_assert_eq(reader.offset, whole, "length %zu: %zu", len, (size_t)reader.offset);
        cr_assert_eq(count, len >= ends[4] ? 3u : len >= ends[3] ? 2u : len >= ends[2] ? 1u : 0u);
        cr_assert_eq(reader.timestamp, len >= ends[1] ? 1700000000 : 0);
        aof_reader_fini(&reader);
        close(fd);
    }
}

Test(aof_reader, any_other_byte_in_a_head_is_bad)
{
    static const size_t heads[] = { 0, 1, 2, 3, 4, 5, 6, 7, 11, 12 };
    static const char text[] = "*1\r\n$3\r\nGET\r\n";
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        for (int byte = 0; byte < 256; byte++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[heads[i]] = (char)byte;
            if (changed[heads[i]] == text[heads[i]] || (byte >= '0' && byte <= '9') || byte == '#')
                continue;
            int fd = temporary_file(bytes_make(changed, sizeof text - 1));
            struct aof_reader reader;
            aof_reader_init(&reader, fd, 0);
            cr_assert_eq(aof_reader_next(&reader), AOF_READ_BAD, "byte %d at %zu", byte, heads[i]);
            cr_assert_eq(reader.offset, 0);
            aof_reader_fini(&reader);
            close(fd);
        }
}

Test(aof_reader, large_arguments)
{
    enum { LARGE = 5 * 1024 * 1024 };
    struct buf text = BUF_EMPTY;
    for (int i = 0; i < 3; i++) {
        buf_printf(&text, "*2\r\n$1\r\nx\r\n$%d\r\n", LARGE + i);
        memset(buf_extend(&text, (size_t)(LARGE + i)), 'a' + i, (size_t)(LARGE + i));
        buf_append_cstr(&text, "\r\n*1\r\n$1\r\ny\r\n");
    }
    int fd = temporary_file(buf_bytes(&text));
    struct aof_reader reader;
    aof_reader_init(&reader, fd, 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(aof_reader_next(&reader), AOF_READ_COMMAND);
        cr_assert_eq(reader.argv[1].len, (size_t)(LARGE + i));
        cr_assert_eq(reader.argv[1].ptr[LARGE - 1], 'a' + i);
        cr_assert_eq(aof_reader_next(&reader), AOF_READ_COMMAND);
        cr_assert(bytes_equal(reader.argv[0], BYTES("y")));
    }
    cr_assert_eq(aof_reader_next(&reader), AOF_READ_END);
    aof_reader_fini(&reader);
    close(fd);
    buf_fini(&text);
}

/* --- Writing --- */

static void append(struct aof_log *log, char byte, size_t len)
{
    memset(aof_log_extend(log, len), byte, len);
}

static bool write_all(struct aof_log *log)
{
    return aof_log_write(log, pieces_len(&log->text));
}

static off_t size_of(int fd)
{
    struct stat facts;
    cr_assert_eq(fstat(fd, &facts), 0);
    return facts.st_size;
}

Test(aof_log, what_a_full_disk_left_is_cut_off_and_written_later)
{
    struct worker *worker = worker_create();
    struct aof_log log;
    aof_log_init(&log);
    int fd = temporary_file(BYTES(""));
    fcntl(fd, F_SETFL, O_APPEND);
    cr_assert_eq(aof_log_switch(&log, fd, 0, worker), -1);
    append(&log, 'a', 1000);
    cr_assert(write_all(&log) && aof_log_waiting(&log) == 0 && log.size == 1000);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { 1500, RLIM_INFINITY };
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    append(&log, 'b', 1000);
    aof_log_reserve(&log);
    cr_assert_not(write_all(&log));
    cr_assert_eq(errno, EFBIG);
    cr_assert(aof_log_waiting(&log) == 1000 && log.size == 1000 && size_of(fd) == 1000);
    append(&log, 'c', 10);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_assert(write_all(&log) && size_of(fd) == 2010);
    char text[2010];
    cr_assert_eq(pread(fd, text, sizeof text, 0), 2010);
    cr_assert(text[999] == 'a' && text[1000] == 'b' && text[1999] == 'b' && text[2009] == 'c');
    aof_log_fini(&log, worker);
    worker_destroy(worker);
}

/* What the file holds is as many letters as `counts` says, 'a' first. */
static void check_letters(int fd, const size_t *counts, size_t letters)
{
    off_t at = 0;
    for (size_t i = 0; i < letters; i++) {
        char *text = mem_alloc(counts[i]);
        cr_assert_eq(pread(fd, text, counts[i], at), (ssize_t)counts[i]);
        for (size_t j = 0; j < counts[i]; j++)
            REQUIRE(text[j] == (char)('a' + i));
        at += (off_t)counts[i];
        mem_free(text);
    }
    cr_assert_eq(size_of(fd), at);
}

static int written_later(struct aof_log *log)
{
    int error = -1;
    aof_log_wait(log);
    cr_assert(aof_log_poll_write(log, &error) && !aof_log_is_writing(log));
    return error;
}

Test(aof_log, long_units_are_for_the_writer)
{
    enum { LONG = 3 * 1024 * 1024 };
    struct worker *worker = worker_create();
    struct aof_log log;
    struct blob *blob = blob_create(LONG);
    blob->len = LONG;
    memset(blob->data, 'b', LONG);
    aof_log_init(&log);
    int fd = temporary_file(BYTES(""));
    fcntl(fd, F_SETFL, O_APPEND);
    aof_log_switch(&log, fd, 0, worker);
    append(&log, 'a', 100);
    aof_log_begin_long(&log);
    pieces_append_blob(&log.text, blob, blob_bytes(blob));
    aof_log_begin_long(&log);
    append(&log, 'c', 200);
    cr_assert(log.has_long && log.before_long == 100);
    cr_assert(aof_log_write(&log, log.before_long) && log.size == 100 && log.before_long == 0);
    aof_log_write_later(&log);
    cr_assert(aof_log_is_writing(&log) && !log.has_long && log.size == 100);
    append(&log, 'd', 300);
    cr_assert(aof_log_waiting(&log) == LONG + 500 && aof_log_end(&log) == LONG + 600);
    cr_assert_eq(written_later(&log), 0);
    cr_assert(log.size == LONG + 300 && aof_log_waiting(&log) == 300 && !blob_is_shared(blob));
    cr_assert(write_all(&log));
    check_letters(fd, (size_t[]){ 100, LONG, 200, 300 }, 4);
    blob_unref(blob);
    aof_log_fini(&log, worker);
    worker_destroy(worker);
}

Test(aof_log, what_the_writer_cannot_write_is_cut_off_and_written_later)
{
    enum { LONG = 3 * 1024 * 1024 };
    struct worker *worker = worker_create();
    struct aof_log log;
    aof_log_init(&log);
    int fd = temporary_file(BYTES(""));
    fcntl(fd, F_SETFL, O_APPEND);
    aof_log_switch(&log, fd, 0, worker);
    append(&log, 'a', 1000);
    cr_assert(write_all(&log));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = { LONG / 2, RLIM_INFINITY };
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    aof_log_begin_long(&log);
    append(&log, 'b', 100);
    append(&log, 'b', LONG);
    aof_log_write_later(&log);
    append(&log, 'c', 10);
    cr_assert_eq(written_later(&log), EFBIG);
    cr_assert(log.size == 1000 && size_of(fd) == 1000 && aof_log_waiting(&log) == LONG + 110 && log.has_long);
    limit.rlim_cur = RLIM_INFINITY;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    aof_log_write_later(&log);
    cr_assert_eq(written_later(&log), 0);
    check_letters(fd, (size_t[]){ 1000, LONG + 100, 10 }, 3);
    append(&log, 'd', 1);
    aof_log_begin_long(&log);
    aof_log_write_later(&log); /* and nobody asks for it */
    aof_log_fini(&log, worker);
    worker_destroy(worker);
}

static void count_call(void *context)
{
    (*(int *)context)++;
}

Test(aof_log, synchronising_by_the_worker)
{
    struct worker *worker = worker_create();
    struct aof_log log;
    int error, told = 0;
    uint64_t took_ns = 0;
    aof_log_init(&log);
    log.synced_later = count_call;
    log.context = &told;
    int fd = temporary_file(BYTES(""));
    aof_log_switch(&log, fd, 0, worker);
    append(&log, 'a', 100000);
    aof_log_reserve(&log);
    cr_assert(write_all(&log) && log.synced == 0);
    cr_assert_eq(size_of(fd), 100000);
    aof_log_sync_later(&log, worker);
    cr_assert(aof_log_is_syncing(&log));
    append(&log, 'b', 1);
    cr_assert(write_all(&log));
    worker_drain(worker);
    cr_assert(aof_log_poll(&log, &error, &took_ns) && error == 0 && took_ns > 0 && told == 1);
    cr_assert_eq(log.synced, 100000, "what came later does not count");
    cr_assert(aof_log_sync(&log) && log.synced == 100001);
    aof_log_fini(&log, worker);
    worker_destroy(worker);
}

/* A pipe cannot be synchronised. The file that comes next is, but what was in the one before may be lost. */
Test(aof_log, a_file_that_was_not_synchronised_at_its_end)
{
    enum { BY_POLL, BY_SYNC, UNDER_WAY, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct worker *worker = worker_create();
        struct aof_log log;
        int error, both[2];
        uint64_t took_ns;
        cr_assert_eq(pipe(both), 0);
        aof_log_init(&log);
        aof_log_switch(&log, both[1], 0, worker);
        append(&log, 'a', 100);
        cr_assert(write_all(&log));
        if (way == UNDER_WAY)
            aof_log_sync_later(&log, worker);
        int old = aof_log_switch(&log, temporary_file(BYTES("")), 0, worker);
        cr_assert_eq(old, both[1]);
        aof_log_part(&log, old, way != UNDER_WAY, worker);
        append(&log, 'b', 50);
        cr_assert(write_all(&log));
        worker_drain(worker);
        if (way == BY_SYNC)
            cr_assert(!aof_log_sync(&log) && errno == EINVAL);
        else
            cr_assert(aof_log_poll(&log, &error, &took_ns) && error == EINVAL);
        cr_assert(!aof_log_poll(&log, &error, &took_ns), "told once");
        cr_assert(aof_log_sync(&log) && log.sync_failed && log.synced == 0, "nobody knows what is there");
        aof_log_fini(&log, worker);
        worker_destroy(worker);
        close(both[0]);
    }
}

static void hold(void *argument)
{
    while (!atomic_load((atomic_bool *)argument))
        usleep(100);
}

Test(aof_log, waiting_for_the_worker_but_not_for_long)
{
    struct worker *worker = worker_create();
    struct aof_log log;
    atomic_bool goes_on = false;
    int error, told = 0;
    uint64_t took_ns;
    aof_log_init(&log);
    log.synced_later = count_call;
    log.context = &told;
    int fd = temporary_file(BYTES(""));
    aof_log_switch(&log, fd, 0, worker);
    append(&log, 'a', 1000);
    cr_assert(write_all(&log));
    worker_submit(worker, hold, &goes_on);
    aof_log_sync_later(&log, worker);
    cr_assert_not(aof_log_await_sync(&log, 1000000));
    cr_assert_not(aof_log_poll(&log, &error, &took_ns));
    atomic_store(&goes_on, true);
    worker_drain(worker);
    cr_assert(aof_log_await_sync(&log, 1), "it is done already");
    cr_assert(aof_log_poll(&log, &error, &took_ns) && !error && told == 1 && log.synced == 1000);
    for (int i = 0; i < 1000; i++) {
        append(&log, 'b', 1);
        cr_assert(write_all(&log));
        told = 0;
        aof_log_sync_later(&log, worker);
        if (aof_log_await_sync(&log, i % 2 ? 10000000000 : i * 100))
            cr_assert(aof_log_poll(&log, &error, &took_ns) && log.synced == 1001 + (size_t)i);
        worker_drain(worker);
        if (log.is_syncing)
            cr_assert(aof_log_poll(&log, &error, &took_ns) && told == 1, "who does not wait is told");
    }
    aof_log_fini(&log, worker);
    worker_destroy(worker);
}

static void count(void *argument)
{
    ++*(int *)argument;
}

Test(worker, does_everything_in_the_end)
{
    struct worker *worker = worker_create();
    int counted = 0;
    for (int i = 0; i < 1000; i++)
        worker_submit(worker, count, &counted);
    worker_drain(worker);
    cr_assert_eq(counted, 1000);
    for (int i = 0; i < 1000; i++)
        worker_submit(worker, count, &counted);
    worker_destroy(worker);
    cr_assert_eq(counted, 2000);
}

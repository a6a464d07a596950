/*
 * DEBUG: what tests and engineers need to look inside, or to bring about what otherwise takes patience.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base/assert.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/mem_tune.h"
#include "base/num.h"
#include "cmd/payload.h"
#include "engine/aside.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "persist/sink.h"
#include "server/digest.h"
#include "server_priv.h"
#include "store/evict.h"
#include "store/keyspace.h"
#include "store/list.h"
#include "store/settings.h"
#include "store/string.h"
#include "store/value.h"

/* --- Looking inside --- */

static struct entry *peek(struct call *call, uint32_t index)
{
    struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, index), call->now_ms);
    if (!entry)
        reply_fail(call->reply, ERROR_NO_SUCH_KEY);
    return entry;
}

static bool count_only(struct sink *sink, const void *ptr, size_t len)
{
    (void)sink, (void)ptr, (void)len;
    return true;
}

/* The bytes that the value takes in a file: what DUMP answers without its type, version and checksum. */
static uint64_t serialized_len(const struct entry *entry)
{
    enum { COUNT_BUFFER = 4096, AROUND = 1 + 2 + 8 };
    struct sink sink;
    sink_init(&sink, COUNT_BUFFER, count_only);
    bool good = rdb_dump_to(&sink, entry) && sink_flush(&sink);
    uint64_t len = sink.written;
    sink_fini(&sink);
    return good && len > AROUND ? len - AROUND : 0;
}

static void run_object(struct call *call)
{
    const struct entry *entry = peek(call, 2);
    if (!entry || call_aside_everywhere(call, payload_items(entry, call->now_ms)))
        return;
    struct buf text = BUF_EMPTY;
    buf_printf(&text, "Value at:%p refcount:1 encoding:%s serializedlength:%llu lru:%u lru_seconds_idle:%u",
        (const void *)entry, entry_encoding_name(entry), (unsigned long long)serialized_len(entry), entry->clock,
        (unsigned)evict_idle_s(call->keyspace, entry, call->now_ms));
    struct list_nodes nodes = list_nodes(entry);
    if (nodes.count)
        buf_printf(&text,
            " ql_nodes:%zu ql_avg_node:%.2f ql_listpack_max:%lld ql_compressed:%d ql_uncompressed_size:%zu",
            nodes.count, (double)list_len(entry) / (double)nodes.count,
            (long long)call->keyspace->settings->list_max_listpack_size, nodes.depth > 0, nodes.bytes);
    buf_printf(&text, " memory:%zu", entry_memory(entry));
    reply_status(call->reply, buf_bytes(&text));
    buf_fini(&text);
}

static void reply_digest(struct call *call, const struct digest *digest)
{
    char hex[DIGEST_HEX_LEN];
    digest_format(digest, hex);
    reply_status(call->reply, bytes_make(hex, sizeof hex));
}

struct items {
    const struct call *call;
    size_t count;
};

static void add_items(void *context, uint64_t *slot)
{
    struct items *items = context;
    items->count += 1 + payload_items(table_slot_item(slot), items->call->now_ms);
}

/* How much a digest of everything looks at, as far as that matters. */
static size_t count_items(const struct call *call)
{
    struct items items = { call, 0 };
    for (int i = 0; i < call->keyspace->db_count; i++) {
        uint64_t cursor = 0;
        do
            cursor = table_scan(&call->keyspace->dbs[i]->table, cursor, add_items, &items);
        while (cursor && items.count < CALL_AT_ONCE);
    }
    return items.count;
}

static void run_digest(struct call *call)
{
    if (call_aside_everywhere(call, count_items(call)))
        return;
    struct digest digest = { 0 };
    for (int i = 0; i < call->keyspace->db_count; i++)
        digest_add_db(&digest, call->keyspace->dbs[i], call->now_ms);
    reply_digest(call, &digest);
}

static void run_digest_value(struct call *call)
{
    size_t items = call->argc;
    for (uint32_t i = 2; i < call->argc && items < CALL_AT_ONCE; i++) {
        const struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, i), call->now_ms);
        items += entry ? payload_items(entry, call->now_ms) : 0;
    }
    if (call_aside_everywhere(call, items))
        return;
    reply_array(call->reply, call->argc - 2);
    for (uint32_t i = 2; i < call->argc; i++) {
        const struct entry *entry = keyspace_peek(call->keyspace, call->db, call_key(call, i), call->now_ms);
        struct digest digest = { 0 };
        if (entry)
            digest_add_value(&digest, entry);
        reply_digest(call, &digest);
    }
}

static void tell_table(struct buf *out, const struct table *table)
{
    buf_append_cstr(out, "Hash table 0 stats (main hash table):\n");
    if (!table->count) {
        buf_append_cstr(out, "No stats available for empty dictionaries\n");
        return;
    }
    buf_printf(out, " table size: %zu\n number of elements: %zu\n", table->buckets * TABLE_SLOTS, table->count);
    buf_printf(out, " buckets: %zu\n overflow buckets: %zu\n max chain length (buckets): %u\n", table->buckets,
        table->overflow_buckets, table->longest_chain);
    buf_printf(out, " overhead: %zu bytes, %.2f per element\n", table_overhead_bytes(table),
        (double)table_overhead_bytes(table) / (double)table->count);
}

static void run_htstats(struct call *call)
{
    int64_t index;
    if (!call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &index))
        return;
    const struct db *db = keyspace_db(call->keyspace, index);
    if (!db) {
        reply_error(call->reply, BYTES("ERR Out of range database"));
        return;
    }
    struct buf out = BUF_EMPTY;
    buf_append_cstr(&out, "[Dictionary HT]\n");
    tell_table(&out, &db->table);
    buf_printf(&out, "[Expires HT]\n number of elements: %zu (marked in the table above)\n", db->expires);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

static void run_htstats_key(struct call *call)
{
    const struct entry *entry = peek(call, 2);
    if (!entry)
        return;
    const struct table *table = value_table(entry);
    if (!table) {
        reply_error(
            call->reply, BYTES("ERR The value stored at the specified key is not represented using an hash table"));
        return;
    }
    struct buf out = BUF_EMPTY;
    tell_table(&out, table);
    reply_verbatim(call->reply, "txt", buf_bytes(&out));
    buf_fini(&out);
}

/* Key and value stand in one allocation, with nothing to spare. */
static void run_sdslen(struct call *call)
{
    const struct entry *entry = peek(call, 2);
    if (!entry)
        return;
    struct string_scratch scratch;
    struct bytes text = entry->type == ENTRY_STRING ? string_view(entry, &scratch) : BYTES("");
    if (entry->type != ENTRY_STRING || !strcmp(entry_encoding_name(entry), "int")) {
        reply_error(call->reply, BYTES("ERR Not an sds encoded string."));
        return;
    }
    struct buf out = BUF_EMPTY;
    buf_printf(&out,
        "key_sds_len:%zu, key_sds_avail:0, key_zmalloc: %zu, val_sds_len:%zu, val_sds_avail:0, val_zmalloc: %zu",
        entry_key(entry).len, entry_memory(entry), text.len, entry_memory(entry));
    reply_status(call->reply, buf_bytes(&out));
    buf_fini(&out);
}

static void run_config_rewrite_all(struct call *call)
{
    const struct config *config = &server_of(call)->config;
    struct buf error = BUF_EMPTY;
    if (!config->file)
        buf_append_cstr(&error, "The server is running without a config file");
    if (config->file && config_rewrite(config, true, &error))
        reply_ok(call->reply);
    else
        reply_error_printf(call->reply, "ERR CONFIG-REWRITE-FORCE-ALL failed: %s", buf_cstr(&error));
    buf_fini(&error);
}

static void run_structsize(struct call *call)
{
    char text[128];
    int len = snprintf(text, sizeof text, "bits:%d entry:%zu bucket:%zu session:%zu", (int)(sizeof(void *) * 8),
        sizeof(struct entry), sizeof(struct table_bucket), sizeof(struct session));
    reply_status(call->reply, bytes_make(text, (size_t)len));
}

static void collect_complaint(void *context, const char *what)
{
    buf_printf(context, "%s\n", what);
}

/* Ours: every invariant of the whole keyspace. */
static void run_check(struct call *call)
{
    struct buf complaints = BUF_EMPTY;
    if (keyspace_check(call->keyspace, collect_complaint, &complaints) == 0)
        reply_ok(call->reply);
    else
        reply_error_printf(call->reply, "ERR invariants are broken: %.512s", buf_cstr(&complaints));
    buf_fini(&complaints);
}

/* --- Bringing things about --- */

static void run_sleep(struct call *call)
{
    double seconds;
    if (!num_parse_double(call->argv[2], &seconds) || seconds < 0 || seconds > 3600)
        seconds = 0;
    double whole = floor(seconds);
    struct timespec pause = { .tv_sec = (time_t)whole, .tv_nsec = (long)((seconds - whole) * 1e9) };
    nanosleep(&pause, NULL);
    reply_ok(call->reply);
}

/* Ours: only the walk stops. Expired keys and fields go when they are met, as ever. */
static void run_expire_walk(struct call *call)
{
    server_of(call)->expiry.active = !bytes_equal(call->argv[2], BYTES("0"));
    reply_ok(call->reply);
}

static void run_set_active_expire(struct call *call)
{
    bool active = !bytes_equal(call->argv[2], BYTES("0"));
    server_of(call)->expiry.active = active;
    call->keyspace->keeps_parts = !active;
    reply_ok(call->reply);
}

static void run_skip_checksums(struct call *call)
{
    call->engine->trusts_payloads = !bytes_equal(call->argv[2], BYTES("0"));
    reply_ok(call->reply);
}

static void run_aof_flush_sleep(struct call *call)
{
    enum { MOST_US = 10000000 };
    int64_t us;
    if (!call_arg_i64(call, 2, 0, MOST_US, NULL, &us))
        return;
    server_of(call)->aof->dawdle_us = (uint32_t)us;
    reply_ok(call->reply);
}

static void run_pause_cron(struct call *call)
{
    struct server *server = server_of(call);
    server->cron_paused = !bytes_equal(call->argv[2], BYTES("0"));
    if (!server->cron_paused && server->shutdown_waits) {
        server->shutdown_waits = false;
        server_shutdown_on_signal(server);
    }
    reply_ok(call->reply);
}

/* Matches a pattern with so many letters A: for how long that takes. */
static void run_stringmatch_len(struct call *call)
{
    int64_t len;
    if (!call_arg_i64(call, 2, 0, (int64_t)call->engine->settings->bulk_max, NULL, &len))
        return;
    char *text = arena_try_alloc(call->arena, (size_t)len + 1);
    if (!text) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    memset(text, 'A', (size_t)len);
    glob_match(call->argv[3], bytes_make(text, (size_t)len));
    reply_status(call->reply, BYTES("Apparently Redis did not crash: test passed"));
}

/* How many allocations were moved. */
static void run_defrag(struct call *call)
{
    reply_int(call->reply, (int64_t)defrag_whole(server_of(call)));
}

/* Answers how many were left. */
static void run_task_steps(struct call *call)
{
    uint64_t *steps = &call->engine->task_steps;
    int64_t left = *steps == UINT64_MAX ? -1 : (int64_t)*steps, count = left;
    if (call->argc > 2 && !call_arg_i64(call, 2, -1, INT64_MAX, NULL, &count))
        return;
    *steps = count < 0 ? UINT64_MAX : (uint64_t)count;
    reply_int(call->reply, left);
}

/* Stores "value:<i>", cut or padded with zero bytes to `size` bytes if that is above 0, unless the key exists. */
static void populate_one(struct call *call, struct bytes prefix, int64_t i, int64_t size, struct buf *key, char *value)
{
    buf_clear(key);
    buf_append(key, prefix);
    buf_printf(key, ":%lld", (long long)i);
    struct key k = key_make(buf_bytes(key));
    if (keyspace_peek(call->keyspace, call->db, k, call->now_ms))
        return;
    char text[32];
    size_t text_len = (size_t)snprintf(text, sizeof text, "value:%lld", (long long)i);
    size_t len = size > 0 ? (size_t)size : text_len;
    if (size > 0) {
        memset(value, 0, len);
        memcpy(value, text, text_len < len ? text_len : len);
    }
    keyspace_set_string(
        call->keyspace, call->db, k, bytes_make(size > 0 ? value : text, len), EXPIRY_NONE, call->now_ms);
}

static void run_populate(struct call *call)
{
    int64_t count, size = 0;
    const char *range = "ERR value is out of range, must be positive";
    if (!call_arg_i64(call, 2, 0, INT64_MAX, range, &count) ||
        (call->argc >= 5 && !call_arg_i64(call, 4, 0, (int64_t)call->engine->settings->bulk_max, range, &size)))
        return;
    struct bytes prefix = call->argc >= 4 ? call->argv[3] : BYTES("key");
    char *value = arena_try_alloc(call->arena, (size_t)size + 1);
    if (!value) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    struct buf key = BUF_EMPTY;
    for (int64_t i = 0; i < count; i++)
        populate_one(call, prefix, i, size, &key, value);
    buf_fini(&key);
    reply_ok(call->reply);
}

static void run_log(struct call *call)
{
    struct buf text = BUF_EMPTY;
    for (uint32_t i = 2; i < call->argc; i++)
        buf_append_quoted(&text, call->argv[i]);
    log_write(LOG_WARNING, "DEBUG LOG: %s", buf_cstr(&text));
    buf_fini(&text);
    reply_ok(call->reply);
}

static void run_reload(struct call *call)
{
    bool save = true, flush = true;
    for (uint32_t i = 2; i < call->argc; i++) {
        bool merge = call_arg_is(call, i, "MERGE"), no_flush = call_arg_is(call, i, "NOFLUSH");
        if (call_arg_is(call, i, "NOSAVE")) {
            save = false;
        } else if (merge || no_flush) { /* what is in the file replaces what has the same name */
            flush = false;
        } else {
            reply_error(call->reply, BYTES("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options."));
            return;
        }
    }
    struct server *server = server_of(call);
    if (save && !saves_now(server))
        reply_error(call->reply, BYTES("ERR"));
    else if (saves_reload(server, flush))
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR Error trying to load the RDB dump, check server logs."));
}

static void run_load_aof(struct call *call)
{
    struct server *server = server_of(call);
    const struct aof_manifest *manifest = &server->aof->manifest;
    if (server->aof->state == AOF_OFF && !manifest->base.name && !manifest->increments.count)
        reply_error(call->reply, BYTES("ERR The append-only file is off"));
    else if (aof_reload(server))
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR Error trying to load the AOF files, check server logs."));
}

static void run_error(struct call *call)
{
    reply_error(call->reply, call->argv[2]);
}

static void run_change_repl_id(struct call *call)
{
    log_write(LOG_NOTICE, "Changing replication IDs after receiving change-repl-id");
    random_hex(server_of(call)->run_id, 40);
    reply_ok(call->reply);
}

/* Bugs on request: each ends the process as a real one of its kind would. */
static void run_assert(struct call *call)
{
    ASSERT(call == NULL && "asked for by DEBUG ASSERT");
}

static void run_panic(struct call *call)
{
    (void)call;
    log_write(LOG_WARNING, "=== PANIC === asked for by DEBUG PANIC, at %s:%d", __FILE__, __LINE__);
    abort();
}

static void run_segfault(struct call *call)
{
    (void)call;
    char *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page != MAP_FAILED)
        *(volatile char *)page = 1;
    raise(SIGSEGV);
}

/* A table grows and shrinks by one bucket at a time: there is no resizing to hold back. Sizes of keys are counted
 * when they are asked for, or by a walk: no command keeps count of them, and so none can do it wrongly. */
static void run_accepted_number(struct call *call)
{
    int64_t allowed;
    if (call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &allowed))
        reply_ok(call->reply);
}

/* The reply buffer shrinks by itself here: nothing waits, nothing is held. Both forms are read and have nothing to
 * change. */
static void run_replybuffer(struct call *call)
{
    bool peak = call_arg_is(call, 2, "PEAK-RESET-TIME"), resizing = call_arg_is(call, 2, "RESIZING");
    int64_t value;
    if (!peak && !resizing) {
        call_fail_subcommand(call);
        return;
    }
    if (resizing || call_arg_is(call, 3, "NEVER") || call_arg_is(call, 3, "RESET") ||
        call_arg_i64(call, 3, 0, INT64_MAX, NULL, &value))
        reply_ok(call->reply);
}

/* Read and accepted: an element that is larger than a node may be always has a node of its own. */
static void run_quicklist_packed_threshold(struct call *call)
{
    uint64_t bytes;
    if (num_parse_memory(call->argv[2], &bytes) && bytes <= UINT32_MAX)
        reply_ok(call->reply);
    else
        reply_error(call->reply, BYTES("ERR argument must be a memory value bigger than 1 and smaller than 4gb"));
}

static void reply_errno(struct call *call, int reason)
{
    reply_error_printf(call->reply, "ERR %s", strerror(reason));
}

static void run_mallctl(struct call *call)
{
    int64_t value, old;
    if (call->argc == 4 && !call_arg_i64(call, 3, INT64_MIN, INT64_MAX, NULL, &value))
        return;
    char *name = bytes_dup_cstr(call->argv[2]);
    int failed = mem_tune(name, call->argc == 4 ? &value : NULL, &old);
    mem_free(name);
    if (failed)
        reply_errno(call, failed);
    else
        reply_int(call->reply, old);
}

/* "VOID" does what has no value. Texts are not set. */
static void run_mallctl_str(struct call *call)
{
    const char *text = NULL;
    bool acts = call->argc == 4 && call_arg_is(call, 3, "VOID");
    char *name = bytes_dup_cstr(call->argv[2]);
    int failed = acts ? mem_tune_act(name) : call->argc == 4 ? EPERM : mem_tune_text(name, &text);
    mem_free(name);
    if (failed)
        reply_errno(call, failed);
    else if (acts)
        reply_ok(call->reply);
    else
        reply_bulk_cstr(call->reply, text ? text : "");
}

/* Tells the log how the value is kept, if it is kept in that form. */
static void describe(struct call *call, const char *encoding, const char *title)
{
    const struct entry *entry = peek(call, 2);
    if (!entry)
        return;
    const char *name = entry_encoding_name(entry); /* a listpack with deadlines has a name of its own */
    if (strcmp(name, encoding) != 0 && (strcmp(name, "listpackex") != 0 || strcmp(encoding, "listpack") != 0)) {
        reply_error_printf(call->reply, "ERR Not a %s encoded object.", encoding);
        return;
    }
    log_write(LOG_NOTICE, "%s of %s: %zu bytes with its key", title, entry_type_name((enum entry_type)entry->type),
        entry_memory(entry));
    char text[64];
    int len = snprintf(text, sizeof text, "%s structure printed on stdout", title);
    reply_status(call->reply, bytes_make(text, (size_t)len));
}

static void run_listpack(struct call *call)
{
    describe(call, "listpack", "Listpack");
}

static void run_quicklist(struct call *call)
{
    describe(call, "quicklist", "Quicklist");
}

/* --- A reply of each type --- */

static void protocol_map(struct call *call)
{
    reply_map(call->reply, 3);
    for (int i = 0; i < 3; i++) {
        reply_int(call->reply, i);
        reply_bool(call->reply, i == 1);
    }
}

static void protocol_attribute(struct call *call)
{
    if (call->reply->proto > 2) {
        reply_attribute(call->reply, 1);
        reply_bulk(call->reply, BYTES("key-popularity"));
        reply_array(call->reply, 2);
        reply_bulk(call->reply, BYTES("key:123"));
        reply_int(call->reply, 90);
    }
    reply_bulk(call->reply, BYTES("Some real reply following the attribute"));
}

static void protocol_push(struct call *call)
{
    if (call->reply->proto < 3) {
        reply_error(call->reply, BYTES("ERR RESP2 is not supported by this command"));
        return;
    }
    reply_push(call->reply, 2);
    reply_bulk(call->reply, BYTES("server-cpu-usage"));
    reply_int(call->reply, 42);
    reply_bulk(call->reply, BYTES("Some real reply following the push reply"));
}

static void three_integers(struct call *call)
{
    for (int i = 0; i < 3; i++)
        reply_int(call->reply, i);
}

static void run_protocol(struct call *call)
{
    struct bytes type = call->argv[2];
    if (bytes_is(type, "string"))
        reply_bulk(call->reply, BYTES("Hello World"));
    else if (bytes_is(type, "integer"))
        reply_int(call->reply, 12345);
    else if (bytes_is(type, "double"))
        reply_double(call->reply, 3.141);
    else if (bytes_is(type, "bignum"))
        reply_bignum(call->reply, BYTES("1234567999999999999999999999999999999"));
    else if (bytes_is(type, "null"))
        reply_null(call->reply);
    else if (bytes_is(type, "array")) {
        reply_array(call->reply, 3);
        three_integers(call);
    } else if (bytes_is(type, "set")) {
        reply_set(call->reply, 3);
        three_integers(call);
    } else if (bytes_is(type, "map"))
        protocol_map(call);
    else if (bytes_is(type, "attrib"))
        protocol_attribute(call);
    else if (bytes_is(type, "push"))
        protocol_push(call);
    else if (bytes_is(type, "verbatim"))
        reply_verbatim(call->reply, "txt", BYTES("This is a verbatim\nstring"));
    else if (bytes_is(type, "true") || bytes_is(type, "false"))
        reply_bool(call->reply, bytes_is(type, "true"));
    else
        reply_error(
            call->reply, BYTES("ERR Wrong protocol type name. Please use one of the following: "
                               "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"));
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "AOF-FLUSH-SLEEP <microsec>",
        "    Make each write of the append-only file so much slower.",
        "ASSERT, PANIC, SEGFAULT",
        "    Crash the server.",
        "CHANGE-REPL-ID",
        "    Take a new run ID.",
        "CHECK",
        "    Check every invariant of the keyspace.",
        "CONFIG-REWRITE-FORCE-ALL",
        "    Like CONFIG REWRITE, but write also what has its default.",
        "DEFRAG",
        "    Move everything at once that can be moved out of sparse memory. Answers how many allocations moved.",
        "DICT-RESIZING <0|1>",
        "    Accepted; a table grows and shrinks a bucket at a time.",
        "DIGEST",
        "    Show a digest of the contents of all databases.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Show a digest of each key's value.",
        "ERROR <string>",
        "    Answer an error with that text.",
        "EXPIRE-WALK <0|1>",
        "    Stop the background walk over what expires, or let it go on.",
        "HTSTATS <dbid>",
        "    Show the state of a database's table.",
        "HTSTATS-KEY <key>",
        "    Show the state of the table that a key's value is kept in.",
        "KEYSIZES-HIST-ASSERT <0|1>",
        "    Accepted; CHECK looks at everything that is counted.",
        "LISTPACK <key>",
        "    Write what is known of a listpack to the log.",
        "LOADAOF",
        "    Write the append-only file's rest, empty all databases, and load the file again.",
        "LOG <message>",
        "    Write to the server's log.",
        "MALLCTL <name> [<value>]",
        "    Show or set a number of the allocator's.",
        "MALLCTL-STR <name> [VOID]",
        "    Show a text of the allocator's, or do what has no value.",
        "OBJECT <key>",
        "    Show how a key's value is kept.",
        "PAUSE-CRON <0|1>",
        "    Stop the clockwork, or let it go on.",
        "POPULATE <count> [<prefix>] [<size>]",
        "    Create keys <prefix>:<n> (prefix \"key\") with values value:<n>, of <size> bytes.",
        "PROTOCOL <type>",
        "    Answer something of that type: string, integer, double, bignum, null, array, set, map,",
        "    attrib, push, verbatim, true, false.",
        "QUICKLIST <key> [<0|1>]",
        "    Write what is known of a quicklist to the log.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Accepted; an element larger than a node may be always has a node of its own.",
        "RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
        "    Save, empty all databases, and load the file again; or load it over what is there; or do not save.",
        "REPLYBUFFER (PEAK-RESET-TIME|RESIZING) <value>",
        "    Accepted; reply buffers hold nothing while nothing waits.",
        "SDSLEN <key>",
        "    Show the length of a key and of its string, and what they take.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    As EXPIRE-WALK; and while it is stopped, fields of hashes that have expired stay, and count, until a",
        "    command asks for them by name, as in Redis.",
        "SET-SKIP-CHECKSUM-VALIDATION <0|1>",
        "    Believe payloads of RESTORE and files without a look at their checksums, or look at them again.",
        "SLEEP <seconds>",
        "    Stop the whole server for some time.",
        "STRINGMATCH-LEN <len> <pattern>",
        "    Match a pattern with so many letters A.",
        "STRUCTSIZE",
        "    Show the sizes of some structures.",
        "TASK-STEPS [<count>]",
        "    Let commands that go on in slices make so many steps more, all together, and then hold them; -1: go on.",
        "    Answers how many were left.",
        NULL,
    };
    call_reply_help(call, lines);
}

/* What the argument count of a subcommand must be, so that one row serves all of them as in Redis, where DEBUG has no
 * rows below it. */
static const struct {
    const char *name;
    command_run_fn run;
    uint32_t min, max; /* arguments, DEBUG included; max 0: no limit */
} subcommands[] = {
    { "AOF-FLUSH-SLEEP", run_aof_flush_sleep, 3, 3 },
    { "ASSERT", run_assert, 2, 2 },
    { "CHANGE-REPL-ID", run_change_repl_id, 2, 2 },
    { "CHECK", run_check, 2, 2 },
    { "CONFIG-REWRITE-FORCE-ALL", run_config_rewrite_all, 2, 2 },
    { "DEFRAG", run_defrag, 2, 2 },
    { "DICT-RESIZING", run_accepted_number, 3, 3 },
    { "DIGEST", run_digest, 2, 2 },
    { "DIGEST-VALUE", run_digest_value, 2, 0 },
    { "ERROR", run_error, 3, 3 },
    { "EXPIRE-WALK", run_expire_walk, 3, 3 },
    { "HELP", run_help, 2, 2 },
    { "HTSTATS", run_htstats, 3, 4 },
    { "HTSTATS-KEY", run_htstats_key, 3, 4 },
    { "KEYSIZES-HIST-ASSERT", run_accepted_number, 3, 3 },
    { "LISTPACK", run_listpack, 3, 3 },
    { "LOADAOF", run_load_aof, 2, 2 },
    { "LOG", run_log, 3, 0 },
    { "MALLCTL", run_mallctl, 3, 4 },
    { "MALLCTL-STR", run_mallctl_str, 3, 4 },
    { "OBJECT", run_object, 3, 4 },
    { "PANIC", run_panic, 2, 2 },
    { "PAUSE-CRON", run_pause_cron, 3, 3 },
    { "POPULATE", run_populate, 3, 5 },
    { "PROTOCOL", run_protocol, 3, 3 },
    { "QUICKLIST", run_quicklist, 3, 4 },
    { "QUICKLIST-PACKED-THRESHOLD", run_quicklist_packed_threshold, 3, 3 },
    { "RELOAD", run_reload, 2, 0 },
    { "REPLYBUFFER", run_replybuffer, 4, 4 },
    { "SDSLEN", run_sdslen, 3, 3 },
    { "SEGFAULT", run_segfault, 2, 2 },
    { "SET-ACTIVE-EXPIRE", run_set_active_expire, 3, 3 },
    { "SET-SKIP-CHECKSUM-VALIDATION", run_skip_checksums, 3, 3 },
    { "SLEEP", run_sleep, 3, 3 },
    { "STRINGMATCH-LEN", run_stringmatch_len, 4, 4 },
    { "STRUCTSIZE", run_structsize, 2, 2 },
    { "TASK-STEPS", run_task_steps, 2, 3 },
};

static void run_debug(struct call *call)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        if (call_arg_is(call, 1, subcommands[i].name) && call->argc >= subcommands[i].min &&
            (subcommands[i].max == 0 || call->argc <= subcommands[i].max)) {
            subcommands[i].run(call);
            return;
        }
    call_fail_subcommand(call);
}

const struct command debug_commands[] = {
    { .name = "DEBUG",
        .run = run_debug,
        .argc = AT_LEAST(2),
        .flags = CMD_ADMIN | CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE | CMD_PROTECTED | CMD_WHOLE_KEYSPACE,
        .group = GROUP_SERVER,
        .since = "1.0.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Looks inside the server, for tests and engineers." },
    { 0 },
};

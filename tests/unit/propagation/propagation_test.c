/*
 * What commands leave for whoever executes them again: random commands of all families run on one keyspace, and what
 * the sink is told runs on another one, which has no clock and other random numbers.
 * In the end both hold the same, to the millisecond of every expiry.
 *
 * Time is real, and expiries are short: keys and fields expire under the commands' hands, and under the walk's.
 */
#include "engine/propagate.h"

#include <unistd.h>

#include "../base/seed.h"
#include "../engine/fixture.h"
#include "base/blob.h"
#include "base/num.h"
#include "cmd/families.h"
#include "engine/task.h"
#include "engine/wait.h"
#include "resp/reader.h"
#include "server/digest.h"
#include "store/hash.h"
#include "store/hash_expiry.h"
#include "store/stream_group.h"

static const struct command no_commands[] = { { 0 } };

/* The second keyspace. */
static struct replica {
    struct keyspace *keyspace;
    struct engine *engine;
    struct client client;
    size_t units, commands;
} replica;

static struct fixture f;
static struct random dice;

/* --- Executing again --- */

static struct bytes read_line(struct bytes *text)
{
    const char *end = memchr(text->ptr, '\r', text->len);
    cr_assert(end);
    struct bytes line = bytes_make(text->ptr, (size_t)(end - text->ptr));
    *text = bytes_make(end + 2, text->len - line.len - 2);
    return line;
}

static size_t read_count(struct bytes *text, char type)
{
    struct bytes line = read_line(text);
    int64_t count;
    cr_assert(line.len > 1 && line.ptr[0] == type);
    cr_assert(num_parse_i64(bytes_make(line.ptr + 1, line.len - 1), &count));
    return (size_t)count;
}

static void replay(const struct propagated *command)
{
    struct buf whole = BUF_EMPTY;
    for (size_t i = 0; i < command->count; i++)
        buf_append(&whole, command->pieces[i].text);
    struct bytes text = buf_bytes(&whole);
    uint32_t argc = (uint32_t)read_count(&text, '*');
    struct bytes *argv = mem_alloc(argc * sizeof *argv);
    for (uint32_t i = 0; i < argc; i++) {
        size_t len = read_count(&text, '$');
        cr_assert(len + 2 <= text.len);
        argv[i] = bytes_make(text.ptr, len);
        text = bytes_make(text.ptr + len + 2, text.len - len - 2);
    }
    cr_assert_eq(text.len, 0);
    replica.client.session->db = keyspace_db(replica.keyspace, command->db);
    if (!engine_replay(replica.client.session, argv, argc))
        cr_assert_fail("%s: %s", buf_cstr(&whole), client_take(&replica.client));
    client_take(&replica.client);
    mem_free(argv);
    buf_fini(&whole);
}

static void take_unit(void *context, const struct propagated *commands, size_t count)
{
    cr_assert_eq(context, &replica);
    replica.units++;
    replica.commands += count;
    for (size_t i = 0; i < count; i++)
        replay(&commands[i]);
}

static const struct propagation_sink sink = { .unit = take_unit, .context = &replica };

/* --- Making commands --- */

/*
 * Letters behind a % stand for: k string, l list, s set, z sorted set, h hash, p HyperLogLog, a any key; v a value,
 * n a number, d a float, f a field, e ms until an expiry that will be met, E one that will not, t the same as a
 * moment, T in seconds, i an index.
 */
static const char *const templates[] = {
    "SET %k %v",
    "SET %k %n",
    "SET %k %v EX %E",
    "SET %k %v PX %e",
    "SET %k %v EXAT %T",
    "SET %k %v PXAT %t",
    "SET %k %v KEEPTTL",
    "SET %k %v NX PX %e",
    "SET %k %v XX GET",
    "SET %k %v IFEQ %v",
    "SETEX %k %E %v",
    "PSETEX %k %e %v",
    "SETNX %k %v",
    "GETSET %k %v",
    "GETDEL %k",
    "GETEX %k PX %e",
    "GETEX %k EX %E",
    "GETEX %k PERSIST",
    "GETEX %k PXAT 1",
    "GETEX %k",
    "DELEX %k IFEQ %v",
    "DELEX %k",
    "MSET %k %v %k %v %k %n",
    "MSETNX %k %v %k %v",
    "MSETEX 2 %k %v %k %v PX %e",
    "MSETEX 2 %k %v %k %v NX",
    "MSETEX 1 %k %v KEEPTTL",
    "APPEND %k %v",
    "SETRANGE %k %i %v",
    "INCR %k",
    "INCRBY %k %n",
    "DECR %k",
    "DECRBY %k %n",
    "INCRBYFLOAT %k %d",
    "SETBIT %k %i 1",
    "SETBIT %k %i 0",
    "BITFIELD %k SET u5 %i %n INCRBY i7 %i %n",
    "BITOP AND %k %k %k",
    "BITOP NOT %k %k",
    "BITOP ONE %k %k %k",
    "BITOP DIFF %k %k %k",
    "PFADD %p %v %v",
    "PFADD %p",
    "PFCOUNT %p",
    "PFMERGE %p %p %p",
    "GET %k",
    "MGET %k %k",
    "STRLEN %a",
    "DEL %a",
    "UNLINK %a %a",
    "RENAME %a %a",
    "RENAMENX %a %a",
    "COPY %a %a",
    "COPY %a %a REPLACE",
    "COPY %a %a DB 1",
    "MOVE %a 1",
    "MOVE %a 0",
    "EXPIRE %a %E",
    "PEXPIRE %a %e",
    "PEXPIRE %a %e GT",
    "PEXPIREAT %a %t",
    "EXPIREAT %a %T",
    "EXPIRE %a -1",
    "PERSIST %a",
    "TOUCH %a",
    "SELECT 1",
    "SELECT 0",
    "SELECT 0",
    "SWAPDB 0 1",
    "TYPE %a",
    "SORT %l ALPHA STORE %l",
    "SORT %s ALPHA LIMIT 0 3 STORE %l",
    "SORT %l BY nosort GET %k GET # STORE %l",
    "LPUSH %l %v %v",
    "RPUSH %l %v %n",
    "LPUSHX %l %v",
    "RPUSHX %l %v",
    "LPOP %l",
    "RPOP %l",
    "LPOP %l 2",
    "LSET %l %i %v",
    "LINSERT %l BEFORE %v %v",
    "LREM %l %n %v",
    "LTRIM %l 0 %i",
    "LTRIM %l 1 -1",
    "LMOVE %l %l LEFT RIGHT",
    "RPOPLPUSH %l %l",
    "LMPOP 2 %l %l RIGHT COUNT 2",
    "BLPOP %l %l 0.01",
    "BRPOP %l 0.01",
    "BLMOVE %l %l LEFT LEFT 0.01",
    "BRPOPLPUSH %l %l 0.01",
    "BLMPOP 0.01 2 %l %l LEFT COUNT 3",
    "SADD %s %v %v %v",
    "SADD %s %n %n",
    "SREM %s %v",
    "SPOP %s",
    "SPOP %s 2",
    "SPOP %s 50",
    "SMOVE %s %s %v",
    "SINTERSTORE %s %s %s",
    "SUNIONSTORE %s %s %s",
    "SDIFFSTORE %s %s %s",
    "SRANDMEMBER %s",
    "ZADD %z %d %v %n %v",
    "ZADD %z NX %n %v",
    "ZADD %z GT CH %n %v",
    "ZADD %z INCR %d %v",
    "ZINCRBY %z %d %v",
    "ZREM %z %v",
    "ZPOPMIN %z",
    "ZPOPMAX %z 2",
    "ZMPOP 2 %z %z MAX COUNT 2",
    "BZPOPMIN %z %z 0.01",
    "BZPOPMAX %z 0.01",
    "BZMPOP 0.01 2 %z %z MIN",
    "ZREMRANGEBYRANK %z 0 0",
    "ZREMRANGEBYSCORE %z -5 0",
    "ZREMRANGEBYLEX %z [a (b",
    "ZUNIONSTORE %z 2 %z %s WEIGHTS 1 2",
    "ZINTERSTORE %z 2 %z %z",
    "ZDIFFSTORE %z 2 %z %z",
    "ZRANGESTORE %z %z 0 3",
    "GEOADD %z 13.36 38.11 %v",
    "GEORADIUS %z 13 38 500 km STORE %z",
    "GEOSEARCHSTORE %z %z FROMLONLAT 13 38 BYBOX 9 9 km",
    "HSET %h %f %v %f %v",
    "HSET %h %f %n",
    "HMSET %h %f %v",
    "HSETNX %h %f %v",
    "HDEL %h %f %f",
    "HINCRBY %h %f %n",
    "HINCRBYFLOAT %h %f %d",
    "HEXPIRE %h %E FIELDS 2 %f %f",
    "HPEXPIRE %h %e FIELDS 2 %f %f",
    "HPEXPIRE %h %e GT FIELDS 1 %f",
    "HPEXPIREAT %h 1 FIELDS 1 %f",
    "HEXPIREAT %h %T NX FIELDS 1 %f",
    "HPERSIST %h FIELDS 2 %f %f",
    "HGETDEL %h FIELDS 2 %f %f",
    "HGETEX %h PX %e FIELDS 2 %f %f",
    "HGETEX %h PERSIST FIELDS 2 %f %f",
    "HGETEX %h PXAT 1 FIELDS 1 %f",
    "HSETEX %h PX %e FIELDS 2 %f %v %f %v",
    "HSETEX %h FNX EX %E FIELDS 1 %f %v",
    "HSETEX %h KEEPTTL FIELDS 1 %f %v",
    "HSETEX %h FIELDS 1 %f %v",
    "HSETEX %h PXAT 1 FIELDS 1 %f %v",
    "HSETEX %h FXX FIELDS 1 %f %v",
    "HGETALL %h",
    "HLEN %h",
    "XADD %x %w field %v",
    "XADD %x %w %f %v %f %n",
    "XADD %x %w field %v",
    "XADD %x %w field %v",
    "XADD %x %w %f %v %f %n",
    "XADD %x %w field %v",
    "XADD %x * field %v",
    "XADD %x 9-* field %v",
    "XADD %x MAXLEN ~ 3 %w field %v",
    "XADD %x MAXLEN 5 %w field %v",
    "XADD %x DELREF MAXLEN 5 * field %v",
    "XADD %x ACKED MAXLEN ~ 5 %w field %v",
    "XADD %x NOMKSTREAM MINID ~ %r LIMIT 5 %w field %v",
    "XTRIM %x MAXLEN ~ 2",
    "XTRIM %x MAXLEN 4",
    "XTRIM %x MINID ~ %r DELREF",
    "XTRIM %x MAXLEN 2 ACKED",
    "XDEL %x %r %r %r",
    "XDELEX %x DELREF IDS 2 %r %r",
    "XDELEX %x ACKED IDS 2 %r %r",
    "XACKDEL %x g%x ACKED IDS 2 %r %r",
    "XACKDEL %x g%x IDS 2 %r %r",
    "XSETID %x %w ENTRIESADDED 5000",
    "XGROUP CREATE %x g%x $ MKSTREAM",
    "XGROUP CREATE %x g%x 0",
    "XGROUP CREATE %x g%x %r ENTRIESREAD 3",
    "XGROUP SETID %x g%x $",
    "XGROUP SETID %x g%x %r",
    "XGROUP CREATECONSUMER %x g%x %v",
    "XGROUP DELCONSUMER %x g%x %v",
    "XGROUP DESTROY %x g%x",
    "XREADGROUP GROUP g%x %v COUNT 3 STREAMS %x >",
    "XREADGROUP GROUP g%x %v COUNT 3 STREAMS %x >",
    "XREADGROUP GROUP g%x %v STREAMS %x %x > >",
    "XREADGROUP GROUP g%x %v NOACK COUNT 2 STREAMS %x >",
    "XREADGROUP GROUP g%x %v BLOCK 5 COUNT 2 STREAMS %x >",
    "XREADGROUP GROUP g%x %v COUNT 2 STREAMS %x 0",
    "XACK %x g%x %r %r %r",
    "XCLAIM %x g%x %v 0 %r %r IDLE %E",
    "XCLAIM %x g%x %v 0 %r %r FORCE LASTID %r",
    "XCLAIM %x g%x %v 3 %r %r JUSTID",
    "XAUTOCLAIM %x g%x %v 0 0 COUNT 3",
    "XAUTOCLAIM %x g%x %v 2 %r JUSTID",
};
enum { TEMPLATES = sizeof templates / sizeof *templates, KEYS_OF_A_KIND = 3 };

static int below(unsigned bound)
{
    return (int)random_below(&dice, bound);
}

static void fill(struct buf *out, char letter)
{
    static const char kinds[] = "klszhpx";
    static unsigned next_id = 100;
    int64_t now_ms = clock_wall_ms();
    if (letter == 'a' || (strchr(kinds, letter) && below(40) == 0))
        letter = kinds[below(sizeof kinds - 1)];
    switch (letter) {
    case 'v':
        if (below(30) == 0)
            buf_printf(out, "%0*d", 60 + below(200), below(3));
        else
            buf_printf(out, "%c%d", 'a' + below(3), below(4));
        break;
    case 'n':
        buf_printf(out, "%d", below(20) - 8);
        break;
    case 'd':
        buf_printf(out, "%.*f", below(4), (below(4000) - 2000) / 300.0);
        break;
    case 'f':
        buf_printf(out, "f%d", below(6));
        break;
    case 'i':
        buf_printf(out, "%d", below(30));
        break;
    case 'w':
        buf_printf(out, "%u-%d", ++next_id, below(3));
        break;
    case 'r':
        buf_printf(out, "%u-%d", next_id - (unsigned)below(100), below(3));
        break;
    case 'e':
        buf_printf(out, "%d", 1 + below(12));
        break;
    case 'E':
        buf_printf(out, "%d", 1000 + below(1000));
        break;
    case 't':
        buf_printf(out, "%lld", (long long)now_ms + 1 + below(12));
        break;
    case 'T':
        buf_printf(out, "%lld", (long long)now_ms / 1000 + 1000 + below(1000));
        break;
    default:
        buf_printf(out, "%c%d", letter, below(KEYS_OF_A_KIND));
    }
}

static void make_command(struct buf *out)
{
    buf_clear(out);
    for (const char *c = templates[below(TEMPLATES)]; *c; c++)
        if (*c == '%')
            fill(out, *++c);
        else
            buf_append_char(out, *c);
}

/* --- Comparing --- */

struct fields {
    const struct entry *other;
    struct bytes key;
};

static void same_field(void *context, const struct hash_pair *pair)
{
    struct fields *fields = context;
    int64_t at_ms = 0;
    struct hash_scratch scratch;
    struct bytes value;
    bool found = hash_get_expiry(fields->other, pair->field, 0, &at_ms) &&
                 hash_get(fields->other, pair->field, 0, &scratch, &value) && bytes_equal(value, pair->value);
    if (!found || at_ms != pair->at_ms)
        cr_assert_fail("%.*s %.*s differs; it expires at %lld there, at %lld here", (int)fields->key.len,
            fields->key.ptr, (int)pair->field.len, pair->field.ptr, (long long)at_ms, (long long)pair->at_ms);
}

/* What the digest leaves out: consumers, times and counts of what is pending, how far a group has read. */
static void same_groups(const struct stream *one, const struct stream *other)
{
    cr_assert_eq(stream_group_count(one), stream_group_count(other));
    for (size_t i = 0; i < stream_group_count(one); i++) {
        const struct stream_group *here = stream_group_at(one, i), *there = stream_group_at(other, i);
        cr_assert_eq(here->entries_read, there->entries_read, "%lld read here, %lld there",
            (long long)here->entries_read, (long long)there->entries_read);
        cr_assert_eq(stream_consumer_count(here), stream_consumer_count(there));
        for (size_t j = 0; j < stream_consumer_count(here); j++)
            cr_assert(bytes_equal(stream_consumer_at(here, j)->name, stream_consumer_at(there, j)->name));
        cr_assert_eq(btree_count(&here->pending), btree_count(&there->pending));
        struct btree_iter place;
        const struct stream_pending *pending = stream_pending_seek(&here->pending, STREAM_ID_MIN, &place);
        for (; pending; pending = btree_iter_next(&place)) {
            const struct stream_pending *same = stream_pending_find(there, pending->id);
            cr_assert(same && stream_pending_count(same) == stream_pending_count(pending));
            cr_assert_eq(stream_pending_time(same), stream_pending_time(pending));
        }
    }
}

static void same_entry(void *context, uint64_t *slot)
{
    const struct entry *entry = table_slot_item(slot);
    struct bytes name = entry_key(entry);
    const struct entry *other = keyspace_glance(context, key_make(name));
    if (!other || other->type != entry->type || entry_expiry(other) != entry_expiry(entry))
        cr_assert_fail("%.*s: type %d here, %d there; expiry %lld here, %lld there", (int)name.len, name.ptr,
            entry->type, other ? (int)other->type : -1, (long long)entry_expiry(entry),
            other ? (long long)entry_expiry(other) : 0);
    if (entry->type == ENTRY_HASH) {
        cr_assert_eq(hash_len(entry, 0), hash_len(other, 0));
        hash_each(entry, 0, same_field, &(struct fields){ other, name });
        return;
    }
    if (entry->type == ENTRY_STREAM)
        same_groups(stream_of(entry), stream_of(other));
    struct digest digests[2] = { 0 };
    digest_add_value(&digests[0], entry);
    digest_add_value(&digests[1], other);
    if (memcmp(&digests[0], &digests[1], sizeof *digests) != 0)
        cr_assert_fail("%.*s (type %d) holds something else", (int)name.len, name.ptr, entry->type);
}

static void same_contents(void)
{
    for (int i = 0; i < f.keyspace->db_count; i++) {
        struct db *here = keyspace_db(f.keyspace, i), *there = keyspace_db(replica.keyspace, i);
        uint64_t cursor = 0;
        do
            cursor = table_scan(&here->table, cursor, same_entry, there);
        while (cursor);
        cr_assert_eq(keyspace_size(here), keyspace_size(there), "%zu keys here, %zu there", keyspace_size(here),
            keyspace_size(there));
    }
}

/* --- The tests --- */

static struct client clients[3];

static void begin(void)
{
    fixture_begin(&f, no_commands);
    dice = seed_random("propagation");
    f.settings.bulk_max = 1 << 20;
    replica = (struct replica){ .keyspace = keyspace_create(f.keyspace->db_count) };
    replica.engine = engine_create(replica.keyspace, &f.settings, NULL);
    for (const struct command *const *family = command_families; *family; family++) {
        command_registry_add(f.engine->registry, *family);
        command_registry_add(replica.engine->registry, *family);
    }
    struct fixture other = { .engine = replica.engine };
    client_open(&other, &replica.client);
    for (size_t i = 0; i < 3; i++)
        client_open(&f, &clients[i]);
    engine_set_propagation(f.engine, &sink);
}

static void end(void)
{
    for (size_t i = 0; i < 3; i++)
        client_gone(&clients[i]);
    client_gone(&replica.client);
    engine_destroy(replica.engine);
    keyspace_destroy(replica.keyspace);
    fixture_end(&f);
}

TestSuite(propagation, .init = begin, .fini = end, .timeout = 120);

static void expire_some(void)
{
    for (int i = 0; i < 2; i++) {
        size_t rounds = 0;
        while (!rounds)
            keyspace_expire_step(f.keyspace, keyspace_db(f.keyspace, i), 64, clock_wall_ms(), &rounds);
    }
}

static void run_tasks(void)
{
    while (engine_run_tasks(f.engine, 1000000))
        ;
}

/* On a slow machine anything may go on in slices, as a transaction that takes too long: to its end here, for nobody
 * offers the others' requests again that would have to wait for it. */
static void run_command(struct client *client, const char *text)
{
    client_send(&f, client, text);
    run_tasks();
}

/* Time goes on; waits end. */
static void rest(void)
{
    usleep(1000);
    engine_run_deadlines(f.engine, clock_wall_ms());
    run_tasks();
    if (below(4) == 0)
        expire_some();
}

static void run_random(size_t count)
{
    struct buf text = BUF_EMPTY;
    for (size_t i = 0; i < count; i++) {
        struct client *client = &clients[below(3)];
        if (client->paused) {
            rest();
            continue;
        }
        bool transaction = below(50) == 0;
        if (transaction)
            run_command(client, "MULTI");
        for (int left = transaction ? below(5) : 1; left; left--) {
            make_command(&text);
            run_command(client, buf_cstr(&text));
        }
        if (transaction)
            run_command(client, "EXEC");
        client_take(client);
        if (below(10) == 0)
            rest();
        if (i % 100 == 0)
            same_contents();
    }
    buf_fini(&text);
}

Test(propagation, random_commands_leave_the_same_elsewhere)
{
    run_random(30000);
    cr_assert(replica.commands > 10000 && replica.commands > replica.units);
    cr_assert(f.keyspace->stats.expired > 100 && f.keyspace->stats.expired_parts > 100);
    cr_assert(replica.keyspace->stats.expired + replica.keyspace->stats.expired_parts == 0);
    while (clients[0].paused || clients[1].paused || clients[2].paused)
        rest();
    same_contents();
}

Test(propagation, everything_that_expires_goes_elsewhere_too)
{
    run_random(500);
    usleep(50000);
    expire_some();
    same_contents();
    for (int i = 0; i < 2; i++)
        keyspace_check(replica.keyspace, NULL, NULL);
}

/* A hash of so many fields, all of which expire `ms` from now. False if that time has come before all are there. */
static bool fill_for(int fields, int64_t ms)
{
    struct buf text = BUF_EMPTY;
    int64_t at_ms = clock_wall_ms() + ms;
    client_send(&f, &clients[0], "DEL h");
    for (int i = 0; i < fields; i += 20) {
        buf_clear(&text);
        buf_append_cstr(&text, "HSET h");
        for (int j = i; j < i + 20; j++)
            buf_printf(&text, " f%d 1", j);
        client_send(&f, &clients[0], buf_cstr(&text));
        buf_clear(&text);
        buf_printf(&text, "HPEXPIREAT h %lld FIELDS 20", (long long)at_ms);
        for (int j = i; j < i + 20; j++)
            buf_printf(&text, " f%d", j);
        client_send(&f, &clients[0], buf_cstr(&text));
    }
    buf_fini(&text);
    bool in_time = clock_wall_ms() < at_ms;
    while (clock_wall_ms() <= at_ms)
        usleep(10000);
    client_take(&clients[0]);
    return in_time;
}

/* A walk goes over more fields than a look-up does: they lie there, expired, and a writer meets them. */
Test(propagation, a_writer_that_meets_an_expired_field_says_so)
{
    enum { FIELDS = 600 };
    int64_t ms = 250;
    while (!fill_for(FIELDS, ms))
        ms *= 4;
    uint64_t before = f.keyspace->stats.expired_parts;
    ANSWERS(&f, &clients[0], "HSETNX h f1 2", ":1.");
    ANSWERS(&f, &clients[0], "HINCRBY h f2 5", ":5.");
    ANSWERS(&f, &clients[0], "HSETEX h FNX FIELDS 1 f3 x", ":1.");
    cr_assert_eq(f.keyspace->stats.expired_parts - before, 3);
    same_contents();
    expire_some();
    same_contents();
}

/* An argument that was read into a blob becomes the value itself, and may be gone before it is told of. */
Test(propagation, large_arguments_are_told_of_after_they_were_taken)
{
    enum { LEN = 100000 };
    static const char *const words[] = { "MSET", "k", NULL, "k", "x", "l", NULL };
    struct reader_blob blobs[2];
    struct bytes argv[7];
    uint32_t count = 0;
    for (uint32_t i = 0; i < 7; i++) {
        argv[i] = words[i] ? bytes_from_cstr(words[i]) : BYTES("");
        if (words[i])
            continue;
        struct blob *blob = blob_try_create(LEN);
        memset(blob->data, 'a' + (int)i, LEN);
        blob->len = LEN;
        argv[i] = blob_bytes(blob);
        blobs[count++] = (struct reader_blob){ .index = i, .blob = blob };
    }
    struct request request = {
        .owner = clients[0].session, .argv = argv, .argc = 7, .blobs = blobs, .blob_count = count
    };
    engine_execute(f.engine, &request, 1);
    cr_assert(request.done);
    TAKES(&clients[0], "+OK.");
    for (uint32_t i = 0; i < count; i++)
        blob_unref(blobs[i].blob);
    same_contents();
    cr_assert_eq(keyspace_size(keyspace_db(replica.keyspace, 0)), 2);
}

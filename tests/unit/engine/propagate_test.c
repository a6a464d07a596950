/*
 * Tests of what a sink is told of changes: commands as they came or in other words, in units, with their database;
 * expiry as a deletion; and notifications with the letters that switch them on.
 */
#include "engine/propagate.h"

#include "engine/notify.h"
#include "engine/pubsub.h"
#include "engine/transaction.h"
#include "fixture.h"

static struct fixture f;
static struct client c;
static struct buf told;

static void run_put(struct call *call)
{
    keyspace_set_string(call->keyspace, call->db, call_key(call, 1), call->argv[2], EXPIRY_NONE, call->now_ms);
    call_notify(call, NOTIFY_STRING, "put", call->argv[1]);
    reply_ok(call->reply);
}

/* Writes, and has it told in two commands of other words. */
static void run_roll(struct call *call)
{
    run_put(call);
    call_propagate_words(call, "PUT", call->argv[1], BYTES("6"));
    call_propagate_words(call, "SEAL", call->argv[1]);
}

static void run_hush(struct call *call)
{
    run_put(call);
    call_propagate_nothing(call);
}

static void run_look(struct call *call)
{
    reply_bool(call->reply, call_read(call, 1));
}

static void run_doom(struct call *call)
{
    struct entry *entry = call_write(call, 1);
    if (entry)
        keyspace_set_expiry(call->keyspace, call->db, call_key(call, 1), entry, 1);
    reply_ok(call->reply);
}

static void run_go(struct call *call)
{
    call->session->db = keyspace_db(call->keyspace, 2);
    reply_ok(call->reply);
}

static void run_multi(struct call *call)
{
    transaction_begin(call->session);
    reply_ok(call->reply);
}

#define WRITER(n, fn, count)                                                                 \
    {                                                                                        \
        ROW(n), .run = fn, .argc = EXACTLY(count), .group = GROUP_STRING, .flags = CMD_WRITE \
    }

static const struct command rows[] = {
    WRITER("PUT", run_put, 3),
    WRITER("ROLL", run_roll, 3),
    WRITER("HUSH", run_hush, 3),
    WRITER("DOOM", run_doom, 2),
    { ROW("LOOK"), .run = run_look, .argc = EXACTLY(2), .group = GROUP_STRING, .flags = CMD_READ },
    { ROW("GO"), .run = run_go, .argc = EXACTLY(1), .group = GROUP_CONNECTION },
    { ROW("MULTI"), .run = run_multi, .argc = EXACTLY(1), .group = GROUP_TRANSACTIONS, .flags = CMD_UNQUEUED },
    { ROW("EXEC"), .run = transaction_run, .argc = EXACTLY(1), .group = GROUP_TRANSACTIONS,
        .flags = CMD_UNQUEUED | CMD_RUNS_QUEUE },
    { 0 },
};

/* "<db>:<request>" for each command, a bar behind each unit; line ends are left out. */
static void take_unit(void *context, const struct propagated *commands, size_t count)
{
    cr_assert_eq(context, &told);
    for (size_t i = 0; i < count; i++) {
        buf_printf(&told, "%d:", commands[i].db);
        for (size_t j = 0; j < commands[i].count; j++) {
            struct bytes text = commands[i].pieces[j].text;
            for (size_t at = 0; at < text.len; at++)
                if (text.ptr[at] != '\n')
                    buf_append_char(&told, text.ptr[at] == '\r' ? ' ' : text.ptr[at]);
        }
    }
    buf_append_char(&told, '|');
}

static const struct propagation_sink sink = { .unit = take_unit, .context = &told };

static void begin(void)
{
    fixture_begin(&f, rows);
    client_open(&f, &c);
    engine_set_propagation(f.engine, &sink);
}

static void end(void)
{
    client_gone(&c);
    buf_fini(&told);
    fixture_end(&f);
}

TestSuite(propagate, .init = begin, .fini = end);

#define TELLS(text, expected)                          \
    do {                                               \
        client_send(&f, &c, text);                     \
        client_take(&c);                               \
        cr_assert_str_eq(buf_cstr(&told), (expected)); \
        buf_clear(&told);                              \
    } while (0)

Test(propagate, a_change_is_told_as_it_came)
{
    TELLS("put k v", "0:*3 $3 PUT $1 k $1 v |");
    TELLS("LOOK k", "");
    TELLS("DOOM missing", "");
}

Test(propagate, a_handler_chooses_other_words_or_none)
{
    TELLS("ROLL k 17", "0:*3 $3 PUT $1 k $1 6 0:*2 $4 SEAL $1 k |");
    TELLS("HUSH k v", "");
}

Test(propagate, a_transaction_is_one_unit_and_each_command_has_its_database)
{
    TELLS("MULTI", "");
    TELLS("PUT a 1", "");
    TELLS("GO", "");
    TELLS("PUT b 2", "");
    TELLS("EXEC", "0:*3 $3 PUT $1 a $1 1 2:*3 $3 PUT $1 b $1 2 |");
}

Test(propagate, expiry_is_a_deletion_whoever_meets_it)
{
    TELLS("PUT k v", "0:*3 $3 PUT $1 k $1 v |");
    TELLS("DOOM k", "0:*2 $4 DOOM $1 k |");
    TELLS("LOOK k", "0:*2 $3 DEL $1 k |");
    TELLS("LOOK k", "");
    TELLS("PUT k v", "0:*3 $3 PUT $1 k $1 v |");
    TELLS("DOOM k", "0:*2 $4 DOOM $1 k |");
    size_t rounds = 0;
    while (!rounds)
        keyspace_expire_step(f.keyspace, f.keyspace->dbs[0], 64, clock_wall_ms(), &rounds);
    cr_assert_str_eq(buf_cstr(&told), "0:*2 $3 DEL $1 k |");
}

Test(propagate, nobody_is_told_once_there_is_no_sink)
{
    engine_set_propagation(f.engine, NULL);
    TELLS("ROLL k v", "");
}

Test(propagate, letters_of_notifications_read_back)
{
    static const struct {
        const char *letters, *printed;
    } cases[] = { { "", "" }, { "KEA", "AKE" }, { "Ex", "xE" }, { "g$lshzxetdK", "AK" }, { "AKEmn", "AnKEm" },
        { "KKll", "lK" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t classes;
        char out[32];
        cr_assert(notify_parse(bytes_from_cstr(cases[i].letters), &classes));
        notify_print(classes, out);
        cr_assert_str_eq(out, cases[i].printed);
    }
    uint32_t classes = 7;
    cr_assert(!notify_parse(BYTES("KEq"), &classes));
    cr_assert_eq(classes, 7);
}

Test(propagate, an_event_is_published_under_both_names_when_its_class_is_on)
{
    cr_assert(pubsub_subscribe(c.session, PUBSUB_CHANNEL, BYTES("__keyspace@0__:k")));
    cr_assert(pubsub_subscribe(c.session, PUBSUB_CHANNEL, BYTES("__keyevent@0__:put")));
    c.session->reply.proto = 3;
    ANSWERS(&f, &c, "PUT k v", "+OK.");
    f.settings.notify_events = NOTIFY_KEYSPACE | NOTIFY_KEYEVENT | NOTIFY_LIST;
    ANSWERS(&f, &c, "PUT k v", "+OK.");
    f.settings.notify_events = NOTIFY_KEYEVENT | NOTIFY_STRING;
    client_send(&f, &c, "PUT k v");
    const char *seen = client_take(&c);
    cr_assert(strstr(seen, ">3.$7.message.$18.__keyevent@0__:put.$1.k."));
    cr_assert(!strstr(seen, "keyspace"));
    f.settings.notify_events |= NOTIFY_KEYSPACE;
    client_send(&f, &c, "PUT k v");
    cr_assert(strstr(client_take(&c), ">3.$7.message.$16.__keyspace@0__:k.$3.put."));
    pubsub_leave(c.session);
}

/*
 * Publish and subscribe.
 *
 * Subscribing and unsubscribing answer with one confirmation for each name; RESP3 knows them as pushes, which are no
 * replies, and so they are heard even when replies are switched off. A RESP2 client that has subscribed to something
 * may do little else until it has left everything (CMD_SUBSCRIBER).
 *
 * Very many names are a task: messages that come before its last confirmation follow behind that. Names that are left
 * one by one have their messages until then.
 */
#include "engine/pubsub.h"

#include "base/blob.h"
#include "base/fiber.h"
#include "base/glob.h"
#include "base/mem.h"
#include "cmd/families.h"
#include "engine/acl.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "engine/task.h"

/* --- Subscribing --- */

/* What the confirmations count: shard channels apart, all others together. */
static size_t count_with(const struct session *session, enum pubsub_kind kind)
{
    if (kind == PUBSUB_SHARD)
        return pubsub_count(session, PUBSUB_SHARD);
    return pubsub_count(session, PUBSUB_CHANNEL) + pubsub_count(session, PUBSUB_PATTERN);
}

/* Begins a confirmation that goes to the session as its pushes do; a name and a count follow. */
static struct reply confirm(const struct call *call, const char *word)
{
    struct reply push;
    reply_init(&push, call->session->out, call->session->reply.proto);
    reply_push(&push, 3);
    reply_bulk_cstr(&push, word);
    return push;
}

/* False if it cannot be, which was answered. */
static bool subscribe_one(struct call *call, enum pubsub_kind kind, const char *word, struct bytes name)
{
    if (!pubsub_subscribe(call->session, kind, name)) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    struct reply push = confirm(call, word);
    reply_bulk(&push, name);
    reply_int(&push, (int64_t)count_with(call->session, kind));
    return true;
}

/* The name may belong to the subscription, so it is told before that is gone. */
static void unsubscribe_one(struct call *call, enum pubsub_kind kind, const char *word, struct bytes name)
{
    struct session *session = call->session;
    struct reply push = confirm(call, word);
    reply_bulk(&push, name);
    pubsub_unsubscribe(session, kind, name);
    reply_int(&push, (int64_t)count_with(session, kind));
}

enum {
    NAMES_AT_ONCE = 1000, /* more are a task */
    STEP_NAMES = 64,
    NAME_COST = 10, /* for fiber_breathe */
};

/* Very many names to be subscribed to, or to be left; none given: all that there are. */
struct listening {
    struct task task;
    enum pubsub_kind kind;
    bool joins;
    const char *word;
    uint32_t at;         /* the next of the task's arguments */
    struct bytes *argv;  /* owned: these, as they lay, ... */
    char *bytes;         /* owned: ... with their bytes ... */
    struct blob **blobs; /* in this allocation: ... and references to the large ones. Or none of it */
    uint32_t blob_count;
};

/* What was allowed when the command came may be so no longer. */
static bool may_listen(struct call *call, const struct listening *self)
{
    struct bytes argv[] = { self->task.argv[0], self->task.argv[self->at] }, object;
    return !(call->session->flags & SESSION_LIMITED) ||
           acl_check(call->session->user, call->command, argv, 2, &object) == ACL_ALLOWED;
}

/* The next name; false when there is none. */
static bool listen_next(struct listening *self, struct call *call)
{
    struct session *session = call->session;
    if (session->flags & SESSION_CLOSING)
        return false;
    if (self->task.argc == 1) {
        if (pubsub_count(session, self->kind) == 0)
            return false;
        unsubscribe_one(call, self->kind, self->word, pubsub_first(session, self->kind));
        return true;
    }
    if (self->at == self->task.argc)
        return false;
    if (self->joins && !may_listen(call, self)) {
        session_close(session, true);
        return false;
    }
    struct bytes name = self->task.argv[self->at++];
    if (self->joins)
        return subscribe_one(call, self->kind, self->word, name);
    unsubscribe_one(call, self->kind, self->word, name);
    return true;
}

static bool listening_step(struct task *task, struct call *call)
{
    bool more = true;
    for (int i = 0; more && i < STEP_NAMES; i++)
        more = listen_next((struct listening *)task, call);
    call->session->transport->wake(call->session->connection);
    return !more;
}

static void listening_destroy(struct task *task)
{
    struct listening *self = (struct listening *)task;
    for (uint32_t i = 0; i < self->blob_count; i++)
        blob_unref(self->blobs[i]);
    mem_free(self->argv);
    mem_free(self->bytes);
    mem_free(self);
}

/* Copies the arguments, to where an array of them and their bytes have room. */
static void copy_words(const struct call *call, struct bytes *words)
{
    char *at = (char *)&words[call->argc];
    for (uint32_t i = 0; i < call->argc; i++)
        words[i] = bytes_append(&at, call->argv[i]);
}

/* The call's arguments as the task's, copied if they cannot be taken over. NULL when memory is out: nothing is taken.
 */
static struct listening *listening_create(struct call *call)
{
    struct listening made = { .at = 1 };
    struct listening *self = mem_try_alloc(sizeof *self + call_blob_count(call) * sizeof *self->blobs);
    bool taken = self && call->argc > 1 && call_take_arguments(call, &made.argv, &made.bytes);
    if (self && !taken) {
        size_t size = sizeof *self;
        for (uint32_t i = 0; i < call->argc; i++)
            size += sizeof *call->argv + call->argv[i].len;
        struct listening *whole = mem_try_realloc(self, size);
        if (!whole)
            mem_free(self);
        self = whole;
    }
    if (!self)
        return NULL;
    *self = made;
    self->task.argc = call->argc;
    if (taken) {
        self->task.argv = self->argv;
        self->blobs = (struct blob **)(self + 1);
        self->blob_count = call_take_blobs(call, self->blobs);
    } else {
        struct bytes *words = (struct bytes *)(self + 1);
        copy_words(call, words);
        self->task.argv = words;
    }
    return self;
}

/* True if that many names are dealt with in slices, or cannot be, which was answered. */
static bool listen_in_slices(struct call *call, enum pubsub_kind kind, const char *word, bool joins, size_t names)
{
    static const struct task_type type = { .step = listening_step, .destroy = listening_destroy };
    if (names <= NAMES_AT_ONCE)
        return false;
    struct listening *self = listening_create(call);
    if (!self) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return true;
    }
    self->task.type = &type;
    self->task.alone = joins;
    self->kind = kind;
    self->joins = joins;
    self->word = word;
    call_defer(call, &self->task);
    return true;
}

static void subscribe(struct call *call, enum pubsub_kind kind, const char *word)
{
    bool good = !listen_in_slices(call, kind, word, true, call->argc - 1);
    for (uint32_t i = 1; good && i < call->argc; i++)
        good = subscribe_one(call, kind, word, call->argv[i]);
}

static void unsubscribe(struct call *call, enum pubsub_kind kind, const char *word)
{
    size_t count = pubsub_count(call->session, kind);
    if (listen_in_slices(call, kind, word, false, call->argc > 1 ? call->argc - 1 : count))
        return;
    for (uint32_t i = 1; i < call->argc; i++)
        unsubscribe_one(call, kind, word, call->argv[i]);
    if (call->argc > 1)
        return;
    if (count == 0) {
        struct reply push = confirm(call, word);
        reply_null(&push);
        reply_int(&push, (int64_t)count_with(call->session, kind));
    }
    while (pubsub_count(call->session, kind) > 0)
        unsubscribe_one(call, kind, word, pubsub_first(call->session, kind));
}

static void run_subscribe(struct call *call)
{
    subscribe(call, PUBSUB_CHANNEL, "subscribe");
}

static void run_unsubscribe(struct call *call)
{
    unsubscribe(call, PUBSUB_CHANNEL, "unsubscribe");
}

static void run_psubscribe(struct call *call)
{
    subscribe(call, PUBSUB_PATTERN, "psubscribe");
}

static void run_punsubscribe(struct call *call)
{
    unsubscribe(call, PUBSUB_PATTERN, "punsubscribe");
}

static void run_ssubscribe(struct call *call)
{
    if (call->exec)
        reply_error(call->reply, BYTES("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"));
    else
        subscribe(call, PUBSUB_SHARD, "ssubscribe");
}

static void run_sunsubscribe(struct call *call)
{
    unsubscribe(call, PUBSUB_SHARD, "sunsubscribe");
}

/* --- Publishing --- */

static void publish(struct call *call, enum pubsub_kind kind)
{
    size_t receivers;
    if (pubsub_publish(call->engine, kind, call->argv[1], call->argv[2], &receivers))
        reply_int(call->reply, (int64_t)receivers);
    else
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
}

static void run_publish(struct call *call)
{
    publish(call, PUBSUB_CHANNEL);
}

static void run_spublish(struct call *call)
{
    publish(call, PUBSUB_SHARD);
}

/* --- PUBSUB CHANNELS, SHARDCHANNELS: a walk that goes on in slices if it is long --- */

enum {
    AT_ONCE_MAX = 1000, /* names up to which the walk is not worth a task */
    STEP_BUCKETS = 128, /* of a task's step: some 700 names */
};

struct walk {
    struct task task;
    enum pubsub_kind kind;
    uint64_t cursor;
    struct output_gap *head; /* NULL before the first step */
    struct reply *reply;     /* borrowed: of the step under way */
    size_t found;
    bool any_name;
    struct bytes pattern; /* borrowed: from the request, or what follows */
    char text[];
};

static void visit(void *context, struct bytes name)
{
    struct walk *walk = context;
    if (!walk->any_name && !glob_match(walk->pattern, name))
        return;
    reply_bulk(walk->reply, name);
    walk->found++;
}

/* True, with everything answered, when the walk is over. */
static bool walk_step(struct walk *walk, struct call *call, size_t buckets)
{
    walk->reply = call->reply;
    if (!walk->head)
        walk->head = reply_deferred(call->reply);
    do
        walk->cursor = pubsub_scan(call->engine, walk->kind, walk->cursor, visit, walk);
    while (walk->cursor && --buckets);
    if (walk->cursor)
        return false;
    reply_deferred_end(call->reply, walk->head, REPLY_ARRAY, walk->found);
    return true;
}

static bool task_step(struct task *task, struct call *call)
{
    return walk_step((struct walk *)task, call, STEP_BUCKETS);
}

static void task_destroy(struct task *task)
{
    mem_free(task);
}

static void list_names(struct call *call, enum pubsub_kind kind)
{
    static const struct task_type type = { .step = task_step, .destroy = task_destroy };
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    struct walk walk = { .task.type = &type, .kind = kind, .any_name = call->argc == 2 || glob_is_any(call->argv[2]) };
    if (!walk.any_name)
        walk.pattern = call->argv[2];
    if (pubsub_names(call->engine, kind) <= AT_ONCE_MAX) {
        walk_step(&walk, call, SIZE_MAX);
        return;
    }
    struct walk *task = mem_try_alloc(sizeof *task + walk.pattern.len);
    if (!task) {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
        return;
    }
    *task = walk;
    if (walk.pattern.len) {
        memcpy(task->text, walk.pattern.ptr, walk.pattern.len);
        task->pattern.ptr = task->text;
    }
    call_defer(call, &task->task);
}

static void run_channels(struct call *call)
{
    list_names(call, PUBSUB_CHANNEL);
}

static void run_shardchannels(struct call *call)
{
    list_names(call, PUBSUB_SHARD);
}

/* --- The rest of PUBSUB --- */

static void reply_subscribers(struct call *call, enum pubsub_kind kind)
{
    if (call->argc > NAMES_AT_ONCE && call_aside_unheld(call))
        return;
    reply_array(call->reply, (size_t)(call->argc - 2) * 2);
    for (uint32_t i = 2; i < call->argc && !fiber_is_over(); i++) {
        reply_bulk(call->reply, call->argv[i]);
        reply_int(call->reply, (int64_t)pubsub_subscribers(call->engine, kind, call->argv[i]));
        fiber_breathe(NAME_COST);
    }
}

static void run_numsub(struct call *call)
{
    reply_subscribers(call, PUBSUB_CHANNEL);
}

static void run_shardnumsub(struct call *call)
{
    reply_subscribers(call, PUBSUB_SHARD);
}

static void run_numpat(struct call *call)
{
    reply_int(call->reply, (int64_t)pubsub_names(call->engine, PUBSUB_PATTERN));
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Show the channels that somebody subscribes to, or those that match.",
        "NUMPAT",
        "    Show how many patterns somebody subscribes to.",
        "NUMSUB [<channel> [...]]",
        "    Show how many clients subscribe to each channel, patterns not counted.",
        "SHARDCHANNELS [<pattern>]",
        "    Show the shard channels that somebody subscribes to, or those that match.",
        "SHARDNUMSUB [<shardchannel> [...]]",
        "    Show how many clients subscribe to each shard channel.",
        NULL,
    };
    call_reply_help(call, lines);
}

enum {
    PUBLISHING = CMD_PUBSUB | CMD_LOADING | CMD_STALE | CMD_FAST | CMD_MAY_REPLICATE,
    SUBSCRIBING = CMD_PUBSUB | CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE | CMD_SUBSCRIBER,
    ASKING = CMD_PUBSUB | CMD_LOADING | CMD_STALE,
};

static const struct command subcommands[] = {
    { .name = "CHANNELS",
        .run = run_channels,
        .argc = AT_LEAST(2),
        .flags = ASKING,
        .group = GROUP_PUBSUB,
        .since = "2.8.0",
        .complexity = "O(N) where N is the number of channels",
        .usage = "[pattern]",
        .brief = "Replies with the channels that have subscribers." },
    { .name = "HELP",
        .run = run_help,
        .argc = EXACTLY(2),
        .flags = CMD_LOADING | CMD_STALE,
        .group = GROUP_PUBSUB,
        .since = "6.2.0",
        .complexity = "O(1)",
        .brief = "Tells about the subcommands." },
    { .name = "NUMPAT",
        .run = run_numpat,
        .argc = EXACTLY(2),
        .flags = ASKING,
        .group = GROUP_PUBSUB,
        .since = "2.8.0",
        .complexity = "O(1)",
        .brief = "Counts the patterns that have subscribers." },
    { .name = "NUMSUB",
        .run = run_numsub,
        .argc = AT_LEAST(2),
        .flags = ASKING,
        .group = GROUP_PUBSUB,
        .since = "2.8.0",
        .complexity = "O(N) where N is the number of channels asked for",
        .usage = "[channel [channel ...]]",
        .brief = "Counts the subscribers of channels." },
    { .name = "SHARDCHANNELS",
        .run = run_shardchannels,
        .argc = AT_LEAST(2),
        .flags = ASKING,
        .group = GROUP_PUBSUB,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of shard channels",
        .usage = "[pattern]",
        .brief = "Replies with the shard channels that have subscribers." },
    { .name = "SHARDNUMSUB",
        .run = run_shardnumsub,
        .argc = AT_LEAST(2),
        .flags = ASKING,
        .group = GROUP_PUBSUB,
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of shard channels asked for",
        .usage = "[shardchannel [shardchannel ...]]",
        .brief = "Counts the subscribers of shard channels." },
    { 0 },
};

const struct command pubsub_commands[] = {
    { .name = "SUBSCRIBE",
        .channels = { .first = 1, .rest = true },
        .run = run_subscribe,
        .argc = AT_LEAST(2),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of channels",
        .usage = "channel [channel ...]",
        .brief = "Listens to channels." },
    { .name = "UNSUBSCRIBE",
        .run = run_unsubscribe,
        .argc = AT_LEAST(1),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of channels",
        .usage = "[channel [channel ...]]",
        .brief = "Stops listening to channels, or to all of them." },
    { .name = "PSUBSCRIBE",
        .channels = { .first = 1, .rest = true, .patterns = true },
        .run = run_psubscribe,
        .argc = AT_LEAST(2),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of patterns",
        .usage = "pattern [pattern ...]",
        .brief = "Listens to the channels that match patterns." },
    { .name = "PUNSUBSCRIBE",
        .run = run_punsubscribe,
        .argc = AT_LEAST(1),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .since = "2.0.0",
        .complexity = "O(N) where N is the number of patterns",
        .usage = "[pattern [pattern ...]]",
        .brief = "Stops listening to patterns, or to all of them." },
    { .name = "SSUBSCRIBE",
        .channels = { .first = 1, .rest = true },
        .run = run_ssubscribe,
        .argc = AT_LEAST(2),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .keys = { KEY_RANGE(1, -1, 1, KEY_NOT_KEY) },
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of shard channels",
        .usage = "shardchannel [shardchannel ...]",
        .brief = "Listens to shard channels." },
    { .name = "SUNSUBSCRIBE",
        .run = run_sunsubscribe,
        .argc = AT_LEAST(1),
        .flags = SUBSCRIBING,
        .group = GROUP_PUBSUB,
        .keys = { KEY_RANGE(1, -1, 1, KEY_NOT_KEY) },
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of shard channels",
        .usage = "[shardchannel [shardchannel ...]]",
        .brief = "Stops listening to shard channels, or to all of them." },
    { .name = "PUBLISH",
        .channels = { .first = 1 },
        .run = run_publish,
        .argc = EXACTLY(3),
        .flags = PUBLISHING,
        .group = GROUP_PUBSUB,
        .since = "2.0.0",
        .complexity = "O(N+M) where N is the number of those who get the message and M is the number of patterns",
        .usage = "channel message",
        .brief = "Sends a message to all who listen to a channel." },
    { .name = "SPUBLISH",
        .channels = { .first = 1 },
        .run = run_spublish,
        .argc = EXACTLY(3),
        .flags = PUBLISHING,
        .group = GROUP_PUBSUB,
        .keys = { KEY_AT(1, KEY_NOT_KEY) },
        .since = "7.0.0",
        .complexity = "O(N) where N is the number of those who get the message",
        .usage = "shardchannel message",
        .brief = "Sends a message to all who listen to a shard channel." },
    { .name = "PUBSUB",
        .argc = AT_LEAST(2),
        .group = GROUP_PUBSUB,
        .subcommands = subcommands,
        .since = "2.8.0",
        .complexity = "Depends on the subcommand.",
        .brief = "Tells about channels and their subscribers." },
    { 0 },
};

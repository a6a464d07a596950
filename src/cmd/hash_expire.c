/*
 * Hashes: fields that expire, and the commands that read, write or remove fields together with their expiry.
 *
 * All of them name their fields as "FIELDS numfields field ..."; what stands between the key and that differs. Moments
 * are ms since 1970; one that has passed removes the field at once.
 *
 * Where the fields are very many the command runs aside (many_words_priv.h), and opens the hash anew for some of them
 * at a time.
 */
#include "cmd/families.h"
#include "engine/command.h"
#include "hash_priv.h"
#include "many_words_priv.h"
#include "store/hash_expiry.h"

enum {
    ANSWER_NO_FIELD = -2,
    ANSWER_NO_EXPIRY = -1,
    ANSWER_NOT_MET = 0, /* the condition */
    ANSWER_DONE = 1,
    ANSWER_REMOVED = 2, /* the moment had passed */
};

/* The fields of a request: `count` of them from argument `first` on. */
struct fields {
    uint32_t first, count;
};

/* --- Arguments --- */

/* Reads FIELDS and what follows, to the end of the request; false if that answered an error. */
static bool parse_fields(struct call *call, uint32_t at, const char *bad_count, struct fields *fields)
{
    int64_t count;
    if (at + 1 >= call->argc || !call_arg_is(call, at, "FIELDS")) {
        reply_error(call->reply, BYTES("ERR Mandatory argument FIELDS is missing or not at the right position"));
        return false;
    }
    if (!call_arg_i64(call, at + 1, 1, INT64_MAX, bad_count, &count))
        return false;
    if (count != (int64_t)call->argc - at - 2) {
        reply_error(call->reply, BYTES("ERR The `numfields` parameter must match the number of arguments"));
        return false;
    }
    *fields = (struct fields){ at + 2, (uint32_t)count };
    return true;
}

static const char *const positive_count = "ERR Number of fields must be a positive integer";

/* Reads a moment, or a time from now on; false if that answered an error. */
static bool parse_moment(struct call *call, uint32_t at, int64_t unit_ms, bool relative, int64_t *at_ms)
{
    int64_t value, base_ms = relative ? call_clock_ms(call) : 0;
    if (!call_arg_i64(call, at, INT64_MIN, INT64_MAX, NULL, &value))
        return false;
    if (value < 0) {
        reply_error(call->reply, BYTES("ERR invalid expire time, must be >= 0"));
        return false;
    }
    if (value > HASH_EXPIRY_MAX / unit_ms || value * unit_ms > HASH_EXPIRY_MAX - base_ms) {
        reply_error_printf(call->reply, "ERR invalid expire time in '%s' command", call->command->full_name);
        return false;
    }
    *at_ms = base_ms + value * unit_ms;
    return true;
}

/* What HGETEX and HSETEX do with expiries. */
struct expiry_option {
    enum { EXPIRY_UNSAID, EXPIRY_SET, EXPIRY_STAYS, EXPIRY_GOES } what;
    int64_t at_ms;
};

/* `other` is the option that stands beside the four that set: KEEPTTL or PERSIST. */
static bool is_expiry_option(const struct call *call, uint32_t at, const char *other)
{
    return call_arg_is(call, at, "EX") || call_arg_is(call, at, "PX") || call_arg_is(call, at, "EXAT") ||
           call_arg_is(call, at, "PXAT") || call_arg_is(call, at, other);
}

/* Reads the option at *at and moves behind it; false if that answered an error. */
static bool parse_expiry_option(struct call *call, uint32_t *at, const char *other, struct expiry_option *option)
{
    uint32_t word = (*at)++;
    if (option->what != EXPIRY_UNSAID) {
        reply_error_printf(call->reply, "ERR Only one of EX, PX, EXAT, PXAT or %s arguments can be specified", other);
        return false;
    }
    if (call_arg_is(call, word, other)) {
        option->what = call_arg_is(call, word, "PERSIST") ? EXPIRY_GOES : EXPIRY_STAYS;
        return true;
    }
    if (*at >= call->argc) {
        reply_error(call->reply, BYTES("ERR missing expire time"));
        return false;
    }
    option->what = EXPIRY_SET;
    bool relative = call->argv[word].len == 2, seconds = ascii_upper(call->argv[word].ptr[0]) == 'E';
    return parse_moment(call, (*at)++, seconds ? 1000 : 1, relative, &option->at_ms);
}

/* --- Setting --- */

enum condition { ALWAYS, IF_NONE, IF_SOME, IF_LATER, IF_EARLIER };

static enum condition parse_condition(const struct call *call, uint32_t at)
{
    static const char *const words[] = { "NX", "XX", "GT", "LT" };
    for (int i = 0; i < 4; i++)
        if (call_arg_is(call, at, words[i]))
            return (enum condition)(IF_NONE + i);
    return ALWAYS;
}

/* A field that does not expire counts as one that expires after any moment. */
static bool condition_holds(enum condition condition, int64_t old_ms, int64_t new_ms)
{
    bool has_one = old_ms != EXPIRY_NONE;
    switch (condition) {
    case IF_NONE:
        return !has_one;
    case IF_SOME:
        return has_one;
    case IF_LATER:
        return has_one && new_ms > old_ms;
    case IF_EARLIER:
        return !has_one || new_ms < old_ms;
    default:
        return true;
    }
}

/* Lets a field that was found expire, or removes it. False when memory is out. */
static bool expire_field(
    struct call *call, struct hash_writer *writer, struct hash_place *place, int64_t at_ms, bool *removed)
{
    *removed = at_ms != EXPIRY_NONE && at_ms <= call->now_ms;
    if (!*removed)
        return hash_set_expiry(writer, place, at_ms);
    hash_remove(writer, place);
    return true;
}

/* True if the field exists; an empty writer has none. */
static bool find(struct hash_writer *writer, struct bytes field, struct hash_place *place)
{
    return writer->value && hash_find(writer, field, place);
}

/*
 * What became of fields, for those who are told: fields whose expiry was set or taken away, and fields that were
 * removed, since their moment had passed or because that was asked for. Each becomes one command.
 */
struct changes {
    struct bytes *set, *removed; /* NULL if nobody wants to know */
    uint32_t set_count, removed_count;
    struct propagate_later words; /* aside: they are made little by little, and told of at once */
};

static void begin_changes(struct call *call, struct changes *changes, const struct fields *fields)
{
    *changes = (struct changes){ 0 };
    if (!call_is_propagated(call) && !fiber_running) /* aside, somebody may begin to listen before the end */
        return;
    changes->set = arena_alloc(call->arena, fields->count * sizeof *changes->set);
    changes->removed = arena_alloc(call->arena, fields->count * sizeof *changes->removed);
}

static void note_change(struct changes *changes, struct bytes field, bool removed)
{
    struct bytes *noted = removed ? changes->removed : changes->set;
    uint32_t *count = removed ? &changes->removed_count : &changes->set_count;
    if (noted)
        noted[*count] = field;
    ++*count;
}

static void tell(struct call *call, struct changes *changes, const struct bytes *argv, uint32_t argc)
{
    if (fiber_running)
        propagate_later_add(&changes->words, argv, argc);
    else
        call_propagate(call, argv, argc);
}

/* HPEXPIREAT key ms FIELDS n field ..., or HPERSIST key FIELDS n field ... if there is no moment. */
static void tell_set(struct call *call, struct changes *changes, int64_t at_ms)
{
    struct bytes *argv = arena_alloc(call->arena, (5 + changes->set_count) * sizeof *argv);
    uint32_t argc = 0;
    argv[argc++] = is_moment(at_ms) ? BYTES("HPEXPIREAT") : BYTES("HPERSIST");
    argv[argc++] = call->argv[1];
    if (is_moment(at_ms))
        argv[argc++] = call_number(call, at_ms);
    argv[argc++] = BYTES("FIELDS");
    argv[argc++] = call_number(call, changes->set_count);
    memcpy(&argv[argc], changes->set, changes->set_count * sizeof *argv);
    tell(call, changes, argv, argc + changes->set_count);
}

static void tell_removed(struct call *call, struct changes *changes)
{
    struct bytes *argv = arena_alloc(call->arena, (2 + changes->removed_count) * sizeof *argv);
    argv[0] = BYTES("HDEL");
    argv[1] = call->argv[1];
    memcpy(&argv[2], changes->removed, changes->removed_count * sizeof *argv);
    tell(call, changes, argv, 2 + changes->removed_count);
}

/* After the writer's end. */
static void tell_changes(struct call *call, struct changes *changes, int64_t at_ms)
{
    if (changes->set_count)
        hash_notify(call, is_moment(at_ms) ? "hexpire" : "hpersist");
    if (changes->removed_count)
        hash_notify_removal(call, "hdel");
    if (!call_is_propagated(call))
        return;
    if (changes->set_count)
        tell_set(call, changes, at_ms);
    if (changes->removed_count)
        tell_removed(call, changes);
    if (changes->words.count)
        call_propagate_later(call, &changes->words);
}

/* --- All fields of a request --- */

struct work {
    struct call *call;
    struct hash_writer writer; /* open while a field is dealt with */
    struct fields fields;
    uint32_t stride; /* arguments a field */
    uint32_t changed;
    struct changes changes;
    enum condition condition;
    struct expiry_option expiry;
};

/*
 * Has `deal` see to each field, by its argument, until that is false; then so is this. The writer is open, which it is
 * not any more in the end.
 */
static bool each_field(struct work *work, bool (*deal)(struct work *work, uint32_t index))
{
    struct call *call = work->call;
    struct hash_writer *writer = &work->writer;
    uint32_t index = work->fields.first, last = index + work->stride * work->fields.count;
    for (bool more = true; more && (index == work->fields.first || hash_call_begin(call, writer));) {
        uint32_t end = fiber_running && last - index > WORDS_AT_ONCE ? index + WORDS_AT_ONCE : last;
        work->changed = 0;
        for (uint32_t i = 0; index < end && more; i++, index += work->stride) {
            if (writer->entry && end - index > work->stride && i % HASH_AHEAD == 0)
                hash_prefetch(writer->entry, call->argv + index, end - index, work->stride);
            more = deal(work, index);
        }
        hash_end(writer);
        hash_call_dirty(call, work->changed);
        if (!more || index == last)
            return more;
        fiber_breathe(WORDS_COST);
    }
    return false;
}

/* Answers for each field; if memory was out, an error takes the place of all that. */
static void answer_each(struct work *work, bool (*deal)(struct work *work, uint32_t index))
{
    struct call *call = work->call;
    struct output_mark before = output_mark(call->reply->out);
    work->stride = 1;
    begin_changes(call, &work->changes, &work->fields);
    reply_array(call->reply, work->fields.count);
    if (!each_field(work, deal)) {
        output_rewind(call->reply->out, before);
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
    tell_changes(call, &work->changes, work->expiry.what == EXPIRY_SET ? work->expiry.at_ms : EXPIRY_NONE);
}

static void note(struct work *work, uint32_t index, bool removed)
{
    note_change(&work->changes, work->call->argv[index], removed);
    work->changed++;
}

static bool set_one(struct work *work, uint32_t index)
{
    struct hash_place place;
    int64_t answer = ANSWER_NO_FIELD, at_ms = work->expiry.at_ms;
    if (find(&work->writer, work->call->argv[index], &place)) {
        bool removed = false, holds = condition_holds(work->condition, hash_expiry_at(&work->writer, &place), at_ms);
        if (holds && !expire_field(work->call, &work->writer, &place, at_ms, &removed))
            return false;
        answer = !holds ? ANSWER_NOT_MET : removed ? ANSWER_REMOVED : ANSWER_DONE;
        if (holds)
            note(work, index, removed);
    }
    reply_int(work->call->reply, answer);
    return true;
}

static void set_expiry(struct call *call, int64_t unit_ms, bool relative)
{
    struct work work = { .call = call, .expiry.what = EXPIRY_SET };
    if (!hash_call_begin(call, &work.writer) || !parse_moment(call, 2, unit_ms, relative, &work.expiry.at_ms))
        return;
    uint32_t at = 3;
    work.condition = parse_condition(call, at);
    at += work.condition != ALWAYS;
    if (parse_fields(call, at, "ERR Parameter `numFields` should be greater than 0", &work.fields) &&
        !words_aside(call))
        answer_each(&work, set_one);
}

static void run_hexpire(struct call *call)
{
    set_expiry(call, 1000, true);
}

static void run_hpexpire(struct call *call)
{
    set_expiry(call, 1, true);
}

static void run_hexpireat(struct call *call)
{
    set_expiry(call, 1000, false);
}

static void run_hpexpireat(struct call *call)
{
    set_expiry(call, 1, false);
}

static bool persist_one(struct work *work, uint32_t index)
{
    struct hash_place place;
    int64_t answer = ANSWER_NO_FIELD;
    if (find(&work->writer, work->call->argv[index], &place)) {
        bool has_one = hash_expiry_at(&work->writer, &place) != EXPIRY_NONE;
        if (has_one && !hash_set_expiry(&work->writer, &place, EXPIRY_NONE))
            return false;
        answer = has_one ? ANSWER_DONE : ANSWER_NO_EXPIRY;
        if (has_one)
            note(work, index, false);
    }
    reply_int(work->call->reply, answer);
    return true;
}

static void run_hpersist(struct call *call)
{
    struct work work = { .call = call };
    if (hash_call_begin(call, &work.writer) && parse_fields(call, 2, positive_count, &work.fields) &&
        !words_aside(call))
        answer_each(&work, persist_one);
}

/* --- Asking --- */

/* Answers in the given unit, rounded up, the time left or the moment itself. */
static void reply_expiries(struct call *call, int64_t unit_ms, bool relative)
{
    const struct entry *entry;
    struct fields fields;
    if (!hash_call_read(call, &entry) || !parse_fields(call, 2, positive_count, &fields) || words_aside(call))
        return;
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        int64_t at_ms, answer = ANSWER_NO_FIELD;
        if (entry && fields.count > 1 && i % HASH_AHEAD == 0)
            hash_prefetch(entry, call->argv + fields.first + i, fields.count - i, 1);
        fiber_breathe(WORD_COST);
        if (entry && hash_get_expiry(entry, call->argv[fields.first + i], call->now_ms, &at_ms)) {
            int64_t from_ms = relative ? call->now_ms : 0;
            answer = at_ms == EXPIRY_NONE ? ANSWER_NO_EXPIRY : (at_ms - from_ms + unit_ms - 1) / unit_ms;
        }
        reply_int(call->reply, answer);
    }
}

static void run_httl(struct call *call)
{
    reply_expiries(call, 1000, true);
}

static void run_hpttl(struct call *call)
{
    reply_expiries(call, 1, true);
}

static void run_hexpiretime(struct call *call)
{
    reply_expiries(call, 1000, false);
}

static void run_hpexpiretime(struct call *call)
{
    reply_expiries(call, 1, false);
}

/* --- Reading or writing, and more --- */

static bool get_and_remove_one(struct work *work, uint32_t index)
{
    struct hash_place place;
    struct hash_scratch scratch;
    if (find(&work->writer, work->call->argv[index], &place)) {
        reply_bulk(work->call->reply, hash_value_at(&work->writer, &place, &scratch));
        hash_remove(&work->writer, &place);
        note(work, index, true);
    } else {
        reply_null(work->call->reply);
    }
    return true;
}

static void run_hgetdel(struct call *call)
{
    struct work work = { .call = call };
    if (hash_call_begin(call, &work.writer) && parse_fields(call, 2, positive_count, &work.fields) &&
        !words_aside(call))
        answer_each(&work, get_and_remove_one);
}

static bool get_and_expire_one(struct work *work, uint32_t index)
{
    struct call *call = work->call;
    struct hash_writer *writer = &work->writer;
    struct hash_place place;
    struct hash_scratch scratch;
    bool removed = false;
    if (!find(writer, call->argv[index], &place)) {
        reply_null(call->reply);
        return true;
    }
    reply_bulk(call->reply, hash_value_at(writer, &place, &scratch));
    bool sets = work->expiry.what == EXPIRY_SET;
    if (!sets && (work->expiry.what != EXPIRY_GOES || hash_expiry_at(writer, &place) == EXPIRY_NONE))
        return true;
    if (!expire_field(call, writer, &place, sets ? work->expiry.at_ms : EXPIRY_NONE, &removed))
        return false;
    note(work, index, removed);
    return true;
}

static void run_hgetex(struct call *call)
{
    struct work work = { .call = call };
    uint32_t at = 2;
    if (!hash_call_begin(call, &work.writer))
        return;
    while (at < call->argc && is_expiry_option(call, at, "PERSIST"))
        if (!parse_expiry_option(call, &at, "PERSIST", &work.expiry))
            return;
    if (parse_fields(call, at, positive_count, &work.fields) && !words_aside(call))
        answer_each(&work, get_and_expire_one);
}

struct setex {
    struct work work; /* of pairs */
    bool if_none, if_all, removed;
};

static bool parse_setex_fields(struct call *call, uint32_t *at, struct setex *setex)
{
    int64_t count;
    if (setex->work.fields.count) {
        reply_error(call->reply, BYTES("ERR FIELDS keyword specified multiple times"));
        return false;
    }
    if (*at + 1 >= call->argc) {
        call_fail_arity(call);
        return false;
    }
    if (!call_arg_i64(call, *at + 1, 1, INT64_MAX, "ERR invalid number of fields", &count))
        return false;
    if (count > ((int64_t)call->argc - *at - 2) / 2) {
        call_fail_arity(call);
        return false;
    }
    setex->work.fields = (struct fields){ *at + 2, (uint32_t)count };
    *at += 2 + 2 * (uint32_t)count;
    return true;
}

static bool parse_setex(struct call *call, struct setex *setex)
{
    for (uint32_t at = 2; at < call->argc;) {
        bool if_none = call_arg_is(call, at, "FNX"), if_all = call_arg_is(call, at, "FXX");
        if (if_none || if_all) {
            if (setex->if_none || setex->if_all) {
                reply_error(call->reply, BYTES("ERR Only one of FXX or FNX arguments can be specified"));
                return false;
            }
            setex->if_none = if_none;
            setex->if_all = if_all;
            at++;
        } else if (is_expiry_option(call, at, "KEEPTTL")) {
            if (!parse_expiry_option(call, &at, "KEEPTTL", &setex->work.expiry))
                return false;
        } else if (call_arg_is(call, at, "FIELDS")) {
            if (!parse_setex_fields(call, &at, setex))
                return false;
        } else if (setex->work.fields.count) { /* more pairs than were announced */
            call_fail_arity(call);
            return false;
        } else {
            struct bytes word = call->argv[at];
            reply_error_printf(
                call->reply, "ERR unknown argument: %.*s", word.len < 128 ? (int)word.len : 128, word.ptr);
            return false;
        }
    }
    if (setex->work.fields.count)
        return true;
    reply_error(call->reply, BYTES("ERR missing FIELDS argument"));
    return false;
}

static bool is_none(struct work *work, uint32_t index)
{
    struct hash_place place;
    return !find(&work->writer, work->call->argv[index], &place);
}

static bool is_there(struct work *work, uint32_t index)
{
    return !is_none(work, index);
}

/* What was written is told of as HSET, HPEXPIREAT or HDEL; but only HSETEX itself keeps the expiries that it finds. */
static void tell_setex(struct call *call, struct setex *setex)
{
    struct work *work = &setex->work;
    const struct bytes *pairs = call->argv + work->fields.first;
    uint32_t count = work->fields.count;
    hash_notify(call, "hset");
    begin_changes(call, &work->changes, &work->fields);
    for (uint32_t i = 0; i < count && work->expiry.what == EXPIRY_SET; i++)
        note_change(&work->changes, pairs[2 * i], setex->removed);
    if (call_is_propagated(call) && work->expiry.what != EXPIRY_STAYS) {
        struct bytes *argv = arena_alloc(call->arena, (2 + 2 * count) * sizeof *argv);
        argv[0] = BYTES("HSET");
        argv[1] = call->argv[1];
        memcpy(&argv[2], pairs, 2 * count * sizeof *argv);
        tell(call, &work->changes, argv, 2 + 2 * count);
    }
    hash_call_dirty(call, work->changes.set_count + work->changes.removed_count);
    tell_changes(call, &work->changes, work->expiry.at_ms);
}

static bool set_pair(struct work *work, uint32_t index)
{
    struct setex *setex = (struct setex *)work;
    const struct bytes *pair = work->call->argv + index;
    enum hash_expiry_policy policy = work->expiry.what == EXPIRY_STAYS ? HASH_EXPIRY_KEEP : HASH_EXPIRY_DROP;
    struct hash_place place;
    hash_find(&work->writer, pair[0], &place);
    bool done = hash_put(&work->writer, &place, pair[0], pair[1], policy);
    work->changed++;
    if (!done || work->expiry.what != EXPIRY_SET)
        return done;
    hash_find(&work->writer, pair[0], &place);
    return expire_field(work->call, &work->writer, &place, work->expiry.at_ms, &setex->removed);
}

static void run_hsetex(struct call *call)
{
    struct setex setex = { .work = { .call = call, .stride = 2 } };
    struct work *work = &setex.work;
    if (!parse_setex(call, &setex) || !hash_call_begin(call, &work->writer) || words_aside(call))
        return;
    if (setex.if_none || setex.if_all) {
        if (!each_field(work, setex.if_all ? is_there : is_none)) {
            reply_int(call->reply, 0);
            return;
        }
        hash_call_begin(call, &work->writer);
    }
    if (each_field(work, set_pair)) {
        tell_setex(call, &setex);
        reply_int(call->reply, 1);
    } else {
        reply_fail(call->reply, ERROR_MEMORY_REQUEST);
    }
}

static const char *const tips_left[] = { "nondeterministic_output", NULL };

const struct command hash_expire_commands[] = {
    { .name = "HEXPIRE",
        .run = run_hexpire,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        .brief = "Lets fields of a hash expire after so many seconds." },
    { .name = "HPEXPIRE",
        .run = run_hpexpire,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        .brief = "Lets fields of a hash expire after so many milliseconds." },
    { .name = "HEXPIREAT",
        .run = run_hexpireat,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        .brief = "Lets fields of a hash expire at a moment, in seconds since 1970." },
    { .name = "HPEXPIREAT",
        .run = run_hpexpireat,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]",
        .brief = "Lets fields of a hash expire at a moment, in milliseconds since 1970." },
    { .name = "HTTL",
        .run = run_httl,
        .argc = AT_LEAST(5),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Replies in how many seconds fields of a hash expire.",
        .tips = tips_left },
    { .name = "HPTTL",
        .run = run_hpttl,
        .argc = AT_LEAST(5),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Replies in how many milliseconds fields of a hash expire.",
        .tips = tips_left },
    { .name = "HEXPIRETIME",
        .run = run_hexpiretime,
        .argc = AT_LEAST(5),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Replies when fields of a hash expire, in seconds since 1970." },
    { .name = "HPEXPIRETIME",
        .run = run_hpexpiretime,
        .argc = AT_LEAST(5),
        .flags = CMD_READ | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_READ_ACCESS) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Replies when fields of a hash expire, in milliseconds since 1970." },
    { .name = "HPERSIST",
        .run = run_hpersist,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "7.4.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Lets fields of a hash no longer expire." },
    { .name = "HGETDEL",
        .run = run_hgetdel,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_DELETE) },
        .since = "8.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key FIELDS numfields field [field ...]",
        .brief = "Replies with the values of fields of a hash and removes them." },
    { .name = "HGETEX",
        .run = run_hgetex,
        .argc = AT_LEAST(5),
        .flags = CMD_WRITE | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "8.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST] "
                 "FIELDS numfields field [field ...]",
        .brief = "Replies with the values of fields of a hash and changes when they expire." },
    { .name = "HSETEX",
        .run = run_hsetex,
        .argc = AT_LEAST(6),
        .flags = CMD_WRITE | CMD_DENY_OOM | CMD_FAST,
        .group = GROUP_HASH,
        .keys = { KEY_AT(1, KEY_RW | KEY_UPDATE) },
        .since = "8.0.0",
        .complexity = "O(N) where N is the number of fields given.",
        .usage =
            "key [FNX | FXX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
            "KEEPTTL] FIELDS numfields field value [field value ...]",
        .brief = "Sets fields of a hash and when they expire, if none or all of them exist." },
    { 0 },
};

/*
 * Hashes: fields that expire, and the commands that read, write or remove fields together with their expiry.
 *
 * All of them name their fields as "FIELDS numfields field ..."; what stands between the key and that differs. Moments
 * are ms since 1970; one that has passed removes the field at once.
 */
#include "cmd/families.h"
#include "engine/command.h"
#include "hash_priv.h"
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
};

static void begin_changes(struct call *call, struct changes *changes, const struct fields *fields)
{
    *changes = (struct changes){ 0 };
    if (!call_is_propagated(call))
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

/* HPEXPIREAT key ms FIELDS n field ..., or HPERSIST key FIELDS n field ... if there is no moment. */
static void propagate_set(struct call *call, const struct changes *changes, int64_t at_ms)
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
    call_propagate(call, argv, argc + changes->set_count);
}

static void propagate_removed(struct call *call, const struct changes *changes)
{
    struct bytes *argv = arena_alloc(call->arena, (2 + changes->removed_count) * sizeof *argv);
    argv[0] = BYTES("HDEL");
    argv[1] = call->argv[1];
    memcpy(&argv[2], changes->removed, changes->removed_count * sizeof *argv);
    call_propagate(call, argv, 2 + changes->removed_count);
}

/* After the writer's end. */
static void tell_changes(struct call *call, const struct changes *changes, int64_t at_ms)
{
    hash_call_dirty(call, changes->set_count + changes->removed_count);
    if (changes->set_count)
        hash_notify(call, is_moment(at_ms) ? "hexpire" : "hpersist");
    if (changes->removed_count)
        hash_notify_removal(call, "hdel");
    if (changes->set_count && changes->set)
        propagate_set(call, changes, at_ms);
    if (changes->removed_count && changes->removed)
        propagate_removed(call, changes);
}

/* Ends a writer; if memory was out, an error takes the place of what was answered since `before`. */
static void end(struct call *call, struct hash_writer *writer, bool done, struct output_mark before)
{
    if (!done)
        output_rewind(call->reply->out, before);
    hash_call_end(call, writer, done);
}

static void set_expiry(struct call *call, int64_t unit_ms, bool relative)
{
    struct hash_writer writer;
    struct fields fields;
    int64_t at_ms;
    if (!hash_call_begin(call, &writer) || !parse_moment(call, 2, unit_ms, relative, &at_ms))
        return;
    enum condition condition = parse_condition(call, 3);
    if (!parse_fields(call, condition == ALWAYS ? 3 : 4, "ERR Parameter `numFields` should be greater than 0", &fields))
        return;
    struct output_mark before = output_mark(call->reply->out);
    struct changes changes;
    begin_changes(call, &changes, &fields);
    bool done = true;
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count && done; i++) {
        struct hash_place place;
        int64_t answer = ANSWER_NO_FIELD;
        if (find(&writer, call->argv[fields.first + i], &place)) {
            bool removed = false, holds = condition_holds(condition, hash_expiry_at(&writer, &place), at_ms);
            done = !holds || expire_field(call, &writer, &place, at_ms, &removed);
            answer = !holds ? ANSWER_NOT_MET : removed ? ANSWER_REMOVED : ANSWER_DONE;
            if (holds && done)
                note_change(&changes, call->argv[fields.first + i], removed);
        }
        reply_int(call->reply, answer);
    }
    end(call, &writer, done, before);
    tell_changes(call, &changes, at_ms);
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

static void run_hpersist(struct call *call)
{
    struct hash_writer writer;
    struct fields fields;
    if (!hash_call_begin(call, &writer) || !parse_fields(call, 2, positive_count, &fields))
        return;
    struct output_mark before = output_mark(call->reply->out);
    struct changes changes;
    begin_changes(call, &changes, &fields);
    bool done = true;
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count && done; i++) {
        struct hash_place place;
        int64_t answer = ANSWER_NO_FIELD;
        if (find(&writer, call->argv[fields.first + i], &place)) {
            bool has_one = hash_expiry_at(&writer, &place) != EXPIRY_NONE;
            done = !has_one || hash_set_expiry(&writer, &place, EXPIRY_NONE);
            answer = has_one ? ANSWER_DONE : ANSWER_NO_EXPIRY;
            if (has_one && done)
                note_change(&changes, call->argv[fields.first + i], false);
        }
        reply_int(call->reply, answer);
    }
    end(call, &writer, done, before);
    tell_changes(call, &changes, EXPIRY_NONE);
}

/* --- Asking --- */

/* Answers in the given unit, rounded up, the time left or the moment itself. */
static void reply_expiries(struct call *call, int64_t unit_ms, bool relative)
{
    const struct entry *entry;
    struct fields fields;
    if (!hash_call_read(call, &entry) || !parse_fields(call, 2, positive_count, &fields))
        return;
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        int64_t at_ms, answer = ANSWER_NO_FIELD;
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

static void run_hgetdel(struct call *call)
{
    struct hash_writer writer;
    struct hash_scratch scratch;
    struct fields fields;
    if (!hash_call_begin(call, &writer) || !parse_fields(call, 2, positive_count, &fields))
        return;
    struct changes changes;
    begin_changes(call, &changes, &fields);
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count; i++) {
        struct hash_place place;
        if (find(&writer, call->argv[fields.first + i], &place)) {
            reply_bulk(call->reply, hash_value_at(&writer, &place, &scratch));
            hash_remove(&writer, &place);
            note_change(&changes, call->argv[fields.first + i], true);
        } else {
            reply_null(call->reply);
        }
    }
    hash_end(&writer);
    tell_changes(call, &changes, EXPIRY_NONE);
}

static void run_hgetex(struct call *call)
{
    struct hash_writer writer;
    struct hash_scratch scratch;
    struct fields fields;
    struct expiry_option option = { 0 };
    uint32_t at = 2;
    if (!hash_call_begin(call, &writer))
        return;
    while (at < call->argc && is_expiry_option(call, at, "PERSIST"))
        if (!parse_expiry_option(call, &at, "PERSIST", &option))
            return;
    if (!parse_fields(call, at, positive_count, &fields))
        return;
    struct output_mark before = output_mark(call->reply->out);
    struct changes changes;
    begin_changes(call, &changes, &fields);
    bool done = true;
    int64_t at_ms = option.what == EXPIRY_SET ? option.at_ms : EXPIRY_NONE;
    reply_array(call->reply, fields.count);
    for (uint32_t i = 0; i < fields.count && done; i++) {
        struct hash_place place;
        bool removed = false;
        if (!find(&writer, call->argv[fields.first + i], &place)) {
            reply_null(call->reply);
            continue;
        }
        reply_bulk(call->reply, hash_value_at(&writer, &place, &scratch));
        bool goes = option.what == EXPIRY_GOES && hash_expiry_at(&writer, &place) != EXPIRY_NONE;
        if (option.what != EXPIRY_SET && !goes)
            continue;
        done = expire_field(call, &writer, &place, at_ms, &removed);
        if (done)
            note_change(&changes, call->argv[fields.first + i], removed);
    }
    end(call, &writer, done, before);
    tell_changes(call, &changes, at_ms);
}

struct setex {
    bool if_none, if_all;
    struct expiry_option expiry;
    struct fields fields; /* pairs */
};

static bool parse_setex_fields(struct call *call, uint32_t *at, struct setex *setex)
{
    int64_t count;
    if (setex->fields.count) {
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
    setex->fields = (struct fields){ *at + 2, (uint32_t)count };
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
            if (!parse_expiry_option(call, &at, "KEEPTTL", &setex->expiry))
                return false;
        } else if (call_arg_is(call, at, "FIELDS")) {
            if (!parse_setex_fields(call, &at, setex))
                return false;
        } else if (setex->fields.count) { /* more pairs than were announced */
            call_fail_arity(call);
            return false;
        } else {
            struct bytes word = call->argv[at];
            reply_error_printf(
                call->reply, "ERR unknown argument: %.*s", word.len < 128 ? (int)word.len : 128, word.ptr);
            return false;
        }
    }
    if (setex->fields.count)
        return true;
    reply_error(call->reply, BYTES("ERR missing FIELDS argument"));
    return false;
}

/* True if none of the fields exists, or all of them do, as wanted. */
static bool setex_may_write(struct call *call, struct hash_writer *writer, const struct setex *setex)
{
    for (uint32_t i = 0; (setex->if_none || setex->if_all) && i < setex->fields.count; i++) {
        struct hash_place place;
        if (find(writer, call->argv[setex->fields.first + 2 * i], &place) != setex->if_all)
            return false;
    }
    return true;
}

/* What was written is told of as HSET, HPEXPIREAT or HDEL; but only HSETEX itself keeps the expiries that it finds. */
static void tell_setex(struct call *call, const struct setex *setex, bool removed)
{
    const struct bytes *pairs = call->argv + setex->fields.first;
    uint32_t count = setex->fields.count;
    struct changes changes;
    hash_notify(call, "hset");
    begin_changes(call, &changes, &setex->fields);
    for (uint32_t i = 0; i < count && setex->expiry.what == EXPIRY_SET; i++)
        note_change(&changes, pairs[2 * i], removed);
    if (call_is_propagated(call) && setex->expiry.what != EXPIRY_STAYS) {
        struct bytes *argv = arena_alloc(call->arena, (2 + 2 * count) * sizeof *argv);
        argv[0] = BYTES("HSET");
        argv[1] = call->argv[1];
        memcpy(&argv[2], pairs, 2 * count * sizeof *argv);
        call_propagate(call, argv, 2 + 2 * count);
    }
    tell_changes(call, &changes, setex->expiry.at_ms);
}

static void run_hsetex(struct call *call)
{
    struct setex setex = { 0 };
    struct hash_writer writer;
    if (!parse_setex(call, &setex) || !hash_call_begin(call, &writer))
        return;
    bool may_write = setex_may_write(call, &writer, &setex), done = true, removed = false;
    for (uint32_t i = 0; i < setex.fields.count && may_write && done; i++) {
        const struct bytes *pair = call->argv + setex.fields.first + 2 * i;
        enum hash_expiry_policy policy = setex.expiry.what == EXPIRY_STAYS ? HASH_EXPIRY_KEEP : HASH_EXPIRY_DROP;
        struct hash_place place;
        hash_find(&writer, pair[0], &place);
        done = hash_put(&writer, &place, pair[0], pair[1], policy);
        if (done && setex.expiry.what == EXPIRY_SET) {
            hash_find(&writer, pair[0], &place);
            done = expire_field(call, &writer, &place, setex.expiry.at_ms, &removed);
        }
    }
    if (may_write)
        hash_call_dirty(call, setex.fields.count);
    if (!hash_call_end(call, &writer, done))
        return;
    if (may_write)
        tell_setex(call, &setex, removed);
    reply_int(call->reply, may_write);
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

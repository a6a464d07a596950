/*
 * JSON.NUMINCRBY, JSON.NUMMULTBY, JSON.NUMPOWBY, JSON.TOGGLE: arithmetic in place.
 *
 * Integers stay integers, up to the largest unsigned one of 64 bits where an operand is unsigned already; what does not
 * fit is an error and changes nothing. An integer and a double give a double. As other servers have it, the answer is
 * JSON text, of RESP3 an array of numbers.
 */
#include <math.h>

#include "base/fiber.h"
#include "cmd/families.h"
#include "json_edit_priv.h"

__extension__ typedef __int128 wide;

enum operation { ADD, MULTIPLY, POWER };

struct arithmetic {
    enum operation operation;
    struct json_value operand;
};

static wide integer(struct json_value value)
{
    return json_kind(value) == JSON_UINT ? (wide)json_uint(value) : (wide)json_int(value);
}

/* base ** exponent, which is not negative. False: beyond what any integer here can hold. */
static bool power(wide base, wide exponent, wide *result)
{
    const wide bound = (wide)1 << 64;
    *result = 1;
    if (base >= -1 && base <= 1) {
        *result = base == 0 && exponent > 0 ? 0 : base == -1 && exponent % 2 ? -1 : 1;
        return true;
    }
    for (; exponent > 0; exponent--) {
        *result *= base;
        if (*result > bound || *result < -bound)
            return false;
    }
    return true;
}

/* False: it does not fit. */
static bool calculate_integer(
    enum operation operation, struct json_value a, struct json_value b, struct json_value *result)
{
    wide x = integer(a), y = integer(b), sum;
    if (operation == POWER) {
        if (!power(x, y, &sum))
            return false;
    } else if (operation == ADD ? __builtin_add_overflow(x, y, &sum) : __builtin_mul_overflow(x, y, &sum)) {
        return false;
    }
    bool is_wide = json_kind(a) == JSON_UINT || json_kind(b) == JSON_UINT;
    if (sum < INT64_MIN || sum > (is_wide ? (wide)UINT64_MAX : (wide)INT64_MAX))
        return false;
    *result = sum < 0 ? json_make_int((int64_t)sum) : json_make_uint((uint64_t)sum);
    return true;
}

static const char *calculate(const struct arithmetic *arithmetic, struct json_value a, struct json_value *result)
{
    struct json_value b = arithmetic->operand;
    enum operation operation = arithmetic->operation;
    if (json_is_integer(a) && json_is_integer(b) && !(operation == POWER && integer(b) < 0))
        return calculate_integer(operation, a, b, result) ? NULL : "ERR numeric overflow";
    double x = json_number(a), y = json_number(b);
    double value = operation == ADD ? x + y : operation == MULTIPLY ? x * y : pow(x, y);
    if (!isfinite(value))
        return "ERR result is not a number";
    *result = json_make_double(value);
    return NULL;
}

static void look_at_number(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    if (json_is_number(*found))
        work->refusal = calculate(work->context, *found, answer);
}

static bool change_number(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    json_set(slot, json_value_ref(*answer), work->trash);
    return true;
}

/* The numbers that came of it: as text, or to RESP3 as numbers. */
static void answer_numbers(struct call *call, const struct json_work *work)
{
    bool legacy = json_path_is_legacy(work->path);
    const struct json_value *answers = legacy ? &work->last : work->answers;
    size_t count = legacy ? 1 : work->place.count;
    if (call->reply->proto >= 3) {
        reply_array(call->reply, count);
        for (size_t i = 0; i < count; i++)
            json_reply_expanded(call, &answers[i]);
        return;
    }
    struct json_text text;
    json_text_begin(&text, call);
    text.stays = true;
    for (size_t i = 0; i < count; i++) {
        struct json_value value = answers[i].bits ? answers[i] : JSON_VALUE_NULL;
        if (!legacy)
            json_text_append(&text, i ? BYTES(",") : BYTES("["));
        json_text_value(&text, &value, NULL, 0);
        fiber_breathe(JSON_COST_VALUE);
    }
    if (!legacy)
        json_text_append(&text, count ? BYTES("]") : BYTES("[]"));
    json_text_end(&text);
}

static void run(struct call *call, enum operation operation, const char *event)
{
    struct arithmetic arithmetic = { .operation = operation };
    unsigned depth;
    if (!json_call_values(call, 3, 1, &arithmetic.operand, &depth))
        return;
    struct json_work work = { .look = look_at_number,
        .change = change_number,
        .event = event,
        .otherwise = " or does not contains a number",
        .context = &arithmetic };
    if (!json_is_number(arithmetic.operand)) {
        reply_error(call->reply, BYTES("ERR bad input number"));
    } else {
        if (json_work_run(&work, call, 2))
            answer_numbers(call, &work);
        json_work_end(&work);
    }
    keyspace_release_json(call->keyspace, arithmetic.operand);
}

static void run_incrby(struct call *call)
{
    run(call, ADD, "json.numincrby");
}

static void run_multby(struct call *call)
{
    run(call, MULTIPLY, "json.nummultby");
}

static void run_powby(struct call *call)
{
    run(call, POWER, "json.numpowby");
}

/* --- JSON.TOGGLE --- */

static void look_at_bool(struct json_work *work, const struct json_value *found, struct json_value *answer)
{
    (void)work;
    if (json_kind(*found) == JSON_BOOL)
        *answer = json_make_int(!json_bool(*found));
}

static bool change_bool(struct json_work *work, struct json_value *slot, struct json_value *answer)
{
    json_set(slot, json_make_bool(json_int(*answer)), work->trash);
    return true;
}

static void run_toggle(struct call *call)
{
    struct json_work work = {
        .look = look_at_bool, .change = change_bool, .event = "json.toggle", .otherwise = " or not a bool"
    };
    struct json_path *path = json_call_path_arg(call, 2);
    bool legacy = path && json_path_is_legacy(path);
    json_path_drop(path);
    if (!path)
        return;
    if (!legacy) {
        json_work_answer_ints(&work, call, 2);
        return;
    }
    if (json_work_run(&work, call, 2))
        reply_bulk(call->reply, json_int(work.last) ? BYTES("true") : BYTES("false"));
    json_work_end(&work);
}

#define NUMBER_ROW(n, fn, verb, version)                                                                               \
    {                                                                                                                  \
        .name = (n), .run = (fn), .argc = EXACTLY(4), .flags = CMD_WRITE | CMD_DENY_OOM, .categories = CATEGORY_WRITE, \
        .group = GROUP_JSON, .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) }, .since = (version),              \
        .complexity = "O(N) where N is what the path looks at.", .usage = "key path value", .brief = verb              \
    }

const struct command json_number_commands[] = {
    NUMBER_ROW("JSON.NUMINCRBY", run_incrby, "Adds a number to the numbers that a path names.", "1.0.0"),
    NUMBER_ROW("JSON.NUMMULTBY", run_multby, "Multiplies the numbers that a path names.", "1.0.0"),
    NUMBER_ROW("JSON.NUMPOWBY", run_powby, "Raises the numbers that a path names to a power.", "1.0.0"),
    { .name = "JSON.TOGGLE",
        .run = run_toggle,
        .argc = EXACTLY(3),
        .flags = CMD_WRITE | CMD_DENY_OOM,
        .categories = CATEGORY_WRITE,
        .group = GROUP_JSON,
        .keys = { KEY_AT(1, KEY_RW | KEY_ACCESS | KEY_UPDATE) },
        .since = "2.0.0",
        .complexity = "O(N) where N is what the path looks at.",
        .usage = "key path",
        .brief = "Turns the booleans that a path names into their opposites." },
    { 0 },
};

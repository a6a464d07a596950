/*
 * Plain text in a run: keys that were seen before, strings, numbers and literals, one after the other, and the
 * containers that they stand in. That is nearly all of most texts.
 *
 * The machine in parse.c keeps its place in memory and looks at every byte for the end of the text. Here the place
 * stays in registers, and a run keeps so far away from the end that no token needs to look for it: MARGIN is more than
 * a key and its value that are read here without a check. Whatever is not plain, or not quickly decided, a run leaves
 * to the machine, which takes that one step and comes back. So all errors are found there, and none here.
 *
 * A member costs some fifty instructions: its key, quotes and colon are one comparison of 16 bytes with what followed
 * the same key last time, a short string is one look at 16 bytes, eight digits are read at once.
 *
 * What takes time is not so much the instructions as that each place follows from the text at the one before it. Where
 * it can be guessed (signs, single digits, words) there is a branch and no arithmetic: the processor goes on from the
 * place that it expects, and need not wait until the text has been looked at.
 */
#include "base/num.h"
#include "digits_priv.h"
#include "leaf_priv.h"
#include "parse_priv.h"
#include "scan_priv.h"

/* There is one loop, and its place is to be in registers wherever it is. */
#define ALWAYS_INLINE inline __attribute__((always_inline))

enum {
    MARGIN = 64,
    STRING_MAX = 4096,   /* bytes of a string that is read here */
    INTEGER_DIGITS = 16, /* any integer with so many fits in a slot */
    DIGITS = 19,         /* any number with so many fits in 64 bits */
};

struct run {
    struct json_parser *parser; /* borrowed */
    struct parse_frame *frame;  /* borrowed: of the innermost container */
    struct cached_key **guess;  /* borrowed: the frame's */
    const char *at, *safe;      /* a member or element that begins before `safe` has MARGIN bytes */
    struct json_value *values;  /* borrowed: the parser's stacks */
    json_key *keys;
    size_t top;
    size_t most; /* the stack may grow to here before the machine has to see to it */
    uint64_t seen;
    enum parse_state state;
};

/* Looks again at what the parser keeps. */
static ALWAYS_INLINE void run_load(struct run *run)
{
    struct json_parser *parser = run->parser;

    run->at = parser->at;
    run->safe = parser->end - parser->at < MARGIN      ? parser->at
                : parser->pause < parser->end - MARGIN ? parser->pause
                                                       : parser->end - MARGIN;
    run->values = parser->values;
    run->keys = parser->keys;
    run->top = parser->top;
    run->state = parser->state;
}

/* Turns to the innermost container. */
static ALWAYS_INLINE void run_turn(struct run *run)
{
    struct parse_frame *frame = &run->parser->frames[run->parser->depth - 1];

    run->frame = frame;
    run->guess = frame->guess;
    run->seen = frame->seen;
    run->most = frame->most < run->parser->room ? frame->most : run->parser->room;
}

/* Notes how far it came in the innermost container. */
static ALWAYS_INLINE void run_leave(const struct run *run)
{
    run->frame->guess = run->guess;
    run->frame->seen = run->seen;
}

static ALWAYS_INLINE void run_save(const struct run *run)
{
    struct json_parser *parser = run->parser;

    run_leave(run);
    parser->at = run->at;
    parser->top = run->top;
    parser->state = run->state;
}

/* Goes to what is no blank; false if that may be too near to the end. */
static ALWAYS_INLINE bool pass_blanks(struct run *run)
{
    if (__builtin_expect((unsigned char)*run->at > ' ', 1))
        return true;
    if (*run->at == ' ' && (unsigned char)run->at[1] > ' ') {
        run->at++;
        return true;
    }
    run->at = parse_skip_blanks(run->at, run->safe);
    return run->at < run->safe;
}

/* The place of the element or member that comes. */
static ALWAYS_INLINE void run_place(struct run *run, json_key key)
{
    run->values[run->top] = JSON_VALUE_NONE;
    run->keys[run->top++] = key;
    run->state = STATE_VALUE;
}

/* A key that is not the one that was expected. False: failed. */
static __attribute__((noinline)) bool take_other_key(struct json_parser *parser)
{
    parser->token = parser->at;
    json_key key = parse_key(parser, &parser->frames[parser->depth - 1]);

    if (key == 0)
        return false;
    parser->values[parser->top] = JSON_VALUE_NONE;
    parser->keys[parser->top++] = key;
    parser->state = STATE_COLON;
    if (parser->at < parser->pause && *parser->at == ':') {
        parser->at++;
        parser->state = STATE_VALUE;
    }
    return true;
}

/* The same, and its colon. */
static ALWAYS_INLINE bool run_other_key(struct run *run)
{
    if (*run->at != '"')
        return false;
    run_save(run);
    bool taken = take_other_key(run->parser);
    run_load(run);
    run_turn(run);
    return taken && run->state == STATE_VALUE && run->at < run->safe;
}

/* A key and its colon, and the place of its value. */
static ALWAYS_INLINE bool run_key(struct run *run)
{
    struct cached_key *likely = *run->guess;

    if (!pass_blanks(run))
        return false;
    if (!__builtin_expect(parse_key_is_next(likely, run->at, run->safe), 1))
        return run_other_key(run);
    run->at += likely->len + 3;
    likely->pending++;
    run->guess = &likely->next;
    run_place(run, likely->key);
    return true;
}

/* A string that does not fit in its slot; what follows it, or NULL. */
static ALWAYS_INLINE const char *run_text(const char *begin, const char *stop, struct json_value *slot)
{
    size_t len = (size_t)(stop - begin);
    struct json_text *text = text_try_create(len);

    if (text == NULL)
        return NULL;
    if (len <= 16) {
        memcpy(text->data, begin, 8);
        memcpy(text->data + len - 8, stop - 8, 8);
    } else if (len <= 32) {
        memcpy(text->data, begin, 16);
        memcpy(text->data + len - 16, stop - 16, 16);
    } else {
        memcpy(text->data, begin, len);
    }
    *slot = value_of(text, JSON_TAG_STRING);
    return stop + 1;
}

/* A string without escapes and of ASCII; what follows it, or NULL. */
static ALWAYS_INLINE const char *run_string(const struct run *run, struct json_value *slot)
{
    static const uint64_t masks[JSON_SHORT_STRING + 1] = { 0, 0xff, 0xffff, 0xffffff, 0xffffffff, 0xffffffffff,
        0xffffffffffff, 0xffffffffffffff };
    const char *begin = run->at + 1, *stop = scan_plain(begin, begin + 16);

    if (stop == begin + 16) {
        const char *limit = run->safe - begin < STRING_MAX ? run->safe : begin + STRING_MAX;
        stop = scan_plain(stop, limit);
        if (stop >= limit)
            return NULL;
    }
    if (*stop != '"')
        return NULL;
    size_t len = (size_t)(stop - begin);
    if (len > JSON_SHORT_STRING)
        return run_text(begin, stop, slot);
    uint64_t word;
    memcpy(&word, begin, sizeof(word));
    slot->bits = (word & masks[len]) << 8 | len << 4 | JSON_TAG_SHORT;
    return stop + 1;
}

/* The slot of a finite double. */
static ALWAYS_INLINE struct json_value double_slot(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    uint64_t turned = bits << 4 | bits >> 60;
    unsigned tag = turned & 7;
    return tag == 3 || tag == 4 ? (struct json_value){ turned } : json_make_double(value);
}

/* The digits that come, 24 at most (then those above DIGITS are lost); adds to the number, answers how many. */
static ALWAYS_INLINE size_t run_digits(const char *at, uint64_t *digits)
{
    static const uint64_t powers[9] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000 };
    size_t count = 0;
    uint64_t part;
    unsigned got;

    if (!parse_is_digit(*at))
        return 0;
    if (!parse_is_digit(at[1])) {
        *digits = *digits * 10 + (unsigned)(*at - '0');
        return 1;
    }
    do {
        got = parse_digits(at + count, &part);
        *digits = *digits * powers[got] + part;
        count += got;
    } while (got == 8 && count < 24);
    return count;
}

/* A number of which the digits before its point were read; what follows it, or NULL. */
static ALWAYS_INLINE const char *run_fraction(
    const char *point, size_t whole, uint64_t digits, bool negative, struct json_value *slot)
{
    size_t decimals = run_digits(point + 1, &digits);
    const char *at = point + 1 + decimals;
    double number;

    if (decimals == 0 || whole + decimals > DIGITS || *at == 'e' || *at == 'E')
        return NULL;
    if (digits <= UINT64_C(1) << 53)
        number = (double)digits / parse_exact_powers[decimals];
    else if (!num_scale_decimal(digits, -(int)decimals, &number))
        return NULL;
    *slot = double_slot(negative ? -number : number);
    return at;
}

/* A number; what follows it, or NULL. */
static ALWAYS_INLINE const char *run_number(const struct run *run, struct json_value *slot)
{
    bool negative = __builtin_expect(*run->at == '-', 0);
    const char *first = negative ? run->at + 1 : run->at;
    uint64_t digits = 0;
    size_t count = run_digits(first, &digits);
    const char *at = first + count;

    if (count == 0 || count > INTEGER_DIGITS || (*first == '0' && count > 1))
        return NULL;
    if (*at == '.')
        return run_fraction(at, count, digits, negative, slot);
    if (*at == 'e' || *at == 'E' || (negative && digits == 0))
        return NULL;
    slot->bits = (negative ? -digits : digits) << 4 | JSON_TAG_INT;
    return at;
}

static ALWAYS_INLINE const char *run_word(const char *at, struct json_value *slot)
{
    if (memcmp(at, "null", 4) == 0) {
        *slot = JSON_VALUE_NULL;
        return at + 4;
    }
    if (memcmp(at, "true", 4) == 0) {
        *slot = JSON_VALUE_TRUE;
        return at + 4;
    }
    if (memcmp(at, "false", 5) != 0)
        return NULL;
    *slot = JSON_VALUE_FALSE;
    return at + 5;
}

/* Closes the innermost container if it is the root, or large, or empty. False: that was the root, or memory is out. */
static ALWAYS_INLINE bool run_close_any(struct run *run)
{
    run_save(run);
    bool is_closed = parse_container_close(run->parser);
    if (!is_closed || run->parser->depth == 0) {
        run->frame = NULL;
        return false;
    }
    run->at++;
    run->top = run->parser->top;
    run->state = STATE_AFTER;
    run_turn(run);
    return true;
}

/* Closes the innermost container, which has something in it. */
static ALWAYS_INLINE bool run_close(struct run *run, bool is_object)
{
    size_t base = run->frame->base, count = run->top - base;
    struct json_value *values = &run->values[base];

    if (run->frame->tree.bits != 0 || run->parser->depth == 1)
        return run_close_any(run);
    if (!leaf_try_make(is_object, values, &run->keys[base], count, values - 1))
        return false;
    run->parser->depth--;
    run->at++;
    run->top = base;
    run_turn(run);
    return true;
}

/* Opens a container and goes to its first key, or to the place of its first element. */
static ALWAYS_INLINE bool run_open(struct run *run, bool is_object)
{
    if (run->parser->depth == JSON_MAX_DEPTH)
        return false;
    run_leave(run);
    parse_frame_open(run->parser, run->top, is_object);
    run_turn(run);
    run->at++;
    run->state = is_object ? STATE_KEY_OR_END : STATE_ELEMENT_OR_END;
    if (!pass_blanks(run) || run->at >= run->safe)
        return false;
    if (*run->at == (is_object ? '}' : ']'))
        return run_close_any(run);
    if (!is_object && run->top >= run->most)
        return false;
    if (is_object)
        run->state = STATE_KEY;
    else
        run_place(run, 0);
    return true;
}

/* The value at run->at, whose place is on the stack. True, and the state is STATE_AFTER: it is there. True, otherwise:
 * it is a container, which was opened. */
static ALWAYS_INLINE bool run_value(struct run *run)
{
    struct json_value *slot = &run->values[run->top - 1];
    const char *next;

    if (!pass_blanks(run))
        return false;
    char c = *run->at;
    if (c == '"')
        next = run_string(run, slot);
    else if (parse_is_digit(c) || c == '-')
        next = run_number(run, slot);
    else if (c == '{' || c == '[')
        return run_open(run, c == '{');
    else
        next = run_word(run->at, slot);
    if (__builtin_expect(next == NULL, 0))
        return false;
    run->at = next;
    run->state = STATE_AFTER;
    return true;
}

/* The member that was just completed may have a namesake. */
static ALWAYS_INLINE void run_unify(struct run *run)
{
    uint64_t bit = (uint64_t)1 << (run->keys[run->top - 1] & 63);

    if (__builtin_expect((run->seen & bit) != 0, 0)) {
        run_save(run);
        parse_member_unify(run->parser, run->frame);
        run->top = run->parser->top;
    }
    run->seen |= bit;
}

/* Members, from a key on that there is room for, as long as only scalars and commas follow each other. */
static ALWAYS_INLINE bool run_members(struct run *run)
{
    while (run->at < run->safe && run_key(run)) {
        if (!run_value(run))
            return false;
        if (run->state != STATE_AFTER || *run->at != ',')
            return true;
        if (run->top >= run->most)
            return false;
        run_unify(run);
        run->at++;
        run->state = STATE_KEY;
    }
    return false;
}

/* The same with elements, from one on that has its place. */
static ALWAYS_INLINE bool run_elements(struct run *run)
{
    while (run->at < run->safe && run_value(run)) {
        if (run->state != STATE_AFTER || *run->at != ',')
            return true;
        if (run->top >= run->most)
            return false;
        run->at++;
        run_place(run, 0);
    }
    return false;
}

/* What follows a value: a comma, and the place of what it announces, or the end of the container. */
static ALWAYS_INLINE bool run_after(struct run *run)
{
    bool is_object = run->frame->is_object;

    if (!pass_blanks(run))
        return false;
    if (*run->at != ',') {
        if (*run->at != (is_object ? '}' : ']'))
            return false;
        if (is_object)
            run_unify(run);
        return run_close(run, is_object);
    }
    if (run->top >= run->most)
        return false;
    run->at++;
    if (is_object) {
        run_unify(run);
        run->state = STATE_KEY;
    } else {
        run_place(run, 0);
    }
    return true;
}

void parse_run(struct json_parser *parser)
{
    struct run run = { .parser = parser };
    bool goes_on = true;

    run_load(&run);
    run_turn(&run);
    while (goes_on && run.at < run.safe) {
        if (run.state == STATE_AFTER)
            goes_on = run_after(&run);
        else if (run.state == STATE_KEY)
            goes_on = run.top < run.most && run_members(&run);
        else
            goes_on = run.state == STATE_VALUE && !run.frame->is_object && run_elements(&run);
    }
    if (run.frame != NULL)
        run_save(&run);
}

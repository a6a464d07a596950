/*
 * Plain text in a run: keys that were seen before, short strings, numbers and literals, one after the other, and the
 * containers that they stand in. That is nearly all of most texts.
 *
 * The machine in parse.c keeps its place in memory and looks at every byte for the end of the text. Here the place
 * stays in registers, and a run keeps so far away from the end that no token needs to look for it: MARGIN is more than
 * any token that is read here without a check. Whatever is not plain, or not quickly decided, a run leaves to the
 * machine, which takes that one step and comes back. So all errors are found there, and none here.
 */
#include "base/num.h"
#include "parse_priv.h"
#include "scan_priv.h"

enum {
    MARGIN = 64,
    NUMBER_MAX = 32,     /* bytes of a number that is read here */
    STRING_MAX = 4096,   /* bytes of a string that is */
    INTEGER_DIGITS = 17, /* any integer with so many fits in a slot */
};

struct run {
    struct json_parser *parser; /* borrowed */
    struct parse_frame *frame;  /* borrowed: of the innermost container */
    const char *at, *safe;      /* a token that begins before `safe` has MARGIN bytes */
    struct json_value *values;  /* borrowed: the parser's stacks */
    json_key *keys;
    size_t top;
    enum parse_state state;
};

/* Looks again at what the parser keeps. */
static inline void run_load(struct run *run)
{
    struct json_parser *parser = run->parser;

    run->frame = &parser->frames[parser->depth - 1];
    run->at = parser->at;
    run->safe = parser->end - parser->at < MARGIN      ? parser->at
                : parser->pause < parser->end - MARGIN ? parser->pause
                                                       : parser->end - MARGIN;
    run->values = parser->values;
    run->keys = parser->keys;
    run->top = parser->top;
    run->state = parser->state;
}

static inline void run_save(const struct run *run)
{
    struct json_parser *parser = run->parser;

    parser->at = run->at;
    parser->top = run->top;
    parser->state = run->state;
}

static inline void pass_blanks(struct run *run)
{
    if ((unsigned char)*run->at <= ' ')
        run->at = parse_skip_blanks(run->at, run->safe);
}

/* A key and its colon. */
static inline bool run_key(struct run *run)
{
    struct json_parser *parser = run->parser;
    struct parse_frame *frame = run->frame;
    unsigned guess = *frame->guess;
    const struct cached_key *likely = &parser->cache[guess];
    json_key key;

    if (*run->at != '"' || run->top == parser->room)
        return false;
    if (parse_key_is_next(likely, run->at + 1, parser->end)) {
        run->at += likely->len + 2;
        key = parse_key_use(frame, parser, guess);
    } else {
        run_save(run);
        key = parse_key(parser, frame);
        run_load(run);
        if (key == 0)
            return false;
    }
    run->values[run->top] = JSON_VALUE_NONE;
    run->keys[run->top++] = key;
    run->state = STATE_COLON;
    if (run->at >= run->safe || *run->at != ':')
        return false;
    run->at++;
    pass_blanks(run);
    run->state = STATE_VALUE;
    return true;
}

/* A string without escapes and of ASCII; what follows it, or NULL. */
static inline const char *run_string(const struct run *run, struct json_value *slot)
{
    const char *begin = run->at + 1, *end = run->parser->end;
    const char *limit = end - begin < STRING_MAX ? end : begin + STRING_MAX;
    const char *stop = scan_plain(begin, limit);
    size_t len = (size_t)(stop - begin);

    if (stop == limit || *stop != '"')
        return NULL;
    if (len <= JSON_SHORT_STRING) {
        uint64_t word;
        memcpy(&word, begin, sizeof(word));
        word = len == 0 ? 0 : word << (64 - 8 * len) >> (56 - 8 * len);
        slot->bits = word | len << 4 | JSON_TAG_SHORT;
        return stop + 1;
    }
    struct json_text *text = text_try_create(len);
    if (text == NULL)
        return NULL;
    if (len <= 16) {
        memcpy(text->data, begin, 8);
        memcpy(text->data + len - 8, stop - 8, 8);
    } else {
        memcpy(text->data, begin, len);
    }
    *slot = value_of(text, JSON_TAG_STRING);
    return stop + 1;
}

/* The digits behind a point, and the number with them. */
static inline const char *run_fraction(
    const char *point, const char *begin, uint64_t digits, bool negative, struct json_value *slot)
{
    const char *at = point + 1;
    uint64_t eight;
    double number;

    while (at - begin < NUMBER_MAX - 8 && digits < UINT64_C(10000000000) && parse_eight_digits(at, &eight)) {
        digits = digits * 100000000 + eight;
        at += 8;
    }
    for (; parse_is_digit(*at); at++) {
        if (digits >= UINT64_C(1000000000000000000) || at - begin >= NUMBER_MAX)
            return NULL;
        digits = digits * 10 + (unsigned)(*at - '0');
    }
    int decimals = (int)(at - point) - 1;
    if (decimals == 0 || *at == 'e' || *at == 'E')
        return NULL;
    if (digits <= UINT64_C(1) << 53 && decimals <= PARSE_EXACT_POWER)
        number = (double)digits / parse_exact_powers[decimals];
    else if (digits == 0 || !num_scale_decimal(digits, -decimals, &number))
        return NULL;
    *slot = json_make_double(negative ? -number : number);
    return at;
}

/* A number; what follows it, or NULL. */
static inline const char *run_number(const struct run *run, struct json_value *slot)
{
    const char *begin = run->at;
    bool negative = *begin == '-';
    const char *first = begin + negative, *at = first;
    uint64_t digits = 0;

    while (parse_is_digit(*at) && at - first <= INTEGER_DIGITS)
        digits = digits * 10 + (unsigned)(*at++ - '0');
    bool has_zero = *first == '0' && at - first > 1;
    if (at == first || at - first > INTEGER_DIGITS || has_zero)
        return NULL;
    if (*at == '.')
        return run_fraction(at, begin, digits, negative, slot);
    if (*at == 'e' || *at == 'E' || (negative && digits == 0))
        return NULL;
    slot->bits = (negative ? -digits : digits) << 4 | JSON_TAG_INT;
    return at;
}

static inline const char *run_word(const char *at, struct json_value *slot)
{
    bool is_false = *at == 'f';

    if (memcmp(at + is_false, is_false ? "alse" : *at == 't' ? "true" : "null", 4) != 0)
        return NULL;
    *slot = is_false ? JSON_VALUE_FALSE : *at == 't' ? JSON_VALUE_TRUE : JSON_VALUE_NULL;
    return at + is_false + 4;
}

/* Opens a container and goes to its first key, or to the place of its first element. */
static inline bool run_open(struct run *run, bool is_object)
{
    if (run->parser->depth == JSON_MAX_DEPTH)
        return false;
    run_save(run);
    parse_container_open(run->parser, is_object);
    run_load(run);
    pass_blanks(run);
    if (run->at >= run->safe || *run->at == (is_object ? '}' : ']') || run->top == run->parser->room)
        return false;
    if (is_object) {
        run->state = STATE_KEY;
        return true;
    }
    run->values[run->top] = JSON_VALUE_NONE;
    run->keys[run->top++] = 0;
    run->state = STATE_VALUE;
    return true;
}

/* The value at run->at, whose place is on the stack. */
static inline bool run_value(struct run *run)
{
    struct json_value *slot = &run->values[run->top - 1];
    const char *next;

    switch (*run->at) {
    case '"':
        next = run_string(run, slot);
        break;
    case '{':
        return run_open(run, true);
    case '[':
        return run_open(run, false);
    case 't':
    case 'f':
    case 'n':
        next = run_word(run->at, slot);
        break;
    default:
        next = run_number(run, slot);
    }
    if (next == NULL)
        return false;
    run->at = next;
    run->state = STATE_AFTER;
    return true;
}

/* Closes the innermost container. False: that was the root, or memory is out. */
static inline bool run_close(struct run *run)
{
    run_save(run);
    if (!parse_container_close(run->parser) || run->parser->depth == 0) {
        run->frame = NULL;
        return false;
    }
    run_load(run);
    return true;
}

/* The member that was just completed. */
static inline void run_unify(struct run *run)
{
    if (parse_key_is_new(run->frame, run->keys[run->top - 1]))
        return;
    run_save(run);
    parse_member_unify(run->parser, run->frame);
    run->top = run->parser->top;
}

/* A comma, and the place of what it announces; or the end of the container. */
static inline bool run_after(struct run *run)
{
    bool is_object = run->frame->is_object;

    pass_blanks(run);
    if (run->at >= run->safe)
        return false;
    if (*run->at == (is_object ? '}' : ']')) {
        if (is_object)
            run_unify(run);
        return run_close(run);
    }
    size_t most = is_object ? OBJECT_LEAF_MAX : ARRAY_LEAF_MAX;
    if (*run->at != ',' || run->top - run->frame->base >= most || run->top == run->parser->room)
        return false;
    run->at++;
    pass_blanks(run);
    if (is_object) {
        run_unify(run);
        run->state = STATE_KEY;
        return true;
    }
    run->values[run->top] = JSON_VALUE_NONE;
    run->keys[run->top++] = 0;
    run->state = STATE_VALUE;
    return true;
}

void parse_run(struct json_parser *parser)
{
    struct run run = { .parser = parser };
    bool goes_on = true;

    run_load(&run);
    while (goes_on && run.at < run.safe) {
        if (run.state == STATE_KEY)
            goes_on = run_key(&run);
        else if (run.state == STATE_VALUE)
            goes_on = run_value(&run);
        else
            goes_on = run.state == STATE_AFTER && run_after(&run);
    }
    if (run.frame != NULL)
        run_save(&run);
}

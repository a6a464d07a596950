/*
 * Regular expressions by PCRE2's breadth-first matcher (pcre2_dfa_match).
 *
 * An expression is looked through before PCRE2 sees it: what could take more than one pass over the text is refused,
 * and `.` is written out as RFC 9485 means it (section 5.3: any character but line feed and carriage return). A search
 * is one match from the text's beginning of `.*?` and the expression, so that it too is a single pass: starting anew at
 * every character would be quadratic.
 *
 * A single character or class with `+` is written as itself and itself with `*`: the matcher counts how often it has
 * passed a `+`, and so would hold a state for every length in an expression like (a+)+.
 *
 * The states that are alive at once are limited by the size of the workspace; so the work per character is. Text is fed
 * a stretch at a time, the shorter the more states there are, because each is compared with each: a partial match
 * leaves its states in the workspace, from where the next call goes on.
 *
 * Expressions without any special character, the most frequent ones, are not compiled at all.
 */
#include "regex_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <pcre2.h>
#include <string.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mem.h"

enum {
    MAX_PATTERN = 2048,
    MAX_COMPILED = 64 * 1024,
    MAX_GROUPS_DEEP = 50,
    WORKSPACE = 1024, /* enough for some 170 states at once */
    FIRST_STRETCH = 64,
    LONGEST_STRETCH = 1024,
    STRETCH_STEPS = 10000, /* of a budget: about 0.2 ms */
    MOST_STEPS = 1 << 28,  /* of one match: some seconds */
    COST_OF_CALL = 8,
    LITERAL_BYTES_A_STEP = 256, /* what memmem looks at in that time */
};

struct json_regex {
    enum json_regex_mode mode;
    pcre2_code *code; /* owned; NULL for a literal */
    char *literal;    /* owned */
    size_t literal_len;
};

struct json_regex_run {
    const struct json_regex *regex; /* borrowed */
    struct bytes text;              /* borrowed */
    size_t at;                      /* where the next stretch begins */
    uint64_t steps;                 /* spent on this match */
    uint64_t untold;                /* of these, those that json_regex_take_cost has not told of yet */
    pcre2_match_data *data;         /* owned */
    int workspace[WORKSPACE];
};

static const size_t NO_ATOM = SIZE_MAX;

/* The pattern while it is looked through, and what PCRE2 gets. */
struct scan {
    struct bytes in;
    size_t at;
    struct buf out;
    enum json_regex_mode mode;
    int depth;
    size_t atom;  /* where the character or class that was just read begins in `out`; NO_ATOM behind anything else */
    bool special; /* something was not a literal character */
};

static void copy(struct scan *s, size_t len)
{
    buf_append(&s->out, bytes_make(s->in.ptr + s->at, len));
    s->at += len;
}

static char look(const struct scan *s, size_t ahead)
{
    return s->at + ahead < s->in.len ? s->in.ptr[s->at + ahead] : 0;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* Copies up to and including `end`, or one byte if it does not come. */
static void copy_through(struct scan *s, const char *end)
{
    const char *found = memmem(s->in.ptr + s->at, s->in.len - s->at, end, strlen(end));
    copy(s, found != NULL ? (size_t)(found - s->in.ptr) + strlen(end) - s->at : 1);
}

/* A backslash and what belongs to it. */
static bool scan_escape(struct scan *s)
{
    char c = look(s, 1);
    if (c == 0 || (is_alnum(c) && strchr("dDwWsSbBAznrtfvaxpP", c) == NULL))
        return false;
    s->special = true;
    copy(s, 2);
    if (strchr("pPx", c) != NULL) {
        if (look(s, 0) == '{')
            copy_through(s, "}");
        for (int i = 0; i < 2 && c == 'x' && isxdigit((unsigned char)look(s, 0)); i++)
            copy(s, 1);
        if (c != 'x' && is_alnum(look(s, 0)) && s->in.ptr[s->at - 1] == c)
            copy(s, 1);
    }
    if (strchr("bBAz", c) != NULL)
        s->atom = NO_ATOM;
    return true;
}

/* A class, up to its closing bracket. */
static bool scan_class(struct scan *s)
{
    s->special = true;
    copy(s, 1);
    if (look(s, 0) == '^')
        copy(s, 1);
    if (look(s, 0) == ']')
        copy(s, 1);
    while (s->at < s->in.len) {
        char c = look(s, 0);
        if (c == '\\') {
            if (!scan_escape(s))
                return false;
        } else if (c == '[' && look(s, 1) == ':') {
            copy_through(s, ":]");
        } else {
            copy(s, 1);
            if (c == ']')
                return true;
        }
    }
    return false;
}

/* What stands behind `(?`: flags, a name, or nothing that may be captured. */
static bool scan_group_kind(struct scan *s)
{
    size_t ahead = look(s, 0) == 'P' ? 1 : 0;
    if (look(s, ahead) == '<') {
        char first = look(s, ahead + 1);
        if (!is_alnum(first) && first != '_')
            return false;
        copy(s, ahead + 2);
        return true;
    }
    while (look(s, 0) != 0 && strchr("imsU-", look(s, 0)) != NULL)
        copy(s, 1);
    if (look(s, 0) == ')') {
        s->depth--;
    } else if (look(s, 0) != ':') {
        return false;
    }
    copy(s, 1);
    return true;
}

static bool scan_open(struct scan *s)
{
    s->special = true;
    copy(s, 1);
    if (++s->depth > MAX_GROUPS_DEEP || look(s, 0) == '*')
        return false;
    if (look(s, 0) != '?')
        return true;
    copy(s, 1);
    return scan_group_kind(s);
}

/* A quantifier; possessive ones are refused. */
static bool scan_quantifier(struct scan *s, size_t atom)
{
    s->special = true;
    if (look(s, 0) == '{') {
        copy_through(s, "}");
    } else if (look(s, 0) == '+' && atom != NO_ATOM) {
        char *again = mem_dup(s->out.ptr + atom, s->out.len - atom);
        buf_append(&s->out, bytes_make(again, s->out.len - atom));
        mem_free(again);
        buf_append_char(&s->out, '*');
        s->at++;
    } else {
        copy(s, 1);
    }
    if (look(s, 0) == '?')
        copy(s, 1);
    return look(s, 0) != '+';
}

/* A character of its own, all bytes of it. */
static bool scan_character(struct scan *s)
{
    copy(s, 1);
    while (((unsigned char)look(s, 0) & 0xc0) == 0x80)
        copy(s, 1);
    return true;
}

static bool scan_one(struct scan *s)
{
    size_t before = s->atom;
    char c = look(s, 0);
    s->atom = strchr("()*+?{^$|", c) != NULL ? NO_ATOM : s->out.len;
    switch (c) {
    case '\\':
        return scan_escape(s);
    case '[':
        return scan_class(s);
    case '(':
        return scan_open(s);
    case '*':
    case '+':
    case '?':
    case '{':
        return scan_quantifier(s, before);
    case ')':
        copy(s, 1);
        return s->depth-- > 0;
    case '.':
        s->special = true;
        buf_append_cstr(&s->out, s->mode == JSON_REGEX_FIND ? "." : "[^\\n\\r]");
        s->at++;
        return true;
    case '^':
    case '$':
    case '|':
        s->special = true;
        copy(s, 1);
        return true;
    default:
        return scan_character(s);
    }
}

static pcre2_code *compile(struct bytes pattern, enum json_regex_mode mode)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    ASSERT(context != NULL);
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, MAX_GROUPS_DEEP + 2);
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE |
                       PCRE2_NO_AUTO_POSSESS | PCRE2_NEVER_BACKSLASH_C | (mode == JSON_REGEX_FIND ? PCRE2_UCP : 0);
    int error;
    size_t error_at, size = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, options, &error, &error_at, context);
    pcre2_compile_context_free(context);
    if (code != NULL && (pcre2_pattern_info(code, PCRE2_INFO_SIZE, &size) != 0 || size > MAX_COMPILED)) {
        pcre2_code_free(code);
        return NULL;
    }
    return code;
}

/* Looks the pattern through; true, with what PCRE2 shall get in out. */
static bool scan(struct scan *s)
{
    buf_append_cstr(&s->out, s->mode == JSON_REGEX_MATCH ? "(?:" : "(?s:.*?)(?:");
    while (s->at < s->in.len)
        if (!scan_one(s))
            return false;
    buf_append_cstr(&s->out, s->mode == JSON_REGEX_MATCH ? ")\\z" : ")");
    return s->depth == 0;
}

struct json_regex *json_regex_compile(struct bytes pattern, enum json_regex_mode mode)
{
    if (pattern.len > MAX_PATTERN || memchr(pattern.ptr, 0, pattern.len) != NULL)
        return NULL;
    struct scan s = { .in = pattern, .out = BUF_EMPTY, .mode = mode, .atom = NO_ATOM };
    struct json_regex made = { .mode = mode };
    bool good = scan(&s);
    if (good && s.special) {
        made.code = compile(buf_bytes(&s.out), mode);
        good = made.code != NULL;
    } else if (good) {
        made.literal = mem_dup(pattern.ptr, pattern.len);
        made.literal_len = pattern.len;
    }
    buf_fini(&s.out);
    return good ? mem_dup(&made, sizeof(made)) : NULL;
}

void json_regex_destroy(struct json_regex *regex)
{
    if (regex == NULL)
        return;
    if (regex->code != NULL)
        pcre2_code_free(regex->code);
    mem_free(regex->literal);
    mem_free(regex);
}

struct json_regex_run *json_regex_run_create(void)
{
    struct json_regex_run *run = mem_alloc(sizeof(*run));
    run->untold = 0;
    run->data = pcre2_match_data_create(1, NULL);
    ASSERT(run->data != NULL);
    return run;
}

void json_regex_run_destroy(struct json_regex_run *run)
{
    if (run == NULL)
        return;
    pcre2_match_data_free(run->data);
    mem_free(run);
}

enum json_regex_result json_regex_begin(struct json_regex_run *run, const struct json_regex *regex, struct bytes text)
{
    if (regex->code == NULL) {
        struct bytes literal = bytes_make(regex->literal, regex->literal_len);
        bool yes = regex->mode == JSON_REGEX_MATCH
                       ? bytes_equal(text, literal)
                       : literal.len == 0 || memmem(text.ptr, text.len, literal.ptr, literal.len) != NULL;
        run->untold += text.len / LITERAL_BYTES_A_STEP;
        return yes ? JSON_REGEX_YES : JSON_REGEX_NO;
    }
    run->regex = regex;
    run->text = text.len > 0 ? text : BYTES("");
    run->at = run->steps = 0;
    run->workspace[0] = run->workspace[1] = 0;
    return json_regex_step(run);
}

/* Steps that a byte costs with as many states as there were last: measured. */
static uint64_t steps_a_byte(const struct json_regex_run *run)
{
    uint64_t states = (uint64_t)run->workspace[1];
    return 2 + states * states / 44;
}

/* Where the stretch ends that begins at `at`: between two characters. */
static size_t stretch_end(const struct json_regex_run *run)
{
    struct bytes text = run->text;
    size_t len = run->at == 0 ? FIRST_STRETCH : STRETCH_STEPS / steps_a_byte(run);
    len = len > LONGEST_STRETCH ? LONGEST_STRETCH : len;
    if (text.len - run->at <= len)
        return text.len;
    size_t end = run->at + len;
    while (((unsigned char)text.ptr[end] & 0xc0) == 0x80)
        end--;
    return end;
}

enum json_regex_result json_regex_step(struct json_regex_run *run)
{
    struct bytes text = run->text;
    size_t end = stretch_end(run);
    uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_DFA_SHORTEST | (end < text.len ? PCRE2_PARTIAL_HARD : 0) |
                       (run->at > 0 ? PCRE2_DFA_RESTART : 0);
    int result = pcre2_dfa_match(
        run->regex->code, (PCRE2_SPTR)text.ptr, end, run->at, options, run->data, NULL, run->workspace, WORKSPACE);
    uint64_t steps = COST_OF_CALL + (end - run->at) * steps_a_byte(run);
    run->steps += steps;
    run->untold += steps;
    if (result >= 0)
        return JSON_REGEX_YES;
    if (result == PCRE2_ERROR_NOMATCH)
        return JSON_REGEX_NO;
    if (result != PCRE2_ERROR_PARTIAL || run->steps > MOST_STEPS)
        return JSON_REGEX_FAILED;
    run->at = end;
    return JSON_REGEX_MORE;
}

uint64_t json_regex_take_cost(struct json_regex_run *run)
{
    uint64_t steps = run->untold;
    run->untold = 0;
    return steps;
}

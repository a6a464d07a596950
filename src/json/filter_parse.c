/*
 * The parser of filters: from an expression to steps (path_priv.h), with the types of RFC 9535, section 2.4.3, checked.
 *
 * One truth value suffices, because `&&` and `||` become jumps: what they decide is decided by the truth of the last
 * test. What functions answer goes to registers, which a test gives back when it is complete.
 *
 *     or    = and *("||" and)
 *     and   = basic *("&&" basic)
 *     basic = ["!"] "(" or ")" / ["!"] test / operand comparison operand
 */
#include <string.h>

#include "base/mem.h"
#include "path_priv.h"
#include "regex_priv.h"
#include "json/doc.h"

/* What an operand turned out to be. */
enum type {
    TYPE_LITERAL,
    TYPE_ONE,   /* a singular query */
    TYPE_NODES, /* any other */
    TYPE_VALUE, /* a function's answer, in a register */
    TYPE_TRUTH, /* a function's answer, as truth value */
};

struct operand {
    enum type type;
    struct path_operand is;
    size_t at; /* where it begins */
};

static bool parse_or(struct path_parser *p);
static bool parse_operand(struct path_parser *p, struct operand *operand);

static struct path_step *add_step(struct path_parser *p, uint8_t kind)
{
    struct path_step *step = path_add(p, &p->code->steps, &p->code->count, sizeof(*step));
    if (step != NULL)
        step->kind = kind;
    return step;
}

/* A register of its own for the step that was just added. */
static bool take_register(struct path_parser *p, struct path_step *step, struct operand *result)
{
    struct path_code *code = p->code;
    if (code->registers == PATH_MAX_REGISTERS)
        return path_fail(p, "too many functions within each other");
    step->to = (uint8_t)code->registers++;
    if (code->registers > code->most_registers)
        code->most_registers = code->registers;
    result->type = TYPE_VALUE;
    result->is = (struct path_operand){ OPERAND_REGISTER, step->to };
    return true;
}

static bool is_value(const struct operand *operand)
{
    return operand->type == TYPE_LITERAL || operand->type == TYPE_ONE || operand->type == TYPE_VALUE;
}

static bool expect_value(struct path_parser *p, const struct operand *operand)
{
    return is_value(operand) || path_fail_at(p, operand->at, "expected a single value");
}

/* The regular expression of a step: compiled now if it is a literal. An invalid one fits nothing. */
static bool add_regex(struct path_parser *p, const struct operand *from, enum json_regex_mode mode, uint32_t *target)
{
    struct json_path *path = p->path;
    *target = PATH_NONE;
    if (from->type != TYPE_LITERAL)
        return true;
    if (path->regex_count == JSON_PATH_MAX_EXPRESSIONS)
        return path_fail_at(p, from->at, "too many regular expressions");
    const struct json_value *pattern = &path->literals[from->is.which];
    struct json_regex **added = path_add(p, &path->regexes, &path->regex_count, sizeof(struct json_regex *));
    if (added == NULL)
        return false;
    if (json_kind(*pattern) == JSON_STRING)
        *added = json_regex_compile(json_string(pattern), mode);
    *target = path->regex_count - 1;
    return true;
}

static bool emit_regex(struct path_parser *p, uint8_t kind, const struct operand *text, const struct operand *pattern)
{
    enum json_regex_mode mode = kind == STEP_MATCH    ? JSON_REGEX_MATCH
                                : kind == STEP_SEARCH ? JSON_REGEX_SEARCH
                                                      : JSON_REGEX_FIND;
    uint32_t target;
    if (!expect_value(p, text) || !expect_value(p, pattern) || !add_regex(p, pattern, mode, &target))
        return false;
    struct path_step *step = add_step(p, kind);
    if (step == NULL)
        return false;
    step->a = text->is;
    step->b = pattern->is;
    step->target = target;
    return true;
}

static const struct function {
    const char *name;
    uint8_t step;
    uint8_t arguments;
} FUNCTIONS[] = {
    { "length", STEP_LENGTH, 1 },
    { "count", STEP_COUNT, 1 },
    { "value", STEP_VALUE, 1 },
    { "match", STEP_MATCH, 2 },
    { "search", STEP_SEARCH, 2 },
};

/* The function whose name and opening bracket stand here, or NULL. */
static const struct function *take_function(struct path_parser *p)
{
    for (size_t i = 0; i < sizeof(FUNCTIONS) / sizeof(FUNCTIONS[0]); i++) {
        size_t from = p->at;
        if (path_take_text(p, FUNCTIONS[i].name) && path_take(p, '('))
            return &FUNCTIONS[i];
        p->at = from;
    }
    return NULL;
}

static bool parse_arguments(struct path_parser *p, const struct function *function, struct operand *arguments)
{
    for (unsigned i = 0; i < function->arguments; i++) {
        path_skip_blank(p);
        if (i > 0 && !path_take(p, ','))
            return path_fail(p, "expected ','");
        path_skip_blank(p);
        if (!parse_operand(p, &arguments[i]))
            return false;
    }
    path_skip_blank(p);
    return path_take(p, ')') || path_fail(p, "expected ')'");
}

static bool parse_call(struct path_parser *p, const struct function *function, struct operand *result)
{
    struct operand arguments[2] = { 0 };
    unsigned registers = p->code->registers;
    if (!path_enter(p) || !parse_arguments(p, function, arguments))
        return false;
    path_leave(p);
    p->code->registers = registers;
    if (function->arguments == 2) {
        result->type = TYPE_TRUTH;
        return emit_regex(p, function->step, &arguments[0], &arguments[1]);
    }
    bool nodes = arguments[0].type == TYPE_ONE || arguments[0].type == TYPE_NODES;
    if (function->step == STEP_LENGTH && !expect_value(p, &arguments[0]))
        return false;
    if (function->step != STEP_LENGTH && !nodes)
        return path_fail_at(p, arguments[0].at, "expected a query");
    struct path_step *step = add_step(p, function->step);
    if (step == NULL)
        return false;
    step->a = arguments[0].is;
    return take_register(p, step, result);
}

static bool parse_operand(struct path_parser *p, struct operand *operand)
{
    operand->at = p->at;
    if (path_peek(p, '@') || path_peek(p, '$')) {
        bool absolute = p->in[p->at++] == '$';
        operand->is.kind = OPERAND_QUERY;
        if (!path_parse_query(p, absolute, true, &operand->is.which))
            return false;
        operand->type = p->path->queries[operand->is.which].singular ? TYPE_ONE : TYPE_NODES;
        return true;
    }
    const struct function *function = take_function(p);
    if (function != NULL)
        return parse_call(p, function, operand);
    operand->type = TYPE_LITERAL;
    operand->is.kind = OPERAND_LITERAL;
    return path_parse_literal(p, &operand->is.which);
}

static bool take_operator(struct path_parser *p, uint8_t *kind, uint8_t *compare, bool *negated)
{
    static const struct {
        const char *text;
        uint8_t kind, compare;
        bool negated;
    } OPERATORS[] = {
        { "==", STEP_COMPARE, COMPARE_EQ, false },
        { "!=", STEP_COMPARE, COMPARE_NE, false },
        { "<=", STEP_COMPARE, COMPARE_LE, false },
        { ">=", STEP_COMPARE, COMPARE_GE, false },
        { "<", STEP_COMPARE, COMPARE_LT, false },
        { ">", STEP_COMPARE, COMPARE_GT, false },
        { "=~", STEP_FIND, 0, false },
        { "in ", STEP_IN, 0, false },
        { "in[", STEP_IN, 0, false },
        { "nin ", STEP_IN, 0, true },
        { "nin[", STEP_IN, 0, true },
    };
    for (size_t i = 0; i < sizeof(OPERATORS) / sizeof(OPERATORS[0]); i++) {
        if (!path_take_text(p, OPERATORS[i].text))
            continue;
        p->at -= OPERATORS[i].kind == STEP_IN;
        *kind = OPERATORS[i].kind;
        *compare = OPERATORS[i].compare;
        *negated = OPERATORS[i].negated;
        return true;
    }
    return false;
}

/* What stands at the right of `=~`: a text whose backslashes are the expression's own, or any value. */
static bool parse_pattern(struct path_parser *p, struct operand *operand)
{
    if (!path_peek(p, '"') && !path_peek(p, '\''))
        return parse_operand(p, operand);
    struct json_value value;
    *operand = (struct operand){ .type = TYPE_LITERAL, .is.kind = OPERAND_LITERAL, .at = p->at };
    return path_read_expression(p) &&
           (json_try_make_string(buf_bytes(&p->scratch), &value) || path_fail(p, "out of memory for a string")) &&
           path_add_literal(p, value, &operand->is.which);
}

static bool parse_comparison(struct path_parser *p, const struct operand *left, uint8_t kind, uint8_t compare)
{
    struct operand right = { 0 };
    if (!expect_value(p, left))
        return false;
    path_skip_blank(p);
    if (!(kind == STEP_FIND ? parse_pattern(p, &right) : parse_operand(p, &right)) || !expect_value(p, &right))
        return false;
    if (kind == STEP_FIND)
        return emit_regex(p, kind, left, &right);
    struct path_step *step = add_step(p, kind);
    if (step == NULL)
        return false;
    step->compare = compare;
    step->a = left->is;
    step->b = right.is;
    return true;
}

/* An operand that stands for itself: does the query find anything, does the function say yes? */
static bool finish_test(struct path_parser *p, const struct operand *operand)
{
    if (operand->type == TYPE_TRUTH)
        return true;
    if (operand->type != TYPE_ONE && operand->type != TYPE_NODES)
        return path_fail(p, "expected a comparison");
    struct path_step *step = add_step(p, operand->type == TYPE_ONE ? STEP_EXISTS_ONE : STEP_EXISTS);
    if (step != NULL)
        step->a = operand->is;
    return step != NULL;
}

static bool parse_test_or_comparison(struct path_parser *p, bool only_test)
{
    struct operand left = { 0 };
    uint8_t kind, compare;
    bool negated = false;
    unsigned registers = p->code->registers;
    if (!parse_operand(p, &left))
        return false;
    size_t end = p->at;
    path_skip_blank(p);
    bool good;
    if (!only_test && take_operator(p, &kind, &compare, &negated)) {
        good = parse_comparison(p, &left, kind, compare);
    } else {
        good = finish_test(p, &left);
        p->at = good ? end : p->at;
    }
    p->code->registers = registers;
    return good && (!negated || add_step(p, STEP_NOT) != NULL);
}

static bool parse_basic(struct path_parser *p)
{
    path_skip_blank(p);
    bool negated = path_take(p, '!');
    if (negated)
        path_skip_blank(p);
    if (path_take(p, '(')) {
        if (!path_enter(p) || !parse_or(p))
            return false;
        path_leave(p);
        path_skip_blank(p);
        if (!path_take(p, ')'))
            return path_fail(p, "expected ')'");
    } else if (!parse_test_or_comparison(p, negated)) {
        return false;
    }
    return !negated || add_step(p, STEP_NOT) != NULL;
}

/* Parts joined by `sign`; the first that decides jumps to the end. The jumps wait in a chain through their targets. */
static bool parse_joined(struct path_parser *p, const char *sign, uint8_t jump, bool (*part)(struct path_parser *))
{
    uint32_t chain = PATH_NONE;
    if (!part(p))
        return false;
    for (;;) {
        size_t end = p->at;
        path_skip_blank(p);
        if (!path_take_text(p, sign)) {
            p->at = end;
            break;
        }
        struct path_step *step = add_step(p, jump);
        if (step == NULL)
            return false;
        step->target = chain;
        chain = p->code->count - 1;
        if (!part(p))
            return false;
    }
    while (chain != PATH_NONE) {
        uint32_t next = p->code->steps[chain].target;
        p->code->steps[chain].target = p->code->count;
        chain = next;
    }
    return true;
}

static bool parse_and(struct path_parser *p)
{
    return parse_joined(p, "&&", STEP_JUMP_FALSE, parse_basic);
}

static bool parse_or(struct path_parser *p)
{
    return parse_joined(p, "||", STEP_JUMP_TRUE, parse_and);
}

/* True for what asks for something within the current node. */
static bool looks_inside(const struct json_path *path, struct path_operand operand)
{
    return operand.kind == OPERAND_QUERY && !path->queries[operand.which].absolute &&
           path->queries[operand.which].count > 0;
}

/*
 * True if a filter is false for every scalar: its first test is, because what it looks for is in no scalar, and so all
 * is. Only what filters mostly begin with is recognised; anything else is tried.
 */
static bool is_for_containers(const struct json_path *path, const struct path_code *code)
{
    const struct path_step *first = &code->steps[0];
    if (code->count > 1 && (first[1].kind != STEP_JUMP_FALSE || first[1].target != code->count))
        return false;
    switch (first->kind) {
    case STEP_COMPARE:
        return first->compare != COMPARE_NE && ((looks_inside(path, first->a) && first->b.kind == OPERAND_LITERAL) ||
                                                   (looks_inside(path, first->b) && first->a.kind == OPERAND_LITERAL));
    case STEP_EXISTS:
    case STEP_EXISTS_ONE:
    case STEP_IN:
    case STEP_MATCH:
    case STEP_SEARCH:
    case STEP_FIND:
        return looks_inside(path, first->a);
    default:
        return false;
    }
}

/* Appends the steps to those of the path, and the filter. */
static bool add_filter(struct path_parser *p, const struct path_code *code, uint32_t *filter)
{
    struct json_path *path = p->path;
    struct path_filter *added = path_add(p, &path->filters, &path->filter_count, sizeof(*added));
    if (added == NULL)
        return false;
    *filter = path->filter_count - 1;
    *added = (struct path_filter){ path->step_count, code->count, code->most_registers, is_for_containers(path, code) };
    for (uint32_t i = 0; i < code->count; i++) {
        struct path_step *step = path_add(p, &path->steps, &path->step_count, sizeof(*step));
        if (step == NULL)
            return false;
        *step = code->steps[i];
    }
    return true;
}

bool path_parse_filter(struct path_parser *p, uint32_t *filter)
{
    struct path_code code = { 0 }, *around = p->code;
    p->code = &code;
    bool good = path_enter(p) && parse_or(p);
    if (good) {
        path_leave(p);
        good = add_filter(p, &code, filter);
    }
    p->code = around;
    mem_free(code.steps);
    return good;
}

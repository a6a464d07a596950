/*
 * The parser of usage texts: recursive descent over words, brackets and bars.
 *
 *     alternatives := sequence ('|' sequence)*
 *     sequence     := (word | '[' alternatives ['...'] ']' | '<' alternatives '>')*
 *
 * Two things need more than the grammar. A bracket that ends with dots and says what stood before it once more makes
 * that repeatable, and is itself no argument. And a token takes the values behind it: one value becomes an argument
 * with a token, several become a block with one. What kind of value a word stands for follows from the word, and in a
 * few cases from the command's group.
 *
 * The texts are the rows', so the recursion is as deep as we wrote it.
 */
#include "usage_priv.h"

#include "base/arena.h"
#include "engine/command.h"

struct parser {
    struct arena *arena;
    const struct command *row;
    const char *at;
    int keys_seen;
    bool failed;
};

/* A list under construction. */
struct list {
    struct usage_arg *first, *last;
    size_t count;
};

static struct usage_arg *make(struct parser *parser, enum usage_type type, struct bytes name)
{
    struct usage_arg *arg = arena_alloc(parser->arena, sizeof *arg);
    *arg = (struct usage_arg){ .type = type, .name = name };
    return arg;
}

static void list_add(struct list *list, struct usage_arg *arg)
{
    *(list->last ? &list->last->next : &list->first) = arg;
    list->last = arg;
    list->count++;
}

/* --- Words --- */

static void skip_blanks(struct parser *parser)
{
    while (*parser->at == ' ')
        parser->at++;
}

static bool take(struct parser *parser, const char *symbol)
{
    skip_blanks(parser);
    size_t len = strlen(symbol);
    if (strncmp(parser->at, symbol, len) != 0)
        return false;
    parser->at += len;
    return true;
}

/* The next word without taking it; empty at a symbol or at the end. */
static struct bytes peek_word(struct parser *parser)
{
    skip_blanks(parser);
    if (strncmp(parser->at, "...", 3) == 0)
        return BYTES("");
    return bytes_make(parser->at, strcspn(parser->at, " []<>|"));
}

static bool is_value(struct bytes word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
            return true;
    return false;
}

static struct bytes lowered(struct parser *parser, struct bytes word)
{
    char *text = arena_alloc(parser->arena, word.len + 1);
    for (size_t i = 0; i < word.len; i++)
        text[i] = ascii_lower(word.ptr[i]);
    return bytes_make(text, word.len);
}

/* --- What a word stands for --- */

struct word_type {
    const char *word;
    enum usage_type type;
    unsigned groups; /* bits of enum command_group that it holds for; 0: all */
};

#define IN(group) (1u << (group))
#define INDEXED (IN(GROUP_STRING) | IN(GROUP_LIST) | IN(GROUP_BITMAP))
#define WAITS (IN(GROUP_LIST) | IN(GROUP_SORTED_SET))

static const struct word_type word_types[] = {
    { "pattern", USAGE_PATTERN, 0 },
    { "unix-time-seconds", USAGE_UNIX_TIME, 0 },
    { "unix-time-milliseconds", USAGE_UNIX_TIME, 0 },
    { "start", USAGE_INTEGER, INDEXED },
    { "stop", USAGE_INTEGER, INDEXED },
    { "end", USAGE_INTEGER, INDEXED },
    { "value", USAGE_INTEGER, IN(GROUP_BITMAP) },
    { "timeout", USAGE_DOUBLE, WAITS },
    { "timeout", USAGE_INTEGER, 0 },
    { "score", USAGE_DOUBLE, 0 },
    { "longitude", USAGE_DOUBLE, 0 },
    { "latitude", USAGE_DOUBLE, 0 },
    { "radius", USAGE_DOUBLE, 0 },
    { "width", USAGE_DOUBLE, 0 },
    { "height", USAGE_DOUBLE, 0 },
    { "bit", USAGE_INTEGER, 0 },
    { "client-id", USAGE_INTEGER, 0 },
    { "bits", USAGE_INTEGER, 0 },
    { "count", USAGE_INTEGER, 0 },
    { "cursor", USAGE_INTEGER, 0 },
    { "db", USAGE_INTEGER, 0 },
    { "decrement", USAGE_INTEGER, 0 },
    { "destination-db", USAGE_INTEGER, 0 },
    { "entries-added", USAGE_INTEGER, 0 },
    { "entries-read", USAGE_INTEGER, 0 },
    { "frequency", USAGE_INTEGER, 0 },
    { "increment", USAGE_INTEGER, 0 },
    { "index", USAGE_INTEGER, 0 },
    { "index1", USAGE_INTEGER, 0 },
    { "index2", USAGE_INTEGER, 0 },
    { "len", USAGE_INTEGER, 0 },
    { "limit", USAGE_INTEGER, 0 },
    { "milliseconds", USAGE_INTEGER, 0 },
    { "min-match-len", USAGE_INTEGER, 0 },
    { "ms", USAGE_INTEGER, 0 },
    { "num-matches", USAGE_INTEGER, 0 },
    { "numids", USAGE_INTEGER, 0 },
    { "numkeys", USAGE_INTEGER, 0 },
    { "numreplicas", USAGE_INTEGER, 0 },
    { "offset", USAGE_INTEGER, 0 },
    { "port", USAGE_INTEGER, 0 },
    { "protover", USAGE_INTEGER, 0 },
    { "rank", USAGE_INTEGER, 0 },
    { "seconds", USAGE_INTEGER, 0 },
    { "ttl", USAGE_INTEGER, 0 },
    { "version", USAGE_INTEGER, 0 },
    { "weight", USAGE_INTEGER, 0 },
};

static bool is_key_name(struct bytes word)
{
    static const char *const names[] = { "key", "key1", "key2", "newkey", "source", "sourcekey", "destination",
        "destkey", "dst", "src" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bytes_is(word, names[i]))
            return true;
    return false;
}

static int count_key_specs(const struct command *row)
{
    int count = 0;
    while (count < COMMAND_KEY_SPECS && row->keys[count].begin != KEY_SPEC_NONE)
        count++;
    return count;
}

/* A pattern may stand for keys that no specification finds: names the one that says so, and counts it as seen. */
static struct usage_arg *make_pattern(struct parser *parser, struct bytes word)
{
    struct usage_arg *arg = make(parser, USAGE_PATTERN, word);
    for (int i = 1; i < count_key_specs(parser->row) && !arg->key_spec; i++)
        if (parser->row->keys[i].begin == KEY_SPEC_UNKNOWN)
            parser->keys_seen = 1 + (arg->key_spec = i);
    return arg;
}

static struct usage_arg *make_value(struct parser *parser, struct bytes word)
{
    int specs = count_key_specs(parser->row);
    if (specs && is_key_name(word)) {
        struct usage_arg *arg = make(parser, USAGE_KEY, word);
        arg->key_spec = parser->keys_seen < specs ? parser->keys_seen : specs - 1;
        parser->keys_seen++;
        return arg;
    }
    if (bytes_is(word, "increment") && strstr(parser->row->name, "FLOAT"))
        return make(parser, USAGE_DOUBLE, word);
    for (size_t i = 0; i < sizeof word_types / sizeof *word_types; i++) {
        const struct word_type *type = &word_types[i];
        if (bytes_is(word, type->word) && (type->groups == 0 || type->groups & IN(parser->row->group)))
            return type->type == USAGE_PATTERN ? make_pattern(parser, word) : make(parser, type->type, word);
    }
    return make(parser, USAGE_STRING, word);
}

/* --- Lists --- */

/* "username_password" for a block of plain values; what has more inside is named for what it is. */
static struct bytes join_names(struct parser *parser, const struct usage_arg *first)
{
    size_t len = 0;
    for (const struct usage_arg *arg = first; arg; arg = arg->next) {
        if (arg->token.ptr || arg->optional || arg->children)
            return BYTES("arguments");
        len += arg->name.len + 1;
    }
    char *text = arena_alloc(parser->arena, len + 1), *at = text;
    for (const struct usage_arg *arg = first; arg; arg = arg->next) {
        if (at != text)
            *at++ = '_';
        memcpy(at, arg->name.ptr, arg->name.len);
        at += arg->name.len;
    }
    return bytes_make(text, (size_t)(at - text));
}

/* One argument that stands for a list: its only element, or a block; NULL if it is empty. */
static struct usage_arg *as_one(struct parser *parser, const struct list *list)
{
    if (list->count < 2)
        return list->first;
    struct usage_arg *block = make(parser, USAGE_BLOCK, join_names(parser, list->first));
    block->children = list->first;
    return block;
}

static bool same_args(const struct usage_arg *a, const struct usage_arg *b)
{
    for (; a && b; a = a->next, b = b->next)
        if (!bytes_equal(a->name, b->name) || !bytes_equal(a->token, b->token) || a->type != b->type ||
            !same_args(a->children, b->children))
            return false;
    return !a && !b;
}

/* The last `count` arguments of a list become one that may be repeated. */
static void repeat_tail(struct parser *parser, struct list *list, size_t count)
{
    struct list head = { 0 }, tail = { 0 };
    size_t index = 0, keep = list->count - count;
    for (struct usage_arg *arg = list->first, *next; arg; arg = next) {
        next = arg->next;
        arg->next = NULL;
        list_add(index++ < keep ? &head : &tail, arg);
    }
    struct usage_arg *one = as_one(parser, &tail);
    one->multiple = true;
    one->multiple_token = one->token.ptr != NULL && one->type != USAGE_PURE_TOKEN;
    list_add(&head, one);
    *list = head;
}

/* True, and the list changed, if `again` says what the end of the list said. */
static bool repeat_if_same(struct parser *parser, struct list *list, const struct list *again)
{
    if (again->count == 0 || again->count > list->count)
        return false;
    const struct usage_arg *tail = list->first;
    for (size_t i = list->count - again->count; i; i--)
        tail = tail->next;
    if (!same_args(tail, again->first))
        return false;
    repeat_tail(parser, list, again->count);
    return true;
}

/* --- The grammar --- */

static struct list parse_alternatives(struct parser *parser);

/* The inside of a bracket, which was opened already; *repeats if it ended with dots. */
static struct list parse_bracket(struct parser *parser, bool *repeats)
{
    struct list inside = parse_alternatives(parser);
    *repeats = take(parser, "...");
    parser->failed |= !take(parser, "]") || inside.count == 0;
    return inside;
}

static struct usage_arg *parse_choice(struct parser *parser)
{
    struct list inside = parse_alternatives(parser);
    parser->failed |= !take(parser, ">") || inside.count == 0;
    return as_one(parser, &inside);
}

/* A bracket that repeats the end of the list. Anything else is left where it stands. */
static bool parse_repetition(struct parser *parser, struct list *list)
{
    struct parser before = *parser;
    bool repeats;
    if (take(parser, "[")) {
        struct list inside = parse_bracket(parser, &repeats);
        if (!parser->failed && repeats && repeat_if_same(parser, list, &inside)) {
            parser->keys_seen = before.keys_seen;
            return true;
        }
    }
    *parser = before;
    return false;
}

/* A token and the values that belong to it. */
static struct usage_arg *parse_token(struct parser *parser, struct bytes word)
{
    struct bytes token = bytes_equal(word, BYTES("\"\"")) ? BYTES("") : word;
    struct list values = { 0 };
    for (;;) {
        struct bytes next = peek_word(parser);
        if (next.len && is_value(next)) {
            parser->at += next.len;
            list_add(&values, make_value(parser, next));
        } else if (values.count == 0 && take(parser, "<")) {
            struct usage_arg *choice = parse_choice(parser);
            if (choice)
                list_add(&values, choice);
        } else if (!values.count || !parse_repetition(parser, &values)) {
            break;
        }
    }
    struct usage_arg *arg = as_one(parser, &values);
    if (!arg)
        arg = make(parser, USAGE_PURE_TOKEN, lowered(parser, word));
    arg->token = token;
    return arg;
}

static struct usage_arg *parse_optional(struct parser *parser)
{
    bool repeats;
    struct list inside = parse_bracket(parser, &repeats);
    struct usage_arg *arg = as_one(parser, &inside);
    if (arg) {
        arg->optional = true;
        arg->multiple |= repeats;
    }
    return arg;
}

static struct list parse_sequence(struct parser *parser)
{
    struct list list = { 0 };
    while (!parser->failed) {
        struct bytes word = peek_word(parser);
        struct usage_arg *arg;
        if (word.len) {
            parser->at += word.len;
            arg = is_value(word) ? make_value(parser, word) : parse_token(parser, word);
        } else if (parse_repetition(parser, &list)) {
            continue;
        } else if (take(parser, "[")) {
            arg = parse_optional(parser);
        } else if (take(parser, "<")) {
            arg = parse_choice(parser);
        } else {
            break;
        }
        if (arg)
            list_add(&list, arg);
    }
    return list;
}

/* A choice is named after its first alternative, but for those that every client knows by a name. */
static struct bytes choice_name(const struct usage_arg *first)
{
    static const char *const known[][2] = {
        { "NX", "condition" },
        { "GT", "comparison" },
        { "EX", "expiration" },
        { "ASC", "order" },
    };
    for (size_t i = 0; first->token.ptr && i < sizeof known / sizeof *known; i++)
        if (bytes_is(first->token, known[i][0]))
            return bytes_from_cstr(known[i][1]);
    return first->name;
}

static struct list parse_alternatives(struct parser *parser)
{
    struct list sequence = parse_sequence(parser);
    if (!take(parser, "|"))
        return sequence;
    struct list choices = { 0 }, result = { 0 };
    bool more = true;
    for (;;) {
        struct usage_arg *choice = as_one(parser, &sequence);
        if (!choice) {
            parser->failed = true;
            return result;
        }
        list_add(&choices, choice);
        if (!more)
            break;
        sequence = parse_sequence(parser);
        more = take(parser, "|");
    }
    struct usage_arg *oneof = make(parser, USAGE_ONEOF, choice_name(choices.first));
    oneof->children = choices.first;
    list_add(&result, oneof);
    return result;
}

struct usage_arg *usage_parse(struct arena *arena, const struct command *row)
{
    if (!row->usage)
        return NULL;
    struct parser parser = { .arena = arena, .row = row, .at = row->usage };
    struct list list = parse_alternatives(&parser);
    skip_blanks(&parser);
    return parser.failed || *parser.at ? NULL : list.first;
}

const char *usage_type_name(enum usage_type type)
{
    static const char *const names[] = {
        [USAGE_STRING] = "string",
        [USAGE_INTEGER] = "integer",
        [USAGE_DOUBLE] = "double",
        [USAGE_KEY] = "key",
        [USAGE_PATTERN] = "pattern",
        [USAGE_UNIX_TIME] = "unix-time",
        [USAGE_PURE_TOKEN] = "pure-token",
        [USAGE_ONEOF] = "oneof",
        [USAGE_BLOCK] = "block",
    };
    return names[type];
}

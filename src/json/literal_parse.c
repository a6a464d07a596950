/*
 * Literals in filters: numbers, strings in either quotes, true, false, null; beyond RFC 9535 arrays and objects of
 * these. They become values as documents have them, so that comparing needs no second way.
 */
#include "path_priv.h"
#include "json/doc.h"
#include "json/edit.h"

static bool parse_value(struct path_parser *p, struct json_value *value);

/* A value goes back that never was anybody's; it is as small as the path's text. */
static bool drop(struct json_value value)
{
    json_value_destroy(value);
    return false;
}

static bool parse_text(struct path_parser *p, struct json_value *value)
{
    return path_read_string(p) &&
           (json_try_make_string(buf_bytes(&p->scratch), value) || path_fail(p, "out of memory for a string"));
}

static bool parse_element(struct path_parser *p, struct json_value *array)
{
    struct json_trash trash = { 0 };
    struct json_value element;
    if (!parse_value(p, &element))
        return false;
    bool added = json_array_append(array, element, &trash);
    return added || drop(element);
}

static bool parse_member(struct path_parser *p, struct json_value *object)
{
    struct json_trash trash = { 0 };
    if (!path_read_string(p))
        return false;
    struct buf name = p->scratch;
    p->scratch = BUF_EMPTY;
    struct json_value member;
    path_skip_blank(p);
    bool good = (path_take(p, ':') || path_fail(p, "expected ':'")) && (path_skip_blank(p), parse_value(p, &member));
    if (good && !json_object_put(object, buf_bytes(&name), member, &trash)) {
        path_fail(p, "out of memory for a name");
        good = drop(member);
    }
    while (!json_trash_drain(&trash, SIZE_MAX))
        ;
    buf_fini(&name);
    return good;
}

static bool parse_container(struct path_parser *p, struct json_value *value)
{
    bool object = p->in[p->at] == '{';
    char close = object ? '}' : ']';
    if (!path_enter(p))
        return false;
    p->at++;
    *value = object ? json_make_object() : json_make_array();
    path_skip_blank(p);
    bool empty = path_take(p, close);
    while (!empty) {
        path_skip_blank(p);
        if (!(object ? parse_member(p, value) : parse_element(p, value)))
            return drop(*value);
        path_skip_blank(p);
        if (path_take(p, close))
            break;
        if (!path_take(p, ','))
            return drop(*value) || path_fail(p, object ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    path_leave(p);
    return true;
}

/* True if `word` stands here and nothing that would make it a longer one. */
static bool take_word(struct path_parser *p, const char *word)
{
    size_t from = p->at;
    if (!path_take_text(p, word))
        return false;
    char c = p->at < p->len ? p->in[p->at] : 0;
    bool longer = (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                  (unsigned char)c >= 0x80;
    if (longer)
        p->at = from;
    return !longer;
}

static bool parse_value(struct path_parser *p, struct json_value *value)
{
    char c = p->at < p->len ? p->in[p->at] : 0;
    if (c == '"' || c == '\'')
        return parse_text(p, value);
    if (c == '[' || c == '{')
        return parse_container(p, value);
    if (c == '-' || (c >= '0' && c <= '9'))
        return path_read_number(p, value);
    if (take_word(p, "true"))
        *value = JSON_VALUE_TRUE;
    else if (take_word(p, "false"))
        *value = JSON_VALUE_FALSE;
    else if (take_word(p, "null"))
        *value = JSON_VALUE_NULL;
    else
        return path_fail(p, "expected a value");
    return true;
}

bool path_add_literal(struct path_parser *p, struct json_value value, uint32_t *literal)
{
    struct json_path *path = p->path;
    struct json_value *added = path_add(p, &path->literals, &path->literal_count, sizeof(*added));
    if (added == NULL)
        return drop(value);
    *added = value;
    *literal = path->literal_count - 1;
    return true;
}

bool path_parse_literal(struct path_parser *p, uint32_t *literal)
{
    struct json_value value;
    return parse_value(p, &value) && path_add_literal(p, value, literal);
}

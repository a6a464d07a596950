/*
 * The parser of queries: segments and the selectors in them, by recursive descent; and the compiled path that it makes.
 *
 * The segments of a query, and the selectors of a segment, must lie side by side, though filters among them bring
 * queries of their own. So a query first collects its segments, and a bracket its selectors, aside, and appends them
 * when it is whole.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "path_priv.h"
#include "regex_priv.h"
#include "json/doc.h"
#include "json/key.h"

/* What is being collected: a growing array. */
struct collection {
    void *items; /* owned */
    uint32_t count;
};

/* Arrays have room for a power of two; at each power they are moved. */
void *path_add(struct path_parser *p, void *array, uint32_t *count, size_t size)
{
    void **at = array;
    if (*count >= JSON_PATH_MAX_PARTS) {
        path_fail(p, "too many parts");
        return NULL;
    }
    if ((*count & (*count - 1)) == 0)
        *at = mem_realloc(*at, size * (*count == 0 ? 1 : 2 * (size_t)*count));
    void *added = (char *)*at + size * (*count)++;
    memset(added, 0, size);
    return added;
}

static bool append_all(struct path_parser *p, void *array, uint32_t *count, size_t size, const struct collection *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        void *added = path_add(p, array, count, size);
        if (added == NULL)
            return false;
        memcpy(added, (const char *)from->items + i * size, size);
    }
    return true;
}

static struct path_selector *add_selector(struct path_parser *p, struct collection *selectors, uint8_t kind)
{
    struct path_selector *added = path_add(p, &selectors->items, &selectors->count, sizeof(*added));
    if (added != NULL)
        added->kind = kind;
    return added;
}

/* The key of what stands in scratch. */
static bool add_name(struct path_parser *p, struct collection *selectors)
{
    json_key key = json_key_intern(buf_bytes(&p->scratch));
    if (key == 0)
        return path_fail(p, "out of memory for a name");
    struct path_selector *added = add_selector(p, selectors, SELECT_NAME);
    if (added == NULL) {
        json_key_unref(key);
        return false;
    }
    added->which = key;
    return true;
}

/* The rest of a slice whose start, if it has one, was read: `:end:step`. */
static bool parse_slice(struct path_parser *p, struct path_selector *slice)
{
    slice->kind = SELECT_SLICE;
    slice->step = 1;
    p->at++;
    path_skip_blank(p);
    if (!path_peek(p, ':') && !path_peek(p, ']') && !path_peek(p, ',')) {
        slice->has_end = true;
        if (!path_read_integer(p, &slice->end))
            return false;
        path_skip_blank(p);
    }
    if (!path_take(p, ':'))
        return true;
    path_skip_blank(p);
    size_t from = p->at;
    if (path_peek(p, ']') || path_peek(p, ','))
        return true;
    if (!path_read_integer(p, &slice->step))
        return false;
    return !p->path->legacy || slice->step > 0 || path_fail_at(p, from, "expected a step above zero");
}

static bool parse_index_or_slice(struct path_parser *p, struct collection *selectors)
{
    struct path_selector selector = { .kind = SELECT_INDEX };
    if (!path_peek(p, ':')) {
        if (!path_peek(p, '-') && !(p->at < p->len && p->in[p->at] >= '0' && p->in[p->at] <= '9'))
            return path_fail(p, "expected a selector");
        selector.has_start = true;
        if (!path_read_integer(p, &selector.start))
            return false;
        size_t end = p->at;
        path_skip_blank(p);
        if (!path_peek(p, ':'))
            p->at = end;
    }
    if (path_peek(p, ':') && !parse_slice(p, &selector))
        return false;
    struct path_selector *added = add_selector(p, selectors, SELECT_INDEX);
    if (added != NULL)
        *added = selector;
    return added != NULL;
}

static bool parse_selector(struct path_parser *p, struct collection *selectors)
{
    if (path_peek(p, '"') || path_peek(p, '\''))
        return path_read_string(p) && add_name(p, selectors);
    if (path_take(p, '*'))
        return add_selector(p, selectors, SELECT_ALL) != NULL;
    if (!path_take(p, '?'))
        return parse_index_or_slice(p, selectors);
    uint32_t filter;
    if (!path_parse_filter(p, &filter))
        return false;
    struct path_selector *added = add_selector(p, selectors, SELECT_FILTER);
    if (added != NULL)
        added->which = filter;
    return added != NULL;
}

/* Selectors behind an opening bracket, the closing one included. */
static bool parse_bracket(struct path_parser *p, struct collection *selectors)
{
    do {
        path_skip_blank(p);
        if (!parse_selector(p, selectors))
            return false;
        path_skip_blank(p);
    } while (path_take(p, ','));
    return path_take(p, ']') || path_fail(p, "expected ',' or ']'");
}

/* What stands behind a dot or two, or at a legacy path's beginning: a name, a star, a bracket. */
static bool parse_dotted(struct path_parser *p, struct collection *selectors)
{
    if (path_take(p, '*'))
        return add_selector(p, selectors, SELECT_ALL) != NULL;
    if (path_take(p, '['))
        return parse_bracket(p, selectors);
    return path_read_name(p, p->path->legacy) && add_name(p, selectors);
}

static bool parse_selectors(struct path_parser *p, struct path_segment *segment, struct collection *selectors)
{
    if (path_take(p, '[')) {
        if (!parse_bracket(p, selectors))
            return false;
    } else {
        if (path_take(p, '.'))
            segment->descendant = path_take(p, '.');
        if (!parse_dotted(p, selectors))
            return false;
    }
    const struct path_selector *first = selectors->items;
    segment->simple =
        !segment->descendant && selectors->count == 1 && (first->kind == SELECT_NAME || first->kind == SELECT_INDEX);
    return true;
}

static bool parse_segment(struct path_parser *p, struct collection *segments)
{
    struct collection selectors = { 0 };
    struct path_segment segment = { 0 };
    bool good = parse_selectors(p, &segment, &selectors);
    segment.first = p->path->selector_count;
    segment.count = selectors.count;
    struct path_segment *added = good ? path_add(p, &segments->items, &segments->count, sizeof(segment)) : NULL;
    if (added != NULL)
        *added = segment;
    /* What was collected moves to the path even if something is wrong: it is the path that lets names go. */
    bool moved = append_all(p, &p->path->selectors, &p->path->selector_count, sizeof(struct path_selector), &selectors);
    if (!moved)
        for (uint32_t i = p->path->selector_count - segment.first; i < selectors.count; i++)
            if (((struct path_selector *)selectors.items)[i].kind == SELECT_NAME)
                json_key_unref(((struct path_selector *)selectors.items)[i].which);
    mem_free(selectors.items);
    return added != NULL && moved;
}

static bool parse_segments(struct path_parser *p, bool in_filter, struct collection *segments)
{
    bool root = p->at == p->len && p->len > 0;
    bool bare = p->path->legacy && !in_filter && !root && !path_peek(p, '.') && !path_peek(p, '[');
    for (;;) {
        size_t from = p->at;
        path_skip_blank(p);
        if (bare)
            p->at = from;
        else if (!path_peek(p, '.') && !path_peek(p, '[')) {
            p->at = from;
            return in_filter || p->at == p->len || path_fail(p, "expected '.' or '['");
        }
        bare = false;
        if (!parse_segment(p, segments))
            return false;
    }
}

bool path_parse_query(struct path_parser *p, bool absolute, bool in_filter, uint32_t *query)
{
    struct json_path *path = p->path;
    struct collection segments = { 0 };
    *query = path->query_count;
    if (path_add(p, &path->queries, &path->query_count, sizeof(*path->queries)) == NULL)
        return false;
    bool good = parse_segments(p, in_filter, &segments);
    struct path_query *made = &path->queries[*query];
    *made = (struct path_query){ .absolute = absolute, .singular = true, .first = path->segment_count };
    made->count = segments.count;
    for (uint32_t i = 0; i < segments.count; i++)
        made->singular = made->singular && ((struct path_segment *)segments.items)[i].simple;
    good = good && append_all(p, &path->segments, &path->segment_count, sizeof(struct path_segment), &segments);
    mem_free(segments.items);
    return good;
}

/* True, and `at` behind the dollar, if the text is JSONPath. */
static bool is_standard(struct path_parser *p)
{
    if (!path_take(p, '$'))
        return false;
    size_t from = p->at;
    path_skip_blank(p);
    bool standard = from == p->len || path_peek(p, '.') || path_peek(p, '[');
    p->at = standard ? from : 0;
    return standard;
}

static bool parse(struct path_parser *p, struct bytes text)
{
    size_t bad = 0;
    if (text.len > JSON_PATH_MAX_LEN)
        return path_fail_at(p, JSON_PATH_MAX_LEN, "a path that is too long, which should end");
    if (!path_is_utf8(text, &bad))
        return path_fail_at(p, bad, "not UTF-8");
    p->path->legacy = !is_standard(p);
    if (p->path->legacy && bytes_equal(text, BYTES(".")))
        p->at = p->len; /* the root: a query without segments */
    uint32_t query;
    return path_parse_query(p, true, false, &query);
}

struct json_path *json_path_compile(struct bytes text, struct json_path_error *error)
{
    struct json_path *path = mem_zalloc(sizeof(*path));
    path->refs = 1;
    path->text = bytes_make(mem_dup(text.len > 0 ? text.ptr : "", text.len), text.len);
    struct path_parser parser = {
        .path = path, .in = path->text.ptr, .len = text.len, .scratch = BUF_EMPTY, .error = error
    };
    bool good = parse(&parser, text);
    buf_fini(&parser.scratch);
    if (good)
        return path;
    json_path_unref(path);
    return NULL;
}

size_t path_memory(const struct json_path *path)
{
    return sizeof(*path) + path->text.len + path->segment_count * sizeof(*path->segments) +
           path->selector_count * sizeof(*path->selectors) + path->query_count * sizeof(*path->queries) +
           path->literal_count * sizeof(*path->literals) + path->filter_count * sizeof(*path->filters) +
           path->step_count * sizeof(*path->steps) + path->regex_count * sizeof(struct json_regex *);
}

static void destroy(struct json_path *path)
{
    for (uint32_t i = 0; i < path->selector_count; i++)
        if (path->selectors[i].kind == SELECT_NAME)
            json_key_unref(path->selectors[i].which);
    for (uint32_t i = 0; i < path->literal_count; i++)
        json_value_destroy(path->literals[i]);
    for (uint32_t i = 0; i < path->regex_count; i++)
        json_regex_destroy(path->regexes[i]);
    mem_free(path->segments);
    mem_free(path->selectors);
    mem_free(path->queries);
    mem_free(path->literals);
    mem_free(path->filters);
    mem_free(path->steps);
    mem_free(path->regexes);
    mem_free((char *)path->text.ptr);
    mem_free(path);
}

struct json_path *json_path_ref(struct json_path *path)
{
    atomic_fetch_add_explicit(&path->refs, 1, memory_order_relaxed);
    return path;
}

void json_path_unref(struct json_path *path)
{
    if (path != NULL && atomic_fetch_sub_explicit(&path->refs, 1, memory_order_acq_rel) == 1)
        destroy(path);
}

struct bytes json_path_text(const struct json_path *path)
{
    return path->text;
}

bool json_path_is_legacy(const struct json_path *path)
{
    return path->legacy;
}

bool json_path_is_root(const struct json_path *path)
{
    return path->queries[0].count == 0;
}

bool json_path_is_static(const struct json_path *path)
{
    return path->queries[0].singular;
}

enum json_path_last json_path_last(const struct json_path *path, struct bytes *name, int64_t *index)
{
    const struct path_query *query = &path->queries[0];
    if (!query->singular || query->count == 0)
        return JSON_PATH_LAST_NONE;
    const struct path_selector *last = &path->selectors[path->segments[query->first + query->count - 1].first];
    if (last->kind == SELECT_NAME) {
        *name = json_key_text(last->which);
        return JSON_PATH_LAST_NAME;
    }
    *index = last->start;
    return JSON_PATH_LAST_INDEX;
}

/*
 * Keys of JSON text: found without looking into the table of all keys.
 *
 * Objects of one text resemble each other. A key is first compared with the one that followed the same key last time,
 * which needs neither its end nor a hash; then looked up in a small cache; then only made or found in the table. The
 * cache holds a reference to what is in it, and counts what members need until it gives them all at once.
 */
#include "parse_priv.h"
#include "scan_priv.h"

/* What finding a key in the table costs, in bytes of plain text: it shortens the slice. */
enum { NEW_KEY_COST = 300 };

/* The first place from `place` on that is used, or CACHE_KEYS. */
static unsigned next_used(const struct json_parser *parser, unsigned place)
{
    while (place < CACHE_KEYS) {
        uint64_t rest = parser->used[place / 64] >> place % 64;
        if (rest != 0)
            return place + (unsigned)__builtin_ctzll(rest);
        place = (place / 64 + 1) * 64;
    }
    return CACHE_KEYS;
}

static void key_settle(struct cached_key *cached)
{
    if (cached->pending != 0)
        json_key_ref(cached->key, cached->pending);
    cached->pending = 0;
}

void parse_keys_settle(struct json_parser *parser)
{
    for (unsigned place = next_used(parser, 0); place < CACHE_KEYS; place = next_used(parser, place + 1))
        key_settle(&parser->cache[place]);
}

void parse_keys_forget(struct json_parser *parser)
{
    for (unsigned place = next_used(parser, 0); place < CACHE_KEYS; place = next_used(parser, place + 1)) {
        key_settle(&parser->cache[place]);
        json_key_unref(parser->cache[place].key);
    }
    memset(parser->used, 0, sizeof(parser->used));
}

/* Anything that spreads will do, as only speed depends on it: each half says a place in the cache. */
static uint64_t mix(struct bytes text)
{
    uint64_t first = 0, last = 0;
    size_t part = text.len < 8 ? text.len : 8;

    if (part != 0) {
        memcpy(&first, text.ptr, part);
        memcpy(&last, text.ptr + text.len - part, part);
    }
    uint64_t mixed = (first ^ (last << 23 | last >> 41) ^ text.len) * UINT64_C(0x9e3779b97f4a7c15);
    return mixed ^ mixed >> 29;
}

static bool is_used(const struct json_parser *parser, unsigned place)
{
    return (parser->used[place / 64] >> place % 64 & 1) != 0;
}

static bool has_key(const struct json_parser *parser, unsigned place, struct bytes text)
{
    const struct cached_key *cached = &parser->cache[place];

    return is_used(parser, place) && bytes_equal(bytes_make(cached->text, cached->len), text);
}

/* One of the two places where a key may be: where it is or, *found false, where it is to go. */
static unsigned place_of(const struct json_parser *parser, struct bytes text, bool *found)
{
    uint64_t mixed = mix(text);
    unsigned first = (unsigned)((mixed >> 32) * CACHE_KEYS >> 32);
    unsigned second = (unsigned)((mixed & UINT32_MAX) * CACHE_KEYS >> 32);

    *found = true;
    if (has_key(parser, first, text))
        return first;
    if (has_key(parser, second, text))
        return second;
    *found = false;
    return is_used(parser, first) && (!is_used(parser, second) || (mixed & 1) != 0) ? second : first;
}

/* What the text has where this key comes next. */
static void pattern_make(struct cached_key *cached, struct bytes text, bool is_plain)
{
    char pattern[KEY_PATTERN] = { '"' }, mask[KEY_PATTERN] = { 0 };

    if (is_plain) {
        size_t part = text.len < KEY_PATTERN - 1 ? text.len : KEY_PATTERN - 1, len = part + 1;
        if (part != 0)
            memcpy(pattern + 1, text.ptr, part);
        if (len < KEY_PATTERN)
            pattern[len++] = '"';
        if (len < KEY_PATTERN)
            pattern[len++] = ':';
        memset(mask, 0xff, len);
    }
    memcpy(cached->pattern, pattern, sizeof(pattern));
    memcpy(cached->mask, mask, sizeof(mask));
    if (!is_plain)
        cached->pattern[0] = KEY_PATTERN_NONE;
}

/* Puts a key into a place of the cache, instead of what is there. False: memory is out. */
static bool place_fill(struct json_parser *parser, unsigned place, struct bytes text)
{
    struct cached_key *cached = &parser->cache[place];
    json_key key = json_key_intern(text);

    if (key == 0)
        return parse_fail(parser, JSON_ERROR_MEMORY, "out of memory", parser->at);
    if (is_used(parser, place)) {
        key_settle(cached);
        json_key_unref(cached->key);
    }
    parser->used[place / 64] |= (uint64_t)1 << place % 64;
    parser->pause -= parser->pause - parser->begin < NEW_KEY_COST || !parser->is_sliced ? 0 : NEW_KEY_COST;
    *cached = (struct cached_key){
        .text = json_key_text(key).ptr, .len = (uint32_t)text.len, .key = key, .next = parser->cache
    };
    return true;
}

static json_key key_find(struct json_parser *parser, struct parse_frame *frame, struct bytes text, bool is_plain)
{
    bool found;
    unsigned place = place_of(parser, text, &found);
    struct cached_key *cached = &parser->cache[place];

    if (!found && !place_fill(parser, place, text))
        return 0;
    if (!found || is_plain == (cached->mask[0] == 0))
        pattern_make(cached, text, is_plain);
    cached->pending++;
    *frame->guess = cached;
    frame->guess = &cached->next;
    return cached->key;
}

/* A key with escapes, whose decoded form takes memory. */
static json_key key_find_escaped(struct json_parser *parser, struct parse_frame *frame, const struct string_scan *scan)
{
    char room[256], *text = scan->decoded <= sizeof(room) ? room : mem_try_alloc(scan->decoded);
    const char *from = scan->begin;

    if (text == NULL) {
        parse_fail(parser, JSON_ERROR_MEMORY, "out of memory", parser->at);
        return 0;
    }
    size_t len = string_decode(text, &from, scan->at - 1, scan->decoded);
    json_key key = key_find(parser, frame, bytes_make(text, len), false);
    if (text != room)
        mem_free(text);
    return key;
}

json_key parse_key(struct json_parser *parser, struct parse_frame *frame)
{
    const char *at = parser->at + 1;
    struct cached_key *likely = *frame->guess;

    if (parser->end - at >= KEY_PATTERN && parse_key_is_next(likely, parser->at, parser->end)) {
        parser->at = at + likely->len + 1;
        likely->pending++;
        frame->guess = &likely->next;
        return likely->key;
    }
    struct string_scan scan = { at, at, 0 };
    if (!string_scan(parser, &scan, parser->end))
        return 0;
    size_t raw = (size_t)(scan.at - 1 - at);
    json_key key = scan.decoded == raw ? key_find(parser, frame, bytes_make(at, raw), true)
                                       : key_find_escaped(parser, frame, &scan);
    parser->at = scan.at;
    return key;
}

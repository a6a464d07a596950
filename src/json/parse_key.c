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

void parse_key_settle(struct cached_key *cached)
{
    if (cached->text != NULL && cached->pending != 0)
        json_key_ref(cached->key, cached->pending);
    cached->pending = 0;
}

void parse_keys_settle(struct json_parser *parser)
{
    for (size_t i = 0; i < CACHE_KEYS; i++)
        parse_key_settle(&parser->cache[i]);
}

void parse_keys_forget(struct json_parser *parser)
{
    for (size_t i = 0; i < CACHE_KEYS; i++) {
        parse_key_settle(&parser->cache[i]);
        if (parser->cache[i].text != NULL)
            json_key_unref(parser->cache[i].key);
        parser->cache[i].text = NULL;
    }
}

/* A place in the cache: anything that spreads will do, as only speed depends on it. */
static unsigned place_of(struct bytes text)
{
    uint64_t first = 0, last = 0;
    size_t part = text.len < 8 ? text.len : 8;

    if (part != 0) {
        memcpy(&first, text.ptr, part);
        memcpy(&last, text.ptr + text.len - part, part);
    }
    uint64_t mixed = (first ^ (last << 23 | last >> 41) ^ text.len) * UINT64_C(0x9e3779b97f4a7c15);
    return (unsigned)(mixed >> 55) & (CACHE_KEYS - 1);
}

static json_key key_find(struct json_parser *parser, struct parse_frame *frame, struct bytes text, bool is_plain)
{
    unsigned place = place_of(text);
    struct cached_key *cached = &parser->cache[place];

    if (cached->text == NULL || !bytes_equal(bytes_make(cached->text, cached->len), text)) {
        json_key key = json_key_intern(text);
        if (key == 0) {
            parse_fail(parser, JSON_ERROR_MEMORY, "out of memory", parser->at);
            return 0;
        }
        parse_key_settle(cached);
        if (cached->text != NULL)
            json_key_unref(cached->key);
        parser->pause -= parser->pause - parser->begin < NEW_KEY_COST || !parser->is_sliced ? 0 : NEW_KEY_COST;
        *cached = (struct cached_key){ .text = json_key_text(key).ptr, .len = (uint32_t)text.len, .key = key };
    }
    cached->is_plain = is_plain;
    cached->compared = 0;
    if (is_plain && text.len < sizeof(cached->word)) {
        char room[sizeof(cached->word)] = { 0 };
        if (text.len != 0)
            memcpy(room, text.ptr, text.len);
        room[text.len] = '"';
        memcpy(&cached->word, room, sizeof(room));
        cached->compared = (uint8_t)(text.len + 1);
    }
    return parse_key_use(frame, parser, place);
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
    unsigned guess = *frame->guess;
    const struct cached_key *likely = &parser->cache[guess];

    if (parse_key_is_next(likely, at, parser->end)) {
        parser->at = at + likely->len + 1;
        return parse_key_use(frame, parser, guess);
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

/*
 * The frame of SSCAN, HSCAN and ZSCAN.
 *
 * A page is an array of the cursor and the items; both lengths are known at the end only, so gaps are left for them. A
 * page ends when it has visited COUNT items, whether they matched or not, or taken ten steps for each item it should
 * visit: a table whose items are nearly all gone must not hold a call up.
 */
#include "collection_scan_priv.h"

#include <stdio.h>

#include "base/num.h"
#include "engine/aside.h"
#include "engine/call.h"

enum { SCAN_COUNT = 10, STEPS_PER_ITEM = 10 };

bool collection_scan_parse_cursor(struct bytes text, uint64_t *cursor)
{
    text.len = text.len ? strnlen(text.ptr, text.len) : 0;
    bool negative = text.len && text.ptr[0] == '-';
    size_t i = negative || (text.len && text.ptr[0] == '+');
    if (i == 1 && text.len == 1)
        return false;
    uint64_t value = 0;
    for (; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (unsigned)(text.ptr[i] - '0'), &value))
            return false;
    *cursor = negative ? -value : value;
    return true;
}

bool collection_scan_cursor(struct call *call, struct collection_scan *scan)
{
    *scan = (struct collection_scan){ .any = true, .count = SCAN_COUNT };
    if (collection_scan_parse_cursor(call->argv[2], &scan->cursor))
        return true;
    reply_fail(call->reply, ERROR_CURSOR);
    return false;
}

bool collection_scan_options(struct call *call, struct collection_scan *scan, bool has_no_values)
{
    for (uint32_t i = 3; i < call->argc; i++) {
        bool has_value = i + 1 < call->argc;
        int64_t count;
        if (has_value && call_arg_is(call, i, "COUNT")) {
            if (!call_arg_i64(call, ++i, INT64_MIN, INT64_MAX, NULL, &count))
                return false;
            scan->count = (size_t)count;
            if (count >= 1)
                continue;
        } else if (has_value && call_arg_is(call, i, "MATCH")) {
            scan->pattern = call->argv[++i];
            scan->any = glob_is_any(scan->pattern);
            continue;
        } else if (has_no_values && call_arg_is(call, i, "NOVALUES")) {
            scan->no_values = true;
            continue;
        }
        reply_fail(call->reply, ERROR_SYNTAX);
        return false;
    }
    return true;
}

bool collection_scan_aside(struct call *call, const struct collection_scan *scan, size_t items)
{
    return call_aside(call, items < scan->count ? items : scan->count);
}

void collection_scan_reply_empty(struct call *call)
{
    reply_array(call->reply, 2);
    reply_bulk(call->reply, BYTES("0"));
    reply_array(call->reply, 0);
}

void collection_scan_begin(struct call *call, struct collection_scan *scan)
{
    reply_array(call->reply, 2);
    scan->cursor_gap = output_gap(call->reply->out);
    scan->items_gap = reply_deferred(call->reply);
}

bool collection_scan_goes_on(struct collection_scan *scan)
{
    scan->steps++;
    return scan->cursor && scan->visited < scan->count && scan->steps / STEPS_PER_ITEM < scan->count;
}

void collection_scan_end(struct call *call, struct collection_scan *scan)
{
    reply_deferred_end(call->reply, scan->items_gap, REPLY_ARRAY, scan->answered);
    char text[OUTPUT_GAP_MAX + 1];
    int len =
        snprintf(text, sizeof text, "$%zu\r\n%llu\r\n", num_u64_len(scan->cursor), (unsigned long long)scan->cursor);
    output_fill(call->reply->out, scan->cursor_gap, bytes_make(text, (size_t)len));
}

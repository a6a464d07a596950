/*
 * Glob matching without recursion.
 *
 * Every element of a pattern but `*` takes exactly one byte, so only the last `*` seen need ever be retried: if what
 * follows a later `*` can match at all, it can with the earlier runs as short as they are. That bounds the work by text
 * * pattern, where trying all of them is exponential (Cox, "Glob matching can be simple and fast too", 2017).
 *
 * The corners are those that clients know: `[]` matches nothing and `[^]` anything, a range may be given backwards, an
 * escaped byte in a set is compared as it is even when letters are folded, and a lone `\` at the end stands for itself.
 * The empty text is matched by the empty pattern only, not even by `*`.
 */
#include "base/glob.h"

#include <stddef.h>

/* Signed, as bytes beyond ASCII come before the others in Redis's ranges. */
struct range {
    signed char low, high;
};

static inline signed char fold(char c, bool nocase)
{
    return (signed char)(nocase ? ascii_lower(c) : c);
}

/* Folded after the ends are put in order, not before: `[Z-a]` is then empty, as it is in Redis. */
static struct range range_make(char from, char to, bool nocase)
{
    bool swapped = (signed char)from > (signed char)to;

    return (struct range){ fold(swapped ? to : from, nocase), fold(swapped ? from : to, nocase) };
}

/* Tests `c` against the set whose `[` is at `*at`, and moves `*at` behind its `]`, or to `end` where that is missing.
 */
static bool set_match(const char **at, const char *end, char c, bool nocase)
{
    const char *p = *at + 1;
    bool negated = p != end && *p == '^', found = false;

    p += negated;
    while (p != end && *p != ']') {
        if (*p == '\\' && end - p >= 2) {
            found |= p[1] == c;
            p += 2;
        } else if (end - p >= 3 && p[1] == '-') {
            struct range range = range_make(p[0], p[2], nocase);
            found |= fold(c, nocase) >= range.low && fold(c, nocase) <= range.high;
            p += 3;
        } else {
            found |= fold(*p, nocase) == fold(c, nocase);
            p++;
        }
    }
    *at = p == end ? p : p + 1;
    return found != negated;
}

/* Tests `c` against the one element at `*at`, which is not `*`, and moves `*at` behind it if it matches. */
static inline bool element_match(const char **at, const char *end, char c, bool nocase)
{
    const char *p = *at;

    if (*p == '[')
        return set_match(at, end, c, nocase);
    if (*p == '\\' && end - p >= 2)
        p++;
    else if (*p == '?')
        c = *p;
    *at = p + 1;
    return fold(*p, nocase) == fold(c, nocase);
}

static inline bool match(struct bytes pattern, struct bytes text, bool nocase)
{
    const char *p = pattern.ptr, *p_end = pattern.ptr + pattern.len;
    const char *t = text.ptr, *t_end = text.ptr + text.len;
    const char *p_retry = NULL, *t_retry = NULL; /* behind the last `*`, and where in the text it is tried next */

    if (text.len == 0)
        return pattern.len == 0;
    while (t != t_end) {
        if (p != p_end && *p == '*') {
            while (p != p_end && *p == '*')
                p++;
            if (p == p_end)
                return true;
            p_retry = p;
            t_retry = t;
            continue;
        }
        if (p != p_end && element_match(&p, p_end, *t, nocase)) {
            t++;
        } else if (p_retry != NULL) {
            p = p_retry;
            t = ++t_retry;
        } else {
            return false;
        }
    }
    while (p != p_end && *p == '*')
        p++;
    return p == p_end;
}

bool glob_match(struct bytes pattern, struct bytes text)
{
    return match(pattern, text, false);
}

bool glob_match_nocase(struct bytes pattern, struct bytes text)
{
    return match(pattern, text, true);
}

bool glob_is_any(struct bytes pattern)
{
    return pattern.len == 1 && pattern.ptr[0] == '*';
}

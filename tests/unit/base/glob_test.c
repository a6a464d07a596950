/*
 * The matcher against cases whose answers Redis gives, and against a plain recursive twin on random patterns.
 */
#include "base/glob.h"

#include <criterion/criterion.h>

#include "guard.h"
#include "seed.h"

static bool matches(const char *pattern, const char *text)
{
    return glob_match(bytes_from_cstr(pattern), bytes_from_cstr(text));
}

static bool matches_nocase(const char *pattern, const char *text)
{
    return glob_match_nocase(bytes_from_cstr(pattern), bytes_from_cstr(text));
}

Test(glob, plain_text_and_wildcards)
{
    cr_assert(matches("abc", "abc") && !matches("abc", "abd") && !matches("abc", "ab") && !matches("ab", "abc"));
    cr_assert(matches("a?c", "abc") && !matches("a?c", "ac"));
    cr_assert(matches("*", "abc") && matches("a*", "a") && matches("*c", "abc") && matches("a*b*c", "axxbyyc"));
    cr_assert(!matches("a*b*c", "axxbyyd") && matches("*ab*ab*", "aabab") && matches("a**", "a"));
    cr_assert(matches("", "") && !matches("", "a") && !matches("a", ""));
}

Test(glob, only_the_empty_pattern_matches_the_empty_text)
{
    cr_assert(!matches("*", "") && !matches("**", ""));
}

Test(glob, sets)
{
    cr_assert(matches("[abc]", "b") && !matches("[abc]", "d") && matches("[^abc]", "d") && !matches("[^abc]", "a"));
    cr_assert(matches("[a-c]x", "bx") && matches("[c-a]x", "bx") && !matches("[a-c]x", "dx"));
    cr_assert(!matches("[]", "a") && matches("[^]", "a"));
    cr_assert(matches("[\\]]", "]") && matches("[\\-x]", "-") && matches("[a\\]b]", "]"));
    cr_assert(matches("[abc", "b") && matches("[a-", "-") && matches("[a-", "a") && matches("x[", "x[") == false);
}

Test(glob, bytes_beyond_ascii_come_first_in_ranges)
{
    cr_assert(matches("[\x80-\xff]", "\xc3") && !matches("[\x80-\xff]", "a"));
    cr_assert(matches("[\xff-a]", "B") && !matches("[\xff-a]", "b") && !matches("[\xff-a]", "\xfe"));
}

Test(glob, escapes)
{
    cr_assert(matches("\\*", "*") && !matches("\\*", "a") && matches("a\\?", "a?") && !matches("a\\?", "ab"));
    cr_assert(matches("\\", "\\") && matches("a\\", "a\\") && matches("\\a", "a"));
}

Test(glob, folded_letters)
{
    cr_assert(matches_nocase("ABC*", "abcdef") && matches_nocase("[A-C]", "b") && !matches("ABC", "abc"));
    cr_assert(matches_nocase("[X-Z]", "y") && !matches_nocase("[Z-a]", "y") && matches_nocase("[z-A]", "Y"));
    cr_assert(!matches_nocase("[\\Y]", "y") && matches_nocase("\\Y", "y"));
}

Test(glob, any)
{
    cr_assert(
        glob_is_any(BYTES("*")) && !glob_is_any(BYTES("**")) && !glob_is_any(BYTES("")) && !glob_is_any(BYTES("a")));
}

Test(glob, zero_bytes_are_ordinary)
{
    cr_assert(glob_match(bytes_make("a\0*", 3), bytes_make("a\0bc", 4)));
    cr_assert_not(glob_match(bytes_make("a\0*", 3), bytes_make("a", 1)));
}

/* One element of a pattern: how many bytes it takes, and whether it matches. */
static size_t naive_element(const char *p, size_t len, char c, bool *found)
{
    size_t i = 1;

    if (p[0] == '?' || (p[0] != '[' && (p[0] != '\\' || len < 2))) {
        *found = p[0] == '?' || p[0] == c;
        return 1;
    }
    if (p[0] == '\\') {
        *found = p[1] == c;
        return 2;
    }
    bool negated = len > 1 && p[1] == '^', any = false;
    for (i += negated; i < len && p[i] != ']'; i++) {
        if (p[i] == '\\' && i + 1 < len) {
            any |= p[++i] == c;
        } else if (i + 2 < len && p[i + 1] == '-') {
            signed char from = (signed char)p[i], to = (signed char)p[i + 2], byte = (signed char)c;
            any |= (from <= byte && byte <= to) || (to <= byte && byte <= from);
            i += 2;
        } else {
            any |= p[i] == c;
        }
    }
    *found = any != negated;
    return i < len ? i + 1 : i;
}

/* The definition, tried in all ways. */
static bool naive_match(const char *p, size_t p_len, const char *t, size_t t_len)
{
    bool found;

    if (p_len == 0)
        return t_len == 0;
    if (p[0] == '*')
        return naive_match(p + 1, p_len - 1, t, t_len) || (t_len > 0 && naive_match(p, p_len, t + 1, t_len - 1));
    if (t_len == 0)
        return false;
    size_t taken = naive_element(p, p_len, t[0], &found);
    return found && naive_match(p + taken, p_len - taken, t + 1, t_len - 1);
}

static size_t random_text(struct random *random, char *out, const char *alphabet, size_t max)
{
    size_t len = random_below(random, max + 1), letters = strlen(alphabet);

    for (size_t i = 0; i < len; i++)
        out[i] = alphabet[random_below(random, letters)];
    return len;
}

Test(glob, random_patterns_against_the_definition)
{
    struct random random = seed_random("random_patterns_against_the_definition");
    struct guard pattern_guard = guard_create(), text_guard = guard_create();
    int matched = 0;

    for (int i = 0; i < 500000; i++) {
        char pattern[12], text[10];
        size_t p_len = random_text(&random, pattern, i % 2 == 0 ? "ab*?" : "abc*?[]^-\\\xff", sizeof(pattern));
        size_t t_len = random_text(&random, text, i % 2 == 0 ? "ab" : "abc]^-\\\xff", sizeof(text));
        struct bytes p = guard_place(&pattern_guard, bytes_make(pattern, p_len));
        struct bytes t = guard_place(&text_guard, bytes_make(text, t_len));
        bool expected = t_len == 0 ? p_len == 0 : naive_match(pattern, p_len, text, t_len);
        cr_assert_eq(glob_match(p, t), expected, "'%.*s' on '%.*s'", (int)p_len, pattern, (int)t_len, text);
        matched += expected;
    }
    cr_assert(matched > 10000, "too few matches to mean anything: %d", matched);
    guard_destroy(&pattern_guard);
    guard_destroy(&text_guard);
}

Test(glob, hostile_patterns_stay_cheap, .timeout = 20)
{
    char pattern[2001], text[20001];

    for (size_t i = 0; i < 2000; i += 2)
        memcpy(pattern + i, "*a", 2);
    pattern[2000] = 'b';
    memset(text, 'a', sizeof(text));
    cr_assert_not(glob_match(bytes_make(pattern, 2001), bytes_make(text, sizeof(text))));
    text[20000] = 'b';
    cr_assert(glob_match(bytes_make(pattern, 2001), bytes_make(text, sizeof(text))));
}

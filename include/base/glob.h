/*
 * Glob patterns as KEYS, SCAN, PSUBSCRIBE and ACL rules have them.
 *
 * `*` any run, `?` any byte, `[abc]` `[^abc]` `[a-z]` sets, `\x` the byte x. An unclosed set reaches to the end of the
 * pattern. The empty text matches the empty pattern only. Matching costs O(text * pattern) at worst, whatever the
 * pattern: no pattern can make it exponential.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

bool glob_match(struct bytes pattern, struct bytes text);

/* The same with ASCII letters folded. */
bool glob_match_nocase(struct bytes pattern, struct bytes text);

/* True if the pattern matches everything ("*"): callers skip the matching. */
bool glob_is_any(struct bytes pattern);

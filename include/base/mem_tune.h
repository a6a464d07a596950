/*
 * The allocator's own settings and figures, by the names that its manual gives them: for engineers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A number of 4 or 8 bytes: what it is, or was; and, if `value` is given, what it becomes. 0, or an errno. */
int mem_tune(const char *name, const int64_t *value, int64_t *out);

/* A text: `*out` is the allocator's. Only what is known to be one. 0, or an errno. */
int mem_tune_text(const char *name, const char **out);

/* Does what has neither a value nor a result. 0, or an errno. */
int mem_tune_act(const char *name);

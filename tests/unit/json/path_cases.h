/*
 * The tables of path_test.c; each ends with a case without a path.
 */
#pragma once

#include <stddef.h>

struct path_case {
    const char *path, *document;
    const char *matches; /* an array of them in their order, compact */
};

extern const struct path_case path_cases_segments[], path_cases_slices[], path_cases_filters[],
    path_cases_comparisons[], path_cases_functions[], path_cases_beyond[], path_cases_legacy[];

struct path_mistake {
    const char *path;
    size_t position;
    const char *expected; /* part of the text */
};

extern const struct path_mistake path_mistakes[];

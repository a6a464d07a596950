/*
 * Which of very many arguments say the same: keys that are named twice, paths that are given twice.
 *
 * A table of open addressing in the call's arena, 8 to 16 bytes an argument, that is cleared in slices.
 */
#pragma once

#include "engine/call.h"

/* Which of the arguments at hand say the same. */
struct json_words {
    struct call *call;
    uint32_t *slots; /* of the call's arena */
    size_t mask;
};

/* For `most` of them at most. O(most), in slices. */
void json_words_init(struct json_words *words, struct call *call, size_t most);

/* The first of those asked for so far that has the same text: the argument itself if none has. O(1). */
uint32_t json_words_first(struct json_words *words, uint32_t index);

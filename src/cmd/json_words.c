/*
 * The table of arguments; see json_words_priv.h. Hashes are secret, so nobody can prepare words that collide.
 */
#include "json_words_priv.h"

#include "base/fiber.h"
#include "base/hash.h"

void json_words_init(struct json_words *words, struct call *call, size_t most)
{
    enum { PIECE = 16 * 1024, COST_OF_PIECE = 400 };
    *words = (struct json_words){ .call = call, .mask = 1 };
    while (words->mask < 2 * most)
        words->mask = words->mask * 2 + 1;
    size_t size = (words->mask + 1) * sizeof *words->slots;
    words->slots = arena_alloc(call->arena, size);
    for (size_t at = 0; at < size; at += PIECE) {
        memset((char *)words->slots + at, 0, size - at < PIECE ? size - at : PIECE);
        fiber_breathe(COST_OF_PIECE);
    }
}

uint32_t json_words_first(struct json_words *words, uint32_t index)
{
    const struct bytes *argv = words->call->argv;
    size_t at = hash_bytes(argv[index].ptr, argv[index].len) & words->mask;
    while (words->slots[at] && !bytes_equal(argv[words->slots[at]], argv[index]))
        at = (at + 1) & words->mask;
    if (!words->slots[at])
        words->slots[at] = index;
    return words->slots[at];
}

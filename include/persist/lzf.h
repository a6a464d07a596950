/*
 * LZF: the compression that RDB files know; what DUMP and files hold is packed and unpacked by it.
 *
 *   literals   000nnnnn                     n + 1 bytes follow as they are
 *   match      LLLooooo oooooooo            L + 2 bytes (L 1 to 6) repeat what stood o + 1 bytes before
 *              111ooooo llllllll oooooooo   the same of l + 9
 *
 * Both breathe (base/fiber.h) on long inputs.
 */
#pragma once

#include <stddef.h>

/* Packs into at most `room` bytes; how many it took, 0 if that is not enough. About 400 MB/s. Allocates nothing. */
size_t lzf_pack(const void *from, size_t len, void *to, size_t room);

/* How many bytes that makes, 0 if it is broken or makes more than `room`. Trusts nothing. */
size_t lzf_unpack(const void *from, size_t len, void *to, size_t room);

/*
 * LZF: the compression that RDB files know. What DUMP and files hold is packed by it, and the inner nodes of lists.
 *
 *   literals   000nnnnn                     n + 1 bytes follow as they are
 *   match      LLLooooo oooooooo            L + 2 bytes (L 1 to 6) repeat what stood o + 1 bytes before
 *              111ooooo llllllll oooooooo   the same of l + 9
 *
 * On long inputs they breathe (base/fiber.h), except for those that do all at once.
 */
#pragma once

#include <stddef.h>

/* Packs into at most `room` bytes; how many it took, 0 if that is not enough. About 400 MB/s. Allocates nothing. */
size_t lzf_pack(const void *from, size_t len, void *to, size_t room);

/* How many bytes that makes, 0 if it is broken or makes more than `room`. Trusts nothing. */
size_t lzf_unpack(const void *from, size_t len, void *to, size_t room);

/* The same for what is changed in one step, and is not long. */
size_t lzf_pack_at_once(const void *from, size_t len, void *to, size_t room);
size_t lzf_unpack_at_once(const void *from, size_t len, void *to, size_t room);

/*
 * 128-bit unsigned integers, which both compilers have and ISO C does not: for products of two words.
 */
#pragma once

__extension__ typedef unsigned __int128 uint128_t;

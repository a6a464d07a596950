/*
 * Hashing: XXH3 (64 bits) with a secret chosen when the process starts, so that nobody can prepare colliding keys.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Draws the secret. Called once, before the first table exists; a fixed seed makes tests repeatable. */
void hash_init(void);
void hash_init_seeded(uint64_t seed);

uint64_t hash_bytes(const void *ptr, size_t len);

/* The plain XXH3 of a seed: the same in every process, for digests; never for tables. */
uint64_t hash_bytes_seeded(const void *ptr, size_t len, uint64_t seed);

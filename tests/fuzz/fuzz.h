/*
 * The entry of a fuzz target, as libFuzzer and replay.c call it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Aborts if a property does not hold for the input; returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

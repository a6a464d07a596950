/*
 * What the files about the allocator share.
 */
#pragma once

/* The value of a macro as a text, for names that the allocator gives to its figures. */
#define MEM_TEXT_OF(value) #value
#define MEM_TEXT(value) MEM_TEXT_OF(value)

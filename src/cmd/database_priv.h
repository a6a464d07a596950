/* Database numbers as arguments; what SELECT, MOVE and COPY share. */
#pragma once

#include <stdint.h>

struct call;
struct db;

/* The database that an argument names; NULL if there is none, and then an error was answered. */
struct db *database_arg(struct call *call, uint32_t index);

/*
 * The log's way to syslog. In a source of its own because <syslog.h> has macros with the names of our levels.
 */
#pragma once

#include <stdbool.h>

/* Begins sending as `ident`, which must stay valid, under a facility known by name. False on another name. */
bool syslog_begin(const char *ident, const char *facility);
void syslog_end(void);

/* Sends `len` bytes at one of our levels. */
void syslog_send(int level, const char *text, int len);

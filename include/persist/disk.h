/*
 * Disk: names that appear, change and vanish so that a machine that stops leaves the old state or the new one.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/bytes.h"

/* Appends "directory/name", or just the name if the directory is "". */
void disk_append_path(struct buf *out, const char *directory, const char *name);

/* Makes what was created, renamed or removed in a directory ("" is the working directory) last. False, errno set. */
bool disk_sync_directory(const char *directory);

/*
 * Replaces the file `name` in the directory as a whole: written aside under the name "temp-<name>", synchronised,
 * renamed, and the directory synchronised. False, errno set, and then the old file is there, or the new one if only the
 * last step failed.
 */
bool disk_replace(const char *directory, const char *name, struct bytes content);

/* Writes all of it; false, errno set, after which an unknown part was written. */
bool disk_write(int fd, const char *ptr, size_t len);

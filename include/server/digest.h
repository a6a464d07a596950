/*
 * Digest: 160 bits that stand for the contents of databases, whatever the order in which they are kept.
 *
 * Two servers with the same keys, values, types and (existence of) expiries have the same digest. Keys are combined by
 * exclusive or.
 */
#pragma once

#include <stdint.h>

struct db;
struct entry;

enum { DIGEST_HEX_LEN = 40 };

struct digest {
    uint64_t part[3]; /* the last one counts with 32 bits */
};

/* Adds every key of a database that is not expired. O(n). */
void digest_add_db(struct digest *digest, const struct db *db, int64_t now_ms);

/* Adds a value: type and content, without its key; the expiry's existence counts. */
void digest_add_value(struct digest *digest, const struct entry *entry);

/* Writes DIGEST_HEX_LEN lower-case digits, not terminated. */
void digest_format(const struct digest *digest, char *out);

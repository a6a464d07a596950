/*
 * What the tests of the store share: a keyspace of three databases, keys from text, an observer that counts, seeds that
 * are printed.
 */
#pragma once

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/check.h"
#include "../base/seed.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/random.h"
#include "store/keyspace.h"
#include "store/reclaim.h"
#include "store/string.h"

enum { NOW = 1000000 };

struct fixture {
    struct keyspace *keyspace; /* owned */
    struct db *db, *other;     /* borrowed: databases 0 and 1 */
    size_t used_before;
    /* What the observer saw. */
    int touched, replaced, expired;
    char last_touched[64], last_expired[64];
    size_t size_when_expired;
};

static inline void note_key(char out[64], struct bytes key)
{
    size_t len = key.len < 63 ? key.len : 63;
    memcpy(out, key.ptr, len);
    out[len] = 0;
}

static inline void on_touched(void *context, struct db *db, struct bytes key)
{
    struct fixture *fixture = context;
    (void)db;
    fixture->touched++;
    note_key(fixture->last_touched, key);
}

static inline void on_replaced(void *context, struct db *db)
{
    struct fixture *fixture = context;
    (void)db;
    fixture->replaced++;
}

static inline void on_expired(void *context, struct db *db, const struct entry *entry)
{
    struct fixture *fixture = context;
    fixture->expired++;
    fixture->size_when_expired = keyspace_size(db);
    note_key(fixture->last_expired, entry_key(entry));
}

static inline void fixture_begin(struct fixture *fixture)
{
    mem_thread_register();
    hash_init_seeded(0x5eed);
    *fixture = (struct fixture){ .used_before = mem_used() };
    fixture->keyspace = keyspace_create(3);
    fixture->db = keyspace_db(fixture->keyspace, 0);
    fixture->other = keyspace_db(fixture->keyspace, 1);
    fixture->keyspace->observer = (struct keyspace_observer){
        .touched = on_touched, .replaced = on_replaced, .expired = on_expired, .context = fixture
    };
    fixture->keyspace->watched = 1;
}

static inline void print_complaint(void *context, const char *what)
{
    (void)context;
    fprintf(stderr, "keyspace_check: %s\n", what);
}

static inline void check(const struct fixture *fixture)
{
    REQUIRE(keyspace_check(fixture->keyspace, print_complaint, NULL) == 0);
}

/* Checks once more, and that nothing leaks. */
static inline void fixture_end(struct fixture *fixture)
{
    check(fixture);
    keyspace_destroy(fixture->keyspace);
    REQUIRE(mem_used() == fixture->used_before);
}

static inline struct key key_of(const char *text)
{
    return key_make(bytes_from_cstr(text));
}

static inline struct entry *set(struct fixture *fixture, const char *key, const char *value)
{
    return keyspace_set_string(fixture->keyspace, fixture->db, key_of(key), bytes_from_cstr(value), EXPIRY_NONE, NOW);
}

static inline struct entry *set_until(struct fixture *fixture, const char *key, const char *value, int64_t at_ms)
{
    return keyspace_set_string(fixture->keyspace, fixture->db, key_of(key), bytes_from_cstr(value), at_ms, NOW);
}

static inline struct entry *peek(struct fixture *fixture, const char *key)
{
    return keyspace_peek(fixture->keyspace, fixture->db, key_of(key), NOW);
}

static inline bool holds(const struct entry *entry, struct bytes text)
{
    struct string_scratch scratch;
    return entry && string_len(entry) == text.len && bytes_equal(string_view(entry, &scratch), text);
}

static inline bool holds_text(const struct entry *entry, const char *text)
{
    return holds(entry, bytes_from_cstr(text));
}

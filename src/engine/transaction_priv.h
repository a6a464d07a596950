/* The queue of a transaction, for those who run it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct command_info;
struct engine;
struct held_many;
struct reader_blob;

enum { TRANSACTION_LARGE = 2000 }; /* words of all commands: above that even finding the keys is work for slices */

struct queued {
    struct queued *next; /* owned */
    struct command_info *command;
    size_t size; /* bytes of this allocation and of the blobs */
    uint32_t argc, blob_count;
    struct reader_blob *blobs; /* owned, in this allocation; large arguments as they came */
    struct held_many *many;    /* owned: its keys, while they are held and very many (holds_many.c); or NULL */
    struct bytes *argv;        /* in this allocation, with their bytes; or `taken` */
    struct bytes *taken; /* owned, with their bytes: very many, as they were read (call_take_arguments); or NULL */
    char *taken_bytes;
};

struct transaction {
    struct queued *first, **last; /* owned list */
    int64_t len;
    size_t memory, words;
    uint32_t flags;    /* enum command_flag of all commands */
    bool tainted;      /* a command was refused: nothing may run */
    bool needs_client; /* a command does something with its connection, or with the server */
    bool sees_any;     /* a command sees keys that it does not name, ... */
    bool changes_any;  /* ... or changes such keys */
};

/* Takes the first command off the queue, and frees it. */
void transaction_drop_first(struct engine *engine, struct transaction *transaction);

void transaction_destroy(struct engine *engine, struct transaction *transaction);

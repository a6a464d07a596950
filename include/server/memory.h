/*
 * Where the memory is: the figures behind INFO memory and the MEMORY command.
 */
#pragma once

#include <stddef.h>

#include "base/mem.h"

struct server;

struct memory_facts {
    size_t used, peak, startup; /* bytes, as the allocator rounds them */
    size_t resident;            /* of the process */
    size_t system;              /* the machine's memory */
    size_t tables;              /* of the databases: buckets and directories */
    size_t clients;             /* sessions, connections and what they hold */
    size_t overhead;            /* everything that is not data: startup, tables, clients, what is kept about keys */
    size_t dataset;             /* used - overhead */
    double dataset_percent;     /* of used - startup */
    size_t keys;
    struct mem_stats allocator;
};

/* What is kept about keys to evict the right ones, and to tell of them; some of it grows with use. */
size_t memory_of_watching(const struct server *server);

/* O(databases). */
void memory_facts_read(struct server *server, struct memory_facts *facts);

/*
 * What the keyspace tells eviction: uses, arrivals. The short ways are inlined in keyspace_priv.h.
 */
#pragma once

#include "store/entry.h"
#include "store/evict.h"
#include "store/keyspace.h"

/* Notes a use, or a change, under a policy that keeps more than the time of the last use. */
void evict_touch(struct keyspace *keyspace, struct entry *entry);

/* Sets the clock of an entry that has come in under a key that was not there. */
void evict_arrive(struct keyspace *keyspace, const struct key *key, struct entry *entry);

/* An entry got its clock from one of another key: takes off what holds for a place only. */
void evict_adopt(struct keyspace *keyspace, struct entry *entry);

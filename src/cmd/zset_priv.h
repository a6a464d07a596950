/*
 * What the files of the sorted set's commands share: opening the key, reading ranges, answering members.
 */
#pragma once

#include "engine/call.h"
#include "engine/command.h"
#include "store/zset.h"
#include "words_priv.h"

/* The set under an argument, for reading; *entry is NULL if it is missing. False: it is no sorted set, and that was
 * answered. */
static inline bool zset_look(struct call *call, uint32_t index, const struct entry **entry)
{
    *entry = call_read(call, index);
    return call_expect_type(call, *entry, ENTRY_ZSET);
}

/* Makes what was found under a key, NULL if nothing, ready for changes; false if it is of another type, which was
 * answered. */
static inline bool zset_open_found(struct call *call, struct key key, struct entry *entry, struct zset_edit *edit)
{
    *edit = (struct zset_edit){
        .keyspace = call->keyspace, .db = call->db, .key = key, .entry = entry, .now_ms = call->now_ms
    };
    return call_expect_type(call, entry, ENTRY_ZSET);
}

/* The same for changing. */
static inline bool zset_open(struct call *call, uint32_t index, struct zset_edit *edit)
{
    struct key key = call_key(call, index);
    return zset_open_found(call, key, keyspace_write(call->keyspace, call->db, key, call->now_ms), edit);
}

/*
 * Stores a set that was made, not yet ordered, under the key that an argument names, or removes what is there if it is
 * empty; takes it over, answers how many members it has, and tells of the event.
 */
void zset_store_take(struct call *call, uint32_t index, struct zset *made, const char *event);

/* Tells of members that were removed, and that the key is gone if none is left. */
static inline void zset_notify_removal(const struct call *call, const struct zset_edit *edit, const char *event)
{
    call_notify(call, NOTIFY_ZSET, event, key_bytes(edit->key));
    if (!edit->entry)
        call_notify(call, NOTIFY_GENERIC, "del", key_bytes(edit->key));
}

/* The head of `count` members, with or without scores: RESP3 pairs them, RESP2 has them in a row. */
static inline void zset_reply_head(struct call *call, size_t count, bool scores)
{
    reply_array(call->reply, scores && call->reply->proto < 3 ? 2 * count : count);
}

/* One of these. */
static inline void zset_reply_member(struct call *call, struct bytes member, double score, bool scores)
{
    if (scores && call->reply->proto >= 3)
        reply_array(call->reply, 2);
    reply_bulk(call->reply, member);
    if (scores)
        reply_double(call->reply, score);
}

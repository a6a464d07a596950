/*
 * What the set families share: answering members, and looking sets up by argument.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/call.h"
#include "store/set.h"
#include "words_priv.h"

static inline void set_reply_member(struct call *call, struct set_member member)
{
    if (member.text)
        reply_bulk(call->reply, bytes_make(member.text, member.len));
    else
        reply_bulk_int(call->reply, member.number);
}

/* A set_visit_fn that answers the member; the context is the call. */
static inline void set_reply_visited(void *context, struct set_member member)
{
    set_reply_member(context, member);
}

/* The set under an argument, none if the key is missing; false if it is of another type, which was answered. */
static inline bool set_read(struct call *call, uint32_t index, struct set *set)
{
    const struct entry *entry = call_read(call, index);
    if (!call_expect_type(call, entry, ENTRY_SET))
        return false;
    *set = set_of(entry);
    return true;
}

/* Opens what was found under a key, NULL if nothing, for changes; false if it is no set, which was answered. */
static inline bool set_open_found(struct call *call, struct key key, struct entry *entry, struct set_edit *edit)
{
    if (!call_expect_type(call, entry, ENTRY_SET))
        return false;
    *edit = set_edit_begin(call->keyspace, call->db, key, entry);
    return true;
}

/* Opens the set under an argument for changes; false if it is of another type, which was answered. */
static inline bool set_open(struct call *call, uint32_t index, struct set_edit *edit)
{
    struct key key = call_key(call, index);
    return set_open_found(call, key, keyspace_write(call->keyspace, call->db, key, call->now_ms), edit);
}

/* Closes a set; if it was changed, tells so, and that the key is gone if nothing is left. */
static inline void set_close(struct call *call, struct set_edit *edit, bool changed, const char *event)
{
    bool gone = set_count(edit->set) == 0;
    set_edit_end(edit, call->now_ms);
    if (!changed)
        return;
    call_notify(call, NOTIFY_SET, event, key_bytes(edit->key));
    if (gone)
        call_notify(call, NOTIFY_GENERIC, "del", key_bytes(edit->key));
}

/* All members; in RESP3 as a set or, if told so, as an array. O(members). */
void set_reply_all(struct call *call, struct set set, bool as_array);

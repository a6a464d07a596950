/*
 * What the list families share: answering elements, opening a list by argument, LEFT and RIGHT.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/call.h"
#include "store/list.h"
#include "words_priv.h"

/* A large element is referenced, not copied. */
static inline void list_reply_element(struct call *call, const struct list_element *element)
{
    if (__builtin_expect(element->blob != NULL, 0))
        reply_bulk_blob(call->reply, element->blob, blob_bytes(element->blob));
    else if (element->value.text)
        reply_bulk(call->reply, bytes_make(element->value.text, element->value.len));
    else
        reply_bulk_int(call->reply, element->value.number);
}

/* Opens the list under an argument for changes; false if it is of another type, which was answered. */
static inline bool list_open(struct call *call, uint32_t index, struct list_edit *list)
{
    struct key key = call_key(call, index);
    struct entry *entry = keyspace_write(call->keyspace, call->db, key, call->now_ms);
    if (!call_expect_type(call, entry, ENTRY_LIST))
        return false;
    *list = (struct list_edit){ call->keyspace, call->db, key, entry };
    return true;
}

/* Tells of what happened to a list, and that the key is gone if the list is empty now. */
static inline void list_notify(const struct call *call, const struct list_edit *list, const char *event)
{
    call_notify(call, NOTIFY_LIST, event, key_bytes(list->key));
    if (!list->entry)
        call_notify(call, NOTIFY_GENERIC, "del", key_bytes(list->key));
}

static inline const char *list_push_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpush" : "rpush";
}

static inline const char *list_pop_event(enum list_end end)
{
    return end == LIST_HEAD ? "lpop" : "rpop";
}

/* Answers the element at an end of a list that is there, and takes it out. */
void list_pop(struct call *call, struct list_edit *list, enum list_end end);

/* The same with an array of up to `count` elements, in the order in which they go. */
void list_pop_many(struct call *call, struct list_edit *list, enum list_end end, size_t count);

/* What that costs, for call_aside. */
size_t list_pop_effort(const struct entry *entry, enum list_end end, size_t count);

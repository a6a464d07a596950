/*
 * One reply for many: the bytes of the last reply that others are likely to get as well.
 *
 * When one change answers a thousand clients who waited for the same thing, the reply is encoded for the first of them,
 * and the others get a copy of its bytes, or a reference if those are many. Only one is kept, under a name of the
 * handler's choice: all that the bytes follow from.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct call;
struct output;

enum { SHARED_NAME_MAX = 256 };

struct shared_reply {
    struct blob *blob; /* owned; NULL: there is none */
    size_t name_len;
    char name[SHARED_NAME_MAX];
};

/* Answers with the reply kept under that name; false if there is none. */
bool call_reply_shared(struct call *call, struct bytes name);

/* Answers with what `encoded` holds, which is empty then, and keeps it under that name. */
void call_share_reply(struct call *call, struct bytes name, struct output *encoded);

void shared_reply_fini(struct shared_reply *shared);

/*
 * Reply: writes RESP2 or RESP3 into an output.
 *
 * A handler says what it answers (a map, a null, a double); this module knows how each protocol spells it. The error
 * texts that several commands share are in resp/errors.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "base/bytes.h"
#include "resp/errors.h"
#include "resp/output.h"

struct reply {
    struct output *out; /* borrowed */
    uint8_t proto;      /* 2 or 3 */
    bool failed;        /* an error was written since reply_begin */
    char code[32];      /* first word of that error ("WRONGTYPE"), terminated; "" if none */
};

/* Begins the reply to one command: forgets the last error. */
static inline void reply_begin(struct reply *reply)
{
    reply->failed = false;
    reply->code[0] = '\0';
}

void reply_init(struct reply *reply, struct output *out, uint8_t proto);

void reply_ok(struct reply *reply);
void reply_status(struct reply *reply, struct bytes text);
void reply_int(struct reply *reply, int64_t value);
void reply_bulk(struct reply *reply, struct bytes content);
void reply_bulk_cstr(struct reply *reply, const char *text);
void reply_bulk_int(struct reply *reply, int64_t value);
void reply_bulk_printf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A bulk string of `content`, which lies within `blob`: copied if small, referenced if large. */
void reply_bulk_blob(struct reply *reply, struct blob *blob, struct bytes content);

/* "No value": `$-1` in RESP2, `_` in RESP3. The array form is `*-1` in RESP2. */
void reply_null(struct reply *reply);
void reply_null_array(struct reply *reply);

/* Heads of aggregates: `count` elements (pairs, for a map or attribute) follow. RESP2 knows arrays only. */
void reply_array(struct reply *reply, size_t count);
void reply_empty_array(struct reply *reply);
void reply_map(struct reply *reply, size_t count);
void reply_set(struct reply *reply, size_t count);
void reply_push(struct reply *reply, size_t count);
void reply_attribute(struct reply *reply, size_t count); /* RESP3 only */

/* An aggregate whose length is known only after its elements: begin, write the elements, end. They may be nested to any
 * depth. */
enum reply_aggregate { REPLY_ARRAY, REPLY_MAP, REPLY_SET };
struct output_gap *reply_deferred(struct reply *reply);
void reply_deferred_end(struct reply *reply, struct output_gap *head, enum reply_aggregate kind, size_t count);

/* A double: `,1.5` in RESP3, a bulk string in RESP2; the shortest text that reads back. */
void reply_double(struct reply *reply, double value);

/* `#t`, `#f` in RESP3; 1 and 0 in RESP2. */
void reply_bool(struct reply *reply, bool value);

/* A big number in RESP3 from its decimal text; a bulk string in RESP2. */
void reply_bignum(struct reply *reply, struct bytes digits);

/* Text with a three-letter format such as "txt"; a bulk string in RESP2. */
void reply_verbatim(struct reply *reply, const char *format, struct bytes text);

/* Error replies. Texts begin with their code word ("ERR "); line ends inside become spaces, and those at the end are
 * dropped. */
void reply_error(struct reply *reply, struct bytes text);
void reply_error_printf(struct reply *reply, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reply_fail(struct reply *reply, enum error error);

/*
 * What the stream families share: IDs as arguments and as replies, entries as replies, options of trimming.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/call.h"
#include "store/stream.h"
#include "store/stream_group.h"
#include "store/stream_trim.h"

/* --- IDs --- */

/* "ms-seq" in the call's arena, for what is propagated. */
struct bytes stream_id_text(struct call *call, struct stream_id id);

/*
 * Reads "ms-seq", or "ms" (the rest is then `missing_seq`). False if it is neither. If `any_seq` is given, "ms-*" is
 * fine too and sets it.
 */
bool stream_id_parse(struct bytes text, uint64_t missing_seq, struct stream_id *id, bool *any_seq);

/* The argument as an ID; otherwise answers an error and returns false. "-" and "+" are no IDs here. */
bool stream_arg_id(struct call *call, uint32_t index, struct stream_id *id);

/* The same, where "-" and "+" stand for the lowest and the greatest. */
bool stream_arg_any_id(struct call *call, uint32_t index, struct stream_id *id);

/* Two arguments as a range, "(" in front of an ID excludes it; or only the one that begins it. */
bool stream_arg_start(struct call *call, uint32_t index, struct stream_id *start);
bool stream_arg_end(struct call *call, uint32_t index, struct stream_id *end);

/* Arguments from `first` on, all of them IDs, in the call's arena; NULL: an error was answered. */
struct stream_id *stream_arg_ids(struct call *call, uint32_t first, uint32_t count);

/* --- Replies --- */

void stream_reply_id(struct reply *reply, struct stream_id id);

/* The entry at hand: its ID and an array of its fields and values. */
void stream_reply_entry(struct reply *reply, struct stream_iter *iter);

/* --- Opening --- */

/* Opens the stream under an argument for changes; false if it is of another type, which was answered. */
bool stream_open(struct call *call, uint32_t index, struct stream_edit *edit);

/*
 * The stream under an argument (NULL if there is none) and the group that another names (NULL if there is none). False
 * if the key is of another type, which was answered.
 */
bool stream_open_group(
    struct call *call, uint32_t key, uint32_t name, struct stream **stream, struct stream_group **group);

/* The change of a group is counted, but touches nobody who watches the key or waits for it. */
static inline void stream_group_changed(struct call *call)
{
    call->keyspace->stats.dirty++;
}

/* Now, as consumers are seen; a command that is executed again from a log has no time of its own. */
int64_t stream_now_ms(const struct call *call);

/*
 * The consumer of that name, made and told of if there is none; seen now. NULL: memory is out, which was answered.
 * *made (if given) tells whether it is new.
 */
struct stream_consumer *stream_consumer_get(
    struct call *call, struct bytes key, struct stream_group *group, struct bytes name, bool *made);

/* Tells that a consumer was made. */
void stream_propagate_consumer(
    struct call *call, struct bytes key, const struct stream_group *group, const struct stream_consumer *consumer);

/* Tells what a pending entry is like now, and the group's last ID; that an entry is pending no more. */
void stream_propagate_claim(
    struct call *call, struct bytes key, const struct stream_group *group, const struct stream_pending *pending);
void stream_propagate_ack(struct call *call, struct bytes key, const struct stream_group *group, struct stream_id id);

/* Tells where a group stands. */
void stream_propagate_group(struct call *call, struct bytes key, const struct stream_group *group);

/* --- Trimming --- */

struct stream_trim_options {
    struct stream_trim trim;
    bool trims; /* MAXLEN or MINID was given */
    bool limited, refs_given;
};

/* Reads the option at *index, and moves *index to its last argument. 1: done, 0: it is none, -1: error was answered. */
int stream_arg_trim(struct call *call, uint32_t *index, struct stream_trim_options *options);

/* Settles the limit once all options are read; false: an error was answered. */
bool stream_trim_settle(struct call *call, struct stream_trim_options *options);

/* KEEPREF, DELREF, ACKED: true if the argument is one. */
bool stream_arg_refs(const struct call *call, uint32_t index, enum stream_refs *refs);
struct bytes stream_refs_word(enum stream_refs refs);

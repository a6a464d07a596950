/*
 * Trimming of streams, in slices.
 *
 * Whole blocks go in O(1) each, without a look at their entries, unless what becomes of pending entries depends on it.
 */
#pragma once

#include "store/stream.h"

enum stream_trim_by {
    STREAM_TRIM_MAXLEN, /* until no more than max_length entries are left */
    STREAM_TRIM_MINID,  /* what has a lower ID than min_id */
};

/* What becomes of references to an entry, in the groups' lists of pending entries, when it is deleted. */
enum stream_refs {
    STREAM_KEEPREF, /* they stay */
    STREAM_DELREF,  /* they go with it */
    STREAM_ACKED,   /* an entry that has any, or that some group did not read yet, is not deleted */
};

struct stream_trim {
    enum stream_trim_by by;
    enum stream_refs refs;
    bool approximate;        /* `~`: whole blocks only */
    uint64_t max_length;     /* MAXLEN */
    struct stream_id min_id; /* MINID */
    uint64_t limit;          /* with `~`: no block goes that would make it more entries than this; 0: any number */

    /* Results, which begin as 0; the last two are the trim's own. */
    uint64_t removed;
    bool unfinished; /* there is more to do: to be called again, as long as the key holds this stream */
    struct stream_id resume;
    bool resumes;
};

/*
 * Goes on trimming, and looks at no more than `blocks` blocks (SIZE_MAX: all). Tells the keyspace only when it removes
 * something; edit->entry is there. O(blocks * log n), and with STREAM_DELREF or STREAM_ACKED O(groups * log pending)
 * for each entry.
 */
void stream_trim_step(struct stream_edit *edit, struct stream_trim *trim, size_t blocks);

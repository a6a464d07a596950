/*
 * LCS: the longest common subsequence of two strings, 64 columns of the classic matrix at a time.
 *
 * Neighbours in the matrix L of lengths differ by at most one, so a row is kept as bits: bit j of `row` is 0 where L
 * grows from column j - 1 to j. One row becomes the next with an addition and a few logical operations a word (Hyyro,
 * "Bit-parallel LCS-length computation revisited", 2004), given for each byte a mask of the columns that hold it.
 *
 * To find the subsequence itself we need, for each cell of differing bytes, whether L is larger above or to the left.
 * With h the horizontal growth in the row above (j - 1 to j), and v the vertical growth in the column before,
 *
 *     L(i-1,j) - L(i,j-1) = h(i-1,j) - v(i,j-1)
 *
 * and v follows from h: it changes at the columns where the two rows differ, so a running exclusive-or of these gives
 * it. That is one bit a cell, 1/32 of a matrix of lengths. The shorter string has the rows, whichever comes first in
 * the command.
 *
 * Costs: O(N * M / 64) time, at most about 20 ms within the limit that the matrix would exceed proto-max-bulk-len
 * (which clients know of and which stays). What takes more than a moment runs as a task, over strings that it holds
 * references to.
 */
#include <stdint.h>

#include "base/mem.h"
#include "cmd/families.h"
#include "engine/task.h"
#include "string_priv.h"

enum {
    LCS_AT_ONCE = 64 * 1024, /* steps (see lcs_cost) up to which no task is made */
    LCS_SLICE = 16 * 1024,   /* steps in one slice of a task */
    WORD_BITS = 64,
};

struct lcs_options {
    bool len, idx, with_match_len;
    int64_t min_match_len;
};

/* A run of matches, in both strings; all ends included. */
struct lcs_range {
    size_t a_start, a_end, b_start, b_end;
};

struct lcs {
    struct task task;
    struct lcs_options options;
    struct bytes a, b;       /* borrowed: from blobs, or from their entries while no task is made */
    struct blob *blobs[2];   /* owned references; NULL without a task */
    struct bytes rows, cols; /* a and b, the shorter first */
    bool swapped;            /* rows is b */

    uint64_t *memory; /* owned: what follows lies in it */
    uint64_t *masks;  /* of each byte that the rows hold, `words` words each */
    uint64_t *row;    /* `words` words */
    uint64_t *up;     /* a row of `words` words for each row: 1 where the way back goes up; NULL for LEN */
    size_t words;
    uint32_t mask_count;
    uint16_t mask_of[256]; /* a byte's mask, counted from 1; 0 if the rows do not hold it */

    enum { LCS_MASKS, LCS_ROWS, LCS_BACK, LCS_DONE } stage;
    size_t word;    /* masks, rows: the next word */
    size_t at;      /* rows: the row under way */
    uint64_t carry; /* rows: of the addition */
    uint64_t grown; /* rows: v of the last column, as 0 or all ones */

    size_t i, j;             /* way back: what is left of a and b */
    size_t len, left;        /* of the subsequence, and how much of it is still to be found */
    struct blob *found;      /* owned: the subsequence, unless IDX */
    struct output_gap *head; /* of the list of ranges */
    size_t range_count;
    bool in_range;
    struct lcs_range range;
};

/* --- Forward: masks and rows --- */

/* Bit j of the result is the exclusive-or of bits 0 to j. */
static inline uint64_t running_xor(uint64_t x)
{
    x ^= x << 1;
    x ^= x << 2;
    x ^= x << 4;
    x ^= x << 8;
    x ^= x << 16;
    return x ^ x << 32;
}

static void build_masks(struct lcs *lcs, size_t budget)
{
    size_t cost = lcs->mask_count + WORD_BITS;
    for (size_t used = 0; lcs->word < lcs->words && used < budget; used += cost, lcs->word++) {
        for (uint32_t m = 0; m < lcs->mask_count; m++)
            lcs->masks[m * lcs->words + lcs->word] = 0;
        size_t first = lcs->word * WORD_BITS;
        size_t count = lcs->cols.len - first < WORD_BITS ? lcs->cols.len - first : WORD_BITS;
        for (size_t bit = 0; bit < count; bit++) {
            uint16_t mask = lcs->mask_of[(unsigned char)lcs->cols.ptr[first + bit]];
            if (mask)
                lcs->masks[(mask - 1) * lcs->words + lcs->word] |= UINT64_C(1) << bit;
        }
        lcs->row[lcs->word] = UINT64_MAX;
    }
    if (lcs->word == lcs->words) {
        lcs->word = 0;
        lcs->stage = LCS_ROWS;
    }
}

/* Words `from` to before `to` of the row under way. */
static void advance_row(struct lcs *lcs, size_t from, size_t to)
{
    uint16_t mask_index = lcs->mask_of[(unsigned char)lcs->rows.ptr[lcs->at]];
    const uint64_t *mask = lcs->masks + (size_t)(mask_index - 1) * lcs->words;
    uint64_t *up = lcs->up ? lcs->up + lcs->at * lcs->words : NULL;
    uint64_t carry = lcs->carry, grown = lcs->grown;
    for (size_t w = from; w < to; w++) {
        uint64_t old = lcs->row[w];
        uint64_t matching = old & mask[w];
        uint64_t sum = old + matching;
        uint64_t new_carry = sum < old;
        sum += carry;
        new_carry |= sum < carry;
        carry = new_carry;
        uint64_t new = sum | (old & ~matching);
        lcs->row[w] = new;
        if (up) {
            uint64_t vertical = running_xor(old ^ new) ^ grown;
            uint64_t before = vertical << 1 | (grown & 1);
            grown = vertical >> 63 ? UINT64_MAX : 0;
            up[w] = lcs->swapped ? old & before : ~old & ~before;
        }
    }
    lcs->carry = carry;
    lcs->grown = grown;
}

static void count_length(struct lcs *lcs)
{
    for (size_t w = 0; w < lcs->words; w++)
        lcs->len += (size_t)__builtin_popcountll(~lcs->row[w]);
    lcs->left = lcs->len;
}

static void compute_rows(struct lcs *lcs, size_t budget)
{
    while (budget > 0 && lcs->at < lcs->rows.len) {
        size_t left = lcs->words - lcs->word;
        size_t count = left < budget ? left : budget;
        advance_row(lcs, lcs->word, lcs->word + count);
        budget -= count;
        lcs->word += count;
        if (lcs->word == lcs->words) {
            lcs->word = 0;
            lcs->carry = lcs->grown = 0;
            lcs->at++;
        }
    }
    if (lcs->at == lcs->rows.len) {
        count_length(lcs);
        lcs->stage = LCS_BACK;
    }
}

/* --- Back: the subsequence, or its ranges, from the end --- */

static inline bool goes_up(const struct lcs *lcs)
{
    size_t row = (lcs->swapped ? lcs->j : lcs->i) - 1;
    size_t col = (lcs->swapped ? lcs->i : lcs->j) - 1;
    return lcs->up[row * lcs->words + col / WORD_BITS] >> (col % WORD_BITS) & 1;
}

static void end_range(struct lcs *lcs, struct reply *reply)
{
    if (!lcs->in_range)
        return;
    lcs->in_range = false;
    const struct lcs_range *range = &lcs->range;
    size_t len = range->a_end - range->a_start + 1;
    if ((int64_t)len < lcs->options.min_match_len)
        return;
    reply_array(reply, lcs->options.with_match_len ? 3 : 2);
    reply_array(reply, 2);
    reply_int(reply, (int64_t)range->a_start);
    reply_int(reply, (int64_t)range->a_end);
    reply_array(reply, 2);
    reply_int(reply, (int64_t)range->b_start);
    reply_int(reply, (int64_t)range->b_end);
    if (lcs->options.with_match_len)
        reply_int(reply, (int64_t)len);
    lcs->range_count++;
}

/* The bytes before positions i and j match. */
static void add_match(struct lcs *lcs)
{
    lcs->left--;
    if (lcs->found)
        lcs->found->data[lcs->left] = lcs->a.ptr[lcs->i - 1];
    if (!lcs->in_range)
        lcs->range = (struct lcs_range){ .a_end = lcs->i - 1, .b_end = lcs->j - 1 };
    lcs->in_range = true;
    lcs->range.a_start = --lcs->i;
    lcs->range.b_start = --lcs->j;
}

static void go_back(struct lcs *lcs, struct reply *reply, size_t budget)
{
    for (; budget > 0 && lcs->left > 0; budget--) {
        if (lcs->a.ptr[lcs->i - 1] == lcs->b.ptr[lcs->j - 1]) {
            add_match(lcs);
            continue;
        }
        if (lcs->options.idx)
            end_range(lcs, reply);
        lcs->in_range = false;
        if (goes_up(lcs))
            lcs->i--;
        else
            lcs->j--;
    }
    if (lcs->left == 0)
        lcs->stage = LCS_DONE;
}

/* --- Steps and replies --- */

/* False after an error reply. */
static bool begin_back(struct lcs *lcs, struct reply *reply)
{
    lcs->i = lcs->a.len;
    lcs->j = lcs->b.len;
    if (lcs->options.idx) {
        reply_map(reply, 2);
        reply_bulk(reply, BYTES("matches"));
        lcs->head = reply_deferred(reply);
        return true;
    }
    lcs->found = blob_try_create(lcs->len);
    if (!lcs->found) {
        reply_fail(reply, ERROR_MEMORY_REQUEST);
        return false;
    }
    lcs->found->len = lcs->len;
    return true;
}

static void end_back(struct lcs *lcs, struct reply *reply)
{
    if (!lcs->options.idx) {
        reply_bulk_blob(reply, lcs->found, blob_bytes(lcs->found));
        return;
    }
    end_range(lcs, reply);
    reply_deferred_end(reply, lcs->head, REPLY_ARRAY, lcs->range_count);
    reply_bulk(reply, BYTES("len"));
    reply_int(reply, (int64_t)lcs->len);
}

/* Works for about `budget` steps; true when it has answered. */
static bool lcs_advance(struct lcs *lcs, struct reply *reply, size_t budget)
{
    switch (lcs->stage) {
    case LCS_MASKS:
        build_masks(lcs, budget);
        return false;
    case LCS_ROWS:
        compute_rows(lcs, budget);
        if (lcs->stage == LCS_ROWS)
            return false;
        if (lcs->options.len) {
            reply_int(reply, (int64_t)lcs->len);
            return true;
        }
        return !begin_back(lcs, reply);
    default:
        go_back(lcs, reply, budget);
        if (lcs->stage == LCS_DONE)
            end_back(lcs, reply);
        return lcs->stage == LCS_DONE;
    }
}

static size_t lcs_cost(const struct lcs *lcs)
{
    return lcs->words * (lcs->rows.len + lcs->mask_count + WORD_BITS);
}

static void lcs_fini(struct lcs *lcs)
{
    mem_free(lcs->memory);
    blob_unref(lcs->found);
    blob_unref(lcs->blobs[0]);
    blob_unref(lcs->blobs[1]);
}

static bool step_lcs(struct task *task, struct call *call)
{
    return lcs_advance((struct lcs *)task, call->reply, LCS_SLICE);
}

static void destroy_lcs(struct task *task)
{
    struct lcs *lcs = (struct lcs *)task;
    lcs_fini(lcs);
    mem_free(lcs);
}

/* Decides which string has the rows and makes room; false, with nothing to free, when memory is out. */
static bool lcs_begin(struct lcs *lcs)
{
    lcs->swapped = lcs->a.len > lcs->b.len;
    lcs->rows = lcs->swapped ? lcs->b : lcs->a;
    lcs->cols = lcs->swapped ? lcs->a : lcs->b;
    lcs->words = (lcs->cols.len + WORD_BITS - 1) / WORD_BITS;
    for (size_t i = 0; i < lcs->rows.len; i++) {
        uint16_t *mask = &lcs->mask_of[(unsigned char)lcs->rows.ptr[i]];
        if (!*mask)
            *mask = (uint16_t)++lcs->mask_count;
    }
    size_t rows = lcs->mask_count + 1 + (lcs->options.len ? 0 : lcs->rows.len);
    lcs->memory = mem_try_alloc(rows * lcs->words * sizeof(uint64_t));
    if (!lcs->memory)
        return false;
    lcs->masks = lcs->memory;
    lcs->row = lcs->masks + lcs->mask_count * lcs->words;
    lcs->up = lcs->options.len ? NULL : lcs->row + lcs->words;
    return true;
}

/* Moves the computation, about to begin, to the heap, where it keeps both strings, and goes on as a task. */
static void lcs_defer(struct call *call, const struct lcs *begun, const struct entry *a, const struct entry *b)
{
    static const struct task_type type = { step_lcs, destroy_lcs };
    struct lcs *lcs = mem_dup(begun, sizeof *begun);
    lcs->task.type = &type;
    lcs->blobs[0] = string_blob(a) ? blob_ref(string_blob(a)) : blob_from_bytes(lcs->a);
    lcs->blobs[1] = string_blob(b) ? blob_ref(string_blob(b)) : blob_from_bytes(lcs->b);
    lcs->a = blob_bytes(lcs->blobs[0]);
    lcs->b = blob_bytes(lcs->blobs[1]);
    lcs->rows = lcs->swapped ? lcs->b : lcs->a;
    lcs->cols = lcs->swapped ? lcs->a : lcs->b;
    call_defer(call, &lcs->task);
}

/* --- The command --- */

static bool read_options(struct call *call, struct lcs_options *options)
{
    *options = (struct lcs_options){ 0 };
    for (uint32_t i = 3; i < call->argc; i++) {
        if (call_arg_is(call, i, "IDX")) {
            options->idx = true;
        } else if (call_arg_is(call, i, "LEN")) {
            options->len = true;
        } else if (call_arg_is(call, i, "WITHMATCHLEN")) {
            options->with_match_len = true;
        } else if (call_arg_is(call, i, "MINMATCHLEN") && i + 1 < call->argc) {
            if (!call_arg_i64(call, ++i, INT64_MIN, INT64_MAX, NULL, &options->min_match_len))
                return false;
        } else {
            reply_fail(call->reply, ERROR_SYNTAX);
            return false;
        }
    }
    if (!options->idx || !options->len)
        return true;
    reply_error(call->reply, BYTES("ERR If you want both the length and indexes, please just use IDX."));
    return false;
}

/* The limit that a matrix of 32-bit lengths would meet; ours is far smaller, but the answers shall be the same. */
static bool check_size(struct call *call, struct bytes a, struct bytes b)
{
    if (a.len >= UINT32_MAX - 1 || b.len >= UINT32_MAX - 1) {
        reply_error(call->reply, BYTES("ERR String too long for LCS"));
        return false;
    }
    uint64_t cells;
    if (!__builtin_mul_overflow(a.len + 1, b.len + 1, &cells) &&
        cells <= call->engine->settings->bulk_max / sizeof(uint32_t))
        return true;
    reply_error(call->reply, BYTES("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"));
    return false;
}

static void reply_nothing_common(struct call *call, const struct lcs_options *options)
{
    if (options->idx) {
        reply_map(call->reply, 2);
        reply_bulk(call->reply, BYTES("matches"));
        reply_array(call->reply, 0);
        reply_bulk(call->reply, BYTES("len"));
        reply_int(call->reply, 0);
    } else if (options->len) {
        reply_int(call->reply, 0);
    } else {
        reply_bulk(call->reply, BYTES(""));
    }
}

static void run_lcs(struct call *call)
{
    struct string_scratch scratch[2];
    struct lcs lcs = { 0 };
    /* The second look-up may remove what has expired, which ends the loan of the first one's entry. */
    call_read(call, 1);
    const struct entry *b = call_read(call, 2);
    const struct entry *a = keyspace_peek(call->keyspace, call->db, call_key(call, 1), call->now_ms);
    if ((a && a->type != ENTRY_STRING) || (b && b->type != ENTRY_STRING)) {
        reply_error(call->reply, BYTES("ERR The specified keys must contain string values"));
        return;
    }
    if (!read_options(call, &lcs.options))
        return;
    lcs.a = a ? string_view(a, &scratch[0]) : BYTES("");
    lcs.b = b ? string_view(b, &scratch[1]) : BYTES("");
    if (!check_size(call, lcs.a, lcs.b))
        return;
    if (lcs.a.len == 0 || lcs.b.len == 0) {
        reply_nothing_common(call, &lcs.options);
        return;
    }
    if (!lcs_begin(&lcs)) {
        reply_error(call->reply, BYTES("ERR Insufficient memory, failed allocating transient memory for LCS"));
        return;
    }
    if (lcs_cost(&lcs) > LCS_AT_ONCE) {
        lcs_defer(call, &lcs, a, b);
        return;
    }
    while (!lcs_advance(&lcs, call->reply, SIZE_MAX))
        ;
    lcs_fini(&lcs);
}

const struct command lcs_commands[] = {
    { .name = "LCS",
        .run = run_lcs,
        .argc = AT_LEAST(3),
        .flags = CMD_READ,
        .group = GROUP_STRING,
        .keys = { KEY_RANGE(1, 1, 1, KEY_READ_ACCESS) },
        .since = "7.0.0",
        .complexity = "O(N*M) where N and M are the lengths of the strings, 64 cells at a time.",
        .usage = "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
        .brief = "Finds the longest common subsequence of two strings." },
    { 0 },
};

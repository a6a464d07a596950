/*
 * Tests of the store against a naive model: random operations on a small world of keys, whose lengths and values cross
 * every border of the layout. The model is an array of cells; everything that the keyspace says (content, encoding,
 * expiry, statistics, what the observer hears) must agree with it. LARDER_TEST_SEED repeats a run.
 */
#include "fixture.h"

enum { DBS = 3, KEYS = 400, VALUE_MAX = 5000, HELD = 8, OPERATIONS = 600000 };

struct cell {
    bool present;
    bool edited; /* in place, since it was stored */
    int64_t at_ms;
    size_t len;
    char value[VALUE_MAX];
};

/* A reference to a blob, as a reply in flight has one, with what it must go on to say. */
struct held {
    struct blob *blob;
    size_t len;
    char copy[VALUE_MAX];
};

struct model {
    struct random random;
    struct keyspace *keyspace;
    int64_t now_ms;
    struct key keys[KEYS];
    struct cell *cells[DBS]; /* KEYS of them each */
    struct held held[HELD];
    uint64_t dirty, touched, expired, replaced; /* expected, but for what the observer hears of */
    uint64_t heard_touched, heard_expired, heard_replaced;
};

static size_t below(struct model *model, size_t bound)
{
    return (size_t)random_below(&model->random, bound);
}

static void make_keys(struct model *model)
{
    static const size_t lens[] = { 0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 63, 64, 65, 100, 254, 255, 256, 257,
        300 };
    enum { LENS = sizeof lens / sizeof *lens };
    for (int i = 0; i < KEYS; i++) {
        size_t len = lens[i % LENS] + (lens[i % LENS] < 4 && i >= LENS ? 20 : 0);
        char *text = malloc(len + 1);
        memset(text, 'k', len);
        if (len >= 4)
            memcpy(i / 2 % 2 ? text : text + len - 4, &i, 4);
        model->keys[i] = key_make(bytes_make(text, len));
    }
}

static struct cell *cell_of(struct model *model, const struct db *db, struct bytes key)
{
    for (int i = 0; i < KEYS; i++)
        if (bytes_equal(key_bytes(model->keys[i]), key))
            return &model->cells[db->index][i];
    cr_assert_fail("unknown key");
    return NULL;
}

static bool is_expired(const struct model *model, const struct cell *cell)
{
    return cell->present && cell->at_ms != EXPIRY_NONE && model->now_ms > cell->at_ms;
}

static void hear_expired(void *context, struct db *db, const struct entry *entry)
{
    struct model *model = context;
    struct cell *cell = cell_of(model, db, entry_key(entry));
    REQUIRE(is_expired(model, cell));
    cell->present = false;
    model->heard_expired++;
    model->touched++;
}

static void hear_touched(void *context, struct db *db, struct bytes key)
{
    struct model *model = context;
    cell_of(model, db, key);
    model->heard_touched++;
}

static void hear_replaced(void *context, struct db *db)
{
    struct model *model = context;
    (void)db;
    model->heard_replaced++;
}

static void check_cell(struct model *model, const struct cell *cell, const struct entry *entry)
{
    REQUIRE(!!entry == cell->present);
    if (!entry)
        return;
    REQUIRE(holds(entry, bytes_make(cell->value, cell->len)));
    REQUIRE(entry_expiry(entry) == cell->at_ms);
    int64_t value;
    bool integer = num_parse_i64(bytes_make(cell->value, cell->len), &value);
    const char *encoding = cell->edited ? "raw" : integer ? "int" : cell->len <= 44 ? "embstr" : "raw";
    REQUIRE(strcmp(entry_encoding_name(entry), encoding) == 0);
    int64_t stored;
    REQUIRE(string_to_i64(entry, &stored) == integer && (!integer || stored == value));
    (void)model;
}

/* A value of some length near a border, an integer now and then. */
static size_t make_value(struct model *model, char *out)
{
    static const size_t lens[] = { 0, 1, 7, 8, 20, 43, 44, 45, 64, 100, 500, 1023, 1024, 1025, 2000, 4096, 4999 };
    if (below(model, 3) == 0)
        return num_format_i64(out, (int64_t)random_next(&model->random) >> below(model, 64));
    size_t len = lens[below(model, sizeof lens / sizeof *lens)] + below(model, 2);
    memset(out, (int)('a' + below(model, 26)), len);
    return len;
}

static int64_t make_expiry(struct model *model)
{
    switch (below(model, 3)) {
    case 0:
        return EXPIRY_NONE;
    case 1:
        return EXPIRY_KEEP;
    default:
        return model->now_ms + (int64_t)below(model, 20000) - 200;
    }
}

static void do_store(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    static char value[VALUE_MAX];
    size_t len = make_value(model, value);
    int64_t at_ms = make_expiry(model), integer;
    int64_t kept = cell->present && !is_expired(model, cell) ? cell->at_ms : EXPIRY_NONE;
    struct bytes text = bytes_make(value, len);
    struct entry *entry;
    if (num_parse_i64(text, &integer) && below(model, 2))
        entry = keyspace_set_integer(model->keyspace, db, key, integer, at_ms, model->now_ms);
    else if (below(model, 2))
        entry = keyspace_set_string(model->keyspace, db, key, text, at_ms, model->now_ms);
    else
        entry = keyspace_set_string_take(model->keyspace, db, key, blob_from_bytes(text), at_ms, model->now_ms);
    cell->present = true;
    cell->edited = false;
    cell->at_ms = at_ms == EXPIRY_KEEP ? kept : at_ms;
    cell->len = len;
    memcpy(cell->value, value, len);
    model->dirty++;
    model->touched++;
    check_cell(model, cell, entry);
}

static void do_edit(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    struct entry *entry = keyspace_write(model->keyspace, db, key, model->now_ms);
    check_cell(model, cell, entry);
    size_t old_len = entry ? cell->len : 0;
    size_t len = below(model, 2) ? old_len + below(model, 100) : below(model, VALUE_MAX);
    len = len < VALUE_MAX ? len : VALUE_MAX;
    if (below(model, 4) == 0)
        mem_fail_nth(1 + below(model, 2));
    char *at = keyspace_edit_string(model->keyspace, db, key, entry, len);
    mem_fail_nth(0);
    if (!at)
        return;
    if (len > old_len)
        memset(cell->value + old_len, 0, len - old_len);
    REQUIRE(memcmp(at, cell->value, len) == 0);
    if (len) {
        size_t where = below(model, len);
        at[where] = cell->value[where] = (char)('A' + below(model, 26));
    }
    if (!entry)
        cell->at_ms = EXPIRY_NONE;
    cell->present = cell->edited = true;
    cell->len = len;
    model->dirty++;
    model->touched++;
}

static void do_expire(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    struct entry *entry = keyspace_write(model->keyspace, db, key, model->now_ms);
    check_cell(model, cell, entry);
    if (!entry)
        return;
    int64_t at_ms = make_expiry(model);
    cell->at_ms = at_ms == EXPIRY_KEEP ? EXPIRY_NONE : at_ms;
    entry = keyspace_set_expiry(model->keyspace, db, key, entry, cell->at_ms);
    model->dirty++;
    model->touched++;
    check_cell(model, cell, entry);
}

static void do_remove(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    REQUIRE(keyspace_remove(model->keyspace, db, key) == cell->present);
    model->dirty += cell->present;
    model->touched += cell->present;
    cell->present = false;
}

static void do_move_or_copy(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    struct db *to_db = model->keyspace->dbs[below(model, DBS)];
    size_t to = below(model, KEYS);
    struct cell *to_cell = &model->cells[to_db->index][to];
    if (to_cell == cell || !keyspace_peek(model->keyspace, db, key, model->now_ms))
        return;
    bool move = below(model, 2);
    if (move)
        keyspace_move(model->keyspace, db, key, to_db, model->keys[to]);
    else
        keyspace_copy(model->keyspace, db, key, to_db, model->keys[to]);
    *to_cell = *cell;
    cell->present = !move;
    model->dirty++;
    model->touched += move ? 2 : 1;
}

static void do_hold(struct model *model, struct db *db, struct key key, struct cell *cell)
{
    struct held *held = &model->held[below(model, HELD)];
    if (held->blob) {
        REQUIRE(bytes_equal(blob_bytes(held->blob), bytes_make(held->copy, held->len)));
        blob_unref(held->blob);
        held->blob = NULL;
    }
    struct entry *entry = keyspace_read(model->keyspace, db, key, model->now_ms);
    check_cell(model, cell, entry);
    if (entry && string_blob(entry)) {
        held->blob = blob_ref(string_blob(entry));
        held->len = cell->len;
        memcpy(held->copy, cell->value, cell->len);
    }
}

static void do_whole(struct model *model, struct db *db)
{
    struct db *other = model->keyspace->dbs[below(model, DBS)];
    if (below(model, 2)) {
        struct cell *cells = model->cells[db->index];
        model->cells[db->index] = model->cells[other->index];
        model->cells[other->index] = cells;
        keyspace_swap(model->keyspace, db, other);
        model->dirty++;
        model->replaced += 2;
        return;
    }
    size_t count = 0;
    for (int i = 0; i < KEYS; i++) {
        count += model->cells[db->index][i].present;
        model->cells[db->index][i].present = false;
    }
    REQUIRE(keyspace_flush(model->keyspace, db) == count);
    model->dirty += count;
    model->replaced++;
}

static void do_walk(struct model *model, struct db *db)
{
    size_t rounds = 0;
    keyspace_expire_step(model->keyspace, db, below(model, 40), model->now_ms, &rounds);
    reclaim_step(model->keyspace->reclaim, below(model, 200));
    struct entry *entry = keyspace_random(model->keyspace, db, &model->random, model->now_ms);
    if (entry)
        check_cell(model, cell_of(model, db, entry_key(entry)), entry);
}

static void check_all(struct model *model)
{
    REQUIRE(keyspace_check(model->keyspace, print_complaint, NULL) == 0);
    for (int i = 0; i < DBS; i++) {
        struct db *db = model->keyspace->dbs[i];
        size_t count = 0, expires = 0;
        for (int j = 0; j < KEYS; j++) {
            const struct cell *cell = &model->cells[i][j];
            count += cell->present;
            expires += cell->present && cell->at_ms != EXPIRY_NONE;
            check_cell(model, cell, keyspace_peek(model->keyspace, db, model->keys[j], INT64_MIN));
        }
        REQUIRE(keyspace_size(db) == count && db->expires == expires);
    }
    const struct keyspace_stats *stats = &model->keyspace->stats;
    REQUIRE(stats->dirty == model->dirty && stats->expired == model->heard_expired);
    REQUIRE(model->heard_touched == model->touched && model->heard_replaced == model->replaced);
}

static void operate(struct model *model)
{
    struct db *db = model->keyspace->dbs[below(model, DBS)];
    size_t i = below(model, KEYS);
    struct key key = model->keys[i];
    struct cell *cell = &model->cells[db->index][i];
    size_t choice = below(model, 1000);
    model->now_ms += (int64_t)below(model, 5);
    if (choice < 400)
        do_store(model, db, key, cell);
    else if (choice < 600)
        do_edit(model, db, key, cell);
    else if (choice < 700)
        do_expire(model, db, key, cell);
    else if (choice < 780)
        do_remove(model, db, key, cell);
    else if (choice < 880)
        do_move_or_copy(model, db, key, cell);
    else if (choice < 980)
        do_hold(model, db, key, cell);
    else if (choice < 998 || below(model, 20))
        do_walk(model, db);
    else
        do_whole(model, db);
}

Test(model, random_operations)
{
    mem_thread_register();
    hash_init_seeded(0x5eed);
    static struct model model;
    model.random = seed_random(__func__);
    model.now_ms = NOW;
    make_keys(&model);
    for (int i = 0; i < DBS; i++)
        model.cells[i] = calloc(KEYS, sizeof(struct cell));

    size_t used = mem_used();
    model.keyspace = keyspace_create(DBS);
    model.keyspace->observer = (struct keyspace_observer){
        .touched = hear_touched, .replaced = hear_replaced, .expired = hear_expired, .context = &model
    };
    model.keyspace->watched = 1;
    for (int i = 0; i < OPERATIONS; i++) {
        operate(&model);
        if (i % 1000 == 0)
            check_all(&model);
    }
    check_all(&model);
    for (int i = 0; i < HELD; i++)
        blob_unref(model.held[i].blob);
    keyspace_destroy(model.keyspace);
    REQUIRE(mem_used() == used);
    for (int i = 0; i < DBS; i++)
        free(model.cells[i]);
    for (int i = 0; i < KEYS; i++)
        free((char *)model.keys[i].ptr);
}

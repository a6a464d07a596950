/*
 * The keyspace's invariants, tested one by one; for the tests and for DEBUG commands.
 */
#include "base/mem.h"
#include "keyspace_priv.h"
#include "store/keyspace.h"
#include "value_priv.h"

struct check {
    const struct db *db;
    void (*complain)(void *context, const char *what);
    void *context;
    size_t broken;
    size_t expires, parts_expire;
};

static void expect(struct check *check, bool holds, const char *what)
{
    if (holds)
        return;
    check->broken++;
    check->complain(check->context, what);
}

static void check_slot(void *context, uint64_t *slot)
{
    struct check *check = context;
    const struct entry *entry = table_slot_item(slot);
    struct bytes name = entry_key(entry);
    struct key key = key_make(name);
    size_t size = entry_size(entry);

    expect(check, table_slot_marked(slot) == !!(entry->flags & (ENTRY_EXPIRES | ENTRY_PARTS)),
        "a mark differs from the entry's flags");
    expect(check, keyspace_find(check->db, &key) == slot, "a key is not found where it is");
    expect(check, !(entry->flags & ENTRY_WIDE_KEY) == (name.len <= ENTRY_NARROW_KEY_MAX), "a key is wide for nothing");
    expect(check, !(entry->flags & ENTRY_WIDE_KEY) || entry->key_len == 0, "a wide key has a narrow length");
    expect(check, mem_usable_size(entry) >= size, "an entry is larger than its allocation");
#ifdef LARDER_JEMALLOC
    expect(check, mem_usable_size(entry) == mem_good_size(size), "an entry is in the wrong class of the allocator");
#endif
    if (entry->type < ENTRY_TYPES && value_types[entry->type]) {
        const char *fault = value_types[entry->type]->check(entry);
        expect(check, !fault, fault);
    } else {
        expect(check, false, "an entry of unknown type");
    }
    check->expires += entry->flags & ENTRY_EXPIRES ? 1 : 0;
    check->parts_expire += entry->flags & ENTRY_PARTS ? 1 : 0;
}

size_t keyspace_check(const struct keyspace *keyspace, void (*complain)(void *context, const char *what), void *context)
{
    size_t broken = 0;
    for (int i = 0; i < keyspace->db_count; i++) {
        const struct db *db = keyspace->dbs[i];
        struct check check = { .db = db, .complain = complain, .context = context };
        uint64_t cursor = 0;
        broken += table_check(&db->table, complain, context);
        do {
            cursor = table_scan(&db->table, cursor, check_slot, &check);
        } while (cursor);
        expect(&check, check.expires == db->expires, "the number of entries that expire is wrong");
        expect(&check, check.parts_expire == db->parts_expire, "the number of entries with parts that expire is wrong");
        expect(&check, db->index == i, "a database is in the wrong place");
        broken += check.broken;
    }
    return broken;
}

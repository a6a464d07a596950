/*
 * Sets: three ways to keep one, how one becomes another, and every change.
 *
 *   SET_INTSET    integers only: one sorted array
 *   SET_LISTPACK  few and short members, in the order in which they came
 *   SET_TABLE     the rest
 *
 * A set begins as an intset or a listpack. What does not fit makes a listpack of a small intset, and a table of
 * anything else; that costs O(members), of which there are at most as many as the settings allow to be packed.
 * Walking and drawing at random: set_walk.c.
 */
#include "store/set.h"

#include "base/assert.h"
#include "base/fiber.h"
#include "ds/intset.h"
#include "ds/listpack.h"
#include "set_priv.h"
#include "store/settings.h"
#include "store/value.h"
#include "value_priv.h"

/* Of making large ones: members that room is made for between two breaths, and what things cost for them. */
enum { RESERVE_STEP = 10 * 1000, RESERVE_COST = 2000, MEMBER_COST = 20 };

/* --- Tables of members --- */

static uint64_t item_hash(const void *item)
{
    return set_hash(set_item_bytes(item));
}

static const struct table_type set_table_type = { .hash = item_hash };

static struct set_table *set_table_create(void)
{
    struct set_table *set = mem_alloc(sizeof *set);
    table_init(&set->table, &set_table_type);
    set->member_bytes = set->lost = 0;
    return set;
}

/* The member must be absent. False when memory is out. */
static bool set_table_put(struct set_table *set, struct bytes member, uint64_t hash)
{
    size_t size = set_item_size(member.len);
    unsigned char *item = mem_try_alloc(size), *at = item;
    if (!item)
        return false;
    if (member.len <= SET_SHORT_MAX) {
        *at++ = (unsigned char)member.len;
    } else {
        uint64_t len = member.len;
        *at = SET_LONG;
        memcpy(at + 1, &len, sizeof len);
        at += SET_LONG_HEADER;
    }
    if (member.len)
        memcpy(at, member.ptr, member.len);
    set->member_bytes += set_item_memory(item, size);
    table_insert(&set->table, hash, item);
    return true;
}

void set_item_free(struct set_table *set, void *item)
{
    size_t size = set_item_size(set_item_bytes(item).len);
    set->member_bytes -= set_item_memory(item, size);
    mem_free_sized(item, size);
}

void set_table_remove(struct set_table *set, uint64_t hash, uint64_t *slot)
{
    void *item = table_slot_item(slot);
    table_remove(&set->table, hash, slot);
    set_item_free(set, item);
}

/* Frees about `items` members, and the rest with the last; true while more is left. */
static bool set_table_drain(struct set_table *set, size_t items)
{
    void *item = NULL;
    while (items-- && (item = table_drain(&set->table)))
        set_item_free(set, item);
    if (table_count(&set->table))
        return true;
    table_fini(&set->table);
    mem_free(set);
    return false;
}

static struct set_table *set_table_copy(const struct set_table *from)
{
    struct set_table *copy = set_table_create();
    struct set_walk walk = set_walk_begin((struct set){ SET_TABLE, (void *)(uintptr_t)from });
    for (struct set_batch batch; set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count; i++) {
            struct bytes member = { batch.members[i].text, batch.members[i].len };
            bool put = set_table_put(copy, member, set_hash(member));
            ASSERT(put);
        }
    return copy;
}

/* --- As a value type --- */

struct set set_of(const struct entry *entry)
{
    if (!entry)
        return (struct set){ 0 };
    DASSERT(entry->type == ENTRY_SET);
    return (struct set){ entry->encoding, entry_pointer(entry) };
}

static const char *set_encoding_name(const struct entry *entry)
{
    static const char *const names[] = { "intset", "listpack", "hashtable" };
    return names[entry->encoding];
}

static size_t set_memory(const struct entry *entry)
{
    const struct set_table *set = entry_pointer(entry);
    if (entry->encoding == SET_INTSET)
        return intset_memory(entry_pointer(entry));
    if (entry->encoding == SET_LISTPACK)
        return listpack_memory(entry_pointer(entry));
    return mem_usable_size(set) + table_overhead_bytes(&set->table) + set->member_bytes;
}

enum { DRAINED_AT_ONCE = 64, DRAIN_COST = 200 }; /* the latter for fiber_breathe */

void set_destroy(struct set set)
{
    if (!set.value)
        return;
    if (set.encoding == SET_INTSET)
        intset_destroy(set.value);
    else if (set.encoding == SET_LISTPACK)
        listpack_destroy(set.value);
    else
        while (set_table_drain(set.value, DRAINED_AT_ONCE))
            fiber_breathe(DRAIN_COST);
}

static void set_destroy_entry(struct entry *entry)
{
    if (entry->encoding == SET_TABLE)
        set_table_drain(entry_pointer(entry), SIZE_MAX);
    else
        set_destroy(set_of(entry));
}

static void set_copy(struct entry *entry)
{
    void *copy;
    if (entry->encoding == SET_INTSET)
        copy = intset_copy(entry_pointer(entry));
    else if (entry->encoding == SET_LISTPACK)
        copy = listpack_copy(entry_pointer(entry));
    else
        copy = set_table_copy(entry_pointer(entry));
    ASSERT(copy);
    entry_set_pointer(entry, entry->encoding, copy);
}

static size_t set_weight(const struct entry *entry)
{
    const struct set_table *set = entry_pointer(entry);
    return entry->encoding == SET_TABLE ? table_count(&set->table) : 1;
}

static bool set_drain(struct entry *entry, size_t items)
{
    if (entry->encoding == SET_TABLE)
        return set_table_drain(entry_pointer(entry), items);
    set_destroy_entry(entry);
    return false;
}

static const char *listpack_check_set(const unsigned char *pack)
{
    if (!listpack_validate(pack, listpack_bytes(pack), NULL, NULL))
        return "a set's listpack is broken";
    for (uint32_t at = listpack_first(pack); at; at = listpack_next(pack, at)) {
        struct set_scratch scratch;
        struct bytes text = listpack_get_bytes(pack, at, scratch.digits);
        if (listpack_find(pack, listpack_after(pack, at), text, 0))
            return "a set has a member twice";
    }
    return NULL;
}

static void note_complaint(void *context, const char *what)
{
    *(const char **)context = what;
}

static const char *set_check_table(const struct set_table *set)
{
    const char *wrong = NULL;
    if (table_check(&set->table, note_complaint, &wrong))
        return wrong;
    size_t bytes = 0, marked = 0;
    struct set_walk walk = set_walk_begin((struct set){ SET_TABLE, (void *)(uintptr_t)set });
    uint64_t *slots[SET_BATCH];
    for (unsigned n; (n = set_walk_slots(&walk, slots)) > 0;)
        for (unsigned i = 0; i < n; i++) {
            const void *item = table_slot_item(slots[i]);
            bytes += set_item_memory(item, set_item_size(set_item_bytes(item).len));
            marked += table_slot_marked(slots[i]);
        }
    if (set->lost && set->lost != marked)
        return "a set is wrong about the members it has lost";
    return bytes == set->member_bytes ? NULL : "a set is wrong about the bytes of its members";
}

static const char *set_check(const struct entry *entry)
{
    const unsigned char *value = entry_pointer(entry);
    if (entry->value_len != sizeof value || !value || entry->encoding > SET_TABLE)
        return "a set's entry is broken";
    if (set_count(set_of(entry)) == 0)
        return "a set is empty";
    if (entry->encoding == SET_INTSET)
        return intset_validate(value, intset_bytes(value)) ? NULL : "an intset is broken";
    return entry->encoding == SET_LISTPACK ? listpack_check_set(value) : set_check_table(entry_pointer(entry));
}

const struct value_type set_value_type = {
    .encoding_name = set_encoding_name,
    .memory = set_memory,
    .destroy = set_destroy_entry,
    .copy = set_copy,
    .weight = set_weight,
    .drain = set_drain,
    .check = set_check,
};

/* --- Looking --- */

size_t set_count(struct set set)
{
    if (!set.value)
        return 0;
    if (set.encoding == SET_INTSET)
        return intset_count(set.value);
    if (set.encoding == SET_LISTPACK)
        return listpack_count(set.value);
    const struct set_table *table = set.value;
    return table_count(&table->table) - table->lost;
}

bool set_has(struct set set, struct bytes member)
{
    int64_t number;
    if (!set.value)
        return false;
    if (set.encoding == SET_INTSET)
        return num_parse_i64(member, &number) && intset_find(set.value, number, NULL);
    if (set.encoding == SET_LISTPACK)
        return listpack_find(set.value, LISTPACK_HEADER, member, 0) != 0;
    return set_table_find(set.value, member, set_hash(member)) != NULL;
}

/* --- Converting --- */

/* Moves the members to a listpack; false, with nothing changed, if they do not fit into one. */
static bool convert_to_listpack(struct set *set)
{
    const unsigned char *from = set->value;
    unsigned char *pack = listpack_create(0);
    for (uint32_t i = 0; i < intset_count(from); i++)
        if (!listpack_append_i64(&pack, intset_get(from, i))) {
            listpack_destroy(pack);
            return false;
        }
    intset_destroy(set->value);
    *set = (struct set){ SET_LISTPACK, pack };
    return true;
}

static void convert_to_table(struct set *set)
{
    struct set_table *table = set_table_create();
    struct set_walk walk = set_walk_begin(*set);
    for (struct set_batch batch; set_walk_next(&walk, &batch);)
        for (unsigned i = 0; i < batch.count; i++) {
            struct set_scratch scratch;
            struct bytes member = set_member_bytes(batch.members[i], &scratch);
            bool put = set_table_put(table, member, set_hash(member));
            ASSERT(put);
            fiber_breathe(MEMBER_COST);
        }
    set_destroy(*set);
    *set = (struct set){ SET_TABLE, table };
}

static bool intset_is_full(const unsigned char *intset, const struct store_settings *settings)
{
    return (int64_t)intset_count(intset) > settings->set_max_intset_entries;
}

/* True if a text may join the intset's numbers in a listpack. */
static bool fits_listpack(const unsigned char *intset, const struct store_settings *settings, size_t len)
{
    int64_t widest = (int64_t)len;
    if (intset_count(intset)) {
        struct set_scratch scratch;
        int64_t low = (int64_t)num_format_i64(scratch.digits, intset_min(intset));
        int64_t high = (int64_t)num_format_i64(scratch.digits, intset_max(intset));
        widest = low > widest ? low : widest;
        widest = high > widest ? high : widest;
    }
    return (int64_t)intset_count(intset) < settings->set_max_listpack_entries &&
           widest <= settings->set_max_listpack_value;
}

/* --- Adding and removing --- */

/*
 * One attempt to add. `edit`, which may be NULL, is told before anything is changed; a set of the wrong encoding is
 * converted, and SET_CONVERTED asks for another attempt.
 */
enum { SET_CONVERTED = -1 };

void set_edit_note(struct set_edit *edit)
{
    if (!edit || edit->changes++ > 0 || !edit->entry)
        return;
    /* A conversion may have moved the value; whoever is told may look at it. */
    entry_set_pointer(edit->entry, edit->set.encoding, edit->set.value);
    keyspace_edit(edit->keyspace, edit->db, edit->key, edit->entry);
}

static int add_to_intset(
    struct set *set, const struct store_settings *settings, struct set_edit *edit, struct set_member member)
{
    unsigned char *intset = set->value;
    int64_t number;
    if (!member.text) {
        number = member.number;
    } else if (!num_parse_i64((struct bytes){ member.text, member.len }, &number)) {
        if (!fits_listpack(intset, settings, member.len) || !convert_to_listpack(set))
            convert_to_table(set);
        return SET_CONVERTED;
    }
    if (intset_find(intset, number, NULL))
        return SET_PRESENT;
    set_edit_note(edit);
    enum intset_added added = intset_add(&intset, number);
    set->value = intset;
    if (added != INTSET_ADDED) {
        convert_to_table(set);
        return SET_CONVERTED;
    }
    if (intset_is_full(intset, settings))
        convert_to_table(set);
    return SET_ADDED;
}

/* A member that is not there. */
static int append_to_listpack(
    struct set *set, const struct store_settings *settings, struct set_edit *edit, struct bytes text)
{
    unsigned char *pack = set->value;
    bool fits = (int64_t)listpack_count(pack) < settings->set_max_listpack_entries &&
                (int64_t)text.len <= settings->set_max_listpack_value;
    if (fits) {
        set_edit_note(edit);
        fits = listpack_append(&pack, text) != 0;
        set->value = pack;
        if (fits)
            return SET_ADDED;
    }
    convert_to_table(set);
    return SET_CONVERTED;
}

static int add_to_listpack(
    struct set *set, const struct store_settings *settings, struct set_edit *edit, struct bytes text)
{
    return listpack_find(set->value, LISTPACK_HEADER, text, 0) ? SET_PRESENT
                                                               : append_to_listpack(set, settings, edit, text);
}

static int add_to_table(struct set_table *set, struct set_edit *edit, struct bytes text)
{
    uint64_t hash = set_hash(text);
    if (set_table_find(set, text, hash))
        return SET_PRESENT;
    set_edit_note(edit);
    return set_table_put(set, text, hash) ? SET_ADDED : SET_NO_MEMORY;
}

static enum set_added add(
    struct set *set, const struct store_settings *settings, struct set_edit *edit, struct set_member member)
{
    struct set_scratch scratch;
    size_t changes = edit ? edit->changes : 0;
    int added;
    do {
        if (set->encoding == SET_INTSET)
            added = add_to_intset(set, settings, edit, member);
        else if (set->encoding == SET_LISTPACK)
            added = add_to_listpack(set, settings, edit, set_member_bytes(member, &scratch));
        else
            added = add_to_table(set->value, edit, set_member_bytes(member, &scratch));
    } while (added == SET_CONVERTED);
    if (edit)
        edit->changes = changes + (added == SET_ADDED);
    return (enum set_added)added;
}

struct set set_create(void)
{
    return (struct set){ SET_INTSET, intset_create() };
}

enum set_added set_add(struct set *set, const struct store_settings *settings, struct set_member member)
{
    return add(set, settings, NULL, member);
}

/* --- Edits --- */

struct set_edit set_edit_begin(struct keyspace *keyspace, struct db *db, struct key key, struct entry *entry)
{
    return (struct set_edit){ keyspace, db, key, entry, set_of(entry), 0, NULL };
}

void set_edit_expect(struct set_edit *edit, struct bytes member, size_t count)
{
    const struct store_settings *settings = edit->keyspace->settings;
    struct set *set = &edit->set;
    int64_t number, expected = count < INT64_MAX ? (int64_t)count : INT64_MAX;
    bool fits_listpack = expected <= settings->set_max_listpack_entries;
    if (!set->value) {
        if (expected <= settings->set_max_intset_entries && num_parse_i64(member, &number))
            *set = set_create();
        else if (fits_listpack)
            *set = (struct set){ SET_LISTPACK, listpack_create(0) };
        else
            *set = (struct set){ SET_TABLE, set_table_create() };
    } else if ((set->encoding == SET_LISTPACK && !fits_listpack) ||
               (set->encoding == SET_INTSET && expected > settings->set_max_intset_entries)) {
        convert_to_table(set);
    }
}

enum set_added set_edit_add(struct set_edit *edit, struct bytes member)
{
    if (!edit->set.value)
        set_edit_expect(edit, member, 1);
    return add(&edit->set, edit->keyspace->settings, edit, set_member_from_bytes(member));
}

bool set_edit_remove(struct set_edit *edit, struct bytes member)
{
    struct set *set = &edit->set;
    if (!set->value)
        return false;
    if (set->encoding == SET_INTSET) {
        unsigned char *intset = set->value;
        int64_t number;
        if (!num_parse_i64(member, &number) || !intset_find(intset, number, NULL))
            return false;
        set_edit_note(edit);
        intset_remove(&intset, number);
        set->value = intset;
    } else if (set->encoding == SET_LISTPACK) {
        unsigned char *pack = set->value;
        uint32_t at = listpack_find(pack, LISTPACK_HEADER, member, 0);
        if (!at)
            return false;
        set_edit_note(edit);
        listpack_delete(&pack, at);
        set->value = pack;
    } else {
        uint64_t hash = set_hash(member), *slot = set_table_find(set->value, member, hash);
        if (!slot)
            return false;
        set_edit_note(edit);
        set_table_remove(set->value, hash, slot);
    }
    return true;
}

/*
 * The keyspace is told once, before the first change; that one call, like storing and removing below, counts as one of
 * the changes that there were.
 */
void set_edit_end(struct set_edit *edit, int64_t now_ms)
{
    struct keyspace *keyspace = edit->keyspace;
    uint64_t told = 0;
    if (!edit->entry) {
        if (set_count(edit->set) == 0) {
            set_destroy(edit->set);
            return;
        }
        keyspace_set_value(
            keyspace, edit->db, edit->key, ENTRY_SET, edit->set.encoding, edit->set.value, EXPIRY_NONE, now_ms);
        told = 1;
    } else {
        entry_set_pointer(edit->entry, edit->set.encoding, edit->set.value);
        told = edit->changes > 0;
        if (set_count(edit->set) == 0) {
            keyspace_remove(keyspace, edit->db, edit->key);
            told++;
        }
    }
    keyspace->stats.dirty += edit->changes - told;
}

/* --- Many at once --- */

enum set_added set_make_append(struct set *set, const struct store_settings *settings, struct bytes member)
{
    if (set->encoding == SET_LISTPACK && append_to_listpack(set, settings, NULL, member) == SET_ADDED)
        return SET_ADDED;
    return set_add(set, settings, set_member_from_bytes(member));
}

void set_make_reserve(struct set *set, size_t count)
{
    ASSERT(set_count(*set) == 0);
    struct set_table *made = set_table_create();
    set_destroy(*set);
    *set = (struct set){ SET_TABLE, made };
    for (size_t room = 0; room < count;) {
        room = count - room > RESERVE_STEP ? room + RESERVE_STEP : count;
        table_reserve(&made->table, room);
        fiber_breathe(RESERVE_COST);
    }
}

uint64_t set_make_ahead(const struct set *set, struct bytes member)
{
    uint64_t hash = set_hash(member);
    table_prefetch_bucket(&((const struct set_table *)set->value)->table, hash);
    return hash;
}

enum set_added set_make_add(struct set *set, struct bytes member, uint64_t hash)
{
    struct set_table *made = set->value;
    fiber_breathe(MEMBER_COST);
    if (set_table_find(made, member, hash))
        return SET_PRESENT;
    return set_table_put(made, member, hash) ? SET_ADDED : SET_NO_MEMORY;
}

void set_make_end(struct set *set)
{
    table_unreserve(&((struct set_table *)set->value)->table);
}

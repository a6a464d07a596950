/*
 * The language of rules: one word changes one thing of a user, and a user can be described in words that make an equal
 * one.
 *
 * What a selector allows is a bitmap of command IDs; the words that made it are kept beside it, because a category may
 * have more members tomorrow. A word takes the place of an earlier one of the same name, and "+config" that of
 * "-config|get". Whether a list has a text already is asked of an index once the list is long.
 */
#include <openssl/sha.h>
#include <string.h>

#include "acl_priv.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "engine/registry.h"

static const char *const bad_syntax = "Syntax error";
static const char *const bad_command = "Unknown command or category name in ACL";
static const char *const bad_first_arg = "Allowing first-arg of a subcommand is not supported";
static const char *const bad_hash =
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters";
static const char *const bad_removal = "The password you are trying to remove from the user does not exist";
static const char *const bad_key_after_all =
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try "
    "'resetkeys' to start with an empty list of patterns";
static const char *const bad_channel_after_all =
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try "
    "'resetchannels' to start with an empty list of channels";

void acl_digest(struct bytes password, unsigned char out[ACL_DIGEST])
{
    SHA256((const unsigned char *)(password.len ? password.ptr : ""), password.len, out);
}

/* Room for one more item in an array that grows by doubling at powers of two. */
static void *grow(void *items, size_t count, size_t size)
{
    bool full = (count & (count - 1)) == 0;
    return full ? mem_realloc(items, (count ? count * 2 : 1) * size) : items;
}

enum {
    INDEX_FROM = 32, /* items of a list that are looked through without one */
    /* In tens of nanoseconds, for fiber_breathe: */
    ITEM_COST = 3,
    RULE_COST = 10,
    CATEGORY_COST = 800,
};

/* Where the text is among the items of a list, or SIZE_MAX. `add` adds an item to the list's index. */
static size_t find_item(struct acl_index *index, const void *list, size_t count, struct bytes text, uint32_t number,
    bool (*is)(const void *list, size_t at, struct bytes text, uint32_t number),
    void (*add)(struct acl_index *index, const void *list, size_t at))
{
    if (count >= INDEX_FROM) {
        while (index->count < count)
            add(index, list, index->count);
        return acl_index_find(index, text, number, is, list);
    }
    for (size_t i = 0; i < count; i++)
        if (is(list, i, text, number))
            return i;
    return SIZE_MAX;
}

static bool is_text(const char *item, struct bytes text)
{
    return bytes_equal(bytes_from_cstr(item), text);
}

/* --- Selectors --- */

static void clear_keys(struct acl_selector *selector)
{
    acl_index_drop(&selector->key_index);
    for (size_t i = 0; i < selector->key_count; i++) {
        fiber_breathe(ITEM_COST);
        mem_free(selector->keys[i].text);
    }
    mem_free(selector->keys);
    selector->keys = NULL;
    selector->key_count = 0;
}

static void clear_channels(struct acl_selector *selector)
{
    acl_index_drop(&selector->channel_index);
    for (size_t i = 0; i < selector->channel_count; i++) {
        fiber_breathe(ITEM_COST);
        mem_free(selector->channels[i]);
    }
    mem_free(selector->channels);
    selector->channels = NULL;
    selector->channel_count = 0;
}

/* Forgets the first arguments of one command, or of all (UINT32_MAX). */
static void clear_first_args(struct acl_selector *selector, uint32_t command)
{
    size_t kept = 0;
    for (size_t i = 0; i < selector->first_arg_count; i++) {
        fiber_breathe(ITEM_COST);
        if (command == UINT32_MAX || selector->first_args[i].command == command)
            mem_free(selector->first_args[i].text);
        else
            selector->first_args[kept++] = selector->first_args[i];
    }
    if (kept < selector->first_arg_count) { /* the array's size follows from the count */
        acl_index_drop(&selector->first_arg_index);
        struct acl_first_arg *rest = NULL;
        for (size_t i = 0; i < kept; i++) {
            rest = grow(rest, i, sizeof *rest);
            rest[i] = selector->first_args[i];
        }
        mem_free(selector->first_args);
        selector->first_args = rest;
    }
    selector->first_arg_count = kept;
}

static void clear_rules(struct acl_selector *selector)
{
    acl_index_drop(&selector->rule_index);
    for (size_t i = 0; i < selector->rule_count; i++) {
        fiber_breathe(ITEM_COST);
        mem_free(selector->rules[i].name);
    }
    mem_free(selector->rules);
    selector->rules = NULL;
    selector->rule_count = 0;
}

static void set_all_commands(struct acl_selector *selector, bool allow)
{
    clear_rules(selector);
    clear_first_args(selector, UINT32_MAX);
    mem_free(selector->commands);
    selector->commands = NULL;
    selector->all_commands = selector->base_all = allow;
}

static void selector_fini(struct acl_selector *selector)
{
    set_all_commands(selector, false);
    clear_keys(selector);
    clear_channels(selector);
}

static void clear_selectors(struct acl_user *user)
{
    struct acl_selector *next;
    for (struct acl_selector *selector = user->root.next; selector; selector = next) {
        next = selector->next;
        selector_fini(selector);
        mem_free(selector);
        fiber_breathe(RULE_COST);
    }
    user->root.next = user->last_selector = NULL;
}

static size_t bitmap_words(const struct acl *acl)
{
    return (command_registry_ids(acl->registry) + 63) / 64;
}

/* A moment's pause in the midst of a copy; false if what is copied may not be there any more. */
static bool copy_breathe(const struct acl *acl, uint64_t version)
{
    fiber_breathe(ITEM_COST);
    return acl->version == version;
}

/* False if a user was changed meanwhile; `to` is to be freed in any case. */
static bool selector_copy(const struct acl *acl, struct acl_selector *to, const struct acl_selector *from)
{
    uint64_t version = acl->version;
    bool fine = true;
    *to = (struct acl_selector){ .all_keys = from->all_keys,
        .all_channels = from->all_channels,
        .all_commands = from->all_commands,
        .base_all = from->base_all };
    to->commands = from->commands ? mem_dup(from->commands, bitmap_words(acl) * sizeof *from->commands) : NULL;
    for (size_t i = 0; fine && i < from->key_count; fine = copy_breathe(acl, version)) {
        to->keys = grow(to->keys, i, sizeof *to->keys);
        to->keys[i] = (struct acl_pattern){ from->keys[i].access, mem_strdup(from->keys[i].text) };
        to->key_count = ++i;
    }
    for (size_t i = 0; fine && i < from->channel_count; fine = copy_breathe(acl, version)) {
        to->channels = grow(to->channels, i, sizeof *to->channels);
        to->channels[i] = mem_strdup(from->channels[i]);
        to->channel_count = ++i;
    }
    for (size_t i = 0; fine && i < from->first_arg_count; fine = copy_breathe(acl, version)) {
        to->first_args = grow(to->first_args, i, sizeof *to->first_args);
        to->first_args[i] = (struct acl_first_arg){ from->first_args[i].command, mem_strdup(from->first_args[i].text) };
        to->first_arg_count = ++i;
    }
    for (size_t i = 0; fine && i < from->rule_count; fine = copy_breathe(acl, version)) {
        to->rules = grow(to->rules, i, sizeof *to->rules);
        to->rules[i] = (struct acl_rule){ from->rules[i].allow, mem_strdup(from->rules[i].name) };
        to->rule_count = ++i;
    }
    return fine;
}

static void append_selector(struct acl_user *user, struct acl_selector *selector)
{
    *(user->last_selector ? &user->last_selector->next : &user->root.next) = selector;
    user->last_selector = selector;
}

/* --- Users --- */

struct acl_user *acl_user_create(const struct acl *acl, struct bytes name)
{
    struct acl_user *user = mem_zalloc(sizeof *user);
    user->name = bytes_dup_cstr(name);
    user->flags = ACL_SANITIZE; /* which describes every user that was not told otherwise, since 7.2 */
    user->root.all_channels = acl->new_users_all_channels;
    return user;
}

struct acl_user *acl_user_copy(const struct acl *acl, const struct acl_user *user)
{
    uint64_t version = acl->version;
    struct acl_user *copy = mem_zalloc(sizeof *copy);
    copy->name = mem_strdup(user->name);
    copy->flags = user->flags;
    for (size_t i = 0; i < user->password_count; i++) {
        copy->passwords = grow(copy->passwords, i, sizeof *copy->passwords);
        memcpy(copy->passwords[i], user->passwords[i], ACL_DIGEST);
    }
    copy->password_count = user->password_count;
    bool fine = selector_copy(acl, &copy->root, &user->root);
    for (const struct acl_selector *from = fine ? user->root.next : NULL; fine && from; from = from->next) {
        append_selector(copy, mem_zalloc(sizeof *from));
        fine = selector_copy(acl, copy->last_selector, from) && copy_breathe(acl, version);
        if (!fine)
            break;
    }
    if (fine)
        return copy;
    acl_user_destroy(copy);
    return NULL;
}

static void selector_finish(struct acl_selector *selector)
{
    acl_index_drop(&selector->key_index);
    acl_index_drop(&selector->channel_index);
    acl_index_drop(&selector->first_arg_index);
    acl_index_drop(&selector->rule_index);
}

void acl_user_finish(struct acl_user *user)
{
    acl_index_drop(&user->password_index);
    selector_finish(&user->root); /* others were made whole */
}

void acl_user_destroy(struct acl_user *user)
{
    if (!user)
        return;
    clear_selectors(user);
    selector_fini(&user->root);
    acl_index_drop(&user->password_index);
    mem_free(user->passwords);
    mem_free(user->name);
    mem_free(user);
}

/* --- Commands --- */

static void set_bit(const struct acl *acl, struct acl_selector *selector, uint32_t id, bool allow)
{
    if (!selector->commands) {
        if (selector->all_commands == allow)
            return;
        size_t size = bitmap_words(acl) * sizeof *selector->commands;
        selector->commands = mem_alloc(size);
        memset(selector->commands, selector->all_commands ? 0xff : 0, size);
    }
    uint64_t bit = UINT64_C(1) << (id % 64);
    if (allow) {
        selector->commands[id / 64] |= bit;
    } else {
        selector->commands[id / 64] &= ~bit;
        selector->all_commands = false;
    }
}

/* The command and all its subcommands. */
static void set_command(
    const struct acl *acl, struct acl_selector *selector, const struct command_info *command, bool allow)
{
    set_bit(acl, selector, command->id, allow);
    clear_first_args(selector, command->id);
    for (uint32_t i = 0; i < command->sub_count; i++)
        set_bit(acl, selector, command->subs[i].id, allow);
}

static void set_category(const struct acl *acl, struct acl_selector *selector, uint32_t category, bool allow)
{
    struct command_info *command;
    for (size_t i = 0; (command = command_at(acl->registry, i)); i++) {
        if (command_categories(command->row) & category) {
            set_bit(acl, selector, command->id, allow);
            clear_first_args(selector, command->id);
        }
        for (uint32_t j = 0; j < command->sub_count; j++)
            if (command_categories(command->subs[j].row) & category)
                set_bit(acl, selector, command->subs[j].id, allow);
    }
}

static bool is_rule(const void *list, size_t at, struct bytes text, uint32_t number)
{
    (void)number;
    return is_text(((const struct acl_rule *)list)[at].name, text);
}

static void add_rule_to_index(struct acl_index *index, const void *list, size_t at)
{
    acl_index_add(index, bytes_from_cstr(((const struct acl_rule *)list)[at].name), 0);
}

/* Notes the rule, in the place of those that it makes meaningless. `name` is taken over. */
static void add_rule(struct acl_selector *selector, bool allow, char *name)
{
    size_t len = strlen(name), count = selector->rule_count;
    struct acl_rule *old = selector->rules, *rules = NULL;
    size_t kept = 0;
    acl_index_drop(&selector->rule_index);
    for (size_t i = 0; i < count; i++) {
        fiber_breathe(ITEM_COST);
        const char *other = old[i].name;
        if (strncmp(other, name, len) == 0 && (other[len] == '\0' || other[len] == '|')) {
            mem_free(old[i].name);
            continue;
        }
        rules = grow(rules, kept, sizeof *rules);
        rules[kept++] = old[i];
    }
    mem_free(old);
    rules = grow(rules, kept, sizeof *rules);
    rules[kept] = (struct acl_rule){ allow, name };
    selector->rules = rules;
    selector->rule_count = kept + 1;
}

static char *lower_cstr(struct bytes text)
{
    char *copy = bytes_dup_cstr(text);
    for (char *at = copy; *at; at++)
        *at = ascii_lower(*at);
    return copy;
}

static const char *apply_category(const struct acl *acl, struct acl_selector *selector, struct bytes name, bool allow)
{
    if (bytes_is(name, "@all")) {
        set_all_commands(selector, allow);
        return NULL;
    }
    uint32_t category = command_category_named(bytes_make(name.ptr + 1, name.len - 1));
    if (!category)
        return bad_command;
    set_category(acl, selector, category, allow);
    fiber_breathe(CATEGORY_COST);
    add_rule(selector, allow, lower_cstr(name));
    return NULL;
}

static bool is_first_arg(const void *list, size_t at, struct bytes text, uint32_t number)
{
    const struct acl_first_arg *arg = &((const struct acl_first_arg *)list)[at];
    return arg->command == number && is_text(arg->text, text);
}

static void add_first_arg_to_index(struct acl_index *index, const void *list, size_t at)
{
    const struct acl_first_arg *arg = &((const struct acl_first_arg *)list)[at];
    acl_index_add(index, bytes_from_cstr(arg->text), arg->command);
}

/* The rule of a first argument, below which there is none. */
static void add_first_arg_rule(struct acl_selector *selector, char *name)
{
    size_t count = selector->rule_count;
    if (find_item(&selector->rule_index, selector->rules, count, bytes_from_cstr(name), 0, is_rule,
            add_rule_to_index) != SIZE_MAX) {
        add_rule(selector, true, name);
        return;
    }
    selector->rules = grow(selector->rules, count, sizeof *selector->rules);
    selector->rules[selector->rule_count++] = (struct acl_rule){ true, name };
}

static const char *apply_first_arg(
    struct acl_selector *selector, const struct command_info *command, struct bytes word, char *name)
{
    size_t count = selector->first_arg_count;
    char *text = lower_cstr(word);
    if (find_item(&selector->first_arg_index, selector->first_args, count, bytes_from_cstr(text), command->id,
            is_first_arg, add_first_arg_to_index) == SIZE_MAX) {
        selector->first_args = grow(selector->first_args, count, sizeof *selector->first_args);
        selector->first_args[selector->first_arg_count++] = (struct acl_first_arg){ command->id, text };
    } else {
        mem_free(text);
    }
    add_first_arg_rule(selector, name);
    return NULL;
}

/*
 * True for commands of other servers that this one does not have. Rules that were written for one of those name them;
 * to allow or to forbid them means nothing here, but must not keep anybody from using the other rules.
 */
static bool is_foreign(struct bytes name)
{
    static const char *const names[] = { "eval", "eval_ro", "evalsha", "evalsha_ro", "fcall", "fcall_ro", "psync",
        "replconf", "sync" };
    static const char *const subs[] = { "function|dump", "function|load", "function|restore", "module|load",
        "module|loadex", "module|unload", "script|debug", "script|load" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (bytes_is(name, names[i]))
            return true;
    for (size_t i = 0; i < sizeof subs / sizeof *subs; i++)
        if (bytes_is(name, subs[i]))
            return true;
    return name.len > 8 && bytes_is(bytes_make(name.ptr, 8), "cluster|");
}

/* "get", "config|get", "select|0". */
static const char *apply_known_command(
    const struct acl *acl, struct acl_selector *selector, struct bytes name, bool allow)
{
    const char *bar = name.len ? memchr(name.ptr, '|', name.len) : NULL;
    struct bytes word = bytes_make(name.ptr, bar ? (size_t)(bar - name.ptr) : name.len);
    const struct command_info *command = command_find(acl->registry, word);
    if (!command)
        return bad_command;
    if (!bar) {
        set_command(acl, selector, command, allow);
        add_rule(selector, allow, lower_cstr(name));
        return NULL;
    }
    struct bytes sub_name = bytes_make(bar + 1, name.len - word.len - 1);
    const char *second_bar = allow && sub_name.len ? memchr(sub_name.ptr, '|', sub_name.len) : NULL;
    if (second_bar) {
        struct bytes second = bytes_make(sub_name.ptr, (size_t)(second_bar - sub_name.ptr));
        return command_find_sub(command, second) ? bad_first_arg : bad_command;
    }
    const struct command_info *sub = command_find_sub(command, sub_name);
    if (sub) {
        set_bit(acl, selector, sub->id, allow);
        add_rule(selector, allow, lower_cstr(name));
        return NULL;
    }
    if (!allow || command->subs)
        return bad_command;
    if (!sub_name.len)
        return bad_syntax;
    return apply_first_arg(selector, command, sub_name, lower_cstr(name));
}

static const char *apply_command(const struct acl *acl, struct acl_selector *selector, struct bytes name, bool allow)
{
    const char *error = apply_known_command(acl, selector, name, allow);
    if (error != bad_command || !is_foreign(name))
        return error;
    add_rule(selector, allow, lower_cstr(name));
    return NULL;
}

/* --- Keys and channels --- */

static bool has_space_or_zero(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\0' || (text.ptr[i] >= '\t' && text.ptr[i] <= '\r') || text.ptr[i] == ' ')
            return true;
    return false;
}

static bool is_key(const void *list, size_t at, struct bytes text, uint32_t number)
{
    (void)number;
    return is_text(((const struct acl_pattern *)list)[at].text, text);
}

static void add_key_to_index(struct acl_index *index, const void *list, size_t at)
{
    acl_index_add(index, bytes_from_cstr(((const struct acl_pattern *)list)[at].text), 0);
}

static const char *apply_keys(struct acl_selector *selector, uint32_t access, struct bytes pattern)
{
    if (has_space_or_zero(pattern))
        return bad_syntax;
    if (bytes_equal(pattern, BYTES("*")) && access == (ACL_READ | ACL_WRITE)) {
        clear_keys(selector);
        selector->all_keys = true;
        return NULL;
    }
    if (selector->all_keys)
        return bad_key_after_all;
    size_t at =
        find_item(&selector->key_index, selector->keys, selector->key_count, pattern, 0, is_key, add_key_to_index);
    if (at != SIZE_MAX) {
        selector->keys[at].access |= access;
        return NULL;
    }
    selector->keys = grow(selector->keys, selector->key_count, sizeof *selector->keys);
    selector->keys[selector->key_count++] = (struct acl_pattern){ access, bytes_dup_cstr(pattern) };
    return NULL;
}

/* What follows '%': letters, '~', pattern. */
static const char *apply_limited_keys(struct acl_selector *selector, struct bytes rule)
{
    uint32_t access = 0;
    for (size_t i = 1; i < rule.len; i++) {
        char letter = ascii_upper(rule.ptr[i]);
        if (letter == 'R' && !(access & ACL_READ))
            access |= ACL_READ;
        else if (letter == 'W' && !(access & ACL_WRITE))
            access |= ACL_WRITE;
        else if (letter == '~' && access)
            return apply_keys(selector, access, bytes_make(rule.ptr + i + 1, rule.len - i - 1));
        else
            return bad_syntax;
    }
    return access ? apply_keys(selector, access, BYTES("")) : bad_syntax; /* "%R" is "%R~" */
}

static bool is_channel(const void *list, size_t at, struct bytes text, uint32_t number)
{
    (void)number;
    return is_text(((char *const *)list)[at], text);
}

static void add_channel_to_index(struct acl_index *index, const void *list, size_t at)
{
    acl_index_add(index, bytes_from_cstr(((char *const *)list)[at]), 0);
}

static const char *apply_channel(struct acl_selector *selector, struct bytes pattern)
{
    if (has_space_or_zero(pattern))
        return bad_syntax;
    if (bytes_equal(pattern, BYTES("*"))) {
        clear_channels(selector);
        selector->all_channels = true;
        return NULL;
    }
    if (selector->all_channels)
        return bad_channel_after_all;
    if (find_item(&selector->channel_index, selector->channels, selector->channel_count, pattern, 0, is_channel,
            add_channel_to_index) != SIZE_MAX)
        return NULL;
    selector->channels = grow(selector->channels, selector->channel_count, sizeof *selector->channels);
    selector->channels[selector->channel_count++] = bytes_dup_cstr(pattern);
    return NULL;
}

/* A rule about what may be done. */
static const char *selector_apply(const struct acl *acl, struct acl_selector *selector, struct bytes rule)
{
    struct bytes rest = bytes_make(rule.ptr + 1, rule.len ? rule.len - 1 : 0);
    if (bytes_is(rule, "allkeys")) {
        clear_keys(selector);
        selector->all_keys = true;
    } else if (bytes_is(rule, "resetkeys")) {
        clear_keys(selector);
        selector->all_keys = false;
    } else if (bytes_is(rule, "allchannels")) {
        clear_channels(selector);
        selector->all_channels = true;
    } else if (bytes_is(rule, "resetchannels")) {
        clear_channels(selector);
        selector->all_channels = false;
    } else if (bytes_is(rule, "allcommands")) {
        set_all_commands(selector, true);
    } else if (bytes_is(rule, "nocommands")) {
        set_all_commands(selector, false);
    } else if (rule.len && rule.ptr[0] == '~') {
        return apply_keys(selector, ACL_READ | ACL_WRITE, rest);
    } else if (rule.len && rule.ptr[0] == '%') {
        return apply_limited_keys(selector, rule);
    } else if (rule.len && rule.ptr[0] == '&') {
        return apply_channel(selector, rest);
    } else if (rule.len == 1 && (rule.ptr[0] == '+' || rule.ptr[0] == '-')) {
        return bad_command;
    } else if (rule.len > 1 && (rule.ptr[0] == '+' || rule.ptr[0] == '-')) {
        bool allow = rule.ptr[0] == '+';
        return rest.ptr[0] == '@' ? apply_category(acl, selector, rest, allow)
                                  : apply_command(acl, selector, rest, allow);
    } else {
        return bad_syntax;
    }
    return NULL;
}

/* --- Passwords --- */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hash(struct bytes hex, unsigned char out[ACL_DIGEST])
{
    if (hex.len != 2 * (size_t)ACL_DIGEST)
        return false;
    for (size_t i = 0; i < ACL_DIGEST; i++) {
        int high = hex_value(hex.ptr[2 * i]), low = hex_value(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high * 16 + low);
    }
    return true;
}

static bool is_password(const void *list, size_t at, struct bytes text, uint32_t number)
{
    (void)number;
    return memcmp(((const unsigned char(*)[ACL_DIGEST])list)[at], text.ptr, ACL_DIGEST) == 0;
}

static void add_password_to_index(struct acl_index *index, const void *list, size_t at)
{
    acl_index_add(index, bytes_make((const char *)((const unsigned char(*)[ACL_DIGEST])list)[at], ACL_DIGEST), 0);
}

/* Its place, or the number of passwords. */
static size_t find_password(struct acl_user *user, const unsigned char digest[ACL_DIGEST])
{
    size_t at = find_item(&user->password_index, user->passwords, user->password_count,
        bytes_make((const char *)digest, ACL_DIGEST), 0, is_password, add_password_to_index);
    return at == SIZE_MAX ? user->password_count : at;
}

static void clear_passwords(struct acl_user *user)
{
    acl_index_drop(&user->password_index);
    mem_free(user->passwords);
    user->passwords = NULL;
    user->password_count = 0;
}

/* >password #hash <password !hash */
static const char *apply_password(struct acl_user *user, struct bytes rule)
{
    unsigned char digest[ACL_DIGEST];
    struct bytes rest = bytes_make(rule.ptr + 1, rule.len - 1);
    if (rule.ptr[0] == '>' || rule.ptr[0] == '<')
        acl_digest(rest, digest);
    else if (!read_hash(rest, digest))
        return bad_hash;
    size_t at = find_password(user, digest);
    if (rule.ptr[0] == '>' || rule.ptr[0] == '#') {
        if (at == user->password_count) {
            user->passwords = grow(user->passwords, user->password_count, sizeof *user->passwords);
            memcpy(user->passwords[user->password_count++], digest, ACL_DIGEST);
        }
        user->flags &= ~(uint32_t)ACL_NO_PASS;
        return NULL;
    }
    if (at == user->password_count)
        return bad_removal;
    size_t left = user->password_count - 1;
    unsigned char(*rest_of_them)[ACL_DIGEST] = NULL;
    for (size_t i = 0; i < left; i++) {
        fiber_breathe(1);
        rest_of_them = grow(rest_of_them, i, sizeof *rest_of_them);
        memcpy(rest_of_them[i], user->passwords[i < at ? i : i + 1], ACL_DIGEST);
    }
    clear_passwords(user);
    user->passwords = rest_of_them;
    user->password_count = left;
    return NULL;
}

/* --- Users' rules --- */

static const char *apply_selector(const struct acl *acl, struct acl_user *user, struct bytes rule)
{
    struct acl_selector *selector = mem_zalloc(sizeof *selector);
    selector->all_channels = acl->new_users_all_channels;
    const char *error = rule.ptr[rule.len - 1] == ')' ? NULL : bad_syntax;
    size_t end = rule.len - 1;
    for (size_t at = 1; at < end && !error;) {
        while (at < end && rule.ptr[at] == ' ')
            at++;
        size_t start = at;
        while (at < end && rule.ptr[at] != ' ')
            at++;
        fiber_breathe(RULE_COST);
        if (at > start)
            error = selector_apply(acl, selector, bytes_make(rule.ptr + start, at - start));
    }
    if (error) {
        selector_fini(selector);
        mem_free(selector);
        return error;
    }
    selector_finish(selector);
    append_selector(user, selector);
    return NULL;
}

static void reset(const struct acl *acl, struct acl_user *user)
{
    clear_passwords(user);
    clear_selectors(user);
    selector_fini(&user->root);
    user->flags = ACL_SANITIZE;
    user->root = (struct acl_selector){ .all_channels = acl->new_users_all_channels };
}

const char *acl_user_apply(const struct acl *acl, struct acl_user *user, struct bytes rule)
{
    fiber_breathe(RULE_COST);
    if (rule.len == 0)
        return NULL;
    if (strchr("><#!", rule.ptr[0]) && rule.ptr[0])
        return apply_password(user, rule);
    if (rule.ptr[0] == '(')
        return apply_selector(acl, user, rule);
    if (bytes_is(rule, "on"))
        user->flags |= ACL_ON;
    else if (bytes_is(rule, "off"))
        user->flags &= ~(uint32_t)ACL_ON;
    else if (bytes_is(rule, "nopass")) {
        clear_passwords(user);
        user->flags |= ACL_NO_PASS;
    } else if (bytes_is(rule, "resetpass")) {
        clear_passwords(user);
        user->flags &= ~(uint32_t)ACL_NO_PASS;
    } else if (bytes_is(rule, "skip-sanitize-payload"))
        user->flags = (user->flags & ~(uint32_t)ACL_SANITIZE) | ACL_SKIP_SANITIZE;
    else if (bytes_is(rule, "sanitize-payload"))
        user->flags = (user->flags & ~(uint32_t)ACL_SKIP_SANITIZE) | ACL_SANITIZE;
    else if (bytes_is(rule, "clearselectors"))
        clear_selectors(user);
    else if (bytes_is(rule, "reset"))
        reset(acl, user);
    else
        return selector_apply(acl, &user->root, rule);
    return NULL;
}

int acl_join_selectors(const struct bytes *words, size_t count, struct bytes *out, struct buf *text, struct bytes *bad)
{
    size_t used = 0, room = 0;
    for (size_t i = 0; i < count; i++)
        room += words[i].len + 1;
    buf_extend(text, room + 1); /* so that what was appended stays where it is */
    buf_clear(text);
    for (size_t i = 0; i < count; i++) {
        out[used] = words[i];
        if (words[i].len && words[i].ptr[0] == '(' && words[i].ptr[words[i].len - 1] != ')') {
            size_t start = text->len, first = i;
            buf_append(text, words[i]);
            do {
                if (++i == count) {
                    *bad = words[first];
                    return -1;
                }
                buf_append_char(text, ' ');
                buf_append(text, words[i]);
            } while (!words[i].len || words[i].ptr[words[i].len - 1] != ')');
            out[used] = bytes_make(text->ptr + start, text->len - start);
        }
        used++;
    }
    return (int)used;
}

static size_t selector_items(const struct acl_selector *selector)
{
    return 1 + selector->key_count + selector->channel_count + selector->first_arg_count + selector->rule_count;
}

bool acl_user_is_large(const struct acl_user *user)
{
    enum { LARGE = 300 };
    size_t items = user->password_count;
    for (const struct acl_selector *at = &user->root; at && items <= LARGE; at = at->next)
        items += selector_items(at);
    return items > LARGE;
}

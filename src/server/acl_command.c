/*
 * ACL: users and what they may do, shown and changed. What the rules mean is in engine/acl.h; where they are kept over
 * a restart is in acl_file.c.
 */
#include "engine/acl.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "base/random.h"
#include "engine/aside.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"
#include "server_priv.h"

static struct acl *acl_of(const struct call *call)
{
    return call->engine->acl;
}

/* --- Users --- */

static bool name_is_good(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '\0' || name.ptr[i] == ' ' || (name.ptr[i] >= '\t' && name.ptr[i] <= '\r'))
            return false;
    return true;
}

enum {
    /* What is done in one go: */
    RULES_AT_ONCE = 200,
    RULES_BYTES_AT_ONCE = 4096,
    USERS_AT_ONCE = 200,
    /* Of one, in tens of nanoseconds: */
    USER_COST = 50,
    NAME_COST = 5,
};

static bool changes_much(const struct call *call)
{
    size_t bytes = 0;
    for (uint32_t i = 3; i < call->argc && i < RULES_AT_ONCE; i++)
        bytes += call->argv[i].len;
    const struct acl_user *user = acl_find(acl_of(call), call->argv[2]);
    return call->argc > RULES_AT_ONCE || bytes > RULES_BYTES_AT_ONCE || (user && acl_user_is_large(user));
}

static void run_setuser(struct call *call)
{
    if (!name_is_good(call->argv[2])) {
        reply_error(call->reply, BYTES("ERR Usernames can't contain spaces or null characters"));
        return;
    }
    if (changes_much(call) && call_aside_unheld(call))
        return;
    struct buf error = BUF_EMPTY;
    buf_append_cstr(&error, "ERR ");
    if (acl_set_user(call->engine, call->argv[2], &call->argv[3], call->argc - 3, &error))
        reply_ok(call->reply);
    else
        reply_error(call->reply, buf_bytes(&error));
    buf_fini(&error);
}

/* One of the users is large. */
static bool deletes_much(const struct call *call)
{
    bool large = call->argc > USERS_AT_ONCE;
    for (uint32_t i = 2; i < call->argc && !large; i++) {
        const struct acl_user *user = acl_find(acl_of(call), call->argv[i]);
        large = user && acl_user_is_large(user);
    }
    return large;
}

static void run_deluser(struct call *call)
{
    if (deletes_much(call) && call_aside_unheld(call))
        return;
    for (uint32_t i = 2; i < call->argc; i++)
        if (bytes_equal(call->argv[i], BYTES("default"))) {
            reply_error(call->reply, BYTES("ERR The 'default' user cannot be removed"));
            return;
        }
    int64_t removed = 0;
    for (uint32_t i = 2; i < call->argc; i++) {
        fiber_breathe(USER_COST + (unsigned)call->engine->session_count / 5);
        removed += acl_delete_user(call->engine, call->argv[i]);
    }
    reply_int(call->reply, removed);
}

/* The three parts of what a selector allows, as pairs of a map. */
static void reply_selector(struct reply *reply, const struct acl_selector *selector)
{
    static const struct {
        const char *name;
        void (*append)(const struct acl_selector *selector, struct buf *out);
    } parts[] = {
        { "commands", acl_selector_commands },
        { "keys", acl_selector_keys },
        { "channels", acl_selector_channels },
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct buf text = BUF_EMPTY;
        parts[i].append(selector, &text);
        reply_bulk_cstr(reply, parts[i].name);
        reply_bulk(reply, buf_bytes(&text));
        buf_fini(&text);
    }
}

static void reply_user(struct reply *reply, const struct acl_user *user)
{
    reply_map(reply, 6);
    const char *flags[8];
    size_t count;
    acl_user_flags(user, flags, &count);
    reply_bulk_cstr(reply, "flags");
    reply_set(reply, count);
    for (size_t i = 0; i < count; i++)
        reply_bulk_cstr(reply, flags[i]);
    reply_bulk_cstr(reply, "passwords");
    reply_array(reply, acl_user_passwords(user));
    for (size_t i = 0; i < acl_user_passwords(user); i++) {
        char hex[64];
        fiber_breathe(NAME_COST);
        acl_user_password(user, i, hex);
        reply_bulk(reply, bytes_make(hex, sizeof hex));
    }
    const struct acl_selector *root = acl_user_selector(user), *selector = root;
    reply_selector(reply, root);
    size_t selectors = 0;
    while ((selector = acl_selector_next(selector)))
        selectors++;
    reply_bulk_cstr(reply, "selectors");
    reply_array(reply, selectors);
    while ((root = acl_selector_next(root))) {
        fiber_breathe(USER_COST);
        reply_map(reply, 3);
        reply_selector(reply, root);
    }
}

static void run_getuser(struct call *call)
{
    struct acl_user *copy = NULL;
    const struct acl_user *user = acl_find(acl_of(call), call->argv[2]);
    if (user && acl_user_is_large(user)) {
        if (call_aside_unheld(call))
            return;
        while ((user = acl_find(acl_of(call), call->argv[2])) && !copy)
            copy = acl_user_copy(acl_of(call), user);
    }
    if (copy || user)
        reply_user(call->reply, copy ? copy : user);
    else
        reply_null(call->reply);
    acl_user_destroy(copy);
}

static bool are_many(const struct acl *acl)
{
    return acl_user_at(acl, USERS_AT_ONCE);
}

/* One of the users is large. */
static bool have_much(const struct acl *acl)
{
    const struct acl_user *user;
    bool much = are_many(acl);
    for (size_t i = 0; !much && (user = acl_user_at(acl, i)); i++)
        much = acl_user_is_large(user);
    return much;
}

/* Has `reply_one` answer for each user, in the order of their names; false from it: he is gone. */
static void each_user(struct call *call, bool (*reply_one)(struct call *call, struct bytes name))
{
    struct output_gap *head = reply_deferred(call->reply);
    struct buf name = BUF_EMPTY;
    size_t count = 0;
    const struct acl_user *user = acl_user_at(acl_of(call), 0);
    for (; user && !fiber_is_over(); user = acl_user_behind(acl_of(call), buf_bytes(&name))) {
        buf_clear(&name);
        buf_append(&name, acl_user_name(user));
        count += reply_one(call, buf_bytes(&name));
        fiber_breathe(NAME_COST);
    }
    reply_deferred_end(call->reply, head, REPLY_ARRAY, count);
    buf_fini(&name);
}

static bool reply_line(struct call *call, struct bytes name)
{
    struct acl *acl = acl_of(call);
    struct acl_user *copy = NULL;
    const struct acl_user *user = acl_find(acl, name);
    for (; fiber_running && user && !copy; user = acl_find(acl, name))
        copy = acl_user_copy(acl, user);
    user = copy ? copy : user;
    if (!user)
        return false;
    struct buf text = BUF_EMPTY;
    acl_describe_user(user, &text);
    reply_bulk(call->reply, buf_bytes(&text));
    buf_fini(&text);
    acl_user_destroy(copy);
    return true;
}

static void run_list(struct call *call)
{
    if (!(have_much(acl_of(call)) && call_aside_unheld(call)))
        each_user(call, reply_line);
}

static bool reply_name(struct call *call, struct bytes name)
{
    reply_bulk(call->reply, name);
    return true;
}

static void run_users(struct call *call)
{
    if (!(are_many(acl_of(call)) && call_aside_unheld(call)))
        each_user(call, reply_name);
}

static void run_whoami(struct call *call)
{
    reply_bulk(call->reply, acl_user_name(call->session->user));
}

/* --- Categories --- */

/* Visits a command and its subcommands that are in the category; returns how many, writing names if `reply`. */
static size_t list_category(const struct command_info *command, uint32_t category, struct reply *reply)
{
    size_t count = 0;
    if (command_categories(command->row) & category) {
        count++;
        if (reply)
            reply_bulk_cstr(reply, command->full_name);
    }
    for (uint32_t i = 0; i < command->sub_count; i++)
        count += list_category(&command->subs[i], category, reply);
    return count;
}

static size_t list_commands(const struct call *call, uint32_t category, struct reply *reply)
{
    size_t count = 0;
    const struct command_info *command;
    for (size_t i = 0; (command = command_at(call->engine->registry, i)); i++)
        count += list_category(command, category, reply);
    return count;
}

/* How much of a client's word an error repeats. */
enum { SHOWN_MAX = 1024, SHOWN_CATEGORY_MAX = 128 };

static int shown_len(struct bytes word, size_t max)
{
    return (int)(word.len < max ? word.len : max);
}

static void run_cat(struct call *call)
{
    const char *name;
    uint32_t category;
    if (call->argc == 2) {
        size_t count = 0;
        while (command_category_at(count, &category))
            count++;
        reply_array(call->reply, count);
        for (size_t i = 0; (name = command_category_at(i, &category)); i++)
            reply_bulk_cstr(call->reply, name + 1); /* without the @ */
        return;
    }
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    category = command_category_named(call->argv[2]);
    if (!category) {
        reply_error_printf(call->reply, "ERR Unknown category '%.*s'", shown_len(call->argv[2], SHOWN_CATEGORY_MAX),
            call->argv[2].ptr);
        return;
    }
    reply_array(call->reply, list_commands(call, category, NULL));
    list_commands(call, category, call->reply);
}

/* --- Trying, passwords, the log --- */

static void run_dryrun(struct call *call)
{
    const struct acl_user *user = acl_find(acl_of(call), call->argv[2]);
    if (!user) {
        reply_error_printf(
            call->reply, "ERR User '%.*s' not found", shown_len(call->argv[2], SHOWN_MAX), call->argv[2].ptr);
        return;
    }
    const struct bytes *argv = &call->argv[3];
    uint32_t argc = call->argc - 3;
    const struct command_info *command = command_resolve(call->engine->registry, argv, argc);
    if (!command) {
        reply_error_printf(call->reply, "ERR Command '%.*s' not found", shown_len(argv[0], SHOWN_MAX), argv[0].ptr);
        return;
    }
    if (!command_argc_fits(command, argc)) {
        reply_error_printf(call->reply, "ERR wrong number of arguments for '%s' command", command->full_name);
        return;
    }
    struct bytes object;
    enum acl_verdict verdict = acl_check(user, command, argv, argc, &object);
    int len = verdict != ACL_ALLOWED && object.len < 1024 ? (int)object.len : 1024;
    if (verdict == ACL_ALLOWED)
        reply_ok(call->reply);
    else if (verdict == ACL_DENIED_COMMAND)
        reply_bulk_printf(call->reply, "User %s has no permissions to run the '%s' command", acl_user_name(user).ptr,
            command->full_name);
    else
        reply_bulk_printf(call->reply, "User %s has no permissions to access the '%.*s' %s", acl_user_name(user).ptr,
            len, object.ptr, verdict == ACL_DENIED_KEY ? "key" : "channel");
}

static void run_genpass(struct call *call)
{
    enum { BITS_DEFAULT = 256, BITS_MAX = 4096, BITS_PER_DIGIT = 4 };
    int64_t bits = BITS_DEFAULT;
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    if (call->argc == 3 && !call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &bits))
        return;
    if (bits <= 0 || bits > BITS_MAX) {
        reply_error(call->reply,
            BYTES("ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up "
                  "to 4096"));
        return;
    }
    char digits[BITS_MAX / BITS_PER_DIGIT + 1];
    size_t len = (size_t)(bits + BITS_PER_DIGIT - 1) / BITS_PER_DIGIT;
    random_hex(digits, len);
    reply_bulk(call->reply, bytes_make(digits, len));
}

static void reply_log_entry(struct call *call, const struct acl_log_entry *entry)
{
    static const char *const reasons[] = { [ACL_DENIED_COMMAND] = "command",
        [ACL_DENIED_KEY] = "key",
        [ACL_DENIED_AUTH] = "auth",
        [ACL_DENIED_CHANNEL] = "channel" };
    struct reply *reply = call->reply;
    reply_map(reply, 10);
    reply_bulk_cstr(reply, "count");
    reply_int(reply, (int64_t)entry->count);
    reply_bulk_cstr(reply, "reason");
    reply_bulk_cstr(reply, reasons[entry->reason]);
    reply_bulk_cstr(reply, "context");
    reply_bulk_cstr(reply, entry->in_transaction ? "multi" : "toplevel");
    reply_bulk_cstr(reply, "object");
    reply_bulk_cstr(reply, entry->object);
    reply_bulk_cstr(reply, "username");
    reply_bulk_cstr(reply, entry->user);
    reply_bulk_cstr(reply, "age-seconds");
    reply_double(reply, (double)(call->now_ms - entry->updated_ms) / 1000.0);
    reply_bulk_cstr(reply, "client-info");
    reply_bulk_cstr(reply, entry->client);
    reply_bulk_cstr(reply, "entry-id");
    reply_int(reply, (int64_t)entry->id);
    reply_bulk_cstr(reply, "timestamp-created");
    reply_int(reply, entry->created_ms);
    reply_bulk_cstr(reply, "timestamp-last-updated");
    reply_int(reply, entry->updated_ms);
}

static void run_log(struct call *call)
{
    enum { SHOWN_BY_DEFAULT = 10 };
    int64_t count = SHOWN_BY_DEFAULT, found = 0;
    if (call->argc > 3) {
        call_fail_subcommand(call);
        return;
    }
    if (call->argc == 3 && call_arg_is(call, 2, "RESET")) {
        acl_log_clear(acl_of(call));
        reply_ok(call->reply);
        return;
    }
    if (call->argc == 3 && !call_arg_i64(call, 2, INT64_MIN, INT64_MAX, NULL, &count))
        return;
    const struct acl_log_entry *entry;
    for (entry = acl_log_newest(acl_of(call)); entry && found < count; entry = entry->older)
        found++;
    reply_array(call->reply, (size_t)found);
    for (entry = acl_log_newest(acl_of(call)); found > 0; entry = entry->older, found--)
        reply_log_entry(call, entry);
}

static void run_help(struct call *call)
{
    static const char *const lines[] = {
        "CAT [<category>]",
        "    List all commands that belong to <category>, or all command categories",
        "    when no category is specified.",
        "DELUSER <username> [<username> ...]",
        "    Delete a list of users.",
        "DRYRUN <username> <command> [<arg> ...]",
        "    Returns whether the user can execute the given command without executing the command.",
        "GETUSER <username>",
        "    Get the user's details.",
        "GENPASS [<bits>]",
        "    Generate a secure 256-bit user password. The optional `bits` argument can",
        "    be used to specify a different size.",
        "LIST",
        "    Show users details in config file format.",
        "LOAD",
        "    Reload users from the ACL file.",
        "LOG [<count> | RESET]",
        "    Show the ACL log entries.",
        "SAVE",
        "    Save the current config to the ACL file.",
        "SETUSER <username> <attribute> [<attribute> ...]",
        "    Create or modify a user with the specified attributes.",
        "USERS",
        "    List all the registered usernames.",
        "WHOAMI",
        "    Return the current connection username.",
        NULL,
    };
    call_reply_help(call, lines);
}

enum { ADMINISTRATION = CMD_ADMIN | CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE };
enum { ASKING = CMD_NO_SCRIPT | CMD_LOADING | CMD_STALE };

#define SUB(word, fn, count, traits, version, cost)                                                           \
    .name = (word), .run = (fn), .argc = count, .flags = (traits), .group = GROUP_SERVER, .since = (version), \
    .complexity = (cost)

static const struct command subcommands[] = {
    { SUB("CAT", run_cat, AT_LEAST(2), ASKING, "6.0.0", "O(1) since the categories and commands are a fixed set."),
        .usage = "[categoryname]", .brief = "Lists the categories, or the commands of one." },
    { SUB("DELUSER", run_deluser, AT_LEAST(3), ADMINISTRATION | CMD_SECRET, "6.0.0",
          "O(1) amortized time considering the typical user."),
        .usage = "username [username ...]", .brief = "Removes users and closes their connections." },
    { SUB("DRYRUN", run_dryrun, AT_LEAST(4), ADMINISTRATION, "7.0.0", "O(1)."),
        .usage = "username command [arg [arg ...]]",
        .brief = "Says whether a user may run a command, without running it." },
    { SUB("GENPASS", run_genpass, AT_LEAST(2), ASKING, "6.0.0", "O(1)"), .usage = "[bits]",
        .brief = "Makes a password that nobody can guess." },
    { SUB("GETUSER", run_getuser, EXACTLY(3), ADMINISTRATION | CMD_SECRET, "6.0.0",
          "O(N). Where N is the number of password, command and pattern rules that the user has."),
        .usage = "username", .brief = "Shows a user's rules, part by part." },
    { SUB("HELP", run_help, EXACTLY(2), CMD_LOADING | CMD_STALE, "6.0.0", "O(1)"),
        .brief = "Shows what the subcommands do." },
    { SUB("LIST", run_list, EXACTLY(2), ADMINISTRATION, "6.0.0", "O(N). Where N is the number of configured users."),
        .brief = "Shows all users' rules as lines of an ACL file." },
    { SUB("LOAD", acl_file_run_load, EXACTLY(2), ADMINISTRATION, "6.0.0",
          "O(N). Where N is the number of configured users."),
        .brief = "Reads the users anew from the ACL file." },
    { SUB("LOG", run_log, AT_LEAST(2), ADMINISTRATION, "6.0.0", "O(N) with N being the number of entries shown."),
        .usage = "[count|RESET]", .brief = "Shows what was refused lately, or forgets it." },
    { SUB("SAVE", acl_file_run_save, EXACTLY(2), ADMINISTRATION, "6.0.0",
          "O(N). Where N is the number of configured users."),
        .brief = "Writes the users to the ACL file." },
    { SUB("SETUSER", run_setuser, AT_LEAST(3), ADMINISTRATION | CMD_SECRET, "6.0.0",
          "O(N). Where N is the number of rules provided."),
        .usage = "username [rule [rule ...]]", .brief = "Makes a user, or changes what one may do." },
    { SUB("USERS", run_users, EXACTLY(2), ADMINISTRATION, "6.0.0", "O(N). Where N is the number of configured users."),
        .brief = "Lists the users' names." },
    { SUB("WHOAMI", run_whoami, EXACTLY(2), ASKING, "6.0.0", "O(1)"), .brief = "Says for whom the connection speaks." },
    { 0 },
};

const struct command acl_commands[] = {
    { .name = "ACL",
        .argc = AT_LEAST(2),
        .flags = CMD_SECRET,
        .group = GROUP_SERVER,
        .subcommands = subcommands,
        .since = "6.0.0",
        .complexity = "Depends on subcommand.",
        .brief = "Users, and what each may do." },
    { 0 },
};

/*
 * What a user may do: commands by bitmap, keys and channels by patterns.
 *
 * A selector allows a command as a whole or not at all: keys of one and channels of another do not add up. What is said
 * of a refusal is what came closest to being allowed.
 */
#include "acl_priv.h"
#include "base/glob.h"
#include "base/mem.h"
#include "engine/call.h"
#include "engine/engine.h"
#include "engine/registry.h"
#include "engine/session.h"

enum { KEYS_AT_ONCE = 64 };

static bool allows_command(
    const struct acl_selector *selector, const struct command_info *command, const struct bytes *argv, uint32_t argc)
{
    if (selector->all_commands || command->flags & CMD_NO_AUTH)
        return true;
    if (selector->commands && selector->commands[command->id / 64] >> (command->id % 64) & 1)
        return true;
    for (size_t i = 0; i < selector->first_arg_count && argc > 1; i++)
        if (selector->first_args[i].command == command->id && bytes_is(argv[1], selector->first_args[i].text))
            return true;
    return false;
}

static bool allows_key(const struct acl_selector *selector, struct bytes key, uint32_t flags)
{
    uint32_t needed =
        (flags & KEY_ACCESS ? ACL_READ : 0u) | (flags & (KEY_INSERT | KEY_DELETE | KEY_UPDATE) ? ACL_WRITE : 0u);
    for (size_t i = 0; i < selector->key_count; i++) {
        const struct acl_pattern *pattern = &selector->keys[i];
        if ((pattern->access & needed) == needed && glob_match(bytes_from_cstr(pattern->text), key))
            return true;
    }
    return false;
}

static bool allows_channel(const struct acl_selector *selector, struct bytes channel, bool is_pattern)
{
    if (selector->all_channels)
        return true;
    for (size_t i = 0; i < selector->channel_count; i++) {
        struct bytes allowed = bytes_from_cstr(selector->channels[i]);
        if (is_pattern ? bytes_equal(allowed, channel) : glob_match(allowed, channel))
            return true;
    }
    return false;
}

/* *index is the argument that was refused. */
static enum acl_verdict check_keys(const struct acl_selector *selector, const struct key_position *keys, int count,
    const struct bytes *argv, uint32_t *index)
{
    for (int i = 0; i < count && !selector->all_keys; i++)
        if (!(keys[i].flags & KEY_NOT_KEY) && !allows_key(selector, argv[keys[i].index], keys[i].flags)) {
            *index = keys[i].index;
            return ACL_DENIED_KEY;
        }
    return ACL_ALLOWED;
}

static enum acl_verdict check_channels(const struct acl_selector *selector, const struct command_info *command,
    const struct bytes *argv, uint32_t argc, uint32_t *index)
{
    const struct channel_spec *spec = &command->row->channels;
    if (!spec->first)
        return ACL_ALLOWED;
    uint32_t end = spec->rest ? argc : spec->first + 1u;
    for (uint32_t i = spec->first; i < end && i < argc; i++)
        if (!allows_channel(selector, argv[i], spec->patterns)) {
            *index = i;
            return ACL_DENIED_CHANNEL;
        }
    return ACL_ALLOWED;
}

enum acl_verdict acl_check(const struct acl_user *user, const struct command_info *command, const struct bytes *argv,
    uint32_t argc, struct bytes *object)
{
    struct key_position few[KEYS_AT_ONCE], *keys = few;
    int count = command_keys(command, argv, argc, few, KEYS_AT_ONCE);
    if (count > KEYS_AT_ONCE) {
        keys = mem_alloc((size_t)count * sizeof *keys);
        count = command_keys(command, argv, argc, keys, count);
    }
    enum acl_verdict closest = ACL_DENIED_COMMAND;
    uint32_t closest_index = 0;
    const struct acl_selector *selector = &user->root;
    for (; selector; selector = selector->next) {
        uint32_t index = 0;
        enum acl_verdict verdict = ACL_DENIED_COMMAND;
        if (allows_command(selector, command, argv, argc)) {
            verdict = check_keys(selector, keys, count, argv, &index);
            if (verdict == ACL_ALLOWED)
                verdict = check_channels(selector, command, argv, argc, &index);
        }
        if (verdict == ACL_ALLOWED)
            break;
        if (verdict > closest || (verdict == closest && index > closest_index)) {
            closest = verdict;
            closest_index = index;
        }
    }
    if (keys != few)
        mem_free(keys);
    if (selector)
        return ACL_ALLOWED;
    *object = closest == ACL_DENIED_COMMAND ? bytes_from_cstr(command->full_name) : argv[closest_index];
    return closest;
}

/* The verdict on a call, counted and logged if it is a refusal. */
static enum acl_verdict judge(struct call *call, bool in_transaction)
{
    struct bytes object;
    enum acl_verdict verdict = acl_check(call->session->user, call->command, call->argv, call->argc, &object);
    if (verdict != ACL_ALLOWED)
        acl_log_add(call->engine, call->session, verdict, object, acl_user_name(call->session->user), in_transaction);
    return verdict;
}

bool acl_admit(struct call *call)
{
    /* A refused EXEC ends the transaction, and says so. */
    const char *before = call->command->flags & CMD_RUNS_QUEUE ? "EXECABORT Transaction discarded because of: " : "";
    switch (judge(call, call->session->transaction)) {
    case ACL_ALLOWED:
        return true;
    case ACL_DENIED_KEY:
        reply_error_printf(call->reply, "%sNOPERM No permissions to access a key", before);
        return false;
    case ACL_DENIED_CHANNEL:
        reply_error_printf(call->reply, "%sNOPERM No permissions to access a channel", before);
        return false;
    default:
        reply_error_printf(call->reply, "%sNOPERM User %s has no permissions to run the '%s' command", before,
            acl_user_name(call->session->user).ptr, call->command->full_name);
        return false;
    }
}

bool acl_admit_queued(struct call *call)
{
    const char *reason = "no permission";
    switch (judge(call, true)) {
    case ACL_ALLOWED:
        return true;
    case ACL_DENIED_COMMAND:
        reason = "no permission to execute the command or subcommand";
        break;
    case ACL_DENIED_KEY:
        reason = "no permission to touch the specified keys";
        break;
    case ACL_DENIED_CHANNEL:
        reason = "no permission to access one of the channels used as arguments to the command";
        break;
    default:
        break;
    }
    reply_error_printf(call->reply,
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
        "is no longer allowed for the following reason: %s",
        reason);
    return false;
}

static bool reads_all_keys(const struct acl_selector *selector)
{
    bool all = selector->all_keys;
    for (size_t i = 0; i < selector->key_count && !all; i++)
        all = selector->keys[i].access & ACL_READ && bytes_is(BYTES("*"), selector->keys[i].text);
    return all;
}

bool acl_reads_all_keys(const struct call *call)
{
    if (!(call->session->flags & SESSION_LIMITED))
        return true;
    struct key_position keys[KEYS_AT_ONCE];
    int count = command_keys(call->command, call->argv, call->argc, keys, KEYS_AT_ONCE);
    const struct acl_selector *selector = &call->session->user->root;
    uint32_t index;
    for (; selector && count <= KEYS_AT_ONCE; selector = selector->next)
        if (reads_all_keys(selector) && allows_command(selector, call->command, call->argv, call->argc) &&
            check_keys(selector, keys, count, call->argv, &index) == ACL_ALLOWED)
            return true;
    return false;
}

bool acl_user_is_limited(const struct acl_user *user)
{
    return !(user->root.all_commands && user->root.all_keys && user->root.all_channels);
}

bool acl_channel_is_allowed(const struct acl_user *user, struct bytes channel, bool is_pattern)
{
    for (const struct acl_selector *selector = &user->root; selector; selector = selector->next)
        if (allows_channel(selector, channel, is_pattern))
            return true;
    return false;
}

/*
 * Access control: users, what each may run, which keys and channels each may touch, and a log of what was refused.
 *
 * A user has passwords, kept as SHA-256 only, and permissions in one or more selectors; a command passes if one
 * selector allows it with all its keys and channels. The user `default` is whoever has not said otherwise, and cannot
 * be removed. A user who may do everything costs each command one test of a flag of his session (SESSION_LIMITED).
 *
 * Rules are words: on, off, nopass, >password, ~keys, %R~keys, &channels, +command, -@category, (selector), ...; they
 * are applied in their order, all or none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"

struct acl;
struct acl_user;
struct call;
struct command_info;
struct command_registry;
struct engine;
struct session;

enum acl_verdict {
    ACL_ALLOWED,
    ACL_DENIED_COMMAND,
    ACL_DENIED_KEY,
    ACL_DENIED_AUTH,
    ACL_DENIED_CHANNEL,
};

/* A refusal as ACL LOG shows it; equal ones within a minute are counted together. */
struct acl_log_entry {
    struct acl_log_entry *older; /* owned */
    uint64_t id, count;
    enum acl_verdict reason;
    bool in_transaction;
    char *object, *user, *client; /* owned */
    int64_t created_ms, updated_ms;
};

/* With the user `default`, who may do everything and needs no password. The registry is borrowed. */
struct acl *acl_create(const struct command_registry *registry);

/* All sessions are gone. NULL is nothing. */
void acl_destroy(struct acl *acl);

/* The user of that name, or NULL; borrowed until he is removed. Users by index are in the order of their names. */
struct acl_user *acl_find(const struct acl *acl, struct bytes name);
struct acl_user *acl_default_user(const struct acl *acl);
struct acl_user *acl_user_at(const struct acl *acl, size_t index);
struct bytes acl_user_name(const struct acl_user *user);

/* The first user whose name is above this one, or NULL. */
struct acl_user *acl_user_behind(const struct acl *acl, struct bytes name);

/* To copy or describe the user takes longer than a moment. */
bool acl_user_is_large(const struct acl_user *user);

/*
 * A copy for the caller alone, to be destroyed; NULL is nothing. Both breathe. The copy is NULL if any user was changed
 * meanwhile: then this one may be gone.
 */
struct acl_user *acl_user_copy(const struct acl *acl, const struct acl_user *user);
void acl_user_destroy(struct acl_user *user);

/*
 * Applies rules to the user, who is made if he is new (off, no passwords, allowed nothing). False, with a text such
 * as "Error in ACL SETUSER modifier 'x': Syntax error" in `error` and nothing changed, if one of them makes no sense.
 * Sessions of the user go on with what he may do now; those that listen to channels he may not are closed. Breathes,
 * and begins anew when users are changed meanwhile.
 */
bool acl_set_user(struct engine *engine, struct bytes name, const struct bytes *rules, size_t count, struct buf *error);

/* Removes the user and closes his sessions; false if there is none. `default` is a bug. Breathes in the end. */
bool acl_delete_user(struct engine *engine, struct bytes name);

/* The password of `default` as `requirepass` has it; empty: needs none. */
void acl_set_default_password(struct engine *engine, struct bytes password);

/*
 * Whether a new user may use all channels (acl-pubsub-default allchannels), and how long the log may become: what it
 * has beyond that goes when something is added.
 */
void acl_set_options(struct engine *engine, bool all_channels, size_t log_max);

/*
 * Replaces all users by those that `lines` describes ("user NAME rule ...", empty lines and # comments). False, with
 * every error and its line in `error` and nothing changed, if anything in it is wrong. Sessions of users who are gone
 * or have changed are closed, except `keep` if its user is still there.
 */
bool acl_load(struct engine *engine, struct bytes text, const char *name, struct session *keep, struct buf *error);

/* Appends "user NAME on ... +@all" without a line end: what acl_load reads. Breathes. */
void acl_describe_user(const struct acl_user *user, struct buf *out);

/* --- Sessions --- */

/* The session is that user's from now on. */
void acl_bind(struct session *session, struct acl_user *user);

/* True if the user may come in without a password. */
bool acl_needs_no_password(const struct acl_user *user);

/*
 * The user whose name and password these are, if he is on; NULL otherwise. Takes the same time whatever the password
 * is.
 */
struct acl_user *acl_authenticate(const struct acl *acl, struct bytes name, struct bytes password);

/*
 * Tests a call's command, keys and channels; answers NOPERM, logs and returns false if they are not allowed. For
 * sessions with SESSION_LIMITED. O(keys * patterns).
 */
bool acl_admit(struct call *call);

/* The same for a command that was queued before, at EXEC: the text says that the rules have changed. */
bool acl_admit_queued(struct call *call);

/* The verdict alone; what was refused (a command's name, a key, a channel) in `object`. */
enum acl_verdict acl_check(const struct acl_user *user, const struct command_info *command, const struct bytes *argv,
    uint32_t argc, struct bytes *object);

/*
 * True if what allows the call, one and the same selector, allows to read every key: for patterns that name keys nobody
 * can know before (SORT BY, GET). The call names few keys.
 */
bool acl_reads_all_keys(const struct call *call);

/* --- For ACL GETUSER: the parts of a description --- */
struct acl_selector;
void acl_user_flags(const struct acl_user *user, const char *out[8], size_t *count);
size_t acl_user_passwords(const struct acl_user *user);
void acl_user_password(const struct acl_user *user, size_t index, char hex[64]);
const struct acl_selector *acl_user_selector(const struct acl_user *user);         /* the root, and ... */
const struct acl_selector *acl_selector_next(const struct acl_selector *selector); /* ... the others; NULL ends */
void acl_selector_commands(const struct acl_selector *selector, struct buf *out);
void acl_selector_keys(const struct acl_selector *selector, struct buf *out);
void acl_selector_channels(const struct acl_selector *selector, struct buf *out);

/* --- The log --- */
void acl_log_add(struct engine *engine, const struct session *session, enum acl_verdict reason, struct bytes object,
    struct bytes user, bool in_transaction);
const struct acl_log_entry *acl_log_newest(const struct acl *acl);
void acl_log_clear(struct acl *acl);

/* What was refused since the start, by reason. */
uint64_t acl_denied(const struct acl *acl, enum acl_verdict reason);

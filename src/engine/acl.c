/*
 * Users: a short array sorted by name, and the sessions that are theirs.
 *
 * A user keeps his place in memory while his rules change, so that sessions simply point to him. Rules are applied to a
 * copy, which takes his place only when all of them made sense.
 */
#include "engine/acl.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "acl_priv.h"
#include "base/assert.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/pubsub.h"
#include "engine/session.h"

enum { LOG_MAX_DEFAULT = 128 };

/* Index of the first user whose name is not below. */
static size_t lower_bound(const struct acl *acl, struct bytes name)
{
    size_t low = 0, high = acl->user_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(bytes_from_cstr(acl->users[middle]->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct acl_user *acl_find(const struct acl *acl, struct bytes name)
{
    size_t at = lower_bound(acl, name);
    bool found = at < acl->user_count && bytes_equal(bytes_from_cstr(acl->users[at]->name), name);
    return found ? acl->users[at] : NULL;
}

struct acl_user *acl_user_behind(const struct acl *acl, struct bytes name)
{
    size_t at = lower_bound(acl, name);
    bool found = at < acl->user_count && bytes_equal(bytes_from_cstr(acl->users[at]->name), name);
    return acl_user_at(acl, at + found);
}

static void insert(struct acl *acl, struct acl_user *user)
{
    size_t at = lower_bound(acl, bytes_from_cstr(user->name));
    acl->users = mem_realloc(acl->users, (acl->user_count + 1) * sizeof *acl->users);
    memmove(&acl->users[at + 1], &acl->users[at], (acl->user_count - at) * sizeof *acl->users);
    acl->users[at] = user;
    acl->user_count++;
    acl->version++;
}

static struct acl_user *create_default(const struct acl *acl)
{
    static const char *const rules[] = { "on", "nopass", "~*", "&*", "+@all" };
    struct acl_user *user = acl_user_create(acl, BYTES("default"));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const char *error = acl_user_apply(acl, user, bytes_from_cstr(rules[i]));
        ASSERT(!error);
    }
    return user;
}

struct acl *acl_create(const struct command_registry *registry)
{
    struct acl *acl = mem_zalloc(sizeof *acl);
    acl->registry = registry;
    acl->log_max = LOG_MAX_DEFAULT;
    acl->default_user = create_default(acl);
    insert(acl, acl->default_user);
    return acl;
}

void acl_destroy(struct acl *acl)
{
    if (!acl)
        return;
    for (size_t i = 0; i < acl->user_count; i++)
        acl_user_destroy(acl->users[i]);
    mem_free(acl->users);
    acl_log_clear(acl);
    mem_free(acl);
}

struct acl_user *acl_default_user(const struct acl *acl)
{
    return acl->default_user;
}

struct acl_user *acl_user_at(const struct acl *acl, size_t index)
{
    return index < acl->user_count ? acl->users[index] : NULL;
}

struct bytes acl_user_name(const struct acl_user *user)
{
    return bytes_from_cstr(user->name);
}

void acl_set_options(struct engine *engine, bool all_channels, size_t log_max)
{
    engine->acl->new_users_all_channels = all_channels;
    engine->acl->log_max = log_max;
}

/* --- Sessions --- */

void acl_bind(struct session *session, struct acl_user *user)
{
    session->user = user;
    session->flags &= ~(uint32_t)SESSION_LIMITED;
    if (acl_user_is_limited(user))
        session->flags |= SESSION_LIMITED;
}

struct channel_check {
    const struct acl_user *user;
    bool patterns, allowed;
};

static void check_channel(void *context, struct bytes name)
{
    struct channel_check *check = context;
    check->allowed = check->allowed && acl_channel_is_allowed(check->user, name, check->patterns);
}

static bool may_listen_on(const struct session *session)
{
    struct channel_check check = { .user = session->user, .allowed = true };
    for (int kind = 0; kind < PUBSUB_KINDS && check.allowed; kind++) {
        check.patterns = kind == PUBSUB_PATTERN;
        pubsub_visit(session, (enum pubsub_kind)kind, check_channel, &check);
    }
    return check.allowed;
}

/* The user's rules have changed. */
static void rebind_sessions(struct engine *engine, struct acl_user *user)
{
    for (struct session *session = engine->sessions; session; session = session->next) {
        if (session->user != user)
            continue;
        acl_bind(session, user);
        if (session->subscriber && !may_listen_on(session))
            session_close(session, true);
    }
}

/* The user is about to go: his sessions are nobody's, and are closed. */
static void close_sessions(struct engine *engine, const struct acl_user *user, const struct session *keep)
{
    for (struct session *session = engine->sessions; session; session = session->next) {
        if (session->user != user)
            continue;
        acl_bind(session, engine->acl->default_user);
        if (session == keep)
            continue;
        session_set_authenticated(session, false);
        session_close(session, true);
    }
}

bool acl_needs_no_password(const struct acl_user *user)
{
    return (user->flags & (ACL_ON | ACL_NO_PASS)) == (ACL_ON | ACL_NO_PASS);
}

struct acl_user *acl_authenticate(const struct acl *acl, struct bytes name, struct bytes password)
{
    unsigned char digest[ACL_DIGEST];
    acl_digest(password, digest);
    struct acl_user *user = acl_find(acl, name);
    if (!user || !(user->flags & ACL_ON))
        return NULL;
    bool right = user->flags & ACL_NO_PASS;
    for (size_t i = 0; i < user->password_count; i++)
        right |= CRYPTO_memcmp(user->passwords[i], digest, ACL_DIGEST) == 0;
    return right ? user : NULL;
}

/* --- Changing --- */

/* The name stays where it is; everything else is exchanged. */
static void exchange(struct acl_user *a, struct acl_user *b)
{
    struct acl_user c = *a;
    *a = *b;
    *b = c;
}

/* Applies all rules to `user`; false with a text in `error`. */
static bool apply_all(const struct acl *acl, struct acl_user *user, const struct bytes *rules, size_t count,
    const char *what, struct buf *error)
{
    struct bytes *joined = mem_alloc((count + 1) * sizeof *joined), bad;
    struct buf text = BUF_EMPTY;
    int left = acl_join_selectors(rules, count, joined, &text, &bad);
    bool fine = left >= 0;
    if (!fine)
        buf_printf(error, "Unmatched parenthesis in acl selector starting at '%.*s'.", (int)bad.len, bad.ptr);
    for (int i = 0; i < left && fine; i++) {
        const char *reason = acl_user_apply(acl, user, joined[i]);
        if (reason) {
            int len = joined[i].len < 1024 ? (int)joined[i].len : 1024;
            buf_printf(error, "%s '%.*s': %s", what, len, joined[i].ptr, reason);
            fine = false;
        }
    }
    buf_fini(&text);
    mem_free(joined);
    return fine;
}

bool acl_set_user(struct engine *engine, struct bytes name, const struct bytes *rules, size_t count, struct buf *error)
{
    struct acl *acl = engine->acl;
    struct acl_user *user, *next;
    uint64_t version;
    for (;;) {
        version = acl->version;
        user = acl_find(acl, name);
        next = user ? acl_user_copy(acl, user) : acl_user_create(acl, name);
        if (next && !apply_all(acl, next, rules, count, "Error in ACL SETUSER modifier", error)) {
            acl_user_destroy(next);
            return false;
        }
        if (next && acl->version == version)
            break;
        acl_user_destroy(next);
    }
    acl_user_finish(next);
    if (!user) {
        insert(acl, next);
        return true;
    }
    acl->version++;
    exchange(user, next);
    rebind_sessions(engine, user);
    acl_user_destroy(next);
    return true;
}

bool acl_delete_user(struct engine *engine, struct bytes name)
{
    struct acl *acl = engine->acl;
    struct acl_user *user = acl_find(acl, name);
    ASSERT(user != acl->default_user);
    if (!user)
        return false;
    size_t at = lower_bound(acl, name);
    close_sessions(engine, user, NULL);
    memmove(&acl->users[at], &acl->users[at + 1], (acl->user_count - at - 1) * sizeof *acl->users);
    acl->user_count--;
    acl->version++;
    acl_user_destroy(user);
    return true;
}

void acl_set_default_password(struct engine *engine, struct bytes password)
{
    struct acl *acl = engine->acl;
    acl->version++;
    acl_user_apply(acl, acl->default_user, BYTES("resetpass"));
    if (!password.len) {
        acl_user_apply(acl, acl->default_user, BYTES("nopass"));
        return;
    }
    struct buf rule = BUF_EMPTY;
    buf_append_char(&rule, '>');
    buf_append(&rule, password);
    acl_user_apply(acl, acl->default_user, buf_bytes(&rule));
    buf_fini(&rule);
}

/* --- Loading --- */

enum { WORDS_MAX = 4096 };

static size_t split(struct bytes line, struct bytes *words)
{
    size_t count = 0, at = 0;
    while (at < line.len && count < WORDS_MAX) {
        while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
            at++;
        size_t start = at;
        while (at < line.len && line.ptr[at] != ' ' && line.ptr[at] != '\t')
            at++;
        if (at > start)
            words[count++] = bytes_make(line.ptr + start, at - start);
    }
    return count;
}

static void load_line(struct acl *fresh, struct bytes line, const char *file, size_t number, struct buf *errors)
{
    struct bytes *words = mem_alloc(WORDS_MAX * sizeof *words);
    size_t count = split(line, words);
    struct buf error = BUF_EMPTY;
    char place[512];
    snprintf(place, sizeof place, "%.480s:%zu: ", file, number);
    if (count == 0) {
        /* an empty line */
    } else if (!bytes_is(words[0], "user")) {
        buf_append_cstr(&error, "line should start with user keyword instead of user definition");
    } else if (count < 2) {
        buf_append_cstr(&error, "username is missing");
    } else if (acl_find(fresh, words[1])) {
        buf_printf(&error, "Duplicate user '%.*s' found", (int)words[1].len, words[1].ptr);
    } else {
        struct acl_user *user = acl_user_create(fresh, words[1]);
        if (apply_all(fresh, user, &words[2], count - 2, "Error in applying operation", &error)) {
            acl_user_finish(user);
            insert(fresh, user);
        } else {
            acl_user_destroy(user);
        }
    }
    if (error.len) {
        buf_append_cstr(errors, place);
        buf_append(errors, buf_bytes(&error));
        buf_append_cstr(errors, ". ");
    }
    buf_fini(&error);
    mem_free(words);
}

static bool users_equal(const struct acl_user *a, const struct acl_user *b)
{
    struct buf texts[2] = { BUF_EMPTY, BUF_EMPTY };
    acl_describe_user(a, &texts[0]);
    acl_describe_user(b, &texts[1]);
    bool equal = bytes_equal(buf_bytes(&texts[0]), buf_bytes(&texts[1]));
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    return equal;
}

/* `fresh` has what is to be from now on; users who stay keep their places, and their sessions if nothing changed. */
static void take_over(struct engine *engine, struct acl *fresh, struct session *keep)
{
    struct acl *acl = engine->acl;
    acl->version++;
    struct bytes kept_name = keep ? acl_user_name(keep->user) : BYTES("default");
    char *kept = bytes_dup_cstr(kept_name);
    for (size_t i = acl->user_count; i-- > 0;) {
        struct acl_user *old = acl->users[i], *now = acl_find(fresh, acl_user_name(old));
        if (old != acl->default_user && (!now || !users_equal(old, now)))
            close_sessions(engine, old, now ? keep : NULL); /* who is gone may not go on as `default` */
        if (now) {
            exchange(old, now);
            rebind_sessions(engine, old);
        } else if (old != acl->default_user) {
            memmove(&acl->users[i], &acl->users[i + 1], (acl->user_count - i - 1) * sizeof *acl->users);
            acl->user_count--;
            acl_user_destroy(old);
        }
    }
    for (size_t i = 0; i < fresh->user_count; i++)
        if (!acl_find(acl, acl_user_name(fresh->users[i]))) {
            insert(acl, fresh->users[i]);
            fresh->users[i] = NULL;
        }
    struct acl_user *own = acl_find(acl, bytes_from_cstr(kept));
    if (keep && own)
        acl_bind(keep, own);
    mem_free(kept);
}

bool acl_load(struct engine *engine, struct bytes text, const char *name, struct session *keep, struct buf *error)
{
    struct acl fresh = { .registry = engine->registry, .new_users_all_channels = engine->acl->new_users_all_channels };
    size_t number = 0;
    for (size_t at = 0; at < text.len;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        size_t len = end ? (size_t)(end - text.ptr) - at : text.len - at;
        struct bytes line = bytes_make(text.ptr + at, len);
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        number++;
        if (!line.len || line.ptr[0] != '#')
            load_line(&fresh, line, name, number, error);
        at += len + 1;
    }
    bool fine = error->len == 0;
    if (fine && !acl_find(&fresh, BYTES("default")))
        insert(&fresh, create_default(&fresh));
    if (fine)
        take_over(engine, &fresh, keep);
    for (size_t i = 0; i < fresh.user_count; i++)
        acl_user_destroy(fresh.users[i]);
    mem_free(fresh.users);
    return fine;
}

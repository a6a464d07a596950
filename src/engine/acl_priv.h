/* What the files of access control share among themselves. */
#pragma once

#include "engine/acl.h"

enum { ACL_DIGEST = 32 }; /* SHA-256 */

enum { ACL_READ = 1, ACL_WRITE = 2 };

struct acl_pattern {
    uint32_t access; /* ACL_READ, ACL_WRITE */
    char *text;      /* owned, terminated; patterns hold no zero bytes */
};

/* "+select|0": a command without subcommands, allowed with that first argument only. */
struct acl_first_arg {
    uint32_t command; /* its ID */
    char *text;       /* owned, lower case */
};

/* A selector's command rule as it was given, without the base +@all or -@all. */
struct acl_rule {
    bool allow;
    char *name; /* owned, lower case: "get", "config|get", "@string" */
};

/*
 * Finds the items of a long list by their texts, and numbers that belong to these; so that rules in thousands take no
 * time with their square. The first `count` of the list are in it; it is made anew when items leave the list.
 */
struct acl_index {
    struct acl_index_slot *slots; /* owned */
    size_t room, count;
};

/* Adds the next item of the list. */
void acl_index_add(struct acl_index *index, struct bytes text, uint32_t number);

/* The place of the item for which `is` says so, or SIZE_MAX. */
size_t acl_index_find(const struct acl_index *index, struct bytes text, uint32_t number,
    bool (*is)(const void *list, size_t at, struct bytes text, uint32_t number), const void *list);
void acl_index_drop(struct acl_index *index);

struct acl_selector {
    struct acl_selector *next; /* owned */
    bool all_keys, all_channels;
    bool all_commands;        /* those too that nobody has named: nothing was taken away since +@all */
    bool base_all;            /* the rules begin with +@all */
    uint64_t *commands;       /* owned bitmap by ID; NULL while every bit is all_commands */
    struct acl_pattern *keys; /* owned */
    char **channels;          /* owned, with their texts */
    struct acl_first_arg *first_args;
    struct acl_rule *rules;
    size_t key_count, channel_count, first_arg_count, rule_count;
    struct acl_index key_index, channel_index, first_arg_index, rule_index; /* empty but while rules are applied */
};

enum acl_user_flag { ACL_ON = 1, ACL_NO_PASS = 2, ACL_SKIP_SANITIZE = 4, ACL_SANITIZE = 8 };

struct acl_user {
    char *name; /* owned, terminated; names hold no zero bytes */
    uint32_t flags;
    unsigned char (*passwords)[ACL_DIGEST]; /* owned */
    size_t password_count;
    struct acl_index password_index;    /* as a selector's */
    struct acl_selector *last_selector; /* borrowed: the end of the list; NULL: there is only the root */
    struct acl_selector root;
};

struct acl {
    const struct command_registry *registry;
    struct acl_user **users; /* owned, sorted by name */
    size_t user_count;
    uint64_t version; /* counts changes of users */
    struct acl_user *default_user;
    bool new_users_all_channels;
    struct acl_log_entry *log; /* owned, newest first */
    size_t log_len, log_max;
    uint64_t next_log_id;
    uint64_t denied[ACL_DENIED_CHANNEL + 1];
};

void acl_digest(struct bytes password, unsigned char out[ACL_DIGEST]);

/* acl_rules.c: a user of that name who may do nothing. */
struct acl_user *acl_user_create(const struct acl *acl, struct bytes name);

/* When all rules are applied: frees what helped. */
void acl_user_finish(struct acl_user *user);

/*
 * Applies one rule, or a selector in parentheses. NULL, or what is wrong with it; then the user may be half changed.
 */
const char *acl_user_apply(const struct acl *acl, struct acl_user *user, struct bytes rule);

/*
 * Joins words that stand in one pair of parentheses; `out` has room for `count` and its joined words live in `text`.
 * Returns how many words are left, or -1 with the unmatched one in *bad.
 */
int acl_join_selectors(const struct bytes *words, size_t count, struct bytes *out, struct buf *text, struct bytes *bad);

/* acl_log.c: drops the oldest beyond `max`. */
void acl_log_trim(struct acl *acl, size_t max);

/* acl_check.c */
bool acl_user_is_limited(const struct acl_user *user);
bool acl_channel_is_allowed(const struct acl_user *user, struct bytes channel, bool is_pattern);

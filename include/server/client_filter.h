/*
 * Client filter: which clients CLIENT LIST and CLIENT KILL mean.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct acl_user;
struct call;
struct session;

struct client_filter {
    uint64_t *ids; /* borrowed from the call's arena; any of these, if id_count is above 0 */
    size_t id_count;
    struct bytes address, local_address; /* borrowed; empty: any */
    int limit_class;                     /* of include/net/net.h plus 1; 0: any */
    int64_t max_age_s;                   /* at least this old; 0: any */
    const struct acl_user *user;         /* borrowed; NULL: any */
    bool skip_me;
    bool old_form; /* CLIENT KILL address */
};

/* Read the arguments of the two commands; false if they were answered with an error. */
bool client_filter_parse_list(struct call *call, struct client_filter *filter);
bool client_filter_parse_kill(struct call *call, struct client_filter *filter);

bool client_filter_fits(const struct client_filter *filter, const struct session *session, int64_t now_ms);

#include "cmd/families.h"

#include <stddef.h>

const struct command *const command_families[] = {
    string_commands,
    string_set_commands,
    list_commands,
    list_move_commands,
    hash_commands,
    hash_expire_commands,
    hash_walk_commands,
    set_commands,
    set_random_commands,
    set_algebra_commands,
    zset_commands,
    zset_range_commands,
    zset_pop_commands,
    zset_algebra_commands,
    lcs_commands,
    bitmap_commands,
    bitfield_commands,
    hyperloglog_commands,
    keys_commands,
    expire_commands,
    object_commands,
    scan_commands,
    database_commands,
    connection_commands,
    introspection_commands,
    transaction_commands,
    NULL,
};

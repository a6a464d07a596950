/*
 * The command families: each is an array of rows that ends with an empty one, and lives in the source file of its name.
 */
#pragma once

#include "engine/command.h"

extern const struct command alone_commands[];
extern const struct command bitfield_commands[];
extern const struct command bitmap_commands[];
extern const struct command connection_commands[];
extern const struct command database_commands[];
extern const struct command dump_commands[];
extern const struct command expire_commands[];
extern const struct command fill_commands[];
extern const struct command hash_commands[];
extern const struct command hash_expire_commands[];
extern const struct command hash_walk_commands[];
extern const struct command hyperloglog_commands[];
extern const struct command geo_commands[];
extern const struct command geo_search_commands[];
extern const struct command introspection_commands[];
extern const struct command json_array_commands[];
extern const struct command json_delete_commands[];
extern const struct command json_get_commands[];
extern const struct command json_inspect_commands[];
extern const struct command json_mset_commands[];
extern const struct command json_number_commands[];
extern const struct command json_set_commands[];
extern const struct command keys_commands[];
extern const struct command lcs_commands[];
extern const struct command list_commands[];
extern const struct command list_move_commands[];
extern const struct command monitor_commands[];
extern const struct command module_commands[];
extern const struct command object_commands[];
extern const struct command pubsub_commands[];
extern const struct command scan_commands[];
extern const struct command set_algebra_commands[];
extern const struct command set_commands[];
extern const struct command set_random_commands[];
extern const struct command sort_commands[];
extern const struct command string_commands[];
extern const struct command stream_commands[];
extern const struct command stream_group_commands[];
extern const struct command stream_ids_commands[];
extern const struct command stream_info_commands[];
extern const struct command stream_pending_commands[];
extern const struct command stream_range_commands[];
extern const struct command stream_read_commands[];
extern const struct command transaction_commands[];
extern const struct command string_set_commands[];
extern const struct command zset_algebra_commands[];
extern const struct command zset_commands[];
extern const struct command zset_pop_commands[];
extern const struct command zset_range_commands[];

/* All of them; ends with NULL. */
extern const struct command *const command_families[];

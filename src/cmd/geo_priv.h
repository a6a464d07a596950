/*
 * What the files of the geo commands share: arguments, and how places and distances are answered.
 */
#pragma once

#include "ds/geohash.h"
#include "zset_priv.h"

/* Reads two arguments as longitude and latitude; false: an error was answered. */
bool geo_arg_place(struct call *call, uint32_t index, struct geo_place *place);

/* Reads a unit; *metres is how many it has. */
bool geo_arg_unit(struct call *call, uint32_t index, double *metres);

/* The number that a score is, whatever it is; scores of places are whole and positive. */
uint64_t geo_hash_of(double score);

/* The place of a member; false if there is no such member. */
bool geo_place_of(const struct entry *entry, struct bytes member, struct geo_place *place);

/* With four digits behind the point. */
void geo_reply_distance(struct call *call, double distance);

void geo_reply_place(struct call *call, struct geo_place place);

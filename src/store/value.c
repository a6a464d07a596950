/*
 * The table of value types: one row for each type that the store can hold.
 */
#include "value_priv.h"

const struct value_type *const value_types[ENTRY_TYPES] = {
    [ENTRY_STRING] = &string_value_type,
};

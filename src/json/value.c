/*
 * Values: telling what they are.
 */
#include "json/value.h"

const uint8_t json_kind_of_tag[16] = {
    [JSON_TAG_LITERAL] = JSON_NULL,
    [JSON_TAG_INT] = JSON_INT,
    [3] = JSON_DOUBLE,
    [4] = JSON_DOUBLE,
    [11] = JSON_DOUBLE,
    [12] = JSON_DOUBLE,
    [JSON_TAG_SHORT] = JSON_STRING,
    [JSON_TAG_STRING] = JSON_STRING,
    [JSON_TAG_BOX] = JSON_DOUBLE,
    [JSON_TAG_ARRAY] = JSON_ARRAY,
    [JSON_TAG_OBJECT] = JSON_OBJECT,
    [JSON_TAG_ARRAY_TREE] = JSON_ARRAY,
    [JSON_TAG_OBJECT_TREE] = JSON_OBJECT,
};

/*
 * The numbers of the RDB format: types of values, opcodes, encodings, versions.
 */
#pragma once

#include <stdint.h>

enum rdb_type {
    RDB_STRING = 0,
    RDB_LIST = 1,
    RDB_SET = 2,
    RDB_ZSET = 3, /* scores as text */
    RDB_HASH = 4,
    RDB_ZSET_2 = 5, /* scores in binary */
    RDB_MODULE_PRE_GA = 6,
    RDB_MODULE_2 = 7,
    RDB_HASH_ZIPMAP = 9,
    RDB_LIST_ZIPLIST = 10,
    RDB_SET_INTSET = 11,
    RDB_ZSET_ZIPLIST = 12,
    RDB_HASH_ZIPLIST = 13,
    RDB_LIST_QUICKLIST = 14, /* nodes are ziplists */
    RDB_STREAM_LISTPACKS = 15,
    RDB_HASH_LISTPACK = 16,
    RDB_ZSET_LISTPACK = 17,
    RDB_LIST_QUICKLIST_2 = 18, /* nodes are listpacks or single elements */
    RDB_STREAM_LISTPACKS_2 = 19,
    RDB_SET_LISTPACK = 20,
    RDB_STREAM_LISTPACKS_3 = 21,
    RDB_HASH_METADATA_PRE_GA = 22,
    RDB_HASH_LISTPACK_EX_PRE_GA = 23,
    RDB_HASH_METADATA = 24, /* fields that expire */
    RDB_HASH_LISTPACK_EX = 25,
};

enum rdb_opcode {
    RDB_SLOT_INFO = 244,
    RDB_FUNCTION2 = 245,
    RDB_FUNCTION_PRE_GA = 246,
    RDB_MODULE_AUX = 247,
    RDB_IDLE = 248,
    RDB_FREQ = 249,
    RDB_AUX = 250,
    RDB_RESIZEDB = 251,
    RDB_EXPIRETIME_MS = 252,
    RDB_EXPIRETIME = 253,
    RDB_SELECTDB = 254,
    RDB_EOF = 255,
};

/* Parts of a module's value or auxiliary data. */
enum rdb_module_opcode {
    RDB_MODULE_EOF = 0,
    RDB_MODULE_SINT = 1,
    RDB_MODULE_UINT = 2,
    RDB_MODULE_FLOAT = 3,
    RDB_MODULE_DOUBLE = 4,
    RDB_MODULE_STRING = 5,
};

enum {
    RDB_LEN_6 = 0x00,
    RDB_LEN_14 = 0x40,
    RDB_LEN_32 = 0x80,
    RDB_LEN_64 = 0x81,
    RDB_LEN_ENCODED = 0xc0,
    RDB_ENC_INT8 = 0,
    RDB_ENC_INT16 = 1,
    RDB_ENC_INT32 = 2,
    RDB_ENC_LZF = 3,
    RDB_NODE_PLAIN = 1, /* container of a quicklist's node: one element */
    RDB_NODE_PACKED = 2,
    RDB_INT_TEXT_MAX = 11,   /* longest text that may stand as an integer of 32 bits */
    RDB_COMPRESS_MIN = 20,   /* longer strings are worth compressing */
    RDB_VERSION_PLAIN = 10,  /* of Redis 7.0 */
    RDB_VERSION_FIELDS = 12, /* of Redis 7.4: fields that expire */
    RDB_VERSION_MAX = 12,
    RDB_STRING_MAX = 0x20000000 /* an upper bound to strings in memory that are made from compressed ones: 512 MB */
};

/* The ID of documents among modules' types: nine letters, "ReJSON-RL", and the version of the encoding. */
#define RDB_JSON_ID UINT64_C(0x45e25238df912c00)
enum { RDB_JSON_VERSION = 3 };

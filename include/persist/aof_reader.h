/*
 * Reading an append-only file: one command after the other, each with the place where it begins.
 *
 *   *3\r\n $3\r\n SET\r\n $1\r\n k\r\n $1\r\n v\r\n      a command (RESP2, an array of bulk strings)
 *   #TS:1700000000\r\n                                   an annotation, passed over
 *
 * Nothing is believed: lengths are limited, line ends are tested, and what is missing at the end of the file is told
 * from what is wrong in its midst. Memory is in proportion to the longest command.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum aof_read {
    AOF_READ_COMMAND,
    AOF_READ_END,       /* the file is over, and whole */
    AOF_READ_TRUNCATED, /* it ends in the midst of a command, or of an annotation */
    AOF_READ_BAD,       /* what stands at `offset` is no command */
    AOF_READ_FAILED,    /* the file could not be read: errno */
    AOF_READ_NO_MEMORY,
};

enum { AOF_ARGUMENTS_MAX = 1024 * 1024 * 1024 / 16, AOF_ARGUMENT_MAX = 512 * 1024 * 1024 };

struct aof_reader {
    int fd;            /* borrowed */
    uint64_t offset;   /* in the file: of the command that was read last, or of what was found wrong */
    uint64_t next;     /* behind it; the end of what is whole */
    int64_t timestamp; /* of the last annotation of that kind, seconds since 1970; 0: there was none */
    char *buf;         /* owned: bytes of the file from buf_offset on */
    size_t len, cap;
    uint64_t buf_offset;
    bool at_end;        /* nothing follows what is in buf */
    struct bytes *argv; /* owned; borrowed until the next call, as are the bytes */
    uint32_t argc, room;
};

/* From `offset` of the file on. */
void aof_reader_init(struct aof_reader *reader, int fd, uint64_t offset);
void aof_reader_fini(struct aof_reader *reader);

enum aof_read aof_reader_next(struct aof_reader *reader);

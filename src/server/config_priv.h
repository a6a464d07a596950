/*
 * Rows: what the files of the configuration share.
 *
 * Every value has one canonical text: what CONFIG GET shows. Setting a directive means to make the canonical text from
 * what was written (which may fail), and to store that (which cannot). So putting an old value back is storing its
 * text, and a row that has no field in struct config is simply kept as text.
 *
 * A row in spirit:
 *
 *     { .name = "port", .type = CONFIG_INTEGER, FIELD(port), LIMITS(0, 65535), .initial = "6379",
 *         .section = SECTION_NETWORK, .effect = EFFECT_LISTEN, .help = "..." },
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "server/config.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_BOOL, /* yes, no */
    CONFIG_INTEGER,
    CONFIG_MEMORY,  /* bytes, written with units */
    CONFIG_PERCENT, /* bytes, or a percentage such as 5% */
    CONFIG_OCTAL,
    CONFIG_CHOICE, /* one of the words in `choices` */
    CONFIG_WORDS,  /* one or more of them */
};

enum config_flag {
    CONFIG_IMMUTABLE = 1 << 0, /* set at start only */
    CONFIG_HIDDEN = 1 << 1,    /* shown only to who asks for it by name */
    CONFIG_PROTECTED = 1 << 2, /* CONFIG SET is refused unless enable-protected-configs says otherwise */
    CONFIG_MULTI = 1 << 3,     /* the value is several arguments */
    CONFIG_SECRET = 1 << 4,    /* never in a log */
    CONFIG_FILE_ONLY = 1 << 5, /* unknown to CONFIG */
    CONFIG_SHARE = 1 << 7,     /* a percentage, where Redis takes bytes only: so the error text knows of none */
    CONFIG_LINES = 1 << 6,     /* in the file, each of its parts stands on a line of its own */
    CONFIG_SAME = 1 << 8,      /* immutable, but may be set to what it is: who sets all that CONFIG GET shows can */
};

/* What must happen when a value changes while the server runs; config_set.c does it, once per kind. */
/* In the order in which they are done. */
enum config_effect {
    EFFECT_NONE,
    EFFECT_TLS,
    EFFECT_LISTEN,
    EFFECT_METRICS,
    EFFECT_CLIENTS,
    EFFECT_PASSWORD,
    EFFECT_APPENDONLY,
    EFFECT_OOM,
    EFFECT_COUNT
};

enum config_storage {
    KEPT_AS_TEXT,
    STORED_BOOL,
    STORED_INT,
    STORED_U32,
    STORED_I64,
    STORED_U64,
    STORED_STRING,
    STORED_BYTES, /* a text that may hold any byte */
};

enum config_section {
    SECTION_FILES, /* what only a file can say */
    SECTION_NETWORK,
    SECTION_TLS,
    SECTION_GENERAL,
    SECTION_SECURITY,
    SECTION_CLIENTS,
    SECTION_MEMORY,
    SECTION_EXPIRY,
    SECTION_SAVING,
    SECTION_MONITORING,
    SECTION_ACCEPTED, /* no effect in this version */
    SECTION_COUNT
};

struct config_choice {
    const char *word; /* NULL ends the list */
    int value;
};

struct config_row {
    const char *name, *alias; /* lower case; alias NULL if none */
    enum config_type type;
    uint32_t flags; /* enum config_flag */
    enum config_storage storage;
    size_t offset;    /* in struct config, if stored */
    int64_t min, max; /* of numbers; a max of 0 is none */
    const struct config_choice *choices;
    size_t named_choices;  /* how many the error text names, which is Redis 7.0's; 0: all */
    const char *initial;   /* canonical text */
    const char *suggested; /* for the configuration file that is installed; NULL: the initial value */
    const char *neutral;   /* of a row without effect: another value that is true anyway; NULL if none */
    enum config_section section;
    enum config_effect effect;
    /* Makes the canonical text of `value` in place, or says in `error` what is wrong with it; NULL if the type says it
     * all. */
    bool (*check)(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error);
    /* Derives fields from the canonical text, for rows that are kept as text. */
    void (*derive)(struct config *config, const char *value);
    const char *help; /* one to three sentences, for the manual page and the commented configuration file */
};

#define FIELD_STORAGE(field) \
    _Generic(((struct config *)0)->field,  \
        bool: STORED_BOOL,                 \
        int: STORED_INT,                   \
        uint32_t: STORED_U32,              \
        int64_t: STORED_I64,               \
        uint64_t: STORED_U64,              \
        char *: STORED_STRING,             \
        struct buf: STORED_BYTES)
#define FIELD(field) .offset = offsetof(struct config, field), .storage = FIELD_STORAGE(field)
#define LIMITS(low, high) .min = (low), .max = (high)

/* Takes the canonical text of `save` apart. */
void config_derive_save(struct config *config, const char *value);

/* The rows: those with an effect (config_table.c and, of process and log, config_table_process.c, of TLS,
 * config_table_tls.c), and those that are accepted and remembered (config_table_accepted.c). config_row_at goes over
 * all; `index` is below the count. */
extern const struct config_row config_live_rows[], config_process_rows[], config_tls_rows[], config_accepted_rows[];
extern const size_t config_live_count, config_process_count, config_tls_count, config_accepted_count;

size_t config_row_count(void);
const struct config_row *config_row_at(size_t index);

size_t config_row_index(const struct config_row *row);

/* By name or alias in any case; NULL if there is none. */
const struct config_row *config_row_find(struct bytes name);

/* True if the value may not be what the row says it does, because nothing here reads it yet. */
bool config_row_is_ineffective(const struct config_row *row);

/* One warning in the log if the row has no effect and a value that somebody gave it for one. */
void config_log_if_ineffective(const struct config *config, const struct config_row *row);

/* The canonical text of a row's value, appended. */
void config_format(const struct config *config, const struct config_row *row, struct buf *out);

/* Appends the canonical text of what somebody wrote; false if that is no value for the row. `error` is cleared, and
 * then gets the reason. */
bool config_canonical(
    const struct config *config, const struct config_row *row, struct bytes text, struct buf *value, struct buf *error);

/* Sets a value from what somebody wrote, several arguments separated by spaces; false and a reason in `error` (cleared
 * before), nothing changed, if that is no value for it. */
bool config_assign(struct config *config, const struct config_row *row, struct bytes text, struct buf *error);

/* --- config_check.c: values that are more than one number or word --- */
typedef bool config_check_fn(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error);
config_check_fn config_check_backlog, config_check_bind, config_check_dir, config_check_filename, config_check_hostname,
    config_check_hz, config_check_notify, config_check_oom_values, config_check_output_limits, config_check_percentiles,
    config_check_replicaof, config_check_save, config_check_shutdown, config_check_title;
void config_derive_notify(struct config *config, const char *value);
void config_derive_maxmemory_clients(struct config *config, const char *value);
void config_derive_maxmemory(struct config *config, const char *value);
void config_derive_bulk_max(struct config *config, const char *value);
void config_derive_output_limits(struct config *config, const char *value);
void config_derive_percentiles(struct config *config, const char *value);
void config_derive_oom_values(struct config *config, const char *value);

/* --- config_file.c --- */

/* The words of a line: separated by white space, "..." with escapes, '...'. */
struct config_words {
    struct bytes *items; /* owned, as is what they point to */
    size_t count;
    struct buf text;
};
/* False if quotes are unbalanced; to be freed in either case. */
bool config_words_split(struct config_words *words, struct bytes line);
void config_words_fini(struct config_words *words);

/* The words from `first` on, separated by single spaces. */
void config_words_join(const struct config_words *words, size_t first, struct buf *out);

/* --- config_print.c --- */

/* Appends the line, or lines, of a file that set this value. */
void config_append_lines(const struct config_row *row, struct bytes value, struct buf *out);

/*
 * The values: from text to struct config and back, whatever their type.
 *
 * config_assign makes the canonical text first, which is where everything can fail, and stores it then, which cannot.
 */
#include "server/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fiber.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "config_priv.h"

/* --- Rows --- */

/* One of the arrays of rows. */
struct config_table {
    const struct config_row *rows;
    const size_t *count;
};

/* In the order of CONFIG GET. */
static const struct config_table tables[] = {
    { config_live_rows, &config_live_count },
    { config_process_rows, &config_process_count },
    { config_tls_rows, &config_tls_count },
    { config_accepted_rows, &config_accepted_count },
};

#define TABLES_END (tables + sizeof tables / sizeof *tables)

size_t config_row_count(void)
{
    size_t count = 0;
    for (const struct config_table *table = tables; table < TABLES_END; table++)
        count += *table->count;
    return count;
}

const struct config_row *config_row_at(size_t index)
{
    const struct config_table *table = tables;
    while (index >= *table->count)
        index -= *table++->count;
    return &table->rows[index];
}

const struct config_row *config_row_find(struct bytes name)
{
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        if (bytes_is(name, row->name) || (row->alias && bytes_is(name, row->alias)))
            return row;
    }
    return NULL;
}

bool config_row_is_ineffective(const struct config_row *row)
{
    return row >= config_accepted_rows && row < config_accepted_rows + config_accepted_count;
}

size_t config_row_index(const struct config_row *row)
{
    size_t before = 0;
    const struct config_table *table = tables;
    for (; row < table->rows || row >= table->rows + *table->count; table++)
        before += *table->count;
    return before + (size_t)(row - table->rows);
}

/* --- Text of one of the types to its canonical form --- */

static bool is_within(const struct config_row *row, int64_t number, struct buf *error)
{
    if (number >= row->min && number <= row->max)
        return true;
    const char *format = row->type == CONFIG_OCTAL ? "argument must be between %llo and %llo inclusive"
                                                   : "argument must be between %lld and %lld inclusive";
    char text[96];
    snprintf(text, sizeof text, format, (long long)row->min, (long long)row->max);
    buf_append_cstr(error, text);
    return false;
}

static bool to_integer(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    int64_t number;
    if (!num_parse_i64(text, &number)) {
        buf_append_cstr(error, "argument couldn't be parsed into an integer");
        return false;
    }
    buf_printf(value, "%lld", (long long)number);
    return is_within(row, number, error);
}

static bool to_memory(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    uint64_t number;
    if (!num_parse_memory(text, &number)) {
        buf_append_cstr(error, "argument must be a memory value");
        return false;
    }
    buf_printf(value, "%llu", (unsigned long long)number);
    return row->max == 0 || is_within(row, number > INT64_MAX ? -1 : (int64_t)number, error);
}

/* 5% stays what it is; anything else is an amount of memory. */
static bool to_percent(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    int64_t percent;
    uint64_t number;
    if (text.len > 1 && text.ptr[text.len - 1] == '%' && num_parse_i64(bytes_make(text.ptr, text.len - 1), &percent) &&
        percent >= 0) {
        if (percent > 100) {
            buf_append_cstr(error, "percentage argument must be less or equal to 100");
            return false;
        }
        buf_printf(value, "%lld%%", (long long)percent);
        return true;
    }
    if (!num_parse_memory(text, &number)) {
        buf_append_cstr(error, row->flags & CONFIG_SHARE ? "argument must be a memory value"
                                                         : "argument must be a memory or percent value");
        return false;
    }
    buf_printf(value, "%llu", (unsigned long long)number);
    return true;
}

static bool to_octal(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    int64_t number = 0;
    bool good = text.len > 0 && text.len <= 12;
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '7';
        number = number * 8 + (text.ptr[i] - '0');
    }
    if (!good) {
        buf_append_cstr(error, "argument couldn't be parsed as an octal number");
        return false;
    }
    buf_printf(value, "%llo", (unsigned long long)number);
    return is_within(row, number, error);
}

static bool to_bool(struct bytes text, struct buf *value, struct buf *error)
{
    bool yes = bytes_is(text, "yes");
    if (!yes && !bytes_is(text, "no")) {
        buf_append_cstr(error, "argument must be 'yes' or 'no'");
        return false;
    }
    buf_append_cstr(value, yes ? "yes" : "no");
    return true;
}

static const struct config_choice *find_choice(const struct config_row *row, struct bytes word)
{
    for (const struct config_choice *choice = row->choices; choice->word; choice++)
        if (bytes_is(word, choice->word))
            return choice;
    return NULL;
}

static bool refuse_choice(const struct config_row *row, struct buf *error)
{
    buf_append_cstr(error, "argument(s) must be one of the following: ");
    for (const struct config_choice *choice = row->choices; choice->word; choice++)
        if (!row->named_choices || (size_t)(choice - row->choices) < row->named_choices)
            buf_printf(error, "%s%s", choice == row->choices ? "" : ", ", choice->word);
    return false;
}

/* The first word of that value: words that mean the same are shown as one. */
static const char *choice_word(const struct config_row *row, int64_t value)
{
    const struct config_choice *choice = row->choices;
    while (choice->word && choice->value != value)
        choice++;
    return choice->word ? choice->word : "";
}

static bool to_choice(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    const struct config_choice *choice = find_choice(row, text);
    if (!choice)
        return refuse_choice(row, error);
    buf_append_cstr(value, choice_word(row, choice->value));
    return true;
}

/* Words become the ones of the list, in its order; the first of the list stands for none of the others. */
static bool to_words(const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    uint32_t seen = 0;
    struct config_words words;
    bool good = config_words_split(&words, text) && words.count > 0;
    for (size_t i = 0; good && i < words.count; i++) {
        const struct config_choice *choice = find_choice(row, words.items[i]);
        good = choice != NULL;
        if (choice)
            seen |= 1u << (choice - row->choices);
    }
    config_words_fini(&words);
    if (!good)
        return refuse_choice(row, error);
    for (uint32_t i = 1; row->choices[i].word; i++)
        if (seen & 1u << i)
            buf_printf(value, "%s%s", value->len ? " " : "", row->choices[i].word);
    if (!value->len)
        buf_append_cstr(value, row->choices[0].word);
    return true;
}

bool config_canonical(
    const struct config *config, const struct config_row *row, struct bytes text, struct buf *value, struct buf *error)
{
    bool good = true;
    buf_clear(error);
    switch (row->type) {
    case CONFIG_TEXT:
        buf_append(value, text);
        break;
    case CONFIG_BOOL:
        good = to_bool(text, value, error);
        break;
    case CONFIG_INTEGER:
        good = to_integer(row, text, value, error);
        break;
    case CONFIG_MEMORY:
        good = to_memory(row, text, value, error);
        break;
    case CONFIG_PERCENT:
        good = to_percent(row, text, value, error);
        break;
    case CONFIG_OCTAL:
        good = to_octal(row, text, value, error);
        break;
    case CONFIG_CHOICE:
        good = to_choice(row, text, value, error);
        break;
    case CONFIG_WORDS:
        good = to_words(row, text, value, error);
        break;
    }
    return good && (!row->check || row->check(row, config, value, error));
}

/* --- Storing and formatting --- */

static void replace_text(char **place, const char *text)
{
    char *old = *place;
    *place = mem_strdup(text);
    mem_free(old);
}

/* The number that a canonical text stands for. */
static uint64_t number_of(const struct config_row *row, const char *value)
{
    if (row->type == CONFIG_CHOICE)
        return (uint64_t)(int64_t)find_choice(row, bytes_from_cstr(value))->value;
    if (row->type == CONFIG_BOOL)
        return value[0] == 'y';
    return value[0] == '-' ? (uint64_t)strtoll(value, NULL, 10)
                           : strtoull(value, NULL, row->type == CONFIG_OCTAL ? 8 : 10);
}

static void store(struct config *config, const struct config_row *row, struct bytes content)
{
    char *place = (char *)config + row->offset;
    const char *value = content.ptr; /* terminated */
    if (row->storage == KEPT_AS_TEXT)
        replace_text(&config->texts[config_row_index(row)], value);
    else if (row->storage == STORED_STRING)
        replace_text((char **)(void *)place, value);
    else if (row->storage == STORED_BYTES) {
        struct buf *kept = (struct buf *)(void *)place;
        buf_clear(kept);
        buf_append(kept, content);
    } else {
        uint64_t number = number_of(row, value);
        switch (row->storage) {
        case STORED_BOOL:
            *(bool *)place = number != 0;
            break;
        case STORED_INT:
        case STORED_U32:
            memcpy(place, &(uint32_t){ (uint32_t)number }, sizeof(uint32_t));
            break;
        default:
            memcpy(place, &number, sizeof number);
        }
    }
    if (row->derive)
        row->derive(config, value);
}

static int64_t load_number(const struct config *config, const struct config_row *row)
{
    const char *place = (const char *)config + row->offset;
    int64_t wide;
    uint32_t narrow;
    switch (row->storage) {
    case STORED_BOOL:
        return *(const bool *)place;
    case STORED_INT:
        memcpy(&narrow, place, sizeof narrow);
        return (int32_t)narrow;
    case STORED_U32:
        memcpy(&narrow, place, sizeof narrow);
        return narrow;
    default:
        memcpy(&wide, place, sizeof wide);
        return wide;
    }
}

void config_format(const struct config *config, const struct config_row *row, struct buf *out)
{
    if (row->storage == KEPT_AS_TEXT) {
        buf_append_cstr(out, config->texts[config_row_index(row)]);
        return;
    }
    if (row->storage == STORED_STRING) {
        const char *text = *(char *const *)(const void *)((const char *)config + row->offset);
        buf_append_cstr(out, text ? text : "");
        return;
    }
    if (row->storage == STORED_BYTES) {
        buf_append(out, buf_bytes((const struct buf *)(const void *)((const char *)config + row->offset)));
        return;
    }
    int64_t number = load_number(config, row);
    if (row->type == CONFIG_BOOL)
        buf_append_cstr(out, number ? "yes" : "no");
    else if (row->type == CONFIG_CHOICE)
        buf_append_cstr(out, choice_word(row, number));
    else if (row->type == CONFIG_OCTAL)
        buf_printf(out, "%llo", (unsigned long long)number);
    else
        buf_printf(out, "%lld", (long long)number);
}

bool config_assign(struct config *config, const struct config_row *row, struct bytes text, struct buf *error)
{
    struct buf value = BUF_EMPTY;
    bool good = config_canonical(config, row, text, &value, error);
    if (good)
        store(config, row, bytes_make(buf_cstr(&value), value.len));
    buf_fini(&value);
    return good;
}

/* --- Life --- */

void config_init(struct config *config)
{
    *config = (struct config){ 0 };
    config->texts = mem_zalloc(config_row_count() * sizeof *config->texts);
    struct buf error = BUF_EMPTY;
    for (size_t i = 0; i < config_row_count(); i++)
        store(config, config_row_at(i), bytes_from_cstr(config_row_at(i)->initial));
    /* The directory has no name yet; if it has none at all (it was removed), it stays "./". */
    config_assign(config, config_row_find(BYTES("dir")), BYTES("./"), &error);
    buf_fini(&error);
}

void config_fini(struct config *config)
{
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        mem_free(config->texts[i]);
        if (row->storage == STORED_STRING)
            mem_free(*(char **)(void *)((char *)config + row->offset));
        else if (row->storage == STORED_BYTES)
            buf_fini((struct buf *)(void *)((char *)config + row->offset));
    }
    mem_free(config->texts);
    mem_free(config->users);
    for (struct config_rename *rename = config->renames; rename;) {
        struct config_rename *next = rename->next;
        mem_free(rename->from);
        mem_free(rename->to);
        mem_free(rename);
        rename = next;
    }
    mem_free(config->file);
    *config = (struct config){ 0 };
}

/* --- Looking at it --- */

/* What a name is to be shown as: itself, or as a pattern that is exactly the name has it; an empty pointer if nothing
 * fits. */
static struct bytes fitting(const char *name, bool hidden, const struct bytes *patterns, size_t count)
{
    enum { PATTERN_MAX = 200 };
    struct bytes text = bytes_from_cstr(name);
    for (size_t i = 0; i < count; i++) {
        if (bytes_equal_nocase(patterns[i], text))
            return patterns[i];
        if (!hidden && glob_match_nocase(patterns[i], text))
            return text;
        fiber_breathe(1 + (unsigned)(patterns[i].len < PATTERN_MAX ? patterns[i].len : PATTERN_MAX) / 2);
    }
    return (struct bytes){ 0 };
}

void config_each(const struct config *config, const struct bytes *patterns, size_t pattern_count,
    void (*each)(void *context, struct bytes name, struct bytes value), void *context)
{
    struct buf value = BUF_EMPTY;
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        const char *const names[] = { row->name, row->alias };
        for (size_t k = 0; k < 2 && names[k] && !(row->flags & CONFIG_FILE_ONLY); k++) {
            struct bytes name = fitting(names[k], row->flags & CONFIG_HIDDEN, patterns, pattern_count);
            if (!name.ptr)
                continue;
            buf_clear(&value);
            config_format(config, row, &value);
            each(context, name, bytes_make(buf_cstr(&value), value.len));
        }
    }
    buf_fini(&value);
}

void config_log_if_ineffective(const struct config *config, const struct config_row *row)
{
    if (!config_row_is_ineffective(row))
        return;
    const char *value = config->texts[config_row_index(row)];
    if (strcmp(value, row->initial) != 0 && !(row->neutral && !strcmp(value, row->neutral)))
        log_write(LOG_WARNING, "the directive '%s' has no effect in this version", row->name);
}

void config_log_ineffective(const struct config *config)
{
    for (size_t i = 0; i < config_row_count(); i++)
        config_log_if_ineffective(config, config_row_at(i));
}

void config_format_title(const struct config *config, const char *title, struct buf *out)
{
    struct bytes address = { config->bind, strcspn(config->bind, " ") };
    if (address.len > 0 && address.ptr[0] == '-')
        address = bytes_make(address.ptr + 1, address.len - 1);
    for (const char *c = config->proc_title_template; *c;) {
        size_t len = strcspn(c, "}");
        struct bytes word = { c, c[0] == '{' && c[len] ? len + 1 : 0 };
        if (bytes_is(word, "{title}"))
            buf_append_cstr(out, title);
        else if (bytes_is(word, "{listen-addr}") && config->port == 0 && config->unixsocket[0])
            buf_append_cstr(out, config->unixsocket);
        else if (bytes_is(word, "{listen-addr}"))
            buf_printf(out, "%.*s:%lld", (int)address.len, address.ptr, (long long)config->port);
        else if (bytes_is(word, "{port}"))
            buf_printf(out, "%lld", (long long)config->port);
        else if (bytes_is(word, "{tls-port}"))
            config_format(config, config_row_find(BYTES("tls-port")), out);
        else if (bytes_is(word, "{unixsocket}"))
            buf_append_cstr(out, config->unixsocket);
        else if (bytes_is(word, "{config-file}"))
            buf_append_cstr(out, config->file ? config->file : "");
        else if (!bytes_is(word, "{server-mode}")) /* that one is empty for a server that stands alone */
            buf_append_char(out, *c);
        c += word.len ? word.len : 1;
    }
    while (out->len > 0 && out->ptr[out->len - 1] == ' ')
        out->ptr[--out->len] = '\0';
}

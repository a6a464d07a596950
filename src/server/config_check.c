/*
 * Values that are more than one number or word: each check makes the canonical text, in place, or says what is wrong.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/num.h"
#include "config_priv.h"
#include "engine/notify.h"
#include "server/memory_limit.h"

enum { BIND_MAX = 16, HZ_MIN = 1, HZ_MAX = 500, OOM_LIMIT = 2000, BACKLOG_MIN = 16384, HOSTNAME_MAX_LEN = 256 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";

/* --- Small ones --- */

bool config_check_bind(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    struct config_words words;
    bool split = config_words_split(&words, buf_bytes(value));
    bool good = split && words.count <= BIND_MAX;
    if (good) {
        buf_clear(value);
        config_words_join(&words, 0, value);
    } else
        buf_append_cstr(error, split ? "Too many bind addresses specified." : "Invalid bind addresses.");
    config_words_fini(&words);
    return good;
}

/* To be valid is to be entered: so that what follows in the file, and what is opened next, is relative to it. */
bool config_check_dir(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    char path[PATH_MAX];
    if (chdir(buf_cstr(value)) != 0 || !getcwd(path, sizeof path)) {
        buf_append_cstr(error, strerror(errno));
        return false;
    }
    buf_clear(value);
    buf_append_cstr(value, path);
    return true;
}

bool config_check_filename(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)config;
    if (value->len == 0 && strcmp(row->name, "dbfilename") != 0)
        buf_printf(error, "%s can't be empty", row->name);
    else if (strchr(buf_cstr(value), '/'))
        buf_printf(error, "%s can't be a path, just a %s", row->name,
            strcmp(row->name, "appenddirname") == 0 ? "dirname" : "filename");
    return error->len == 0;
}

bool config_check_hz(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    (void)error;
    long hz = strtol(buf_cstr(value), NULL, 10);
    buf_clear(value);
    buf_printf(value, "%ld", hz < HZ_MIN ? HZ_MIN : hz > HZ_MAX ? HZ_MAX : hz);
    return true;
}

bool config_check_hostname(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    const char *text = buf_cstr(value);
    if (value->len >= HOSTNAME_MAX_LEN)
        buf_printf(error, "Hostnames must be less than %d characters", HOSTNAME_MAX_LEN);
    else if (text[strspn(text, letters)])
        buf_append_cstr(error, "Hostnames may only contain alphanumeric characters, hyphens or dots");
    return error->len == 0;
}

/* A smaller backlog would not work, so Redis makes it as large as it must be. */
bool config_check_backlog(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    (void)error;
    if (strtoull(buf_cstr(value), NULL, 10) < BACKLOG_MIN) {
        buf_clear(value);
        buf_printf(value, "%d", BACKLOG_MIN);
    }
    return true;
}

bool config_check_shutdown(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    if (strncmp(buf_cstr(value), "save nosave", 11) != 0)
        return true;
    buf_append_cstr(error, "shutdown options SAVE and NOSAVE can't be used simultaneously");
    return false;
}

bool config_check_title(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    static const char *const known[] = { "{title}", "{listen-addr}", "{server-mode}", "{port}", "{tls-port}",
        "{unixsocket}", "{config-file}" };
    static const char bad_template[] = "template format is invalid or contains unknown variables";
    (void)row;
    (void)config;
    if (value->len == 0) {
        buf_append_cstr(error, bad_template);
        return false;
    }
    for (const char *c = buf_cstr(value); (c = strchr(c, '{')) != NULL; c++) {
        size_t i = 0;
        while (i < sizeof known / sizeof *known && strncasecmp(c, known[i], strlen(known[i])) != 0)
            i++;
        if (i == sizeof known / sizeof *known) {
            buf_append_cstr(error, bad_template);
            return false;
        }
    }
    return true;
}

/* "host port"; "no one" is none. */
bool config_check_replicaof(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    struct config_words words;
    int64_t port;
    if (!config_words_split(&words, buf_bytes(value)) || words.count != 2)
        buf_append_cstr(error, "wrong number of arguments");
    else if (bytes_is(words.items[0], "no") && bytes_is(words.items[1], "one"))
        buf_clear(value);
    else if (!num_parse_i64(words.items[1], &port) || port < 0 || port > 65535)
        buf_append_cstr(error, "Invalid master port");
    config_words_fini(&words);
    return error->len == 0;
}

/* Letters of event classes. */
bool config_check_notify(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    uint32_t classes;
    char text[NOTIFY_LETTERS_MAX];
    if (!notify_parse(buf_bytes(value), &classes)) {
        buf_append_cstr(error, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
        return false;
    }
    notify_print(classes, text);
    buf_clear(value);
    buf_append_cstr(value, text);
    return true;
}

void config_derive_notify(struct config *config, const char *value)
{
    notify_parse(bytes_from_cstr(value), &config->engine.notify_events);
}

/* --- Lists of numbers --- */

/* Pairs of seconds and changes. */
bool config_check_save(const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    struct config_words words;
    bool good = config_words_split(&words, buf_bytes(value)) && words.count % 2 == 0;
    buf_clear(value);
    for (size_t i = 0; good && i < words.count; i++) {
        int64_t number;
        good = num_parse_i64(words.items[i], &number) && number >= (i % 2 == 0 ? 1 : 0) && number <= INT32_MAX;
        if (good)
            buf_printf(value, "%s%lld", i ? " " : "", (long long)number);
    }
    config_words_fini(&words);
    if (!good)
        buf_append_cstr(error, "Invalid save parameters");
    return good;
}

void config_derive_save(struct config *config, const char *value)
{
    struct config_words words;
    struct save_points *points = &config->save_points;
    points->count = 0;
    if (config_words_split(&words, bytes_from_cstr(value)))
        for (size_t i = 0; i + 1 < words.count && points->count < SAVE_POINTS_MAX; i += 2) {
            struct save_point *point = &points->points[points->count++];
            num_parse_i64(words.items[i], &point->seconds);
            num_parse_i64(words.items[i + 1], &point->changes);
        }
    config_words_fini(&words);
}

bool config_check_oom_values(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    (void)config;
    struct config_words words;
    bool good = config_words_split(&words, buf_bytes(value)) && words.count == 3;
    if (!good)
        buf_append_cstr(error, "wrong number of arguments");
    buf_clear(value);
    for (size_t i = 0; good && i < words.count; i++) {
        int64_t number;
        good = num_parse_i64(words.items[i], &number) && number >= -OOM_LIMIT && number <= OOM_LIMIT;
        if (good)
            buf_printf(value, "%s%lld", i ? " " : "", (long long)number);
        else
            buf_append_cstr(error, "Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
    }
    config_words_fini(&words);
    return good;
}

void config_derive_oom_values(struct config *config, const char *value)
{
    sscanf(value, "%d %d %d", &config->oom_values[0], &config->oom_values[1], &config->oom_values[2]);
}

/* As INFO and CONFIG GET show a percentile: at most six places, no trailing zeros. */
static void append_percentile(struct buf *out, double percentile)
{
    char text[32];
    size_t len = (size_t)snprintf(text, sizeof text, "%.6f", percentile);
    while (text[len - 1] == '0')
        len--;
    buf_append(out, bytes_make(text, text[len - 1] == '.' ? len - 1 : len));
}

bool config_check_percentiles(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    struct config_words words;
    size_t room = sizeof config->latency_percentiles / sizeof *config->latency_percentiles;
    if (!config_words_split(&words, buf_bytes(value)) || words.count > room)
        buf_append_cstr(error, "Invalid latency-tracking-info-percentiles parameters");
    buf_clear(value);
    for (size_t i = 0; !error->len && i < words.count; i++) {
        double percentile;
        if (!num_parse_double(words.items[i], &percentile))
            buf_append_cstr(error, "Invalid latency-tracking-info-percentiles parameters");
        else if (percentile < 0 || percentile > 100)
            buf_append_cstr(error, "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
        else {
            buf_append_cstr(value, i ? " " : "");
            append_percentile(value, percentile);
        }
    }
    config_words_fini(&words);
    return error->len == 0;
}

void config_derive_percentiles(struct config *config, const char *value)
{
    size_t count = 0, room = sizeof config->latency_percentiles / sizeof *config->latency_percentiles;
    for (char *end; *value && count < room; value = end + (*end == ' '))
        config->latency_percentiles[count++] = strtod(value, &end);
    config->latency_percentile_count = count;
}

void config_derive_bulk_max(struct config *config, const char *value)
{
    config->engine.bulk_max = (size_t)strtoull(value, NULL, 10);
}

/* --- client-output-buffer-limit --- */

enum { LIMIT_CLASSES = 3, LIMIT_FIELDS = 4 };

static const char *const limit_classes[LIMIT_CLASSES] = { "normal", "slave", "pubsub" };

static int limit_class(struct bytes name)
{
    if (bytes_is(name, "replica"))
        return 1;
    for (int i = 0; i < LIMIT_CLASSES; i++)
        if (bytes_is(name, limit_classes[i]))
            return i;
    return -1;
}

/* One class: name, hard limit, soft limit, seconds. */
static bool read_limit(const struct bytes *words, struct net_output_limit *limits, struct buf *error)
{
    int64_t seconds;
    int class = limit_class(words[0]);
    if (class < 0) {
        buf_append_cstr(error, "Invalid client class specified in buffer limit configuration.");
        return false;
    }
    struct net_output_limit *limit = &limits[class];
    if (num_parse_memory(words[1], &limit->hard_bytes) && num_parse_memory(words[2], &limit->soft_bytes) &&
        num_parse_i64(words[3], &seconds) && seconds >= 0 && seconds <= INT32_MAX) {
        limit->soft_s = (uint32_t)seconds;
        return true;
    }
    buf_append_cstr(error, "Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    return false;
}

/* What is given changes its classes; the others stay as they are. */
bool config_check_output_limits(
    const struct config_row *row, const struct config *config, struct buf *value, struct buf *error)
{
    (void)row;
    struct net_output_limit limits[LIMIT_CLASSES];
    memcpy(limits, config->net.output_limits, sizeof limits);
    struct config_words words;
    if (!config_words_split(&words, buf_bytes(value)) || words.count % LIMIT_FIELDS != 0)
        buf_append_cstr(error, "Wrong number of arguments in buffer limit configuration.");
    for (size_t i = 0; !error->len && i < words.count; i += LIMIT_FIELDS)
        read_limit(words.items + i, limits, error);
    config_words_fini(&words);
    buf_clear(value);
    for (int i = 0; i < LIMIT_CLASSES; i++)
        buf_printf(value, "%s%s %llu %llu %u", i ? " " : "", limit_classes[i], (unsigned long long)limits[i].hard_bytes,
            (unsigned long long)limits[i].soft_bytes, limits[i].soft_s);
    return error->len == 0;
}

void config_derive_output_limits(struct config *config, const char *value)
{
    struct buf error = BUF_EMPTY;
    struct config_words words;
    config_words_split(&words, bytes_from_cstr(value));
    for (size_t i = 0; i + LIMIT_FIELDS <= words.count; i += LIMIT_FIELDS)
        read_limit(words.items + i, config->net.output_limits, &error);
    config_words_fini(&words);
    buf_fini(&error);
}

void config_derive_maxmemory(struct config *config, const char *value)
{
    config->engine.memory.limit = memory_share(value, memory_available());
}

/* A percentage is one of maxmemory, which may change: it is worked out whenever it is needed. */
void config_derive_maxmemory_clients(struct config *config, const char *value)
{
    const char *end = value + strlen(value);
    bool percent = end > value && end[-1] == '%';
    config->clients_percent = percent ? (int)strtoll(value, NULL, 10) : 0;
    config->clients_bytes = percent ? 0 : strtoull(value, NULL, 10);
}

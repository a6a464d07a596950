/*
 * Configuration read from text and from command lines: words, values, what is refused and where, and that a directive
 * whose value is shown can be given that value again.
 */
#include "server/config.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static struct config config;

static void set_up(void)
{
    mem_thread_register();
    config_init(&config);
}

static void tear_down(void)
{
    config_fini(&config);
}

/* Reads text that must be good. */
static void read_good(const char *text)
{
    struct buf error = BUF_EMPTY;
    cr_assert(config_read_text(&config, bytes_from_cstr(text), &error), "%s", buf_cstr(&error));
    cr_assert_eq(error.len, 0);
}

/* Reads text that must not be: the error names the line and holds the message. */
static void read_bad(const char *text, size_t line, const char *message)
{
    struct buf error = BUF_EMPTY;
    char place[64];
    snprintf(place, sizeof place, "at line %zu\n", line);
    cr_assert_not(config_read_text(&config, bytes_from_cstr(text), &error), "%s", text);
    cr_assert(strstr(buf_cstr(&error), "\n*** FATAL CONFIG FILE ERROR (Larder " LARDER_VERSION ") ***\n"));
    cr_assert(strstr(buf_cstr(&error), place), "%s", buf_cstr(&error));
    cr_assert(strstr(buf_cstr(&error), message), "%s", buf_cstr(&error));
    buf_fini(&error);
}

static void keep(void *context, struct bytes name, struct bytes value)
{
    (void)name;
    buf_append(context, value);
}

static void expect_value(const char *name, const char *expected)
{
    struct buf value = BUF_EMPTY;
    struct bytes pattern = bytes_from_cstr(name);
    config_each(&config, &pattern, 1, keep, &value);
    cr_assert_str_eq(buf_cstr(&value), expected, "%s: %s", name, buf_cstr(&value));
    buf_fini(&value);
}

Test(config, has_defaults, .init = set_up, .fini = tear_down)
{
    cr_assert_eq(config.port, 6379);
    cr_assert_str_eq(config.bind, "* -::*");
    cr_assert_eq(config.net.bulk_max, 512u * 1024 * 1024);
    cr_assert_eq(config.engine.bulk_max, config.net.bulk_max);
    cr_assert_eq(config.net.clients_max, 10000u);
    cr_assert_eq(config.net.output_limits[1].soft_bytes, 64u * 1024 * 1024);
    cr_assert_eq(config.net.output_limits[2].soft_s, 60u);
    cr_assert_eq(config.latency_percentile_count, 3u);
    cr_assert_eq(config.latency_percentiles[2], 99.9);
    cr_assert_eq(config.loglevel, LOG_NOTICE);
    cr_assert_eq(config.supervised, SUPERVISED_NO);
    cr_assert_str_empty(buf_cstr(&config.requirepass));
    cr_assert_eq(config.dir[0], '/');
}

Test(config, reads_words, .init = set_up, .fini = tear_down)
{
    read_good("requirepass \"a b\\n\\x41\\\"\\\\\\q\"\n");
    cr_assert_str_eq(buf_cstr(&config.requirepass), "a b\nA\"\\q");
    read_good("  requirepass\t'it\\'s \\n'  \r\n");
    cr_assert_str_eq(buf_cstr(&config.requirepass), "it's \\n");
    read_good("requirepass \"\"");
    cr_assert_str_empty(buf_cstr(&config.requirepass));
    read_good("requirepass x#y");
    cr_assert_str_eq(buf_cstr(&config.requirepass), "x#y");
    read_good("REQUIREPASS ab\"c d\"");
    cr_assert_str_eq(buf_cstr(&config.requirepass), "abc d");
    read_good("\n\n # port 1\n#port 2\r\n\r\n");
    cr_assert_eq(config.port, 6379);
    read_bad("port 1\nport \"2\n", 2, "Unbalanced quotes in configuration line");
    read_bad("port '2", 1, "Unbalanced quotes");
    read_bad("port \"2\"3", 1, "Unbalanced quotes");
    read_bad("port \"2\\", 1, "Unbalanced quotes");
}

Test(config, reads_long_lines, .init = set_up, .fini = tear_down)
{
    enum { LONG = 300000 };
    struct buf text = BUF_EMPTY;
    buf_append_cstr(&text, "requirepass \"");
    memset(buf_extend(&text, LONG), 'x', LONG);
    buf_append_cstr(&text, "\"\nport 7\n");
    read_good(buf_cstr(&text));
    cr_assert_eq(strlen(buf_cstr(&config.requirepass)), LONG);
    cr_assert_eq(config.port, 7);
    buf_fini(&text);
}

Test(config, checks_types, .init = set_up, .fini = tear_down)
{
    read_good("port 0\nport 65535\nunixsocketperm 755\nclient-query-buffer-limit 2MB\nsupervised SYSTEMD\n");
    cr_assert_eq(config.port, 65535);
    cr_assert_eq(config.unixsocket_perm, 0755);
    cr_assert_eq(config.net.query_buffer_max, 2u * 1024 * 1024);
    cr_assert_eq(config.supervised, SUPERVISED_SYSTEMD);
    read_bad("\nport 65536", 2, "argument must be between 0 and 65535 inclusive");
    read_bad("port 1x", 1, "argument couldn't be parsed into an integer");
    read_bad("daemonize on", 1, "argument must be 'yes' or 'no'");
    read_bad("unixsocketperm 8", 1, "argument couldn't be parsed as an octal number");
    read_bad("unixsocketperm 1000", 1, "argument must be between 0 and 777 inclusive");
    read_bad("maxmemory 1zb", 1, "argument must be a memory value");
    read_bad("maxmemory-clients 101%", 1, "percentage argument must be less or equal to 100");
    read_bad("supervised maybe", 1, "argument(s) must be one of the following: upstart, systemd, auto, no");
    read_bad("shutdown-on-sigint", 1, "argument(s) must be one of the following: default, save, nosave, now, force");
    read_bad("port", 1, "wrong number of arguments");
    read_bad("port 1 2", 1, "wrong number of arguments");
    read_bad("potr 1", 1, "Bad directive or wrong number of arguments");
    cr_assert_eq(config.port, 65535);
}

Test(config, normalises_values, .init = set_up, .fini = tear_down)
{
    static const char *const cases[][3] = {
        { "hz", "0", "1" },
        { "hz", "9999", "500" },
        { "maxmemory", "1kb", "1024" },
        { "maxmemory", "1k", "1000" },
        { "maxmemory-clients", "5%", "5%" },
        { "notify-keyspace-events", "eKxlg$hszdt", "AK" },
        { "notify-keyspace-events", "KlE", "lKE" },
        { "shutdown-on-sigterm", "force NOSAVE", "nosave force" },
        { "shutdown-on-sigterm", "default", "default" },
        { "latency-tracking-info-percentiles", "50.000 99.90 100", "50 99.9 100" },
        { "oom-score-adj", "relative", "yes" },
        { "bind", "127.0.0.1   ::1", "127.0.0.1 ::1" },
        { "slaveof", "host 7000", "host 7000" },
        { "replicaof", "no one", "" },
        { "hash-max-ziplist-entries", "7", "7" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf line = BUF_EMPTY;
        buf_printf(&line, "%s %s", cases[i][0], cases[i][1]);
        read_good(buf_cstr(&line));
        expect_value(cases[i][0], cases[i][2]);
        buf_fini(&line);
    }
}

Test(config, merges_lines_of_one_directive, .init = set_up, .fini = tear_down)
{
    expect_value("save", "3600 1 300 100 60 10000");
    read_good("save 900 1\nsave 300 10\n");
    expect_value("save", "900 1 300 10");
    read_good("save 5 5\nsave \"\"\nsave 7 7");
    expect_value("save", "7 7");
    read_good("client-output-buffer-limit replica 1mb 2kb 3\nclient-output-buffer-limit normal 4 5 6");
    expect_value("client-output-buffer-limit", "normal 4 5 6 slave 1048576 2048 3 pubsub 33554432 8388608 60");
    cr_assert_eq(config.net.output_limits[0].hard_bytes, 4u);
    cr_assert_eq(config.net.output_limits[1].soft_s, 3u);
    read_good("rename-command A b\nrename-command C \"\"\n");
    cr_assert_str_eq(config.renames->from, "A");
    cr_assert_str_empty(config.renames->next->to);
    cr_assert_null(config.renames->next->next);
}

Test(config, hides_secrets, .init = set_up, .fini = tear_down)
{
    static const char *const lines[] = { "requirepass a sesame", "masterauth sesame b", "requirepass \"sesame",
        "tls-key-file-pass sesame b", "user x >sesame \"" };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct buf error = BUF_EMPTY;
        cr_assert_not(config_read_text(&config, bytes_from_cstr(lines[i]), &error));
        cr_assert_null(strstr(buf_cstr(&error), "sesame"), "%s", buf_cstr(&error));
        buf_fini(&error);
    }
}

Test(config, refuses_without_a_change, .init = set_up, .fini = tear_down)
{
    read_bad("save 1 2 3", 1, "Invalid save parameters");
    expect_value("save", "3600 1 300 100 60 10000");
    read_bad("client-output-buffer-limit normal 1 1 1 nosuch 1 1 1", 1, "Invalid client class");
    cr_assert_eq(config.net.output_limits[0].hard_bytes, 0u);
    read_bad("dir /nothing/at/all", 1, "No such file or directory");
    read_bad("latency-tracking-info-percentiles 1 2 x", 1, "Invalid latency-tracking-info-percentiles");
    cr_assert_eq(config.latency_percentile_count, 3u);
}

/* Every value that is shown is accepted as it is shown, and shown the same again. */
static void give_back(void *context, struct bytes name, struct bytes value)
{
    struct buf line = BUF_EMPTY, error = BUF_EMPTY;
    (void)context;
    buf_printf(&line, "%.*s ", (int)name.len, name.ptr);
    buf_append_quoted(&line, value);
    struct config other;
    config_init(&other);
    bool is_replica_of_none = value.len == 0 && (bytes_is(name, "replicaof") || bytes_is(name, "slaveof"));
    bool is_nameless = value.len == 0 && bytes_is(name, "oom-score-adj-values");
    if (!is_replica_of_none && !is_nameless)
        cr_assert(config_read_text(&other, buf_bytes(&line), &error), "%s", buf_cstr(&error));
    struct buf again = BUF_EMPTY;
    config_each(&other, &name, 1, keep, &again);
    cr_assert(bytes_equal(buf_bytes(&again), value), "%s -> %s", buf_cstr(&line), buf_cstr(&again));
    config_fini(&other);
    buf_fini(&again);
    buf_fini(&error);
    buf_fini(&line);
}

Test(config, values_can_be_given_back, .init = set_up, .fini = tear_down)
{
    struct bytes any = BYTES("*");
    config_each(&config, &any, 1, give_back, NULL);
}

/* --- Arguments --- */

static bool read_arguments(struct buf *error, int argc, const char *const *argv)
{
    char *copies[16];
    for (int i = 0; i < argc; i++)
        copies[i] = mem_strdup(argv[i]);
    bool good = config_read_arguments(&config, argc, copies, error);
    for (int i = 0; i < argc; i++)
        mem_free(copies[i]);
    return good;
}

#define ARGUMENTS(...) \
    read_arguments(    \
        &error, (int)(sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)), (const char *[]){ __VA_ARGS__ })

Test(config, reads_arguments, .init = set_up, .fini = tear_down)
{
    struct buf error = BUF_EMPTY;
    cr_assert(config_read_arguments(&config, 0, NULL, &error));
    cr_assert(ARGUMENTS("--port", "7000", "--save", "", "--bind", "127.0.0.1", "::1"));
    cr_assert_eq(config.port, 7000);
    expect_value("save", "");
    expect_value("bind", "127.0.0.1 ::1");
    cr_assert(ARGUMENTS("--requirepass", "--x y", "--hz 20", "--save"));
    cr_assert_str_eq(buf_cstr(&config.requirepass), "--x y");
    cr_assert_eq(config.hz, 20);
    cr_assert(ARGUMENTS("--save", "--hz", "30"));
    cr_assert_eq(config.hz, 30);
    cr_assert_null(config.file);
    cr_assert_not(ARGUMENTS("--hz", "x"));
    buf_clear(&error);
    cr_assert_not(ARGUMENTS("no/such/file", "--hz", "40"));
    cr_assert(strstr(buf_cstr(&error), "can't open config file"));
    cr_assert_eq(config.hz, 30);
    buf_fini(&error);
}

Test(config, expands_titles, .init = set_up, .fini = tear_down)
{
    struct buf title = BUF_EMPTY;
    read_good("bind -127.0.0.1 ::1\nport 7000\n");
    config_format_title(&config, "server", &title);
    cr_assert_str_eq(buf_cstr(&title), "server 127.0.0.1:7000");
    buf_clear(&title);
    read_good(
        "port 0\nunixsocket /run/x\nproc-title-template \"<{Title}> {listen-addr} {port} } {tls-port} {unixsocket}\"");
    config_format_title(&config, "server", &title);
    cr_assert_str_eq(buf_cstr(&title), "<server> /run/x 0 } 0 /run/x");
    buf_fini(&title);
    read_bad("proc-title-template {nothing}", 1, "template format is invalid");
    read_bad("proc-title-template {", 1, "template format is invalid");
}

Test(config, its_own_default_file_is_good, .init = set_up, .fini = tear_down)
{
    struct buf text = BUF_EMPTY, manual = BUF_EMPTY;
    config_print_default(&text);
    read_good(buf_cstr(&text));
    cr_assert_str_eq(config.bind, "127.0.0.1 -::1");
    config_print_manual(&manual);
    cr_assert(strstr(buf_cstr(&manual), "\n.SH NETWORK\n"));
    buf_fini(&text);
    buf_fini(&manual);
}

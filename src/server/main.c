/*
 * larder-server: reads its configuration, becomes what it says, serves.
 */
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/version.h"
#include "server/crash.h"
#include "server/process.h"
#include "server/server.h"

static const char usage[] =
    "Usage: larder-server [FILE | -] [--DIRECTIVE VALUE ...] ...\n"
    "       larder-server --check-rdb FILE\n"
    "       larder-server --check-aof FILE [--fix]\n"
    "       larder-server --version | --help | --print-default-config | --print-config-manual\n"
    "\n"
    "FILE is a configuration file in the format of redis.conf; - reads it from standard input. Every directive of the\n"
    "file may be given as an option, which then overrides the file.\n"
    "\n"
    "Examples:\n"
    "       larder-server                          port 6379, all defaults\n"
    "       larder-server /etc/larder/larder.conf\n"
    "       larder-server --port 7777 --requirepass secret\n"
    "       larder-server larder.conf --loglevel verbose -\n";

/* Options that answer something and end. True if it was one. */
static bool answer_option(const char *option)
{
    struct buf text = BUF_EMPTY;
    if (!strcmp(option, "--version") || !strcmp(option, "-v"))
        buf_printf(&text, "Larder server v=%s redis_version=%s malloc=%s bits=%d\n", LARDER_VERSION,
            LARDER_REDIS_VERSION, mem_allocator_name(), (int)(sizeof(void *) * CHAR_BIT));
    else if (!strcmp(option, "--help") || !strcmp(option, "-h"))
        buf_append_cstr(&text, usage);
    else if (!strcmp(option, "--print-default-config"))
        config_print_default(&text);
    else if (!strcmp(option, "--print-config-manual"))
        config_print_manual(&text);
    else
        return false;
    fputs(buf_cstr(&text), stdout);
    buf_fini(&text);
    return true;
}

/* Options that check a file and end. True if it was one, with the exit code in *status. */
static bool check_file(int argc, char **argv, int *status)
{
    bool is_rdb = argc >= 2 && strcmp(argv[1], "--check-rdb") == 0;
    if (!is_rdb && (argc < 2 || strcmp(argv[1], "--check-aof") != 0))
        return false;
    bool fix_first = argc == 4 && strcmp(argv[2], "--fix") == 0;
    bool fix = fix_first || (argc == 4 && strcmp(argv[3], "--fix") == 0);
    if (is_rdb && argc == 3)
        *status = saves_check_file(argv[2]);
    else if (!is_rdb && (argc == 3 || fix))
        *status = aof_check_file(argv[fix_first ? 3 : 2], fix);
    else {
        fputs(usage, stderr);
        *status = 1;
    }
    return true;
}

/* Where the log goes from here on. */
static bool open_log(const struct config *config)
{
    log_set_level((enum log_level)config->loglevel);
    if (!log_open(config->logfile ? config->logfile : "")) {
        fprintf(stderr, "Can't open the log file '%s': %s\n", config->logfile, strerror(errno));
        return false;
    }
    if (config->syslog_enabled && !log_set_syslog(config->syslog_ident, config->syslog_facility)) {
        fprintf(stderr, "Unknown syslog facility '%s'\n", config->syslog_facility);
        return false;
    }
    return true;
}

static bool enter_directory(const struct config *config)
{
    if (!config->dir || !config->dir[0] || chdir(config->dir) == 0)
        return true;
    log_write(LOG_WARNING, "Can't chdir to '%s': %s", config->dir, strerror(errno));
    return false;
}

static bool is_supervised(const struct config *config)
{
    return (config->supervised == SUPERVISED_SYSTEMD || config->supervised == SUPERVISED_AUTO) &&
           getenv("NOTIFY_SOCKET");
}

/* A picture, and the lines that tools wait for. */
static void greet(const struct config *config)
{
    bool logo = config->always_show_logo ||
                (!config->syslog_enabled && !(config->logfile && config->logfile[0]) && isatty(STDOUT_FILENO));
    log_write(LOG_NOTICE, "Larder is starting: version=%s, compatible with redis_version=%s, bits=%d, pid=%d",
        LARDER_VERSION, LARDER_REDIS_VERSION, (int)(sizeof(void *) * CHAR_BIT), (int)getpid());
    if (config->file)
        log_write(LOG_NOTICE, "Configuration loaded");
    else
        log_write(LOG_WARNING,
            "Warning: no config file specified, using the default config. In order to specify a config file "
            "use larder-server /path/to/larder.conf");
    if (logo)
        log_write(LOG_NOTICE,
            "\n"
            "    ___________\n"
            "   |_____o_____|     Larder %s, %d bit\n"
            "   |  _   _  _ |     Running in standalone mode\n"
            "   | (_) |_|(_)|     Port: %lld\n"
            "   |___________|     PID: %d\n"
            "   |_____o_____|\n",
            LARDER_VERSION, (int)(sizeof(void *) * CHAR_BIT), (long long)config->port, (int)getpid());
    else
        log_write(LOG_NOTICE, "Running mode=standalone, port=%lld. PID: %d", (long long)config->port, (int)getpid());
}

static char *absolute_executable(const char *argv0)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);
    if (len <= 0)
        return mem_strdup(argv0);
    path[len] = '\0';
    return mem_strdup(path);
}

/* The PID file that the configuration asks for; a daemon has one by default. */
static const char *pidfile(const struct config *config)
{
    if (config->pidfile && config->pidfile[0])
        return config->pidfile;
    return config->daemonize ? "/var/run/larder.pid" : NULL;
}

static int serve(struct config *config, const char *argv0)
{
    char *executable = absolute_executable(argv0);
    struct server *server = server_create(config);
    if (!server) {
        mem_free(executable);
        return 1;
    }
    server->executable = executable;
    const char *path = pidfile(&server->config);
    if (path && !process_write_pidfile(path))
        log_write(LOG_WARNING, "Failed to write PID file: %s", strerror(errno));
    int status = server_run(server);
    if (path)
        process_remove_pidfile(path);
    server_destroy(server);
    return status;
}

/* Reads the configuration and becomes what it says; false, with the reason told, if that cannot be. */
static bool prepare(struct config *config, int argc, char **argv)
{
    struct buf error = BUF_EMPTY;
    bool good = config_read_arguments(config, argc - 1, argv + 1, &error);
    if (!good)
        fprintf(stderr, "%s\n", buf_cstr(&error));
    buf_fini(&error);
    if (!good)
        return false;
    process_init_title(argc, argv);
    if (!open_log(config) || !enter_directory(config))
        return false;
    if (config->daemonize && !is_supervised(config) && !process_daemonize()) {
        log_write(LOG_WARNING, "Can't become a daemon: %s", strerror(errno));
        return false;
    }
    crash_install(config->crash_log_enabled);
    return true;
}

int main(int argc, char **argv)
{
    setlocale(LC_COLLATE, "");
    mem_thread_register();
    clock_init();
    hash_init();
    if (argc == 2 && answer_option(argv[1]))
        return 0;
    int status;
    if (check_file(argc, argv, &status))
        return status;
    struct config config;
    config_init(&config);
    if (!prepare(&config, argc, argv)) {
        config_fini(&config);
        return 1;
    }
    greet(&config);
    config_log_ineffective(&config);
    return serve(&config, argc > 0 ? argv[0] : "larder-server");
}

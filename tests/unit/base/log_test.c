/*
 * The log: the form of a line, levels, files that cannot be opened, and files that are rotated away.
 */
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

struct place {
    char directory[64], path[96], moved[96];
};

static struct place place_create(void)
{
    struct place place = { .directory = P_tmpdir "/log-test-XXXXXX" };

    cr_assert_not_null(mkdtemp(place.directory));
    snprintf(place.path, sizeof(place.path), "%s/log", place.directory);
    snprintf(place.moved, sizeof(place.moved), "%s/log.1", place.directory);
    return place;
}

static void place_remove(struct place *place)
{
    unlink(place->path);
    unlink(place->moved);
    rmdir(place->directory);
}

static size_t slurp(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    fclose(file);
    return len;
}

static bool line_is(const char *line, const char *pattern)
{
    regex_t regex;
    cr_assert(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0);
    bool matched = regexec(&regex, line, 0, NULL, 0) == 0;
    regfree(&regex);
    return matched;
}

Test(log, a_line_has_the_form_that_tools_expect)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    log_write(LOG_NOTICE, "hello %d", 42);
    log_set_role('C');
    log_write(LOG_WARNING, "from a child");
    slurp(place.path, content, sizeof(content));
    cr_assert(line_is(content, "^[0-9]+:M [0-9]{2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} "
                               "[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} \\* hello 42\n[0-9]+:C [^\n]* # from a child\n$"),
        "%s", content);
    cr_assert_eq(atoi(content), (int)getpid());
    place_remove(&place);
}

Test(log, time_is_local)
{
    struct place place = place_create();
    char content[256], expected[32];

    setenv("TZ", "UTC-05:45", 1);
    tzset();
    cr_assert(log_open(place.path));
    time_t now = time(NULL);
    log_write(LOG_NOTICE, "x");
    slurp(place.path, content, sizeof(content));
    /* The second may have changed in between. */
    bool found = false;
    for (int late = 0; late <= 1; late++) {
        time_t when = now + late;
        strftime(expected, sizeof(expected), "%d %b %Y %H:%M:%S", localtime(&when));
        found |= strstr(content, expected) != NULL;
    }
    cr_assert(found, "%s in %s", expected, content);
    place_remove(&place);
}

/* Has the C library's locks of time zones and of syslog most of the time. */
static void *keep_locks_busy(void *context)
{
    atomic_bool *ended = context;
    while (!atomic_load(ended)) {
        time_t now = time(NULL);
        struct tm tm;
        for (int i = 0; i < 100; i++)
            localtime_r(&now, &tm);
        log_write(LOG_NOTICE, "from another thread");
    }
    return NULL;
}

Test(log, forked_children_write_whatever_other_threads_hold)
{
    struct place place = place_create();
    atomic_bool ended = false;
    pthread_t thread;

    cr_assert(log_open(place.path) && log_set_syslog("larder-test", "user"));
    cr_assert_eq(pthread_create(&thread, NULL, keep_locks_busy, &ended), 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            log_set_role('C');
            log_set_syslog("larder-test", NULL);
            log_write(LOG_NOTICE, "from a child");
            _exit(0);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child %d: %x", i, (unsigned)status);
    }
    atomic_store(&ended, true);
    pthread_join(thread, NULL);
    log_set_syslog("larder-test", NULL);
    place_remove(&place);
}

Test(log, levels_below_are_dropped)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    log_set_level(LOG_VERBOSE);
    log_write(LOG_DEBUG_LEVEL, "not this");
    log_write(LOG_VERBOSE, "but this");
    log_set_level(LOG_NOTHING);
    log_write(LOG_WARNING, "nor that");
    slurp(place.path, content, sizeof(content));
    cr_assert(line_is(content, "^[^\n]* - but this\n$"), "%s", content);
    cr_assert_eq(log_get_level(), LOG_NOTHING);
    place_remove(&place);
}

Test(log, a_file_that_cannot_be_opened_leaves_the_old_one)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    cr_assert_not(log_open(place.directory));
    cr_assert_eq(errno, EISDIR);
    log_write(LOG_NOTICE, "still here");
    cr_assert(slurp(place.path, content, sizeof(content)) > 0);
    place_remove(&place);
}

Test(log, errno_survives)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    errno = ENOSPC;
    log_write(LOG_NOTICE, "%s", strerror(errno));
    cr_assert_eq(errno, ENOSPC);
    slurp(place.path, content, sizeof(content));
    cr_assert_not_null(strstr(content, "No space left on device"));
    place_remove(&place);
}

Test(log, a_long_line_is_cut_and_ended)
{
    struct place place = place_create();
    char content[8192], text[6000];

    memset(text, 'x', sizeof(text));
    cr_assert(log_open(place.path));
    log_write(LOG_NOTICE, "%.*s", (int)sizeof(text), text);
    size_t len = slurp(place.path, content, sizeof(content));
    cr_assert(len > 4000 && len <= 4096 && content[len - 1] == '\n' && content[len - 2] == 'x');
    place_remove(&place);
}

Test(log, reopen_after_rotation)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    log_write(LOG_NOTICE, "one");
    cr_assert(rename(place.path, place.moved) == 0);
    cr_assert(log_reopen());
    log_write(LOG_NOTICE, "two");
    slurp(place.moved, content, sizeof(content));
    cr_assert(line_is(content, "^[^\n]* one\n$"), "%s", content);
    slurp(place.path, content, sizeof(content));
    cr_assert(line_is(content, "^[^\n]* two\n$"), "%s", content);
    place_remove(&place);
}

Test(log, rotation_is_noticed_within_a_second_or_so)
{
    struct place place = place_create();
    char content[8192];

    cr_assert(log_open(place.path));
    log_write(LOG_NOTICE, "one");
    cr_assert(rename(place.path, place.moved) == 0);
    usleep(1100 * 1000);
    log_write(LOG_NOTICE, "two");
    slurp(place.path, content, sizeof(content));
    cr_assert(line_is(content, "^[^\n]* two\n$"), "%s", content);
    place_remove(&place);
}

static void *write_many(void *context)
{
    for (int i = 0; i < 500; i++)
        log_write(LOG_NOTICE, "thread %s line %d end", (const char *)context, i);
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    static char content[500000];
    struct place place = place_create();
    pthread_t threads[3];
    static char names[3][2] = { "a", "b", "c" };
    size_t lines = 0;

    cr_assert(log_open(place.path));
    for (int i = 0; i < 3; i++)
        cr_assert(pthread_create(&threads[i], NULL, write_many, names[i]) == 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    slurp(place.path, content, sizeof(content));
    for (char *line = strtok(content, "\n"); line != NULL; line = strtok(NULL, "\n"), lines++)
        cr_assert(strcmp(line + strlen(line) - 4, " end") == 0 && strstr(line + 1, ":M ") != NULL, "%s", line);
    cr_assert_eq(lines, 1500);
    place_remove(&place);
}

Test(log, syslog_facilities)
{
    cr_assert(log_set_syslog("larder-test", "LOCAL3") && log_set_syslog("larder-test", "user"));
    cr_assert_not(log_set_syslog("larder-test", "local8"));
    cr_assert_not(log_set_syslog("larder-test", "mail"));
    log_write(LOG_DEBUG_LEVEL, "dropped");
    cr_assert(log_set_syslog(NULL, NULL));
}

/*
 * Replays a corpus without libFuzzer: `replay PATH...` runs the target on each file, and on each file of each folder,
 * in the order of their names. Every input is a copy of exactly its length, so that a sanitizer or valgrind sees a look
 * beyond it. The last name printed is the input that aborts.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

static int replayed;

static void fail(const char *path)
{
    perror(path);
    exit(EXIT_FAILURE);
}

static void replay_file(const char *path, size_t len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(len > 0 ? len : 1);
    if (file == NULL || data == NULL || fread(data, 1, len, file) != len)
        fail(path);
    fclose(file);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    replayed++;
}

static void replay(const char *path)
{
    struct stat stat_of;
    if (stat(path, &stat_of) != 0)
        fail(path);
    if (!S_ISDIR(stat_of.st_mode)) {
        replay_file(path, (size_t)stat_of.st_size);
        return;
    }
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fail(path);
    for (int i = 0; i < count; i++) {
        char *inner;
        if (entries[i]->d_name[0] != '.') {
            if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0)
                fail(path);
            replay(inner);
            free(inner);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%d inputs\n", replayed);
    return replayed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * Runs a fuzz target over the files of a directory, each whole and cut short at every length up to
 * REPLAY_CUTS: what a fuzzer has found once is tested in every build.
 *
 * usage: NAME_replay DIRECTORY
 *
 * Without a directory, or without a file in it, it fails: nothing would have been tested.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_FILE_MAX (1u << 20)
#define REPLAY_CUTS     512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy, so that a sanitizer sees a read past its end. */
static void
run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = calloc(1, size > 0 ? size : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int
run_file(const char *directory, const char *name, uint8_t *room)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(room, 1, REPLAY_FILE_MAX, file);
    fclose(file);
    run_copy(room, size);
    for (size_t cut = 0; cut < size && cut < REPLAY_CUTS; cut++) {
        run_copy(room, cut);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    static uint8_t room[REPLAY_FILE_MAX];
    int failures = 0;
    unsigned files = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    run_copy((const uint8_t *)"", 0);
    DIR *directory = opendir(argv[1]);
    if (directory == NULL) {
        perror(argv[1]);
        return 1;
    }
    for (struct dirent *e = readdir(directory); e != NULL; e = readdir(directory)) {
        if (e->d_name[0] != '.') {
            failures += run_file(argv[1], e->d_name, room);
            files++;
        }
    }
    closedir(directory);
    printf("%u files\n", files);
    if (files == 0) {
        fprintf(stderr, "%s: there is no file in it\n", argv[1]);
    }
    return failures > 0 || files == 0;
}

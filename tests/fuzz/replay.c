/*
 * Feeds every file named on the command line to the fuzz target it is linked with: a corpus as a regression test,
 * for which no fuzzer is needed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is copied to a block of exactly its size, so that ASan sees a read beyond its end. */
static int replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    long size = ftell(file);
    rewind(file);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
        perror(path);
        exit(1);
    }
    (void)fclose(file);
    int result = LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return result;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        (void)replay(argv[i]);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}

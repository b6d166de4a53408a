#include "random.h"

#include <bearssl_hash.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define AT_RANDOM_SIZE 16 /* getauxval(3) */

static void add_clock(br_sha256_context *hash, clockid_t which)
{
    struct timespec now = {0};

    clock_gettime(which, &now);
    br_sha256_update(hash, &now.tv_sec, sizeof now.tv_sec);
    br_sha256_update(hash, &now.tv_nsec, sizeof now.tv_nsec);
}

static void add_process(br_sha256_context *hash)
{
    static uint64_t counter;
    const void *stack = &hash;
    char host[256] = "";
    pid_t pid = getpid();

    gethostname(host, sizeof host - 1);
    counter++;
    br_sha256_update(hash, &counter, sizeof counter);
    br_sha256_update(hash, &pid, sizeof pid);
    br_sha256_update(hash, host, strlen(host));
    br_sha256_update(hash, &stack, sizeof stack);
}

static void make_block(unsigned char out[br_sha256_SIZE])
{
    const void *start =
        (const void *)getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr): that is its interface
    br_sha256_context hash;
    ssize_t len = getrandom(out, br_sha256_SIZE, GRND_NONBLOCK);

    br_sha256_init(&hash);
    if (len > 0)
        br_sha256_update(&hash, out, (size_t)len);
    if (start != NULL)
        br_sha256_update(&hash, start, AT_RANDOM_SIZE);
    add_process(&hash);
    add_clock(&hash, CLOCK_REALTIME);
    add_clock(&hash, CLOCK_MONOTONIC);
    br_sha256_out(&hash, out);
}

void random_bytes(void *out, size_t len)
{
    unsigned char block[br_sha256_SIZE];
    unsigned char *at = out;

    while (len > 0) {
        size_t piece = len < sizeof block ? len : sizeof block;

        make_block(block);
        memcpy(at, block, piece);
        at += piece;
        len -= piece;
    }
}

uint64_t random_number(void)
{
    uint64_t number;

    random_bytes(&number, sizeof number);
    return number;
}

/*
 * A sandbox that does not know a system call. Header-only.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>

/* Of <linux/filter.h> and <linux/seccomp.h>, which musl does not bring along. */
struct filter_line {
    uint16_t code;
    uint8_t jump_true, jump_false;
    uint32_t k;
};
struct filter {
    unsigned short len;
    struct filter_line *lines;
};
#define FILTER_MODE 2 /* SECCOMP_MODE_FILTER */

/* From now on the system call of that number fails with `error`, for good. False: this cannot be had (an emulator). */
static inline bool sandbox_refuse(uint32_t number, uint32_t error)
{
    struct filter_line lines[] = {
        {0x20, 0, 0, 0},                  /* BPF_LD|BPF_W|BPF_ABS, the system call's number */
        {0x15, 0, 1, number},             /* BPF_JMP|BPF_JEQ|BPF_K */
        {0x06, 0, 0, 0x00050000 | error}, /* BPF_RET|BPF_K, SECCOMP_RET_ERRNO */
        {0x06, 0, 0, 0x7FFF0000},         /* SECCOMP_RET_ALLOW */
    };
    struct filter filter = {.len = sizeof lines / sizeof lines[0], .lines = lines};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, FILTER_MODE, &filter) == 0;
}

#endif

/* random: no two processes get the same, also where the kernel gives no random numbers. */
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NUMBERS 3
#define NO_SANDBOX 77 /* an exit status */

static void each_number_is_another(void **state)
{
    static const unsigned char zeros[16];
    unsigned char a[100];
    unsigned char b[100];

    (void)state;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    for (size_t i = 0; i + sizeof zeros <= sizeof a; i += sizeof zeros) {
        assert_memory_not_equal(a + i, b + i, sizeof zeros);
        assert_memory_not_equal(a + i, zeros, sizeof zeros);
    }
    assert_memory_not_equal(a, a + 32, sizeof zeros);
    assert_true(random_number() != random_number());
}

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
#define FILTER_LOAD_NUMBER                                                                                   \
    {                                                                                                        \
        0x20, 0, 0, 0                                                                                        \
    } /* BPF_LD|BPF_W|BPF_ABS, the system call's number */
#define FILTER_SKIP_UNLESS(number)                                                                           \
    {                                                                                                        \
        0x15, 0, 1, number                                                                                   \
    } /* BPF_JMP|BPF_JEQ|BPF_K */
#define FILTER_FAIL                                                                                          \
    {                                                                                                        \
        0x06, 0, 0, 0x00050000 | 38                                                                          \
    } /* BPF_RET|BPF_K, SECCOMP_RET_ERRNO|ENOSYS */
#define FILTER_ALLOW                                                                                         \
    {                                                                                                        \
        0x06, 0, 0, 0x7FFF0000                                                                               \
    }
#define FILTER_MODE 2 /* SECCOMP_MODE_FILTER */

/* From now on getrandom(2) fails, as under a profile that does not know it. False: this cannot be had (an emulator). */
static bool refuse_getrandom(void)
{
    struct filter_line lines[] = {FILTER_LOAD_NUMBER, FILTER_SKIP_UNLESS(SYS_getrandom), FILTER_FAIL,
                                  FILTER_ALLOW};
    struct filter filter = {.len = sizeof lines / sizeof lines[0], .lines = lines};
    char byte;

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, FILTER_MODE, &filter) == 0 &&
           getrandom(&byte, 1, 0) < 0;
}

/* A process of its own, which has the same memory as the others of this test. */
static void in_a_sandbox(uint64_t out[NUMBERS])
{
    int ends[2];
    int status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        if (!refuse_getrandom())
            _exit(NO_SANDBOX);
        for (int i = 0; i < NUMBERS; i++)
            out[i] = random_number();
        _exit(write(ends[1], out, NUMBERS * sizeof out[0]) > 0 ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_SANDBOX)
        skip();
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], out, NUMBERS * sizeof out[0]), NUMBERS * sizeof out[0]);
    close(ends[0]);
}

static void without_the_kernels_numbers_no_two_are_equal(void **state)
{
    uint64_t all[2 * NUMBERS];

    (void)state;
    in_a_sandbox(all);
    in_a_sandbox(all + NUMBERS);
    for (int i = 0; i < 2 * NUMBERS; i++) {
        assert_true(all[i] != 0);
        for (int j = 0; j < i; j++)
            assert_true(all[i] != all[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_is_another),
        cmocka_unit_test(without_the_kernels_numbers_no_two_are_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

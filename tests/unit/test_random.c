/* random: no two processes get the same, also where the kernel gives no random numbers. */
#include "random.h"
#include "sandbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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

/* As under a profile that does not know getrandom(2). False: this cannot be had. */
static bool refuse_getrandom(void)
{
    char byte;

    return sandbox_refuse(SYS_getrandom, ENOSYS) && getrandom(&byte, 1, 0) < 0;
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

/* machine: a process that runs, one that has ended, and whom nothing is said of. */
#include "machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who a child is, which then waits to be killed. */
static pid_t fork_child(struct machine_process *child)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        machine_self(child);
        if (write(ends[1], child, sizeof *child) != (ssize_t)sizeof *child)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ends[0], child, sizeof *child), sizeof *child);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(child->pid, pid);
    return pid;
}

static void a_process_that_runs_is_not_lost(void **state)
{
    struct machine_process self;

    (void)state;
    machine_self(&self);
    assert_int_equal(self.pid, getpid());
    assert_true(self.machine[0] != '\0');
    assert_true(self.started > 0);
    assert_false(machine_has_lost(&self));
}

static void a_process_that_has_ended_is_lost(void **state)
{
    struct machine_process child, other;
    pid_t pid = fork_child(&child);
    siginfo_t info;

    (void)state;
    assert_false(machine_has_lost(&child));
    kill(pid, SIGKILL);
    /* a zombie, which nobody has waited for */
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(machine_has_lost(&child));
    other = child; /* of an earlier process with its number, which may be elsewhere, nothing is known */
    other.started--;
    assert_false(machine_has_lost(&other));
    other.started = 0;
    assert_false(machine_has_lost(&other));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(machine_has_lost(&child));
    /* nor of one on another machine */
    other = child;
    other.machine[0] ^= 1;
    assert_false(machine_has_lost(&other));
    other.machine[0] = '\0';
    assert_false(machine_has_lost(&other));
    other = child;
    other.pid = 0;
    assert_false(machine_has_lost(&other));
    other.pid = -1;
    assert_false(machine_has_lost(&other));
    other.pid = INT64_MAX;
    assert_false(machine_has_lost(&other));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_runs_is_not_lost),
        cmocka_unit_test(a_process_that_has_ended_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

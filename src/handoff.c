#include "handoff.h"

#include "stop.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const int caught[HANDOFF_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGPIPE};

static void on_signal(int signal)
{
    if (stop_signalled())
        _exit(128 + signal);
    stop_signal(signal);
}

void handoff_begin(struct handoff *handoff)
{
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    for (size_t i = 0; i < HANDOFF_SIGNALS; i++) {
        struct sigaction action = {.sa_handler = caught[i] == SIGPIPE ? SIG_IGN : on_signal};

        sigemptyset(&action.sa_mask);
        sigaction(caught[i], NULL, &handoff->found[i]);
        if (handoff->found[i].sa_handler != SIG_IGN)
            sigaction(caught[i], &action, NULL);
    }
}

static bool is_named(const char *variable, const char *names)
{
    static const char separators[] = ", \t\r\n";

    while (names[strspn(names, separators)] != '\0') {
        const char *name = names + strspn(names, separators);
        size_t len = strcspn(name, separators);
        bool all = name[len - 1] == '*';

        if (all && strncmp(variable, name, len - 1) == 0)
            return true;
        if (!all && strncmp(variable, name, len) == 0 && variable[len] == '=')
            return true;
        names = name + len;
    }
    return false;
}

int handoff_drop_env(const char *names)
{
    char **kept = environ;
    int dropped = 0;

    for (char **variable = environ; *variable != NULL; variable++) {
        if (is_named(*variable, names))
            dropped++;
        else
            *kept++ = *variable;
    }
    *kept = NULL;
    return dropped;
}

/* A signal that came after the last look at stop_requested and is still blocked here. */
static int pending_signal(void)
{
    sigset_t pending;

    sigpending(&pending);
    for (size_t i = 0; i < HANDOFF_SIGNALS; i++)
        if (caught[i] != SIGPIPE && sigismember(&pending, caught[i]) == 1)
            return caught[i];
    return 0;
}

int handoff_exec(const struct handoff *handoff, char **command, struct error *error)
{
    sigset_t all;
    sigset_t mask;
    int signal;

    /* Blocked, a signal waits; with its disposition already restored, PID 1 would lose it. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &mask);
    signal = pending_signal();
    if (signal != 0)
        stop_signal(signal);
    if (stop_signalled()) {
        stop_requested(error);
        return error_exit_code(error);
    }
    for (size_t i = 0; i < HANDOFF_SIGNALS; i++)
        sigaction(caught[i], &handoff->found[i], NULL);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    execvp(command[0], command);
    error_set_errno(error, "cannot run \"%s\"", command[0]);
    return error->sys == ENOENT ? 127 : 126;
}

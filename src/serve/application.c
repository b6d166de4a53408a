#include "application.h"

#include "handoff.h"
#include "log.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static bool in_foreground(void)
{
    return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

/* In both processes, whichever comes first. All signals are blocked, SIGTTOU among them, which who is not in the foreground
 * would get for this. */
static void set_apart(pid_t pid, bool terminal)
{
    setpgid(pid, pid);
    if (terminal)
        tcsetpgrp(STDIN_FILENO, pid);
}

bool application_start(struct application *application, int (*become)(void *ctx), void *ctx)
{
    bool terminal = in_foreground();
    pid_t pid = fork();

    if (pid < 0)
        return false;
    if (pid == 0) {
        set_apart(getpid(), terminal);
        _exit(become(ctx));
    }
    set_apart(pid, terminal);
    *application = (struct application){.pid = pid, .has_terminal = terminal};
    return true;
}

void application_signal(const struct application *application, int number)
{
    if (application->pid != 0)
        kill(application->pid, number);
}

static void follow_stop(const struct application *application, int number)
{
    if (!application->has_terminal || number == SIGSTOP)
        return;
    /* Else the terminal has been given back to us, and the application wants it. */
    if (!in_foreground())
        handoff_stop();
    if (in_foreground())
        tcsetpgrp(STDIN_FILENO, application->pid);
    else if (number != SIGTSTP)
        return; /* it would be stopped for the same reason again */
    kill(-application->pid, SIGCONT);
}

static void tell_application_end(const struct application *application, int status)
{
    if (WIFSIGNALED(status))
        log_info("the application was ended by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        log_info("the application ended with exit code %d", application->code);
}

void application_changed(struct application *application, int status)
{
    if (WIFSTOPPED(status)) {
        follow_stop(application, WSTOPSIG(status));
        return;
    }
    application->pid = 0;
    application->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (application->has_terminal)
        tcsetpgrp(STDIN_FILENO, getpgrp());
    tell_application_end(application, status);
}

/*
 * handoff - what the process finds at its start, and hands over to the application unchanged.
 *
 * handoff_begin is the first statement of main. From then on:
 * - Descriptors 0 to 2 that were closed are open on /dev/null (or on nothing), so that no file or connection of ours
 *   gets one of these numbers. They are closed on exec.
 * - SIGTERM, SIGINT, SIGQUIT and the SIGHUP of a terminal that is gone are caught (the kernel ignores what PID 1 does not
 *   handle). They ask the run to stop (stop.h); a second one ends the process at once, and its worker. One of the
 *   last three that was ignored when we were started (nohup, a shell's background job) stays ignored; SIGTERM never does.
 * - Every other signal that would end the process is ignored: SIGPIPE and SIGXFSZ, whose errors are handled where they
 *   happen; SIGUSR1 and all others, which are meant for the
 *   application, as is a SIGHUP that a process sends ("read your configuration again"). Job control is as ever.
 * - All of them are blocked except while handoff_wait waits, so none is lost between a look and a wait.
 *
 * The application gets argument vector and environment byte for byte (but for what drop_env takes away), signal
 * mask and dispositions as they were found, and no descriptor that we opened.
 *
 * Until then the process leaves no core dump, and nobody but root can look into its memory. The kernel ends that
 * when the application is executed.
 */
#ifndef STORSYNC_HANDOFF_H
#define STORSYNC_HANDOFF_H

#include "error.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define HANDOFF_SIGNALS 64

/* As rt_sigaction(2) has it on x86_64 and aarch64: the C library refuses to show the signals that it uses itself. */
struct handoff_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

struct handoff {
    struct handoff_action found[HANDOFF_SIGNALS + 1];
    uint64_t mask;
};

void handoff_begin(struct handoff *handoff);

/* Signals as they were found: for what only answers, and may be ended by any of them. */
void handoff_release(const struct handoff *handoff);

/* In a process forked off to work: nothing is blocked, the stop signals only ask to stop, and a fault kills. */
void handoff_worker(const struct handoff *handoff);

/* For work in this very process: nothing is blocked. */
void handoff_unblock(void);

/* A descriptor that processes forked off to work must not keep: it is closed in them. At most HANDOFF_PRIVATE of them; more are
 * kept. */
#define HANDOFF_PRIVATE 64
void handoff_add_private(int fd);
void handoff_remove_private(int fd);

/* The process that a second stop signal takes with it; 0: none. */
void handoff_set_worker(pid_t worker);

/* Waits until `fd` (-1: none) can be read, a signal or the end of a child arrives, or `ms` have passed. */
void handoff_wait(int fd, int ms);

/* For a process that stays: from now on every signal that can be caught waits to be read from the descriptor that is
 * returned, and handoff_wait is of no use any more. -1: such a thing is not to be had. */
int handoff_collect(void);

struct handoff_signal {
    int number;
    bool asks_to_stop; /* as above */
    bool forwardable;  /* it is meant for whoever this process stands for */
};

/* Takes the next one. False: there is none. */
bool handoff_take_signal(const struct handoff *handoff, int fd, struct handoff_signal *signal);

/* Waits for descriptors, at most `ms` (below 0: no limit). Signals stay where they are. */
void handoff_poll(struct pollfd *fds, int count, int ms);

/* Before a long wait: gives the memory that holds the program's code back. What is needed of it comes again from the file. */
void handoff_rest(void);

/* Stops as a job of a shell's, until the shell continues it. Who is no such job (PID 1, or nobody is there to continue it) goes
 * on at once. */
void handoff_stop(void);

/* Takes variables out of the environment: names separated by commas or white space, where one that ends in '*' means
 * all that begin so. Returns how many there were. */
int handoff_drop_env(const char *names);

/* Becomes `command` (looked up in PATH as execvp(3) does). Returns only if that failed, with the exit code:
 * 127 not found, 126 found but not runnable, 128+N when signal N arrived before. Signals are then blocked again. */
int handoff_exec(const struct handoff *handoff, char **command, struct error *error);

/* After ENOENT for `command`: if it is there, what it needs is not. Then true, with the missing thing in `error`. */
bool handoff_explain(const char *command, struct error *error);

#endif

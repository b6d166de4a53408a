/*
 * machine - is a process still there which has told who it is?
 *
 * Its number says so only here: in this run of the kernel, in this PID namespace, under this host name. Whoever cannot be sure says
 * nothing: a process that may be elsewhere, whose number another one has by now, or of which /proc shows no more than that.
 */
#ifndef STORSYNC_MACHINE_H
#define STORSYNC_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define MACHINE_SIZE 160

struct machine_process {
    char machine[MACHINE_SIZE]; /* boot id, PID namespace and host name; "" if one of them cannot be told */
    int64_t pid;
    int64_t started; /* clock ticks since the kernel's start; 0: unknown */
};

/* This one. */
void machine_self(struct machine_process *self);

/* It is sure that it has ended, whether somebody has waited for it or not. */
bool machine_has_lost(const struct machine_process *process);

#endif

/*
 * application - the application as a child of ours.
 *
 * It has a process group of its own, as below a shell and below tini: what it sends to its group does not reach us, and
 * what a terminal sends to the group in the foreground reaches it once. If we are in the foreground of the terminal that
 * is our standard input, the application is from then on. If the terminal stops it (Ctrl-Z), we stop as well, so that
 * the shell that started us gets it back; where there is no such shell, it is continued at once.
 */
#ifndef STORSYNC_APPLICATION_H
#define STORSYNC_APPLICATION_H

#include <stdbool.h>
#include <sys/types.h>

struct application {
    pid_t pid; /* 0: there is none, or none any more */
    int code;  /* then how it ended: its exit code, or 128+N after signal N */
    bool has_terminal;
};

/* `become` is called in the child and becomes the application, or returns the exit code. False: no process is to be had. */
bool application_start(struct application *application, int (*become)(void *ctx), void *ctx);

/* Passes a signal on, if there is somebody to get it. */
void application_signal(const struct application *application, int number);

/* What waitpid said of it, with WUNTRACED. */
void application_changed(struct application *application, int status);

#endif

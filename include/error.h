/*
 * error - what went wrong, as a value.
 *
 * A function that can fail takes a `struct error *` which its caller owns. It is filled once, where the failure
 * happens, and gains context on the way up (error_prefix). Nobody below main prints it or exits because of it:
 * the kind decides, in one place each, whether to retry (http, transfer), whether the run can go on (sync) and
 * what the exit code is (error_exit_code).
 *
 * The text is one line for a person: it names the thing, says what is wrong with it and, where there is one,
 * the remedy. It never contains a secret. Longer texts are cut at the end of the array.
 */
#ifndef STORSYNC_ERROR_H
#define STORSYNC_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_SIZE 512

enum error_kind {
    ERROR_NONE,         /* no error; a zeroed struct error is this */
    ERROR_USAGE,        /* the command line */
    ERROR_CONFIG,       /* a setting, or the configuration file */
    ERROR_NOT_FOUND,    /* this object does not exist */
    ERROR_PRECONDITION, /* it exists where it must not, or is not the version that was asked for */
    ERROR_NO_BUCKET,    /* the bucket does not exist */
    ERROR_UNREACHABLE,  /* no connection, or the service keeps answering that it cannot */
    ERROR_PROTOCOL,     /* the peer answers, but not as an object store does */
    ERROR_PERMISSION,   /* this one thing is not allowed */
    ERROR_CREDENTIALS,  /* the service does not accept who we are: nothing will be allowed */
    ERROR_TIMEOUT,      /* a deadline passed */
    ERROR_BUSY,         /* another replica holds the lease */
    ERROR_LOCAL,        /* this machine: file system, memory */
    ERROR_UNSUPPORTED,  /* the store cannot do this */
    ERROR_INTERRUPTED,  /* a signal asked us to end */
    ERROR_PARTIAL,      /* finished, but some objects failed */
};

struct error {
    enum error_kind kind;
    int status;          /* HTTP status, 0 if none */
    int sys;             /* errno, 0 if none */
    int signal;          /* with ERROR_INTERRUPTED */
    const char *side;    /* "source" or "destination", where it happened at one of them; else NULL */
    char code[48];       /* the service's own error code ("NoSuchKey"), "" if none */
    char request_id[64]; /* what the service calls the request, for its operator; "" if not told */
    char permission[64]; /* with ERROR_PERMISSION: the missing right ("s3:GetObject"), "" if it has no name */
    char text[ERROR_TEXT_SIZE]; /* one line, no newline */
};

/* Replaces whatever was in `error`. Always returns false, so that a function can `return error_set(...)`. */
bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, for a failed system call: appends ": " and strerror(errno), keeps errno in `sys`, and turns
 * EACCES, EPERM and EROFS into ERROR_PERMISSION, ENOENT into ERROR_NOT_FOUND, anything else into ERROR_LOCAL. */
bool error_set_errno(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts context in front of the text ("listing public/: " + text). */
void error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

void error_clear(struct error *error);

/* The exit code of a run that ends with this error: sysexits(3) where they fit, 128+N for a signal. */
int error_exit_code(const struct error *error);

/* The same classes as words for log and status: "permission", "timeout", ... */
const char *error_kind_name(enum error_kind kind);

#endif

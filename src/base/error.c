#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void error_reset(struct error *error, enum error_kind kind)
{
    memset(error, 0, sizeof *error);
    error->kind = kind;
}

/* Beside the error: the arguments, and `tail`, may point into it. */
static void error_compose(char text[static ERROR_TEXT_SIZE], const char *tail, const char *format,
                          va_list arguments)
{
    int used = vsnprintf(text, ERROR_TEXT_SIZE, format, arguments);

    if (used >= 0 && used < ERROR_TEXT_SIZE)
        snprintf(text + used, (size_t)(ERROR_TEXT_SIZE - used), "%s", tail);
}

/* A newline from outside (a server's message, a file name) must not break the one-line rule. */
static void error_put_text(struct error *error, const char text[static ERROR_TEXT_SIZE])
{
    memcpy(error->text, text, ERROR_TEXT_SIZE);
    for (char *c = error->text; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
}

bool error_set(struct error *error, enum error_kind kind, const char *format, ...)
{
    char text[ERROR_TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    error_compose(text, "", format, arguments);
    va_end(arguments);
    error_reset(error, kind);
    error_put_text(error, text);
    return false;
}

static enum error_kind error_kind_of_errno(int code)
{
    switch (code) {
    case EACCES:
    case EPERM:
    case EROFS:
        return ERROR_PERMISSION;
    case ENOENT:
        return ERROR_NOT_FOUND;
    default:
        return ERROR_LOCAL;
    }
}

bool error_set_errno(struct error *error, const char *format, ...)
{
    int code = errno;
    char text[ERROR_TEXT_SIZE], reason[128];
    va_list arguments;

    snprintf(reason, sizeof reason, ": %s", strerror(code));
    va_start(arguments, format);
    error_compose(text, reason, format, arguments);
    va_end(arguments);
    error_reset(error, error_kind_of_errno(code));
    error->sys = code;
    error_put_text(error, text);
    return false;
}

void error_prefix(struct error *error, const char *format, ...)
{
    char text[ERROR_TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    error_compose(text, error->text, format, arguments);
    va_end(arguments);
    error_put_text(error, text);
}

void error_clear(struct error *error)
{
    error_reset(error, ERROR_NONE);
}

int error_exit_code(const struct error *error)
{
    switch (error->kind) {
    case ERROR_NONE:
        return 0;
    case ERROR_PARTIAL:
        return 2;
    case ERROR_USAGE:
        return 64;
    case ERROR_TIMEOUT:
    case ERROR_BUSY:
        return 75;
    case ERROR_PERMISSION:
    case ERROR_CREDENTIALS:
        return 77;
    case ERROR_CONFIG:
        return 78;
    case ERROR_INTERRUPTED:
        return 128 + error->signal;
    case ERROR_NOT_FOUND:
    case ERROR_PRECONDITION:
    case ERROR_NO_BUCKET:
    case ERROR_UNREACHABLE:
    case ERROR_PROTOCOL:
    case ERROR_LOCAL:
    case ERROR_UNSUPPORTED:
        break;
    }
    return 69;
}

const char *error_kind_name(enum error_kind kind)
{
    static const char *const names[] = {
        [ERROR_NONE] = "none",
        [ERROR_USAGE] = "usage",
        [ERROR_CONFIG] = "configuration",
        [ERROR_NOT_FOUND] = "not-found",
        [ERROR_PRECONDITION] = "precondition",
        [ERROR_NO_BUCKET] = "no-bucket",
        [ERROR_UNREACHABLE] = "unreachable",
        [ERROR_PROTOCOL] = "protocol",
        [ERROR_PERMISSION] = "permission",
        [ERROR_CREDENTIALS] = "credentials",
        [ERROR_TIMEOUT] = "timeout",
        [ERROR_BUSY] = "busy",
        [ERROR_LOCAL] = "local",
        [ERROR_UNSUPPORTED] = "unsupported",
        [ERROR_INTERRUPTED] = "interrupted",
        [ERROR_PARTIAL] = "partial",
    };

    return names[kind];
}

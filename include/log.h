/*
 * log - lines for a person, or one JSON object a line with the same facts.
 *
 * Process-wide: there is one standard error. A text line is a sentence with the decoration of its style (docs/LOG.md);
 * in JSON every event has `time` (RFC 3339), `level`, `event`, the sentence as its `message`, and its own fields. A
 * line of up to PIPE_BUF bytes goes out in one write(2), so lines of several processes do not mix. A line that cannot
 * be written is dropped: a full disk behind standard error must not stop the application. errno is kept.
 *
 * Nobody waits long for whoever reads the log (or does not: a log driver that hangs, a terminal after Ctrl-S). All
 * waiting together is at most LOG_PATIENCE ms and a quarter of the time that passes. When that is used up, lines
 * are dropped and counted until there is room again; then the number is told.
 *
 * Every line is made safe on the way, whatever it quotes: control characters (newlines among them),
 * characters that reorder or break a line, and bytes that are not UTF-8 appear as \xNN, and outside a UTF-8
 * locale so does everything beyond ASCII. In JSON, which is always UTF-8, bytes that are not become U+FFFD.
 *
 * A text of more than LOG_LINE_MAX bytes before that is cut and ends in "...".
 */
#ifndef STORSYNC_LOG_H
#define STORSYNC_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_LINE_MAX ((size_t)2560)

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* One fact of an event. Made with the LOG_ macros below; a text must not be NULL. */
struct log_field {
    const char *name;
    const char *text; /* NULL: it is the number, or with `flag` whether that is not 0 */
    int64_t number;
    bool flag;
};
#define LOG_STR(name_, text_) ((struct log_field){.name = (name_), .text = (text_)})
#define LOG_NUM(name_, number_) ((struct log_field){.name = (name_), .number = (int64_t)(number_)})
#define LOG_FLAG(name_, flag_) ((struct log_field){.name = (name_), .number = (flag_), .flag = true})

/* How a sentence looks in text. Of the marks of OK and FAIL the first is used where the locale is UTF-8. */
enum log_style {
    LOG_PLAIN,
    LOG_DIAGNOSTIC, /* "storsync-init: error: ...", "warning: ", "debug: "; of level info without such a word */
    LOG_HEADING,    /* "=== ... ===" */
    LOG_OK,         /* a check mark or "+" */
    LOG_SKIP,       /* "-" */
    LOG_FAIL,       /* a ballot x or "x" */
};

/* Until this is called: text, info, ASCII, to standard error. */
void log_setup(enum log_format format, enum log_level level, bool utf8);
/* Other than LOG_PATIENCE, in ms. */
#define LOG_PATIENCE 1000
void log_patience(int64_t ms);

/* The last lines are out: tells how many were dropped, if that is possible now. */
void log_end(void);

/* For tests: elsewhere than to standard error. */
void log_to(int fd);

bool log_utf8(void);
bool log_enabled(enum log_level level);
enum log_format log_format(void);

/* Is the locale of this environment UTF-8? LC_ALL, LC_CTYPE, LANG, in POSIX order. */
bool log_locale_is_utf8(const char *const *environ_);

/* An event, with a printf-style sentence. `fields` is LOG_FIELDS(...), or NULL for none; text does without them. A mark
 * before the sentence is indented. */
#define LOG_END ((struct log_field){.name = NULL})
#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, LOG_END})
void log_event(enum log_level level, enum log_style style, const char *event, const struct log_field *fields,
               const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A line of level info that is there for the eye only: JSON does without it. A mark stands at the margin. */
void log_layout(enum log_style style, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Diagnostics: LOG_DIAGNOSTIC, and an event with the name of its level ("warning"). */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* On a terminal, in text: a line without a newline that stays below whatever is written next, cut to the terminal's width.
 * NULL takes it away. Elsewhere nothing. */
void log_transient(const char *line);

/* `text` made safe as log lines are, for other output to a person, into `out` (cut with "..." when it does
 * not fit); returns `out`. A key of 1,024 bytes can need four times that. */
#define LOG_SAFE_SIZE 4200
const char *log_safe(const char *text, char out[LOG_SAFE_SIZE]);

#endif

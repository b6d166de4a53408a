#include "log.h"

#include "buf.h"
#include "clock.h"
#include "env.h"
#include "json.h"
#include "output.h"
#include "utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define PROGRAM "storsync-init: "
#define RULE "==="
#define ESCAPED_MAX (4 * LOG_LINE_MAX + 1) /* every byte as \xNN */
#define JSON_LINE_MAX ((size_t)64 * 1024)
#define TRANSIENT_MAX ((size_t)240)
#define COLUMNS 80 /* of a terminal that does not tell how many it has */

static struct {
    int fd;
    enum log_format format;
    enum log_level level;
    bool utf8;
    size_t transient;             /* bytes of the transient line that is being shown */
    char kept[TRANSIENT_MAX + 1]; /* ... to be shown again below the next line */
    int64_t patience;             /* ms: what may be waited for room at most ... */
    int64_t left;                 /* ... and now */
    int64_t used;                 /* mono: when `left` was last right */
    unsigned dropped;             /* lines, since the last one that got out */
    bool cut;                     /* what got out ends in the middle of a line */
} state = {
    .fd = STDERR_FILENO,
    .format = LOG_TEXT,
    .level = LOG_INFO,
    .patience = LOG_PATIENCE,
    .left = LOG_PATIENCE,
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_setup(enum log_format format, enum log_level level, bool utf8)
{
    state.format = format;
    state.level = level;
    state.utf8 = utf8;
}

void log_to(int fd)
{
    state.fd = fd;
    state.left = state.patience;
    state.dropped = 0;
    state.cut = false;
    state.transient = 0;
    state.kept[0] = '\0';
}

bool log_utf8(void)
{
    return state.utf8;
}

bool log_enabled(enum log_level level)
{
    return level <= state.level;
}

enum log_format log_format(void)
{
    return state.format;
}

bool log_locale_is_utf8(const char *const *environ_)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *locale = env_find(environ_, names[i]);

        if (locale != NULL && *locale != '\0')
            return strcasestr(locale, "UTF-8") != NULL || strcasestr(locale, "utf8") != NULL;
    }
    return false;
}

/* Controls (C0, DEL, C1), line and paragraph separators, and the characters that change the direction of
 * text. */
static bool is_treacherous(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

/* Copies `text` with what is not to be trusted as \xNN, into `size` bytes; returns the length. */
static size_t make_safe(const char *text, char *out, size_t size)
{
    size_t left = strlen(text);
    size_t at = 0;
    size_t cut = 0; /* the last place where "..." still fits */

    while (left > 0) {
        uint32_t code = 0;
        size_t n = utf8_decode(text, left, &code);
        bool plain = n > 0 && !is_treacherous(code) && (n == 1 || state.utf8);
        size_t bytes = n > 0 ? n : 1;

        if (at + 4 <= size)
            cut = at;
        if (at + (plain ? bytes : 4 * bytes) >= size) {
            memcpy(out + cut, "...", 4);
            return cut + 3;
        }
        for (size_t i = 0; i < bytes; i++) {
            if (plain)
                out[at++] = text[i];
            else
                at += (size_t)sprintf(out + at, "\\x%02x", (unsigned)(unsigned char)text[i]);
        }
        text += bytes;
        left -= bytes;
    }
    out[at] = '\0';
    return at;
}

const char *log_safe(const char *text, char out[LOG_SAFE_SIZE])
{
    make_safe(text, out, LOG_SAFE_SIZE);
    return out;
}

/* A quarter of the time that passes may be spent waiting. */
static void regain_patience(void)
{
    int64_t now;

    if (state.left == state.patience)
        return;
    now = clock_mono();
    state.left += (now - state.used) / 4;
    if (state.left > state.patience)
        state.left = state.patience;
    state.used = now;
}

/* False if there is no room for it, and the line has to be dropped like those before it. */
static bool tell_dropped(void)
{
    unsigned dropped = state.dropped;

    if (dropped == 0)
        return true;
    if (!output_has_room(state.fd))
        return false;
    state.dropped = 0;
    log_warn("%u line%s of the log could not be written, and %s lost", dropped, dropped == 1 ? "" : "s",
             dropped == 1 ? "is" : "are");
    return state.dropped == 0;
}

static void write_line(const char *data, size_t len)
{
    size_t written = 0;

    if (tell_dropped()) {
        regain_patience();
        if (state.cut && output_write(state.fd, "\n", 1, &state.left) == 1)
            state.cut = false;
        written = output_write(state.fd, data, len, &state.left);
        state.used = state.left == state.patience ? 0 : clock_mono();
    }
    if (written == len)
        return;
    state.cut = state.cut || written > 0;
    state.dropped++;
}

/* What is gone in a moment anyway is not waited for. */
static void write_transient(const char *data, size_t len)
{
    int64_t none = 0;

    if (state.dropped == 0)
        output_write(state.fd, data, len, &none);
}

void log_patience(int64_t ms)
{
    state.patience = ms;
    state.left = ms;
}

void log_end(void)
{
    tell_dropped();
}

/* What fits into one line of the terminal. The last column stays free: some go on to the next line when it is used. */
static size_t transient_room(void)
{
    struct winsize size;
    size_t columns = ioctl(state.fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;

    return columns - 1 < TRANSIENT_MAX ? columns - 1 : TRANSIENT_MAX;
}

/* Blanks rather than an escape sequence: any terminal knows them. If it is narrower by now, a whole line of it and no more. */
static void erase_transient(void)
{
    char blank[TRANSIENT_MAX + 3];
    size_t room = transient_room(), len = state.transient <= room ? state.transient : room + 1;

    if (state.transient == 0)
        return;
    blank[0] = '\r';
    memset(blank + 1, ' ', len);
    blank[len + 1] = '\r';
    write_transient(blank, len + 2);
    state.transient = 0;
}

/* No character is cut in two. */
static void show_transient(void)
{
    size_t room = transient_room(), len = strlen(state.kept);

    if (len > room)
        for (len = room; len > 0 && (state.kept[len] & 0xC0) == 0x80;)
            len--;
    state.transient = len;
    write_transient(state.kept, state.transient);
}

void log_transient(const char *line)
{
    int saved = errno;

    if (state.format == LOG_TEXT && (state.transient > 0 || isatty(state.fd))) {
        erase_transient();
        make_safe(line != NULL ? line : "", state.kept, sizeof state.kept);
        show_transient();
    }
    errno = saved;
}

static bool add_log_field(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct log_field *field)
{
    if (field->text != NULL)
        return json_add_text(doc, root, field->name, field->text);
    if (field->flag)
        return yyjson_mut_obj_add_bool(doc, root, field->name, field->number != 0);
    return yyjson_mut_obj_add_sint(doc, root, field->name, field->number);
}

static void write_json(enum log_level level, const char *event, const struct log_field *fields,
                       const char *sentence)
{
    char time[CLOCK_RFC3339_SIZE];
    struct buf out;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    clock_format_rfc3339(clock_wall(), time);
    bool ok = json_add_text(doc, root, "time", time) &&
              json_add_text(doc, root, "level", level_names[level]) &&
              json_add_text(doc, root, "event", event) && json_add_text(doc, root, "message", sentence);
    for (; ok && fields != NULL && fields->name != NULL; fields++)
        ok = add_log_field(doc, root, fields);
    buf_init(&out, JSON_LINE_MAX);
    if (ok && json_write(doc, false, &out) && buf_putc(&out, '\n'))
        write_line(out.data, out.len);
    buf_free(&out);
    yyjson_mut_doc_free(doc);
}

static void write_text(const char *line)
{
    char safe[ESCAPED_MAX + 1];
    size_t len = make_safe(line, safe, ESCAPED_MAX);

    safe[len++] = '\n';
    erase_transient();
    write_line(safe, len);
    if (state.kept[0] != '\0')
        show_transient();
}

/* What stands before the sentence. */
static const char *line_decoration(enum log_level level, enum log_style style)
{
    static const char *const diagnostic[] = {PROGRAM "error: ", PROGRAM "warning: ", PROGRAM,
                                             PROGRAM "debug: "};

    switch (style) {
    case LOG_DIAGNOSTIC:
        return diagnostic[level];
    case LOG_HEADING:
        return RULE " ";
    case LOG_OK:
        return state.utf8 ? "\xE2\x9C\x93 " : "+ ";
    case LOG_SKIP:
        return "- ";
    case LOG_FAIL:
        return state.utf8 ? "\xE2\x9C\x97 " : "x ";
    case LOG_PLAIN:
        break;
    }
    return "";
}

static bool is_mark(enum log_style style)
{
    return style == LOG_OK || style == LOG_SKIP || style == LOG_FAIL;
}

/* Puts it at the beginning of a line; returns its length. */
static size_t decorate_line(char line[LOG_LINE_MAX + 1], const char *event, enum log_level level,
                            enum log_style style)
{
    const char *decoration = line_decoration(level, style);
    size_t indent = event != NULL && is_mark(style) ? 2 : 0;
    size_t len = strlen(decoration);

    memset(line, ' ', indent);
    memcpy(line + indent, decoration, len + 1);
    return indent + len;
}

static void write_event(enum log_level level, enum log_style style, const char *event,
                        const struct log_field *fields, const char *format, va_list args)
    __attribute__((format(printf, 5, 0)));

/* An `event` of NULL is layout. */
static void write_event(enum log_level level, enum log_style style, const char *event,
                        const struct log_field *fields, const char *format, va_list args)
{
    int saved = errno;
    bool json = state.format == LOG_JSON;
    char line[LOG_LINE_MAX + 1];
    int len = 0;

    if (!log_enabled(level) || (json && event == NULL))
        return;
    if (!json)
        len = (int)decorate_line(line, event, level, style);
    len += vsnprintf(line + len, sizeof line - (size_t)len, format, args);
    if (!json && style == LOG_HEADING && len < (int)sizeof line)
        len += snprintf(line + len, sizeof line - (size_t)len, " " RULE);
    if (len >= (int)sizeof line)
        memcpy(line + sizeof line - 4, "...", 4);
    if (json)
        write_json(level, event, fields, line);
    else
        write_text(line);
    errno = saved;
}

void log_event(enum log_level level, enum log_style style, const char *event, const struct log_field *fields,
               const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_event(level, style, event, fields, format, args);
    va_end(args);
}

void log_layout(enum log_style style, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_event(LOG_INFO, style, NULL, NULL, format, args);
    va_end(args);
}

static void write_diagnostic(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void write_diagnostic(enum log_level level, const char *format, va_list args)
{
    write_event(level, LOG_DIAGNOSTIC, level_names[level], NULL, format, args);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_diagnostic(LOG_ERROR, format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_diagnostic(LOG_WARN, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_diagnostic(LOG_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_diagnostic(LOG_DEBUG, format, args);
    va_end(args);
}

#include "buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_init_secret(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max, .secret = true};
}

static void wipe_data(struct buf *buf)
{
    if (buf->secret && buf->data != NULL)
        explicit_bzero(buf->data, buf->cap);
}

void buf_free(struct buf *buf)
{
    wipe_data(buf);
    free(buf->data);
    *buf = (struct buf){.max = buf->max, .secret = buf->secret};
}

void buf_clear(struct buf *buf)
{
    wipe_data(buf);
    buf->len = 0;
    buf->failed = false;
    if (buf->data != NULL)
        buf->data[0] = '\0';
}

/* realloc(3), but for a secret: that would leave a copy behind. */
static char *resize_data(struct buf *buf, size_t cap)
{
    char *data;

    if (!buf->secret || buf->data == NULL)
        return realloc(buf->data, cap);
    data = malloc(cap);
    if (data == NULL)
        return NULL;
    memcpy(data, buf->data, buf->len + 1);
    wipe_data(buf);
    free(buf->data);
    return data;
}

void buf_limit(struct buf *buf, size_t max)
{
    char *data;

    buf->max = max > buf->len ? max : buf->len;
    if (buf->data == NULL || buf->cap <= buf->max + 1)
        return;
    data = resize_data(buf, buf->max + 1);
    if (data == NULL)
        return;
    buf->data = data;
    buf->cap = buf->max + 1;
}

/* Makes room for `more` bytes and the NUL. */
static bool buf_reserve(struct buf *buf, size_t more)
{
    size_t cap = buf->cap != 0 ? buf->cap : 64;
    char *data;

    if (more > buf->max - buf->len || buf->max == SIZE_MAX) {
        buf->failed = true;
        return false;
    }
    if (buf->data != NULL && buf->len + more < buf->cap)
        return true;
    while (cap <= buf->len + more)
        cap = cap > buf->max / 2 ? buf->max + 1 : cap * 2;
    data = resize_data(buf, cap);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

char *buf_extend(struct buf *buf, size_t more)
{
    char *at;

    if (!buf_reserve(buf, more))
        return NULL;
    at = buf->data + buf->len;
    at[more] = '\0';
    buf->len += more;
    return at;
}

bool buf_append(struct buf *buf, const void *data, size_t len)
{
    char *at = buf_extend(buf, len);

    if (at != NULL && len != 0)
        memcpy(at, data, len);
    return at != NULL;
}

bool buf_puts(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

bool buf_putc(struct buf *buf, char c)
{
    return buf_append(buf, &c, 1);
}

/* Nothing but text with %s in it? Most formats are like that, and printf takes several times as long for them. */
static bool is_plain(const char *format)
{
    while (*(format = strchrnul(format, '%')) != '\0') {
        if (format[1] != 's')
            return false;
        format += 2;
    }
    return true;
}

static bool append_plain(struct buf *buf, const char *format, va_list arguments)
{
    size_t before = buf->len;
    bool ok = true;

    for (;;) {
        const char *end = strchrnul(format, '%');
        const char *text;

        ok = ok && buf_append(buf, format, (size_t)(end - format));
        if (*end == '\0')
            break;
        text = va_arg(arguments, const char *);
        ok = ok && buf_puts(buf, text != NULL ? text : "(null)");
        format = end + 2;
    }
    if (!ok && buf->data != NULL) {
        buf->len = before;
        buf->data[before] = '\0';
    }
    return ok;
}

bool buf_printf(struct buf *buf, const char *format, ...)
{
    /* Mostly it fits into what is there already; formatting once is half the work. */
    size_t room = buf->data != NULL ? buf->cap - buf->len : 0;
    va_list arguments;
    int needed;

    if (is_plain(format)) {
        bool ok;

        va_start(arguments, format);
        ok = append_plain(buf, format, arguments);
        va_end(arguments);
        return ok;
    }
    va_start(arguments, format);
    needed = vsnprintf(room != 0 ? buf->data + buf->len : NULL, room, format, arguments);
    va_end(arguments);
    if (needed < 0 || !buf_reserve(buf, (size_t)needed)) {
        if (room != 0)
            buf->data[buf->len] = '\0';
        buf->failed = true;
        return false;
    }
    if ((size_t)needed >= room) {
        va_start(arguments, format);
        vsnprintf(buf->data + buf->len, (size_t)needed + 1, format, arguments);
        va_end(arguments);
    }
    buf->len += (size_t)needed;
    return true;
}

const char *buf_str(const struct buf *buf)
{
    return buf->data != NULL ? buf->data : "";
}

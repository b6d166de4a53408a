/*
 * Stands in for libcurl's lib/mprintf.c, a printf of its own, which is 5 KB: musl's is there anyway. Only what libcurl
 * calls itself. What differs nobody meets: a NULL for %s is "(null)", not "(nil)".
 */
#include "curl_setup.h"

#include "curl_printf.h"
#include "curlx/dynbuf.h"

#include "curl_memory.h"
#include "memdebug.h"

#undef vfprintf /* is libcurl's own there */

const unsigned char Curl_ldigits[] = "0123456789abcdef";
const unsigned char Curl_udigits[] = "0123456789ABCDEF";

/* Unlike libc's, this returns how many characters are in the buffer. */
int curl_mvsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
    int len = vsnprintf(buffer, size, format, args);

    if (size == 0 || len < 0)
        return 0;
    return (size_t)len < size ? len : (int)(size - 1);
}

int curl_msnprintf(char *buffer, size_t size, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = curl_mvsnprintf(buffer, size, format, args);
    va_end(args);
    return len;
}

/* Returns one of MERR_*. A buffer that cannot be extended is freed. */
int curlx_dyn_vprintf(struct dynbuf *dyn, const char *format, va_list args)
{
    char small[256];
    char *text = small;
    va_list again;
    CURLcode result = CURLE_OUT_OF_MEMORY;

    va_copy(again, args);
    int len = vsnprintf(small, sizeof small, format, args);
    if (len >= (int)sizeof small) {
        text = malloc((size_t)len + 1);
        if (text != NULL)
            vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    if (len < 0 || text == NULL)
        curlx_dyn_free(dyn);
    else
        result = curlx_dyn_addn(dyn, text, (size_t)len);
    if (text != small)
        free(text);
    if (result == CURLE_OK)
        return MERR_OK;
    return result == CURLE_TOO_LARGE ? MERR_TOO_LARGE : MERR_MEM;
}

char *curl_mvaprintf(const char *format, va_list args)
{
    struct dynbuf dyn;

    curlx_dyn_init(&dyn, DYN_APRINTF);
    return curlx_dyn_vprintf(&dyn, format, args) == MERR_OK ? curlx_dyn_ptr(&dyn) : NULL;
}

char *curl_maprintf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = curl_mvaprintf(format, args);
    va_end(args);
    return text;
}

int curl_mfprintf(FILE *file, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vfprintf(file, format, args);
    va_end(args);
    return len;
}

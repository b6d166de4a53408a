/* A bundle: what is kept fits into the file, can be walked and read again, and every name is fit to be
 * shown. */
#include "tls_cert.h"
#include "utf8.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_name(struct tls_span name)
{
    char text[TLS_NAME_SIZE];
    const char *at = text;
    uint32_t code;

    tls_cert_name(name, text);
    require(*text != '\0' && memchr(text, '\0', sizeof text) != NULL);
    while (*at != '\0') {
        size_t len = utf8_decode(at, strlen(at), &code);

        require(len > 0 && code >= 0x20 && (code < 0x7F || code >= 0xA0));
        at += len;
    }
}

static bool keep(void *ctx, const struct tls_cert *cert)
{
    check_name(cert->subject);
    check_name(cert->issuer);
    if (!tls_cert_usable(cert))
        return false;
    ++*(size_t *)ctx;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *file = malloc(size > 0 ? size : 1);
    struct tls_span rest = {file, 0};
    struct tls_span content;
    struct tls_cert cert;
    size_t kept = 0;
    int damaged;

    if (file == NULL)
        return 0;
    if (size > 0)
        memcpy(file, data, size);
    rest.len = tls_pem_decode(file, size, keep, &kept, &damaged);
    require(rest.len <= size && damaged >= 0);
    for (; rest.len > 0; kept--) {
        const unsigned char *start = rest.data;

        require(tls_der_expect(&rest, DER_SEQUENCE, &content));
        require(tls_cert_parse((struct tls_span){start, (size_t)(rest.data - start)}, &cert));
        require(tls_cert_usable(&cert));
    }
    require(kept == 0);
    free(file);
    return 0;
}

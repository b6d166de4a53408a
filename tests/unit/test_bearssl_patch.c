/*
 * Our patch to BearSSL, deps/patches/bearssl/stop-at-first-error.patch: its decoders must not go on after an
 * error. Without the patch the first test writes beyond the decoder, which ASan reports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <bearssl.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "../data/rsa8192_der.h"

/* In pieces, as curl pushes what comes out of the PEM decoder. */
static void certificate_with_a_key_too_large(void **state)
{
    (void)state;
    br_x509_decoder_context *decoder = malloc(sizeof *decoder);
    assert_non_null(decoder);
    br_x509_decoder_init(decoder, NULL, NULL);

    const size_t piece = 200;
    for (size_t done = 0; done < sizeof rsa8192_der; done += piece) {
        size_t left = sizeof rsa8192_der - done;
        br_x509_decoder_push(decoder, rsa8192_der + done, left < piece ? left : piece);
    }
    assert_int_equal(br_x509_decoder_last_error(decoder), BR_ERR_X509_LIMIT_EXCEEDED);
    assert_null(br_x509_decoder_get_pkey(decoder));
    free(decoder);
}

static void private_key_after_an_error(void **state)
{
    (void)state;
    static const unsigned char not_a_key[] = {0x05, 0x00};
    static const unsigned char more[64] = {0};
    br_skey_decoder_context decoder, before;
    br_skey_decoder_init(&decoder);
    br_skey_decoder_push(&decoder, not_a_key, sizeof not_a_key);
    assert_int_not_equal(br_skey_decoder_last_error(&decoder), 0);

    memcpy(&before, &decoder, sizeof before);
    br_skey_decoder_push(&decoder, more, sizeof more);
    assert_memory_equal(&decoder, &before, sizeof before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate_with_a_key_too_large),
        cmocka_unit_test(private_key_after_an_error),
    };
    return cmocka_run_group_tests_name("bearssl_patch", tests, NULL, NULL);
}

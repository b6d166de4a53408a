/*
 * A chain of certificates for the judge. The input is a series of certificates, each with its length in two
 * bytes before it. The verdict does not depend on the pieces they come in; it is good only for the server's
 * certificate of tests/data/tls_chain.h, whatever comes with it; and what is said of it is fit to be shown.
 */
#include "tls_internal.h"
#include "utf8.h"

#include "../data/tls_chain.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct tls_trust *root(void)
{
    static struct tls_trust *trust;
    struct tls_cert cert;
    br_x509_trust_anchor *anchor;

    if (trust != NULL)
        return trust;
    trust = calloc(1, sizeof *trust + sizeof trust->anchors[0]);
    require(trust != NULL && tls_cert_parse((struct tls_span){root_der, sizeof root_der}, &cert));
    trust->count = 1;
    anchor = trust->anchors;
    anchor->dn = (br_x500_name){(unsigned char *)(uintptr_t)cert.subject.data, cert.subject.len};
    anchor->flags = BR_X509_TA_CA;
    anchor->pkey.key_type = BR_KEYTYPE_EC;
    anchor->pkey.key.ec = (br_ec_public_key){cert.curve, (unsigned char *)(uintptr_t)cert.q.data, cert.q.len};
    return trust;
}

static void check_text(const char *text)
{
    uint32_t code;

    while (*text != '\0') {
        size_t len = utf8_decode(text, strlen(text), &code);

        require(len > 0 && code >= 0x20 && (code < 0x7F || code >= 0xA0));
        text += len;
    }
}

/* Takes a certificate off the input. */
static bool take(struct tls_span *in, struct tls_span *der)
{
    if (in->len < 2)
        return false;
    der->len = (size_t)in->data[0] << 8 | in->data[1];
    der->data = in->data + 2;
    if (der->len > in->len - 2)
        der->len = in->len - 2;
    in->data += 2 + der->len;
    in->len -= 2 + der->len;
    return true;
}

static unsigned judge(struct tls_peer *peer, struct tls_span in, size_t piece)
{
    const br_x509_class **class = &peer->vtable;
    struct tls_span der;

    (*class)->start_chain(class, "a.example");
    while (take(&in, &der)) {
        (*class)->start_cert(class, (uint32_t)der.len);
        for (size_t at = 0; at < der.len; at += piece)
            (*class)->append(class, der.data + at, piece < der.len - at ? piece : der.len - at);
        (*class)->end_cert(class);
    }
    return (*class)->end_chain(class);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static br_ssl_client_context client;
    struct tls *tls = tls_new();
    struct tls_peer *peer = tls_peer_new();
    struct tls_span in = {data, size};
    struct tls_span own = {NULL, 0};
    struct tls_span rest = in;
    char text[480];
    unsigned whole;

    if (tls == NULL || peer == NULL)
        goto end;
    br_ssl_client_zero(&client);
    strcpy(client.eng.server_name, "a.example");
    tls_begin(tls, peer, root(), &client);
    whole = judge(peer, in, size + 1);
    tls_explain(peer, (int)whole, text, sizeof text);
    check_text(text);
    if (whole == 0) {
        /* Behind what is signed a signature can be written in more ways than one. */
        require(take(&rest, &own) && own.len > 300 && memcmp(own.data + 4, leaf_der + 4, 300) == 0);
        require(peer->vtable->get_pkey(&peer->vtable, NULL) != NULL);
    }
    require(judge(peer, in, 1) == whole);
    require(judge(peer, in, 100) == whole);
end:
    tls_peer_free(peer);
    tls_free(tls);
    return 0;
}

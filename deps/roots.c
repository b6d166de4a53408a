/*
 * Makes the header that src/tls_roots.c includes, from Mozilla's list of authorities as Debian's
 * ca-certificates has it. A program of the machine that builds, not of the one that is built for.
 *
 * usage: roots FOLDER VERSION
 *
 * FOLDER has certdata.txt and blacklist.txt, or roots.pem: what the machine's own package installed, where its source
 * cannot be had.
 *
 * certdata.txt is a list of objects, each a series of lines "ATTRIBUTE TYPE VALUE" up to an empty one, where
 * the value of type MULTILINE_OCTAL is on the following lines, as \ooo, up to END. A certificate is taken if
 * the trust object with its issuer and serial number trusts it for servers, and its label is not in
 * blacklist.txt: that is what Debian's certdata2pem.py does. One that Mozilla distrusts for certificates
 * issued after some date, which BearSSL cannot express, is left out, too: what it issued before that has
 * expired within 13 months. What BearSSL cannot use is left out and said. The same input gives the same
 * output.
 */
#include "tls_cert.h"

#include <bearssl_hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS_MAX 4096
#define VALUE_MAX 8192
#define LINE_MAX_ 1024
#define PEM_MAX (4 * 1024 * 1024)

enum { VALUE, ISSUER, SERIAL, VALUES };
static const char *const value_names[] = {"CKA_VALUE", "CKA_ISSUER", "CKA_SERIAL_NUMBER"};

struct object {
    bool certificate;
    bool trust;
    bool for_servers;
    bool distrusted;
    char label[LINE_MAX_];
    struct tls_span values[VALUES];
};

static struct object objects[OBJECTS_MAX];
static size_t object_count;

static void fail(const char *what)
{
    fprintf(stderr, "deps/roots: %s\n", what);
    exit(1);
}

static char *read_line(FILE *file, char line[LINE_MAX_])
{
    if (fgets(line, LINE_MAX_, file) == NULL)
        return NULL;
    if (strchr(line, '\n') == NULL)
        fail("a line is too long");
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

/* The lines up to END. */
static struct tls_span read_octal(FILE *file)
{
    unsigned char *data = malloc(VALUE_MAX);
    size_t len = 0;
    char line[LINE_MAX_];

    if (data == NULL)
        fail("out of memory");
    while (read_line(file, line) != NULL && strcmp(line, "END") != 0) {
        for (const char *at = strchr(line, '\\'); at != NULL; at = strchr(at + 1, '\\')) {
            if (len == VALUE_MAX)
                fail("a value is too long");
            data[len++] = (unsigned char)strtoul(at + 1, NULL, 8);
        }
    }
    return (struct tls_span){data, len};
}

static bool has_prefix(const char *line, const char *prefix)
{
    return strncmp(line, prefix, strlen(prefix)) == 0;
}

static void read_attribute(FILE *file, const char *line, struct object *object)
{
    if (has_prefix(line, "CKA_NSS_SERVER_DISTRUST_AFTER MULTILINE_OCTAL"))
        object->distrusted = true;
    if (strstr(line, " MULTILINE_OCTAL") != NULL) {
        struct tls_span value = read_octal(file);

        for (int i = 0; i < VALUES; i++) {
            if (has_prefix(line, value_names[i]) && line[strlen(value_names[i])] == ' ')
                object->values[i] = value;
        }
    } else if (has_prefix(line, "CKA_LABEL UTF8 ")) {
        snprintf(object->label, sizeof object->label, "%s", line + strlen("CKA_LABEL UTF8 "));
    } else if (has_prefix(line, "CKA_CLASS ")) {
        object->certificate = strstr(line, " CKO_CERTIFICATE") != NULL;
        object->trust = strstr(line, " CKO_NSS_TRUST") != NULL;
    } else if (has_prefix(line, "CKA_TRUST_SERVER_AUTH ")) {
        object->for_servers = strstr(line, " CKT_NSS_TRUSTED_DELEGATOR") != NULL;
    }
}

static void read_objects(void)
{
    FILE *file = fopen("certdata.txt", "r");
    char line[LINE_MAX_];
    bool inside = false;

    if (file == NULL)
        fail("cannot read certdata.txt");
    while (read_line(file, line) != NULL && strcmp(line, "BEGINDATA") != 0)
        ;
    while (read_line(file, line) != NULL) {
        if (line[0] == '#')
            continue;
        if (inside && line[0] == '\0')
            object_count++;
        inside = line[0] != '\0';
        if (object_count == OBJECTS_MAX)
            fail("too many objects");
        if (inside)
            read_attribute(file, line, &objects[object_count]);
    }
    object_count += inside;
    fclose(file);
}

static bool is_blacklisted(const char *label)
{
    FILE *file = fopen("blacklist.txt", "r");
    char line[LINE_MAX_];
    bool found = false;

    if (file == NULL)
        fail("cannot read blacklist.txt");
    while (!found && read_line(file, line) != NULL)
        found = line[0] != '#' && line[0] != '\0' && has_prefix(line, label);
    fclose(file);
    return found;
}

static bool is_trusted(const struct object *certificate)
{
    for (size_t i = 0; i < object_count; i++) {
        if (objects[i].trust && tls_span_equal(objects[i].values[ISSUER], certificate->values[ISSUER]) &&
            tls_span_equal(objects[i].values[SERIAL], certificate->values[SERIAL]))
            return objects[i].for_servers;
    }
    return false;
}

static size_t written;

static void write_bytes(struct tls_span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        printf("%u,%s", bytes.data[i], ++written % 32 == 0 ? "\n" : "");
}

static void write_hash(struct tls_span name)
{
    br_sha256_context sha256;
    unsigned char hash[br_sha256_SIZE];

    br_sha256_init(&sha256);
    br_sha256_update(&sha256, name.data, name.len);
    br_sha256_out(&sha256, hash);
    write_bytes((struct tls_span){hash, TLS_NAME_HASH});
}

static void write_root(const struct tls_cert *cert)
{
    const unsigned char kind = cert->key == TLS_KEY_RSA ? TLS_ROOT_RSA : (unsigned char)cert->curve;
    struct tls_span key = cert->key == TLS_KEY_RSA ? cert->n : cert->q;
    const unsigned char head[] = {kind, (unsigned char)cert->e.len, (unsigned char)(key.len >> 8),
                                  (unsigned char)key.len};

    write_bytes((struct tls_span){head, sizeof head});
    write_hash(cert->subject);
    write_bytes(key);
    write_bytes(cert->e);
}

/* Writes it if it can be an anchor; *ctx is how many have been written. */
static bool keep_root(void *ctx, const struct tls_cert *cert)
{
    size_t *count = ctx;

    if (!tls_cert_usable(cert) || !tls_cert_is_authority(cert))
        return false;
    write_root(cert);
    ++*count;
    return true;
}

static size_t write_certdata(void)
{
    size_t count = 0;

    read_objects();
    for (size_t i = 0; i < object_count; i++) {
        const struct object *object = &objects[i];
        struct tls_cert cert;

        if (!object->certificate || object->distrusted || !is_trusted(object) ||
            is_blacklisted(object->label))
            continue;
        if (!tls_cert_parse(object->values[VALUE], &cert) || !keep_root(&count, &cert))
            fprintf(stderr, "deps/roots: left out %s\n", object->label);
    }
    return count;
}

static size_t write_pem(void)
{
    static unsigned char data[PEM_MAX];
    FILE *file = fopen("roots.pem", "r");
    size_t count = 0;
    int damaged;

    if (file == NULL)
        fail("cannot read roots.pem");
    size_t len = fread(data, 1, sizeof data, file);
    if (ferror(file) || len == sizeof data)
        fail("cannot read all of roots.pem");
    fclose(file);
    tls_pem_decode(data, len, keep_root, &count, &damaged);
    if (damaged > 0)
        fprintf(stderr, "deps/roots: left out %d damaged certificates\n", damaged);
    return count;
}

int main(int argc, char **argv)
{
    const char *version = argv[argc - 1];

    if (argc != 3 || chdir(argv[1]) != 0)
        fail("usage: roots FOLDER VERSION");
    printf("/* Made by deps/roots.c from ca-certificates %s. */\n#define TLS_ROOTS_VERSION \"%s\"\n"
           "static const unsigned char tls_roots_data[] = {\n",
           version, version);
    size_t count = access("certdata.txt", F_OK) == 0 ? write_certdata() : write_pem();
    if (count == 0)
        fail("no root in it");
    printf("};\nstatic const size_t tls_roots_records = %zu;\n", count);
    return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}

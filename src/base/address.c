#include "address.h"

#include "text.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#define PORT_MAX 65535
#define LITERAL_SIZE 46 /* INET6_ADDRSTRLEN */

/* Without the brackets. */
static bool parse_v6(const char *host, size_t len, struct in6_addr *out)
{
    char literal[LITERAL_SIZE];

    if (len < 2 || len - 2 >= sizeof literal || host[0] != '[' || host[len - 1] != ']')
        return false;
    memcpy(literal, host + 1, len - 2);
    literal[len - 2] = '\0';
    return inet_pton(AF_INET6, literal, out) == 1;
}

static bool parse_port(const char *text, in_port_t *out)
{
    unsigned long port = 0;

    if (strlen(text) > 5)
        return false;
    for (; text_is_digit(*text); text++)
        port = port * 10 + (unsigned long)(*text - '0');
    *out = htons((in_port_t)port);
    return *text == '\0' && port > 0 && port <= PORT_MAX;
}

static bool parse_host(const char *host, size_t len, in_port_t port, struct address *address)
{
    char name[LITERAL_SIZE];

    address->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
    address->len = sizeof address->in6;
    if (len == 0 || parse_v6(host, len, &address->in6.sin6_addr)) /* none is in6addr_any */
        return true;
    if (len >= sizeof name)
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    address->in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    address->len = sizeof address->in;
    return strcmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address->in.sin_addr) == 1;
}

bool address_parse(const char *text, struct address *address)
{
    static const char unix_[] = "unix:";
    const char *path = text + sizeof unix_ - 1, *colon = strrchr(text, ':');
    in_port_t port;

    *address = (struct address){.len = 0};
    if (strcmp(text, "off") == 0)
        return true;
    if (strlen(text) > ADDRESS_TEXT_MAX)
        return false;
    if (text_begins(text, unix_)) {
        address->un = (struct sockaddr_un){.sun_family = AF_UNIX};
        address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
        if (*path != '/' || strlen(path) >= sizeof address->un.sun_path)
            return false;
        memcpy(address->un.sun_path, path, strlen(path));
        return true;
    }
    return colon != NULL && parse_port(colon + 1, &port) &&
           parse_host(text, (size_t)(colon - text), port, address);
}

bool address_is_literal(const char *host)
{
    struct in6_addr any;

    return parse_v6(host, strlen(host), &any) || inet_pton(AF_INET, host, &any) == 1;
}

#include "admin_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 64
#define KIND (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)

/* Does anybody listen there? Never waits. */
static bool is_deserted(const struct address *address)
{
    int fd = socket(AF_UNIX, KIND, 0);
    bool deserted = fd >= 0 && connect(fd, &address->any, address->len) != 0 && errno == ECONNREFUSED;

    if (fd >= 0)
        close(fd);
    return deserted;
}

static bool bind_file(struct admin_socket *made, const struct address *address)
{
    const char *path = address->un.sun_path;
    struct stat info;
    mode_t mask;
    bool good;

    if (lstat(path, &info) == 0 && S_ISSOCK(info.st_mode) && is_deserted(address))
        unlink(path);
    mask = umask(0177);
    good = bind(made->fd, &address->any, address->len) == 0;
    umask(mask);
    if (good && lstat(path, &info) == 0) {
        made->device = info.st_dev;
        made->inode = info.st_ino;
    }
    return good;
}

static bool bind_port(int fd, const struct address *address)
{
    static const int yes = 1, no = 0;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (address->any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    return bind(fd, &address->any, address->len) == 0;
}

static bool open_at(struct admin_socket *made, const struct address *address)
{
    bool file = address->any.sa_family == AF_UNIX;
    int code;

    made->address = *address;
    made->fd = socket(address->any.sa_family, KIND, 0);
    if (made->fd < 0)
        return false;
    if ((file ? bind_file(made, address) : bind_port(made->fd, address)) && listen(made->fd, BACKLOG) == 0)
        return true;
    code = errno;
    close(made->fd);
    made->fd = -1;
    errno = code;
    return false;
}

/* Where the machine has no IPv6 at all, "every address" has another name. */
static bool open_any_v4(struct admin_socket *made, const struct address *address)
{
    struct address v4 = {.len = sizeof v4.in};

    if (address->any.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&address->in6.sin6_addr) ||
        (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL))
        return false;
    v4.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = address->in6.sin6_port};
    return open_at(made, &v4);
}

bool admin_socket_open(struct admin_socket *made, const struct address *address, struct error *error)
{
    *made = (struct admin_socket){.fd = -1};
    if (open_at(made, address) || open_any_v4(made, address))
        return true;
    return error_set_errno(error,
                           errno == EADDRINUSE ? "something else listens there" : "cannot listen there");
}

void admin_socket_remove(const struct admin_socket *made)
{
    struct stat info;

    if (made->fd >= 0 && made->address.any.sa_family == AF_UNIX &&
        lstat(made->address.un.sun_path, &info) == 0 && info.st_dev == made->device &&
        info.st_ino == made->inode)
        unlink(made->address.un.sun_path);
}

/*
 * Names that are not told apart, on a file system of our own: one that ignores case and how a letter is composed, through
 * /dev/fuse.
 */
#include "dir_fixture.h"
#include "dir_names.h"

#include <linux/fuse.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define COMPOSED "\xC3\xA9"    /* e with an acute accent: U+00E9, */
#define DECOMPOSED "e\xCC\x81" /* or e and U+0301 */

/* ---- the file system: the directory "Dir" with the file "File", and one with an accent ---- */

static const struct {
    const char *name;
    uint64_t parent, inode;
    uint32_t mode;
} nodes[] = {
    {"", 0, FUSE_ROOT_ID, S_IFDIR | 0755},
    {"Dir", FUSE_ROOT_ID, 2, S_IFDIR | 0755},
    {"File", 2, 3, S_IFREG | 0644},
    {COMPOSED, FUSE_ROOT_ID, 4, S_IFDIR | 0755},
};
#define NODES (sizeof nodes / sizeof *nodes)

static void reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + len), .error = -error, .unique = unique};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)(uintptr_t)data, len}};

    if (writev(fd, parts, len > 0 ? 2 : 1) < 0)
        return; /* the request was interrupted */
}

static struct fuse_attr attributes(size_t node)
{
    return (struct fuse_attr){.ino = nodes[node].inode, .mode = nodes[node].mode, .nlink = 1};
}

static bool is_named(size_t node, const char *name)
{
    return strcasecmp(nodes[node].name, strcmp(name, DECOMPOSED) == 0 ? COMPOSED : name) == 0;
}

static void answer_lookup(int fd, const struct fuse_in_header *in, const char *name)
{
    for (size_t i = 1; i < NODES; i++) {
        struct fuse_entry_out out = {.nodeid = nodes[i].inode, .attr = attributes(i)};

        if (nodes[i].parent == in->nodeid && is_named(i, name)) {
            reply(fd, in->unique, 0, &out, sizeof out);
            return;
        }
    }
    reply(fd, in->unique, ENOENT, NULL, 0);
}

static void answer_readdir(int fd, const struct fuse_in_header *in, const struct fuse_read_in *read)
{
    _Alignas(struct fuse_dirent) char data[128] = "";
    size_t used = 0;

    for (size_t i = 1; i < NODES && read->offset == 0; i++) {
        struct fuse_dirent *entry = (struct fuse_dirent *)(void *)(data + used);

        if (nodes[i].parent != in->nodeid)
            continue;
        *entry = (struct fuse_dirent){.ino = nodes[i].inode, .off = 1, .type = nodes[i].mode >> 12};
        entry->namelen = (uint32_t)strlen(nodes[i].name);
        memcpy(data + used + FUSE_NAME_OFFSET, nodes[i].name, entry->namelen);
        used += FUSE_DIRENT_SIZE(entry);
    }
    reply(fd, in->unique, 0, data, used);
}

static void answer(int fd, const struct fuse_in_header *in)
{
    const void *rest = in + 1;
    struct fuse_attr_out attr = {.attr_valid = 0};
    struct fuse_open_out opened = {.fh = 0};
    struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION, .max_write = 4096};

    switch (in->opcode) {
    case FUSE_INIT:
        reply(fd, in->unique, 0, &init, sizeof init);
        break;
    case FUSE_LOOKUP:
        answer_lookup(fd, in, rest);
        break;
    case FUSE_GETATTR:
        attr.attr = attributes((size_t)in->nodeid - 1);
        reply(fd, in->unique, 0, &attr, sizeof attr);
        break;
    case FUSE_OPENDIR:
        reply(fd, in->unique, 0, &opened, sizeof opened);
        break;
    case FUSE_READDIR:
        answer_readdir(fd, in, rest);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    case FUSE_RELEASEDIR:
        reply(fd, in->unique, 0, NULL, 0);
        break;
    default:
        reply(fd, in->unique, ENOSYS, NULL, 0);
    }
}

/* Until it is unmounted. */
static void serve(int fd)
{
    static union {
        struct fuse_in_header header;
        char bytes[FUSE_MIN_READ_BUFFER];
    } request;

    while (read(fd, request.bytes, sizeof request.bytes) > 0)
        answer(fd, &request.header);
    _exit(0);
}

/* Mounts it at root/ci; returns who serves it, -1 if that cannot be. */
static pid_t mount_it(void)
{
    char options[96];
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    pid_t server;

    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    if (fd < 0 || mount("test", tempdir_path(root, "ci"), "fuse", MS_NODEV | MS_NOSUID, options) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    server = fork();
    assert_true(server >= 0);
    if (server == 0)
        serve(fd);
    close(fd);
    return server;
}

/* ---- tests ---- */

static void names_that_are_one_file(void **state)
{
    pid_t server;
    int fd;

    set_up(state);
    assert_int_equal(mkdir(tempdir_path(root, "ci"), 0755), 0);
    server = mount_it();
    if (server < 0) {
        tear_down(state);
        skip();
    }
    fd = open(tempdir_path(root, "ci"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_false(dir_names_clash(fd, "Dir"));
    assert_false(dir_names_clash(fd, "Dir/File"));
    assert_false(dir_names_clash(fd, "Dir/new"));
    assert_false(dir_names_clash(fd, "new/File"));
    assert_false(dir_names_clash(fd, "123"));
    assert_false(dir_names_clash(fd, COMPOSED));
    assert_false(dir_names_clash(fd, COMPOSED "/" DECOMPOSED));
    assert_false(dir_names_clash(fd, "new" DECOMPOSED));
    assert_true(dir_names_clash(fd, DECOMPOSED));
    assert_true(dir_names_clash(fd, DECOMPOSED "/new"));
    assert_true(dir_names_clash(fd, "dir"));
    assert_true(dir_names_clash(fd, "DIR/new"));
    assert_true(dir_names_clash(fd, "Dir/file"));
    assert_true(dir_names_clash(fd, "Dir/FILE"));
    close(fd);
    /* Neither the one that is there nor one beside it gets the bytes. */
    assert_false(put("ci/Dir/file", "2", 1, 1, CLOCK_UNKNOWN));
    assert_int_equal(call.error.sys, ENOTUNIQ);
    assert_non_null(strstr(call.error.text, "ci/Dir/file"));
    assert_false(put("ci/dir/new", "2", 1, 1, CLOCK_UNKNOWN));
    assert_int_equal(call.error.sys, ENOTUNIQ);
    assert_int_equal(count_in(".storsync/tmp"), 0);
    assert_int_equal(count_in(".storsync/odd"), 0);
    umount2(tempdir_path(root, "ci"), MNT_DETACH);
    kill(server, SIGKILL);
    assert_int_equal(waitpid(server, NULL, 0), server);
    tear_down(state);
}

static void names_that_are_told_apart(void **state)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    put_text("Dir/File", "1");
    put_text("dir/file", "2");
    put_text("Dir/file", "3");
    assert_int_equal(link(tempdir_path(root, "Dir/File"), tempdir_path(root, "Dir/fILE")), 0);
    assert_int_equal(link(tempdir_path(root, "Dir/File"), tempdir_path(root, "Dir/g")), 0);
    assert_int_equal(link(tempdir_path(root, "Dir/g"), tempdir_path(root, "Dir/G")), 0);
    assert_false(dir_names_clash(fd, "Dir/g"));
    assert_false(dir_names_clash(fd, "Dir/G"));
    put_text("Dir/g", "4");
    assert_holds("Dir/G", "1");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_one_file),
        DIR_TEST(names_that_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "dir_sort.h"

#include "dir_file.h"
#include "random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What a run is written through. */
#define WRITE_SIZE ((size_t)32 * 1024)

/* f_type of file systems that are memory: linux/magic.h */
#define FS_TMPFS 0x01021994U
#define FS_RAMFS 0x858458f6U

struct run {
    off_t at, end; /* what of the file is still to be read */
    char *part;    /* of the merge's memory */
    size_t len;    /* bytes in it */
    size_t next;   /* where the current name begins */
};

struct dir_sort {
    int fd;
    size_t memory;
    off_t size;       /* of the file */
    struct run *runs; /* room for as many as there may be */
    size_t count;
    char *buffer; /* WRITE_SIZE bytes for writing; then all parts */
    size_t part;  /* bytes of each */
    size_t *heap; /* indices of runs that have a current name, the smallest name first */
    size_t heap_len;
    bool begun;               /* `last` was handed out, and the first run of the heap still stands at it */
    char last[DIR_SORT_NAME]; /* "": none yet */
};

/* ---- the file ---- */

static bool is_in_memory(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) != 0 || (uint32_t)fs.f_type == FS_TMPFS || (uint32_t)fs.f_type == FS_RAMFS;
}

/* -1 with errno. */
static int open_nameless(int folder)
{
    char name[48];
    int fd;

    if (is_in_memory(folder)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    snprintf(name, sizeof name, DIR_TEMP_PREFIX "names-%016" PRIx64, random_number());
    fd = openat(folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0)
        unlinkat(folder, name, 0);
    return fd;
}

static int open_anywhere(int folder)
{
    static const char *const folders[] = {"/tmp", "/var/tmp"};
    int fd = folder >= 0 ? open_nameless(folder) : -1;

    for (size_t i = 0; fd < 0 && i < sizeof folders / sizeof folders[0]; i++) {
        int other = open(folders[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (other < 0)
            continue;
        fd = open_nameless(other);
        close(other);
    }
    return fd;
}

struct dir_sort *dir_sort_new(int folder, size_t memory)
{
    struct dir_sort *sort = calloc(1, sizeof *sort);

    if (sort == NULL)
        return NULL;
    sort->memory = memory;
    sort->fd = open_anywhere(folder);
    if (sort->fd >= 0) {
        sort->buffer = malloc(WRITE_SIZE);
        sort->runs = calloc(memory / DIR_SORT_PART + 1, sizeof *sort->runs);
    }
    if (sort->buffer != NULL && sort->runs != NULL)
        return sort;
    dir_sort_free(sort);
    return NULL;
}

void dir_sort_free(struct dir_sort *sort)
{
    int before = errno;

    if (sort == NULL)
        return;
    if (sort->fd >= 0)
        close(sort->fd);
    free(sort->runs);
    free(sort->buffer);
    free(sort->heap);
    free(sort);
    errno = before;
}

/* ---- runs ---- */

static bool write_out(struct dir_sort *sort, size_t len)
{
    const struct dir_file file = {.fd = sort->fd};

    if (!dir_file_write(&file, sort->buffer, len, (uint64_t)sort->size))
        return false;
    sort->size += (off_t)len;
    return true;
}

static struct run *add_run(struct dir_sort *sort)
{
    if (sort->count < sort->memory / DIR_SORT_PART)
        return &sort->runs[sort->count++];
    errno = EFBIG;
    return NULL;
}

bool dir_sort_add(struct dir_sort *sort, const char *names, const uint32_t *starts, size_t count)
{
    struct run *run = add_run(sort);
    size_t used = 0;

    if (run == NULL)
        return false;
    *run = (struct run){.at = sort->size};
    for (size_t i = 0; i < count; i++) {
        const char *name = names + starts[i];
        size_t size = strlen(name) + 1;

        if (size > WRITE_SIZE - used) {
            if (!write_out(sort, used))
                return false;
            used = 0;
        }
        memcpy(sort->buffer + used, name, size);
        used += size;
    }
    if (!write_out(sort, used))
        return false;
    run->end = sort->size;
    return true;
}

/* ---- the merge ---- */

static bool has_name(const struct run *run)
{
    size_t left = run->len - run->next;

    return memchr(run->part + run->next, '\0', left < DIR_SORT_NAME ? left : DIR_SORT_NAME) != NULL;
}

/* Reads on, so that the run's current name is whole. *ended: there is none. */
static bool read_run(const struct dir_sort *sort, struct run *run, bool *ended)
{
    size_t left = run->len - run->next;

    *ended = false;
    if (has_name(run))
        return true;
    memmove(run->part, run->part + run->next, left);
    run->next = 0;
    run->len = left;
    while (run->len < sort->part && run->at < run->end) {
        off_t rest = run->end - run->at;
        size_t room = sort->part - run->len;
        ssize_t n = pread(sort->fd, run->part + run->len, (off_t)room < rest ? room : (size_t)rest, run->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n < 0 ? errno : EIO; /* the file has become shorter */
            return false;
        }
        run->len += (size_t)n;
        run->at += n;
    }
    *ended = run->len == 0;
    if (*ended || has_name(run))
        return true;
    errno = EIO; /* nothing that was written */
    return false;
}

static const char *first_name(const struct dir_sort *sort, size_t at)
{
    const struct run *run = &sort->runs[sort->heap[at]];

    return run->part + run->next;
}

/* Lets the one at `at` sink to where it belongs. */
static void sink_run(struct dir_sort *sort, size_t at)
{
    size_t index = sort->heap[at];
    const char *name = first_name(sort, at);

    for (;;) {
        size_t child = 2 * at + 1;

        if (child + 1 < sort->heap_len && strcmp(first_name(sort, child + 1), first_name(sort, child)) < 0)
            child++;
        if (child >= sort->heap_len || strcmp(name, first_name(sort, child)) <= 0)
            break;
        sort->heap[at] = sort->heap[child];
        at = child;
    }
    sort->heap[at] = index;
}

bool dir_sort_merge(struct dir_sort *sort)
{
    free(sort->buffer);
    sort->part = sort->memory / (sort->count > 0 ? sort->count : 1);
    sort->buffer = malloc(sort->memory);
    sort->heap = malloc((sort->count + 1) * sizeof sort->heap[0]);
    if (sort->buffer == NULL || sort->heap == NULL)
        return false;
    for (size_t i = 0; i < sort->count; i++) {
        bool ended;

        sort->runs[i].part = sort->buffer + i * sort->part;
        if (!read_run(sort, &sort->runs[i], &ended))
            return false;
        if (!ended)
            sort->heap[sort->heap_len++] = i;
    }
    for (size_t i = sort->heap_len / 2; i-- > 0;)
        sink_run(sort, i);
    return true;
}

/* Moves the run with the smallest name to its next one. */
static bool take_first(struct dir_sort *sort)
{
    struct run *run = &sort->runs[sort->heap[0]];
    bool ended;

    run->next += strlen(run->part + run->next) + 1;
    if (!read_run(sort, run, &ended))
        return false;
    if (ended)
        sort->heap[0] = sort->heap[--sort->heap_len];
    if (sort->heap_len > 1)
        sink_run(sort, 0);
    return true;
}

const char *dir_sort_next(struct dir_sort *sort)
{
    errno = 0;
    while (sort->heap_len > 0 && sort->begun && strcmp(first_name(sort, 0), sort->last) == 0)
        if (!take_first(sort))
            return NULL;
    if (sort->heap_len == 0)
        return NULL;
    sort->begun = true;
    memcpy(sort->last, first_name(sort, 0), strlen(first_name(sort, 0)) + 1);
    return sort->last;
}

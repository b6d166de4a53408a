/* proc(5), proc_pid_stat(5), pid_namespaces(7), random(4). */
#include "machine.h"

#include "file.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX ((size_t)64)
#define STAT_MAX ((size_t)1024)
#define STAT_START 19 /* fields from the state to starttime */

static void find_machine(char out[MACHINE_SIZE])
{
    char host[65] = "", namespace[40];
    struct error ignored;
    size_t boot_len = 0;
    char *boot = file_read(BOOT_ID, BOOT_ID_MAX, &boot_len, &ignored);
    ssize_t len = readlink("/proc/self/ns/pid", namespace, sizeof namespace);

    out[0] = '\0';
    if (boot != NULL && len > 0 && len < (ssize_t)sizeof namespace && gethostname(host, sizeof host - 1) == 0)
        snprintf(out, MACHINE_SIZE, "%.36s %.*s %s", boot, (int)len, namespace, host);
    file_free(boot, boot_len);
}

/* The state's letter and when it was started; 0 if that cannot be told. The name before them may hold anything. Of the process's first
 * thread: what a process reads in /proc/PID/stat of itself, QEMU's user mode makes up, and others read another time of start. */
static char read_process_stat(int64_t pid, int64_t *started)
{
    char path[64];
    struct error ignored;
    size_t len = 0;
    char *text, *at, state = 0;

    snprintf(path, sizeof path, "/proc/%lld/task/%lld/stat", (long long)pid, (long long)pid);
    text = file_read(path, STAT_MAX, &len, &ignored);
    at = text != NULL ? strrchr(text, ')') : NULL;
    if (at != NULL && at[1] == ' ') {
        state = at[2];
        at += 2;
    }
    for (int i = 0; at != NULL && i < STAT_START; i++)
        at = strchr(at + 1, ' ');
    *started = at != NULL ? strtoll(at, NULL, 10) : 0;
    file_free(text, len);
    return state;
}

void machine_self(struct machine_process *self)
{
    self->pid = getpid();
    find_machine(self->machine);
    read_process_stat(self->pid, &self->started);
}

bool machine_has_lost(const struct machine_process *process)
{
    char here[MACHINE_SIZE];
    int64_t started;
    char state;

    if (process->pid <= 0 || process->pid > INT_MAX)
        return false;
    find_machine(here);
    if (here[0] == '\0' || strcmp(process->machine, here) != 0)
        return false;
    /* A zombie: whatever the application's process 1 is, it may never wait for it; X: it is being waited for. /proc may be that of another
     * namespace, so only what is surely the same process counts. Looked at first: it may go between the two. */
    state = read_process_stat(process->pid, &started);
    if ((state == 'Z' || state == 'X') && started != 0 && started == process->started)
        return true;
    return kill((pid_t)process->pid, 0) != 0 && errno == ESRCH;
}

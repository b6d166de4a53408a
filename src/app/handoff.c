#include "handoff.h"

#include "stop.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KERNEL_MASK_SIZE 8 /* bytes of the kernel's sigset_t */
#define NAP 10             /* ms */

static const int stops[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
#define STOPS (sizeof stops / sizeof stops[0])

/* What the processor reports of the program itself. */
static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

static volatile sig_atomic_t worker_pid;     /* of the supervisor's worker, else 0 */
static volatile sig_atomic_t supervisor_pid; /* in a worker, else 0 */
static int private_fds[HANDOFF_PRIVATE];     /* each one more by 1, as 0 is none */

/* ---- signals ---- */

/* SIGHUP from a process asks an application to read its configuration again; from the kernel it means that the terminal
 * is gone. A worker hears of that from its supervisor as well. (Who is outside of our PID namespace has the number 0.) */
static bool is_stop(const siginfo_t *info)
{
    return info->si_signo != SIGHUP || info->si_code == SI_KERNEL ||
           (supervisor_pid != 0 && info->si_pid == supervisor_pid);
}

static void on_stop(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (!is_stop(info))
        return;
    if (supervisor_pid == 0 && stop_signalled()) {
        if (worker_pid > 0)
            kill(worker_pid, SIGKILL);
        _exit(128 + signal);
    }
    stop_signal(signal);
}

/* It only has to end a wait. */
static void on_child(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    (void)context;
}

static void get_action(int signal, struct handoff_action *found)
{
    syscall(SYS_rt_sigaction, signal, NULL, found, KERNEL_MASK_SIZE);
}

static void set_action(int signal, const struct handoff_action *action)
{
    syscall(SYS_rt_sigaction, signal, action, NULL, KERNEL_MASK_SIZE);
}

static void catch_signal(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NOCLDSTOP};

    sigfillset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

/* Stops and continues the process, and cannot hurt it: the terminal's affair. */
static bool is_job_control(int signal)
{
    return signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU || signal == SIGCONT;
}

static bool is_changeable(int signal)
{
    return signal != SIGKILL && signal != SIGSTOP && !is_job_control(signal);
}

static bool is_ignored(const struct handoff *handoff, int signal)
{
    return handoff->found[signal].handler == SIG_IGN;
}

static bool is_caught(const struct handoff *handoff, int signal)
{
    for (size_t i = 0; i < STOPS; i++)
        if (signal == stops[i])
            return signal == SIGTERM || !is_ignored(handoff, signal);
    return false;
}

static void catch_stops(const struct handoff *handoff)
{
    for (size_t i = 0; i < STOPS; i++)
        if (is_caught(handoff, stops[i]))
            catch_signal(stops[i], on_stop);
}

/* The C library leaves out the signals that it uses itself, in what it sets and in what it says was there. */
static void block_all(uint64_t *before)
{
    static const uint64_t each = UINT64_MAX;

    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &each, before, KERNEL_MASK_SIZE);
}

static void restore_mask(const struct handoff *handoff)
{
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &handoff->mask, NULL, KERNEL_MASK_SIZE);
}

void handoff_unblock(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void restore_actions(const struct handoff *handoff)
{
    for (int signal = 1; signal <= HANDOFF_SIGNALS; signal++)
        if (is_changeable(signal))
            set_action(signal, &handoff->found[signal]);
}

/* ---- descriptors ---- */

/* The lowest number that is free is the one that is missing, as those below it are there. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) < 0)
            eventfd(0,
                    EFD_CLOEXEC |
                        EFD_NONBLOCK); /* no /dev: what is written to it is an error, and waits for nobody */
    }
}

/* ---- the interface ---- */

void handoff_begin(struct handoff *handoff)
{
    static const struct handoff_action ignore = {.handler = SIG_IGN};

    fill_standard_descriptors();
    block_all(&handoff->mask);
    for (int signal = 1; signal <= HANDOFF_SIGNALS; signal++) {
        get_action(signal, &handoff->found[signal]);
        /* To ignore a signal discards the one that is pending (POSIX, sigaction): what asks to stop is never ignored. */
        if (is_changeable(signal) && !is_caught(handoff, signal))
            set_action(signal, &ignore);
    }
    catch_stops(handoff);
    catch_signal(SIGCHLD, on_child);
    prctl(PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
}

void handoff_release(const struct handoff *handoff)
{
    restore_actions(handoff);
    restore_mask(handoff);
}

void handoff_worker(const struct handoff *handoff)
{
    worker_pid = 0;
    supervisor_pid = getppid();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        set_action(faults[i], &handoff->found[faults[i]]);
    signal(SIGCHLD, SIG_DFL);
    signal(SIGTTOU, SIG_IGN); /* what it says is said, whoever the terminal belongs to */
    for (int i = 0; i < HANDOFF_PRIVATE; i++)
        if (private_fds[i] != 0)
            close(private_fds[i] - 1);
    handoff_unblock();
}

static void replace_private(int old, int new)
{
    for (int i = 0; i < HANDOFF_PRIVATE; i++)
        if (private_fds[i] == old) {
            private_fds[i] = new;
            return;
        }
}

void handoff_add_private(int fd)
{
    replace_private(0, fd + 1);
}

void handoff_remove_private(int fd)
{
    replace_private(fd + 1, 0);
}

void handoff_set_worker(pid_t worker)
{
    worker_pid = worker;
}

/* Where ppoll is not allowed, or no descriptor at all (RLIMIT_NOFILE): in short naps. */
static void wait_blindly(int ms)
{
    struct timespec nap = {.tv_nsec = (ms < NAP ? ms : NAP) * 1000000L};

    handoff_unblock();
    nanosleep(&nap, NULL);
    block_all(NULL);
}

void handoff_wait(int fd, int ms)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    sigset_t none;

    sigemptyset(&none);
    if (ppoll(&readable, 1, &limit, &none) < 0 && errno != EINTR)
        wait_blindly(ms);
}

int handoff_collect(void)
{
    static const uint64_t each = UINT64_MAX;
    int fd;

    block_all(NULL);
    signal(SIGCHLD, SIG_DFL); /* stopped children are of interest, too */
    fd = (int)syscall(SYS_signalfd4, -1, &each, KERNEL_MASK_SIZE, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        catch_signal(SIGCHLD, on_child);
    else
        handoff_add_private(fd);
    return fd;
}

bool handoff_take_signal(const struct handoff *handoff, int fd, struct handoff_signal *signal)
{
    struct signalfd_siginfo info;
    int number;

    if (read(fd, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    number = (int)info.ssi_signo;
    *signal = (struct handoff_signal){
        .number = number,
        .asks_to_stop = is_caught(handoff, number) && (number != SIGHUP || info.ssi_code == SI_KERNEL),
        /* Of our own doing are SIGPIPE and SIGXFSZ: of a log that cannot be written. */
        .forwardable =
            number != SIGCHLD && number != SIGTTIN && number != SIGTTOU && info.ssi_pid != (uint32_t)getpid(),
    };
    return true;
}

void handoff_poll(struct pollfd *fds, int count, int ms)
{
    struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    struct timespec nap = {.tv_nsec = NAP * 1000000L};

    block_all(NULL); /* whatever the C library has unblocked meanwhile */
    if (ppoll(fds, (nfds_t)count, ms < 0 ? NULL : &limit, NULL) < 0 && errno != EINTR)
        nanosleep(&nap, NULL);
}

/* The linker's: the file's header, with which the program begins in memory. */
extern const Elf64_Ehdr __ehdr_start;

void handoff_rest(void)
{
    const char *start = (const char *)&__ehdr_start;
    const Elf64_Phdr *part = (const void *)(start + __ehdr_start.e_phoff);
    uintptr_t page = (uintptr_t)getpagesize();

    /* Each for itself: between two may be a gap, and in it memory that is somebody's. */
    for (const Elf64_Phdr *end = part + __ehdr_start.e_phnum; part < end; part++) {
        uintptr_t first = (uintptr_t)start + part->p_vaddr;
        uintptr_t last = (first + part->p_filesz) / page * page;

        first = (first + page - 1) / page * page;
        if (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0 && first < last)
            madvise((void *)first, last - first, MADV_DONTNEED);
    }
}

void handoff_stop(void)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    kill(getpid(), SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
    block_all(NULL);
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

static bool ends_name(char c)
{
    return c == '\0' || is_separator(c);
}

static bool is_called(const char *variable, const char *name)
{
    while (!ends_name(*name)) {
        if (*name == '*' && ends_name(name[1]))
            return true;
        if (*name++ != *variable++)
            return false;
    }
    return *variable == '=';
}

/* Drops what the name at the beginning of `names` calls. */
static int drop_called(const char *names)
{
    char **kept = environ;
    int dropped = 0;

    for (char **variable = environ; *variable != NULL; variable++) {
        if (is_called(*variable, names))
            dropped++;
        else
            *kept++ = *variable;
    }
    *kept = NULL;
    return dropped;
}

/* There can be thousands of names, and a hundred times as many variables. Most differ in their first byte. */
int handoff_drop_env(const char *names)
{
    int dropped = 0;

    while (*names != '\0') {
        if (!is_separator(*names))
            dropped += drop_called(names);
        while (!ends_name(*names))
            names++;
        while (is_separator(*names))
            names++;
    }
    return dropped;
}

/* A signal that came after the last look at stop_requested and is still blocked here. */
static bool stop_is_pending(void)
{
    static const struct timespec now;
    siginfo_t info;
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < STOPS; i++)
        sigaddset(&set, stops[i]);
    while (sigtimedwait(&set, &info, &now) > 0) {
        if (is_stop(&info)) {
            stop_signal(info.si_signo);
            return true;
        }
    }
    return stop_signalled();
}

static void catch_again(const struct handoff *handoff)
{
    block_all(NULL);
    catch_stops(handoff);
    catch_signal(SIGCHLD, on_child);
}

int handoff_exec(const struct handoff *handoff, char **command, struct error *error)
{
    /* Blocked, a signal waits; unblocked with its disposition already restored, PID 1 would lose it. */
    block_all(NULL);
    restore_actions(handoff);
    if (stop_is_pending()) {
        catch_again(handoff);
        stop_requested(error);
        return error_exit_code(error);
    }
    restore_mask(handoff);
    execvp(command[0], command);
    error_set_errno(error, "cannot run \"%.200s\"", command[0]);
    catch_again(handoff);
    if (error->sys != ENOENT)
        return 126;
    return handoff_explain(command[0], error) ? 126 : 127;
}

#include "dir_attr.h"

#include "dir_tree.h"
#include "object.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- owner and permissions ---- */

static mode_t current_umask(void)
{
    mode_t mask = umask(077);

    umask(mask);
    return mask;
}

static mode_t choose_mode(const struct stat *old, int mode, bool own)
{
    bool known = mode != OBJECT_MODE_UNKNOWN;

    if (old != NULL)
        return old->st_mode & (mode_t)(known ? mode : 0777) & 0777;
    return (mode_t)(known ? mode : own ? 0640 : 0644) & 0777 & ~current_umask();
}

/* Gives the file that owner and group, or only the group. That may not be allowed. False: it has another group. */
static bool set_owner(int fd, uid_t owner, gid_t group)
{
    struct stat now;

    if (fchown(fd, owner, group) != 0 && fchown(fd, (uid_t)-1, group) != 0)
        return fstat(fd, &now) == 0 && now.st_gid == group;
    return true;
}

bool dir_attr_protect(int fd, int parent, const struct stat *old, int mode, bool own)
{
    mode_t bits = choose_mode(old, mode, own) | S_IRUSR;
    struct stat above, now;
    bool grouped = true;

    if (fstat(parent, &above) != 0 || fstat(fd, &now) != 0)
        return false;
    if (old != NULL && (now.st_uid != old->st_uid || now.st_gid != old->st_gid))
        grouped = set_owner(fd, old->st_uid, old->st_gid);
    if (old == NULL && (above.st_mode & S_ISGID) != 0 && now.st_gid != above.st_gid)
        grouped = set_owner(fd, (uid_t)-1, above.st_gid);
    if (!grouped)
        bits &= ~(mode_t)S_IRWXG | (bits & S_IRWXO) << 3;
    fchmod(fd, bits); /* where that is refused it stays 0600, or there are no permissions at all */
    return true;
}

/* ---- time ---- */

static bool set_time(int fd, int64_t wall)
{
    int64_t seconds = wall / 1000;
    int64_t rest = wall % 1000;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    times[1] = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(rest * 1000000)};
    return futimens(fd, times) == 0;
}

/* Sets the time and sees whether the file system keeps it, or a later one. */
static bool keeps_time(int fd, int64_t wall, bool *kept)
{
    struct stat status;

    if (!set_time(fd, wall) || fstat(fd, &status) != 0)
        return false;
    *kept = dir_modified(&status) >= wall;
    return true;
}

bool dir_attr_set_time(int fd, int64_t modified, int64_t read)
{
    bool kept;

    if (!keeps_time(fd, modified, &kept))
        return false;
    for (int64_t step = 1000; !kept && step <= 2000; step += 1000) {
        int64_t next = modified - modified % step + (modified >= 0 ? step : 0);

        if (next >= read)
            break;
        if (!keeps_time(fd, next, &kept))
            return false;
    }
    return true;
}

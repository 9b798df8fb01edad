/* A file system that fails when it is told to, for LD_PRELOAD: an interposer of the calls by which a
 * process changes the files of one folder.
 *
 * FAULT_FOLDER  the folder, an absolute path; calls elsewhere are let through and not counted
 * FAULT_AT      number of the call to fail, from 1; 0: none
 * FAULT_KIND    an errno: that call fails; "errno+": it and all after it;
 *               "kill": SIGKILL before it; "tear": half of a write, then SIGKILL
 * FAULT_LOG     a file (elsewhere) to which each counted call adds a line with its name
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_int calls;

static int within(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

/* Paths are told from the working folder where they are relative. */
static int concerns_path(const char *path) {
    char whole[8192];
    if (path[0] == '/') return within(path);
    if (!getcwd(whole, sizeof whole / 2)) return 0;
    size_t length = strlen(whole);
    snprintf(whole + length, sizeof whole - length, "/%s", path);
    return within(whole);
}

static int concerns_file(int file) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return within(path);
}

/* The errno to fail with, or 0; torn is how many bytes to write before the end, where that applies. */
static int fault(const char *name, size_t *torn) {
    int call = atomic_fetch_add(&calls, 1) + 1;
    const char *log = getenv("FAULT_LOG");
    if (log) {
        int file = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        char line[64];
        int length = snprintf(line, sizeof line, "%s\n", name);
        if (file < 0 || REAL(write)(file, line, (size_t)length) != length) abort();
        close(file);
    }
    const char *at = getenv("FAULT_AT"), *kind = getenv("FAULT_KIND");
    int number = at ? atoi(at) : 0;
    if (!number || !kind || call < number) return 0;
    if (call > number && !strchr(kind, '+')) return 0;
    if (!strcmp(kind, "tear") && torn) {
        *torn = *torn / 2;
        return -1;
    }
    if (!strcmp(kind, "kill") || !strcmp(kind, "tear")) kill(getpid(), SIGKILL);
    return atoi(kind);
}

#define FAIL_HERE(name)                    \
    do {                                   \
        int error = fault(name, NULL);     \
        if (error) {                       \
            errno = error;                 \
            return -1;                     \
        }                                  \
    } while (0)

static int opened(__typeof__(&open) real, const char *path, int flags, mode_t mode) {
    if ((flags & O_ACCMODE) != O_RDONLY && concerns_path(path)) FAIL_HERE("open");
    return real(path, flags, mode);
}

static mode_t mode_of(int flags, va_list rest) {
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return opened(REAL(open), path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return opened(REAL(open64), path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (concerns_file(file)) {
        size_t torn = count;
        int error = fault("write", &torn);
        if (error == -1) {
            if (REAL(write)(file, bytes, torn) < 0) abort();
            kill(getpid(), SIGKILL);
        }
        if (error) {
            errno = error;
            return -1;
        }
    }
    return REAL(write)(file, bytes, count);
}

int fsync(int file) {
    if (concerns_file(file)) FAIL_HERE("fsync");
    return REAL(fsync)(file);
}

int rename(const char *from, const char *to) {
    if (concerns_path(to)) FAIL_HERE("rename");
    return REAL(rename)(from, to);
}

int linkat(int folder, const char *from, int other, const char *to, int flags) {
    if (concerns_path(to)) FAIL_HERE("link");
    return REAL(linkat)(folder, from, other, to, flags);
}

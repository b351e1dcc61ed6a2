/* Preloaded before the C library: the clock of the wall, and no other, is wrong by CLOCK_OFFSET_SECONDS. */

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = syscall(SYS_clock_gettime, clock, time);
    const char *offset = getenv("CLOCK_OFFSET_SECONDS");
    if (!failed && clock == CLOCK_REALTIME && offset) time->tv_sec += atoll(offset);
    return failed;
}

/* The two system calls that move most bytes. */
#pragma once

#include <stddef.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * recv and send without being cancellation points, which nothing here is: in a process with threads, and the allocator
 * has one, libc's pay for that twice a call.
 */
static inline ssize_t socket_receive(int fd, void *out, size_t len)
{
    return syscall(SYS_recvfrom, fd, out, len, 0, NULL, NULL);
}

static inline ssize_t socket_send(int fd, const void *bytes, size_t len, int flags)
{
    return syscall(SYS_sendto, fd, bytes, len, flags, NULL, 0);
}

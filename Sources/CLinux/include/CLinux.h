// What Swift's Glibc module lacks: epoll, accept4, eventfd, recvmmsg-free helpers, process spawn in a group.
// _GNU_SOURCE must not reach this header (it clashes with Swift's fd_set), so the code is in CLinux.c.
#pragma once
#include <stdint.h>
#include <sys/types.h>

typedef struct { uint32_t events; uint64_t data; } pronto_epoll_event;

enum {
    PRONTO_EPOLL_IN = 0x001, PRONTO_EPOLL_OUT = 0x004, PRONTO_EPOLL_ERR = 0x008, PRONTO_EPOLL_HUP = 0x010,
    PRONTO_EPOLL_RDHUP = 0x2000
};
enum { PRONTO_EPOLL_ADD = 1, PRONTO_EPOLL_DEL = 2, PRONTO_EPOLL_MOD = 3 };

/// A close-on-exec epoll descriptor, or -1 with errno.
int pronto_epoll_create(void);
int pronto_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data);
/// Waits `timeout_us` microseconds (-1 for ever). Fills at most `capacity` events (at most 256); EINTR reads as 0.
int pronto_epoll_wait(int epoll, pronto_epoll_event *events, int capacity, int64_t timeout_us);
/// accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC.
int pronto_accept(int fd, void *address, uint32_t *length);
/// A non-blocking, close-on-exec eventfd.
int pronto_eventfd(void);
/// CLOCK_MONOTONIC in nanoseconds.
int64_t pronto_monotonic_ns(void);
/// CPU time of the calling thread in nanoseconds.
int64_t pronto_thread_cpu_ns(void);
/// Names the calling thread (at most 15 bytes are kept).
void pronto_name_thread(const char *name);

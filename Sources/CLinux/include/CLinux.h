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

/// The owner of the calling thread (an event loop's address), or NULL. Thread-local, so that a reused pthread_t cannot
/// be taken for an old loop.
void *pronto_thread_owner(void);
void pronto_set_thread_owner(void *owner);
/// Fills `bytes` from the kernel's random source. 0, or -1 with errno.
int pronto_random(void *bytes, size_t count);
/// socket(2) with SOCK_NONBLOCK and SOCK_CLOEXEC.
int pronto_socket(int family, int type, int protocol);
/// Sets an integer socket option. 0, or -1 with errno.
int pronto_set_option(int fd, int level, int name, int value);
/// TCP_NODELAY, keep-alive (60 s idle, 15 s apart, 4 probes) and TCP_USER_TIMEOUT (30 s): a peer that vanished is noticed.
void pronto_tune_tcp(int fd);
/// Process-wide SIG_IGN for SIGPIPE: OpenSSL writes to sockets without MSG_NOSIGNAL.
void pronto_ignore_sigpipe(void);
/// Starts a joinable thread. 0, or an errno value. `identity` receives the pthread_t as an integer.
int pronto_thread_start(void *(*body)(void *), void *argument, uint64_t *identity);
int pronto_thread_join(uint64_t identity);
int pronto_thread_detach(uint64_t identity);
/// Seconds and nanoseconds since 1970 (CLOCK_REALTIME), in nanoseconds.
int64_t pronto_realtime_ns(void);
/// Attaches a classic BPF program to a socket: `instructions` are `count` of <linux/filter.h>'s `struct sock_filter`.
/// 0, or -1 with errno.
int pronto_attach_filter(int fd, const void *instructions, uint16_t count);
/// A file that exists in memory only, close-on-exec: readable by its path in /proc/self/fd. Or -1 with errno.
int pronto_memory_file(const char *name);
/// Bytes that were written to a socket and not yet read by its peer (SIOCOUTQ), or -1 with errno.
int pronto_unread(int fd);

/// One datagram of `pronto_receive_many`.
typedef struct {
    uint64_t high, low; // the sender's address, network order read as big-endian words; IPv4 in the lower half of `low`
    int64_t age_ns; // how long it lay in the socket
    uint32_t scope, length;
    uint16_t port;
    uint8_t is_ipv6;
} pronto_datagram;
enum { PRONTO_DATAGRAMS_MOST = 16 };
/// Takes what waits on a UDP socket in one call, at most `capacity` (1 to PRONTO_DATAGRAMS_MOST): datagram i is at
/// `buffer + i * slot`. One that does not fit its slot has length 0. The number taken, or -1 with errno.
int pronto_receive_many(int fd, uint8_t *buffer, uint32_t slot, pronto_datagram *datagrams, int capacity);
/// Asks the kernel to note when datagrams come (SO_TIMESTAMPNS), for `age_ns`.
int pronto_note_arrivals(int fd);
/// Gives freed memory back to the system (malloc_trim): for after something large that does not come again soon.
void pronto_trim_heap(void);

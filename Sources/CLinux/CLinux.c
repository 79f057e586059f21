#define _GNU_SOURCE
#include "CLinux.h"
#include <errno.h>
#include <linux/filter.h>
#include <malloc.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int pronto_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }

int pronto_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
    struct epoll_event event = { .events = events, .data.u64 = data };
    return epoll_ctl(epoll, operation, fd, &event);
}

int pronto_epoll_wait(int epoll, pronto_epoll_event *events, int capacity, int64_t timeout_us) {
    struct epoll_event found[256];
    if (capacity > 256) capacity = 256;
    struct timespec timeout = { timeout_us / 1000000, (timeout_us % 1000000) * 1000 };
    // epoll_pwait2 (Linux 5.11) keeps microseconds; epoll_wait would round a 20 ms tick to whole milliseconds.
    int count = (int)syscall(SYS_epoll_pwait2, epoll, found, capacity, timeout_us < 0 ? NULL : &timeout, NULL, 0);
    if (count < 0 && errno == ENOSYS)
        count = epoll_wait(epoll, found, capacity, timeout_us < 0 ? -1 : (int)((timeout_us + 999) / 1000));
    if (count < 0) return errno == EINTR ? 0 : -1;
    for (int i = 0; i < count; i++) events[i] = (pronto_epoll_event){ found[i].events, found[i].data.u64 };
    return count;
}

int pronto_accept(int fd, void *address, uint32_t *length) {
    return accept4(fd, address, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int pronto_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

static int64_t read_clock(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t pronto_monotonic_ns(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t pronto_thread_cpu_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
void pronto_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }
int64_t pronto_realtime_ns(void) { return read_clock(CLOCK_REALTIME); }

static _Thread_local void *thread_owner;
void *pronto_thread_owner(void) { return thread_owner; }
void pronto_set_thread_owner(void *owner) { thread_owner = owner; }

int pronto_random(void *bytes, size_t count) {
    uint8_t *at = bytes;
    while (count > 0) {
        ssize_t got = getrandom(at, count, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        at += got;
        count -= (size_t)got;
    }
    return 0;
}

int pronto_socket(int family, int type, int protocol) {
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

int pronto_set_option(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}

void pronto_tune_tcp(int fd) {
    pronto_set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    pronto_set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    pronto_set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    pronto_set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
    pronto_set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
    pronto_set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

void pronto_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }

int pronto_thread_start(void *(*body)(void *), void *argument, uint64_t *identity) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, body, argument);
    if (error == 0) *identity = (uint64_t)thread;
    return error;
}

int pronto_thread_join(uint64_t identity) { return pthread_join((pthread_t)identity, NULL); }
int pronto_thread_detach(uint64_t identity) { return pthread_detach((pthread_t)identity); }

int pronto_attach_filter(int fd, const void *instructions, uint16_t count) {
    struct sock_fprog program = {.len = count, .filter = (struct sock_filter *)instructions};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

int pronto_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int pronto_unread(int fd) {
    int count = 0;
    return ioctl(fd, SIOCOUTQ, &count) == 0 ? count : -1;
}

int pronto_note_arrivals(int fd) { return pronto_set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1); }

static uint64_t big_endian_word(const uint8_t *bytes) {
    uint64_t word = 0;
    for (int i = 0; i < 8; i++) word = word << 8 | bytes[i];
    return word;
}

int pronto_receive_many(int fd, uint8_t *buffer, uint32_t slot, pronto_datagram *datagrams, int capacity) {
    struct mmsghdr messages[PRONTO_DATAGRAMS_MOST];
    struct iovec pieces[PRONTO_DATAGRAMS_MOST];
    struct sockaddr_in6 senders[PRONTO_DATAGRAMS_MOST];
    union { struct cmsghdr aligned; char bytes[CMSG_SPACE(sizeof(struct timespec))]; } notes[PRONTO_DATAGRAMS_MOST];
    for (int i = 0; i < capacity; i++) {
        pieces[i] = (struct iovec){ buffer + (size_t)i * slot, slot };
        messages[i].msg_hdr = (struct msghdr){ .msg_name = &senders[i], .msg_namelen = sizeof senders[i],
            .msg_iov = &pieces[i], .msg_iovlen = 1, .msg_control = &notes[i], .msg_controllen = sizeof notes[i] };
    }
    int count = recvmmsg(fd, messages, (unsigned)capacity, 0, NULL);
    if (count <= 0) return count;
    int64_t now = read_clock(CLOCK_REALTIME);
    for (int i = 0; i < count; i++) {
        pronto_datagram *datagram = &datagrams[i];
        *datagram = (pronto_datagram){ .length = messages[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : messages[i].msg_len };
        if (senders[i].sin6_family == AF_INET6) {
            datagram->is_ipv6 = 1;
            datagram->high = big_endian_word(senders[i].sin6_addr.s6_addr);
            datagram->low = big_endian_word(senders[i].sin6_addr.s6_addr + 8);
            datagram->scope = senders[i].sin6_scope_id;
            datagram->port = ntohs(senders[i].sin6_port);
        } else {
            const struct sockaddr_in *sender = (const struct sockaddr_in *)&senders[i];
            datagram->low = ntohl(sender->sin_addr.s_addr);
            datagram->port = ntohs(sender->sin_port);
        }
        struct cmsghdr *note = CMSG_FIRSTHDR(&messages[i].msg_hdr);
        if (note && note->cmsg_level == SOL_SOCKET && note->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec came;
            memcpy(&came, CMSG_DATA(note), sizeof came);
            int64_t age = now - ((int64_t)came.tv_sec * 1000000000 + came.tv_nsec);
            // Beyond a second the wall clock was set meanwhile, or nobody could use the datagram any more.
            if (age > 0 && age < 1000000000) datagram->age_ns = age;
        }
    }
    return count;
}

void pronto_trim_heap(void) { malloc_trim(0); }

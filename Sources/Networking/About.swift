// Networking: the engine under every wire. An epoll loop per thread, TCP and TLS, HTTP/1.1, WebSocket, UDP.
//
// The contract: everything but `EventLoop`, `EventLoopGroup`, the TLS contexts and the plain values is a non-Sendable
// class *confined to one loop*: made on it, called on it, calling back on it, directly. No Task, actor or queue lies
// between a socket and its owner (docs/decisions, engineering notes §2). Other threads reach a loop by `execute`.
//
// Everything read is hostile: a peer's bad bytes end its connection with a named reason, and never trap. Every buffer
// has a bound. An idle connection owns no buffer at all: reads go through one buffer per loop, and writes that the
// socket takes at once never touch the heap.
//
// Not here, on purpose: HTTP/2 and 3, cookies, proxies (an HTTP proxy is refused rather than half supported), and
// Happy Eyeballs (addresses are tried one after another within one deadline).

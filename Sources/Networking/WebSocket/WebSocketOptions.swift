import Telephony

/// Which kind of message (RFC 6455 §5.6).
package enum WebSocketMessageKind: Sendable, Equatable { case text, binary }

/// How a WebSocket ended.
package enum WebSocketEnd: Sendable, Equatable {
    /// With a Close frame of the peer, its first or its answer to ours. 1005: it bore no code.
    case closed(code: UInt16, reason: String)
    /// The peer broke the protocol; it was told the code.
    case violation(WebSocketViolation)
    /// TCP or TLS ended without a Close frame (`.overflow`: the peer reads too slowly).
    case lost(ConnectionEnd)
    /// No pong, or no answer to our Close, in time.
    case unresponsive
}

/// Limits and timers of one WebSocket.
package struct WebSocketOptions: Sendable {
    /// Bytes of one message, assembled and inflated. Beyond: closed with 1009.
    package var maximumMessageSize = 1024 * 1024
    /// Bytes that may wait for the peer. Beyond: ended with `.lost(.overflow)`.
    package var highWaterMark = 1024 * 1024
    /// Time between pings; nil: none. A peer behind NAT wants less than 60 s.
    package var pingInterval: Duration?
    /// How long after a ping something, anything, must have come.
    package var pongTimeout: Duration = .seconds(10)
    /// How long the peer may take to answer our Close, and after that to close TCP.
    package var closeTimeout: Duration = .seconds(2)
    /// permessage-deflate (RFC 7692): nil declines. Its windows cost up to 300 KB a connection: not for audio sockets.
    package var deflate: DeflateOptions?

    package init() {}
}

/// How permessage-deflate is offered or accepted.
package struct DeflateOptions: Sendable, Equatable {
    /// Each message we send is compressed by itself.
    package var sendsWithoutContext = false
    /// The peer is asked to do so.
    package var asksForNoContext = false
    /// Our window, 9–15 (a window of 2^n bytes). zlib cannot compress with 8.
    package var windowBits = 15
    /// The window that the peer is asked for, 8–15.
    package var peerWindowBits = 15
    /// Shorter messages are sent as they are.
    package var threshold = 64
    /// zlib's, 1–9.
    package var level = 6

    package init() {}
}

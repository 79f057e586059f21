import Glibc
import Networking
import Synchronization
import Telephony
import Testing

/// What a callback on a loop will bring.
final class Promise<Value: Sendable>: Sendable {
    private enum State {
        case empty
        case filled(Value)
        case awaited(CheckedContinuation<Value?, Never>)
        case done
    }
    private let state = Mutex(State.empty)

    /// Only the first value counts.
    func fulfil(_ value: Value) { self.settle(value) }

    private func settle(_ value: Value?) {
        let waiting: CheckedContinuation<Value?, Never>? = self.state.withLock { state in
            switch state {
            case .empty:
                if let value { state = .filled(value) }
                return nil
            case .awaited(let continuation):
                state = .done
                return continuation
            case .filled, .done: return nil
            }
        }
        waiting?.resume(returning: value)
    }

    /// The value, or a recorded failure after `deadline`.
    func value(
        within deadline: Duration = .seconds(10), sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Value {
        let value: Value? = await withCheckedContinuation { continuation in
            let ready: Value?? = self.state.withLock { state in
                if case .filled(let value) = state { return .some(value) }
                state = .awaited(continuation)
                return nil
            }
            if let ready { return continuation.resume(returning: ready) }
            testClock.execute { testClock.schedule(after: deadline) { self.settle(nil) } }
        }
        return try #require(value, "Nothing came in time", sourceLocation: sourceLocation)
    }
}

/// The loop whose timers end what hangs.
let testClock: EventLoop = {
    let loop = EventLoop(name: "test-clock")
    loop.start()
    return loop
}()

/// A loop for one test; end it with `stop`.
func runningLoop() -> EventLoop {
    let loop = EventLoop(name: "test-loop")
    loop.start()
    return loop
}

func loopback(_ port: UInt16 = 0) -> SocketAddress { SocketAddress("127.0.0.1", port: Int(port))! }

extension WebSocketMessageKind {
    func send(_ bytes: UnsafeRawBufferPointer, on socket: WebSocket) {
        switch self {
        case .text: socket.send(text: bytes)
        case .binary: socket.send(binary: bytes)
        }
    }
}

/// An echo server: WebSocket anywhere.
func echoServer(
    on loops: [EventLoop], tls: TLSContext? = nil, options: WebSocketOptions = WebSocketOptions(),
    ended: (@Sendable (WebSocketEnd) -> Void)? = nil
) throws -> HTTPServer {
    try HTTPServer(on: loops, address: loopback(), tls: tls) { _ in
        { request, responder in
            guard request.isWebSocketUpgrade else {
                return responder.respond(HTTPResponse(status: 200, text: "plain"))
            }
            guard
                let socket = responder.upgradeToWebSocket(
                    subprotocol: request.subprotocols.first, options: options)
            else { return }
            socket.onMessage = { [unowned socket] kind, bytes in kind.send(bytes, on: socket) }
            socket.onClose = { ended?($0) }
        }
    }
}

/// A blocking client of the old school, for bytes in and bytes out. Its deadline is the kernel's (SO_RCVTIMEO).
final class RawClient: Sendable {
    private let descriptor: Int32

    init(_ address: SocketAddress, seconds: Int = 10) throws {
        self.descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var deadline = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &deadline, socklen_t(MemoryLayout<timeval>.size))
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = address.port.bigEndian
        target.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(result == 0)
    }

    deinit { close(self.descriptor) }

    func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// False: the connection is broken.
    func trySend(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) } > 0
    }

    func send(_ text: String) { self.send(Array(text.utf8)) }

    /// Makes the destructor's close a reset, now.
    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(self.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        // A connect to "no address" breaks the connection (RST) and keeps the descriptor.
        var none = sockaddr()
        none.sa_family = sa_family_t(AF_UNSPEC)
        _ = connect(self.descriptor, &none, socklen_t(MemoryLayout<sockaddr>.size))
    }

    func finishSending() { shutdown(self.descriptor, Int32(SHUT_WR)) }

    /// What comes next; empty at the end; nil when nothing comes in time or the connection was reset.
    func receive() -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(self.descriptor, &bytes, bytes.count, 0)
        return count < 0 ? nil : Array(bytes[..<count])
    }

    /// All until the end of the stream (or the deadline).
    func receiveAll() -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = self.receive(), !bytes.isEmpty { all += bytes }
        return all
    }

    /// All until `end` has come `count` times.
    func receive(until end: String, times count: Int = 1) -> String {
        var all: [UInt8] = []
        while String(decoding: all, as: UTF8.self).components(of: end) < count, let bytes = self.receive(),
            !bytes.isEmpty
        { all += bytes }
        return String(decoding: all, as: UTF8.self)
    }
}

extension String {
    fileprivate func components(of part: String) -> Int {
        self.split(separator: part, omittingEmptySubsequences: false).count - 1
    }
}

/// Runs blocking work on a thread of its own, so that the pool of Swift's tasks is not starved on two cores.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Work { continuation.resume(with: Swift.Result { try body() }) })
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }
}

private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

/// SplitMix64: the same mutations in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

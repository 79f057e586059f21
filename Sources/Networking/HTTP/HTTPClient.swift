import CCurl
import Telephony

/// Why an HTTP exchange was not completed.
package enum HTTPClientError: Error, Sendable, Equatable {
    /// Not an `http:` or `https:` URL, or a header that would break the request.
    case badRequest
    case dns
    /// The host has addresses, and none that `accepts` takes.
    case forbidden
    case connect
    case tls(TLSFailure)
    case timeout
    /// The answer is longer than `maximumBody`.
    case tooLarge
    /// The answer is not HTTP, or ended early.
    case protocolError
    case loopStopped

    /// A stable name for logs, metrics and `ChannelEnd.failed`.
    package var slug: String {
        switch self {
        case .badRequest, .protocolError: "protocol"
        case .dns: "dns"
        case .forbidden: "forbidden-address"
        case .connect: "connect"
        case .tls: "tls"
        case .timeout: "timeout"
        case .tooLarge: "overflow"
        case .loopStopped: "stopped"
        }
    }
}

/// One request to another server.
package struct HTTPClientRequest: Sendable {
    package var method: String
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    /// From the start to the last byte, the name's resolution included.
    package var timeout: Duration
    /// Until TCP and TLS stand.
    package var connectTimeout: Duration
    /// Bytes of an answer's body.
    package var maximumBody: Int
    /// Which of the host's addresses may be connected to; nil: all.
    package var accepts: (@Sendable (SocketAddress) -> Bool)?

    package init(
        method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(30), connectTimeout: Duration = .seconds(10), maximumBody: Int = 16 * 1024 * 1024
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.maximumBody = maximumBody
    }
}

/// An HTTP client on libcurl's multi interface, driven by the loop. Confined to it. Connections are kept for reuse.
///
/// Redirects are answers like others: following one would carry the request's secrets to wherever it points. Names are
/// resolved by `Resolver` (libcurl starts a thread for each, and joins it). Proxies of the environment are not used.
package final class HTTPClient {
    package let loop: EventLoop
    private let authorities: String?
    private let verifies: Bool
    private let multi: UnsafeMutableRawPointer
    private var timer: TimerID?
    private var transfers: [UnsafeMutableRawPointer: HTTPTransfer] = [:]
    private var watched: Set<Int32> = []
    private var isClosed = false

    private static let isInitialised: Bool = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    /// `authorities`: a PEM file to trust in place of the system's. `verifies: false` is for laboratories.
    package init(on loop: EventLoop, authorities: String? = nil, verifies: Bool = true) {
        loop.preconditionInLoop()
        precondition(HTTPClient.isInitialised, "libcurl could not be initialised")
        guard let multi = curl_multi_init() else { preconditionFailure("No memory for an HTTP client") }
        self.loop = loop
        self.authorities = authorities
        self.verifies = verifies
        self.multi = multi
        let me = Unmanaged.passUnretained(self).toOpaque()
        pronto_curl_multi_set_pointer(multi, CURLMOPT_SOCKETDATA, me)
        pronto_curl_multi_set_pointer(multi, CURLMOPT_TIMERDATA, me)
        pronto_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, 32)
        pronto_curl_multi_set_socket(multi) { _, socket, what, client, _ in
            HTTPClient.of(client)?.watch(socket, what)
            return 0
        }
        pronto_curl_multi_set_timer(multi) { _, milliseconds, client in
            HTTPClient.of(client)?.setTimer(milliseconds)
            return 0
        }
    }

    // Transfers under way keep the client: what is left here is idle connections, of which the loop knows nothing.
    deinit {
        pronto_curl_multi_clear_callbacks(self.multi)
        curl_multi_cleanup(self.multi)
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> HTTPClient? {
        pointer.map { Unmanaged<HTTPClient>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Begins an exchange. Callbacks come later, on the loop: `head` once (not for 1xx), `bytes` (borrowed) as they
    /// arrive, `end` exactly once unless it is cancelled, nil for a complete answer of any status.
    @discardableResult
    package func start(
        _ request: HTTPClientRequest, head: @escaping (Int, HTTPHeaders) -> Void = { _, _ in },
        bytes: @escaping (UnsafeRawBufferPointer) -> Void = { _ in }, end: @escaping (HTTPClientError?) -> Void
    ) -> HTTPTransfer {
        self.loop.preconditionInLoop()
        let transfer = HTTPTransfer(self, request, head: head, bytes: bytes, end: end)
        transfer.begin()
        return transfer
    }

    /// The whole answer at once.
    @discardableResult
    package func fetch(
        _ request: HTTPClientRequest, finished: @escaping (Result<HTTPResponse, HTTPClientError>) -> Void
    ) -> HTTPTransfer {
        var response = HTTPResponse(status: 0)
        return self.start(
            request,
            head: { status, headers in
                response.status = status
                response.headers = headers
            },
            bytes: { response.body.append(contentsOf: $0) },
            end: { error in finished(error.map { .failure($0) } ?? .success(response)) })
    }

    // MARK: libcurl

    func add(_ transfer: HTTPTransfer, _ easy: UnsafeMutableRawPointer, host: String, port: UInt16) -> Bool {
        guard !self.isClosed else { return false }
        if let authorities = self.authorities { pronto_curl_set_string(easy, CURLOPT_CAINFO, authorities) }
        if !self.verifies {
            pronto_curl_set_long(easy, CURLOPT_SSL_VERIFYPEER, 0)
            pronto_curl_set_long(easy, CURLOPT_SSL_VERIFYHOST, 0)
        }
        self.transfers[easy] = transfer
        guard curl_multi_add_handle(self.multi, easy) == CURLM_OK else {
            self.transfers[easy] = nil
            return false
        }
        return true
    }

    func remove(_ easy: UnsafeMutableRawPointer) {
        guard self.transfers.removeValue(forKey: easy) != nil else { return }
        curl_multi_remove_handle(self.multi, easy)
    }

    private func watch(_ socket: Int32, _ what: Int32) {
        if what == CURL_POLL_REMOVE {
            if self.watched.remove(socket) != nil { self.loop.unregister(socket) }
            return
        }
        var interest: Interest = []
        if what & CURL_POLL_IN != 0 { interest.insert(.read) }
        if what & CURL_POLL_OUT != 0 { interest.insert(.write) }
        guard self.watched.insert(socket).inserted else { return self.loop.modify(socket, interest: interest) }
        do throws(SystemError) {
            try self.loop.register(socket, interest: interest) { [unowned self] readiness in
                guard !readiness.contains(.stopping) else { return self.close() }
                var events: Int32 = 0
                if readiness.contains(.readable) { events |= CURL_CSELECT_IN }
                if readiness.contains(.writable) { events |= CURL_CSELECT_OUT }
                if !readiness.isDisjoint(with: .broken) { events |= CURL_CSELECT_ERR }
                self.act(socket, events)
            }
        } catch {
            // The transfer's own deadline ends it: libcurl offers no way to refuse a socket here.
            self.watched.remove(socket)
        }
    }

    private func setTimer(_ milliseconds: Int) {
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
        guard milliseconds >= 0 else { return }
        // Zero too: libcurl must not be entered from its own callback.
        self.timer = self.loop.schedule(after: .milliseconds(milliseconds)) { [unowned self] in
            self.timer = nil
            self.act(CURL_SOCKET_TIMEOUT, 0)
        }
    }

    private func act(_ socket: Int32, _ events: Int32) {
        guard !self.isClosed else { return }
        // A handler may drop the last reference to the client.
        withExtendedLifetime(self) {
            var running: Int32 = 0
            curl_multi_socket_action(self.multi, socket, events, &running)
            var result = CURLE_OK
            while let easy = pronto_curl_next_done(self.multi, &result) {
                self.transfers[easy]?.done(result)
            }
        }
    }

    /// Ends every exchange with `.loopStopped` and refuses new ones.
    package func close() {
        guard !self.isClosed else { return }
        self.isClosed = true
        for transfer in Array(self.transfers.values) { transfer.fail(.loopStopped) }
        for socket in self.watched { self.loop.unregister(socket) }
        self.watched = []
        if let timer = self.timer { self.loop.cancel(timer) }
        self.timer = nil
    }
}

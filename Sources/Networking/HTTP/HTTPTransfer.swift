import CCurl
import Telephony

/// One exchange of an `HTTPClient`. Confined to the client's loop.
package final class HTTPTransfer {
    private let client: HTTPClient
    private let request: HTTPClientRequest
    private var head: ((Int, HTTPHeaders) -> Void)?
    private var bytes: ((UnsafeRawBufferPointer) -> Void)?
    private var end: ((HTTPClientError?) -> Void)?
    private var easy: UnsafeMutableRawPointer?
    private var lists: [UnsafeMutablePointer<curl_slist>] = []
    private var body: UnsafeMutableRawBufferPointer?
    private var deadline: TimerID?
    private var status = 0
    private var headers = HTTPHeaders()
    private var headerBytes = 0
    private var bodyBytes = 0
    private var isHeadDone = false
    private var overflowed = false

    private static let headLimit = 64 * 1024

    init(
        _ client: HTTPClient, _ request: HTTPClientRequest, head: @escaping (Int, HTTPHeaders) -> Void,
        bytes: @escaping (UnsafeRawBufferPointer) -> Void, end: @escaping (HTTPClientError?) -> Void
    ) {
        self.client = client
        self.request = request
        self.head = head
        self.bytes = bytes
        self.end = end
    }

    deinit { self.free() }

    /// Gives up. No callback follows.
    package func cancel() {
        self.head = nil
        self.bytes = nil
        self.end = nil
        self.release()
    }

    func begin() {
        let loop = self.client.loop
        self.deadline = loop.schedule(after: self.request.timeout) { self.fail(.timeout) }
        let areSafe = self.request.headers.allSatisfy { field in
            !field.name.isEmpty && field.name.utf8.allSatisfy(isTokenCharacter) && isFieldValue(field.value)
        }
        let box = LoopBound(self, on: loop)
        guard areSafe, self.request.method.utf8.allSatisfy(isTokenCharacter), !self.request.method.isEmpty,
            let (host, port) = HTTPTransfer.authority(of: self.request.url)
        else { return loop.execute { box.value.fail(.badRequest) } }
        Resolver.shared.resolve(host, port: port, on: loop) { addresses in
            box.value.resolved(host, port, addresses)
        }
    }

    private func resolved(_ host: String, _ port: UInt16, _ addresses: [SocketAddress]) {
        guard self.end != nil else { return }
        guard !addresses.isEmpty else { return self.fail(.dns) }
        let addresses = self.request.accepts.map { addresses.filter($0) } ?? addresses
        guard !addresses.isEmpty else { return self.fail(.forbidden) }
        guard let easy = curl_easy_init() else { return self.fail(.connect) }
        self.easy = easy
        self.configure(easy)
        // libcurl is told the answer: it asks no resolver of its own.
        let list = addresses.map { $0.isIPv6 ? "[\($0.host)]" : $0.host }.joined(separator: ",")
        if let resolve = curl_slist_append(nil, "\(host):\(port):\(list)") {
            self.lists.append(resolve)
            pronto_curl_set_pointer(easy, CURLOPT_RESOLVE, resolve)
        }
        if !self.client.add(self, easy, host: host, port: port) { self.fail(.connect) }
    }

    private func configure(_ easy: UnsafeMutableRawPointer) {
        pronto_curl_set_string(easy, CURLOPT_URL, self.request.url)
        pronto_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        pronto_curl_set_string(easy, CURLOPT_PROXY, "")
        pronto_curl_set_string(easy, CURLOPT_USERAGENT, "pronto")
        pronto_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        pronto_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0)
        pronto_curl_set_long(easy, CURLOPT_HTTP09_ALLOWED, 0)
        pronto_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, max(1, self.request.connectTimeout.milliseconds))
        pronto_curl_set_long(easy, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        self.configureBody(easy)
        // Empty values would remove a header; the semicolon form sends it empty. No "Expect: 100-continue" of libcurl's.
        var list = curl_slist_append(nil, "Expect:")
        for field in self.request.headers {
            list = curl_slist_append(list, field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)")
        }
        if let list {
            self.lists.append(list)
            pronto_curl_set_pointer(easy, CURLOPT_HTTPHEADER, list)
        }
        let me = Unmanaged.passUnretained(self).toOpaque()
        pronto_curl_set_pointer(easy, CURLOPT_WRITEDATA, me)
        pronto_curl_set_pointer(easy, CURLOPT_HEADERDATA, me)
        pronto_curl_set_data(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, transfer in
            HTTPTransfer.of(transfer)?.received(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
        }
        pronto_curl_set_data(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, transfer in
            HTTPTransfer.of(transfer)?.receivedHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
        }
    }

    private func configureBody(_ easy: UnsafeMutableRawPointer) {
        if self.request.method == "HEAD" {
            pronto_curl_set_long(easy, CURLOPT_NOBODY, 1)
        } else if !self.request.body.isEmpty || ["POST", "PUT", "PATCH"].contains(self.request.method) {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: self.request.body.count + 1, alignment: 1)
            copy.copyBytes(from: self.request.body)
            self.body = copy
            pronto_curl_set_long(easy, CURLOPT_POST, 1)
            pronto_curl_set_pointer(easy, CURLOPT_POSTFIELDS, copy.baseAddress)
            pronto_curl_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, Int64(self.request.body.count))
        }
        if self.request.method != "GET", self.request.method != "HEAD" {
            pronto_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, self.request.method)
        }
    }

    private static func of(_ pointer: UnsafeMutableRawPointer?) -> HTTPTransfer? {
        pointer.map { Unmanaged<HTTPTransfer>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Host (as libcurl will look it up) and port; nil for what is not an http(s) URL.
    private static func authority(of url: String) -> (host: String, port: UInt16)? {
        guard let handle = curl_url() else { return nil }
        defer { curl_url_cleanup(handle) }
        guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK
        else { return nil }
        func part(_ what: CURLUPart, _ flags: Int32 = 0) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, what, &text, UInt32(flags)) == CURLUE_OK, let text else { return nil }
            defer { curl_free(text) }
            return String(cString: text)
        }
        guard let scheme = part(CURLUPART_SCHEME), scheme == "http" || scheme == "https",
            let host = part(CURLUPART_HOST), let text = part(CURLUPART_PORT, Int32(CURLU_DEFAULT_PORT)),
            let port = UInt16(text)
        else { return nil }
        return (host, port)
    }

    // MARK: What libcurl tells

    /// Anything but the number of bytes ends the exchange.
    private func received(_ piece: UnsafeRawBufferPointer) -> Int {
        guard self.end != nil else { return 0 }
        self.bodyBytes &+= piece.count
        guard self.bodyBytes <= self.request.maximumBody else {
            self.overflowed = true
            return 0
        }
        self.bytes?(piece)
        return self.end == nil ? 0 : piece.count
    }

    private func receivedHeader(_ line: UnsafeRawBufferPointer) -> Int {
        // Trailers come here too.
        guard self.end != nil, !self.isHeadDone else { return self.end == nil ? 0 : line.count }
        self.headerBytes &+= line.count
        guard self.headerBytes <= HTTPTransfer.headLimit else {
            self.overflowed = true
            return 0
        }
        var text = Substring(decoding: line, as: UTF8.self)
        while let last = text.utf8.last, last == 0x0D || last == 0x0A {
            text = Substring(text.unicodeScalars.dropLast())
        }
        if text.hasPrefix("HTTP/") {
            self.status = Int(text.split(separator: " ").dropFirst().first ?? "") ?? 0
            self.headers = HTTPHeaders()
        } else if text.isEmpty {
            if self.status >= 200 {
                self.isHeadDone = true
                self.head?(self.status, self.headers)
            }
        } else if let colon = text.firstIndex(of: ":") {
            self.headers.add(String(text[..<colon]), String(trimmed(text[text.index(after: colon)...])))
        }
        return self.end == nil ? 0 : line.count
    }

    func done(_ result: CURLcode) {
        switch result {
        case CURLE_OK: self.finish(nil)
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self.finish(.dns)
        case CURLE_COULDNT_CONNECT: self.finish(.connect)
        case CURLE_OPERATION_TIMEDOUT: self.finish(.timeout)
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE: self.finish(.tls(.untrusted))
        case CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_CERTPROBLEM: self.finish(.tls(.protocolError))
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: self.finish(.badRequest)
        case CURLE_WRITE_ERROR where self.overflowed: self.finish(.tooLarge)
        default: self.finish(self.status == 0 ? .connect : .protocolError)
        }
    }

    /// From outside libcurl's calls only.
    func fail(_ error: HTTPClientError) { self.finish(error) }

    private func finish(_ error: HTTPClientError?) {
        guard let end = self.end else { return self.release() }
        self.head = nil
        self.bytes = nil
        self.end = nil
        self.release()
        end(error)
    }

    private func release() {
        if let deadline = self.deadline { self.client.loop.cancel(deadline) }
        self.deadline = nil
        guard self.easy != nil else { return }
        // Not now: this may run inside one of libcurl's callbacks, which must not free what it works on.
        let box = LoopBound(self, on: self.client.loop)
        self.client.loop.execute { box.value.free() }
    }

    private func free() {
        if let easy = self.easy {
            self.client.remove(easy)
            curl_easy_cleanup(easy)
        }
        self.easy = nil
        for list in self.lists { curl_slist_free_all(list) }
        self.lists = []
        self.body?.deallocate()
        self.body = nil
    }
}

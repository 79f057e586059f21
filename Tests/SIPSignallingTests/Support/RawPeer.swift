import Glibc
import Networking
import SIPSignalling
import Testing

/// A SIP peer made of a socket and text, for what no real phone would say.
final class RawPeer {
    let descriptor: Int32
    let address: SocketAddress
    private let server: SocketAddress
    private let isStream: Bool
    private var sequence = 0

    struct Failed: Error { let call: String }

    init(to server: SocketAddress, from host: String = "127.0.0.1", stream: Bool = false) throws {
        self.server = server
        self.isStream = stream
        let kind = Int32((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { throw Failed(call: "socket") }
        let own = SocketAddress(host, port: 0)!
        guard own.withSockaddr({ bind(descriptor, $0, $1) }) == 0,
            server.withSockaddr({ connect(descriptor, $0, $1) }) == 0,
            let bound = SocketAddress.local(of: descriptor)
        else {
            close(descriptor)
            throw Failed(call: "connect")
        }
        self.descriptor = descriptor
        self.address = bound
    }

    deinit { close(self.descriptor) }

    func send(_ text: String) { self.send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        let sent = bytes.withUnsafeBytes { Glibc.send(self.descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        #expect(sent == bytes.count || (sent < 0 && errno == ECONNREFUSED))
    }

    /// The next message, or nil after `limit` milliseconds.
    func receive(within limit: Int32 = 5000) -> String? {
        var watched = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&watched, 1, limit) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(self.descriptor, &bytes, bytes.count, 0)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    /// The next message that begins with `start`; others are passed over.
    func receive(_ start: String, within limit: Int32 = 5000) -> String? {
        for _ in 0..<50 {
            guard let text = self.receive(within: limit) else { return nil }
            if text.hasPrefix(start) { return text }
        }
        return nil
    }

    static let offer = """
        v=0
        o=- 1 1 IN IP4 127.0.0.1
        s=-
        c=IN IP4 127.0.0.1
        t=0 0
        m=audio 30000 RTP/AVP 0 8 101
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=ptime:20

        """.replacingLineEnds()

    /// A request of this peer's. `headers`: whole lines without their ends. Empty `tag`: outside of a dialog.
    func request(
        _ method: String, callID: String, sequence: Int = 1, user: String = "2000", toTag: String = "",
        branch: String? = nil, contact: Bool = true, headers: [String] = [], body: String = "",
        contentType: String = "application/sdp"
    ) -> String {
        self.sequence += 1
        let transport = self.isStream ? "TCP" : "UDP"
        let suffix = self.isStream ? ";transport=tcp" : ""
        var lines = [
            "\(method) sip:\(user)@\(self.server) SIP/2.0",
            "Via: SIP/2.0/\(transport) \(self.address);branch=\(branch ?? "z9hG4bK\(callID)\(self.sequence)")",
            "Max-Forwards: 70", "From: \"Ann\" <sip:1000@\(self.address)>;tag=a\(callID)",
            "To: <sip:\(user)@\(self.server)>" + (toTag.isEmpty ? "" : ";tag=\(toTag)"), "Call-ID: \(callID)",
            "CSeq: \(sequence) \(method)",
        ]
        if contact { lines.append("Contact: <sip:1000@\(self.address)\(suffix)>") }
        lines += headers
        if !body.isEmpty { lines.append("Content-Type: \(contentType)") }
        lines.append("Content-Length: \(body.utf8.count)")
        return (lines + ["", ""]).joined(separator: "\r\n") + body
    }

    static func header(_ name: String, of message: String) -> String? {
        message.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name.lowercased()):") }.map {
            String($0.dropFirst(name.count + 1).drop { $0 == " " })
        }
    }

    /// Our tag in an answer of the server's.
    static func toTag(of message: String) -> String {
        self.header("To", of: message)?.split(separator: ";tag=", maxSplits: 1).last.map(String.init) ?? ""
    }
}

extension String {
    /// SIP's line ends.
    func replacingLineEnds() -> String {
        self.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\r\n")
    }
}

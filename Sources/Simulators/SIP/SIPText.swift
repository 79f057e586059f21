import Foundation
import Telephony

/// A SIP message read as far as a simple telephone has to (RFC 3261 §7). By hand, with nothing of the gateway's: what both
/// sides misread in the same way would be found by nobody.
struct SIPText: Sendable, Equatable {
    var first: String
    var headers: [(name: String, value: String)]
    var body: String

    static func == (one: SIPText, other: SIPText) -> Bool {
        one.first == other.first && one.body == other.body && one.headers.elementsEqual(other.headers) { $0 == $1 }
    }

    init?(_ bytes: UnsafeRawBufferPointer) {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.range(of: "\r\n\r\n") else { return nil }
        var lines = text[..<end.lowerBound].components(separatedBy: "\r\n")[...]
        guard let first = lines.popFirst(), first.hasPrefix("SIP/2.0 ") || first.hasSuffix(" SIP/2.0") else {
            return nil
        }
        self.first = first
        self.headers = lines.compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let name = line[..<colon].lowercased().trimmingCharacters(in: .whitespaces)
            return (name, line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces))
        }
        self.body = String(text[end.upperBound...])
    }

    /// Of a response.
    var status: Int? {
        guard self.first.hasPrefix("SIP/2.0 ") else { return nil }
        return Int(self.first.dropFirst(8).prefix(3))
    }

    /// Of a request.
    var method: String? {
        self.first.hasPrefix("SIP/2.0") ? nil : self.first.split(separator: " ").first.map { String($0) }
    }

    /// The first with this name, long or short form.
    func value(_ name: String) -> String? {
        let short = ["via": "v", "from": "f", "to": "t", "call-id": "i", "contact": "m"][name.lowercased()]
        return self.headers.first { $0.name == name.lowercased() || $0.name == short }?.value
    }

    func values(_ name: String) -> [String] { self.headers.filter { $0.name == name.lowercased() }.map(\.value) }

    /// `12 INVITE`.
    var sequence: (number: Int, method: String)? {
        let words = (self.value("cseq") ?? "").split(separator: " ")
        guard words.count == 2, let number = Int(words[0]) else { return nil }
        return (number, String(words[1]))
    }

    /// Q.850's number of `Reason` (RFC 3326).
    var reason: Int? {
        for value in self.values("reason") where value.lowercased().hasPrefix("q.850") {
            guard let at = value.range(of: "cause=") else { continue }
            return Int(value[at.upperBound...].prefix { $0.isNumber })
        }
        return nil
    }

    /// Where audio is to be sent, by the session description: `c=`, the first `m=audio`, and telephone-event's type.
    var media: (host: String, port: Int, payloadType: UInt8, telephoneEvent: UInt8?)? {
        var host: String?
        var found: (port: Int, type: UInt8)?
        var event: UInt8?
        for line in self.body.split(whereSeparator: \.isNewline) {
            if line.hasPrefix("c=IN IP4 ") { host = String(line.dropFirst(9)) }
            if line.hasPrefix("m=audio "), found == nil {
                let words = line.dropFirst(8).split(separator: " ")
                if words.count > 2, let port = Int(words[0]), let type = UInt8(words[2]) { found = (port, type) }
            }
            if line.hasPrefix("a=rtpmap:"), line.lowercased().hasSuffix(" telephone-event/8000") {
                event = UInt8(line.dropFirst(9).prefix { $0.isNumber })
            }
        }
        guard let host, let found else { return nil }
        return (host, found.port, found.type, event)
    }

    /// The address in `Contact: <sip:…>`.
    var contact: String? {
        guard let text = self.value("contact"), let open = text.firstIndex(of: "<"),
            let close = text[open...].firstIndex(of: ">")
        else { return nil }
        return String(text[text.index(after: open)..<close])
    }
}

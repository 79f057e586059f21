import CLibre
import Glibc
import Telephony

extension String {
    /// libre's pointer and length, as text. Bytes that are no UTF-8 become U+FFFD.
    init(_ text: pl) {
        guard let start = text.p, text.l > 0 else {
            self = ""
            return
        }
        self = start.withMemoryRebound(to: UInt8.self, capacity: text.l) {
            String(decoding: UnsafeBufferPointer(start: $0, count: text.l), as: UTF8.self)
        }
    }

    /// `%2B39` as `+39` (RFC 3261 §19.1.2). What is no escape is left as it is.
    func percentDecoded() -> String { PercentEncoding.lenientlyDecoded(Array(self.utf8)) }

    /// Without control characters, and not longer than `most` characters: what a stranger wrote, for a field of ours.
    func plain(_ most: Int) -> String {
        String(
            String.UnicodeScalarView(self.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }).prefix(most))
    }
}

extension sip_msg {
    /// The values of a header that libre knows by number.
    func values(_ header: sip_hdrid) -> [String] {
        var found: [String] = []
        self.eachHeader { if $0.id == header { found.append(String($0.val)) } }
        return found
    }

    func has(_ header: sip_hdrid) -> Bool { !self.values(header).isEmpty }

    /// The headers in their order.
    func eachHeader(_ body: (sip_hdr) -> Void) {
        var element = self.hdrl.head
        while let entry = element {
            if let data = entry.pointee.data { body(data.assumingMemoryBound(to: sip_hdr.self).pointee) }
            element = entry.pointee.next
        }
    }

    /// Whether the request is `method`. RFC 3261 §7.1: methods are case-sensitive.
    func isMethod(_ method: String) -> Bool { self.req && String(self.met) == method }

    /// The body, borrowed for the time of the message.
    var body: UnsafeRawBufferPointer {
        guard let buffer = self.mb else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let count = mbuf_get_left(buffer)
        return UnsafeRawBufferPointer(start: count == 0 ? nil : UnsafeRawPointer(mbuf_buf(buffer)), count: count)
    }

    /// Whether the body is of `type`.
    func isContent(_ type: String, _ subtype: String) -> Bool {
        withUnsafePointer(to: self.ctyp) { msg_ctype_cmp($0, type, subtype) }
    }

    /// The dialog of this request of the other end's, as we name it: Call-ID and our tag.
    var dialogKey: DialogKey { DialogKey(callID: String(self.callid), tag: String(self.to.tag)) }
}

/// Finds a call by what both ends write. The other end's tag is compared by libre.
struct DialogKey: Hashable {
    let callID: String
    let tag: String

    init(callID: String, tag: String) {
        self.callID = callID
        self.tag = tag
    }

    /// Of an INVITE that libre answers: our tag is the number that it gave the message, in its form `%016llx`.
    init(answering message: sip_msg) {
        let digits = String(message.tag, radix: 16)
        self.init(
            callID: String(message.callid), tag: String(repeating: "0", count: 16 - digits.utf8.count) + digits)
    }
}

/// A body for libre, owned: `mem_deref` it.
func makeBuffer(_ text: String) -> UnsafeMutablePointer<mbuf>? {
    guard let buffer = mbuf_alloc(max(text.utf8.count, 1)) else { return nil }
    guard mbuf_write_str(buffer, text) == 0 else {
        mem_deref(buffer)
        return nil
    }
    buffer.pointee.pos = 0
    return buffer
}

/// Drops a reference to one of libre's opaque objects and forgets it.
func drop(_ object: inout OpaquePointer?) {
    if let held = object { mem_deref(UnsafeMutableRawPointer(held)) }
    object = nil
}

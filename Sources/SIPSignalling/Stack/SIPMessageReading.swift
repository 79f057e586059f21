import CLibre
import Telephony

/// Reads a message as the server would, without one: for the fuzzer, and for nobody else.
package enum SIPMessageReading {
    /// What `bytes` would be as the first message of a call. Any thread: the parser's objects live here only.
    package static func outcome(_ bytes: UnsafeRawBufferPointer, rules: MediaRules = MediaRules()) -> String {
        guard let buffer = mbuf_alloc(max(bytes.count, 1)) else { return "no memory" }
        defer { mem_deref(buffer) }
        if let base = bytes.baseAddress, bytes.count > 0 {
            guard mbuf_write_mem(buffer, base.assumingMemoryBound(to: UInt8.self), bytes.count) == 0 else {
                return "no memory"
            }
        }
        buffer.pointee.pos = 0
        var decoded: UnsafeMutablePointer<sip_msg>?
        guard sip_msg_decode(&decoded, buffer) == 0, let message = decoded else { return "junk" }
        defer { mem_deref(message) }
        guard SIPStack.isComplete(message.pointee) else { return "incomplete" }
        _ = ReasonHeader.cause(in: message.pointee.values(SIP_HDR_REASON))
        _ = try? InfoDigit(
            subtype: String(message.pointee.ctyp.subtype), body: String(decoding: message.pointee.body, as: UTF8.self))
        sa_set_in(&message.pointee.src, 0x7F00_0001, 5060)
        do throws(InvitationRefusal) {
            let parts = try InvitationParts(message.pointee, rules: rules)
            return "call of \(parts.headers.names.count) extension headers"
        } catch { return "refused with \(error.status)" }
    }
}

import MediaDialects
import Telephony

/// What a phone leg's module, and whoever dials the media port, can write.
enum DialectFuzzing {
    /// The first byte chooses format and kind of message, the rest is the message.
    static func messages(_ name: DialectName, _ bytes: UnsafeRawBufferPointer) {
        guard let choice = bytes.first else { return }
        let formats: [AudioFormat] = [
            .l16(.narrowband), .l16(.wideband), AudioFormat(.l16, .wideband, channels: 2), .pcmu, .pcma,
        ]
        let selection = DialectSelection(
            defaults: DialectSelection.Defaults(dialect: name, format: formats[Int(choice & 0x0F) % formats.count]))
        guard let request = try? StreamRequest(target: "/stream/\(self.tenant)/\(self.call)"),
            var dialect = (try? selection.choose(subprotocols: [], request: request))?.dialect
        else { return }
        let message = UnsafeRawBufferPointer(rebasing: bytes[1...])
        let frame: Int = dialect.uplink.bytes(in: .milliseconds(20))
        var input = DialectInput()
        // The same twice: what the first left behind must not trip the second.
        for _ in 0..<2 {
            input.removeAll()
            dialect.received(choice & 0x80 == 0 ? .text : .binary, message, &input)
            precondition(input.audio.count % frame == 0, "audio that is no whole frames")
        }
        var wire: [UInt8] = []
        _ = dialect.encode(frame: message, into: &wire)
        _ = dialect.encode(.flush, into: &wire)
        _ = dialect.encode(.mark(name: String(decoding: message.prefix(64), as: UTF8.self)), into: &wire)
    }

    static func streamRequest(_ bytes: UnsafeRawBufferPointer) {
        guard let request = try? StreamRequest(target: String(decoding: bytes, as: UTF8.self)) else { return }
        let selection = DialectSelection(
            defaults: DialectSelection.Defaults(dialect: .modAudioStreamFork, format: .l16(.narrowband)))
        _ = try? selection.choose(subprotocols: ["audio.drachtio.org"], request: request)
        _ = try? selection.choose(subprotocols: [], request: request)
    }

    static let tenant = "00000000-0000-4000-8000-00000000000a"
    static let call = "00000000-0000-4000-8000-000000000001"
}

import EventSocket
import Networking

/// The decoders of byte streams. Each is fed as sockets feed it: in pieces.
enum WireFuzzing {
    /// A server's end: heads, masks, UTF-8, as `WebSocket` reads them.
    static func webSocket(_ bytes: UnsafeRawBufferPointer) {
        var copy: [UInt8] = Array(bytes)
        copy.withUnsafeMutableBytes { copy in
            var rest = copy
            var validator = UTF8Validator()
            while !rest.isEmpty {
                let parsed = try? FrameHeader.parse(
                    UnsafeRawBufferPointer(rest), expectsMask: true, allowsCompression: true)
                guard case .header(let header, let size)? = parsed else { return }
                precondition(size <= rest.count && header.payloadLength >= 0, "a head longer than its bytes")
                rest = UnsafeMutableRawBufferPointer(rebasing: rest[size...])
                let count: Int = min(rest.count, header.payloadLength)
                // In two pieces, so that the mask goes on in the middle.
                let half: Int = count / 2
                let payload = UnsafeMutableRawBufferPointer(rebasing: rest[..<count])
                if let mask = header.mask {
                    unmask(UnsafeMutableRawBufferPointer(rebasing: payload[..<half]), mask)
                    unmask(UnsafeMutableRawBufferPointer(rebasing: payload[half...]), mask, phase: half)
                }
                if header.opcode == .text {
                    validator = UTF8Validator()
                    var isValid: Bool = validator.accept(UnsafeRawBufferPointer(rebasing: payload[..<half]))
                    isValid = isValid && validator.accept(UnsafeRawBufferPointer(rebasing: payload[half...]))
                    let isText = String(validating: payload, as: UTF8.self) != nil
                    precondition((isValid && validator.isComplete) == isText, "the UTF-8 check differs from Swift's")
                }
                rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
            }
        }
    }

    static func head(_ kind: HTTPHead.Kind, _ bytes: UnsafeRawBufferPointer) {
        guard let end = HTTPHead.end(of: bytes) else { return }
        _ = try? HTTPHead(kind, UnsafeRawBufferPointer(rebasing: bytes[..<end]))
    }

    static func chunkedBody(_ bytes: UnsafeRawBufferPointer) {
        let input: [UInt8] = Array(bytes)
        var body = ChunkedBody()
        var output: [UInt8] = []
        let middle: Int = input.count / 2
        for piece in [input[..<middle], input[middle...]] where !body.isDone {
            guard let used = try? body.read(piece, into: &output, limit: 65_536) else { return }
            precondition(used == piece.count || body.isDone, "bytes were left although the body goes on")
        }
        precondition(output.count <= 65_536, "a body beyond its limit")
    }

    /// Whole, then byte by byte: both must say the same.
    static func eventSocket(_ bytes: UnsafeRawBufferPointer) {
        var whole = EventSocketDecoder(limits: EventSocketFramer.Limits(head: 4096, body: 65_536))
        whole.append(bytes)
        let expected: Int = self.count(&whole)
        guard bytes.count <= 2048 else { return }
        var dripped = EventSocketDecoder(limits: EventSocketFramer.Limits(head: 4096, body: 65_536))
        var messages = 0
        for index in bytes.indices {
            dripped.append(UnsafeRawBufferPointer(rebasing: bytes[index...index]))
            messages += self.count(&dripped)
        }
        precondition(messages == expected, "the decoder depends on how the bytes were cut")
    }

    private static func count(_ decoder: inout EventSocketDecoder) -> Int {
        var messages = 0
        while let message = try? decoder.next() {
            if case .event(let event) = message { _ = event.name }
            messages += 1
        }
        return messages
    }
}

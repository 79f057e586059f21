/// What a frame is (RFC 6455 §5.2).
package enum Opcode: UInt8, Sendable {
    case continuation = 0x0
    case text = 0x1
    case binary = 0x2
    case close = 0x8
    case ping = 0x9
    case pong = 0xA

    var isControl: Bool { self.rawValue & 0x8 != 0 }
}

/// Why a peer's bytes end the connection, with the status code that says so (RFC 6455 §7.4.1).
package enum WebSocketViolation: UInt16, Error, Sendable, Equatable {
    /// 1002: reserved bits or opcodes, masking, fragmentation, close codes.
    case protocolError = 1002
    /// 1007: text that is not UTF-8, or compressed data that does not inflate.
    case invalidData = 1007
    /// 1009: longer than `maximumMessageSize`.
    case tooBig = 1009
}

/// The head of one frame.
package struct FrameHeader: Equatable, Sendable {
    package var isFinal: Bool
    /// RSV1: the message is compressed (RFC 7692 §6).
    package var isCompressed: Bool
    package var opcode: Opcode
    /// Network order as it stands on the wire, read as one little-endian word; nil: not masked.
    package var mask: UInt32?
    package var payloadLength: Int

    /// The longest head there is.
    static let maximumSize = 14

    package enum Parsed: Equatable, Sendable {
        /// Bytes that the head took.
        case header(FrameHeader, size: Int)
        case incomplete
    }

    /// Reads a head from the beginning of `bytes`.
    package static func parse(
        _ bytes: UnsafeRawBufferPointer, expectsMask: Bool, allowsCompression: Bool
    ) throws(WebSocketViolation) -> Parsed {
        guard bytes.count >= 2 else {
            return .incomplete
        }
        let (first, second) = (bytes[0], bytes[1])
        // §5.2: reserved bits without an extension that defines them, and reserved opcodes.
        guard first & 0x30 == 0, let opcode = Opcode(rawValue: first & 0x0F) else { throw .protocolError }
        let (isFinal, isCompressed) = (first & 0x80 != 0, first & 0x40 != 0)
        if isCompressed {
            // RFC 7692 §6.1: only the first frame of a data message bears the bit.
            guard allowsCompression, opcode == .text || opcode == .binary else { throw .protocolError }
        }
        let isMasked = second & 0x80 != 0
        // §5.1: clients mask, servers do not.
        guard isMasked == expectsMask else { throw .protocolError }
        var length = UInt64(second & 0x7F)
        // §5.5: control frames are short and whole.
        if opcode.isControl, length > 125 || !isFinal { throw .protocolError }
        var offset = 2
        if length == 126 {
            guard bytes.count >= 4 else { return .incomplete }
            length = UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt16.self)))
            offset = 4
        } else if length == 127 {
            guard bytes.count >= 10 else { return .incomplete }
            length = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: UInt64.self))
            guard length <= UInt64(Int64.max) else { throw .protocolError }
            offset = 10
        }
        var mask: UInt32?
        if isMasked {
            guard bytes.count >= offset + 4 else { return .incomplete }
            mask = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
            offset += 4
        }
        let header = FrameHeader(
            isFinal: isFinal, isCompressed: isCompressed, opcode: opcode, mask: mask, payloadLength: Int(length))
        return .header(header, size: offset)
    }

    /// Bytes that a frame of `payload` bytes has before it.
    static func size(payload: Int, masked: Bool) -> Int {
        (payload < 126 ? 2 : payload <= 0xFFFF ? 4 : 10) + (masked ? 4 : 0)
    }

    /// Writes a head to the beginning of `target`; returns its size.
    package static func write(
        _ opcode: Opcode, compressed: Bool, payload: Int, mask: UInt32?, to target: UnsafeMutableRawBufferPointer
    ) -> Int {
        target[0] = 0x80 | (compressed ? 0x40 : 0) | opcode.rawValue
        let maskBit: UInt8 = mask == nil ? 0 : 0x80
        var offset = 2
        if payload < 126 {
            target[1] = maskBit | UInt8(payload)
        } else if payload <= 0xFFFF {
            target[1] = maskBit | 126
            target.storeBytes(of: UInt16(payload).bigEndian, toByteOffset: 2, as: UInt16.self)
            offset = 4
        } else {
            target[1] = maskBit | 127
            target.storeBytes(of: UInt64(payload).bigEndian, toByteOffset: 2, as: UInt64.self)
            offset = 10
        }
        if let mask {
            target.storeBytes(of: mask.littleEndian, toByteOffset: offset, as: UInt32.self)
            offset += 4
        }
        return offset
    }
}

/// Applies a mask in place (§5.3), eight bytes at a time; `phase` is how many bytes of the payload went before.
package func unmask(_ bytes: UnsafeMutableRawBufferPointer, _ mask: UInt32, phase: Int = 0) {
    guard mask != 0, let base = bytes.baseAddress else { return }
    let turn = UInt32(phase & 3) * 8
    let rotated = turn == 0 ? mask : mask >> turn | mask << (32 - turn)
    let wide = UInt64(rotated) | UInt64(rotated) << 32
    let count = bytes.count
    var index = 0
    while index &+ 32 <= count {
        for part in 0..<4 {
            let offset = index &+ part &* 8
            let word = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            base.storeBytes(of: word ^ wide.littleEndian, toByteOffset: offset, as: UInt64.self)
        }
        index &+= 32
    }
    while index &+ 8 <= count {
        let word = base.loadUnaligned(fromByteOffset: index, as: UInt64.self)
        base.storeBytes(of: word ^ wide.littleEndian, toByteOffset: index, as: UInt64.self)
        index &+= 8
    }
    while index < count {
        bytes[index] ^= UInt8(truncatingIfNeeded: rotated >> (UInt32(index & 3) * 8))
        index &+= 1
    }
}

/// Copies `source` to `target`, masked.
func copy(_ source: UnsafeRawBufferPointer, masked mask: UInt32?, to target: UnsafeMutableRawBufferPointer) {
    guard !source.isEmpty else { return }
    target.copyMemory(from: source)
    if let mask { unmask(target, mask) }
}

/// Whether a close frame may bear `code` (§7.4): 1000–1003, 1007–1014 and the ranges for libraries and programs.
func isValidCloseCode(_ code: UInt16) -> Bool {
    switch code {
    case 1000...1003, 1007...1014, 3000...4999: true
    default: false
    }
}

/// Masks of a client's frames: SplitMix64, seeded from the kernel. §10.3 wants them unpredictable to whoever chooses the
/// payload, so that no proxy between can be led to read it as HTTP; a call's audio chooses nothing.
struct MaskSource {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt32 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return UInt32(truncatingIfNeeded: mixed ^ (mixed >> 31))
    }
}

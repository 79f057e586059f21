/// Why base64 text was refused. Says where, never what.
package enum Base64Error: Error, Equatable {
    /// The text's length is not a multiple of four (RFC 4648 §4: padding is not optional).
    case truncated(length: Int)
    /// A byte outside the alphabet, padding in the middle, or left-over bits that are not zero (RFC 4648 §3.5), in
    /// the group of four that begins at `offset`.
    case invalidGroup(offset: Int)
}

/// Base64 of RFC 4648 §4 on buffers: every audio delta of a provider and of a switch goes through it, so it allocates
/// nothing but what the output buffer grows by.
package enum Base64 {
    /// Characters that `bytes` become.
    package static func encodedLength(of bytes: Int) -> Int { (bytes + 2) / 3 * 4 }

    /// Appends the text of `bytes` to `text`.
    package static func encode(_ bytes: UnsafeRawBufferPointer, into text: inout [UInt8]) {
        let start: Int = text.count
        text.append(contentsOf: repeatElement(0, count: self.encodedLength(of: bytes.count)))
        let pairs: UnsafePointer<UInt16> = self.pairs.base
        text.withUnsafeMutableBytes { text in
            var output: Int = start
            var input = 0
            // Six bytes of a word of eight are eight characters.
            while input &+ 8 <= bytes.count {
                let word = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: input, as: UInt64.self))
                text.storeBytes(of: pairs[Int(word >> 52)], toByteOffset: output, as: UInt16.self)
                text.storeBytes(of: pairs[Int(word >> 40 & 0xFFF)], toByteOffset: output &+ 2, as: UInt16.self)
                text.storeBytes(of: pairs[Int(word >> 28 & 0xFFF)], toByteOffset: output &+ 4, as: UInt16.self)
                text.storeBytes(of: pairs[Int(word >> 16 & 0xFFF)], toByteOffset: output &+ 6, as: UInt16.self)
                input &+= 6
                output &+= 8
            }
            let whole: Int = bytes.count / 3 * 3
            while input < whole {
                let group: UInt32 =
                    UInt32(bytes[input]) << 16 | UInt32(bytes[input &+ 1]) << 8 | UInt32(bytes[input &+ 2])
                text.storeBytes(of: pairs[Int(group >> 12)], toByteOffset: output, as: UInt16.self)
                text.storeBytes(of: pairs[Int(group & 0xFFF)], toByteOffset: output &+ 2, as: UInt16.self)
                input &+= 3
                output &+= 4
            }
            guard whole < bytes.count else { return }
            let isPair: Bool = bytes.count - whole == 2
            let group: UInt32 = UInt32(bytes[whole]) << 16 | (isPair ? UInt32(bytes[whole + 1]) << 8 : 0)
            text.storeBytes(of: pairs[Int(group >> 12)], toByteOffset: output, as: UInt16.self)
            text.storeBytes(of: pairs[Int(group & 0xFFF)], toByteOffset: output + 2, as: UInt16.self)
            text[output + 3] = UInt8(ascii: "=")
            if !isPair { text[output + 2] = UInt8(ascii: "=") }
        }
    }

    /// Appends what `text` stands for to `bytes`. Strict: no white space, no missing padding, no URL alphabet. On an
    /// error `bytes` is as it was.
    package static func decode(_ text: UnsafeRawBufferPointer, into bytes: inout [UInt8]) throws(Base64Error) {
        guard text.count % 4 == 0 else { throw .truncated(length: text.count) }
        guard !text.isEmpty else { return }
        let start: Int = bytes.count
        let lastGroup: Int = text.count - 4
        bytes.append(contentsOf: repeatElement(0, count: text.count / 4 * 3))
        let (written, failedAt): (Int, Int?) = bytes.withUnsafeMutableBytes { bytes in
            let values: UnsafePointer<UInt32> = self.values.base
            var output: Int = start
            var input = 0
            while input < lastGroup {
                let group: UInt32 =
                    values[Int(text[input])] | values[256 &+ Int(text[input &+ 1])]
                    | values[512 &+ Int(text[input &+ 2])] | values[768 &+ Int(text[input &+ 3])]
                guard group < 1 << 24 else { return (0, input) }
                // The fourth byte is the next group's first: there is always a next one here.
                bytes.storeBytes(of: (group << 8).bigEndian, toByteOffset: output, as: UInt32.self)
                input &+= 4
                output &+= 3
            }
            return self.decodeLast(lastGroup, of: text, at: output, into: bytes)
        }
        guard let failedAt else {
            bytes.removeLast(bytes.count - written)
            return
        }
        bytes.removeLast(bytes.count - start)
        throw .invalidGroup(offset: failedAt)
    }

    /// The last group alone may be padded. Answers the output's end, or where it failed.
    private static func decodeLast(
        _ offset: Int, of text: UnsafeRawBufferPointer, at output: Int, into bytes: UnsafeMutableRawBufferPointer
    ) -> (Int, Int?) {
        let pad = UInt8(ascii: "=")
        let padding: Int = text[offset + 3] != pad ? 0 : text[offset + 2] != pad ? 1 : 2
        let values: UnsafePointer<UInt32> = self.values.base
        var group: UInt32 = values[Int(text[offset])] | values[256 + Int(text[offset + 1])]
        if padding < 2 { group |= values[512 + Int(text[offset + 2])] }
        if padding < 1 { group |= values[768 + Int(text[offset + 3])] }
        // Bits that no byte takes must be zero, or two texts would mean the same.
        let unused: UInt32 = padding == 0 ? 0 : padding == 1 ? 0xFF : 0xFFFF
        guard group < 1 << 24, group & unused == 0 else { return (0, offset) }
        bytes[output] = UInt8(truncatingIfNeeded: group >> 16)
        if padding < 2 { bytes[output + 1] = UInt8(truncatingIfNeeded: group >> 8) }
        if padding < 1 { bytes[output + 2] = UInt8(truncatingIfNeeded: group) }
        return (output + 3 - padding, nil)
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Two characters for each 12 bits, in memory order: half the look-ups of a table of 64.
    private static let pairs = ConstantTable<UInt16>(
        (0..<4096).map { value in
            UInt16(littleEndian: UInt16(alphabet[value >> 6]) | UInt16(alphabet[value & 63]) << 8)
        })

    /// Six bits for each byte, in four tables of 256: where they belong in a group as its first, second, third and fourth
    /// character. A byte outside the alphabet has all of bits 24–31 set, so that a group needs one comparison.
    private static let values: ConstantTable<UInt32> = {
        var values = [UInt32](repeating: 0xFF00_0000, count: 1024)
        for (value, character) in alphabet.enumerated() {
            for place in 0..<4 { values[place * 256 + Int(character)] = UInt32(value) << (18 - 6 * UInt32(place)) }
        }
        return ConstantTable(values)
    }()
}

/// Writes JSON as one word, for `uuid_audio_stream … send_text`: the module takes a single argument and cuts a text at
/// its first blank (measured).
///
/// Blanks between tokens are dropped. Within strings every byte that the switch's argument splitter treats in a special
/// way (blank, quotes, backslash, control characters) is written as `\uXXXX`, which means the same to a JSON reader.
enum OneWordJSON {
    /// Nil when quotes do not pair or an escape is not one of JSON's. Otherwise the structure is passed on unchecked.
    static func encode(_ json: String) -> String? {
        var word: [UInt8] = []
        word.reserveCapacity(json.utf8.count + 16)
        let bytes = Array(json.utf8)
        var index = 0
        var isInString = false
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            if !isInString {
                if byte == UInt8(ascii: "\"") { isInString = true }
                if byte > 0x20 { word.append(byte) }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                isInString = false
                word.append(byte)
            case UInt8(ascii: "\\"):
                guard index < bytes.count else { return nil }
                if bytes[index] == UInt8(ascii: "u") {
                    word += Array("\\u".utf8)  // its four digits pass as they are
                } else if let meant = self.escapes[bytes[index]] {
                    self.append(escaped: meant, to: &word)
                } else {
                    return nil
                }
                index += 1
            case 0...0x20, UInt8(ascii: "'"), 0x7F: self.append(escaped: byte, to: &word)
            default: word.append(byte)
            }
        }
        return isInString || word.isEmpty ? nil : String(decoding: word, as: UTF8.self)
    }

    /// What follows a backslash in JSON (RFC 8259 §7) and what it means; `u` apart.
    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
        UInt8(ascii: "/"): UInt8(ascii: "/"), UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
        UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
    ]

    private static let digits: [UInt8] = Array("0123456789abcdef".utf8)

    private static func append(escaped byte: UInt8, to word: inout [UInt8]) {
        word += Array("\\u00".utf8)
        word.append(self.digits[Int(byte >> 4)])
        word.append(self.digits[Int(byte & 0xF)])
    }
}

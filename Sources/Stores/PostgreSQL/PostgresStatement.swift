/// A statement's text as PostgreSQL takes it: `$1`, `$2`… where the store's code has `?`.
///
/// Question marks in quotes, quoted names and comments stay. `?2` is the second value, as in SQLite.
enum PostgresStatement {
    static func numbered(_ sql: String) -> String {
        let bytes = Array(sql.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 16)
        var (index, next) = (0, 1)
        /// Copies up to and with the end of what begins here.
        func skip(_ isEnd: (Int) -> Int?) {
            while index < bytes.count {
                if let length = isEnd(index) {
                    result += bytes[index..<min(index + length, bytes.count)]
                    index += length
                    return
                }
                result.append(bytes[index])
                index += 1
            }
        }
        func isPair(_ at: Int, _ one: Character, _ two: Character) -> Bool {
            at + 1 < bytes.count && bytes[at] == one.asciiValue && bytes[at + 1] == two.asciiValue
        }
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case UInt8(ascii: "'"), UInt8(ascii: "\""):
                result.append(byte)
                index += 1
                // A doubled quote ends one text and begins the next: the same to us.
                skip { bytes[$0] == byte ? 1 : nil }
            case UInt8(ascii: "-") where isPair(index, "-", "-"):
                skip { bytes[$0] == UInt8(ascii: "\n") ? 1 : nil }
            case UInt8(ascii: "/") where isPair(index, "/", "*"):
                skip { isPair($0, "*", "/") ? 2 : nil }
            case UInt8(ascii: "?"):
                index += 1
                result.append(UInt8(ascii: "$"))
                let digits = bytes[index...].prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                if digits.isEmpty {
                    result += Array(String(next).utf8)
                    next += 1
                } else {
                    result += digits
                    index += digits.count
                }
            default:
                result.append(byte)
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}

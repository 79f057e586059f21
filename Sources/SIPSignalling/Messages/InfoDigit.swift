import Telephony

/// A digit that came in a SIP INFO: `application/dtmf-relay` (Cisco's, FreeSWITCH's) or `application/dtmf` (RFC-less, an
/// old draft's: the digit alone).
package struct InfoDigit: Sendable, Equatable {
    package var digit: Redacted<Character>
    /// How long the key was down, when it is said.
    package var duration: Duration?

    package init(digit: Character, duration: Duration? = nil) {
        self.digit = Redacted(digit)
        self.duration = duration
    }

    /// Why an INFO is no digit. The status is what its sender is told.
    package enum Refusal: Error, Equatable {
        case otherType, garbled
        package var status: SIPStatus { self == .otherType ? .unsupportedMediaType : .badRequest }
    }

    /// `subtype` as in `application/<subtype>`.
    package init(subtype: String, body: String) throws(Refusal) {
        let lines = body.split { $0 == "\r\n" || $0 == "\n" || $0 == "\r" }
        switch subtype.lowercased() {
        case "dtmf-relay":
            var signal: Character?
            var duration: Duration?
            for line in lines {
                let parts = line.split(separator: "=", maxSplits: 1)
                guard parts.count == 2 else { continue }
                let value = Self.trimmed(parts[1])
                switch Self.trimmed(parts[0]).lowercased() {
                case "signal": signal = try Self.digit(value)
                case "duration":
                    // Milliseconds; a wish beyond a minute is no key press.
                    guard let milliseconds = Int(value), (0...60_000).contains(milliseconds) else { throw .garbled }
                    duration = .milliseconds(milliseconds)
                default: continue
                }
            }
            guard let signal else { throw .garbled }
            self.init(digit: signal, duration: duration)
        case "dtmf":
            guard lines.count == 1 else { throw .garbled }
            self.init(digit: try Self.digit(Self.trimmed(lines[0])))
        default: throw .otherType
        }
    }

    /// 0–9, `*`, `#`, A–D; 10 to 15 are the same by RFC 4733's event numbers.
    private static func digit(_ text: Substring) throws(Refusal) -> Character {
        switch text.uppercased() {
        case "10": return "*"
        case "11": return "#"
        case "12": return "A"
        case "13": return "B"
        case "14": return "C"
        case "15": return "D"
        case let single where single.utf8.count == 1 && "0123456789*#ABCD".contains(single): return Character(single)
        default: throw .garbled
        }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        let head = text.drop { $0 == " " || $0 == "\t" }
        return head.prefix(head.count - head.reversed().prefix { $0 == " " || $0 == "\t" }.count)
    }
}

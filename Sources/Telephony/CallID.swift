/// Names one call, from the first signal to the last hang-up. Ours: a lower-case UUID text.
///
/// FreeSWITCH's channel UUID serves as the call's id where a channel brought the call, so that
/// logs of both sides can be read together. The text is kept as given (lower-cased): some
/// switches number their calls otherwise.
package struct CallID: Hashable, Sendable, CustomStringConvertible, Codable {
    package let text: String

    /// Nil unless `text` is 1–64 characters out of letters, digits, `-`, `_` and `.`: what may safely stand in a
    /// path, a log line and an Event Socket command.
    package init?(_ text: some StringProtocol) {
        guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(CallID.isAllowed) else { return nil }
        self.text = text.lowercased()
    }

    package var description: String { self.text }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

/// Names one tenant (FusionPBX's `domain_uuid`): a customer whose data no other customer may see.
package struct TenantID: Hashable, Sendable, CustomStringConvertible, Codable {
    package let text: String

    /// Nil unless `text` has the shape of a UUID (RFC 9562 §4).
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }

    package var description: String { self.text }
}

/// Names one configured assistant (the requirements' `secretary_uuid`).
package struct AssistantID: Hashable, Sendable, CustomStringConvertible, Codable {
    package let text: String

    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }

    package var description: String { self.text }
}

/// Names one row of routing (`voip_trunk_ai_settings`): what decided that a call is the AI's, and how it is to go.
package struct RouteID: Hashable, Sendable, CustomStringConvertible, Codable {
    package let text: String

    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }

    package var description: String { self.text }
}

/// Whether `text` is 8-4-4-4-12 hexadecimal digits.
package func isUUID(_ text: some StringProtocol) -> Bool {
    let bytes = text.utf8
    guard bytes.count == 36 else { return false }
    for (index, byte) in bytes.enumerated() {
        switch index {
        case 8, 13, 18, 23: if byte != UInt8(ascii: "-") { return false }
        default:
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"):
                continue
            default: return false
            }
        }
    }
    return true
}

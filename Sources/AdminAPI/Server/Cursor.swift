import Records
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Where a page ended, as the client gets it: opaque, and good for the same list only. It holds nothing that the page did
/// not say, and the tenant is never taken from it.
package enum Cursor {
    package static let rule = TextRule.ascii(
        1...256, "A-Za-z0-9_-", needed: "`next` of a page, as it is")

    package static func text(_ position: ListPosition) -> String {
        let milliseconds = Int((position.startedAt.timeIntervalSince1970 * 1000).rounded())
        return Base64URL.text(Array("\(milliseconds) \(position.id)".utf8))
    }

    /// Nil: no cursor of ours.
    package static func position(_ text: String) -> ListPosition? {
        guard let bytes = Base64URL.bytes(text), let plain = String(validating: bytes, as: UTF8.self) else {
            return nil
        }
        let parts = plain.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let milliseconds = Int(parts[0]), abs(milliseconds) <= 253_402_300_799_999,
            let id = CallID(parts[1])
        else { return nil }
        return ListPosition(startedAt: Date(timeIntervalSince1970: Double(milliseconds) / 1000), id: id.text)
    }
}

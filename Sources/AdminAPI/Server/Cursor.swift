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
        var text: [UInt8] = []
        Array("\(milliseconds) \(position.id)".utf8).withUnsafeBytes { Base64.encode($0, into: &text) }
        return String(decoding: text, as: UTF8.self).map { character in
            switch character {
            case "+": "-"
            case "/": "_"
            default: String(character)
            }
        }.joined().replacing("=", with: "")
    }

    /// Nil: no cursor of ours.
    package static func position(_ text: String) -> ListPosition? {
        var padded = text.replacing("-", with: "+").replacing("_", with: "/")
        padded += String(repeating: "=", count: (4 - padded.utf8.count % 4) % 4)
        var bytes: [UInt8] = []
        let isGood = Array(padded.utf8).withUnsafeBytes { (try? Base64.decode($0, into: &bytes)) != nil }
        guard isGood, let plain = String(validating: bytes, as: UTF8.self) else { return nil }
        let parts = plain.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, let milliseconds = Int(parts[0]), abs(milliseconds) <= 253_402_300_799_999,
            let id = CallID(parts[1])
        else { return nil }
        return ListPosition(startedAt: Date(timeIntervalSince1970: Double(milliseconds) / 1000), id: id.text)
    }
}

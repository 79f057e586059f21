import Telephony

/// A message's extension headers, `X-…`: name and value as they came, in their order.
///
/// **Nothing here is trusted.** FreeSWITCH copies a caller's own `X-…` headers to the leg towards us unless the dialplan
/// sets `sip_copy_custom_headers=false`, so whoever calls can write them. What counts is what a signed `X-Pronto-Token`
/// covers; the reader of an id compares it with the token's. A header that stands twice is one of the dialplan's and one
/// of the caller's, and nobody knows which is which: it is `ambiguous`, not the first of the two.
package struct SIPHeaders: Sendable, Equatable {
    package enum Value: Sendable, Equatable {
        case absent
        case one(Redacted<String>)
        case ambiguous
    }

    /// The most that are kept of a message, and of a value, in bytes; a longer value is left out.
    package static let most = 64
    package static let longestValue = 1024

    private let pairs: [(name: String, value: Redacted<String>)]

    package init(_ pairs: [(name: String, value: String)]) {
        self.pairs = pairs.prefix(Self.most).compactMap { pair in
            guard pair.value.utf8.count <= Self.longestValue, pair.value.unicodeScalars.allSatisfy(Self.isText) else {
                return nil
            }
            return (pair.name.lowercased(), Redacted(pair.value))
        }
    }

    /// The value of `name`, in any case of letters.
    package func value(_ name: String) -> Value {
        let name = name.lowercased()
        var found: Redacted<String>?
        for pair in self.pairs where pair.name == name {
            guard found == nil else { return .ambiguous }
            found = pair.value
        }
        return found.map { .one($0) } ?? .absent
    }

    package var names: [String] { self.pairs.map(\.name) }

    /// No control characters: a value goes into logs' metadata, Event Socket commands and URLs.
    private static func isText(_ scalar: Unicode.Scalar) -> Bool { scalar.value >= 0x20 && scalar.value != 0x7F }

    package static func == (lhs: SIPHeaders, rhs: SIPHeaders) -> Bool {
        lhs.pairs.count == rhs.pairs.count && zip(lhs.pairs, rhs.pairs).allSatisfy { $0 == $1 }
    }
}

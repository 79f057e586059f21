import Telephony

/// How services' counts are read and added.
///
/// A server's numbers are its own, and a tenant may name the server: each lies between nothing and a billion once it is
/// read, so no sum of a few can overflow, and a sum of many stops at the same bound.
extension AssistantUsage {
    /// More than any model reads in one request by far.
    package static let largestCount = 1_000_000_000

    static func count(_ value: JSONScan?) -> Int { Self.bounded(value?.integer ?? 0) }

    /// Nil: it is not told.
    static func count(_ value: JSONValue?) -> Int? { value?.whole.map(Self.bounded) }

    package static func sum(_ a: Int, _ b: Int) -> Int { Self.bounded(a) + Self.bounded(b) }

    /// The sum of `counts`, itself a count.
    static func sum(_ counts: some Sequence<Int>) -> Int { counts.reduce(0) { Self.bounded(Self.sum($0, $1)) } }

    static func bounded(_ count: Int) -> Int { min(max(count, 0), Self.largestCount) }
}

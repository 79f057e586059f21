/// Something a person said, dialed or typed: it prints as nothing.
///
/// Overriding `description` alone still leaks through `dump` and reflection; the empty mirror closes that.
package struct Redacted<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    package let value: Value
    package init(_ value: Value) { self.value = value }
    package var description: String { "‹redacted›" }
    package var debugDescription: String { "‹redacted›" }
    package var customMirror: Mirror { Mirror(self, children: [:]) }
}

extension Redacted: Equatable where Value: Equatable {}
extension Redacted: Hashable where Value: Hashable {}

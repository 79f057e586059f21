/// Where things are in Redis. Every key and channel begins with the installation's prefix, so that several
/// installations can share one Redis.
package struct NodeKeys: Sendable, Equatable {
    package let prefix: String
    package init(prefix: String) { self.prefix = prefix }

    /// Sorted set: instance → when it was last heard, in milliseconds of Redis' clock.
    package var nodes: String { "\(self.prefix):nodes" }
    /// Hash of one instance: name, state, calls, and where it is.
    package func node(_ instance: String) -> String { "\(self.prefix):node:\(instance)" }
    /// Hash of one instance: call → `tenant since`.
    package func calls(_ instance: String) -> String { "\(self.prefix):calls:\(instance)" }
    /// Hash of one instance: tenant → how many calls.
    package func load(_ instance: String) -> String { "\(self.prefix):load:\(instance)" }
    /// Hash: `provider tenant` → until when it is passed over, in milliseconds of Redis' clock.
    package var circuits: String { "\(self.prefix):circuits" }
    package func probe(_ circuit: String) -> String { "\(self.prefix):probe:\(circuit)" }
    package func rate(_ bucket: String) -> String { "\(self.prefix):rate:\(bucket)" }
    /// Stream of what happens on calls.
    package var events: String { "\(self.prefix):events" }
    /// Channel on which nodes tell each other.
    package var news: String { "\(self.prefix):news" }
}

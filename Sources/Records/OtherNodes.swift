import Telephony

/// The other nodes of an installation, as the calls of one node see them.
///
/// Nothing here waits: a question is answered once, on any thread, within a deadline that the implementation keeps, and
/// the answer may be that nobody could be asked. Without other nodes there is no such object.
package protocol OtherNodes: Sendable {
    /// Takes the place of `call` for this node, unless another node has it, or the tenant has `limit` calls already.
    func claim(
        _ call: CallID, of tenant: TenantID, limit: Int, done: @escaping @Sendable (CallClaim) -> Void)
    /// Gives the place back. Also of a call whose claim is still on its way.
    func release(_ call: CallID)
    /// Tells the consoles.
    func tell(_ event: CallEvent)
    /// Tells the nodes that this one passes a back end over, or does so no more.
    func circuitChanged(_ change: CircuitChange)
    /// Asks for the right to try a back end again that all pass over; one node gets it, for `life` at most.
    func claimProbe(_ circuit: CircuitName, life: Duration, done: @escaping @Sendable (ProbeClaim) -> Void)
}

/// What the other nodes say to a new call.
package enum CallClaim: Sendable, Equatable {
    case taken
    /// Nobody could be asked in time: this node decides alone.
    case unknown
    /// A node that lives has the call. Its name is for our log.
    case elsewhere(node: String)
    /// The tenant's calls on all nodes.
    case full(calls: Int)
}

package enum ProbeClaim: Sendable, Equatable {
    case granted
    /// Another node tries already.
    case taken
    case unknown
}

/// A tenant's way to a back end.
package struct CircuitName: Hashable, Sendable {
    package var provider: String
    package var tenant: TenantID
    package init(provider: String, tenant: TenantID) {
        self.provider = provider
        self.tenant = tenant
    }
}

/// What one node has learnt about a back end.
package enum CircuitChange: Sendable, Equatable {
    /// It is passed over for `pause`, then one call tries.
    case opened(CircuitName, pause: Duration)
    case closed(CircuitName)
}

/// A milestone of a call for consoles. Ids and slugs only: what people said or dialed has no place in it.
package struct CallEvent: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        /// The call has its leg.
        case began
        /// The assistant is there.
        case answered
        case transferStarted = "transfer-started"
        case transferFailed = "transfer-failed"
        case ended
    }

    package var kind: Kind
    package var call: CallID
    package var tenant: TenantID
    package var assistant: AssistantID
    /// Words from closed sets, such as `dialect`, `provider`, `reason`, `fault`, and `duration_ms`.
    package var details: [String: String]

    package init(
        _ kind: Kind, call: CallID, tenant: TenantID, assistant: AssistantID, details: [String: String] = [:]
    ) {
        self.kind = kind
        self.call = call
        self.tenant = tenant
        self.assistant = assistant
        self.details = details
    }
}

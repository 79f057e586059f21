import Records
import Telephony

/// What this node holds, and how sure it is that Redis knows the same.
///
/// Commands are answered in their order, so what Redis counts when it answers a sign of life is what had been sent
/// before it. Where that differs from what is held here (a claim that was answered too late, a Redis that lost its
/// memory), everything is stated anew.
package struct NodeRegister: Sendable {
    package typealias Ticket = UInt64

    private var held: [CallID: TenantID] = [:]
    private var claiming: [CallID: (ticket: Ticket, tenant: TenantID)] = [:]
    private var lastTicket: Ticket = 0
    /// A claim's outcome is not known: Redis may have the call or not.
    private var isUncertain = false

    package init() {}

    package var count: Int { self.held.count }

    /// Takes a call of which Redis is not told now.
    package mutating func hold(_ call: CallID, of tenant: TenantID) { self.held[call] = tenant }

    package mutating func claimSent(_ call: CallID, of tenant: TenantID) -> Ticket {
        self.lastTicket += 1
        self.claiming[call] = (self.lastTicket, tenant)
        return self.lastTicket
    }

    package mutating func claimAnswered(_ call: CallID, _ ticket: Ticket, _ claim: CallClaim) {
        // Released, or claimed anew, while the answer was on its way.
        guard let claiming = self.claiming[call], claiming.ticket == ticket else { return }
        self.claiming[call] = nil
        switch claim {
        case .taken: self.held[call] = claiming.tenant
        case .unknown:
            self.held[call] = claiming.tenant
            self.isUncertain = true
        case .elsewhere, .full: break
        }
    }

    /// Whether Redis may know the call, and has to be told that it is over.
    package mutating func release(_ call: CallID) -> Bool {
        let wasHeld = self.held.removeValue(forKey: call) != nil
        let wasClaimed = self.claiming.removeValue(forKey: call) != nil
        return wasHeld || wasClaimed
    }

    /// Everything, as Redis should have it. What is being claimed was sent before, and would be lost otherwise.
    package mutating func statement() -> [CallID: TenantID] {
        self.isUncertain = false
        return self.held.merging(self.claiming.mapValues(\.tenant)) { held, _ in held }
    }

    /// What Redis should count at a sign of life that is sent now; nil: that cannot be known, as claims are on their way.
    package var expectation: Int? { self.claiming.isEmpty ? self.held.count : nil }

    /// Whether all has to be stated anew, now that Redis has counted `count` where `expectation` was expected.
    package func disagrees(_ count: Int, _ expectation: Int?) -> Bool {
        guard let expectation else { return false }
        return self.isUncertain || count != expectation
    }
}

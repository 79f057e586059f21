import Records
import Telephony

/// Other nodes that answer when the test says so.
final class PatientNodes: OtherNodes {
    let asked = Observed<[@Sendable (CallClaim) -> Void]>([])
    let released = Observed<[CallID]>([])

    func claim(_ call: CallID, of tenant: TenantID, limit: Int, done: @escaping @Sendable (CallClaim) -> Void) {
        self.asked.change { $0.append(done) }
    }
    func release(_ call: CallID) { self.released.change { $0.append(call) } }
    func tell(_ event: CallEvent) {}
    func circuitChanged(_ change: CircuitChange) {}
    func claimProbe(_ circuit: CircuitName, life: Duration, done: @escaping @Sendable (ProbeClaim) -> Void) {
        done(.unknown)
    }

    /// Answers all that was asked.
    func answer(_ claim: CallClaim) {
        for done in self.asked.value { done(claim) }
        self.asked.change { $0 = [] }
    }
}

import Foundation
import Networking
import Records
import Telephony

/// A call that lives, as an operator sees it.
package struct CallSummary: Sendable {
    package var identity: CallIdentity
    package var startedAt: Date
    package var dialect: String?
    /// The back end that speaks now.
    package var provider: String?
    package var isTransferring: Bool
}

/// What operators see of live calls, and do to them. Each call is asked on its own loop.
extension Gateway {
    package func summaries(of tenant: TenantID) async -> [CallSummary] {
        var summaries: [CallSummary] = []
        for live in self.live(of: tenant) {
            // A call that has ended meanwhile is none.
            if let summary = await Self.ask(live, { $0.summary }) { summaries.append(summary) }
        }
        return summaries
    }

    /// Hands a caller over. Nil: the tenant has no such call on this node; false: it is leaving already.
    package func transfer(
        _ call: CallID, of tenant: TenantID, to destination: TransferDestination
    ) async -> Bool? {
        guard let live = self.live(call), live.tenant == tenant else { return nil }
        return await Self.ask(live) { $0.transferRequested(to: destination) }
    }

    private static func ask<Value: Sendable>(
        _ live: Live, _ question: @escaping @Sendable (CallShell) -> Value
    ) async -> Value? {
        await withCheckedContinuation { continuation in
            live.loop.execute { continuation.resume(returning: live.call.value.call.map(question)) }
        }
    }
}

extension CallShell {
    fileprivate var summary: CallSummary {
        CallSummary(
            identity: self.identity, startedAt: self.report.startedAt, dialect: self.report.dialect,
            provider: self.hasMachine ? self.currentProvider : nil, isTransferring: self.session.isTransferring)
    }
}

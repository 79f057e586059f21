import Assistants
import Conversation
import Foundation
import Records
import Telephony

/// Gathers what will be written down about a call while it lives, and makes the records at its end.
package struct CallReport {
    private(set) var identity: CallIdentity
    let plan: CallPlan
    var dialect: String?
    var framesIn = 0
    /// What the leg measured of the network.
    var media: MediaQuality?
    /// Destinations that an operator named, the latest first.
    var offered: [TransferDestination] = []
    let startedAt = Date()
    private var providers: [ProviderName] = []
    private var usage = CallUsage()
    private var tools: [ToolUse] = []
    private var transferredTo: String?

    init(identity: CallIdentity, plan: CallPlan) {
        self.identity = identity
        self.plan = plan
    }

    mutating func learned(_ identity: CallIdentity) { self.identity = identity }

    mutating func providerOpened(_ provider: String) {
        guard let name = ProviderName(provider), self.providers.last != name else { return }
        self.providers.append(name)
    }

    mutating func add(_ note: SessionNote) {
        switch note {
        case .usage(let usage):
            self.usage.inputTextTokens += usage.inputTextTokens
            self.usage.inputAudioTokens += usage.inputAudioTokens
            self.usage.cachedTokens += usage.cachedTokens
            self.usage.outputTextTokens += usage.outputTextTokens
            self.usage.outputAudioTokens += usage.outputAudioTokens
        case .transferStarted(let name): self.transferredTo = name
        case .transferFailed(let name): if self.transferredTo == name { self.transferredTo = nil }
        case .tool(let name) where ["transfer_call", "request_handoff", "end_call"].contains(name):
            // The conversation's own tools; the others are written down with their results by whoever runs them.
            guard self.tools.count < 200 else { break }
            self.tools.append(
                ToolUse(
                    number: self.tools.count + 1, name: name, arguments: "", outcome: .succeeded, startedAt: Date(),
                    duration: .zero))
        default: break
        }
    }

    mutating func add(tool call: ToolCall, result: Redacted<String>, outcome: ToolUse.Outcome) {
        guard self.tools.count < 200 else { return }
        self.tools.append(
            ToolUse(
                number: self.tools.count + 1, name: call.name, arguments: call.arguments.value, result: result.value,
                outcome: outcome, startedAt: Date(), duration: .zero))
    }

    /// The records of the call, complete. `duration` is the loop's, which no clock change can bend.
    func close(
        _ termination: CallTermination, session: borrowing CallSession, duration: Duration, recording: String?
    ) -> FinishedCall {
        let endedAt = self.startedAt.addingTimeInterval(duration.inSeconds)
        var call = CallRecord(
            id: self.identity.call, tenant: self.identity.tenant, startedAt: self.startedAt, endedAt: endedAt,
            termination: termination)
        call.assistant = self.identity.assistant
        call.caller = self.identity.caller
        call.dialed = self.identity.dialed
        call.dialect = self.dialect
        call.providers = self.providers
        call.answeredAt = self.startedAt
        call.recording = recording
        call.quality = self.quality(of: session)
        call.usage = self.usage
        let all = self.offered + self.plan.destinations + [self.plan.fallback].compactMap { $0 }
        call.transferredTo = all.first { $0.name == self.transferredTo }
        var conversation = ConversationRecord(
            id: Self.newConversationID(), tenant: self.identity.tenant, call: self.identity.call,
            startedAt: self.startedAt, endedAt: endedAt, finalAction: self.action(for: termination))
        conversation.assistant = self.identity.assistant
        conversation.language = self.plan.language
        return FinishedCall(
            call: call, conversation: conversation, turns: self.turns(of: session, endedAt: endedAt), tools: self.tools)
    }

    private func quality(of session: borrowing CallSession) -> CallQuality {
        var quality = CallQuality()
        quality.media = self.media
        quality.underruns = session.underruns
        quality.bargeIns = session.bargeIns
        quality.falseInterruptions = session.falseInterruptions
        let sorted = session.latencies.sorted()
        if !sorted.isEmpty {
            quality.latencyMedian = sorted[sorted.count / 2]
            quality.latencyP95 = sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
        }
        quality.uplinkBytes = self.framesIn * session.uplinkFormat.bytes(in: .milliseconds(20))
        quality.downlinkBytes = session.downlinkFormat.bytes(in: session.sentAudio)
        return quality
    }

    private func turns(of session: borrowing CallSession, endedAt: Date) -> [TurnRecord] {
        let turns = session.turns
        return turns.enumerated().map { index, turn in
            let began = self.startedAt.addingTimeInterval((turn.began - session.beganAt).inSeconds)
            let next = index + 1 < turns.count ? turns[index + 1].began : nil
            var record = TurnRecord(
                number: index + 1, role: turn.speaker == .caller ? .caller : .agent, text: turn.text.value,
                startedAt: began,
                endedAt: next.map { self.startedAt.addingTimeInterval(($0 - session.beganAt).inSeconds) } ?? endedAt)
            if turn.speaker == .agent {
                record.heardText = turn.heardText
                record.heard = turn.heard
                record.wasInterrupted = turn.wasInterrupted
                record.latency = turn.latency
            }
            return record
        }
    }

    private func action(for termination: CallTermination) -> ConversationRecord.FinalAction {
        if self.transferredTo != nil, termination.reason != CallTermination.transferFailed.reason { return .transfer }
        switch termination.fault {
        case .nobody, .caller: return .hangup
        default: return .failed
        }
    }

    private static func newConversationID() -> ConversationID {
        let uuid = UUID().uuidString
        guard let id = ConversationID(uuid) else { preconditionFailure("Foundation made no UUID") }
        return id
    }
}

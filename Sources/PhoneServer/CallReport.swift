import Assistants
import Conversation
import Foundation
import Records
import Telephony

/// Gathers what will be written down about a call while it lives, and makes the records at its end.
package struct CallReport {
    private(set) var identity: CallIdentity
    private(set) var plan: CallPlan
    var dialect: String?
    var framesIn = 0
    /// What the leg measured of the network.
    var media: MediaQuality?
    /// Destinations that an operator named, the latest first.
    var offered: [TransferDestination] = []
    let startedAt = Date()
    private var providers: [ProviderName] = []
    private var usage = CallUsage()
    private var costs: CostAccount
    private var tools = ToolLog()
    private var transferredTo: String?

    init(identity: CallIdentity, plan: CallPlan, prices: PriceTable) {
        self.identity = identity
        self.plan = plan
        self.costs = CostAccount(prices)
    }

    mutating func learned(_ identity: CallIdentity) { self.identity = identity }
    mutating func learned(fallback: TransferDestination?) { self.plan.fallback = fallback }

    mutating func providerOpened(_ provider: String) {
        guard let name = ProviderName(provider), self.providers.last != name else { return }
        self.providers.append(name)
    }

    /// The back end listens: what it does from now on is paid for, and it will say how much.
    mutating func providerReady(_ provider: String) {
        // The embedded assistant costs nothing, and says nothing of it.
        if provider != "local" { self.costs.opened(provider) }
    }

    /// - Parameter now: since the call began.
    /// - Returns: what it costs in billionths of the price table's currency; nil: that is unknown.
    mutating func add(_ usage: AssistantUsage, of provider: String, at now: Duration) -> Int64? {
        self.usage.add(usage)
        return self.costs.add(usage, of: provider, at: now)
    }

    /// - Parameter now: since the call began.
    mutating func add(_ note: SessionNote, at now: Duration) {
        switch note {
        case .transferStarted(let name): self.transferredTo = name
        case .transferFailed(let name):
            if self.transferredTo == name { self.transferredTo = nil }
            self.tools.transferFailed(at: now)
        case .tool(let call): self.tools.called(call, at: now)
        case .toolAnswered(let id, let result, let isTaken):
            self.tools.answered(id, result, isTaken: isTaken, at: now)
        default: break
        }
    }

    /// A tool that is not the conversation's own.
    ///
    /// - Parameter began: since the call began.
    mutating func add(
        tool call: ToolCall, result: Redacted<String>, outcome: ToolUse.Outcome, began: Duration, took: Duration
    ) {
        self.tools.add(call, result, outcome, began: began, took: took)
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
        call.cost = CallCost(
            micros: self.costs.micros, knownMicros: self.costs.knownMicros, currency: self.costs.currency,
            priceDate: self.costs.priceDate)
        let all = self.offered + self.plan.destinations + [self.plan.fallback].compactMap { $0 }
        if self.wasTransferred(termination) { call.transferredTo = all.first { $0.name == self.transferredTo } }
        var conversation = ConversationRecord(
            id: Self.newConversationID(), tenant: self.identity.tenant, call: self.identity.call,
            startedAt: self.startedAt, endedAt: endedAt, finalAction: self.action(for: termination))
        conversation.assistant = self.identity.assistant
        conversation.language = self.plan.language
        if self.providers.last?.text == "turn-based" { conversation.mode = .turnBased }
        return FinishedCall(
            call: call, conversation: conversation, turns: self.turns(of: session, endedAt: endedAt),
            tools: self.tools.uses(
                from: self.startedAt, endedAfter: duration, wasTransferred: self.wasTransferred(termination)))
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
        let agents = turns.indices.filter { turns[$0].speaker == .agent }
        let costs = Dictionary(
            uniqueKeysWithValues: zip(
                agents, self.costs.micros(ofTurns: agents.map { turns[$0].began - session.beganAt })))
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
                record.costMicros = costs[index] ?? nil
            }
            return record
        }
    }

    /// A transfer that was begun and did not fail has happened, unless the caller hung up while it rang.
    private func wasTransferred(_ termination: CallTermination) -> Bool {
        let ends = [CallTermination.transferFailed.reason, CallTermination.callerHungUp.reason]
        return self.transferredTo != nil && !ends.contains(termination.reason)
    }

    private func action(for termination: CallTermination) -> ConversationRecord.FinalAction {
        if self.wasTransferred(termination) { return .transfer }
        // Gone while somebody was being rung for them: nobody has helped this caller.
        if self.transferredTo != nil, termination.reason == CallTermination.callerHungUp.reason { return .abandoned }
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

extension CallUsage {
    /// Counts that a provider made up must not overflow: they stop at the most that there can be.
    fileprivate mutating func add(_ usage: AssistantUsage) {
        func sum(_ a: Int, _ b: Int) -> Int {
            let (sum, isOver) = a.addingReportingOverflow(max(0, b))
            return isOver ? .max : sum
        }
        self.inputTextTokens = sum(self.inputTextTokens, usage.inputTextTokens)
        self.inputAudioTokens = sum(self.inputAudioTokens, usage.inputAudioTokens)
        self.cachedTokens = sum(self.cachedTokens, sum(usage.cachedTextTokens, usage.cachedAudioTokens))
        self.outputTextTokens = sum(self.outputTextTokens, usage.outputTextTokens)
        self.outputAudioTokens = sum(self.outputAudioTokens, usage.outputAudioTokens)
        self.characters = sum(self.characters, usage.characters)
        self.heard += usage.heard
        self.connected += usage.connected
    }
}

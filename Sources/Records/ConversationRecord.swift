import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Names one stored conversation: a lower-case UUID text, made by the shell.
package struct ConversationID: Hashable, Sendable, CustomStringConvertible {
    package let text: String
    /// Nil unless `text` has the shape of a UUID.
    package init?(_ text: some StringProtocol) {
        guard isUUID(text) else { return nil }
        self.text = text.lowercased()
    }
    package var description: String { self.text }
}

/// The conversation of one call with one assistant (`v_voice_conversations`).
package struct ConversationRecord: Sendable, Equatable {
    /// What the conversation came to.
    package enum FinalAction: String, Sendable, CaseIterable { case hangup, transfer, abandoned, failed }

    package var id: ConversationID
    package var tenant: TenantID
    package var call: CallID
    package var assistant: AssistantID?
    package var mode: ProcessingMode = .realtime
    package var language: String?
    package var startedAt: Date
    package var endedAt: Date
    package var finalAction: FinalAction

    package init(
        id: ConversationID, tenant: TenantID, call: CallID, startedAt: Date, endedAt: Date, finalAction: FinalAction
    ) {
        self.id = id
        self.tenant = tenant
        self.call = call
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.finalAction = finalAction
    }
}

/// One party's whole contribution (`v_voice_messages`).
package struct TurnRecord: Sendable, Equatable {
    package enum Role: String, Sendable, CaseIterable {
        case caller = "user"
        case agent = "assistant"
    }

    /// From 1, in the order of the conversation; unique in it.
    package var number: Int
    package var role: Role
    /// All that was said, as transcribed or generated.
    package var text: Redacted<String>
    /// The part of an agent's turn that the caller heard; nil for caller turns.
    package var heardText: Redacted<String>?
    /// How long the caller heard the agent; nil for caller turns.
    package var heard: Duration?
    /// The caller cut it short.
    package var wasInterrupted: Bool = false
    /// Caller stopped → first agent audio on the wire; nil for caller turns and for unprompted speech.
    package var latency: Duration?
    package var provider: ProviderName?
    /// What an agent's turn cost, in millionths of the call's currency; nil: unknown, or a caller's turn.
    package var costMicros: Int?
    package var startedAt: Date
    package var endedAt: Date

    package init(number: Int, role: Role, text: String, startedAt: Date, endedAt: Date) {
        self.number = number
        self.role = role
        self.text = Redacted(text)
        self.startedAt = startedAt
        self.endedAt = endedAt
    }
}

/// One use of a tool, for the audit (`v_voice_tool_uses`).
package struct ToolUse: Sendable, Equatable {
    package enum Outcome: String, Sendable, CaseIterable { case succeeded, failed, refused, timedOut = "timed_out" }

    /// From 1, in the order of the conversation.
    package var number: Int
    package var name: String
    /// The arguments as the model wrote them.
    package var arguments: Redacted<String>
    package var result: Redacted<String>?
    package var outcome: Outcome
    package var startedAt: Date
    package var duration: Duration

    package init(
        number: Int, name: String, arguments: String, result: String? = nil, outcome: Outcome, startedAt: Date,
        duration: Duration
    ) {
        self.number = number
        self.name = name
        self.arguments = Redacted(arguments)
        self.result = result.map { Redacted($0) }
        self.outcome = outcome
        self.startedAt = startedAt
        self.duration = duration
    }
}

/// All that a call leaves behind: written together or not at all.
package struct FinishedCall: Sendable, Equatable {
    package var call: CallRecord
    /// Nil when nobody answered.
    package var conversation: ConversationRecord?
    package var turns: [TurnRecord]
    package var tools: [ToolUse]

    package init(
        call: CallRecord, conversation: ConversationRecord? = nil, turns: [TurnRecord] = [], tools: [ToolUse] = []
    ) {
        self.call = call
        self.conversation = conversation
        self.turns = turns
        self.tools = tools
    }
}

import Assistants
import Conversation
import EventSocket
import Foundation
import Records
import Telephony

/// Who calls, whom, and on whose behalf: decided before the first frame, constant for the call.
package struct CallIdentity: Sendable {
    package var call: CallID
    package var tenant: TenantID
    package var assistant: AssistantID
    package var assistantName: String
    package var caller: Redacted<String>?
    package var dialed: Redacted<String>?
    /// The channel that can be controlled by Event Socket; nil: the call's id is not one.
    package var channel: CallID?
    /// Neither address nor token said which call it is: the leg's metadata may say which channel. Else that was said, and
    /// a token may hold for that one alone.
    var isNamedByUs = false
    /// Where the caller's dialplan entered, so that a transfer that nobody answers can come back there.
    package var entry: DialplanTarget?
    /// What the trunk's row says about this call, where routing sent it.
    package var overrides: AssistantOverrides?
    /// The dead man's switch that the dialplan asks for.
    var fuse: Fuse?
    /// Whom that switch's target rings, as the dialplan has set it (`pronto_failover_ext`).
    var failover: String?
    /// The dialplan context that is meant where a transfer's is not stated.
    var home = Tenant.unstatedContext

    package init(call: CallID, tenant: TenantID, assistant: AssistantID, assistantName: String) {
        self.call = call
        self.tenant = tenant
        self.assistant = assistant
        self.assistantName = assistantName
    }
}

extension CallIdentity {
    /// What the channel's variables tell beside whose it is.
    mutating func learn(_ variables: [String: Redacted<String>]) {
        let context = variables["context"]?.value
        if self.entry == nil, let number = variables["destination_number"]?.value, let context, !number.isEmpty {
            self.entry = DialplanTarget(extension: number, context: context)
        }
        self.failover = self.failover ?? variables["pronto_failover_ext"]?.value
        if self.fuse == nil, let text = variables["pronto_fuse"]?.value {
            self.fuse = Fuse(text, context: context, task: variables["last_sched_id"]?.value)
        }
    }
}

extension CallIdentity {
    /// The one place where a transfer's context is made the tenant's, where none was stated.
    func located(_ destination: TransferDestination) -> TransferDestination {
        guard destination.context == Tenant.unstatedContext else { return destination }
        var destination = destination
        destination.context = self.home
        return destination
    }

    /// Where the caller goes when nothing else works.
    ///
    /// Of a call that a trunk's row sent it is whom the row names, whatever the assistant says. The dialplan's own failover
    /// rings the very same where it has the row's answer, and knows what kind of target it is: then it goes there. Where
    /// nobody names anybody, the dialplan's failover is what is left.
    ///
    /// - Parameter own: the assistant's, or everybody's.
    func fallback(besides own: TransferDestination?) -> TransferDestination? {
        let dialplans = self.fuse.flatMap { fuse in
            fuse.target.dialplan == "XML"
                ? TransferDestination(
                    name: "fallback", number: fuse.target.extension.value, context: fuse.target.context) : nil
        }
        guard let routed = self.overrides?.fallback else { return own.map(self.located) ?? dialplans }
        if let dialplans, self.failover == routed.reference { return dialplans }
        return self.located(
            TransferDestination(name: "fallback", number: routed.reference, context: Tenant.unstatedContext))
    }
}

/// A local speech job that can be stopped. Stopping twice, or after the end, does nothing.
package protocol SpeechJob: Sendable {
    func cancel()
}

/// One call's ears: a detector that hears every frame, and a recogniser when one is wanted. Confined to the call's loop.
package protocol ListeningJob: AnyObject {
    /// A borrowed frame in the format that the job was started with. Copies what it keeps; never waits.
    func caller(_ frame: UnsafeRawBufferPointer)
    /// Recognises each talkspurt by this grammar from now on.
    func recognise(_ request: RecognitionRequest)
    func stopRecognising()
    /// The end: nothing is reported any more, and nothing goes on.
    func close()
}

/// What a synthesis reports, on a thread of its own.
package enum SpeechReport: Sendable {
    case started
    /// Audio in the requested format.
    case audio([UInt8])
    case ended(ChannelEnd)
}

/// What came of a recording that was to be written down.
package enum TranscriptionReport: Sendable {
    /// Empty: there was no speech in it.
    case words(Redacted<String>)
    case failed(slug: String)
}

/// What a call's ears report, on a thread of their own.
package enum ListeningReport: Sendable {
    case speech(isSpeaking: Bool)
    case recognitionReady
    case recognitionFailed(slug: String)
    /// Of one talkspurt; empty words: nothing in the grammar fits.
    case recognised(words: Redacted<String>, confidence: Double)
}

/// The local engines, as the call needs them: everything off the loop, everything cancellable.
package protocol SpeechServices: Sendable {
    func synthesise(_ request: SpeechRequest, report: @escaping @Sendable (SpeechReport) -> Void) -> any SpeechJob
    /// Opens a call's ears. Throws `AssistantFailure` when no engine takes the format.
    func listen(
        _ request: DetectionRequest, report: @escaping @Sendable (ListeningReport) -> Void
    ) throws -> any ListeningJob
    /// Writes a recording down. `report` is called once, unless the job is cancelled before.
    func transcribe(
        _ request: TranscriptionRequest, report: @escaping @Sendable (TranscriptionReport) -> Void
    ) -> any SpeechJob
}

/// Makes the machine for one rung of a call's ladder.
package protocol AssistantMaking: Sendable {
    /// Throws `AssistantFailure` when it cannot be made (no key, no model file).
    func make(
        provider: String, identity: CallIdentity, legFormat: AudioFormat, history: [ConversationEntry]
    ) throws -> any AssistantMachine
}

/// The way to the switch that has the caller's channel. Answers come on the loop of the call.
package protocol CallControl: Sendable {
    /// Whether transfers are possible now: a connected Event Socket.
    var isAvailable: Bool { get }
    /// Whether the way to the switch has failed for good enough to send new calls elsewhere (`Gateway.lacksControl`).
    var isDown: Bool { get }
    /// Whether a watch goes on where the channel is sent elsewhere.
    var followsElsewhere: Bool { get }
    /// Asks the switch. `done` is called once, on whatever thread.
    func ask(
        _ command: ApiCommand, timeout: Duration?,
        done: @escaping @Sendable (Result<EventSocketReply, EventSocketFailure>) -> Void)
    /// The channel is about to be sent elsewhere, or hung up, by us.
    func willDismiss(_ channel: CallID)
    /// The switch refused to: the channel stays with us.
    func keeps(_ channel: CallID)
    /// Tells `observer` about the channel until `unwatch`.
    func watch(_ channel: CallID, observer: @escaping @Sendable (ChannelNews) -> Void)
    func unwatch(_ channel: CallID)
}

extension CallControl {
    package var isDown: Bool { false }
    package var followsElsewhere: Bool { true }
    package func willDismiss(_ channel: CallID) {}
    package func keeps(_ channel: CallID) {}
}

/// What a call looks like from outside while it lives: for the console, the demo and tests.
package protocol CallObserver: Sendable {
    func call(_ identity: CallIdentity, noted note: SessionNote, at sinceStart: Duration)
    func callEnded(_ identity: CallIdentity, record: CallRecord)
}

extension CallID {
    /// A fresh id, for a leg that brought none.
    static func random() -> CallID {
        guard let id = CallID(UUID().uuidString) else { preconditionFailure("Foundation made no UUID") }
        return id
    }
}

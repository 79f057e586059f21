import Audio
import Telephony

/// Which kind of WebSocket message carries something.
package enum MessageKind: Sendable, Equatable { case text, binary }

/// One concrete WebSocket media protocol spoken by a switch, as a value: messages in, phone events and frames out;
/// frames and commands in, messages out.
///
/// A dialect never sees an assistant. It is made with the formats *stated* (URL, metadata, configuration); no format
/// is ever guessed from a message's size.
package protocol MediaDialect: Sendable {
    /// A stable slug for logs and metrics, such as `mod-audio-stream`.
    var name: String { get }
    /// What comes up. Frames are handed over as 20 ms of this format, mono: a stereo wire is split by the dialect.
    var uplink: AudioFormat { get }
    /// What `encode(frame:)` takes.
    var downlink: AudioFormat { get }
    /// How the playout has to treat this leg.
    var traits: PlayoutTraits { get }
    /// Set where the module only stores what `encode(frame:)` carries, and somebody has to play it by Event Socket.
    var playsThroughControl: ControlPlayback? { get }
    /// Silence to send after the last frame of an utterance (and after its mark), or the module sits on the end of it.
    var tail: Duration { get }

    /// A whole message has come. Appends what it means to `input` (events in order; audio reassembled to 20 ms frames).
    /// Garbage is `input.problem`, never a trap.
    mutating func received(_ kind: MessageKind, _ message: UnsafeRawBufferPointer, _ input: inout DialectInput)

    /// Appends to `bytes` the one message that carries `frame` (any whole number of samples in `downlink`, an odd byte
    /// is left out), and says its kind. Nil, nothing appended: the frame is empty or larger than the module takes.
    mutating func encode(frame: UnsafeRawBufferPointer, into bytes: inout [UInt8]) -> MessageKind?

    /// Appends the message that carries `command`; nil when the dialect has none for it (the caller uses ESL).
    mutating func encode(_ command: PhoneCommand, into bytes: inout [UInt8]) -> MessageKind?
}

extension MediaDialect {
    package var playsThroughControl: ControlPlayback? { nil }
    package var tail: Duration { .zero }
}

/// How audio is played where the module writes it to a file and says so by an event.
///
/// For each message the module fires `event` with a JSON body whose `file` is the path; the controller then sends
/// `uuid_broadcast <uuid> <file> aleg`, and stops it with `uuid_break <uuid> all` (last packet 20 ms later). Two files
/// have `hole` of silence between them (protocols/freeswitch.md §3.4), so a message should hold as much of an utterance
/// as there is, at least `chunk` unless the utterance ends before.
package struct ControlPlayback: Hashable, Sendable {
    package var event: String
    package var chunk: Duration
    package var hole: Duration
    package init(event: String, chunk: Duration, hole: Duration) {
        self.event = event
        self.chunk = chunk
        self.hole = hole
    }
}

/// What one message meant. Reused: once grown it allocates nothing.
package struct DialectInput: Sendable {
    /// Whole 20 ms frames in the uplink format, one after another.
    package var audio: [UInt8] = []
    package var events: [DialectEvent] = []
    /// Why (part of) the message could not be understood: a slug, safe to log.
    package var problem: String?

    package init() {}

    package mutating func removeAll() {
        if !self.audio.isEmpty { self.audio.removeAll(keepingCapacity: true) }
        if !self.events.isEmpty { self.events.removeAll(keepingCapacity: true) }
        self.problem = nil
    }
}

/// What a module tells beside audio.
package enum DialectEvent: Sendable, Equatable {
    case phone(PhoneEvent)
    /// The first text: metadata that the dialplan or our Lua handed over. May be lost by the module, so it never is
    /// the only source of an id.
    case metadata(LegMetadata)
}

/// Ids and numbers that a leg states about itself. All optional, all hostile until checked.
package struct LegMetadata: Sendable, Equatable {
    package var tenant: TenantID?
    package var assistant: AssistantID?
    /// A name of an assistant in place of its id (document 1's `aiAgentRef`).
    package var assistantName: String?
    package var call: CallID?
    package var caller: Redacted<String>?
    package var dialed: Redacted<String>?
    /// Stated uplink format, where the metadata has one.
    package var format: AudioFormat?
    /// Stated by the sender and worth nothing without checking: a signed token.
    package var token: Redacted<String>?
    package init() {}
}

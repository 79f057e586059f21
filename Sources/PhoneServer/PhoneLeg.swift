import Records
import Telephony

/// The media connection of a call, as the call's shell uses it: a WebSocket in some module's dialect, RTP, or FreeSWITCH's
/// unicast. Confined to the call's loop.
///
/// A leg that is attached tells its call about audio, events and its end (`CallShell.heard`, `leg(_:told:)`,
/// `leg(_:ended:)`); a detached one tells nobody. Frames and commands are never queued without bound: a leg that cannot
/// keep up ends.
protocol PhoneLeg: AnyObject {
    /// A stable slug for logs, metrics and records, such as `mod-audio-stream`, `unicast`, `rtp`.
    var dialect: String { get }
    /// What comes up: frames of 20 ms, mono.
    var uplink: AudioFormat { get }
    /// What `send(frame:)` takes.
    var downlink: AudioFormat { get }
    /// How the playout has to treat this leg.
    var traits: PlayoutTraits { get }
    /// Silence that the leg needs after an utterance.
    var tail: Duration { get }
    /// When anything last came: a leg that is silent for long may be taken over.
    var lastHeard: Duration { get }
    /// Frames heard so far.
    var framesIn: Int { get }
    /// Whether audio waits to be sent as one long message.
    var isGathering: Bool { get }

    /// From now on the leg tells `call`. Once.
    func attach(to call: CallShell)
    /// Tells nobody any more; what is open stays open until `close`.
    func detach()
    /// Sends one frame; false when the leg cannot.
    func send(frame: UnsafeRawBufferPointer) -> Bool
    /// Performs a command; false when this leg has no way to, and Event Socket has to.
    func send(_ command: PhoneCommand) -> Bool
    /// Sends what was gathered when it is long enough, or nothing more comes for now.
    func sendGathered(isComplete: Bool)
    /// Lets the connection go.
    func close(_ reason: LegClosing)
    /// What the leg measured, for the call's record; nil where a leg measures nothing.
    var quality: MediaQuality? { get }
}

extension PhoneLeg {
    var isGathering: Bool { false }
    func sendGathered(isComplete: Bool) {}
    var tail: Duration { .zero }
    var quality: MediaQuality? { nil }
}

/// Why we let a leg go.
enum LegClosing: Sendable {
    /// Our part is over; what becomes of the caller has been arranged, or is the dialplan's business.
    case callEnded
    /// The conversation ended well and nobody is left to talk to: the caller is to be hung up.
    case hangUp
    /// The call goes on over another connection.
    case takenOver
    /// A second connection of a call that has ended meanwhile.
    case noSuchCall
    /// A second connection in another format than the call began with.
    case otherFormat
    /// Nobody answers: several assistants, and nothing said which.
    case noAssistant
    /// No place for another call.
    case tryLater
}

/// How a leg ended by itself.
enum LegEnd: Sendable {
    /// The far side closed as a module does when the channel hangs up or its stream is stopped.
    case closed
    /// The far side said that the caller is gone, and why.
    case hungUp(HangupCause)
    /// The connection broke: a slug.
    case lost(String)
}

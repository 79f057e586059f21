import Audio
import MediaDialects
import Telephony

/// Which module of FreeSWITCH, or other way to a gateway, the phone behaves as: what it sends, what it understands, how it plays.
///
/// Measured on real ones (freeswitch.md §3, captures/ws-*.txt), but for `binary` and `jambonz`, which are taken from
/// their documents and sources.
package enum PhoneModule: String, Sendable, CaseIterable {
    /// mod_audio_stream, community build: L16 up; `streamAudio` becomes a file that a controller plays.
    case modAudioStream = "mod-audio-stream"
    /// The fork that plays into the call, with G.711 up.
    case forkPCMU = "fork-pcmu"
    case forkPCMA = "fork-pcma"
    /// The same fork with L16 up.
    case forkL16 = "fork-l16"
    /// Builds that play at once what comes down, as binary messages or `streamAudio`.
    case binary
    /// The same with PCMU both ways.
    case binaryPCMU = "binary-pcmu"
    /// drachtio's mod_audio_fork: `playAudio` becomes a file.
    case drachtio
    /// jambonz's mod_audio_fork: binary down, marks.
    case jambonz
    /// No module: FreeSWITCH's own raw datagrams, asked for by the outbound Event Socket.
    case unicast
    /// No module: SIP and RTP.
    case rtp

    /// What the dialect runs over.
    package enum Carrier: Sendable { case webSocket, unicast, rtp }

    package var carrier: Carrier {
        switch self {
        case .unicast: .unicast
        case .rtp: .rtp
        case .modAudioStream, .forkPCMU, .forkPCMA, .forkL16, .binary, .binaryPCMU, .drachtio, .jambonz:
            .webSocket
        }
    }

    /// Those of a media module.
    package static let webSockets = allCases.filter { $0.carrier == .webSocket }

    /// Takes also the longer names of `DialectName`.
    package init?(stated text: String) {
        if let dialect = PhoneModule(rawValue: text.lowercased()) {
            self = dialect
            return
        }
        switch DialectName(stated: text) {
        case .modAudioStream: self = .modAudioStream
        case .modAudioStreamFork: self = .forkPCMU
        case .binaryDown: self = .binary
        case .drachtioFork: self = .drachtio
        case .jambonzFork: self = .jambonz
        case nil: return nil
        }
    }

    /// What the gateway calls it (`dialect=` of a stream's address); nil where there is no stream.
    package var name: DialectName? {
        switch self {
        case .modAudioStream: .modAudioStream
        case .forkPCMU, .forkPCMA, .forkL16: .modAudioStreamFork
        case .binary, .binaryPCMU: .binaryDown
        case .drachtio: .drachtioFork
        case .jambonz: .jambonzFork
        case .unicast, .rtp: nil
        }
    }

    /// How the samples that go up are written.
    package var encoding: AudioEncoding {
        switch self {
        case .forkPCMU, .binaryPCMU, .rtp: .pcmu
        case .forkPCMA: .pcma
        case .modAudioStream, .forkL16, .binary, .drachtio, .jambonz, .unicast: .l16
        }
    }

    package var isFork: Bool { self == .forkPCMU || self == .forkPCMA || self == .forkL16 }

    /// Asked for in the handshake.
    package var subprotocol: String? {
        switch self {
        case .drachtio: DrachtioFork.subprotocol
        case .jambonz: JambonzFork.subprotocol
        case .modAudioStream, .forkPCMU, .forkPCMA, .forkL16, .binary, .binaryPCMU, .unicast, .rtp: nil
        }
    }

    /// How this module plays. Files: 125 ms from the message to the first packet, and 120 ms between two
    /// (freeswitch.md §3.4). The cushion of `binary` is the bench's.
    package var ear: PhoneEar.Model {
        switch self {
        case .modAudioStream, .drachtio: .files(delay: .milliseconds(125), hole: .milliseconds(120))
        case .forkPCMU, .forkPCMA, .forkL16:
            .ring(warmUp: .milliseconds(400), capacity: .seconds(2), grace: .milliseconds(60))
        case .binary, .binaryPCMU: .cushion(.milliseconds(60))
        case .jambonz: .gathered(first: .milliseconds(80), then: .milliseconds(40))
        // The switch plays what comes as it comes; a telephone's own jitter buffer is behind it.
        case .unicast, .rtp: .cushion(.milliseconds(40))
        }
    }
}

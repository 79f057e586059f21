import Telephony

/// The dialects by the names that addresses and configuration use.
package enum DialectName: String, Sendable, CaseIterable, Codable {
    case modAudioStream = "mod-audio-stream"
    case modAudioStreamFork = "mod-audio-stream-fork"
    case binaryDown = "binary-down"
    case drachtioFork = "mod-audio-fork-drachtio"
    case jambonzFork = "mod-audio-fork-jambonz"

    /// Takes the names and the short forms people use: `community`, `fork`, `binary`, `drachtio`, `jambonz`.
    package init?(stated text: String) {
        switch text.lowercased() {
        case "community": self = .modAudioStream
        case "fork": self = .modAudioStreamFork
        case "binary": self = .binaryDown
        case "drachtio": self = .drachtioFork
        case "jambonz": self = .jambonzFork
        case let name:
            guard let dialect = DialectName(rawValue: name) else { return nil }
            self = dialect
        }
    }

    /// Whether its module asks for a subprotocol, and closes without one.
    package var isModAudioFork: Bool { self == .drachtioFork || self == .jambonzFork }
}

/// Why a dialect could not be made. The peer's or the configuration's mistake, never ours.
package enum DialectError: Error, Equatable {
    /// The dialect does not carry this encoding, or not at this rate.
    case formatUnsupported(DialectName, AudioFormat)
    /// Down goes mono only.
    case channelsUnsupported(DialectName)
    /// Not 20–1500 ms.
    case warmUpOutOfRange
    /// Empty, or more than 1 KiB.
    case flushTextInvalid
    /// The address states a dialect whose module does not ask for the subprotocol that was asked for.
    case contradicted(stated: DialectName, subprotocol: DialectName)
    /// Only subprotocols that we do not know were asked for, and no dialect is stated.
    case unknownSubprotocol
    /// No dialect is stated in the address, by a subprotocol or in the configuration.
    case notStated

    /// What is wrong and what would be right, for the refusal's body and the log.
    package var sentence: String {
        switch self {
        case .formatUnsupported(let dialect, let format):
            "The dialect \(dialect.rawValue) does not carry \(format): state rate=, encoding= and channels= as the "
                + "module sends them"
        case .channelsUnsupported(let dialect): "The dialect \(dialect.rawValue) takes mono audio only"
        case .warmUpOutOfRange: "The warm-up is 20 to 1500 ms"
        case .flushTextInvalid: "The flush text is 1 to 1024 bytes"
        case .contradicted(let stated, let subprotocol):
            "dialect=\(stated.rawValue) is stated, but the subprotocol asked for is that of \(subprotocol.rawValue)"
        case .unknownSubprotocol:
            "None of the subprotocols asked for is known: audio.drachtio.org, audio.jambonz.org, or none and dialect="
        case .notStated: "No dialect is stated: add dialect= to the address, or set the default dialect"
        }
    }

    package var termination: CallTermination {
        CallTermination(cause: .interworking, fault: .configuration, reason: "dialect-unusable", spoken: .transfer)
    }

    static func check(
        _ format: AudioFormat, of dialect: DialectName, encodings: [AudioEncoding]
    ) throws(DialectError) {
        guard encodings.contains(format.encoding), StatedFormat.isUsable(format) else {
            throw .formatUnsupported(dialect, format)
        }
    }
}

import Telephony

/// Why a command cannot be encoded: an argument that could be read as something else than itself. Says which argument,
/// never what was in it.
package enum EventSocketCommandError: Error, Equatable {
    case unsafe(argument: CommandArgument)
    case empty(argument: CommandArgument)
    case tooLong(argument: CommandArgument, limit: Int)

    package var termination: CallTermination {
        CallTermination(cause: .interworking, fault: .configuration, reason: "event-socket-argument")
    }
}

/// What an argument is, and therefore which bytes may be in it.
///
/// The wire is lines of words: a line end would begin a second command, a blank a second argument, and a quote or a
/// backslash changes how the switch splits the rest (source: `switch_separate_string`). `${` would be expanded by the
/// next dialplan application that reads the value, and `$${` by the XML loader.
package enum CommandArgument: String, Sendable, Hashable, CaseIterable {
    case channel, variableName, variableValue, `extension`, dialplan, context, cause, path, url, text, metadata,
        password
    case eventName, subclass, job, header, application, applicationArgument, digits, gateway, domain, address, seconds
    /// A whole line that an operator typed.
    case line

    /// Longest text in bytes.
    var limit: Int {
        switch self {
        case .text, .metadata, .applicationArgument, .variableValue, .line: 16 * 1024
        case .path, .url: 2048
        default: 256
        }
    }

    /// Returns `text` when it may stand on the wire as this argument.
    func checked(_ text: String) throws(EventSocketCommandError) -> String {
        guard !text.isEmpty else { throw .empty(argument: self) }
        guard text.utf8.count <= self.limit else { throw .tooLong(argument: self, limit: self.limit) }
        guard text.utf8.allSatisfy(self.allows), self.allowsWhole(text) else { throw .unsafe(argument: self) }
        return text
    }

    private func allows(_ byte: UInt8) -> Bool {
        guard byte > 0x1F, byte != 0x7F else { return false }
        switch self {
        case .metadata, .applicationArgument, .header, .password, .line: return true
        case .variableValue: return !Self.quoting.contains(byte)
        case .text: return byte != Ascii.space && byte != UInt8(ascii: "'")
        case .url: return byte > 0x20 && byte < 0x7F && !Self.quoting.contains(byte)
        case .path: return Self.isWord(byte) || Self.pathPunctuation.contains(byte)
        case .extension, .digits: return Self.isWord(byte) || Self.dialPunctuation.contains(byte)
        case .subclass, .address: return Self.isWord(byte) || byte == Ascii.colon
        case .cause, .eventName, .dialplan, .seconds: return Self.isWord(byte)
        case .channel, .variableName, .context, .job, .application, .gateway, .domain: return Self.isWord(byte)
        }
    }

    private func allowsWhole(_ text: String) -> Bool {
        switch self {
        case .metadata, .header, .password, .line: true
        // A blank at either end is lost on the way.
        case .variableValue, .applicationArgument:
            !text.contains("${") && !text.contains("$${") && !text.hasPrefix(" ") && !text.hasSuffix(" ")
        case .text: true
        case .url: (text.hasPrefix("ws://") || text.hasPrefix("wss://")) && !text.contains("${")
        // `uuid_broadcast` runs `application::argument` where a file is expected.
        case .path:
            !text.contains("::") && !text.contains("/../") && !text.hasSuffix("/..")
                && (text.hasPrefix("/") || Self.streams.contains { text.hasPrefix($0) })
        // A word that begins with a dash would be taken for an option (`uuid_transfer <uuid> -both …`), one with a plus
        // or minus or slash for an operator of `filter`. A number in international form keeps its plus.
        default: !text.hasPrefix("-") && (self == .extension || self == .digits || !text.hasPrefix("+"))
        }
    }

    private static let quoting: [UInt8] = Array("'\"\\`".utf8)
    private static let pathPunctuation: [UInt8] = Array("/%(),=;:@+".utf8)
    private static let dialPunctuation: [UInt8] = Array("+*#@".utf8)
    private static let streams = ["silence_stream://", "tone_stream://", "local_stream://"]

    /// Letters, digits, `-`, `_`, `.`.
    private static func isWord(_ byte: UInt8) -> Bool {
        let lower = Ascii.lowercased(byte)
        return (lower >= UInt8(ascii: "a") && lower <= UInt8(ascii: "z"))
            || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9"))
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }
}

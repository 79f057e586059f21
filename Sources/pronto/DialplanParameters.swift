import Configuration
import Telephony

/// How a call is brought to Pronto, each with a fallback of its own (docs/freeswitch.md).
enum DialplanMode: String, CaseIterable, Sendable {
    /// mod_audio_stream, through voice_secretary.lua.
    case realtime
    /// Stock FreeSWITCH: the outbound Event Socket, audio by unicast.
    case esl
    /// The outbound Event Socket for control, mod_audio_stream for audio.
    case dual
    /// Stock FreeSWITCH: a SIP leg, audio by RTP.
    case rtp
    /// Document 1's `inbound_ai_dynamic`: asks by HTTP, then AI, else the extension, else voicemail.
    case inbound

    /// The file of a plain FreeSWITCH. Numbers before 900 leave room; FreeSWITCH reads them in this order.
    var fileName: String {
        switch self {
        case .realtime: "900_voice_ai_realtime.xml"
        case .esl: "900_voice_ai_esl.xml"
        case .dual: "900_voice_ai_dual.xml"
        case .rtp: "900_voice_ai_rtp.xml"
        case .inbound: "890_inbound_ai_dynamic.xml"
        }
    }

    /// Where Pronto listens for it.
    var port: Int {
        switch self {
        case .realtime, .dual, .inbound: 8085
        case .esl: 8022
        case .rtp: 5090
        }
    }

    var needsModule: Bool { self == .realtime || self == .dual || self == .inbound }
    var needsScripts: Bool { self == .realtime || self == .inbound }
}

/// Which build of mod_audio_stream the switch has; says what is stated in the stream's address.
enum DialplanModule: String, CaseIterable, Sendable {
    case community, fork, binary

    var dialect: String {
        switch self {
        case .community: "mod-audio-stream"
        case .fork: "mod-audio-stream-fork"
        case .binary: "binary-down"
        }
    }
}

/// How `inbound` brings the audio of the calls that the AI takes.
enum InboundAudio: String, CaseIterable, Sendable {
    /// mod_audio_stream, through ai_websocket_bridge.lua.
    case stream
    /// Stock FreeSWITCH: the outbound Event Socket, audio by unicast.
    case esl
}

/// What a dialplan is made with. Every text has been checked: none can end an attribute, a word of an application's
/// arguments, or an SQL literal.
struct DialplanParameters: Sendable, Equatable {
    var mode: DialplanMode
    /// `8XXX`, `8000,8001`; for `inbound` the DIDs.
    var numbers = "8XXX"
    var context = "${context}"
    var failover = "2000"
    var failoverContext: String?
    /// Bridge `user/…`, then voicemail, in place of a transfer to the extension in the dialplan.
    var failoverRingsUser = false
    var domainName = "${domain_name}"
    /// Set apart from those of other tenants: in a context that several share, the first extension of a name would serve
    /// everybody's callers.
    var owner: String?
    var tenant: String?
    var secretary: String?
    var host = "127.0.0.1"
    var port: Int
    /// Of the outbound Event Socket in `dual`, whose `port` is the stream's.
    var socketPort = 8022
    var adminPort = 8100
    var module = DialplanModule.community
    var rate: String?
    var profile = "internal"
    var trunk: String?
    var inboundAudio = InboundAudio.stream
    /// Seconds of the dead man's switch, which Pronto puts off each second. FreeSWITCH counts whole clock seconds, so under
    /// 4 a stall of one second could move live calls.
    var fuse = 4

    init(_ mode: DialplanMode) {
        self.mode = mode
        self.port = mode.port
        if mode == .inbound { self.failoverRingsUser = true }
    }

    /// What an extension that calls are transferred to is called here.
    func name(_ name: String) -> String { self.owner.map { "\(name)_\($0)" } ?? name }

    /// Where the human's number is dialed. Calls of `inbound` come in by a carriers' context, which has no extensions:
    /// theirs are in FreeSWITCH's `default`.
    var dialledFailoverContext: String {
        self.failoverContext ?? (self.mode == .inbound ? "default" : self.context)
    }

    static let options: Set<String> = [
        "--numbers", "--context", "--failover", "--failover-context", "--failover-by", "--domain-name", "--domain-uuid",
        "--secretary", "--pronto-host", "--pronto-port", "--socket-port", "--admin-port", "--module", "--rate",
        "--profile", "--trunk", "--audio", "--fuse",
    ]

    init(_ mode: DialplanMode, _ arguments: Arguments) throws {
        self.init(mode)
        if mode == .inbound, arguments.all("--numbers").isEmpty {
            throw ArgumentError.missing("--numbers (the DIDs, with commas between them)")
        }
        func take(
            _ option: String, _ allowed: String, into target: WritableKeyPath<Self, String>,
            _ isAllowed: (String) -> Bool
        ) throws {
            let value = try arguments.optional(option, allowed: allowed) { isAllowed($0) ? $0 : nil }
            if let value { self[keyPath: target] = value }
        }
        func takeOptional(
            _ option: String, _ allowed: String, into target: WritableKeyPath<Self, String?>,
            _ isAllowed: (String) -> Bool
        ) throws {
            self[keyPath: target] = try arguments.optional(option, allowed: allowed) { isAllowed($0) ? $0 : nil }
        }
        let word = "1 to 128 letters, digits, -, _ and ."
        try take("--numbers", Self.numbersAllowed, into: \.numbers) { Self.expression(of: $0) != nil }
        try take("--context", word, into: \.context, Self.isWord)
        try take("--failover", "1 to 32 digits, letters, +, * and #", into: \.failover, Self.isNumber)
        try takeOptional("--failover-context", word, into: \.failoverContext, Self.isWord)
        try take("--domain-name", word, into: \.domainName, Self.isWord)
        try takeOptional("--domain-uuid", "a UUID", into: \.tenant) { TenantID($0) != nil }
        try takeOptional("--secretary", "a UUID", into: \.secretary) { TenantID($0) != nil }
        try take("--pronto-host", "an IPv4 address or a host name", into: \.host) {
            Self.isWord($0) && !$0.contains("_")
        }
        try take("--profile", word, into: \.profile, Self.isWord)
        try takeOptional("--trunk", word, into: \.trunk, Self.isWord)
        if let audio = try arguments.optional("--audio", allowed: "stream, esl", { InboundAudio(rawValue: $0) }) {
            guard mode == .inbound else { throw CommandFailure("--audio goes with inbound: the other modes have one") }
            self.inboundAudio = audio
        }
        func port(_ option: String) throws -> Int? {
            try arguments.optional(option, allowed: "1 to 65535") { text in
                Int(text).flatMap { (1...65535).contains($0) ? $0 : nil }
            }
        }
        self.port = try port("--pronto-port") ?? mode.port
        self.socketPort = try port("--socket-port") ?? 8022
        self.adminPort = try port("--admin-port") ?? 8100
        self.module =
            try arguments.optional("--module", allowed: "community, fork, binary") { DialplanModule(rawValue: $0) }
            ?? .community
        try takeOptional("--rate", "8k, 16k", into: \.rate) { $0 == "8k" || $0 == "16k" }
        if self.module == .fork, self.rate == "16k" {
            throw ArgumentError.notAllowed(option: "--rate", allowed: "8k: the fork plays nothing else")
        }
        let fuse = try arguments.optional(
            "--fuse", allowed: "4 to 30 seconds: under 4 a stall of one second could move live calls"
        ) { text in Int(text).flatMap { (4...30).contains($0) ? $0 : nil } }
        self.fuse = fuse ?? 4
        if let kind = try arguments.optional("--failover-by", allowed: "dialplan, user", { $0 }) {
            guard kind == "dialplan" || kind == "user" else {
                throw ArgumentError.notAllowed(option: "--failover-by", allowed: "dialplan, user")
            }
            self.failoverRingsUser = kind == "user"
        }
    }

    /// The rate that the stream states: 16 kHz where the module can, as the telephone network of today can too.
    var streamRate: String { self.rate ?? (self.module == .fork ? "8k" : "16k") }

    static let numbersAllowed =
        "numbers with commas between them, where X is any digit and + may begin one: 8XXX or 8000,8001 or +390612345678"

    /// The regular expression that matches `numbers` and nothing else; nil: not allowed.
    static func expression(of numbers: String) -> String? {
        let parts = numbers.split(separator: ",", omittingEmptySubsequences: false)
        guard (1...100).contains(parts.count) else { return nil }
        var alternatives: [String] = []
        for part in parts {
            let digits = part.hasPrefix("+") ? part.dropFirst() : part
            guard (1...20).contains(digits.utf8.count),
                digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == 0x58 }),
                digits.utf8.first != 0x58 || digits.utf8.count > 1
            else { return nil }
            let kept = digits.prefix { $0 != "X" }
            guard digits.dropFirst(kept.count).allSatisfy({ $0 == "X" }) else { return nil }
            let open = digits.count - kept.count
            let tail = open == 0 ? "" : open == 1 ? "\\d" : "\\d{\(open)}"
            // Carriers write a number with its plus or without, whatever was agreed.
            alternatives.append((part.hasPrefix("+") ? "\\+?" : "") + kept + tail)
        }
        return "^(\(alternatives.joined(separator: "|")))$"
    }

    /// Letters, digits, `-`, `_`, `.`; not beginning with a dash or a dot.
    static func isWord(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first, first != 0x2D, first != 0x2E else {
            return false
        }
        return text.utf8.allSatisfy { Self.isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
    }

    static func isNumber(_ text: String) -> Bool {
        (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy { Self.isLetterOrDigit($0) || $0 == 0x2B || $0 == 0x2A || $0 == 0x23 }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}

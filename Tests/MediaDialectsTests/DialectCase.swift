import MediaDialects
import Telephony
import Testing

/// One dialect in one format, for the suites that hold for all of them.
struct DialectCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let wire: AudioFormat
    let make: @Sendable () throws -> any MediaDialect

    private init(_ name: String, _ wire: AudioFormat, _ make: @escaping @Sendable () throws -> any MediaDialect) {
        self.testDescription = "\(name) \(wire)"
        self.wire = wire
        self.make = make
    }

    static let all: [DialectCase] = {
        let stereo = AudioFormat(.l16, .wideband, channels: 2)
        var cases: [DialectCase] = []
        for wire in [.l16(.narrowband), .l16(.wideband), .l16(.realtime), .l16(.fullband), stereo] {
            cases.append(DialectCase("community", wire) { try ModAudioStream(wire: wire) })
        }
        for wire in [AudioFormat.l16(.narrowband), .pcmu, .pcma] {
            cases.append(DialectCase("fork", wire) { try ModAudioStreamFork(wire: wire) })
            cases.append(
                DialectCase("binary", wire) { try BinaryDown(wire: wire, flushText: #"{"type":"stopAudio"}"#) })
            cases.append(DialectCase("streamAudio", wire) { try BinaryDown(wire: wire, style: .streamAudio) })
        }
        for wire in [AudioFormat.l16(.wideband), stereo] {
            cases.append(DialectCase("drachtio", wire) { try DrachtioFork(wire: wire, flush: .killAudio) })
            cases.append(DialectCase("jambonz", wire) { try JambonzFork(wire: wire, channelRate: .narrowband) })
        }
        return cases
    }()
}

extension MediaDialect {
    mutating func heard(_ kind: MessageKind, _ bytes: [UInt8]) -> DialectInput {
        var input = DialectInput()
        bytes.withUnsafeBytes { self.received(kind, $0, &input) }
        return input
    }

    mutating func heard(_ text: String) -> DialectInput { self.heard(.text, Array(text.utf8)) }

    mutating func encoded(frame: [UInt8]) -> (kind: MessageKind, bytes: [UInt8])? {
        var bytes: [UInt8] = [0xEE]
        let kind: MessageKind? = frame.withUnsafeBytes { self.encode(frame: $0, into: &bytes) }
        #expect(bytes.first == 0xEE)
        #expect((kind == nil) == (bytes.count == 1))
        return kind.map { ($0, Array(bytes.dropFirst())) }
    }

    /// The message of `frame`; a failure when there is none.
    mutating func sent(frame: [UInt8]) throws -> (kind: MessageKind, bytes: [UInt8]) {
        let message = self.encoded(frame: frame)
        return try #require(message)
    }

    /// The text of `command`; a failure when there is none.
    mutating func sent(_ command: PhoneCommand) throws -> String {
        let message = self.encoded(command)
        return try #require(message).text
    }

    mutating func encoded(_ command: PhoneCommand) -> (kind: MessageKind, text: String)? {
        var bytes: [UInt8] = []
        let kind: MessageKind? = self.encode(command, into: &bytes)
        #expect((kind == nil) == bytes.isEmpty)
        return kind.map { ($0, String(decoding: bytes, as: UTF8.self)) }
    }
}

/// splitmix64: the same bytes on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { self.state = seed }
    mutating func next() -> UInt64 {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var value: UInt64 = self.state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

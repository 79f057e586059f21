import Glibc
import Synchronization
import Telephony

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// How much a line matters. `info` is one line a call milestone; frames are never logged.
package enum LogLevel: String, Sendable, CaseIterable, Comparable {
    case trace, debug, info, warning, error

    private var rank: Int {
        switch self {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .warning: 3
        case .error: 4
        }
    }
    package static func < (lhs: LogLevel, rhs: LogLevel) -> Bool { lhs.rank < rhs.rank }
}

/// A value beside a message. There is no case that takes any object: what is logged is written out on purpose.
package enum LogValue: Sendable, Equatable {
    case string(String)
    case integer(Int)
    case double(Double)
    case bool(Bool)
    /// Something a person said, dialed or typed: prints as nothing at every level.
    case redacted
}

/// Writes structured lines. A value: `with` makes one that carries more metadata (one logger a call).
package struct Logger: Sendable {
    /// Where lines go. Must take calls from any thread.
    package typealias Sink = @Sendable (String) -> Void
    package enum Form: String, Sendable { case json, text }

    package var level: LogLevel
    private let form: Form
    private let sink: Sink
    private var context: [(key: String, value: LogValue)] = []

    package init(level: LogLevel = .info, form: Form = .json, sink: @escaping Sink = Logger.standardError) {
        self.level = level
        self.form = form
        self.sink = sink
    }

    /// A logger that says nothing: for tests and for parts that are given none.
    package static let silent = Logger(level: .error, sink: { _ in })

    /// One `write` a line, so that lines of several threads do not mix.
    package static let standardError: Sink = { line in
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }

    /// A logger that adds `metadata` to each of its lines.
    package func with(_ metadata: KeyValuePairs<String, LogValue>) -> Logger {
        var copy = self
        copy.context += metadata.map { ($0.key, $0.value) }
        return copy
    }

    package func trace(_ message: StaticString, _ metadata: KeyValuePairs<String, LogValue> = [:]) {
        self.log(.trace, message, metadata)
    }
    package func debug(_ message: StaticString, _ metadata: KeyValuePairs<String, LogValue> = [:]) {
        self.log(.debug, message, metadata)
    }
    package func info(_ message: StaticString, _ metadata: KeyValuePairs<String, LogValue> = [:]) {
        self.log(.info, message, metadata)
    }
    package func warning(_ message: StaticString, _ metadata: KeyValuePairs<String, LogValue> = [:]) {
        self.log(.warning, message, metadata)
    }
    package func error(_ message: StaticString, _ metadata: KeyValuePairs<String, LogValue> = [:]) {
        self.log(.error, message, metadata)
    }

    private func log(_ level: LogLevel, _ message: StaticString, _ metadata: KeyValuePairs<String, LogValue>) {
        guard level >= self.level else { return }
        let pairs = self.context + metadata.map { (key: $0.key, value: $0.value) }
        switch self.form {
        case .json: self.sink(Self.json(level, message, pairs, at: Date()))
        case .text: self.sink(Self.text(level, message, pairs, at: Date()))
        }
    }

    static func json(
        _ level: LogLevel, _ message: StaticString, _ pairs: [(key: String, value: LogValue)], at date: Date
    ) -> String {
        var line: [UInt8] = Array("{\"time\":".utf8)
        JSONText.appendString(Self.timestamp(date), to: &line)
        JSONText.append(",\"level\":", to: &line)
        JSONText.appendString(level.rawValue, to: &line)
        JSONText.append(",\"message\":", to: &line)
        JSONText.appendString(message.description, to: &line)
        for (key, value) in pairs {
            line.append(UInt8(ascii: ","))
            JSONText.appendString(key, to: &line)
            line.append(UInt8(ascii: ":"))
            switch value {
            case .string(let text): JSONText.appendString(text, to: &line)
            case .integer(let number): JSONText.appendInteger(number, to: &line)
            case .double(let number) where number.isFinite: line += Array("\(number)".utf8)
            case .double: JSONText.append("null", to: &line)
            case .bool(let flag): line += Array("\(flag)".utf8)
            case .redacted: JSONText.append("\"[redacted]\"", to: &line)
            }
        }
        line.append(UInt8(ascii: "}"))
        return String(decoding: line, as: UTF8.self)
    }

    static func text(
        _ level: LogLevel, _ message: StaticString, _ pairs: [(key: String, value: LogValue)], at date: Date
    ) -> String {
        var line = "\(Self.timestamp(date)) \(level.rawValue.uppercased()) \(message)"
        for (key, value) in pairs {
            line += " \(key)="
            switch value {
            case .string(let text): line += Self.plain(text)
            case .integer(let number): line += "\(number)"
            case .double(let number): line += "\(number)"
            case .bool(let flag): line += "\(flag)"
            case .redacted: line += "[redacted]"
            }
        }
        return line
    }

    /// Control characters could forge a line or drive a terminal; spaces need quotes.
    private static func plain(_ text: String) -> String {
        let clean = String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : Character($0) })
        return clean.contains(" ") ? "\"\(clean)\"" : clean
    }

    /// RFC 3339 in UTC with milliseconds.
    static func timestamp(_ date: Date) -> String {
        let milliseconds = Int64((date.timeIntervalSince1970 * 1000).rounded(.down))
        var seconds = time_t(milliseconds / 1000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func padded(_ value: Int, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let day =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(day)T\(clock).\(padded(Int(milliseconds % 1000), 3))Z"
    }
}

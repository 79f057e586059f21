import EventSocket
import Foundation
import Telephony

/// What a program asks: a line, headers below it, perhaps a body.
struct SimulatedRequest {
    let line: String
    let headers: [String: String]

    init(_ frame: EventSocketFramer.Frame) {
        let lines = String(decoding: frame.head, as: UTF8.self).split(whereSeparator: \.isNewline)
        self.line = lines.first.map { String($0) } ?? ""
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            headers[line[..<colon].lowercased()] = String(value)
        }
        self.headers = headers
    }

    var words: [String] { self.line.split(separator: " ").map { String($0) } }
}

/// Events as the switch writes them.
enum SimulatedEvent {
    /// Nil for a format that is not simulated.
    static func encode(_ headers: [(String, String)], body: String?, format: String) -> [UInt8]? {
        var content: String
        switch format {
        case "plain":
            content = headers.map { "\($0.0): \(Self.encoded($0.1))\n" }.joined()
            if let body { content += "Content-Length: \(body.utf8.count)\n\n\(body)" } else { content += "\n" }
        case "json":
            var object: [String: String] = Dictionary(headers, uniquingKeysWith: { first, _ in first })
            if let body {
                object["Content-Length"] = String(body.utf8.count)
                object["_body"] = body
            }
            guard let data = try? JSONSerialization.data(withJSONObject: object) else { return nil }
            content = String(decoding: data, as: UTF8.self)
        default: return nil
        }
        return Array("Content-Length: \(content.utf8.count)\nContent-Type: text/event-\(format)\n\n\(content)".utf8)
    }

    /// URL-encoding as recorded: these bytes stand for themselves.
    static func encoded(_ value: String) -> String {
        var text = ""
        for byte in value.utf8 {
            let scalar = Unicode.Scalar(byte)
            if scalar.properties.isASCIIHexDigit || Self.plain.contains(byte)
                || (byte < 0x80 && scalar.properties.isAlphabetic)
            {
                text.unicodeScalars.append(scalar)
            } else {
                text += PercentEncoding.escaped(byte)
            }
        }
        return text
    }

    private static let plain: [UInt8] = Array("0123456789-_.~/,()!*'".utf8)

    /// What `event` accepts beside the events that Pronto acts on.
    static let otherNames: Set<String> = [
        "ALL", "CHANNEL_STATE", "CHANNEL_CALLSTATE", "CHANNEL_EXECUTE", "CHANNEL_DESTROY", "CHANNEL_PROGRESS",
        "CHANNEL_PROGRESS_MEDIA", "CHANNEL_ORIGINATE", "CHANNEL_OUTGOING", "CODEC", "RE_SCHEDULE", "API", "MODULE_LOAD",
        "RECORD_START", "RECORD_STOP", "DETECTED_TONE", "SHUTDOWN",
    ]
}

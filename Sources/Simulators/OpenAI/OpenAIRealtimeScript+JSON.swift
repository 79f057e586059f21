import Assistants
import Telephony

/// Why a script's text was refused: where, and what is allowed there.
package struct OpenAIRealtimeScriptError: Error, Equatable, CustomStringConvertible {
    package var place: String
    package var expected: String
    package var description: String { "\(self.place): expected \(self.expected)" }
}

extension OpenAIRealtimeScript {
    /// Reads a script as `pronto simulate openai --script` takes it (an example: `scripts/sdk/script.json`). Members not
    /// given keep their defaults, unknown ones are refused.
    ///
    /// ```json
    /// {"answers": [{"text": "…", "caller": "…", "delay_ms": 0, "tone": {"hertz": 440, "ms": 500},
    ///               "tools": [{"name": "transfer", "arguments": "{}"}]}],
    ///  "greeting": {"text": "…"}, "pace": 4, "key": "sk-…", "accepts_beta": true, "handshake_status": 503,
    ///  "speech": {"level_db": -40, "onset_ms": 60, "hangover_ms": 200}, "transcript_delay_ms": 150,
    ///  "mishaps": [{"at": "opened|configured|response:2|mid-response:1|after:1500", "fault": "silence|reset|malformed|
    ///               binary|expiry|close:1011|huge:5000000|slow:3000|flood:600000|error:insufficient_quota|
    ///               failed:rate_limit_exceeded"}]}
    /// ```
    /// `pace` 0: at once. An `error:` with `"closing": true` is followed by close 1011.
    package init(json text: String) throws(OpenAIRealtimeScriptError) {
        self.init()
        guard let members = JSONValue(json: text)?.members else {
            throw OpenAIRealtimeScriptError(place: "script", expected: "a JSON object")
        }
        for member in members { try self.take(member.name, member.value) }
    }

    private mutating func take(_ name: String, _ value: JSONValue) throws(OpenAIRealtimeScriptError) {
        switch name {
        case "answers":
            self.answers = []
            for entry in try ScriptReader.list(value, name) {
                self.answers.append(try ScriptReader.answer(entry, name))
            }
        case "greeting": self.greeting = try ScriptReader.answer(value, name)
        case "pace":
            let pace = try ScriptReader.number(value, name, 0...1000)
            self.pace = pace == 0 ? nil : pace
        case "key": self.key = try ScriptReader.text(value, name)
        case "accepts_beta": self.acceptsBeta = try ScriptReader.flag(value, name)
        case "handshake_status": self.handshakeStatus = Int(try ScriptReader.number(value, name, 400...599))
        case "transcript_delay_ms": self.transcriptDelay = try ScriptReader.milliseconds(value, name)
        case "speech":
            for member in try ScriptReader.members(value, name) {
                switch member.name {
                case "level_db": self.speechLevel = try ScriptReader.number(member.value, member.name, -96...0)
                case "onset_ms": self.speechOnset = try ScriptReader.milliseconds(member.value, member.name)
                case "hangover_ms": self.speechHangover = try ScriptReader.milliseconds(member.value, member.name)
                default: throw OpenAIRealtimeScriptError(place: member.name, expected: "a known member of speech")
                }
            }
        case "mishaps":
            for entry in try ScriptReader.list(value, name) { self.mishaps.append(try ScriptReader.mishap(entry)) }
        default: throw OpenAIRealtimeScriptError(place: name, expected: "a known member")
        }
    }
}

private enum ScriptReader {
    typealias Failure = OpenAIRealtimeScriptError

    static func list(_ value: JSONValue, _ place: String) throws(Failure) -> [JSONValue] {
        guard let elements = value.elements else { throw Failure(place: place, expected: "a list") }
        return elements
    }

    static func members(_ value: JSONValue, _ place: String) throws(Failure) -> [JSONValue.Member] {
        guard let members = value.members else { throw Failure(place: place, expected: "an object") }
        return members
    }

    static func text(_ value: JSONValue, _ place: String) throws(Failure) -> String {
        guard let text = value.text else { throw Failure(place: place, expected: "a text") }
        return text
    }

    static func flag(_ value: JSONValue, _ place: String) throws(Failure) -> Bool {
        guard let flag = value.flag else { throw Failure(place: place, expected: "true or false") }
        return flag
    }

    static func number(_ value: JSONValue, _ place: String, _ range: ClosedRange<Double>) throws(Failure) -> Double {
        guard let number = value.real, range.contains(number) else {
            throw Failure(place: place, expected: "a number, \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    static func milliseconds(_ value: JSONValue, _ place: String) throws(Failure) -> Duration {
        .milliseconds(try self.number(value, place, 0...86_400_000))
    }

    static func answer(_ value: JSONValue, _ place: String) throws(Failure) -> OpenAIRealtimeScript.Answer {
        var answer = OpenAIRealtimeScript.Answer("")
        for member in try self.members(value, place) {
            let name = place + "." + member.name
            switch member.name {
            case "text": answer.text = try self.text(member.value, name)
            case "caller": answer.callerTranscript = try self.text(member.value, name)
            case "delay_ms": answer.delay = try self.milliseconds(member.value, name)
            case "tone":
                let hertz = try self.number(member.value["hertz"] ?? .null, name + ".hertz", 50...4000)
                let length = try self.milliseconds(member.value["ms"] ?? .null, name + ".ms")
                answer.sound = .tone(hertz: hertz, length)
            case "tools":
                for tool in try self.list(member.value, name) {
                    let use = try self.text(tool["name"] ?? .null, name + ".name")
                    let arguments = try self.text(tool["arguments"] ?? "{}", name + ".arguments")
                    answer.tools.append(.init(use, arguments: arguments))
                }
            default: throw Failure(place: name, expected: "a known member of an answer")
            }
        }
        return answer
    }

    static func mishap(_ value: JSONValue) throws(Failure) -> OpenAIRealtimeScript.Mishap {
        let moment = try self.moment(try self.text(value["at"] ?? .null, "mishaps.at"))
        let isClosing = value["closing"]?.flag ?? false
        let fault = try self.fault(try self.text(value["fault"] ?? .null, "mishaps.fault"), isClosing: isClosing)
        return OpenAIRealtimeScript.Mishap(moment, fault)
    }

    private static func moment(_ text: String) throws(Failure) -> OpenAIRealtimeScript.Moment {
        let (name, value) = self.split(text)
        switch (name, value.flatMap { Int($0) }) {
        case ("opened", nil): return .opened
        case ("configured", nil): return .configured
        case ("response", let number?): return .response(number)
        case ("mid-response", let number?): return .midResponse(number)
        case ("after", let delay?) where (0...86_400_000).contains(delay): return .after(.milliseconds(delay))
        default:
            throw Failure(
                place: "mishaps.at", expected: "opened, configured, response:<n>, mid-response:<n> or after:<ms>")
        }
    }

    private static func fault(_ text: String, isClosing: Bool) throws(Failure) -> OpenAIRealtimeScript.Fault {
        let (name, value) = self.split(text)
        let number = value.flatMap { Int($0) }.flatMap { (0...1_000_000_000).contains($0) ? $0 : nil }
        switch (name, number) {
        case ("silence", nil): return .silence
        case ("reset", nil): return .reset
        case ("malformed", nil): return .malformed
        case ("binary", nil): return .binary
        case ("expiry", nil): return .expiry
        case ("close", let code?) where (1000...4999).contains(code): return .close(code: UInt16(code), reason: "")
        case ("huge", let bytes?): return .huge(bytes: bytes)
        case ("slow", let delay?): return .slow(.milliseconds(delay))
        case ("flood", let duration?): return .flood(.milliseconds(duration))
        default: break
        }
        if name == "error", let value {
            return .error(code: value, type: "invalid_request_error", message: "By script.", closing: isClosing)
        }
        if name == "failed", let value { return .failedResponse(code: value, message: "By script.") }
        throw Failure(
            place: "mishaps.fault",
            expected: "silence, reset, malformed, binary, expiry, close:<code>, huge:<bytes>, slow:<ms>, flood:<ms>, "
                + "error:<code> or failed:<code>")
    }

    private static func split(_ text: String) -> (String, String?) {
        let parts = text.split(separator: ":", maxSplits: 1)
        return (parts.first.map(String.init) ?? "", parts.count > 1 ? String(parts[1]) : nil)
    }
}

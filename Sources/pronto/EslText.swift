import EventSocket
import Telephony

/// How `pronto esl` shows what the switch says. Control characters are written out: a caller's name must not be able to
/// move the operator's cursor or rename the terminal.
enum EslText {
    /// An answer: its lines stay.
    static func body(_ text: String) -> String { self.clean(text, keepingLines: true) }

    /// One line of an event; `isFull` adds every header and the body below it.
    static func event(_ event: SwitchEvent, isFull: Bool) -> String {
        var line = "* " + self.value(event.name.wire)
        if let subclass = event.subclass { line += " " + self.value(subclass) }
        if let channel = event.headers["Unique-ID"] { line += " " + self.value(channel) }
        for (header, name) in self.telling {
            if let value = event.headers[header], !value.isEmpty { line += " \(name)=\(self.value(value))" }
        }
        guard isFull else { return line }
        for (name, value) in event.headers.all { line += "\n    \(self.value(name)): \(self.value(value))" }
        if !event.body.isEmpty { line += "\n\n" + self.body(event.text) + "\n" }
        return line
    }

    /// What tells most events apart.
    private static let telling: [(String, String)] = [
        ("Channel-Name", "channel"), ("Channel-Call-State", "state"), ("Caller-Destination-Number", "to"),
        ("Other-Leg-Unique-ID", "with"), ("Application", "application"), ("DTMF-Digit", "digit"),
        ("Hangup-Cause", "cause"), ("Job-UUID", "job"), ("Event-Info", "info"),
    ]

    static func value(_ text: String) -> String { self.clean(text, keepingLines: false) }

    private static func clean(_ text: String, keepingLines: Bool) -> String {
        var clean = ""
        for scalar in text.unicodeScalars {
            let isControl =
                scalar.properties.generalCategory == .control || scalar.properties.generalCategory == .format
            if !isControl || (keepingLines && (scalar == "\n" || scalar == "\t")) {
                clean.unicodeScalars.append(scalar)
            } else {
                clean += "\\u{" + String(scalar.value, radix: 16) + "}"
            }
        }
        return clean
    }
}

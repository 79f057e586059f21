import Assistants
import Telephony

/// A provider that writes what it likes. Messages are the input's lines; with a first byte of `{` the session is set up
/// properly first.
enum OpenAIFuzzing {
    static func session(_ bytes: UnsafeRawBufferPointer) {
        for format in [AudioFormat.l16(.wideband), .pcmu] {
            var configuration = OpenAIRealtimeConfiguration(
                baseURL: "http://127.0.0.1:1/v1", credential: .bearer(Redacted("k")))
            configuration.requiresFormatEcho = false
            let setup = AssistantSetup(instructions: "", language: "en", legFormat: format)
            self.play(bytes, to: OpenAIRealtimeMachine(configuration: configuration, setup: setup))
        }
    }

    private static func play(_ bytes: UnsafeRawBufferPointer, to fresh: OpenAIRealtimeMachine) {
        var machine = fresh
        var output = AssistantOutput()
        var now: Duration = .zero
        machine.start(at: now, &output)
        machine.received(.opened(.main), at: now, &output)
        if bytes.first == UInt8(ascii: "{") {
            self.text("{\"type\":\"session.created\"}", to: &machine, at: now, &output)
            self.text("{\"type\":\"session.updated\",\"session\":{}}", to: &machine, at: now, &output)
            machine.perform(.respond(.reply), at: now, &output)
        }
        for line in bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 64) {
            now += .milliseconds(20)
            output.removeAll()
            machine.received(.text(.main, UnsafeRawBufferPointer(rebasing: line)), at: now, &output)
            self.check(output)
        }
        output.removeAll()
        machine.perform(.cancelResponse, at: now, &output)
        machine.perform(.truncate(AgentItem(1), heard: .milliseconds(500)), at: now, &output)
        machine.wake(at: now + .seconds(4000), &output)
        machine.received(.closed(.main, .closed(code: 1000, reason: "")), at: now, &output)
        self.check(output)
    }

    private static func text(
        _ text: String, to machine: inout OpenAIRealtimeMachine, at now: Duration, _ output: inout AssistantOutput
    ) {
        Array(text.utf8).withUnsafeBytes { machine.received(.text(.main, $0), at: now, &output) }
    }

    /// What the machine points at must be there, and audio must be whole samples.
    private static func check(_ output: AssistantOutput) {
        for effect in output.effects {
            switch effect {
            case .sendText(_, let range), .sendBinary(_, let range):
                precondition(range.upperBound <= output.bytes.count, "an effect points beyond its bytes")
            case .audio(_, let range):
                precondition(range.upperBound <= output.bytes.count, "audio points beyond its bytes")
            default: break
            }
        }
    }
}

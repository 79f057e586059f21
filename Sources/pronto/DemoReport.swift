import Audio
import Foundation
import Records
import Simulators
import Telephony

/// What a demo call came to: shown at its end, and judged.
struct DemoReport: Sendable {
    let facts: DemoScreen.Facts
    let phone: PhoneResult
    let call: CallRecord?
    let turns: [TurnRecord]
    let transfers: [String]
    let recording: DemoRecording?
    /// The command → the first sound of the agent in the caller's ear.
    let firstWord: Duration?
    let provider: ProviderName

    /// What is not as it should be; empty for a good demo.
    var failures: [String] {
        var failures: [String] = []
        func require(_ isTrue: Bool, _ otherwise: String) { if !isTrue { failures.append(otherwise) } }
        require(self.phone.firstAudio != nil, "the greeting was not heard")
        require(self.facts.answered >= 3, "only \(self.facts.answered) turns were answered")
        require(self.call != nil, "no call record in the database")
        require(self.facts.failedAssistants.isEmpty, "an assistant failed: \(self.facts.failedAssistants)")
        if let failure = self.phone.failure, failure != "interruption-ignored" || self.provider == .local {
            failures.append("the phone says: \(failure)")
        }
        guard self.provider == .local else { return failures }
        require(
            self.facts.confirmedBargeIns >= 1 && self.facts.cutAnswers >= 1
                && self.turns.contains(where: \.wasInterrupted),
            "no barge-in was confirmed")
        require(
            self.transfers.contains { $0.contains(" 200 ") } && self.call?.termination.reason == "transferred",
            "the switch was not asked to transfer the call to 200")
        if let recording = self.recording {
            require(recording.caller > -50, "the recording's left channel (caller) is silent")
            require(recording.agent > -50, "the recording's right channel (agent) is silent")
        } else {
            failures.append("there is no recording")
        }
        return failures
    }

    func show(on screen: DemoScreen) {
        screen.plain()
        self.showRecord(screen)
        screen.plain()
        screen.heading("The phone's own measurements")
        func list(_ values: [Duration]) -> String {
            values.isEmpty ? "-" : values.map { "\($0.milliseconds)" }.joined(separator: ", ") + " ms"
        }
        screen.plain("  first audio      \(list([self.phone.firstAudio].compactMap { $0 })) after the connection")
        screen.plain("  answers          \(list(self.phone.answers)) (last sound said to first sound heard)")
        screen.plain("  barge-in         \(list(self.phone.bargeInStops)) from the caller's first sound to silence")
        screen.plain("  gaps             \(self.phone.gaps) (\(self.phone.gapTime.milliseconds) ms)")
        screen.plain("  end              \(self.phone.end.name)")
        screen.plain()
        screen.heading("The hand-over")
        for command in self.transfers { screen.plain("  switch took      \(command)") }
        if self.transfers.isEmpty { screen.plain("  none") }
        if let recording = self.recording {
            screen.plain()
            screen.heading("The recording")
            screen.plain("  \(recording.path)")
            screen.plain(
                "  stereo, \(DemoScreen.seconds(recording.duration)); left: the caller (\(Self.level(recording.caller))), "
                    + "right: the agent (\(Self.level(recording.agent)))")
        }
        screen.plain()
        if let firstWord = self.firstWord {
            screen.plain("first word after \(firstWord.milliseconds) ms of the command")
        }
        let failures = self.failures
        if failures.isEmpty { screen.plain("the demo worked") }
        for failure in failures { screen.plain("FAILED: \(failure)") }
    }

    private func showRecord(_ screen: DemoScreen) {
        screen.heading("The call record, as the database has it")
        guard let call = self.call else { return screen.plain("  none") }
        let cause = call.termination.cause
        func milliseconds(_ duration: Duration?) -> String { duration.map { "\($0.milliseconds) ms" } ?? "-" }
        screen.plain("  call             \(call.id), \(DemoScreen.seconds(call.duration))")
        screen.plain(
            "  answered by      \(call.providers.map(\.text).joined(separator: ", ")) over \(call.dialect ?? "-")")
        screen.plain(
            "  end              \(call.termination.reason); \(cause) (Q.850 \(cause.q850)); fault: "
                + call.termination.fault.rawValue)
        if let target = call.transferredTo {
            screen.plain("  handed over to   \(target.name), \(target.number.value) in context \(target.context)")
        }
        screen.plain(
            "  latency          p50 \(milliseconds(call.quality.latencyMedian)), p95 "
                + milliseconds(call.quality.latencyP95))
        screen.plain(
            "  quality          \(call.quality.bargeIns) barge-ins (\(call.quality.falseInterruptions) false), "
                + "\(call.quality.underruns) underruns")
        screen.plain("  turns")
        for turn in self.turns {
            var line = "  \(turn.number < 10 ? " " : "")\(turn.number)  \(turn.role == .caller ? "caller" : "agent ")  "
            line += turn.text.value.isEmpty ? "(not understood)" : turn.text.value
            if let latency = turn.latency { line += "  [after \(latency.milliseconds) ms]" }
            screen.plain(line)
            if turn.wasInterrupted {
                let heard = turn.heardText?.value ?? ""
                screen.plain(
                    "              interrupted after \(DemoScreen.seconds(turn.heard ?? .zero)); heard: "
                        + (heard.isEmpty ? "(no whole sentence)" : heard))
            }
        }
    }

    private static func level(_ level: Double) -> String { "\(Int(level.rounded())) dBFS" }
}

/// The demo's stereo WAV, listened to by numbers.
struct DemoRecording: Sendable {
    let path: String
    let duration: Duration
    /// RMS of the whole channel, dBFS.
    let caller: Double
    let agent: Double

    /// Nil when the file is not there; throws what is wrong with one that is.
    init?(path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        let wav = try WAV(parsing: Array(data))
        guard wav.format.channels == 2, wav.format.encoding == .l16 else { return nil }
        var samples: [Int16] = []
        wav.samples.withUnsafeBytes { samples.appendLittleEndian($0) }
        func level(_ channel: Int) -> Double {
            let side = stride(from: channel, to: samples.count, by: 2).map { samples[$0] }
            return side.withUnsafeBufferPointer { Level(of: $0).rms }
        }
        self.path = path
        self.duration = .milliseconds(Int64(samples.count / 2) * 1000 / Int64(wav.format.rate.hertz))
        self.caller = level(0)
        self.agent = level(1)
    }
}

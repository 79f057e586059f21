import Configuration
import Foundation
import Networking
import PhoneServer
import Records
import Simulators
import Synchronization
import Telephony

/// One run of the demo.
struct Demo: Sendable {
    let scenario: DemoScenario
    let provider: ProviderName
    let recordings: String
    let isQuick: Bool
    /// Of the environment and the command line.
    let settings: [[RawValue]]
    let beginning: ProcessBeginning

    func run() async throws -> Int32 {
        let screen = DemoScreen()
        // The voice is made while the gateway starts.
        async let speech = self.speech()
        let gateway = try await DemoGateway.start(
            self.scenario, provider: self.provider, recordings: self.recordings, given: self.settings, screen: screen)
        let report: DemoReport
        do {
            self.introduce(gateway, screen)
            report = try await self.call(gateway, try await speech, screen)
        } catch {
            try await gateway.stop()
            throw error
        }
        try await gateway.stop()
        report.show(on: screen)
        return report.failures.isEmpty ? 0 : 1
    }

    private func introduce(_ gateway: DemoGateway, _ screen: DemoScreen) {
        let hearing = self.provider != .local ? "the provider's" : gateway.hasSilero ? "Silero" : "energy"
        screen.heading("Pronto \(Pronto.version), demo")
        screen.plain(
            "  gateway          ws://\(gateway.process.mediaAddress), metrics http://\(gateway.process.adminAddress)/metrics"
        )
        screen.plain(
            "  assistant        \(self.scenario.assistant) (\(self.provider)), \(self.scenario.language.rawValue); "
                + "voice detection: \(hearing)")
        screen.plain("  switch           simulated FreeSWITCH, Event Socket on 127.0.0.1:\(gateway.freeSwitch.port)")
        screen.plain("  caller           software phone, mod_audio_stream fork, L16 16 kHz, espeak-ng")
        screen.plain()
    }

    private func speech() async throws -> [String: [Int16]] {
        let sentences = self.scenario.sentences
        let spoken = try await CallerSpeech(rate: .wideband).spoken(
            sentences, language: self.scenario.language.rawValue, espeakVoice: self.scenario.callerVoice)
        return Dictionary(zip(sentences, spoken), uniquingKeysWith: { first, _ in first })
    }

    private func call(
        _ gateway: DemoGateway, _ speech: [String: [Int16]], _ screen: DemoScreen
    ) async throws -> DemoReport {
        var configuration = PhoneConfiguration(dialect: .forkL16, rate: .wideband)
        configuration.ending = .stay
        configuration.maximumDuration = .seconds(180)
        let firstWord = FirstWord()
        let beginning = self.beginning
        screen.callBegan()
        let phone = try await DemoPhone.call(
            configuration, PhoneTarget(url: gateway.url), on: gateway.switchLoop
        ) { report in
            switch report {
            case .connected(let after): screen.line(.phone, "connected after \(after.milliseconds) ms")
            case .firstAudio(let after):
                firstWord.set(beginning.elapsed)
                screen.line(.phone, "first sound heard, \(after.milliseconds) ms after the connection")
            case .interrupted(let after):
                screen.line(.phone, "silence \(after.milliseconds) ms after the caller's interruption began")
            case .interruptionIgnored: screen.line(.phone, "the agent speaks on over the interruption")
            case .unanswered: screen.line(.phone, "no answer in time")
            case .stepBegan, .callerSpeaking, .agentSpeaking, .heard, .answered, .flushed: break
            }
        }
        let interrupts = Task { for await _ in Signals.stream([SIGINT, SIGTERM]) { phone.hangUp() } }
        let caller = DemoCaller(
            scenario: self.scenario, phone: phone, screen: screen, speech: speech, isQuick: self.isQuick,
            knowsTheAgent: self.provider == .local)
        await caller.converse()
        let result = await phone.result()
        interrupts.cancel()
        let record = try await gateway.record()
        RecordingFile.settle()
        return DemoReport(
            facts: screen.facts, phone: result, call: record?.call, turns: record?.turns ?? [],
            transfers: try await gateway.transfers(),
            recording: try record?.call.recording.flatMap { try DemoRecording(path: $0) },
            firstWord: firstWord.value, provider: self.provider)
    }
}

/// When the caller heard the first sound; set on the phone's loop.
private final class FirstWord: Sendable {
    private let state = Mutex<Duration?>(nil)
    var value: Duration? { self.state.withLock { $0 } }
    func set(_ duration: Duration) { self.state.withLock { $0 = $0 ?? duration } }
}

/// When the command was given: by the script's clock, or else by when the kernel started this process.
struct ProcessBeginning: Sendable {
    private let milliseconds: Int

    init(startedAt: Int?) { self.milliseconds = startedAt ?? Self.processStart ?? Self.now }

    var elapsed: Duration { .milliseconds(max(0, Self.now - self.milliseconds)) }

    private static var now: Int { Int(Date().timeIntervalSince1970 * 1000) }

    /// proc(5): field 22 of `stat` is the start in clock ticks since boot, 10 ms each on Linux.
    private static var processStart: Int? {
        guard let stat = FileManager.default.contents(atPath: "/proc/self/stat"),
            let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " "),
            fields.count > 19, let ticks = Int(fields[19])
        else { return nil }
        var sinceBoot = timespec()
        clock_gettime(CLOCK_BOOTTIME, &sinceBoot)
        return Self.now - (sinceBoot.tv_sec * 1000 + sinceBoot.tv_nsec / 1_000_000 - ticks * 10)
    }
}

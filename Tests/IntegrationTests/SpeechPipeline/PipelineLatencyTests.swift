import Foundation
import Simulators
import Telephony
import Testing

/// How soon a caller hears the answer when every service answers at once: what the pipeline itself takes.
@Suite(.serialized, .timeLimit(.minutes(3))) struct PipelineLatencyTests {
    /// PRONTO_LATENCY_TURNS turns (default 3) of one call; prints what was measured.
    @Test("An answer follows the end of speech by the endpointing's silence and little more")
    func firstAudio() async throws {
        let turns = ProcessInfo.processInfo.environment["PRONTO_LATENCY_TURNS"].flatMap { Int($0) } ?? 3
        var deepgram = DeepgramScript()
        // No mark at its end: the whole configured silence is waited for.
        deepgram.utterances = ["I would like to know your opening hours"]
        deepgram.soundPerCharacter = .milliseconds(10)
        var chat = ChatScript()
        chat.answers = [.init("Nine to five.")]
        let silence: Duration = .milliseconds(500)
        let pipeline = try await PipelineGateway(
            deepgram: deepgram, chat: chat,
            change: { assistant, _ in
                assistant.turns.silence = silence
                assistant.maximumDuration = .seconds(150)
            })
        let phone = try await pipeline.greeted(try await pipeline.gateway.makeChannel())
        for turn in 1...turns {
            try await pipeline.say(phone)
            try await pipeline.heard(replies: 1 + turn)
        }
        let finished = try await pipeline.finished(phone)
        let latencies = finished.turns.compactMap(\.latency).filter { $0 > .zero }.sorted()
        let p95 = try #require(
            latencies.isEmpty ? nil : latencies[min(latencies.count - 1, latencies.count * 95 / 100)])
        print(
            "pipeline first audio after \(silence.milliseconds) ms of endpointing: \(latencies.count) turns, median "
                + "\(latencies[latencies.count / 2].milliseconds) ms, p95 \(p95.milliseconds) ms")
        #expect(latencies.count == turns)
        // A generous bound: a loaded machine must not fail it. The figure itself is printed.
        #expect(p95 < silence + .seconds(2))
        try await pipeline.stop()
    }
}
